//! Undoes what was done to bytes of a value when it was logged.

use memchr::memchr;

/// Undoes `\xHH`, nginx's only escape in its default mode. Any other backslash stands for itself.
pub(super) fn undo_default(text: &[u8], out: &mut Vec<u8>) {
    undo(text, out, |rest, out| {
        let byte = hex_byte(rest.strip_prefix(b"x")?)?;
        out.push(byte);
        Some(3)
    });
}

/// Undoes the escapes of a JSON string. What is no escape, or half a surrogate pair, is kept as it is.
pub(super) fn undo_json(text: &[u8], out: &mut Vec<u8>) {
    undo(text, out, |rest, out| {
        let (length, c) = json_escape(rest)?;
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        Some(length)
    });
}

/// Copies `text` but for what `escape` takes from behind each backslash: it says how long that was.
fn undo(mut text: &[u8], out: &mut Vec<u8>, mut escape: impl FnMut(&[u8], &mut Vec<u8>) -> Option<usize>) {
    while let Some(at) = memchr(b'\\', text) {
        out.extend_from_slice(&text[..at]);
        text = &text[at + 1..];
        match escape(text, out) {
            Some(length) => text = &text[length..],
            None => out.push(b'\\'),
        }
    }
    out.extend_from_slice(text);
}

/// The character that stands behind a backslash in JSON, and how long it is written.
pub(super) fn json_escape(rest: &[u8]) -> Option<(usize, char)> {
    let c = match rest.first()? {
        b'u' => return unicode_escape(&rest[1..]).map(|(length, c)| (length + 1, c)),
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        same @ (b'"' | b'\\' | b'/') => char::from(*same),
        _ => return None,
    };
    Some((1, c))
}

fn unicode_escape(rest: &[u8]) -> Option<(usize, char)> {
    let unit = hex_unit(rest)?;
    if let Some(c) = char::from_u32(unit) {
        return Some((4, c));
    }
    let low = hex_unit(rest[4..].strip_prefix(b"\\u")?)?;
    if !(0xD800..0xDC00).contains(&unit) || !(0xDC00..0xE000).contains(&low) {
        return None;
    }
    char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00)).map(|c| (10, c))
}

fn hex_unit(rest: &[u8]) -> Option<u32> {
    let (high, low) = (hex_byte(rest)?, hex_byte(rest.get(2..)?)?);
    Some(u32::from(high) << 8 | u32::from(low))
}

/// The byte that the first two bytes of `rest` write in hex.
pub(super) fn hex_byte(rest: &[u8]) -> Option<u8> {
    let [high, low] = rest.first_chunk::<2>()?;
    Some(hex_digit(*high)? << 4 | hex_digit(*low)?)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undone(undo: fn(&[u8], &mut Vec<u8>), text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        undo(text.as_bytes(), &mut out);
        out
    }

    #[test]
    fn default_escapes_are_undone_once() {
        for (text, expected) in [
            (r"say \x22hi\x22 C:\x5Cdir \x5Cx22", &b"say \"hi\" C:\\dir \\x22"[..]),
            (r"\xff\x00", b"\xff\0"),
            (r"\x2", br"\x2"),
            (r"\xg0 \y \", br"\xg0 \y \"),
            ("", b""),
        ] {
            assert_eq!(undone(undo_default, text), expected, "{text}");
        }
    }

    #[test]
    fn json_escapes_are_undone() {
        for (text, expected) in [
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t".as_bytes()),
            (r"\u0041\u00e9\u20AC\u0000", "Aé€\0".as_bytes()),
            (r"\ud83d\ude00", "😀".as_bytes()),
            (r"\ud83d", br"\ud83d"),
            (r"\ude00\ud83d", br"\ude00\ud83d"),
            (r"\ud83d\u0041", br"\ud83dA"),
            (r"\q\", br"\q\"),
        ] {
            assert_eq!(undone(undo_json, text), expected, "{text}");
        }
    }
}
