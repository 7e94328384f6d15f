//! What the SQL sinks read and write as text: exact decimals, and the URLs of servers. A decimal is read as it was
//! written, and any text is the number that it says or is refused. No error shows a password, whatever else is in the
//! URL, and the forms of a password that are struck out of messages include the one that is in the URL.
//!
//! The first byte of the input chooses one of them.
#![no_main]

use evs_sql::internals::{check_url, parse_decimal, passwords};
use libfuzzer_sys::fuzz_target;

/// The part of a password by which it is recognized. No message has this word for another reason.
const SECRET: &str = "xyzzyplugh";

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    match choice % 3 {
        0 => {
            let Some((number, scale)) = bytes.split_first_chunk::<16>() else { return };
            let (number, scale) = (i128::from_le_bytes(*number), scale.first().unwrap_or(&0) % 39);
            let text = evs_sql::decimal(number, scale);
            assert_eq!(parse_decimal(&text, scale), Some(number), "{text}");
        }
        1 => {
            let (scale, text) = bytes.split_first().unwrap_or((&0, &[]));
            let Ok(text) = str::from_utf8(text) else { return };
            assert_eq!(parse_decimal(text, scale % 19), plain(text, scale % 19), "{text:?}");
        }
        _ => {
            let Ok(text) = str::from_utf8(bytes) else { return };
            let mut parts = text.splitn(4, '\n');
            let mut next = || parts.next().unwrap_or_default();
            url(next(), next(), next(), next());
        }
    }
});

/// The number in a text, digit by digit.
fn plain(text: &str, scale: u8) -> Option<i128> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (-1_i128, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let (mut value, mut places, mut is_behind, mut count) = (0_i128, 0, false, 0);
    for byte in digits {
        match byte {
            b'.' if !is_behind => is_behind = true,
            b'0'..=b'9' if is_behind && places == scale => (byte == &b'0').then_some(())?,
            b'0'..=b'9' => {
                value = value.checked_mul(10)?.checked_add(sign * i128::from(byte - b'0'))?;
                places += u8::from(is_behind);
                count += 1;
            }
            _ => return None,
        }
    }
    (count > 0).then_some(())?;
    value.checked_mul(10_i128.pow(u32::from(scale - places)))
}

/// A URL with a password that nobody has percent-encoded.
fn url(scheme: &str, before: &str, after: &str, rest: &str) {
    if scheme.contains(SECRET) || rest.contains(SECRET) {
        return;
    }
    let url = format!("{scheme}://evs:{before}{SECRET}{after}@db.example.net/{rest}");
    let parameters = ["ssl-mode", "options", "options["];
    match check_url(&url, &["mysql", "mariadb"], &parameters) {
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(SECRET), "{url:?}: {shown}");
        }
        // What is taken as the password has all of it.
        Ok(()) => {
            let forms = passwords(&url);
            let password = format!("{before}{SECRET}{after}");
            assert!(forms.contains(&password), "{url:?}: {forms:?}");
            assert!(forms.is_sorted_by_key(|form| std::cmp::Reverse(form.len())));
        }
    }
}
