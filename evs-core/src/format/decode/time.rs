//! Times as logs print them, in seconds since 1970.

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

/// The variables that hold the time, the best one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::format) enum Shape {
    /// `$msec`: `1795246765.707`
    Msec,
    /// `$time_iso8601`: `2026-11-21T13:25:22+05:45`
    Iso8601,
    /// `$time_local`: `21/Nov/2026:13:25:22 +0545`
    Local,
}

/// In a pattern `0` stands for a digit, `a` for a letter, `+` for a sign.
const LOCAL: &[u8] = b"00/aaa/0000:00:00:00 +0000";
const ISO8601: &[u8] = b"0000-00-00T00:00:00+00:00";
/// The digits of the last second of the year 9999.
const MSEC_DIGITS_MAX: usize = 12;
const SECONDS_MAX: i64 = 253_402_300_799;
const SECONDS_MIN: i64 = -62_167_219_200;

impl Shape {
    /// The shape that the nginx variable of that name has.
    pub(in crate::format) fn of_variable(name: &str) -> Option<Self> {
        match name {
            "msec" => Some(Self::Msec),
            "time_iso8601" => Some(Self::Iso8601),
            "time_local" => Some(Self::Local),
            _ => None,
        }
    }

    /// How many of `rest`'s first bytes a time takes, as far as there are enough of them.
    pub(in crate::format) fn length(self, rest: &[u8]) -> Option<usize> {
        let length = match self {
            Self::Local => LOCAL.len(),
            Self::Iso8601 => ISO8601.len(),
            Self::Msec => rest.iter().take(MSEC_DIGITS_MAX + 1).position(|byte| *byte == b'.')? + 4,
        };
        (length <= rest.len()).then_some(length)
    }

    /// How such a time begins: `0` stands for a digit, `a` for a letter, `+` for a sign.
    pub(in crate::format) fn pattern(self) -> &'static [u8] {
        match self {
            Self::Local => LOCAL,
            Self::Iso8601 => ISO8601,
            Self::Msec => b"0",
        }
    }

    /// Whether `text`, of that [`length`](Self::length), looks like a time. There may be no such date.
    pub(in crate::format) fn fits(self, text: &[u8]) -> bool {
        match self {
            Self::Local => looks_like(LOCAL, text),
            Self::Iso8601 => looks_like(ISO8601, text),
            Self::Msec => text.split_last_chunk::<4>().is_some_and(|(seconds, fraction)| {
                !seconds.is_empty() && seconds.iter().all(u8::is_ascii_digit) && looks_like(b".000", fraction)
            }),
        }
    }

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

fn looks_like(pattern: &[u8], text: &[u8]) -> bool {
    pattern.len() == text.len()
        && pattern.iter().zip(text).all(|(shape, byte)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'a' => byte.is_ascii_alphabetic(),
            b'+' => matches!(byte, b'+' | b'-'),
            literal => literal == byte,
        })
}

/// Remembers the last time read: lines of one second have the same text, which is compared, not parsed.
#[derive(Clone, Debug, Default)]
pub(in crate::format) struct Clock {
    text: Vec<u8>,
    seconds: i64,
}

impl Clock {
    /// Whether `text` is the last time read.
    pub(in crate::format) fn knows(&self, text: &[u8]) -> bool {
        self.text == text
    }

    /// The seconds of a time of one shape.
    pub(in crate::format) fn read(&mut self, shape: Shape, text: &[u8]) -> Result<i64, Reason> {
        self.remembered(text, |text| shape.seconds(text))
    }

    /// The seconds of a time whose shape shows only now: ISO 8601, `$time_local` or seconds since 1970.
    pub(in crate::format) fn read_any(&mut self, text: &[u8]) -> Result<i64, Reason> {
        self.remembered(text, |text| match text {
            [_, _, b'/', ..] => finish(local, text),
            [_, _, _, _, b'-', ..] => finish(iso8601, text),
            _ => finish(epoch, text),
        })
    }

    fn remembered(
        &mut self,
        text: &[u8],
        seconds: impl FnOnce(&[u8]) -> Result<i64, Reason>,
    ) -> Result<i64, Reason> {
        // A new clock knows nothing, and nothing is not a time.
        if self.text != text || text.is_empty() {
            let seconds = seconds(text)?;
            // Every time is short but for the digits behind a point.
            self.text.clear();
            self.text.extend_from_slice(text);
            self.seconds = seconds;
        }
        Ok(self.seconds)
    }
}

