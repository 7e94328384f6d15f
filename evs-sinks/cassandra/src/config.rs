//! The address and the settings of a cluster, from a URL.

use std::{fmt, fs, time::Duration};

use evs_core::SinkError;

/// The number of replicas that must have a write, or answer a read.
///
/// It only has levels at which a read sees every write before it: a batch that was applied must not be applied again.
///
/// With three replicas, `local_quorum` writes to two and reads from two, so at least one replica has seen the write and
/// answers the read. With `one`, a read could miss the progress that was just written: the batch would be written again
/// for nothing, and a reader of totals could leave out rows that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consistency {
    /// A majority of the replicas in one datacenter: `local_quorum`. All writers to a statistic, and all readers that
    /// want to see the newest writes, must name the same datacenter.
    #[default]
    LocalQuorum,
    /// A majority of the replicas, wherever they are: `quorum`.
    Quorum,
    /// All replicas: `all`. A single node that is down stops the sink until it is back.
    All,
}

impl Consistency {
    fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "local_quorum" => Some(Self::LocalQuorum),
            "quorum" => Some(Self::Quorum),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

/// The certificates for TLS, as PEM.
#[derive(Clone)]
pub(crate) struct Tls {
    /// The authorities that issue the nodes' certificates.
    pub(crate) authorities: String,
    /// evs's own certificate and its key.
    pub(crate) identity: Option<(String, String)>,
}

/// The settings for reaching a cluster.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) hosts: Vec<(String, u16)>,
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) keyspace: String,
    pub(crate) consistency: Consistency,
    pub(crate) datacenter: Option<String>,
    pub(crate) tls: Option<Tls>,
    /// The time limit for making a session.
    pub(crate) timeout: Duration,
    /// The time limit for making a connection to a node.
    pub(crate) connect_timeout: Duration,
    /// The time limit for one request.
    pub(crate) request_timeout: Duration,
    /// The number of requests that are sent at the same time.
    pub(crate) pool: usize,
}

/// Shows no password and no key.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("hosts", &self.hosts)
            .field("user", &self.credentials.as_ref().map(|(user, _)| user))
            .field("keyspace", &self.keyspace)
            .field("consistency", &self.consistency)
            .field("datacenter", &self.datacenter)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// The default time limit for making a session.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// The default number of requests at the same time. Measured: with fewer, a node is idle at times; more are no faster,
/// and an overloaded node answers them too late.
pub(crate) const POOL: usize = 32;

const PORT: u16 = 9042;
const FORM: &str = "cassandra://USER:PASSWORD@HOST:PORT,HOST:PORT/KEYSPACE?consistency=local_quorum&dc=NAME";
/// The longest name of a keyspace or table in Cassandra.
pub(crate) const NAME_BYTES_MAX: usize = 48;

impl Config {
    /// Parses a URL, and reads the files that it names.
    pub(crate) fn from_url(url: &str) -> Result<Self, SinkError> {
        // No part of the URL is shown, because any part can contain a password with a character that should have been
        // escaped.
        let refused = |what: String| SinkError::refused(format!("the URL {what}; its form is {FORM}"));
        let rest = url.strip_prefix("cassandra://");
        let rest = rest.ok_or_else(|| refused("does not begin with cassandra://".to_owned()))?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, keyspace) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match place.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, place),
        };
        let credentials = user.map(credentials).transpose().map_err(refused)?;
        let hosts = hosts.split(',').map(host).collect::<Result<_, _>>().map_err(refused)?;
        let keyspace = keyspace_name(keyspace).map_err(refused)?;
        let mut config = Self { hosts, credentials, ..Self::defaults(keyspace) };
        config.read_options(options, refused)?;
        Ok(config)
    }

    /// The settings for a keyspace of a session that has its own hosts and credentials.
    #[cfg(feature = "scylla")]
    pub(crate) fn of_keyspace(keyspace: &str) -> Result<Self, SinkError> {
        if is_name(keyspace) {
            return Ok(Self::defaults(keyspace.to_owned()));
        }
        let what = format!(
            "{keyspace:?} is not a keyspace: 1 to {NAME_BYTES_MAX} of A-Z, a-z, 0-9 and _ are accepted"
        );
        Err(SinkError::refused(what))
    }

    fn defaults(keyspace: String) -> Self {
        Self {
            hosts: Vec::new(),
            credentials: None,
            keyspace,
            consistency: Consistency::default(),
            datacenter: None,
            tls: None,
            timeout: TIMEOUT,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            pool: POOL,
        }
    }

    fn read_options(
        &mut self,
        options: &str,
        refused: impl Fn(String) -> SinkError + Copy,
    ) -> Result<(), SinkError> {
        let (mut authorities, mut certificate, mut key) = (None, None, None);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value = decode(value).map_err(refused)?;
            match name {
                "consistency" => {
                    let known = Consistency::from_name(&value);
                    self.consistency = known.ok_or_else(|| {
                        refused(format!(
                            "has consistency={value:?}: local_quorum, quorum and all are accepted, since with \
                             less a batch could be taken for not applied"
                        ))
                    })?;
                }
                "dc" if !value.is_empty() => self.datacenter = Some(value),
                "tls_ca" => authorities = Some(file(name, &value)?),
                "tls_cert" => certificate = Some(file(name, &value)?),
                "tls_key" => key = Some(file(name, &value)?),
                _ => {
                    return Err(refused(
                        "has an option that is not known: consistency, dc, tls_ca, tls_cert and tls_key are \
                         accepted"
                            .to_owned(),
                    ));
                }
            }
        }
        self.tls = match (authorities, certificate, key) {
            (None, None, None) => None,
            (Some(authorities), None, None) => Some(Tls { authorities, identity: None }),
            (Some(authorities), Some(certificate), Some(key)) => {
                Some(Tls { authorities, identity: Some((certificate, key)) })
            }
            (None, ..) => return Err(refused("has tls_cert or tls_key without tls_ca".to_owned())),
            _ => return Err(refused("has one of tls_cert and tls_key without the other".to_owned())),
        };
        Ok(())
    }

    /// The likely reason if nodes close connections before they have sent anything.
    pub(crate) fn tls_hint(&self) -> &'static str {
        match &self.tls {
            None => "if the nodes ask for TLS, the URL needs tls_ca",
            Some(Tls { identity: None, .. }) => {
                "if the nodes ask for a certificate, the URL needs tls_cert and tls_key"
            }
            Some(Tls { identity: Some(_), .. }) => "the nodes may not accept the certificate of tls_cert",
        }
    }

    /// The secret that must never be shown, whoever says it.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.credentials.as_ref().map(|(_, password)| password.as_str()).filter(|secret| !secret.is_empty())
    }
}

