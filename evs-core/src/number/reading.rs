//! The choices of a measure about its numbers: decimal places, rounding, and exponents.

use serde::{Deserialize, Serialize};

use super::{NumberError, POWERS_OF_TEN, decimal_of, duration, first_element, fold_list};

/// What happens to decimal places beyond those that a measure keeps.
///
/// The choice is part of a statistic's definition, because it decides the numbers.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{Rounding, sum};
///
/// // Caddy prints some durations with the noise of floating point: 3.5127174329999997.
/// let duration = sum("duration").scale(9).rounding(Rounding::HalfEven);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rounding {
    /// They reject the line, unless all of them are zeros. This is the default.
    #[default]
    Exact,
    /// The value is rounded to the nearest one that is kept, and from the middle to the even one: at scale 1, 0.25 is
    /// 0.2, and 0.35 is 0.4. Sums then lean neither way.
    HalfEven,
    /// They are cut off: at scale 1, 0.29 is 0.2, and -0.29 is -0.2.
    Truncate,
}

impl Rounding {
    /// True for the default, which is left out of a definition's text.
    pub(crate) fn is_exact(&self) -> bool {
        *self == Self::Exact
    }
}

/// What becomes of the numbers of a list, such as nginx's of the upstream servers that it tried.
///
/// The choice is part of a statistic's definition, because it decides the numbers.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{Elements, sum};
///
/// // The time of the server that answered: `0.518 : 0.009` is 0.009.
/// let time = sum("upstream_response_time").scale(3).elements(Elements::Last);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Elements {
    /// They are added up. This is the default.
    #[default]
    Sum,
    /// The first one counts.
    First,
    /// The last one counts.
    Last,
    /// The largest one counts.
    Max,
}

impl Elements {
    /// True for the default, which is left out of a definition's text.
    pub(crate) fn is_sum(&self) -> bool {
        *self == Self::Sum
    }

    /// The number of a list up to an element, from that of the list before it.
    fn join(self, before: Option<i64>, element: i64) -> Result<i64, NumberError> {
        let Some(before) = before else { return Ok(element) };
        match self {
            Self::Sum => before.checked_add(element).ok_or(NumberError::TooLarge),
            Self::First => Ok(before),
            Self::Last => Ok(element),
            Self::Max => Ok(before.max(element)),
        }
    }
}

/// The way in which the numbers of a measure are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The number of decimal places that are kept.
    pub scale: u8,
    /// What happens to the others.
    pub rounding: Rounding,
    /// What becomes of the numbers of a list.
    pub elements: Elements,
    /// True if a number may have an exponent, as in JSON.
    pub has_exponents: bool,
    /// True if a duration with units is read as seconds.
    pub has_units: bool,
    /// True if a number may have a `+` before it, as HAProxy writes for a request that it logs before its end.
    pub has_plus: bool,
    /// True if `-1` is no value: HAProxy and AWS write it for the time of a response that never came, for example.
    pub minus_one_is_none: bool,
    /// True if a number may have been printed from a double, with the noise of floating point in its last digits.
    pub is_double: bool,
}

/// The number of decimal digits that a double keeps, whatever they are.
const DOUBLE_DIGITS: usize = 15;

/// The decimal places in which parts of a number are added up: those of picoseconds.
const FINE_SCALE: u8 = 12;

/// The most places by which a point is moved beyond all digits of a number. Further away, the number is too large or too
/// small in any case: it has 64 bits and at most 18 decimal places.
const PLACES_BEYOND: usize = 40;

impl Reading {
    /// Reads a number, as [`decimal`](super::decimal) does.
    ///
    /// # Errors
    ///
    /// As [`decimal`](super::decimal).
    pub fn number(self, text: &[u8]) -> Result<Option<i64>, NumberError> {
        if self.has_exponents && text.iter().any(|byte| matches!(byte, b'e' | b'E')) {
            return self.without_noise(&without_exponent(text)?);
        }
        if self.has_units && duration::may_be_one(text) {
            return duration::read(text, self);
        }
        self.without_noise(text)
    }

