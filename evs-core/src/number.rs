//! Reads numbers as logs print them, exactly or not at all.
//!
//! A number is read as an integer times 10^scale: `0.301` at scale 3 is 301. Nothing is rounded, unless a measure
//! chooses it. Floating point has no place here: 0.1 + 0.2 must be 0.3, in every order of addition and in every store.
//!
//! There are two readers with one result:
//!
//! - [`decimal`] reads any number, digit by digit and eight at a time. It alone decides if a text is a number.
//! - [`short_decimal`] reads nearly all numbers of a log, which have at most eight bytes, without a loop or a branch
//!   per digit. It may give up on a valid number (a sign, surplus zeros), and then `decimal` decides. A property test
//!   holds the two together.
//!
//! Eight digits become a number in three multiplications. Each one joins neighbours in all lanes of a word at once:
//!
//! ```text
//! bytes    1 2 3 4 5 6 7 8      "12345678", one digit in each byte
//! pairs     12  34  56  78      each digit times 10, plus the next
//! fours      1234    5678       each pair times 100, plus the next
//! whole        12345678         the first four times 10,000, plus the others
//! ```
//!
//! The method is known as SWAR ("SIMD within a register"); Daniel Lemire describes it in "Quickly parsing eight
//! digits" (lemire.me, 2018).

use std::fmt;

mod duration;
mod reading;
mod wide;

pub use self::reading::{Elements, Reading, Rounding};

/// The reason why a text is not read as a number. No text is rounded, clipped or read as a prefix of a number.
///
/// A pipeline shows it as the [`Reason`](crate::Reason) of a rejected line.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{NumberError, Reason};
///
/// assert_eq!(Reason::from(NumberError::TooLarge), Reason::NumberTooLarge);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NumberError {
    /// The text is not digits, with an optional `-` before them and an optional point between them, nor a duration such
    /// as `12ms`. Examples: `.5`, `NaN`, and `1e3` except in JSON, where a number may have an exponent.
    NotANumber,
    /// The value times 10^scale does not fit a signed 64-bit integer. Example: `10` at scale 18.
    TooLarge,
    /// The text has more decimal places than the scale, and they are not all zeros. Example: `1.25` at scale 1.
    TooManyDigits,
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "not a number",
            Self::TooLarge => "number too large",
            Self::TooManyDigits => "more decimal places than the measure's scale",
        })
    }
}

impl std::error::Error for NumberError {}

/// Reads a decimal number. Returns its value times 10^`scale`, or `None` for `-` and for the empty text: these mean
/// that there is no value.
///
/// A number is digits, with an optional `-` before them and an optional point between them: `-0.5`, `007`, `1.20`. Texts
/// such as `+5`, `1e3`, `0x10`, ` 5`, `.5` and `5.` are refused. `scale` is 0 to 18.
///
/// # Errors
///
/// Fails for a text that is not such a number, or whose value the result cannot hold exactly.
///
/// ```
/// use evs_core::internals::number::{NumberError, decimal};
/// assert_eq!(decimal(b"0.301", 3), Ok(Some(301)));
/// assert_eq!(decimal(b"1.20", 1), Ok(Some(12)));
/// assert_eq!(decimal(b"1.25", 1), Err(NumberError::TooManyDigits));
/// assert_eq!(decimal(b"-", 0), Ok(None));
/// ```
pub fn decimal(text: &[u8], scale: u8) -> Result<Option<i64>, NumberError> {
    decimal_of(text, Reading { scale, ..Reading::default() })
}

