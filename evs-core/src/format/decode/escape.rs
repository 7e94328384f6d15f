//! Undoes the escapes of a value.
//!
//! | escaping | escape | example |
//! | --- | --- | --- |
//! | nginx's default | `\xHH` | `\x22` is `"` |
//! | Apache's | `\xHH`, `\n`, `\"`, `\\` and others | `\"` is `"` |
//! | HAProxy's | `#HH` | `#22` is `"` |
//! | JSON string | `\n`, `\"`, `\uHHHH` and others | `\u00e9` is `é` |
//! | query | `%HH`, and `+` for a blank | `a+%2B` is `a +` |
//! | path | `%HH` | `%2f` is `/` |
//!
//! Clients choose how many escapes a value has, so a value of nothing but escapes must cost little more than one with
//! few: see `undo`. The output is never longer than the input, so one resize makes room for all of it.

use crate::format::work;

/// Undoes `\xHH`, nginx's only escape in its default mode. Any other backslash stays as it is.
///
/// `say\x22hi\x22` becomes `say"hi"`, and `\n` stays `\n`: nginx never writes it.
#[inline(never)]
pub(in crate::format) fn undo_default(text: &[u8], out: &mut Vec<u8>) {
    undo::<b'\\', false, false>(text, out, |rest| match rest.first_chunk() {
        Some([_, b'x', high, low]) => made(hex(*high, *low), 4, b'\\'),
        _ => made(None, 0, b'\\'),
    });
}

/// Undoes Apache's escapes: `\"`, `\\`, `\b`, `\n`, `\r`, `\t`, `\v` and `\xHH`. Any other backslash stays as it is.
///
/// `8.9\" screen` becomes `8.9" screen`. nginx's escapes are among them.
#[inline(never)]
pub(in crate::format) fn undo_apache(text: &[u8], out: &mut Vec<u8>) {
    undo::<b'\\', true, false>(text, out, |rest| match rest {
        [_, b'x', high, low, ..] => made(hex(*high, *low), 4, b'\\'),
        [_, same @ (b'"' | b'\\'), ..] => made(Some(*same), 2, b'\\'),
        [_, b'b', ..] => made(Some(8), 2, b'\\'),
        [_, b'n', ..] => made(Some(b'\n'), 2, b'\\'),
        [_, b'r', ..] => made(Some(b'\r'), 2, b'\\'),
        [_, b't', ..] => made(Some(b'\t'), 2, b'\\'),
        [_, b'v', ..] => made(Some(11), 2, b'\\'),
        _ => made(None, 0, b'\\'),
    });
}

/// Undoes `#HH`, HAProxy's only escape. Any other `#` stays as it is.
///
/// `say#22hi#22` becomes `say"hi"`, and `#23` becomes `#`.
#[inline(never)]
pub(in crate::format) fn undo_haproxy(text: &[u8], out: &mut Vec<u8>) {
    undo::<b'#', false, false>(text, out, |rest| match rest {
        [_, high, low, ..] => made(hex(*high, *low), 3, b'#'),
        _ => made(None, 0, b'#'),
    });
}

/// Undoes the escapes of a JSON string. A bad escape, or half a surrogate pair, stays as it is.
///
/// The scanner has rejected lines with such escapes before; this function serves nginx's `escape=json` formats, too,
/// whose lines are not parsed as JSON.
#[inline(never)]
pub(in crate::format) fn undo_json(text: &[u8], out: &mut Vec<u8>) {
    undo::<b'\\', true, false>(text, out, |rest| match json_escape(&rest[1..]) {
        Some((length, c)) => {
            let mut bytes = [0; WORD_BYTES];
            let len = c.encode_utf8(&mut bytes).len();
            (1 + length, u64::from_le_bytes(bytes), len)
        }
        None => made(None, 0, b'\\'),
    });
}

/// Undoes the percent-encoding of a query: `+` becomes a blank, and a bad escape stays as it is.
///
/// `10%25+off%zz` becomes `10% off%zz`.
#[inline(never)]
pub(in crate::format) fn undo_query(text: &[u8], out: &mut Vec<u8>) {
    undo::<b'%', false, true>(text, out, |rest| made(percent(rest), 3, b'%'));
}

