//! Exact decimals as text.

/// The text of `unscaled` times 10^-`scale`, as stores with exact decimals accept it.
///
/// ```
/// assert_eq!(evs_sql::decimal(-1250, 2), "-12.50");
/// assert_eq!(evs_sql::decimal(7, 3), "0.007");
/// ```
pub fn decimal(unscaled: i128, scale: u8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let (magnitude, width) = (unscaled.unsigned_abs(), usize::from(scale));
    if scale == 0 {
        return format!("{sign}{magnitude}");
    }
    // Division is much faster in 64 bits, and few numbers need more.
    if let (Ok(magnitude), Some(unit)) = (u64::try_from(magnitude), 10_u64.checked_pow(scale.into())) {
        return format!("{sign}{}.{:0width$}", magnitude / unit, magnitude % unit);
    }
    // If 10^scale does not fit into the type, no magnitude has a whole part.
    let (whole, fraction) =
        10_u128.checked_pow(scale.into()).map_or((0, magnitude), |unit| (magnitude / unit, magnitude % unit));
    format!("{sign}{whole}.{fraction:0width$}")
}

/// The number in `text` times 10^scale. `None` if the text is not a number, or would have to be rounded.
///
/// `parse("12.5", 2)` is 1250, and so is `parse("12.500", 2)`. `parse("12.345", 2)` is `None`: the store holds a
/// value that evs cannot have written, and rounding it would hide that.
pub(crate) fn parse(text: &str, scale: u8) -> Option<i128> {
    let (whole, behind) = text.split_once('.').unwrap_or((text, ""));
    // Before it is split: a character of several bytes may lie across the place.
    if !behind.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (kept, dropped) = behind.split_at(behind.len().min(scale.into()));
    if dropped.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let zeros = u32::from(scale) - kept.len() as u32;
    format!("{whole}{kept}").parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(zeros)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value: i128, small: i16, scale in 0_u8..=18) {
            for value in [value, small.into(), i128::MIN, i128::MAX, 0] {
                let text = decimal(value, scale);
                prop_assert_eq!(parse(&text, scale), Some(value), "{}", text);
                prop_assert_eq!(text.split_once('.').map_or(0, |(_, behind)| behind.len()), usize::from(scale));
            }
        }
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for (value, scale, text) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (-5, 2, "-0.05"),
            (-50, 2, "-0.50"),
            (1250, 2, "12.50"),
            (99, 2, "0.99"),
            (100, 2, "1.00"),
            (i128::MAX, 0, "170141183460469231731687303715884105727"),
        ] {
            assert_eq!(decimal(value, scale), text);
        }
    }

    #[test]
    fn what_is_no_such_number_is_not_read() {
        assert_eq!(parse("12.5", 2), Some(1250));
        assert_eq!(parse("12.500", 2), Some(1250));
        assert_eq!(parse("12", 2), Some(1200));
        for text in
            ["", ".", "-", "12.345", "1e3", "NaN", "12.-5", "12.+5", "12.5 ", "0x1", "1.2.3", "1.5é", "é"]
        {
            assert_eq!(parse(text, 2), None, "{text}");
        }
    }
}