/// Remembers the last times of one column, by the last digit of their seconds: ten seconds in any order.
#[derive(Clone, Debug)]
pub(in crate::format) struct RecentTimes {
    shape: Shape,
    /// Whether the lines' time is taken from this column; if not, there need be no such date.
    is_the_time: bool,
    times: [RecentTime; 16],
}

#[derive(Clone, Copy, Debug)]
struct RecentTime {
    /// The first and the last 16 bytes, which overlap.
    head: [u8; 16],
    tail: [u8; 16],
    seconds: i64,
}

impl RecentTime {
    /// No text has these, as they do not agree where they overlap.
    const NONE: Self = Self { head: [0; 16], tail: [1; 16], seconds: 0 };
}

impl RecentTimes {
    pub(in crate::format) fn new(shape: Shape, is_the_time: bool) -> Self {
        Self { shape, is_the_time, times: [RecentTime::NONE; 16] }
    }

    /// The seconds of a time; 0 if they are not asked for. `None` if `text` is not a time.
    #[inline]
    pub(in crate::format) fn read(&mut self, text: &[u8]) -> Option<i64> {
        // Where the last digit of the seconds is, and how long the text must be.
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

    #[cold]
    fn parse(&self, text: &[u8]) -> Option<i64> {
        match self.is_the_time {
            _ if self.shape.length(text) != Some(text.len()) => None,
            true => self.shape.seconds(text).ok(),
            false => self.shape.fits(text).then_some(0),
        }
    }
}

/// The seconds of a `$msec` of the years 2001 to 2286.
#[inline]
fn ten_digits_and_millis(text: &[u8]) -> Option<i64> {
    let text: &[u8; 14] = text.try_into().ok()?;
    let (head, _) = text.split_first_chunk()?;
    let [.., tens, ones, b'.', a, b, c] = *text else { return None };
    let others = [tens, ones, a, b, c].iter().all(u8::is_ascii_digit);
    let head = short_decimal(*head, 8, 0).filter(|_| others)?;
    Some(head * 100 + i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// What is left, and the seconds, if there is such a time.
type Seconds<'t> = IResult<&'t [u8], Option<i64>>;

/// Text that is not in the parser's shape is no time; text that is and has no value is no date.
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

/// `2026-11-21T13:25:22+05:45`, also with a fraction of a second and with `Z`.
fn iso8601(text: &[u8]) -> Seconds<'_> {
    let date = (terminated(four, tag("-")), terminated(two, tag("-")), terminated(two, one_of("Tt ")));
    let clock = terminated(time_of_day, opt((one_of(".,"), take_while1(is_digit))));
    let zone = alt((value(Some(0), one_of("Zz")), offset));
    let (rest, ((year, month, day), seconds, offset)) = (date, clock, zone).parse(text)?;
    Ok((rest, instant(year, month, day, seconds, offset)))
}

/// Seconds since 1970, with or without a fraction: `1795246765.707`, `1795246765`, `-1.5`
fn epoch(text: &[u8]) -> Seconds<'_> {
    let whole = take_while_m_n(1, MSEC_DIGITS_MAX + 1, is_digit);
    let fraction = opt(preceded(tag("."), take_while1(is_digit)));
    let (rest, (sign, whole, fraction)) = (opt(tag("-")), whole, fraction).parse(text)?;
    let whole = whole.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    let part = fraction.is_some_and(|digits: &[u8]| digits.iter().any(|digit| *digit != b'0'));
    let seconds = if sign.is_some() { -whole - i64::from(part) } else { whole };
    Ok((rest, (SECONDS_MIN..=SECONDS_MAX).contains(&seconds).then_some(seconds)))
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

fn two(text: &[u8]) -> IResult<&[u8], u8> {
    recognize(take_while_m_n(2, 2, is_digit)).and_then(any_u8).parse(text)
}

fn four(text: &[u8]) -> IResult<&[u8], u16> {
    (two, two).map(|(century, year)| u16::from(century) * 100 + u16::from(year)).parse(text)
}

fn month_name(text: &[u8]) -> IResult<&[u8], u8> {
    const NAMES: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    map_opt(take(3_usize), |name: &[u8]| {
        let index = NAMES.chunks_exact(3).position(|known| known == name)?;
        u8::try_from(index + 1).ok()
    })
    .parse(text)
}

/// The seconds since midnight. Second 60 belongs to the minute it names, and so counts as its last.
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

fn instant(year: u16, month: u8, day: u8, seconds: Option<i64>, offset: Option<i64>) -> Option<i64> {
    Some(days_since_1970(year, month, day)? * 86_400 + seconds? - offset?)
}

/// Days of the Gregorian calendar, also before it was introduced; `None` if there is no such date.
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
    // Years that begin in March have their leap day at the end, and their months follow the line
    // (153 m + 2) / 5. Counted from -0400-03-01, so that nothing is negative.
    let (month, day) = (i64::from(month), i64::from(day));
    let year = i64::from(year) + 400 - i64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 865_565)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any(text: &str) -> Result<i64, Reason> {
        Clock::default().read_any(text.as_bytes())
    }