/// Undoes the percent-encoding of a path. Returns `false` for a bad escape or a NUL byte.
#[inline(never)]
pub(in crate::format) fn undo_path(text: &[u8], out: &mut Vec<u8>) -> bool {
    let mut is_sound = true;
    undo::<b'%', false, false>(text, out, |rest| match percent(rest) {
        Some(byte @ 1..) => (3, byte.into(), 1),
        _ => {
            is_sound = false;
            made(None, 0, b'%')
        }
    });
    // `undo` passes by seven of eight consecutive `%` without a call of this closure, but not the last one.
    is_sound
}

/// The byte of a percent escape at the start of `rest`.
#[inline(always)]
fn percent(rest: &[u8]) -> Option<u8> {
    rest.first_chunk().and_then(|[_, high, low]| hex(*high, *low))
}

/// The result of reading an escape: the number of bytes read, the bytes made of them, and their number. If there is no
/// escape, one byte is read and stays as it is: the escape character.
#[inline(always)]
fn made(byte: Option<u8>, length: usize, escape_character: u8) -> (usize, u64, usize) {
    // A branch is better than a select here: it is predicted in long runs, so the next bytes need not wait for the
    // digits.
    match byte {
        Some(byte) => (length, byte.into(), 1),
        None => (1, escape_character.into(), 1),
    }
}

/// Copies `text` and replaces its escapes, which begin with the byte `ESCAPE`.
///
/// `escape` reads the escape at the start of a text. It returns the number of bytes that it read, and the bytes made
/// of them: no more than were read, and at most eight. With `BLANKS`, each `+` becomes a blank. With `PAIRS`, two
/// consecutive escape characters may be an escape.
///
/// After an escape, up to eight bytes are copied one by one while the next escape is searched. After these, eight
/// bytes are copied at a time. So a text of nothing but escapes costs little more than one with few: no search starts
/// over after each escape, and no load waits for a result except where a branch is mispredicted.
///
/// Eight bytes are always written, even if fewer count: the next write overwrites the surplus. That is why the output
/// has eight bytes more room than the text needs.
#[inline(always)]
fn undo<const ESCAPE: u8, const PAIRS: bool, const BLANKS: bool>(
    text: &[u8],
    out: &mut Vec<u8>,
    mut escape: impl FnMut(&[u8]) -> (usize, u64, usize),
) {
    work::examine(text.len());
    let base = out.len();
    // The write position is never ahead of the read position.
    out.resize(base + text.len() + WORD_BYTES, 0);
    let out_bytes = &mut out[base..];
    let (mut read, mut written) = (0, 0);
    // Not 0 after an escape: the next bytes are then copied one by one.
    let mut one_by_one = 0;
    while let Some(rest) = text.get(read..).filter(|rest| !rest.is_empty()) {
        let eight = rest.first_chunk::<WORD_BYTES>();
        if rest[0] == ESCAPE {
            work::examine(1);
            let (taken, word, len) = match eight {
                // An escape character with another one after it stands for itself.
                Some(bytes) if !PAIRS && *bytes == [ESCAPE; WORD_BYTES] => {
                    (WORD_BYTES - 1, u64::from_le_bytes(*bytes), WORD_BYTES - 1)
                }
                _ => escape(rest),
            };
            out_bytes[written..written + WORD_BYTES].copy_from_slice(&word.to_le_bytes());
            read += taken;
            written += len;
            one_by_one = WORD_BYTES;
            continue;
        }
        if one_by_one == 0
            && let Some(bytes) = eight
            && let word = u64::from_le_bytes(*bytes)
            && equal(word, ESCAPE) == 0
        {
            let blanks = if BLANKS { (equal(word, b'+') >> 7) * u64::from(b'+' ^ b' ') } else { 0 };
            out_bytes[written..written + WORD_BYTES].copy_from_slice(&(word ^ blanks).to_le_bytes());
            read += WORD_BYTES;
            written += WORD_BYTES;
            continue;
        }
        let until = text.len().min(read + WORD_BYTES);
        while read < until && text[read] != ESCAPE {
            out_bytes[written] = if BLANKS && text[read] == b'+' { b' ' } else { text[read] };
            read += 1;
            written += 1;
        }
        one_by_one = 0;
    }
    out.truncate(base + written);
}

/// The number of bytes that are copied at a time where there are no escapes, and one by one after an escape.
const WORD_BYTES: usize = size_of::<u64>();

