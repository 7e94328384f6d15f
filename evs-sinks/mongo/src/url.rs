//! Checks connection strings, and finds the secrets in them.
//! <https://www.mongodb.com/docs/manual/reference/connection-string/>

use evs_core::SinkError;
use evs_store::{percent_decoded, strike};
use mongodb::options::{Acknowledgment, ConnectionString, Credential, WriteConcern};

use crate::errors::sort;

/// A connection string that was parsed and checked. Names have not been resolved.
///
/// The driver would ask for the names of servers (`mongodb+srv://`) while it parses. Here that comes later, so that a
/// wrong URL is an error at once, and a DNS server that is down is not.
pub(crate) struct Url {
    pub(crate) parsed: ConnectionString,
    pub(crate) database: String,
    pub(crate) secrets: Secrets,
}

/// The secrets that are removed from every message.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Finds the passwords and tokens of a connection string, as they are written there and decoded.
    fn of(url: &str) -> Self {
        let mut secrets = Vec::new();
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        // The password ends at the last @, in case an @ in it should have been escaped.
        let user = place.rsplit_once('@').map(|(user, _)| user);
        secrets.extend(user.and_then(|user| user.split_once(':')).map(|(_, password)| password.to_owned()));
        for (name, value) in options.split('&').filter_map(|option| option.split_once('=')) {
            let name = name.to_ascii_lowercase();
            if name.contains("password") || name.contains("token") || name.contains("mechanismproperties") {
                secrets.push(value.to_owned());
            }
        }
        let decoded = secrets.iter().map(|secret| percent_decoded(secret)).collect::<Vec<_>>();
        secrets.extend(decoded);
        secrets.retain(|secret| !secret.is_empty());
        // The longest first: one may be part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self(secrets)
    }

    /// The secrets of a login, as they are.
    pub(crate) fn of_credential(credential: &Credential) -> Self {
        let properties = credential.mechanism_properties.iter().flat_map(|properties| properties.values());
        let mut secrets = credential.password.iter().cloned().collect::<Vec<_>>();
        secrets.extend(properties.filter_map(|value| value.as_str().map(str::to_owned)));
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// Removes the secrets from a message.
    pub(crate) fn strike(&self, message: &str) -> String {
        strike(message, &self.0)
    }

    /// All of them, the longest first.
    pub(crate) fn all(&self) -> &[String] {
        &self.0
    }
}

/// Parses a connection string.
pub(crate) fn parse(url: &str) -> Result<Url, SinkError> {
    let secrets = Secrets::of(url);
    let refused = |what: &str| Err(SinkError::refused(secrets.strike(what)));
    let parsed = match ConnectionString::parse(url) {
        Ok(parsed) => parsed,
        Err(_) => {
            // The driver's message may contain pieces of a password that breaks the URL apart. Its message about the
            // same URL with another user cannot.
            let Err(error) = ConnectionString::parse(without_user(url)) else {
                return refused(
                    "the URL's user and password cannot be read: the characters : / ? # [ ] @ % in them must \
                     be escaped, as %3A for a colon",
                );
            };
            let says = if url.contains('@') && without_user(url) == url {
                "it cannot be read".to_owned()
            } else {
                sort(&error).message
            };
            return refused(&format!(
                "this is no URL of a MongoDB database, as mongodb://USER:PASSWORD@HOST:27017/DATABASE: {says}"
            ));
        }
    };
    let Some(database) = parsed.default_database.clone() else {
        return refused(
            "the URL names no database: mongodb://USER:PASSWORD@HOST:27017/DATABASE (and ?authSource=admin, if \
             the user is not of that database)",
        );
    };
    check_concern("URL asks", parsed.write_concern.as_ref())?;
    Ok(Url { parsed, database, secrets })
}

/// Refuses a write concern with which acknowledged batches could be lost. `whose` says where it is from: `URL asks`, for example.
pub(crate) fn check_concern(whose: &str, concern: Option<&WriteConcern>) -> Result<(), SinkError> {
    let Some(concern) = concern else { return Ok(()) };
    // A number that is a majority today may be less tomorrow.
    if matches!(concern.w, Some(Acknowledgment::Nodes(_))) {
        let what = format!("the {whose} for a write concern w that is a number: evs needs w=majority");
        return Err(SinkError::refused(what));
    }
    if concern.journal == Some(false) {
        let what = format!("the {whose} for writes without a journal: evs needs journal=true");
        return Err(SinkError::refused(what));
    }
    Ok(())
}

/// The URL with a user that can certainly be parsed, if it has a user.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // The part before the options: an @ in an option's value does not count.
    let place = rest.split_once('?').map_or(rest, |(place, _)| place);
    match place.rfind('@') {
        Some(at) => format!("{scheme}://user:password{}", &rest[at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        match parse(url) {
            Err(SinkError::Refused { what, source: None }) => what,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("{url} is accepted"),
        }
    }

    #[test]
    fn urls_that_cannot_work_are_refused() {
        for (url, word) in [
            ("", "no scheme"),
            ("mysql://localhost/stats", "mysql"),
            ("mongodb://localhost", "names no database"),
            ("mongodb://localhost/", "names no database"),
            ("mongodb://localhost:port/stats", "port"),
            ("mongodb://evs:secret@localhost/?authSource=admin", "names no database"),
            ("mongodb://localhost/stats?w=0", "w=majority"),
            ("mongodb://localhost/stats?w=1", "w=majority"),
            ("mongodb://localhost/stats?journal=false", "journal"),
            ("mongodb://localhost/stats?connectTimeoutMS=soon", "connecttimeoutms"),
            ("mongodb+srv://db.example.com:27017/stats", "port"),
        ] {
            let what = refusal(url);
            assert!(what.contains(word), "{url}: {what}");
        }
        for url in [
            "mongodb://localhost/stats",
            "mongodb://a,b,c:27018/stats?replicaSet=rs0&w=majority&journal=true&retryWrites=true",
            "mongodb+srv://evs:p%40ss@cluster.example.com/stats",
        ] {
            assert_eq!(parse(url).map(|url| url.database).unwrap(), "stats", "{url}");
        }
    }

    #[test]
    fn no_refusal_shows_a_password() {
        for password in ["hunter2/x", "hunter2@x", "hunter2:x", "hunter2%zz", "hunter2?x=1", "hun%74er2"] {
            for url in [
                format!("mongodb://evs:{password}@localhost:port/stats"),
                format!("mongodb://evs:{password}@localhost/stats?connectTimeoutMS=soon"),
                format!("mongodb://evs:{password}@localhost/"),
                format!("mysql://evs:{password}@localhost/stats"),
            ] {
                let what = refusal(&url);
                assert!(!what.contains("hunter2") && !what.contains("hun%74"), "{url}: {what}");
            }
        }
    }

    #[test]
    fn secrets_are_struck_out_as_written_and_as_meant() {
        let secrets =
            Secrets::of("mongodb://evs:p%40ss@host/db?tlsCertificateKeyFilePassword=key%21&appName=x");
        assert_eq!(
            secrets.strike("user evs with p@ss or p%40ss, key! or key%21"),
            "user evs with *** or ***, *** or ***"
        );
        assert_eq!(Secrets::of("mongodb://host/db").strike("host db"), "host db");
    }
}
