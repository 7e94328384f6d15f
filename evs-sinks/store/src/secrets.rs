//! Secrets in messages: passwords must never be shown.
//!
//! A driver may put the URL into the message of an error, and the message goes to logs, to the status page and into
//! bug reports. The URL has the password percent-encoded, the driver may show it decoded, and a part of it may look
//! like another secret. So all forms are struck out, the longest first.

/// Replaces each of `secrets` in `message` by `***`.
///
/// `secrets` must have the longest first, because one secret may be part of another.
///
/// ```
/// let secrets = ["p%40ss".to_owned(), "p@ss".to_owned()];
/// assert_eq!(evs_store::strike("evs:p%40ss@db refused p@ss", &secrets), "evs:***@db refused ***");
/// ```
pub fn strike(message: &str, secrets: &[String]) -> String {
    let shown = secrets.iter().filter(|secret| !secret.is_empty());
    shown.fold(message.to_owned(), |message, secret| message.replace(secret, "***"))
}

/// Undoes the percent-encoding of a part of a URL. Bytes that are not UTF-8 become replacement characters.
///
/// ```
/// assert_eq!(evs_store::percent_decoded("p%40ss"), "p@ss");
/// assert_eq!(evs_store::percent_decoded("100%"), "100%");
/// ```
pub fn percent_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| first == b'%');
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_struck_out_wherever_they_are() {
        let secrets = ["p%40ss".to_owned(), "p@ss".to_owned(), String::new()];
        assert_eq!(strike("evs:p%40ss@db and p@ss", &secrets), "evs:***@db and ***");
        assert_eq!(strike("evs@db", &[]), "evs@db");
    }

    #[test]
    fn only_whole_escapes_are_decoded() {
        for (text, decoded) in [
            ("p%40ss", "p@ss"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("%+4", "%+4"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(percent_decoded(text), decoded);
        }
    }
}
