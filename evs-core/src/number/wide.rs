//! Numbers that have more than 64 bits once they are multiplied by 10^scale. They are rare, so only sums hold them, and they
//! are read digit by digit.
//!
//! As it is written, a number has at most 64 bits all the same: 18446744073709551615 is a -1 that a server took for a number
//! without a sign, and would spoil the sum.

use super::{Reading, reading::without_exponent, rounds_up};

/// The largest magnitude of a number, times 10^scale. 2^32 such numbers can be added up in 128 bits.
const MAGNITUDE_MAX: i128 = 1 << 94;

impl Reading {
    /// Reads a number that [`number`](Self::number) finds too large. `None` if it is a list or a duration with units, or
    /// has more than 94 bits, or more than 64 without the scale.
    pub(crate) fn wide(self, text: &[u8]) -> Option<i128> {
        let plain = match text.iter().any(|byte| matches!(byte, b'e' | b'E')) {
            true if self.has_exponents => without_exponent(text).ok()?,
            _ => text.to_vec(),
        };
        let (is_negative, digits) = match plain.strip_prefix(b"-") {
            Some(digits) => (true, digits),
            None if self.has_plus => (false, plain.strip_prefix(b"+").unwrap_or(&plain)),
            None => (false, &*plain),
        };
        let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
        let (whole, fraction) = (&digits[..point], digits.get(point + 1..).unwrap_or_default());
        let (fraction, surplus) = fraction.split_at(fraction.len().min(self.scale.into()));
        std::str::from_utf8(whole).ok()?.parse::<i64>().ok().filter(|_| whole[0] != b'+')?;
        let missing = std::iter::repeat_n(&b'0', usize::from(self.scale) - fraction.len());
        let magnitude = whole.iter().chain(fraction).chain(missing).try_fold(0, |value: i128, digit| {
            let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
            Some(value * 10 + digit).filter(|value| *value <= MAGNITUDE_MAX)
        })?;
        let is_exact = surplus.iter().all(|digit| *digit == b'0');
        if !surplus.iter().all(u8::is_ascii_digit) || (self.rounding.is_exact() && !is_exact) {
            return None;
        }
        let magnitude = magnitude + i128::from(rounds_up((magnitude & 1) as u64, surplus, self.rounding));
        Some(if is_negative { -magnitude } else { magnitude })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::Rounding;

    #[test]
    fn numbers_beyond_64_bits_are_read_exactly() {
        let exact = Reading { scale: 16, has_exponents: true, has_plus: true, ..Reading::default() };
        let half_even = Reading { scale: 1, rounding: Rounding::HalfEven, ..exact };
        for (reading, text, expected) in [
            (exact, "1000.5", Some(10_005_000_000_000_000_000)),
            (exact, "-1000.5", Some(-10_005_000_000_000_000_000)),
            (exact, "+1000.50000000000000000", Some(10_005_000_000_000_000_000)),
            (exact, "1.0005e3", Some(10_005_000_000_000_000_000)),
            (exact, "1000.50000000000000001", None),
            (exact, "1000000000000", Some(10_000_000_000_000_000_000_000_000_000)),
            (exact, "10000000000000", None),
            (half_even, "9223372036854775807.25", Some(92_233_720_368_547_758_072)),
            (half_even, "9223372036854775807.35", Some(92_233_720_368_547_758_074)),
            (exact, "0000000000000000000001000.5", Some(10_005_000_000_000_000_000)),
            (half_even, "9223372036854775808", None),
            (half_even, "18446744073709551615", None),
            (exact, "", None),
            (exact, "++1000", None),
            (exact, "--1000", None),
            (exact, "-", None),
            (exact, ".5", None),
            (exact, "1000.5x", None),
            (exact, "1000.5, 1", None),
            (exact, "20m", None),
        ] {
            assert_eq!(reading.wide(text.as_bytes()), expected, "{text}");
        }
    }
}
