//! [`Buckets`]: the logarithmic buckets of a histogram.
//!
//! A bucket is named by the number that stands for it, its *representative*, as decimal text. A number goes to the
//! representative nearest to it. So a bucket needs no table to be read: SQL casts the text and has the value.
//!
//! The representatives of one decade are integers with a few digits; every other decade has the same digits with the
//! point moved. For a relative error of 0.01 they begin with
//!
//! ```text
//! 1.000  1.020  1.040  1.061  1.082  1.103  1.125  ...  9.784  9.981  (10.00)
//! ```
//!
//! Each one is the largest integer below the one before it times gamma = (1 + alpha) / (1 - alpha). The boundary between
//! two neighbours `a` and `b` is their middle, where the relative error is (b - a) / (b + a). That is at most alpha
//! exactly if b / a is at most gamma. No bucket could be larger, apart from the last digit and the end of the decade.
//!
//! Only integers are compared, and no logarithm is taken. So a number has the same bucket on every machine, in every
//! version. DDSketch (Masson, Rim and Lee, 2019) has buckets of the same size, at the powers of gamma.

/// Stands for a text that is not a number.
const NO_NUMBER: &[u8] = b"-";

/// The relative errors are whole millionths, so that they are exact as integers.
const MILLION: u64 = 1_000_000;
/// The smallest relative error in millionths: some 11,500 buckets for each power of ten.
const ALPHA_MIN: u64 = 100;
/// The largest relative error in millionths: three buckets for each power of ten.
const ALPHA_MAX: u64 = 500_000;

/// Numbers below 10^-9 are zero.
const POWER_MIN: i64 = -9;
/// Numbers above 10^18 are 10^18.
const POWER_MAX: i64 = 18;

/// The buckets of a relative error.
///
/// From 10^-9 to 10^18, the representative of a number differs from it by at most alpha times the number. Numbers below that
/// are `0`, and those above it are 10^18. Negative numbers have the same buckets with a `-` before them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Buckets {
    /// The number of digits of a representative.
    digits: u32,
    /// The representatives of a decade, ascending, as integers of `digits` digits. The first is a power of ten.
    representatives: Vec<u32>,
    /// The boundary above each representative, with one digit more. The last one is that to the next decade.
    boundaries: Vec<u32>,
}

/// A relative error for which there are no buckets.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a relative error of {alpha}: it must be 0.0001 to 0.5, with at most six decimal places")]
pub(crate) struct InvalidAlpha {
    /// The relative error.
    pub(crate) alpha: f64,
}

impl Buckets {
    /// The buckets with a relative error of at most `alpha`: 0.0001 to 0.5, with at most six decimal places.
    pub(crate) fn new(alpha: f64) -> Result<Self, InvalidAlpha> {
        let millionths = (alpha * MILLION as f64).round() as u64;
        // Both are the double nearest to the same decimal number, or `alpha` has more decimal places.
        let is_exact = millionths as f64 / MILLION as f64 == alpha;
        if !is_exact || !(ALPHA_MIN..=ALPHA_MAX).contains(&millionths) {
            return Err(InvalidAlpha { alpha });
        }
        // The last digit costs at most a twentieth of a bucket.
        let mut digits = 2;
        while 10_u64.pow(digits - 1) * millionths < 10 * MILLION {
            digits += 1;
        }
        let (first, end) = (10_u64.pow(digits - 1), 10_u64.pow(digits));
        let below_gamma = |value: &u64| Some(value * (MILLION + millionths) / (MILLION - millionths));
        let ladder: Vec<u64> =
            std::iter::successors(Some(first), below_gamma).take_while(|value| *value < end).collect();
        let above = ladder.iter().skip(1).chain([&end]);
        let boundaries = ladder.iter().zip(above).map(|(low, high)| (5 * (low + high)) as u32).collect();
        let representatives = ladder.iter().map(|value| *value as u32).collect();
        Ok(Self { digits, representatives, boundaries })
    }

