//! Reads times as logs print them, into seconds since 1970.
//!
//! `21/Nov/2026:13:25:22 +0545`, for example, is 1,795,246,822. Lines of one second have the same text, so the last
//! times are remembered and compared, not parsed again.
//!
//! Three shapes come from nginx, and JSON and LTSV logs have variants of them:
//!
//! | shape | nginx | others |
//! | --- | --- | --- |
//! | [`Local`](Shape::Local) | `$time_local` | Apache's `%t` |
//! | [`Iso8601`](Shape::Iso8601) | `$time_iso8601` | RFC 3339, with a fraction or `Z` |
//! | [`Msec`](Shape::Msec) | `$msec` | seconds since 1970, with or without a fraction |
//!
//! A shape is checked before its numbers: a text of the wrong shape is [`Reason::Time`], and one of the right shape
//! whose date does not exist is [`Reason::Date`]. Fractions of a second are dropped, since windows are whole seconds
//! long.

use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take, take_while_m_n, take_while1},
    character::complete::{one_of, u8 as any_u8},
    combinator::{all_consuming, map_opt, opt, recognize, value},
    error::Error,
    sequence::{preceded, terminated},
};

use crate::{format::rejection::Reason, number::short_decimal};

/// The shapes of the nginx variables that hold the time, the best one first. (`$msec` needs no time zone, and
/// `$time_iso8601` no name of a month.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::format) enum Shape {
    /// `$msec`: `1795246765.707`
    Msec,
    /// `$time_iso8601`: `2026-11-21T13:25:22+05:45`
    Iso8601,
    /// `$time_local`: `21/Nov/2026:13:25:22 +0545`
    Local,
}

/// The pattern of `$time_local`. `0` stands for a digit, `a` for a letter, `+` for a sign, and any other byte for
/// itself.
const LOCAL: &[u8] = b"00/aaa/0000:00:00:00 +0000";
/// The pattern of `$time_iso8601`.
const ISO8601: &[u8] = b"0000-00-00T00:00:00+00:00";
/// The number of digits in the last second of the year 9999.
const MSEC_DIGITS_MAX: usize = 12;
/// The last second of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_799;
/// The first second of the year 0.
const SECONDS_MIN: i64 = -62_167_219_200;

impl Shape {
    /// The shape of the nginx variable of that name.
    pub(in crate::format) fn of_variable(name: &str) -> Option<Self> {
        match name {
            "msec" => Some(Self::Msec),
            "time_iso8601" => Some(Self::Iso8601),
            "time_local" => Some(Self::Local),
            _ => None,
        }
    }

    /// The number of bytes that a time of this shape takes at the start of `rest`. `None` if `rest` is too short.
    ///
    /// The two shapes with a date have a fixed length. `$msec` has as many digits as it needs before the point, and
    /// three after it.
    pub(in crate::format) fn length(self, rest: &[u8]) -> Option<usize> {
        let length = match self {
            Self::Local => LOCAL.len(),
            Self::Iso8601 => ISO8601.len(),
            Self::Msec => rest.iter().take(MSEC_DIGITS_MAX + 1).position(|byte| *byte == b'.')? + 4,
        };
        (length <= rest.len()).then_some(length)
    }

    /// The pattern with which such a time begins: `0` stands for a digit, `a` for a letter, `+` for a sign.
    pub(in crate::format) fn pattern(self) -> &'static [u8] {
        match self {
            Self::Local => LOCAL,
            Self::Iso8601 => ISO8601,
            Self::Msec => b"0",
        }
    }

    /// True if `text`, of that [`length`](Self::length), looks like a time. The date may not exist.
    pub(in crate::format) fn fits(self, text: &[u8]) -> bool {
        match self {
            Self::Local => looks_like(LOCAL, text),
            Self::Iso8601 => looks_like(ISO8601, text),
            Self::Msec => text.split_last_chunk::<4>().is_some_and(|(seconds, fraction)| {
                !seconds.is_empty() && seconds.iter().all(u8::is_ascii_digit) && looks_like(b".000", fraction)
            }),
        }
    }

    /// The seconds of a text of this shape.
    fn seconds(self, text: &[u8]) -> Result<i64, Reason> {
        if !self.fits(text) {
            return Err(Reason::Time);
        }
        match self {
            Self::Local => finish(local, text),
            Self::Iso8601 => finish(iso8601, text),
            Self::Msec => finish(epoch, text),
        }
    }
}

