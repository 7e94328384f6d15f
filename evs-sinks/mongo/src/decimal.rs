//! Conversion of Decimal128: numbers of up to 34 digits with a decimal point.
//!
//! The format is IEEE 754's decimal128 in binary encoding: a sign bit, 14 bits of exponent and 113 bits of
//! coefficient, little endian. <https://specifications.readthedocs.io/en/latest/bson-decimal128/decimal128/>

use mongodb::bson::Decimal128;

/// The largest coefficient, of 34 digits.
pub(crate) const MAX: i128 = 10_i128.pow(34) - 1;

const EXPONENT_BIAS: i32 = 6176;
const COEFFICIENT_BITS: u32 = 113;
const EXPONENT_MASK: u128 = (1 << 14) - 1;
const COEFFICIENT_MASK: u128 = (1 << COEFFICIENT_BITS) - 1;
const SIGN: u128 = 1 << 127;

/// `value` times 10^-scale, or `None` if it has more than 34 digits.
pub(crate) fn encode(value: i128, scale: u8) -> Option<Decimal128> {
    let coefficient = value.unsigned_abs();
    if coefficient > MAX.unsigned_abs() {
        return None;
    }
    let exponent = (EXPONENT_BIAS - i32::from(scale)).cast_unsigned();
    let sign = if value < 0 { SIGN } else { 0 };
    let bits = sign | u128::from(exponent) << COEFFICIENT_BITS | coefficient;
    Some(Decimal128::from_bytes(bits.to_le_bytes()))
}

/// The number times 10^scale. `None` if that is not an integer, or not a number at all.
///
/// Equal numbers can have different exponents (1.5 and 1.50), and a program that adds them chooses one.
pub(crate) fn decode(decimal: Decimal128, scale: u8) -> Option<i128> {
    let bits = u128::from_le_bytes(decimal.bytes());
    // Infinities, NaN, and coefficients of more than 34 digits.
    if bits >> 125 & 3 == 3 {
        return None;
    }
    let coefficient = i128::try_from(bits & COEFFICIENT_MASK).ok().filter(|number| *number <= MAX)?;
    let exponent = i32::try_from(bits >> COEFFICIENT_BITS & EXPONENT_MASK).ok()? - EXPONENT_BIAS;
    let shift = exponent + i32::from(scale);
    let power = |digits: i32| 10_i128.checked_pow(digits.cast_unsigned());
    let magnitude = match shift {
        _ if coefficient == 0 => 0,
        0.. => coefficient.checked_mul(power(shift)?)?,
        _ => {
            let divisor = power(-shift)?;
            (coefficient % divisor == 0).then_some(coefficient / divisor)?
        }
    };
    Some(if bits & SIGN == 0 { magnitude } else { -magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for (value, scale, text) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (150, 2, "1.50"),
            (-1, 3, "-0.001"),
            (MAX, 0, "9999999999999999999999999999999999"),
            (-MAX, 18, "-9999999999999999.999999999999999999"),
            (i128::from(i64::MIN), 2, "-92233720368547758.08"),
        ] {
            let decimal = encode(value, scale).unwrap();
            // The driver reads the format in the same way.
            assert_eq!(decimal.to_string(), text);
            assert_eq!(decimal, text.parse().unwrap());
            assert_eq!(decode(decimal, scale), Some(value));
        }
        for value in [MAX + 1, -MAX - 1, i128::MAX, i128::MIN] {
            assert_eq!(encode(value, 0), None);
        }
    }

    #[test]
    fn numbers_of_another_scale_are_brought_to_the_declared_one() {
        let decode = |text: &str| decode(text.parse().unwrap(), 2);
        for (text, value) in
            [("1.5", 150), ("1.500", 150), ("2", 200), ("-2E+3", -200_000), ("0E+6000", 0), ("-0", 0)]
        {
            assert_eq!(decode(text), Some(value), "{text}");
        }
        for text in ["1.505", "1E-6176", "1E+6000", "NaN", "Infinity", "-Infinity"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