/// As [`decimal`], with the rounding that a measure has chosen. Exponents are gone.
fn decimal_of(
    text: &[u8],
    Reading { scale, rounding, has_plus, minus_one_is_none, .. }: Reading,
) -> Result<Option<i64>, NumberError> {
    if matches!(text, b"" | b"-") || (minus_one_is_none && text == b"-1") {
        return Ok(None);
    }
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None if has_plus => (false, text.strip_prefix(b"+").unwrap_or(text)),
        None => (false, text),
    };
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        Some(point) => (&digits[..point], Some(&digits[point + 1..])),
        None => (digits, None),
    };
    if !are_digits(whole) || !fraction.is_none_or(are_digits) {
        return Err(NumberError::NotANumber);
    }
    let scale = usize::from(scale);
    let fraction = fraction.unwrap_or_default();
    let (fraction, surplus) = fraction.split_at(fraction.len().min(scale));
    if rounding.is_exact() && surplus.iter().any(|digit| *digit != b'0') {
        return Err(NumberError::TooManyDigits);
    }
    let magnitude = append(0, whole)
        .and_then(|value| append(value, fraction))
        .and_then(|value| shift(value, scale - fraction.len()))
        .and_then(|value| value.checked_add(u64::from(rounds_up(value, surplus, rounding))))
        .ok_or(NumberError::TooLarge)?;
    let value =
        if negative { 0_i64.checked_sub_unsigned(magnitude) } else { 0_i64.checked_add_unsigned(magnitude) };
    value.map(Some).ok_or(NumberError::TooLarge)
}

/// Adds up a list, as nginx prints it for the upstream servers that it tried: `0.001, 0.002 : -` at scale 3 is 3.
/// Returns the sum times 10^`scale`, or `None` if no element has a value. A single number is a list, too.
///
/// # Errors
///
/// Fails if [`decimal`] fails for an element, or if the sum does not fit.
pub fn decimal_list(text: &[u8], scale: u8) -> Result<Option<i64>, NumberError> {
    Reading { scale, ..Reading::default() }.list(text)
}

/// Goes through the elements of a list. `join` gets what it returned for those before, and the next one.
fn fold_list(
    text: &[u8],
    join: impl Fn(Option<i64>, &[u8]) -> Result<Option<i64>, NumberError>,
) -> Result<Option<i64>, NumberError> {
    if text.is_empty() {
        return Ok(None);
    }
    let (mut value, mut rest) = (None, Some(text));
    while let Some(list) = rest {
        let (element, after) = first_element(list);
        if element.is_empty() {
            return Err(NumberError::NotANumber);
        }
        (value, rest) = (join(value, element)?, after);
    }
    Ok(value)
}

/// Splits a list at its first `, ` or ` : `. nginx writes the first between the servers of a group, and the second
/// where a request went on to another group.
///
/// `0.001, 0.002 : -` becomes `0.001` and the rest `0.002 : -`. A comma or blank that belongs to neither stays in the
/// element, which then is no number.
fn first_element(list: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr2(b',', b' ', list) {
        Some(at) if list[at..].starts_with(b", ") => (&list[..at], Some(&list[at + 2..])),
        Some(at) if list[at..].starts_with(b" : ") => (&list[..at], Some(&list[at + 3..])),
        _ => (list, None),
    }
}

/// True if a magnitude is rounded up, given the digits after those that it has.
fn rounds_up(magnitude: u64, surplus: &[u8], rounding: Rounding) -> bool {
    let (Rounding::HalfEven, Some((first, rest))) = (rounding, surplus.split_first()) else { return false };
    let is_odd = magnitude % 2 == 1;
    *first > b'5' || (*first == b'5' && (is_odd || rest.iter().any(|digit| *digit != b'0')))
}

