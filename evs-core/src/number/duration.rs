//! Durations with units, as Go prints them: `6.45837ms`, `35µs`, `1.059s`, `2m3s`. They are read as seconds.
//!
//! Such a text leaves no doubt about its unit, so nobody has to declare it. A value may change its unit from line to line,
//! as Traefik's do, and all of them add up.

use super::{NumberError, Reading, are_digits, decimal_of};

/// A unit: its name, the number of seconds that it has, and of decimal places by which it is less than a second.
type Unit = (&'static [u8], i64, usize);

/// The units, the largest first. `µ` has two code points.
const UNITS: [Unit; 8] = [
    (b"h", 3600, 0),
    (b"m", 60, 0),
    (b"s", 1, 0),
    (b"ms", 1, 3),
    (b"us", 1, 6),
    ("\u{b5}s".as_bytes(), 1, 6),
    ("\u{3bc}s".as_bytes(), 1, 6),
    (b"ns", 1, 9),
];

/// True if the text ends with a unit.
pub(super) fn may_be_one(text: &[u8]) -> bool {
    matches!(text.last(), Some(b'h' | b'm' | b's'))
}

/// Reads a duration as seconds: numbers with units, of which each is smaller than the one before it. Only the last may have
/// a fraction, and only if it is not of hours or minutes. They are rounded as a whole.
pub(super) fn read(text: &[u8], reading: Reading) -> Result<Option<i64>, NumberError> {
    match reading.finer().map(|finer| sum(text, finer)) {
        Some(Ok(sum)) => Ok(sum.map(|sum| reading.coarser(sum))),
        // More than picoseconds, or years: the parts are rounded one by one.
        _ => sum(text, reading),
    }
}

/// The sum of the parts of a duration.
fn sum(text: &[u8], reading: Reading) -> Result<Option<i64>, NumberError> {
    let (is_negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] if reading.has_plus => (false, rest),
        rest => (false, rest),
    };
    let (mut total, mut smallest) = (0_i64, 0);
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        let letters = rest[digits..].iter().take_while(|byte| !byte.is_ascii_digit()).count();
        let (number, unit, after) =
            (&rest[..digits], &rest[digits..digits + letters], &rest[digits + letters..]);
        let at = UNITS.iter().position(|(name, ..)| *name == unit).ok_or(NumberError::NotANumber)?;
        let (_, seconds, places) = UNITS[at];
        let is_whole = seconds > 1 || !after.is_empty();
        if at < smallest || (is_whole && !are_digits(number)) {
            return Err(NumberError::NotANumber);
        }
        let of_unit = decimal_of(&moved(number, places)?, reading)?.ok_or(NumberError::NotANumber)?;
        let of_unit = of_unit.checked_mul(seconds).ok_or(NumberError::TooLarge)?;
        total = total.checked_add(of_unit).ok_or(NumberError::TooLarge)?;
        (rest, smallest) = (after, at + 1);
    }
    Ok(Some(if is_negative { -total } else { total }))
}

/// The number with its point moved to the left by some places.
fn moved(number: &[u8], places: usize) -> Result<Vec<u8>, NumberError> {
    let point = number.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(point) => (&number[..point], &number[point + 1..]),
        None => (number, &b"0"[..]),
    };
    if !are_digits(whole) || !are_digits(fraction) {
        return Err(NumberError::NotANumber);
    }
    let mut digits = vec![b'0'; places];
    digits.extend_from_slice(whole);
    let mut text = digits[..whole.len()].to_vec();
    text.push(b'.');
    text.extend_from_slice(&digits[whole.len()..]);
    text.extend_from_slice(fraction);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::Rounding;

    fn seconds(text: &str, scale: u8, rounding: Rounding) -> Result<Option<i64>, NumberError> {
        Reading { scale, rounding, has_units: true, ..Reading::default() }.number(text.as_bytes())
    }

    #[test]
    fn durations_are_read_as_seconds_whatever_their_units() {
        for (text, nanoseconds) in [
            ("6.45837ms", 6_458_370),
            ("1.053089843s", 1_053_089_843),
            ("35us", 35_000),
            ("35\u{b5}s", 35_000),
            ("35\u{3bc}s", 35_000),
            ("12.5\u{b5}s", 12_500),
            ("100ns", 100),
            ("0s", 0),
            ("2m3s", 123_000_000_000),
            ("1h0m0.5s", 3_600_500_000_000),
            ("1s500ms", 1_500_000_000),
            ("-1.5s", -1_500_000_000),
            ("2", 2_000_000_000),
        ] {
            assert_eq!(seconds(text, 9, Rounding::Exact), Ok(Some(nanoseconds)), "{text}");
        }
        assert_eq!(seconds("1.5ms", 3, Rounding::Exact), Err(NumberError::TooManyDigits));
        assert_eq!(seconds("1.5ms", 3, Rounding::HalfEven), Ok(Some(2)));
        assert_eq!(seconds("-1.5ms", 3, Rounding::Truncate), Ok(Some(-1)));
        assert_eq!(seconds("1s500ms", 0, Rounding::HalfEven), Ok(Some(2)), "the sum is rounded");
        assert_eq!(seconds("1s999ms999us", 1, Rounding::Truncate), Ok(Some(19)));
        assert_eq!(seconds("20000000s500ms", 0, Rounding::HalfEven), Ok(Some(20_000_000)));
        assert_eq!(seconds("9223372036855s", 6, Rounding::Exact), Err(NumberError::TooLarge));
        assert_eq!(seconds("2562047788015216h", 0, Rounding::Exact), Err(NumberError::TooLarge));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "s", "ms", "-s", "1.5m", "1.5h3s", "3s2m", "1s1s", "1m2ns3us", "1.s", ".5s", "1..5s", "1 s",
            "1d2s", "+12ms", "--1s", "-+1s", "1s-1ms", "1e3s", "1xs", "1Ms", "1\u{b5}", "\u{b5}s", "1mss",
        ] {
            assert_eq!(seconds(text, 9, Rounding::Truncate), Err(NumberError::NotANumber), "{text}");
        }
        let plain = Reading { scale: 9, ..Reading::default() };
        assert_eq!(plain.number(b"12ms"), Err(NumberError::NotANumber));
    }
}
