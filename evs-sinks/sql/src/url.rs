//! Checks the URLs of servers. The drivers ignore or log parameters that they do not know, and only evs keeps
//! passwords out of messages.

use evs_core::SinkError;
use evs_store::percent_decoded as decoded;

/// Refuses a URL whose scheme is not one of `schemes`, or that has a parameter that is not in `parameters`.
///
/// An entry of `parameters` that ends in `[` stands for all parameters that begin with it. The error shows nothing
/// that could be part of a password.
///
/// # Errors
///
/// [`SinkError::Refused`].
pub(crate) fn check_url(url: &str, schemes: &[&str], parameters: &[&str]) -> Result<(), SinkError> {
    let expected = format!("expected {}://USER:PASSWORD@HOST:PORT/DATABASE", schemes[0]);
    let refused = |what: &str| Err(SinkError::refused(format!("the URL of the server {what}; {expected}")));
    let Some((_, rest)) = url.split_once("://").filter(|(scheme, _)| schemes.contains(scheme)) else {
        return refused("has another scheme");
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (_, database) = place.split_once('/').unwrap_or((place, ""));
    // The part that looks like a database may be the rest of a password with a slash in it, and what looks like
    // parameters the rest of one with a question mark.
    if place.contains('#') || database.contains(['@', '/', ':']) || query.contains(['@', '#']) {
        return refused(
            "has a character that must be percent-encoded, as / is by %2F, ? by %3F, @ by %40 and # by %23",
        );
    }
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
        let known = |known: &&str| name == *known || (known.ends_with('[') && name.starts_with(*known));
        if !parameters.iter().any(known) {
            let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_".contains(&byte));
            let shown = if is_plain { name } else { "that cannot be shown" };
            return refused(&format!(
                "has a parameter {shown}, which evs does not know (it knows {})",
                parameters.join(", ")
            ));
        }
    }
    Ok(())
}

/// Refuses a URL if one of `parameters` names a file that cannot be read. The drivers would report such a file as a
/// server that is down.
///
/// # Errors
///
/// [`SinkError::Refused`].
pub(crate) fn check_files(url: &str, parameters: &[&str]) -> Result<(), SinkError> {
    let (_, query) = url.split_once('?').unwrap_or((url, ""));
    for (name, path) in query.split('&').filter_map(|parameter| parameter.split_once('=')) {
        if parameters.contains(&name) {
            let path = decoded(&path.replace('+', " "));
            std::fs::File::open(&path).map_err(|error| {
                SinkError::refused_by(format!("{name}={path}: the file cannot be read"), error)
            })?;
        }
    }
    Ok(())
}

/// The passwords in a URL as they are written there, and `effective`, the password that the driver uses, plain and
/// percent-encoded. The longest comes first.
pub(crate) fn passwords(url: &str, effective: Option<&str>) -> Vec<String> {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let place = place.split_once("://").map_or(place, |(_, place)| place);
    let user = place.rsplit_once('@').map_or("", |(user, _)| user);
    let mut found = Vec::new();
    found.extend(user.split_once(':').map(|(_, password)| password.to_owned()));
    found.extend(
        query.split('&').filter_map(|parameter| parameter.strip_prefix("password=")).map(str::to_owned),
    );
    found.extend(effective.map(str::to_owned));
    for form in found.clone() {
        found.extend([decoded(&form), encoded(&form), encoded(&decoded(&form))]);
    }
    found.retain(|form| !form.is_empty());
    found.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    found.dedup();
    found
}

/// Percent-encodes everything but letters and digits, as drivers do.
fn encoded(text: &str) -> String {
    let escape = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// The forms of the password of a driver's options, for a user and a host. `password` reads it from a URL that the
/// driver makes of the options, percent-encoded: there is no other way.
///
/// The drivers panic if a user or a host cannot be written into a URL as it is (an IPv6 address without brackets, for
/// example), so `password` is not called then. No driver shows the password anyway.
pub(crate) fn passwords_of_options(
    user: &str,
    host: &str,
    password: impl FnOnce() -> Option<String>,
) -> Vec<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if host.is_empty() || ![user, host].iter().all(|text| text.chars().all(is_plain)) {
        return Vec::new();
    }
    passwords("", password().as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> Option<String> {
        let parameters = ["ssl-mode", "options", "options["];
        check_url(url, &["mysql", "mariadb"], &parameters).err().map(|error| error.to_string())
    }

    #[test]
    fn urls_are_of_a_known_kind() {
        for url in [
            "mysql://evs@db/stats",
            "mariadb://evs:a%2Fb@[::1]:3306/stats?ssl-mode=REQUIRED&options[x]=1&",
            "mysql://db",
        ] {
            assert_eq!(refusal(url), None, "{url}");
        }
        for (url, said) in [
            ("", "another scheme"),
            ("db/stats", "another scheme"),
            ("postgres://db/stats", "another scheme"),
            ("mysql://db/stats?ssl_mode=REQUIRED", "a parameter ssl_mode,"),
            ("mysql://db/stats?options[=1&optionsx=2", "a parameter optionsx,"),
            ("mysql://evs:12/hunter2@db/stats", "percent-encoded"),
            ("mysql://evs:12#hunter2@db/stats", "percent-encoded"),
            ("mysql://evs:12?hunter2@db/stats", "percent-encoded"),
            ("mysql://evs:12?hunter=2@db/stats", "percent-encoded"),
            ("mysql://evs:12?hunter&2@db/stats", "percent-encoded"),
            ("mysql://evs:12/a?ssl-mode=hunter@db/stats", "percent-encoded"),
            ("mysql://db/stats?Hunter2", "a parameter that cannot be shown"),
            ("mysql://evs:12?x#hunter2@db/stats", "percent-encoded"),
        ] {
            let refusal = refusal(url).expect(url);
            assert!(refusal.contains(said) && !refusal.contains("hunter"), "{url}: {refusal}");
        }
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let directory = std::env::temp_dir();
        let missing = format!("{}/evs%20no+file", directory.display());
        let check = |url: &str| check_files(url, &["ssl-ca", "ssl-key"]);
        let error = check(&format!("mysql://db/stats?ssl-mode=x&ssl-key={missing}")).unwrap_err();
        assert!(error.to_string().contains("evs no file: the file cannot be read"), "{error}");
        check(&format!("mysql://db/stats?ssl-cert={missing}")).unwrap();
        check(&format!("mysql://db/stats?ssl-ca={}", std::env::current_exe().unwrap().display())).unwrap();
        check("mysql://db/stats").unwrap();
    }

    #[test]
    fn all_forms_of_a_password_are_known() {
        let forms = passwords("mysql://evs:p%40s s@db/stats?password=q", Some("p@s s"));
        for form in ["p%40s s", "p%40s%20s", "p@s s", "q"] {
            assert!(forms.iter().any(|known| known == form), "{form}: {forms:?}");
        }
        assert!(forms.is_sorted_by_key(|form| std::cmp::Reverse(form.len())));
        assert_eq!(passwords("mysql://evs:a@b@db/stats", None)[1], "a@b");
        assert!(passwords("mysql://evs@db/stats", None).is_empty());
        assert!(passwords("mysql://evs:@db/stats", Some("")).is_empty());
        assert!(passwords("mysql://evs:%ff%zz%@db", None).contains(&"%ff%zz%".to_owned()));
    }
}