/// Sets the highest bit of each byte that is `byte`.
#[inline(always)]
fn equal(word: u64, byte: u8) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const LOW: u64 = 0x7F * EACH;
    let differences = word ^ (EACH * u64::from(byte));
    // No carry crosses from one byte to the next.
    !(((differences & LOW) + LOW) | differences | LOW)
}

/// The character of the JSON escape whose text after the backslash is `rest`, and the length of that text.
pub(in crate::format) fn json_escape(rest: &[u8]) -> Option<(usize, char)> {
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

/// The character of a `\u` escape whose digits begin `rest`, and its length. Two escapes of surrogates are one
/// character: `\ud83d\ude00` is U+1F600.
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

/// The UTF-16 unit that the first four bytes of `rest` write in hex.
fn hex_unit(rest: &[u8]) -> Option<u32> {
    let (high, low) = (hex_byte(rest)?, hex_byte(rest.get(2..)?)?);
    Some(u32::from(high) << 8 | u32::from(low))
}

/// The byte that the first two bytes of `rest` write in hex.
fn hex_byte(rest: &[u8]) -> Option<u8> {
    let [high, low] = rest.first_chunk::<2>()?;
    hex(*high, *low)
}

/// The byte that two hex digits write.
#[inline(always)]
fn hex(high: u8, low: u8) -> Option<u8> {
    let (high, low) = (HEX[usize::from(high)], HEX[usize::from(low)]);
    ((high | low) < 16).then_some(high << 4 | low)
}

/// By byte, the value of a hex digit; more than 15 for a byte that is not one.
const HEX: [u8; 256] = {
    let mut worth = [u8::MAX; 256];
    let mut digit = 0;
    while digit < 16 {
        worth[b"0123456789abcdef"[digit] as usize] = digit as u8;
        worth[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    worth
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    /// Undoes escapes byte by byte, as simply as possible: `escape` reads the text after an escape character.
    fn plainly(
        text: &[u8],
        escape_character: u8,
        escape: impl Fn(&[u8]) -> Option<(usize, Vec<u8>)>,
    ) -> Vec<u8> {
        let (mut out, mut at) = (Vec::new(), 0);
        while at < text.len() {
            match escape(&text[at + 1..]).filter(|_| text[at] == escape_character) {
                Some((length, made)) => {
                    out.extend(made);
                    at += 1 + length;
                }
                None => {
                    out.push(text[at]);
                    at += 1;
                }
            }
        }
        out
    }

    fn hex_of(rest: &[u8]) -> Option<u8> {
        let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn escapes_are_undone_as_byte_by_byte(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "\\", "\\x", "\\x4", "\\x41", "x", "\"", "\\\"", "\\u00e9", "\\ud83d", "\\ude00", "\\u", "%", "%4", "%41",
                    "%00", "%fF", "#", "#4", "#41", "#fF", "+", "a", "abcdefg", "abcdefgh", "é", "\\n",
                ]),
                0..30,
            ),
            before in "[a-z]{0,9}",
        ) {
            let text = pieces.concat().into_bytes();
            let made = |undo: &dyn Fn(&[u8], &mut Vec<u8>)| {
                let mut out = before.clone().into_bytes();
                undo(&text, &mut out);
                prop_assert!(out.starts_with(before.as_bytes()));
                Ok(out.split_off(before.len()))
            };
            let default = |rest: &[u8]| Some((3, vec![hex_of(rest.strip_prefix(b"x")?)?]));
            prop_assert_eq!(made(&undo_default)?, plainly(&text, b'\\', default));
            let json = |rest: &[u8]| json_escape(rest).map(|(length, c)| (length, c.to_string().into_bytes()));
            prop_assert_eq!(made(&undo_json)?, plainly(&text, b'\\', json));
            let percent = |rest: &[u8]| Some((2, vec![hex_of(rest)?]));
            prop_assert_eq!(made(&undo_haproxy)?, plainly(&text, b'#', percent));
            let blanks = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect::<Vec<_>>();
            prop_assert_eq!(made(&undo_query)?, plainly(&blanks, b'%', percent));
            let path = plainly(&text, b'%', percent);
            let is_sound = text.iter().filter(|byte| **byte == b'%').count() == (text.len() - path.len()) / 2;
            let mut out = Vec::new();
            if undo_path(&text, &mut out) {
                prop_assert!(is_sound);
                prop_assert_eq!(out, path);
            } else {
                let has_nul = text.windows(3).any(|three| three == b"%00");
                prop_assert!(!is_sound || has_nul);
            }
        }
    }
}