fn file(option: &str, path: &str) -> Result<String, SinkError> {
    fs::read_to_string(path)
        .map_err(|error| SinkError::refused_by(format!("{option}: {path} cannot be read"), error))
}

fn credentials(text: &str) -> Result<(String, String), String> {
    let (user, password) = text.split_once(':').ok_or("has a user without a password")?;
    Ok((decode(user)?, decode(password)?))
}

fn host(text: &str) -> Result<(String, u16), String> {
    // An IPv6 address contains colons, and is in brackets.
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if name.is_empty() || !name.chars().all(allowed) {
        return Err("has no host, or one with characters that no host has".to_owned());
    }
    let port = match port {
        None => PORT,
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err("has a port that is none".to_owned()),
        },
    };
    Ok((name.to_owned(), port))
}

fn keyspace_name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("has no keyspace".to_owned());
    }
    let name = decode(text)?;
    if is_name(&name) {
        return Ok(name);
    }
    Err(format!("has a keyspace that is none: 1 to {NAME_BYTES_MAX} of A-Z, a-z, 0-9 and _ are accepted"))
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Decodes `%HH`.
fn decode(text: &str) -> Result<String, String> {
    let wrong = || "has a % that no two hexadecimal digits follow, or no UTF-8".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or_else(wrong)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> Config {
        Config::from_url(url).unwrap()
    }

    #[test]
    fn a_url_is_read() {
        let plain = config("cassandra://db1/stats");
        assert_eq!(plain.hosts, [("db1".to_owned(), 9042)]);
        assert_eq!((plain.keyspace.as_str(), plain.credentials.as_ref()), ("stats", None));
        assert_eq!((plain.consistency, plain.datacenter), (Consistency::LocalQuorum, None));
        let full = config(
            "cassandra://evs:p%40ss%2Fw%3Ard@db1.example.org:9043,10.0.0.1,[2001:db8::1]:9044,[::1]/Stats_1\
             ?consistency=QUORUM&dc=eu%20west",
        );
        let hosts = [("db1.example.org", 9043), ("10.0.0.1", 9042), ("2001:db8::1", 9044), ("::1", 9042)];
        assert_eq!(full.hosts, hosts.map(|(host, port)| (host.to_owned(), port)));
        assert_eq!(full.credentials, Some(("evs".to_owned(), "p@ss/w:rd".to_owned())));
        assert_eq!((full.keyspace.as_str(), full.consistency), ("Stats_1", Consistency::Quorum));
        assert_eq!(full.datacenter.as_deref(), Some("eu west"));
        assert_eq!(full.secret(), Some("p@ss/w:rd"));
    }

    #[test]
    fn a_wrong_url_is_refused_and_says_what_is_wrong() {
        for (url, word) in [
            ("mysql://db1/stats", "cassandra://"),
            ("cassandra://db1", "no keyspace"),
            ("cassandra://db1/", "no keyspace"),
            ("cassandra:///stats", "no host"),
            ("cassandra://db1,/stats", "no host"),
            ("cassandra://d b/stats", "no host"),
            ("cassandra://db1:0/stats", "port"),
            ("cassandra://db1:99999/stats", "port"),
            ("cassandra://db1/sta-ts", "keyspace that is none"),
            ("cassandra://db1/stats/more", "keyspace that is none"),
            ("cassandra://evs@db1/stats", "without a password"),
            ("cassandra://evs:%zz@db1/stats", "hexadecimal"),
            ("cassandra://evs:%f@db1/stats", "hexadecimal"),
            ("cassandra://db1/stats?consistency=one", "local_quorum"),
            ("cassandra://db1/stats?datacenter=dc1", "not known"),
            ("cassandra://db1/stats?tls_ca=/nowhere/ca.pem", "/nowhere/ca.pem"),
            ("cassandra://db1/stats?tls_cert=Cargo.toml", "without tls_ca"),
            ("cassandra://db1/stats?tls_ca=Cargo.toml&tls_key=Cargo.toml", "without the other"),
        ] {
            let error = Config::from_url(url).expect_err(url);
            assert!(!error.is_transient() && error.to_string().contains(word), "{url}: {error}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = "cassandra://evs:s3cr3t@db1/stats";
        assert!(!format!("{:?}", config(url)).contains("s3cr3t"));
        for url in [
            "cassandra://evs:s3cr3t@db1",
            "cassandra://evs:s3cr3t@db1:x/stats",
            "cassandra://evs:a/s3cr3t@db1/stats",
            "cassandra://evs:a?s3cr3t@db1/stats",
            "cassandra://evs:a?b=s3cr3t@db1/stats",
            "cassandra://evs:%s3cr3t@db1/stats",
            "evs:s3cr3t@db1/stats",
        ] {
            let error = Config::from_url(url).expect_err(url);
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{url}: {error:?}");
        }
    }
}