    /// The same with the decimal places in which parts of a number are added up before the sum is rounded. `None` if nothing is
    /// rounded.
    pub(super) fn finer(self) -> Option<Self> {
        let is_rounded = !self.rounding.is_exact() && self.scale < FINE_SCALE;
        is_rounded.then_some(Self { scale: FINE_SCALE, rounding: Rounding::Exact, ..self })
    }

    /// Rounds a sum that was read [`finer`](Self::finer).
    pub(super) fn coarser(self, sum: i64) -> i64 {
        let unit = POWERS_OF_TEN[usize::from(FINE_SCALE - self.scale)];
        let (whole, twice) = (sum / unit, (sum % unit).abs() * 2);
        let is_up = match self.rounding {
            Rounding::HalfEven => twice > unit || (twice == unit && whole % 2 != 0),
            Rounding::Exact | Rounding::Truncate => false,
        };
        whole + if is_up { sum.signum() } else { 0 }
    }

    /// Reads a number. A double keeps 15 digits; where it is printed with 16 or 17, the last ones may be noise, as in
    /// `3.5127174329999997`. They are, if the number rounded to 15 digits fits the scale.
    fn without_noise(self, text: &[u8]) -> Result<Option<i64>, NumberError> {
        let read = decimal_of(text, self);
        if read != Err(NumberError::TooManyDigits) || !self.is_double {
            return read;
        }
        let digits =
            text.iter().filter(|byte| byte.is_ascii_digit()).skip_while(|digit| **digit == b'0').count();
        let places = text.iter().rev().take_while(|byte| **byte != b'.').count();
        let kept = match digits {
            16 | 17 => u8::try_from((places + DOUBLE_DIGITS).saturating_sub(digits)),
            _ => return read,
        };
        let Ok(kept) = kept else { return read };
        let rounded = decimal_of(text, Self { scale: kept, rounding: Rounding::HalfEven, ..self })?;
        let power = |places: u8| 10_i64.checked_pow(u32::from(places));
        let (Some(rounded), Some(surplus)) = (rounded, power(kept.saturating_sub(self.scale))) else {
            return read;
        };
        if rounded % surplus != 0 {
            return read;
        }
        let missing = power(self.scale.saturating_sub(kept)).ok_or(NumberError::TooLarge)?;
        (rounded / surplus).checked_mul(missing).map(Some).ok_or(NumberError::TooLarge)
    }

    /// Reads a list, as [`decimal_list`](super::decimal_list) does. `elements` says what becomes of its numbers; one that is
    /// `-` is none of them. A sum is rounded as a whole.
    ///
    /// # Errors
    ///
    /// As [`decimal_list`](super::decimal_list).
    pub fn list(self, text: &[u8]) -> Result<Option<i64>, NumberError> {
        let is_one = || first_element(text).1.is_none();
        match self.finer().filter(|_| self.elements.is_sum() && !is_one()).map(|finer| finer.fold(text)) {
            Some(Ok(sum)) => Ok(sum.map(|sum| self.coarser(sum))),
            _ => self.fold(text),
        }
    }

    /// Reads a list, of which each number is rounded.
    fn fold(self, text: &[u8]) -> Result<Option<i64>, NumberError> {
        fold_list(text, |before, element| match self.number(element)? {
            Some(value) => self.elements.join(before, value).map(Some),
            None => Ok(before),
        })
    }
}