    /// Appends the representative of the number in `text`, as decimal text, or `-` if that is not a number.
    ///
    /// A number is digits, with an optional sign before them, an optional point between them, and an optional exponent as
    /// in JSON after them.
    pub(crate) fn write(&self, text: &[u8], out: &mut Vec<u8>) {
        let Some(number) = Number::read(text, self.digits as usize + 1) else {
            return out.extend_from_slice(NO_NUMBER);
        };
        if number.leading == 0 || number.power < POWER_MIN {
            return out.push(b'0');
        }
        if number.is_negative {
            out.push(b'-');
        }
        let at = self.boundaries.partition_point(|boundary| u64::from(*boundary) <= number.leading);
        match self.representatives.get(at) {
            _ if number.power >= POWER_MAX => put(1, POWER_MAX, out),
            Some(representative) => put(*representative, number.power, out),
            None => put(1, number.power + 1, out),
        }
    }
}

/// Appends the number that has the digits of `digits`, the first of them times 10^`power`.
fn put(mut digits: u32, power: i64, out: &mut Vec<u8>) {
    while digits.is_multiple_of(10) {
        digits /= 10;
    }
    let digits = digits.to_string();
    let Ok(last_of_whole) = usize::try_from(power) else {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', power.unsigned_abs() as usize - 1));
        return out.extend_from_slice(digits.as_bytes());
    };
    let (whole, fraction) = digits.as_bytes().split_at(digits.len().min(last_of_whole + 1));
    out.extend_from_slice(whole);
    out.extend(std::iter::repeat_n(b'0', last_of_whole + 1 - whole.len()));
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
}

/// A decimal number: its sign, its first digits, and its order of magnitude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number {
    is_negative: bool,
    /// The first digits from the first that is not zero, with zeros after the last. 0 if the number is.
    leading: u64,
    /// The power of ten of the first of them.
    power: i64,
}

