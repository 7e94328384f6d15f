//! The parsers of times, and the calendar.
//!
//! Each parser takes a time off the front of a text, and tells its seconds since 1970 if such a time exists. A time
//! without a zone is that of the given `zone`: the seconds by which its clock is ahead of UTC.

use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take, take_while_m_n, take_while1},
    character::complete::{one_of, u8 as any_u8},
    combinator::{map_opt, opt, recognize, value},
    error::Error,
    sequence::{preceded, terminated},
};

use crate::format::rejection::Reason;

/// The last second of the year 9999.
pub(super) const SECONDS_MAX: i64 = 253_402_300_799;
/// The first second of the year 0.
pub(super) const SECONDS_MIN: i64 = -62_167_219_200;

/// The rest of the text, and the seconds. These are `None` if the text has the right shape but no such time exists.
pub(super) type Seconds<'t> = IResult<&'t [u8], Option<i64>>;

/// Reads a whole text. A text of another shape is not a time; one of the right shape without seconds is not a date.
///
/// `31/Feb/2026:00:00:00 +0000` is no date, and `31-Feb-2026` is no time.
pub(super) fn finish(parser: impl FnOnce(&[u8]) -> Seconds<'_>, text: &[u8]) -> Result<i64, Reason> {
    match parser(text) {
        Ok(([], Some(seconds))) => Ok(seconds),
        Ok(([], None)) => Err(Reason::Date),
        Ok(_) | Err(_) => Err(Reason::Time),
    }
}

/// `21/Nov/2026:13:25:22 +0545`, or with a fraction of a second after the seconds, or without a zone.
pub(super) fn local(text: &[u8], zone: i64) -> Seconds<'_> {
    let date = (terminated(two, tag("/")), terminated(month_name, tag("/")), terminated(four, tag(":")));
    let clock = terminated(time_of_day, opt((tag("."), take_while1(is_digit))));
    let (rest, ((day, month, year), seconds, offset)) =
        (date, clock, opt(preceded(tag(" "), offset))).parse(text)?;
    Ok((rest, instant(year, month, day, seconds, offset.unwrap_or(Some(zone)))))
}

/// `2026-11-21T13:25:22+05:45`, or with a fraction of a second, or with `Z`, or without a zone.
pub(super) fn iso8601(text: &[u8], zone: i64) -> Seconds<'_> {
    let date = (terminated(four, tag("-")), terminated(two, tag("-")), terminated(two, one_of("Tt ")));
    let clock = terminated(time_of_day, opt((one_of(".,"), take_while1(is_digit))));
    let offset = opt(alt((value(Some(0), one_of("Zz")), offset)));
    let (rest, ((year, month, day), seconds, offset)) = (date, clock, offset).parse(text)?;
    Ok((rest, instant(year, month, day, seconds, offset.unwrap_or(Some(zone)))))
}

/// The number of digits in the last second of the year 9999.
const SECONDS_DIGITS_MAX: usize = 12;

/// The time since 1970, with or without a fraction: `1795246765.707`, `1795246765`, `-1.5`, `1795246765707`
///
/// The number of digits tells the unit: up to 12 are seconds, 13 to 15 milliseconds, 16 to 18 microseconds, and more
/// are nanoseconds. So a time from September 2001 to the year 5138 is read right in any unit.
///
/// Fractions are rounded down, so -1.5 is the second -2.
pub(super) fn epoch(text: &[u8]) -> Seconds<'_> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unit = match digits {
        0..=SECONDS_DIGITS_MAX => 0,
        13..=15 => 3,
        16..=18 => 6,
        _ => 9,
    };
    epoch_of(text, unit)
}

/// The time since 1970, with or without a fraction, in units of 10^-`unit` seconds.
pub(super) fn epoch_of(text: &[u8], unit: u32) -> Seconds<'_> {
    let whole = take_while_m_n(1, SECONDS_DIGITS_MAX + 1 + unit as usize, is_digit);
    let fraction = opt(preceded(tag("."), take_while1(is_digit)));
    let (rest, (sign, whole, fraction)) = (opt(tag("-")), whole, fraction).parse(text)?;
    // At most 22 digits, which are 75 bits.
    let whole = whole.iter().fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
    let part = fraction.is_some_and(|digits: &[u8]| digits.iter().any(|digit| *digit != b'0'));
    let units = if sign.is_some() { -whole - i128::from(part) } else { whole };
    let seconds = i64::try_from(units.div_euclid(10_i128.pow(unit))).ok();
    Ok((rest, seconds.filter(|seconds| (SECONDS_MIN..=SECONDS_MAX).contains(seconds))))
}

/// True for `0` to `9`.
fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// Two digits.
fn two(text: &[u8]) -> IResult<&[u8], u8> {
    recognize(take_while_m_n(2, 2, is_digit)).and_then(any_u8).parse(text)
}

/// Four digits.
fn four(text: &[u8]) -> IResult<&[u8], u16> {
    (two, two).map(|(century, year)| u16::from(century) * 100 + u16::from(year)).parse(text)
}

/// The month of an English name of three letters, 1 to 12. nginx prints English names in every locale.
pub(super) fn month_name(text: &[u8]) -> IResult<&[u8], u8> {
    const NAMES: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    map_opt(take(3_usize), |name: &[u8]| {
        let index = NAMES.chunks_exact(3).position(|known| known == name)?;
        u8::try_from(index + 1).ok()
    })
    .parse(text)
}

/// The seconds since midnight. A leap second (second 60) counts as the last second of the minute that it names.
fn time_of_day(text: &[u8]) -> Seconds<'_> {
    let (rest, (hour, minute, second)) =
        (terminated(two, tag(":")), terminated(two, tag(":")), two).parse(text)?;
    Ok((rest, seconds_of_day(hour.into(), minute.into(), second.into())))
}

/// The seconds since midnight, if there is such a time of day.
pub(super) fn seconds_of_day(hour: i64, minute: i64, second: i64) -> Option<i64> {
    let valid = (0..=23).contains(&hour) && (0..=59).contains(&minute) && (0..=60).contains(&second);
    valid.then_some(hour * 3600 + minute * 60 + second.min(59))
}

/// `+0545` or `+05:45`, in seconds.
pub(super) fn offset(text: &[u8]) -> Seconds<'_> {
    let (rest, (sign, hours, _, minutes)) = (one_of("+-"), two, opt(tag(":")), two).parse(text)?;
    let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
    let valid = hours <= 23 && minutes <= 59;
    Ok::<_, nom::Err<Error<&[u8]>>>((rest, valid.then_some(if sign == '-' { -seconds } else { seconds })))
}

/// The seconds since 1970 of a date, a time of day and an offset, if all of them exist.
pub(super) fn instant(
    year: u16,
    month: u8,
    day: u8,
    seconds: Option<i64>,
    offset: Option<i64>,
) -> Option<i64> {
    Some(days_since_1970(year, month, day)? * 86_400 + seconds? - offset?)
}

/// The days since 1970 in the Gregorian calendar, even before its introduction. `None` if the date does not exist.
///
/// The formula counts years from March, as in Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms"
/// (`days_from_civil`): the leap day is then the last of its year, and no month needs a table.
pub(super) fn days_since_1970(year: u16, month: u8, day: u8) -> Option<i64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days_in_month = match month {
        2 => 28 + u8::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > days_in_month {
        return None;
    }
    // In a year that begins in March, the leap day comes last, and month m begins on day (153 m + 2) / 5. Years are
    // counted from -0400-03-01, so that no number is negative.
    let (month, day) = (i64::from(month), i64::from(day));
    let year = i64::from(year) + 400 - i64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 865_565)
}