/// The same number without its exponent: `2.5e-3` is `0.0025`.
pub(super) fn without_exponent(text: &[u8]) -> Result<Vec<u8>, NumberError> {
    const NOT_A_NUMBER: NumberError = NumberError::NotANumber;
    let at = text.iter().position(|byte| matches!(byte, b'e' | b'E')).ok_or(NOT_A_NUMBER)?;
    let (mantissa, exponent) = (&text[..at], &text[at + 1..]);
    let (sign, mantissa) = match mantissa.strip_prefix(b"-") {
        Some(mantissa) => (&b"-"[..], mantissa),
        None => (&b""[..], mantissa),
    };
    let (is_negative, exponent) = match exponent {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        Some(point) => (&mantissa[..point], &mantissa[point + 1..]),
        None => (mantissa, &b"0"[..]),
    };
    if ![whole, fraction, exponent]
        .iter()
        .all(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
    {
        return Err(NOT_A_NUMBER);
    }
    let mut digits = [whole, fraction].concat();
    if digits.iter().all(|digit| *digit == b'0') {
        return Ok(b"0".to_vec());
    }
    // An exponent costs no more than the digits of the line, whatever a client writes.
    let digit_of =
        |value: usize, digit: &u8| value.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
    let exponent = exponent.iter().fold(0, digit_of).min(digits.len() + PLACES_BEYOND);
    let zeros = vec![b'0'; exponent];
    let point = if is_negative {
        digits.splice(0..0, zeros);
        whole.len()
    } else {
        digits.extend(zeros);
        whole.len() + exponent
    };
    digits.insert(point, b'.');
    Ok([sign, &digits].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, scale: u8, rounding: Rounding) -> Result<Option<i64>, NumberError> {
        Reading { scale, rounding, has_exponents: true, ..Reading::default() }.number(text.as_bytes())
    }

    #[test]
    fn exponents_move_the_point() {
        for (text, scale, expected) in [
            ("2.4323e-05", 9, Ok(Some(24_323))),
            ("1e3", 0, Ok(Some(1000))),
            ("-1.25E+2", 0, Ok(Some(-125))),
            ("1.5e0", 1, Ok(Some(15))),
            ("0e999999999999", 0, Ok(Some(0))),
            ("0.0e-9999", 0, Ok(Some(0))),
            ("100e-2", 0, Ok(Some(1))),
            ("1e18", 0, Ok(Some(1_000_000_000_000_000_000))),
            ("1e19", 0, Err(NumberError::TooLarge)),
            ("1e400", 0, Err(NumberError::TooLarge)),
            ("1e401", 0, Err(NumberError::TooLarge)),
            ("1e-3", 2, Err(NumberError::TooManyDigits)),
            ("1e-401", 18, Err(NumberError::TooManyDigits)),
            ("1e99999999999999999999999", 0, Err(NumberError::TooLarge)),
            ("1e-99999999999999999999999", 18, Err(NumberError::TooManyDigits)),
            ("e5", 0, Err(NumberError::NotANumber)),
            ("1e", 0, Err(NumberError::NotANumber)),
            ("1e+", 0, Err(NumberError::NotANumber)),
            ("1e-+5", 0, Err(NumberError::NotANumber)),
            (".5e1", 0, Err(NumberError::NotANumber)),
            ("5.e1", 0, Err(NumberError::NotANumber)),
            ("1e5.0", 0, Err(NumberError::NotANumber)),
            ("1e5e5", 0, Err(NumberError::NotANumber)),
            ("--1e5", 0, Err(NumberError::NotANumber)),
            ("-", 0, Ok(None)),
        ] {
            assert_eq!(read(text, scale, Rounding::Exact), expected, "{text}");
        }
        assert_eq!(Reading::default().number(b"1e3"), Err(NumberError::NotANumber));
        let list =
            Reading { scale: 1, rounding: Rounding::Truncate, has_exponents: true, ..Reading::default() };
        assert_eq!(list.list(b"1e-1, 0.29 : -"), Ok(Some(3)));
    }

    #[test]
    fn the_noise_of_a_double_is_no_digit() {
        let read = |text: &str, scale| {
            Reading { scale, is_double: true, has_exponents: true, ..Reading::default() }
                .number(text.as_bytes())
        };
        for (text, scale, expected) in [
            ("3.5127174329999997", 9, Ok(Some(3_512_717_433))),
            ("8.707106789000001", 9, Ok(Some(8_707_106_789))),
            ("-8.707106789000001", 9, Ok(Some(-8_707_106_789))),
            ("0.30000000000000004", 1, Ok(Some(3))),
            ("0.99999999999999989", 0, Ok(Some(1))),
            ("2.4323000000000002e-05", 9, Ok(Some(24_323))),
            ("0.30000000000000004", 17, Ok(Some(30_000_000_000_000_004))),
            ("0.30000000000000004", 16, Ok(Some(3_000_000_000_000_000))),
            // These are digits.
            ("3.5127174329999997", 8, Err(NumberError::TooManyDigits)),
            ("3.5127174321234567", 9, Err(NumberError::TooManyDigits)),
            ("3.512717433000009", 9, Err(NumberError::TooManyDigits)),
            ("0.300000000000004", 1, Err(NumberError::TooManyDigits)),
            ("0.3000000000000000004", 1, Err(NumberError::TooManyDigits)),
            ("1e-400", 1, Err(NumberError::TooManyDigits)),
            ("0.00000000000000000000030000000000000004", 3, Err(NumberError::TooManyDigits)),
        ] {
            assert_eq!(read(text, scale), expected, "{text} at {scale}");
        }
        assert_eq!(
            Reading { scale: 9, ..Reading::default() }.number(b"8.707106789000001"),
            Err(NumberError::TooManyDigits)
        );
    }

    #[test]
    fn a_sum_is_rounded_as_a_whole() {
        for (text, half_even, truncated) in [
            ("0.25, 0.25", 5, 5),
            ("0.25 : 0.26", 5, 5),
            ("0.15, 0.1", 2, 2),
            ("0.05, 0.05 : 0.05", 2, 1),
            ("-0.05, -0.05 : -0.05", -2, -1),
            ("-0.05, 0.05", 0, 0),
            ("100, 0.29", 1003, 1002),
            // Parts with more decimal places, and large ones, are rounded one by one.
            ("0.0499999999999, 0.06", 1, 0),
            ("900719925474099.25, 0.04", 9_007_199_254_740_992, 9_007_199_254_740_992),
        ] {
            let list = |rounding| Reading { scale: 1, rounding, ..Reading::default() }.list(text.as_bytes());
            assert_eq!(list(Rounding::HalfEven), Ok(Some(half_even)), "{text}");
            assert_eq!(list(Rounding::Truncate), Ok(Some(truncated)), "{text}");
        }
        let largest = Reading { rounding: Rounding::HalfEven, elements: Elements::Max, ..Reading::default() };
        assert_eq!(largest.list(b"0.6, 0.4"), Ok(Some(1)));
        assert_eq!(largest.list(b"-, -"), Ok(None));
    }

    #[test]
    fn surplus_decimal_places_are_rounded_as_the_measure_says() {
        for (text, half_even, truncated) in [
            ("0.25", 2, 2),
            ("0.35", 4, 3),
            ("0.2500001", 3, 2),
            ("0.2499999", 2, 2),
            ("-0.25", -2, -2),
            ("-0.35", -4, -3),
            ("0.05", 0, 0),
            ("0.96", 10, 9),
            ("9.95", 100, 99),
            ("3.5e-2", 0, 0),
        ] {
            assert_eq!(read(text, 1, Rounding::HalfEven), Ok(Some(half_even)), "{text}");
            assert_eq!(read(text, 1, Rounding::Truncate), Ok(Some(truncated)), "{text}");
            assert_eq!(read(text, 1, Rounding::Exact), Err(NumberError::TooManyDigits), "{text}");
        }
        // However far from the point its digits are.
        for text in ["1e-401", "-9.99e-99999999999999999999999"] {
            assert_eq!(read(text, 1, Rounding::HalfEven), Ok(Some(0)), "{text}");
            assert_eq!(read(text, 1, Rounding::Truncate), Ok(Some(0)), "{text}");
        }
        let (one, zeros) = (format!("1{}e-500", "0".repeat(500)), format!("0.{}1e501", "0".repeat(500)));
        assert_eq!(read(&one, 0, Rounding::Truncate), Ok(Some(1)));
        assert_eq!(read(&zeros, 0, Rounding::Exact), Ok(Some(1)));
        let noise = "3.5127174329999997";
        assert_eq!(read(noise, 9, Rounding::HalfEven), Ok(Some(3_512_717_433)));
        assert_eq!(read(noise, 9, Rounding::Truncate), Ok(Some(3_512_717_432)));
        let most = "9223372036854775807.5";
        assert_eq!(read(most, 0, Rounding::HalfEven), Err(NumberError::TooLarge));
        assert_eq!(read(most, 0, Rounding::Truncate), Ok(Some(i64::MAX)));
        assert_eq!(read("0.5x", 0, Rounding::Truncate), Err(NumberError::NotANumber));
    }
}