/// True if a text matches a pattern.
fn looks_like(pattern: &[u8], text: &[u8]) -> bool {
    pattern.len() == text.len()
        && pattern.iter().zip(text).all(|(shape, byte)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'a' => byte.is_ascii_alphabetic(),
            b'+' => matches!(byte, b'+' | b'-'),
            literal => literal == byte,
        })
}

/// The last time that was read, with its text. Lines of one second have the same text, which is compared, not parsed.
#[derive(Clone, Debug, Default)]
pub(in crate::format) struct LastTime {
    /// The text of the time, as the line had it.
    text: Vec<u8>,
    /// The time in seconds since 1970.
    seconds: i64,
}

impl LastTime {
    /// True if `text` is the last time that was read.
    pub(in crate::format) fn knows(&self, text: &[u8]) -> bool {
        self.text == text
    }

    /// The seconds of a time of a known shape.
    pub(in crate::format) fn read(&mut self, shape: Shape, text: &[u8]) -> Result<i64, Reason> {
        self.remembered(text, |text| shape.seconds(text))
    }

    /// The seconds of a time of any shape: ISO 8601, `$time_local` or seconds since 1970.
    pub(in crate::format) fn read_any(&mut self, text: &[u8]) -> Result<i64, Reason> {
        self.remembered(text, |text| match text {
            [_, _, b'/', ..] => finish(local, text),
            [_, _, _, _, b'-', ..] => finish(iso8601, text),
            _ => finish(epoch, text),
        })
    }

    /// The remembered seconds if `text` is the last time read, else those that `seconds` reads.
    fn remembered(
        &mut self,
        text: &[u8],
        seconds: impl FnOnce(&[u8]) -> Result<i64, Reason>,
    ) -> Result<i64, Reason> {
        // At first the remembered text is empty, and the empty text is not a time.
        if self.text != text || text.is_empty() {
            let seconds = seconds(text)?;
            // A time is short, except for the fraction digits that a client may have chosen.
            self.text.clear();
            self.text.extend_from_slice(text);
            self.seconds = seconds;
        }
        Ok(self.seconds)
    }
}

/// The last times of one column, by the last digit of their seconds. Lines of ten seconds may so come in any order.
///
/// A server writes a line when the request ends, and several workers write at once, so consecutive lines differ by a
/// second or two all the time. A cache of a single time would miss at every change.
#[derive(Clone, Debug)]
pub(in crate::format) struct RecentTimes {
    /// The shape of the column's times.
    shape: Shape,
    /// True if this column is the lines' time. If not, its texts must only look like times.
    is_the_time: bool,
    /// By the low four bits of the last digit of the seconds, a time. Digits take ten of the sixteen places; the index
    /// needs no check.
    times: [RecentTime; 16],
}

/// A time that was read, with its text.
#[derive(Clone, Copy, Debug)]
struct RecentTime {
    /// The first and the last 16 bytes of the text. They overlap, so together they are the whole text.
    head: [u8; 16],
    tail: [u8; 16],
    /// The time in seconds since 1970.
    seconds: i64,
}

impl RecentTime {
    /// No text is equal to this: its head and tail differ where they would overlap.
    const NONE: Self = Self { head: [0; 16], tail: [1; 16], seconds: 0 };
}

impl RecentTimes {
    /// A cache without times.
    pub(in crate::format) fn new(shape: Shape, is_the_time: bool) -> Self {
        Self { shape, is_the_time, times: [RecentTime::NONE; 16] }
    }

    /// The seconds of a time, or 0 if this column is not the time. `None` if `text` is not a time.
    #[inline]
    pub(in crate::format) fn read(&mut self, text: &[u8]) -> Option<i64> {
        // The offset of the last digit of the seconds, and the length of the text.
        let (digit, len) = match self.shape {
            Shape::Local => (19, LOCAL.len()),
            Shape::Iso8601 => (18, ISO8601.len()),
            Shape::Msec => return ten_digits_and_millis(text).or_else(|| self.parse(text)),
        };
        if text.len() != len {
            return None;
        }
        let (head, tail) = (*text.first_chunk()?, *text.last_chunk()?);
        let recent = &self.times[usize::from(text[digit] & 15)];
        if recent.head == head && recent.tail == tail {
            return Some(recent.seconds);
        }
        let seconds = self.parse(text)?;
        self.times[usize::from(text[digit] & 15)] = RecentTime { head, tail, seconds };
        Some(seconds)
    }

    /// Reads a time that is not remembered.
    #[cold]
    fn parse(&self, text: &[u8]) -> Option<i64> {
        match self.is_the_time {
            _ if self.shape.length(text) != Some(text.len()) => None,
            true => self.shape.seconds(text).ok(),
            false => self.shape.fits(text).then_some(0),
        }
    }
}