/// True if the text has only digits, and at least one.
fn are_digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// `value` with `digits` appended to its digits: 12 and `345` make 12345. `None` if the result does not fit.
fn append(mut value: u64, digits: &[u8]) -> Option<u64> {
    let (eights, rest) = digits.as_chunks::<8>();
    for eight in eights {
        value = value.checked_mul(100_000_000)?.checked_add(eight_digits(*eight))?;
    }
    for digit in rest {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    Some(value)
}

/// Reads the first `len` bytes of `bytes`, 1 to 8 of them, as a number times 10^`scale`.
///
/// `None` if they are not a [`ShortDecimal`], or do not fit `scale`. [`decimal`] then decides.
///
/// The bytes after the first `len` may be anything: they are the bytes of the line after the number. So the caller
/// loads eight bytes at once, and copies nothing.
#[inline]
pub(crate) fn short_decimal(bytes: [u8; 8], len: usize, scale: u8) -> Option<i64> {
    let ShortDecimal { digits, places } = ShortDecimal::read(bytes, len)?;
    let missing = usize::from(scale).checked_sub(places)?;
    (join(digits) as i64).checked_mul(POWERS_OF_TEN[missing])
}

/// A number of up to eight bytes: digits with at most one point between them, and without a sign.
///
/// ```text
/// text      "0.301 GE"  (len 5: the blank and "GE" are the line's next bytes)
/// shifted   0 0 0 '0' '.' '3' '0' '1'      the last digit in the highest byte
/// closed up 0 0 0  0  '0' '3' '0' '1'      the point is taken out
/// digits    0 0 0  0   0   3   0   1       places 3
/// ```
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortDecimal {
    /// A byte for each digit, 0 to 9. The last digit is in the highest byte, and zeros are before the first.
    digits: u64,
    /// The number of decimal places.
    places: usize,
}

impl ShortDecimal {
    /// True if the first `len` bytes of `bytes`, 1 to 8 of them, are such a number. It is faster than
    /// [`read`](Self::read) for digits alone, and for numbers with three decimal places, such as times.
    #[inline]
    pub(crate) fn is_one(bytes: [u8; 8], len: usize) -> bool {
        const MILLIS: u64 = u64::from_le_bytes(*b"0000.000");
        // Shifts the last byte into the highest one, and zeros below the first.
        let unused = 64 - 8 * len;
        let text = u64::from_le_bytes(bytes) << unused;
        let has_point = (text >> 32) as u8 == b'.';
        let zeros = (if has_point { MILLIS } else { ZEROS }) >> unused << unused;
        let begins_with_point = has_point && len == 4;
        (are_below_ten(text ^ zeros) && !begins_with_point) || Self::read(bytes, len).is_some()
    }

    /// Reads the first `len` bytes of `bytes`, 1 to 8 of them, all at once. `None` if they are not such a number.
    #[inline]
    pub(crate) fn read(bytes: [u8; 8], len: usize) -> Option<Self> {
        const POINTS: u64 = u64::from_le_bytes([b'.'; 8]);
        // Shifts the last digit into the highest byte, and zero bytes below the first.
        let mut text = u64::from_le_bytes(bytes) << (64 - 8 * len);
        let mut padding = 64 - 8 * len;
        let differences = text ^ POINTS;
        let points = differences.wrapping_sub(LOWEST) & !differences & HIGHEST;
        let mut places = 0;
        if points != 0 {
            // A borrow may set wrong bits above the first point's, but the lowest bit is right.
            let at = points.trailing_zeros() / 8;
            let whole = at as usize + len - 8;
            places = 7 - at as usize;
            if whole == 0 || places == 0 {
                return None;
            }
            let after_point = u64::MAX << (8 * at + 8);
            text = (text & after_point) | (text & !(u64::MAX << (8 * at))) << 8;
            padding += 8;
        }
        let digits = text ^ (ZEROS << padding);
        are_below_ten(digits).then_some(Self { digits, places })
    }
}

/// The digit `0` in each byte. An exclusive-or with it turns digits into their values, and other bytes into 10 or
/// more.
const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
/// The lowest bit of each byte.
const LOWEST: u64 = u64::from_le_bytes([1; 8]);
/// The highest bit of each byte.
const HIGHEST: u64 = LOWEST << 7;

/// True if each of the eight bytes is below ten.
///
/// Adding 0x76 sets the highest bit of a byte from 10 to 0x7F. Bytes from 0x80 have the bit already; a carry out of
/// one of these can only reach a word that fails anyway.
#[inline(always)]
fn are_below_ten(bytes: u64) -> bool {
    (bytes.wrapping_add(LOWEST * (0x7F - 9)) | bytes) & HIGHEST == 0
}

/// The powers of ten that an `i64` can hold, by exponent.
const POWERS_OF_TEN: [i64; 19] = {
    let mut powers = [1; 19];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// The value of eight digits, by three multiplications: see the [module](self).
fn eight_digits(digits: [u8; 8]) -> u64 {
    join(u64::from_le_bytes(digits) & 0x0F0F_0F0F_0F0F_0F0F)
}

/// Joins eight bytes of 0 to 9 to a number. The first digit is in the lowest byte, as a little-endian load puts it.
///
/// In each step the multiplication adds every lane, times its factor, to the lane above it; the shift and the mask
/// keep the lanes that hold a sum of two.
#[inline]
fn join(ones: u64) -> u64 {
    let pairs = (ones.wrapping_mul(1 + (10 << 8)) >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(1 + (100 << 16)) >> 16) & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(1 + (10_000 << 32)) >> 32
}

/// `value` times 10^`places`. `None` if the result does not fit.
fn shift(value: u64, places: usize) -> Option<u64> {
    (0..places).try_fold(value, |value, _| value.checked_mul(10))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LARGE: Result<Option<i64>, NumberError> = Err(NumberError::TooLarge);
    const DIGITS: Result<Option<i64>, NumberError> = Err(NumberError::TooManyDigits);

    #[test]
    fn numbers_are_read_exactly() {
        for (text, scale, expected) in [
            ("", 0, Ok(None)),
            ("-", 3, Ok(None)),
            ("0", 0, Ok(Some(0))),
            ("-0", 0, Ok(Some(0))),
            ("007", 0, Ok(Some(7))),
            ("-5", 0, Ok(Some(-5))),
            ("12345678", 0, Ok(Some(12_345_678))),
            ("0.301", 3, Ok(Some(301))),
            ("1.2", 3, Ok(Some(1200))),
            ("1", 3, Ok(Some(1000))),
            ("-0.001", 3, Ok(Some(-1))),
            ("1.20", 1, Ok(Some(12))),
            ("1.000", 0, Ok(Some(1))),
            ("1.2345", 3, DIGITS),
            ("0.1", 0, DIGITS),
            ("9223372036854775807", 0, Ok(Some(i64::MAX))),
            ("-9223372036854775808", 0, Ok(Some(i64::MIN))),
            ("9.223372036854775807", 18, Ok(Some(i64::MAX))),
            ("0000000000000000000000000000000000000001", 0, Ok(Some(1))),
            ("9223372036854775808", 0, LARGE),
            ("-9223372036854775809", 0, LARGE),
            ("18446744073709551616", 0, LARGE),
            ("9223372036854775807", 1, LARGE),
            ("10", 18, LARGE),
            ("1", 255, LARGE),
        ] {
            assert_eq!(decimal(text.as_bytes(), scale), expected, "{text} at scale {scale}");
        }
    }

    #[test]
    fn what_is_not_a_plain_number_is_refused() {
        for text in [
            "+",
            "+7",
            "++7",
            "+-7",
            "-+7",
            "1e3",
            "1E3",
            "0x10",
            " 5",
            "5 ",
            "NaN",
            "inf",
            ".5",
            "5.",
            ".",
            "-.5",
            "--5",
            "1.2.3",
            "1,5",
            "1_0",
            "99999999999999999999x",
            "\u{661}",
            "5\0",
        ] {
            assert_eq!(decimal(text.as_bytes(), 3), Err(NumberError::NotANumber), "{text:?}");
        }
    }

    #[test]
    fn numbers_of_haproxy_may_have_a_plus_and_minus_one_is_none() {
        let reading = Reading { scale: 1, has_plus: true, minus_one_is_none: true, ..Reading::default() };
        for (text, expected) in [
            ("+2750", Ok(Some(27_500))),
            ("+0.5", Ok(Some(5))),
            ("-0.5", Ok(Some(-5))),
            ("-1", Ok(None)),
            ("-2", Ok(Some(-20))),
            ("+", Err(NumberError::NotANumber)),
            ("++7", Err(NumberError::NotANumber)),
            ("+-7", Err(NumberError::NotANumber)),
            ("-+7", Err(NumberError::NotANumber)),
        ] {
            assert_eq!(reading.number(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(reading.list(b"+1, +2"), Ok(Some(30)));
    }

    #[test]
    fn a_list_is_the_sum_of_the_values_that_are_there() {
        for (text, expected) in [
            ("", Ok(None)),
            ("-", Ok(None)),
            ("-, - : -", Ok(None)),
            ("0.301", Ok(Some(301))),
            ("0.001, 0.002", Ok(Some(3))),
            ("0.001, 0.002 : -", Ok(Some(3))),
            ("-, 0.301 : 1", Ok(Some(1301))),
            ("0.1,0.2", Err(NumberError::NotANumber)),
            ("0.1 0.2", Err(NumberError::NotANumber)),
            ("0.1, ", Err(NumberError::NotANumber)),
            (", 0.1", Err(NumberError::NotANumber)),
            ("9223372036854775, 9223372036854775", LARGE),
        ] {
            assert_eq!(decimal_list(text.as_bytes(), 3), expected, "{text}");
        }
    }

    #[test]
    fn one_number_of_a_list_may_count() {
        use Elements::{First, Last, Max, Sum};
        for (elements, text, expected) in [
            (Sum, "0.5 : 0.009", Ok(Some(509))),
            (First, "0.5 : 0.009", Ok(Some(500))),
            (Last, "0.5 : 0.009", Ok(Some(9))),
            (Max, "0.1, 0.5 : 0.009", Ok(Some(500))),
            (Max, "-0.5, -0.7", Ok(Some(-500))),
            (First, "-, 0.5, 0.1", Ok(Some(500))),
            (Last, "0.5, 0.1 : -", Ok(Some(100))),
            (Last, "-, -", Ok(None)),
            (First, "0.5, x", Err(NumberError::NotANumber)),
            (Last, "9223372036854775, 9223372036854775", Ok(Some(9_223_372_036_854_775_000))),
        ] {
            let reading = Reading { scale: 3, elements, ..Reading::default() };
            assert_eq!(reading.list(text.as_bytes()), expected, "{elements:?} of {text}");
        }
    }

    proptest! {
        #[test]
        fn reading_agrees_with_wide_arithmetic(text in "-?[0-9]{1,24}(\\.[0-9]{1,20})?", scale in 0_u8..=18) {
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            let kept = fraction.len().min(usize::from(scale));
            let expected = if fraction[kept..].bytes().any(|digit| digit != b'0') {
                DIGITS
            } else {
                let zeros = "0".repeat(usize::from(scale) - kept);
                // There are up to 42 digits. A number that i128 cannot hold is too large for i64, too.
                format!("{whole}{}{zeros}", &fraction[..kept])
                    .parse::<i128>()
                    .ok()
                    .and_then(|value| i64::try_from(value).ok())
                    .map_or(LARGE, |value| Ok(Some(value)))
            };
            prop_assert_eq!(decimal(text.as_bytes(), scale), expected);
        }

        #[test]
        fn short_numbers_have_the_value_of_any_others(
            text in prop_oneof![
                "[0-9]{1,8}",
                "[0-9]{1,7}\\.[0-9]{1,6}".prop_filter("short", |text| text.len() <= 8),
                "[0-9]{0,4}[.,][0-9]{3}",
                "[-0-9.:/]{1,8}",
            ],
            after: [u8; 8],
            scale in 0_u8..=18,
        ) {
            let bytes: Vec<u8> = text.bytes().chain(after).take(8).collect();
            let bytes = bytes.try_into().unwrap();
            prop_assert_eq!(ShortDecimal::is_one(bytes, text.len()), ShortDecimal::read(bytes, text.len()).is_some());
            if let Some(value) = short_decimal(bytes, text.len(), scale) {
                prop_assert_eq!(decimal(text.as_bytes(), scale), Ok(Some(value)));
            } else if let Ok(Some(_)) = decimal(text.as_bytes(), scale) {
                // Only a sign, or zeros beyond the scale, make it leave a number to `decimal`.
                prop_assert!(text.contains(['-', '.']), "{}", text);
            }
        }

        #[test]
        fn what_std_refuses_is_refused(text: Vec<u8>) {
            if let Ok(Some(value)) = decimal(&text, 0) && !text.contains(&b'.') {
                prop_assert_eq!(std::str::from_utf8(&text).unwrap().parse::<i64>(), Ok(value));
            }
            let _ = decimal_list(&text, 3);
        }
    }
}
