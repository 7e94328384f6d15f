//! Text for keys: the form in which stores keep the bytes of a key.
//!
//! Clients send any bytes, and no store takes any bytes as text: PostgreSQL refuses NUL, most refuse invalid UTF-8,
//! and some replace it. A replaced byte would make two keys equal. So what a store could not hold is written as
//! `\xHH`, reversibly. It is the form in which nginx writes such bytes into its log, so people who know the log
//! recognize it.

use std::borrow::Cow;

/// Returns a key's bytes as text that any store can hold. [`unescape`] turns it back into the bytes.
///
/// Valid UTF-8 is unchanged except for the backslash and NUL. These two, and bytes that are not valid UTF-8, become
/// `\xHH` as nginx writes them. Different bytes therefore always give different texts.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{escape, unescape};
/// assert_eq!(escape("größe".as_bytes()), "größe");
/// assert_eq!(escape(b"a\\b\0\xff"), r"a\x5Cb\x00\xFF");
/// assert_eq!(unescape(r"a\x5Cb\x00\xFF").unwrap().as_ref(), b"a\\b\0\xff");
/// ```
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if memchr::memchr2(b'\\', 0, bytes).is_none() => Cow::Borrowed(text),
        _ => Cow::Owned(escape_slow(bytes)),
    }
}

fn escape_slow(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\x5C"),
                '\0' => text.push_str("\\x00"),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}

/// Returns the bytes from which [`escape`] made `text`; `None` if a backslash in it does not begin an escape.
///
/// Every escape is undone, also those that `escape` does not write: MySQL's sink writes a blank at the end of a key as
/// `\x20`, since MySQL's comparisons ignore it.
pub fn unescape(text: &str) -> Option<Cow<'_, [u8]>> {
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'\\', rest) {
        bytes.extend_from_slice(&rest[..at]);
        let digits = rest.get(at + 1..at + 4)?.strip_prefix(b"x")?;
        let digit = |d: u8| char::from(d).to_digit(16).map(|d| d as u8);
        bytes.push(digit(digits[0])? << 4 | digit(digits[1])?);
        rest = &rest[at + 4..];
    }
    bytes.extend_from_slice(rest);
    Some(Cow::Owned(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn escaping_is_reversible(bytes: Vec<u8>) {
            let text = escape(&bytes).into_owned();
            prop_assert!(!text.contains('\0'));
            prop_assert_eq!(unescape(&text).unwrap().into_owned(), bytes);
        }
    }

    #[test]
    fn text_that_escape_never_writes_is_refused() {
        for text in ["\\", "\\x", "\\x4", "\\y00", "\\x+1", "\\xg0"] {
            assert_eq!(unescape(text), None, "{text}");
        }
    }
}