/// The seconds of a `$msec` of the years 2001 to 2286, which has ten digits before the point.
#[inline]
fn ten_digits_and_millis(text: &[u8]) -> Option<i64> {
    let text: &[u8; 14] = text.try_into().ok()?;
    let (head, _) = text.split_first_chunk()?;
    let [.., tens, ones, b'.', a, b, c] = *text else { return None };
    let others = [tens, ones, a, b, c].iter().all(u8::is_ascii_digit);
    let head = short_decimal(*head, 8, 0).filter(|_| others)?;
    Some(head * 100 + i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// The rest of the text, and the seconds. These are `None` if the text has the right shape but no such time exists.
type Seconds<'t> = IResult<&'t [u8], Option<i64>>;

/// Reads a whole text. A text of another shape is not a time; one of the right shape without seconds is not a date.
///
/// `31/Feb/2026:00:00:00 +0000` is no date, and `31-Feb-2026` is no time.
fn finish(parser: fn(&[u8]) -> Seconds<'_>, text: &[u8]) -> Result<i64, Reason> {
    match all_consuming(parser).parse(text) {
        Ok((_, Some(seconds))) => Ok(seconds),
        Ok((_, None)) => Err(Reason::Date),
        Err(_) => Err(Reason::Time),
    }
}

/// `21/Nov/2026:13:25:22 +0545`
fn local(text: &[u8]) -> Seconds<'_> {
    let date = (terminated(two, tag("/")), terminated(month_name, tag("/")), terminated(four, tag(":")));
    let clock = (time_of_day, preceded(tag(" "), offset));
    let (rest, ((day, month, year), (seconds, offset))) = (date, clock).parse(text)?;
    Ok((rest, instant(year, month, day, seconds, offset)))
}

/// `2026-11-21T13:25:22+05:45`, or with a fraction of a second, or with `Z`.
fn iso8601(text: &[u8]) -> Seconds<'_> {
    let date = (terminated(four, tag("-")), terminated(two, tag("-")), terminated(two, one_of("Tt ")));
    let clock = terminated(time_of_day, opt((one_of(".,"), take_while1(is_digit))));
    let zone = alt((value(Some(0), one_of("Zz")), offset));
    let (rest, ((year, month, day), seconds, offset)) = (date, clock, zone).parse(text)?;
    Ok((rest, instant(year, month, day, seconds, offset)))
}

/// Seconds since 1970, with or without a fraction: `1795246765.707`, `1795246765`, `-1.5`
///
/// Fractions are rounded down, so -1.5 is the second -2.
fn epoch(text: &[u8]) -> Seconds<'_> {
    let whole = take_while_m_n(1, MSEC_DIGITS_MAX + 1, is_digit);
    let fraction = opt(preceded(tag("."), take_while1(is_digit)));
    let (rest, (sign, whole, fraction)) = (opt(tag("-")), whole, fraction).parse(text)?;
    let whole = whole.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    let part = fraction.is_some_and(|digits: &[u8]| digits.iter().any(|digit| *digit != b'0'));
    let seconds = if sign.is_some() { -whole - i64::from(part) } else { whole };
    Ok((rest, (SECONDS_MIN..=SECONDS_MAX).contains(&seconds).then_some(seconds)))
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
fn month_name(text: &[u8]) -> IResult<&[u8], u8> {
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
    let valid = hour <= 23 && minute <= 59 && second <= 60;
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second.min(59));
    Ok((rest, valid.then_some(seconds)))
}

/// `+0545` or `+05:45`, in seconds.
fn offset(text: &[u8]) -> Seconds<'_> {
    let (rest, (sign, hours, _, minutes)) = (one_of("+-"), two, opt(tag(":")), two).parse(text)?;
    let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
    let valid = hours <= 23 && minutes <= 59;
    Ok::<_, nom::Err<Error<&[u8]>>>((rest, valid.then_some(if sign == '-' { -seconds } else { seconds })))
}

/// The seconds since 1970 of a date, a time of day and an offset, if all of them exist.
fn instant(year: u16, month: u8, day: u8, seconds: Option<i64>, offset: Option<i64>) -> Option<i64> {
    Some(days_since_1970(year, month, day)? * 86_400 + seconds? - offset?)
}

/// The days since 1970 in the Gregorian calendar, even before its introduction. `None` if the date does not exist.
///
/// The formula counts years from March, as in Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms"
/// (`days_from_civil`): the leap day is then the last of its year, and no month needs a table.
fn days_since_1970(year: u16, month: u8, day: u8) -> Option<i64> {
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

#[cfg(test)]
mod tests;
