//! Numbers are what the texts say, to the last digit, or are refused for the right reason: a plain reader that computes
//! with digits as text agrees, for every scale and rounding, with exponents and without.
//!
//! The input is a byte for the scale, one for the rounding and the exponents, and the text.
#![no_main]

use std::cmp::Ordering;

use evs_core::internals::number::{NumberError, Reading, Rounding, decimal, decimal_list};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [scale, choice, text @ ..] = input else { return };
    let scale = scale % 19;
    let rounding = [Rounding::Exact, Rounding::HalfEven, Rounding::Truncate][usize::from(choice % 3)];
    let reading = Reading {
        scale,
        rounding,
        has_exponents: choice & 4 != 0,
        has_plus: choice & 8 != 0,
        minus_one_is_none: choice & 16 != 0,
        ..Reading::default()
    };
    assert_eq!(reading.number(text), number(text, reading));
    assert_eq!(reading.list(text), list(text, reading));
    // A text without a unit at its end is no duration.
    let with_units = Reading { has_units: true, ..reading };
    if !text.ends_with(b"h") && !text.ends_with(b"m") && !text.ends_with(b"s") {
        assert_eq!(with_units.number(text), reading.number(text));
    } else if reading.number(text).is_ok() {
        panic!("a number ends with a letter");
    } else {
        let _ = with_units.number(text);
    }
    assert_eq!(decimal(text, scale), number(text, Reading { scale, ..Reading::default() }));
    assert_eq!(decimal_list(text, scale), list(text, Reading { scale, ..Reading::default() }));
});

type Read = Result<Option<i64>, NumberError>;

/// As [`Reading::list`].
fn list(text: &[u8], reading: Reading) -> Read {
    if text.is_empty() {
        return Ok(None);
    }
    // Between two elements is `, ` or ` : `. Another comma or blank makes an element no number.
    let mut elements = vec![Vec::new()];
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let separator = [&b", "[..], b" : "].into_iter().find(|separator| rest.starts_with(separator));
        if let Some(separator) = separator {
            elements.push(Vec::new());
            rest = &rest[separator.len()..];
        } else {
            elements.last_mut().expect("one at least").push(*first);
            rest = after;
        }
    }
    // A sum is rounded as a whole, if its numbers have at most the decimal places of picoseconds.
    if elements.len() > 1 && reading.rounding != Rounding::Exact && reading.scale < 12 {
        let fine = Reading { scale: 12, rounding: Rounding::Exact, ..reading };
        let numbers: Result<Vec<_>, _> = elements.iter().map(|element| number(element, fine)).collect();
        let numbers: Vec<i64> = numbers.unwrap_or_default().into_iter().flatten().collect();
        let are_all = elements.iter().all(|element| !element.is_empty() && number(element, fine).is_ok());
        let sum = numbers.iter().try_fold(0_i64, |sum, number| sum.checked_add(*number));
        if let (true, Some(sum)) = (are_all, sum) {
            if numbers.is_empty() {
                return Ok(None);
            }
            let sign = if sum < 0 { "-" } else { "" };
            let digits = format!("{:013}", sum.unsigned_abs());
            let (whole, fraction) = digits.split_at(digits.len() - 12);
            let plain = Reading { minus_one_is_none: false, ..reading };
            return number(format!("{sign}{whole}.{fraction}").as_bytes(), plain);
        }
    }
    let mut sum = None;
    for element in elements {
        if element.is_empty() {
            return Err(NumberError::NotANumber);
        }
        if let Some(value) = number(&element, reading)? {
            sum = Some(i64::checked_add(sum.unwrap_or(0), value).ok_or(NumberError::TooLarge)?);
        }
    }
    Ok(sum)
}

/// As [`Reading::number`], with the digits as text.
fn number(text: &[u8], reading: Reading) -> Read {
    if matches!(text, b"" | b"-") || (reading.minus_one_is_none && text == b"-1") {
        return Ok(None);
    }
    let text = std::str::from_utf8(text).map_err(|_| NumberError::NotANumber)?;
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) if reading.has_exponents => (mantissa, exponent),
        Some(_) => return Err(NumberError::NotANumber),
        None => (text, "0"),
    };
    let has_exponent = text.contains(['e', 'E']);
    let (sign, magnitude) = match mantissa.split_at_checked(1) {
        Some(("-", magnitude)) => (-1, magnitude),
        // An exponent occurs in JSON alone, which has no such sign.
        Some(("+", magnitude)) if reading.has_plus && !has_exponent => (1, magnitude),
        _ => (1, mantissa),
    };
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, "0"));
    let (direction, places) = match exponent.split_at_checked(1) {
        Some(("-", places)) => (-1, places),
        Some(("+", places)) => (1, places),
        _ => (1, exponent),
    };
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if ![whole, fraction, places].into_iter().all(are_digits) {
        return Err(NumberError::NotANumber);
    }
    // Further than that, all digits are gone or there are too many.
    let exponent: i64 = direction * places.parse().unwrap_or(1_i64 << 20).min(1 << 20);
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(Some(0));
    }
    // The number is `digits` times 10^-(fraction), and is wanted as an integer times 10^-scale.
    let shift = exponent + i64::from(reading.scale) - fraction.len() as i64;
    let kept = digits.len() as i64 + shift;
    let (kept, surplus) = match (kept, shift) {
        (_, 0..) if kept > 40 => return Err(NumberError::TooLarge),
        (_, 0..) => (format!("{digits}{}", "0".repeat(shift as usize)), String::new()),
        (..0, _) => (String::new(), "01".to_owned()),
        (kept, _) => {
            let (kept, surplus) = digits.split_at(kept as usize);
            (kept.to_owned(), surplus.to_owned())
        }
    };
    let surplus = surplus.trim_end_matches('0');
    if !surplus.is_empty() && reading.rounding == Rounding::Exact {
        return Err(NumberError::TooManyDigits);
    }
    if kept.len() > 36 {
        return Err(NumberError::TooLarge);
    }
    let magnitude: i128 = if kept.is_empty() { 0 } else { kept.parse().expect("few digits") };
    let is_up = reading.rounding == Rounding::HalfEven
        && match surplus.cmp("5") {
            Ordering::Less => false,
            Ordering::Equal => magnitude % 2 == 1,
            Ordering::Greater => true,
        };
    i64::try_from(sign * (magnitude + i128::from(is_up))).map(Some).map_err(|_| NumberError::TooLarge)
}
