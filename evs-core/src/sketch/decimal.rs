//! [`Decimal`]: the exact total of a measure.

use std::fmt;

/// An exact decimal number: the total of a measure. It prints as stores show it: `2043.50`.
///
/// ```
/// # extern crate evs_core as evs;
/// let revenue = evs::Decimal { value: -204_350, scale: 2 };
/// assert_eq!(revenue.to_string(), "-2043.50");
/// assert_eq!(revenue.to_f64(), -2043.5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// The number times 10^scale.
    pub value: i128,
    /// The number of decimal places.
    pub scale: u8,
}

impl Decimal {
    /// The nearest floating-point number.
    pub fn to_f64(self) -> f64 {
        // `parse` rounds once, whereas a division of two rounded numbers would do so three times.
        self.to_string().parse().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        let digits = format!("{:0width$}", self.value.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let point = if fraction.is_empty() { "" } else { "." };
        f.pad_integral(self.value >= 0, "", &format!("{whole}{point}{fraction}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_prints_all_of_its_places() {
        for (value, scale, expected, double) in [
            (0, 0, "0", 0.0),
            (0, 2, "0.00", 0.0),
            (5, 3, "0.005", 0.005),
            (-5, 1, "-0.5", -0.5),
            (12_345, 2, "123.45", 123.45),
            (i128::MIN, 0, "-170141183460469231731687303715884105728", -1.701_411_834_604_692_3e38),
            (i128::MAX, 38, "1.70141183460469231731687303715884105727", 1.701_411_834_604_692_3),
            (7, 40, "0.0000000000000000000000000000000000000007", 7e-40),
        ] {
            let decimal = Decimal { value, scale };
            assert_eq!(
                (&*decimal.to_string(), decimal.to_f64()),
                (expected, double),
                "{value} at scale {scale}"
            );
        }
        assert_eq!(format!("{:>6}", Decimal { value: -5, scale: 1 }), "  -0.5");
    }
}