    #[test]
    fn every_shape_gives_its_instant() {
        for (text, expected) in [
            ("21/Nov/2026:13:25:22 +0545", 1_795_246_822),
            ("2026-11-21T13:25:22+05:45", 1_795_246_822),
            ("2026-11-21T07:40:22Z", 1_795_246_822),
            ("2026-11-21 07:40:22.999999Z", 1_795_246_822),
            ("2026-11-21t02:40:22-0500", 1_795_246_822),
            ("1795246765.707", 1_795_246_765),
            ("1795246765", 1_795_246_765),
            ("01/Jan/1970:00:00:00 +0000", 0),
            ("31/Dec/1969:23:59:59 +0000", -1),
            ("-1", -1),
            ("-0.5", -1),
            ("-0.0", 0),
            ("0000-01-01T00:00:00Z", SECONDS_MIN),
            ("9999-12-31T23:59:59Z", SECONDS_MAX),
            ("2038-01-19T03:14:08Z", 1 << 31),
            ("29/Feb/2024:00:00:00 +0000", 1_709_164_800),
            ("29/Feb/2000:12:00:00 +0000", 951_825_600),
            ("31/Dec/2016:23:59:60 +0000", 1_483_228_799),
        ] {
            assert_eq!(any(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn the_offset_decides_in_the_hour_that_is_repeated() {
        let before = any("25/Oct/2026:02:59:59 +0200").unwrap();
        assert_eq!(any("25/Oct/2026:02:00:00 +0100"), Ok(before + 1));
    }

    /// An offset moves a time beyond the years that can be written.
    #[test]
    fn the_lowest_and_the_highest_time_lie_a_day_beyond_the_years_0_and_9999() {
        const OFFSET_MAX: i64 = 23 * 3600 + 59 * 60;
        for (text, expected) in [
            ("31/Dec/9999:23:59:60 -1400", SECONDS_MAX + 14 * 3600),
            ("31/Dec/9999:23:59:60 -2359", SECONDS_MAX + OFFSET_MAX),
            ("9999-12-31T23:59:59-23:59", SECONDS_MAX + OFFSET_MAX),
            ("01/Jan/0000:00:00:00 +2359", SECONDS_MIN - OFFSET_MAX),
            ("0000-01-01T00:00:00+23:59", SECONDS_MIN - OFFSET_MAX),
            ("253402300799.999", SECONDS_MAX),
            ("-62167219200", SECONDS_MIN),
        ] {
            assert_eq!(any(text), Ok(expected), "{text}");
        }
        for text in ["253402300800", "-62167219201", "-62167219200.5"] {
            assert_eq!(any(text), Err(Reason::Date), "{text}");
        }
    }

    #[test]
    fn impossible_dates_are_told_from_what_is_no_time() {
        for (text, expected) in [
            ("31/Feb/2026:00:00:00 +0000", Reason::Date),
            ("29/Feb/2026:00:00:00 +0000", Reason::Date),
            ("29/Feb/1900:00:00:00 +0000", Reason::Date),
            ("00/Jan/2026:00:00:00 +0000", Reason::Date),
            ("2026-13-01T00:00:00Z", Reason::Date),
            ("2026-00-01T00:00:00Z", Reason::Date),
            ("21/Nov/2026:24:00:00 +0000", Reason::Date),
            ("21/Nov/2026:23:60:00 +0000", Reason::Date),
            ("21/Nov/2026:23:59:61 +0000", Reason::Date),
            ("21/Nov/2026:23:59:59 +2400", Reason::Date),
            ("21/Nov/2026:23:59:59 +0060", Reason::Date),
            ("253402300800", Reason::Date),
            ("1795246765707", Reason::Date),
            ("21/Okt/2026:13:25:22 +0545", Reason::Time),
            ("21/nov/2026:13:25:22 +0545", Reason::Time),
            ("21/Nov/2026:13:25:22", Reason::Time),
            ("21/Nov/2026:13:25:22 +0545 ", Reason::Time),
            ("2026-11-21T13:25:22", Reason::Time),
            ("2026-11-21", Reason::Time),
            ("1.795e9", Reason::Time),
            ("+5", Reason::Time),
            ("5.", Reason::Time),
            ("-", Reason::Time),
            ("", Reason::Time),
        ] {
            assert_eq!(any(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn nginx_times_have_one_shape_each() {
        let seconds = |shape, text: &str| Clock::default().read(shape, text.as_bytes());
        assert_eq!(seconds(Shape::Msec, "1795246765.707"), Ok(1_795_246_765));
        for text in ["1795246765", "1795246765.7", "1795246765.7071", ".707", "-1.707", "1x.707"] {
            assert_eq!(seconds(Shape::Msec, text), Err(Reason::Time), "{text}");
        }
        assert_eq!(seconds(Shape::Iso8601, "2026-11-21T07:40:22Z"), Err(Reason::Time));
        assert_eq!(seconds(Shape::Local, "2026-11-21T07:40:22+00:00"), Err(Reason::Time));
    }

    #[test]
    fn a_time_that_was_refused_is_not_remembered() {
        let mut clock = Clock::default();
        assert_eq!(clock.read_any(b"5"), Ok(5));
        assert!(clock.read_any(b"31/Feb/2026:00:00:00 +0000").is_err());
        assert!(clock.read_any(b"31/Feb/2026:00:00:00 +0000").is_err());
        assert_eq!(clock.read_any(b"5"), Ok(5));
        assert_eq!(clock.read_any(b"6"), Ok(6));
    }

    #[test]
    fn recent_times_are_those_of_any_clock() {
        let times = [
            "21/Nov/2026:13:25:22 +0545",
            "21/Nov/2026:13:25:32 +0545",
            "21/Nov/2026:13:25:22 +0500",
            "21/Dec/2026:13:25:22 +0545",
            "31/Feb/2026:13:25:22 +0545",
            "2026-11-21T13:25:22+05:45",
            "2026-13-21T13:25:22+05:45",
            "1795246765.707",
            "1795246765.70x",
            "17952x6765.707",
            "1795246765:707",
            "5.000",
            "795246765.1234",
            "123456789012.345",
            "1234567890123.345",
            &"\0".repeat(25),
            &"\0".repeat(26),
            &"\u{1}".repeat(26),
            "",
        ];
        for shape in [Shape::Local, Shape::Iso8601, Shape::Msec] {
            let mut recent = RecentTimes::new(shape, true);
            let mut other = RecentTimes::new(shape, false);
            for text in times.into_iter().chain(times).map(str::as_bytes) {
                let is_whole = shape.length(text) == Some(text.len());
                let expected = Clock::default().read(shape, text).ok().filter(|_| is_whole);
                assert_eq!(recent.read(text), expected, "{text:?}");
                assert_eq!(other.read(text).is_some(), is_whole && shape.fits(text), "{text:?}");
            }
        }
    }

    #[test]
    fn days_follow_each_other_without_a_gap() {
        let mut expected = days_since_1970(0, 1, 1).unwrap();
        assert_eq!(days_since_1970(1970, 1, 1), Some(0));
        for year in 0..=9999 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(days) = days_since_1970(year, month, day) {
                        assert_eq!(days, expected, "{year}-{month}-{day}");
                        expected += 1;
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn reading_is_total(text: Vec<u8>, near in "[0-9TZ:/+.JanFeb -]{0,30}") {
            for text in [&text[..], near.as_bytes()] {
                let _ = Clock::default().read_any(text);
                for shape in [Shape::Msec, Shape::Iso8601, Shape::Local] {
                    let _ = Clock::default().read(shape, text);
                    if let Some(length) = shape.length(text) {
                        shape.fits(&text[..length]);
                    }
                }
            }
        }
    }
}