impl Number {
    /// Reads a number, of which `kept` digits matter. `None` if the text is none.
    fn read(text: &[u8], kept: usize) -> Option<Self> {
        let (is_negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let (whole, rest) = split_digits(text)?;
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => split_digits(rest)?,
            _ => (&rest[..0], rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', exponent @ ..] => read_exponent(exponent)?,
            _ => return None,
        };
        let digits = || whole.iter().chain(fraction);
        let zeros = digits().take_while(|digit| **digit == b'0').count();
        let leading = digits().skip(zeros).chain(std::iter::repeat(&b'0')).take(kept);
        let leading = leading.fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
        let power = whole.len() as i64 - 1 - zeros as i64 + exponent;
        Some(Self { is_negative, leading, power })
    }
}

/// Splits a text after its digits. `None` if it does not begin with one.
fn split_digits(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (len > 0).then(|| text.split_at(len))
}

/// Reads an exponent. Far beyond every number that a line has room for, it is clipped.
fn read_exponent(text: &[u8]) -> Option<i64> {
    const BEYOND: i64 = 1 << 40;
    let (sign, text) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, text),
    };
    let (digits, rest) = split_digits(text)?;
    let value = digits.iter().fold(0, |value: i64, digit| (value * 10 + i64::from(digit - b'0')).min(BEYOND));
    rest.is_empty().then_some(sign * value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Relative errors of all sizes, in millionths.
    const ALPHAS: [u64; 9] = [100, 1_000, 2_500, 10_000, 12_345, 20_000, 50_000, 100_000, 500_000];
    /// The decimal places of the units in which these tests compute.
    const PLACES: usize = 14;

    fn buckets(millionths: u64) -> Buckets {
        Buckets::new(millionths as f64 / 1e6).unwrap()
    }

    fn bucket(buckets: &Buckets, text: &str) -> String {
        let mut out = b"before".to_vec();
        buckets.write(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
    }

    /// The text of a number of units.
    fn text_of(units: i128) -> String {
        let digits = format!("{units:0width$}", width = PLACES + 1);
        let (whole, fraction) = digits.split_at(digits.len() - PLACES);
        format!("{whole}.{fraction}")
    }

    /// The number of units of a representative.
    fn units_of(text: &str) -> i128 {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{fraction:0<PLACES$}").parse().unwrap()
    }

    /// From 10^-9 to 10^18 in units, all orders of magnitude alike.
    fn units() -> impl Strategy<Value = i128> {
        (PLACES as u32 - 9..PLACES as u32 + 18)
            .prop_flat_map(|power| 10_i128.pow(power)..=10_i128.pow(power + 1))
    }

    proptest! {
        #[test]
        fn a_representative_is_within_the_relative_error(units in units()) {
            for millionths in ALPHAS {
                let representative = units_of(&bucket(&buckets(millionths), &text_of(units)));
                let error = (representative - units).abs() * 1_000_000;
                prop_assert!(error <= units * i128::from(millionths), "{} for {}, {}", representative, units, millionths);
            }
        }

        #[test]
        fn a_larger_number_has_no_smaller_bucket(a in units(), b in units(), alpha in prop::sample::select(&ALPHAS[..])) {
            let buckets = buckets(alpha);
            let of = |units: i128| units_of(&bucket(&buckets, &text_of(units)));
            let near = a + a / i128::from(1_000_000 / alpha);
            prop_assert!(of(a.min(b)) <= of(a.max(b)));
            prop_assert!(of(a) <= of(near.min(units_of("1000000000000000000"))));
        }

        #[test]
        fn a_representative_stands_for_itself(units in units(), alpha in prop::sample::select(&ALPHAS[..])) {
            let buckets = buckets(alpha);
            let representative = bucket(&buckets, &text_of(units));
            prop_assert_eq!(bucket(&buckets, &representative), representative);
        }

        #[test]
        fn a_number_has_one_bucket_however_it_is_written(
            digits in "[1-9][0-9]{0,25}", power in -30_i64..30, zeros in 0_usize..20, alpha in prop::sample::select(&ALPHAS[..])
        ) {
            let buckets = buckets(alpha);
            let expected = bucket(&buckets, &format!("{digits}e{power}"));
            let zeros = "0".repeat(zeros);
            let (first, rest) = digits.split_at(1);
            for text in [
                format!("{zeros}{digits}E{power}"),
                format!("+{digits}.{zeros}0e{power}"),
                format!("{digits}{zeros}e{}", power - zeros.len() as i64),
                format!("{first}.{rest}0e{:+}", power + rest.len() as i64),
                format!("0.{zeros}{digits}e{}", power + (zeros.len() + digits.len()) as i64),
            ] {
                prop_assert_eq!(&bucket(&buckets, &text), &expected, "{}", text);
            }
            let mirrored = bucket(&buckets, &format!("-{digits}e{power}"));
            prop_assert_eq!(mirrored.strip_prefix('-').unwrap_or(&mirrored), expected);
        }

        #[test]
        fn any_text_has_a_bucket_that_is_a_number_or_none(text: Vec<u8>) {
            let mut out = Vec::new();
            buckets(10_000).write(&text, &mut out);
            let out = String::from_utf8(out).unwrap();
            // What Rust does not read as a number is none.
            let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse::<f64>().ok());
            prop_assert!(out == "-" || number.is_some_and(f64::is_finite), "{}", out);
        }
    }

    #[test]
    fn buckets_are_nearly_as_large_as_they_can_be() {
        for millionths in ALPHAS {
            let Buckets { digits, representatives, .. } = buckets(millionths);
            let end = 10_u64.pow(digits);
            let above = representatives.iter().skip(1).map(|next| u64::from(*next)).chain([end]);
            for (value, next) in representatives.iter().map(|value| u64::from(*value)).zip(above) {
                // The next one is within gamma, and one more in the last digit would not be.
                assert!(next * (MILLION - millionths) <= value * (MILLION + millionths), "{value} {next}");
                assert!(next == end || (next + 1) * (MILLION - millionths) > value * (MILLION + millionths));
            }
            let alpha = millionths as f64 / 1e6;
            let fewest = (10_f64.ln() / ((1.0 + alpha) / (1.0 - alpha)).ln()).ceil();
            let found = representatives.len() as f64;
            assert!(found <= fewest * 1.02 + 0.5, "{alpha}: {found} buckets, {fewest} would do");
        }
    }

    /// These texts are keys in stores: a change of one of them would split a histogram into two.
    #[test]
    fn buckets_never_change() {
        for (text, hundredth, tenth, half, ten_thousandth) in [
            ("1", "1", "1", "1", "1"),
            ("1.0099999", "1", "1", "1", "1.01"),
            ("1.01", "1.02", "1", "1", "1.01"),
            ("0.9990499", "0.9981", "1", "1", "0.999125"),
            ("0.99905", "1", "1", "1", "0.999125"),
            ("0.001", "0.001", "0.001", "0.001", "0.001"),
            ("0.301", "0.3023", "0.331", "0.3", "0.301006"),
            ("12.345", "12.41", "12.2", "10", "12.3462"),
            ("1234567", "1241000", "1220000", "1000000", "1234620"),
            ("65535", "65680", "60200", "90000", "65536.5"),
            ("-0.25", "-0.2478", "-0.271", "-0.3", "-0.249986"),
            ("2", "1.992", "1.82", "3", "2.00001"),
            ("5", "4.97", "4.93", "3", "4.99987"),
            ("1.5e3", "1511", "1490", "1000", "1500.13"),
            (
                "9223372036854775807",
                "1000000000000000000",
                "1000000000000000000",
                "1000000000000000000",
                "1000000000000000000",
            ),
            ("0", "0", "0", "0", "0"),
            ("-0.00e5", "0", "0", "0", "0"),
            ("0.000000001", "0.000000001", "0.000000001", "0.000000001", "0.000000001"),
            ("0.00000000123456789", "0.000000001241", "0.00000000122", "0.000000001", "0.00000000123462"),
            ("0.000000000999999999", "0", "0", "0", "0"),
            ("-1e-400", "0", "0", "0", "0"),
            (
                "999999999999999999.9",
                "1000000000000000000",
                "1000000000000000000",
                "1000000000000000000",
                "1000000000000000000",
            ),
            (
                "1e18",
                "1000000000000000000",
                "1000000000000000000",
                "1000000000000000000",
                "1000000000000000000",
            ),
            (
                "1e99999999999999999999",
                "1000000000000000000",
                "1000000000000000000",
                "1000000000000000000",
                "1000000000000000000",
            ),
            (
                "-1e19",
                "-1000000000000000000",
                "-1000000000000000000",
                "-1000000000000000000",
                "-1000000000000000000",
            ),
        ] {
            let found = [10_000, 100_000, 500_000, 100].map(|millionths| bucket(&buckets(millionths), text));
            assert_eq!(found, [hundredth, tenth, half, ten_thousandth], "{text}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_a_dash() {
        for text in [
            "",
            "-",
            "+",
            ".",
            ".5",
            "5.",
            "-.5",
            "e3",
            "1e",
            "1e+",
            "1e3.0",
            "1e3 ",
            " 1",
            "1 ",
            "1,5",
            "0x10",
            "NaN",
            "inf",
            "--1",
            "+-1",
            "1.2.3",
            "1_000",
            "0.001, 0.002",
            "12ms",
            "1e\u{661}",
            "5\0",
        ] {
            assert_eq!(bucket(&buckets(10_000), text), "-", "{text:?}");
        }
    }

    #[test]
    fn only_relative_errors_with_six_places_have_buckets() {
        for alpha in
            [0.0, -0.01, 0.000_099, 0.500_001, 0.010_000_5, 1.0, f64::NAN, f64::INFINITY, 0.1 + 0.2 - 0.2]
        {
            let error = Buckets::new(alpha).unwrap_err();
            assert!(error.to_string().contains("0.0001 to 0.5"), "{error}");
        }
        for alpha in [0.0001, 0.01, 0.012_345, 0.123_456, 0.3, 0.5] {
            assert!(Buckets::new(alpha).is_ok(), "{alpha}");
        }
    }
}
