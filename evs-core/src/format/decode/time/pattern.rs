//! Times of any shape, described as for `strftime`: `%Y-%m-%d %H:%M:%S %z`.
//!
//! A pattern is compiled to items, each of which takes its text off the front of the rest. An item takes as many bytes
//! as can belong to it, so no time can be read in two ways.

use super::{
    digits,
    text::{epoch_of, instant, month_name, offset, seconds_of_day},
};
use crate::format::error::FormatError;

/// The shortest year.
const SECONDS_OF_YEAR: i64 = 365 * 86_400;

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::format) struct Pattern {
    items: Vec<Item>,
    /// The pattern of the items of fixed width with which it begins: `0` stands for a digit, `a` for a letter, `+` for
    /// a sign.
    head: Vec<u8>,
    /// A time of this pattern.
    sample: Vec<u8>,
    /// The offset of the last digit of the seconds, if it is fixed.
    second: Option<usize>,
    /// True if times of the pattern have no year, as those of syslog.
    lacks_year: bool,
}

/// A conversion of a pattern, or a byte that stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    /// A byte that stands for itself.
    Literal(u8),
    /// A number of fixed width.
    Number(Part, Width),
    /// `%b`: `Nov`
    MonthName,
    /// `%a`: three letters, which say nothing that the date does not.
    Weekday,
    /// `%p`: `AM` or `PM`
    Half,
    /// `%z`: `+0545` or `+05:45`
    Offset,
    /// `%Z`: `UTC`, `GMT` or `Z`. Other names do not tell their zone.
    ZoneName,
    /// `%f`: the digits of a fraction.
    Fraction,
    /// A point and the digits of a fraction, or nothing.
    MaybeFraction,
    /// `%s`: a number since 1970, in units of 10^-n seconds, and its fraction if it may have one.
    Epoch { unit: u32, has_fraction: bool },
}

/// The part of a time that a number tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Year,
    YearOfCentury,
    Month,
    Day,
    DayOfYear,
    Hour,
    HourOfHalf,
    Minute,
    Second,
}

/// The width of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    /// As many digits.
    Digits(u8),
    /// Two bytes, of which the first may be a blank.
    Padded,
}

/// The parts of a time that were read.
#[derive(Default)]
struct Parts {
    /// By [`Part`], its number.
    numbers: [Option<u16>; 9],
    is_afternoon: Option<bool>,
    /// Inside, the seconds of the offset if it exists.
    offset: Option<Option<i64>>,
    /// Inside, the seconds since 1970 if there is such a time.
    epoch: Option<Option<i64>>,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// Fails for a conversion that is not known, and for a pattern that does not tell the instant to the minute.
    pub(in crate::format) fn new(text: &str) -> Result<Self, FormatError> {
        let refuse = |why| FormatError::TimeShape { shape: text.to_owned(), why };
        let mut items = Vec::new();
        compile(text, &mut items).map_err(refuse)?;
        let has = |part| items.iter().any(|item| matches!(item, Item::Number(of, _) if *of == part));
        let has_year = has(Part::Year) || has(Part::YearOfCentury);
        let has_month = has(Part::Month) || items.contains(&Item::MonthName);
        let has_date = (has(Part::Day) && has_month) || (has(Part::DayOfYear) && has_year);
        let has_hour = has(Part::Hour) || (has(Part::HourOfHalf) && items.contains(&Item::Half));
        let has_epoch = items.iter().any(|item| matches!(item, Item::Epoch { .. }));
        if !(has_epoch || (has_date && has_hour && has(Part::Minute))) {
            return Err(refuse("it lacks the month, the day, the hour or the minute"));
        }
        Ok(Self::of(items))
    }

    /// The same with a fraction after it, which may be missing.
    pub(super) fn with_fraction(self) -> Self {
        let mut items = self.items;
        items.push(Item::MaybeFraction);
        Self::of(items)
    }

    /// The pattern of a number since 1970, in units of 10^-`unit` seconds, with or without a fraction.
    pub(in crate::format) fn epoch(unit: u32) -> Self {
        Self::of(vec![Item::Epoch { unit, has_fraction: true }])
    }

    fn of(items: Vec<Item>) -> Self {
        let (mut head, mut sample) = (Vec::new(), Vec::new());
        let (mut second, mut is_fixed, mut lacks_year) = (None, true, true);
        for item in &items {
            let (pattern, example) = item.pattern();
            sample.extend_from_slice(&example);
            is_fixed &= pattern.is_some();
            lacks_year &=
                !matches!(item, Item::Number(Part::Year | Part::YearOfCentury, _) | Item::Epoch { .. });
            if let Some(pattern) = pattern.filter(|_| is_fixed) {
                head.extend_from_slice(&pattern);
                if matches!(item, Item::Number(Part::Second, _)) {
                    second = Some(head.len() - 1);
                }
            }
        }
        Self { items, head, sample, second, lacks_year }
    }

    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(super) fn sample(&self) -> &[u8] {
        &self.sample
    }

    pub(super) fn second(&self) -> Option<usize> {
        self.second
    }

    pub(super) fn lacks_year(&self) -> bool {
        self.lacks_year
    }

    /// True if `byte` after a time may belong to that time.
    pub(super) fn may_take(&self, byte: u8) -> bool {
        match self.items.last() {
            Some(Item::Fraction | Item::Epoch { has_fraction: false, .. }) => byte.is_ascii_digit(),
            Some(Item::Epoch { .. } | Item::MaybeFraction) => byte.is_ascii_digit() || byte == b'.',
            Some(Item::ZoneName) => byte.is_ascii_alphabetic(),
            _ => false,
        }
    }

    /// Takes a time off the front of `text`: its length, and its seconds since 1970 if there is such a time. A time
    /// without a zone is one of `zone`, and one without a year is of no year. `None` if there is no time.
    pub(super) fn read(&self, text: &[u8], zone: i64) -> Option<(usize, Option<i64>)> {
        let (length, parts) = self.parts(text)?;
        Some((length, parts.seconds(zone, parts.year())))
    }

    /// As [`read`](Self::read). A time without a year is of the last one in which it is not after `latest`.
    pub(super) fn read_before(&self, text: &[u8], zone: i64, latest: i64) -> Option<(usize, Option<i64>)> {
        let (length, parts) = self.parts(text)?;
        let last = u16::try_from(1971 + latest / SECONDS_OF_YEAR).ok()?;
        // There may be no leap day in seven years.
        let years = (0..=9).map(|before| last.checked_sub(before));
        let found =
            years.map(|year| parts.seconds(zone, year)).find(|found| found.is_some_and(|at| at <= latest));
        Some((length, found.flatten()))
    }

    /// Takes the parts of a time off the front of `text`, and its length.
    fn parts(&self, text: &[u8]) -> Option<(usize, Parts)> {
        let mut parts = Parts::default();
        let mut rest = text;
        for item in &self.items {
            rest = item.take(rest, &mut parts)?;
        }
        Some((text.len() - rest.len(), parts))
    }
}

/// Appends the items of a pattern, or tells why it is none.
fn compile(text: &str, items: &mut Vec<Item>) -> Result<(), &'static str> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'\n' {
            return Err("it has a line feed");
        }
        if byte != b'%' {
            items.push(Item::Literal(byte));
            continue;
        }
        let number = |part, digits| Item::Number(part, Width::Digits(digits));
        items.push(match bytes.next() {
            Some(b'Y') => number(Part::Year, 4),
            Some(b'y') => number(Part::YearOfCentury, 2),
            Some(b'm') => number(Part::Month, 2),
            Some(b'b' | b'h') => Item::MonthName,
            Some(b'd') => number(Part::Day, 2),
            Some(b'e') => Item::Number(Part::Day, Width::Padded),
            Some(b'j') => number(Part::DayOfYear, 3),
            Some(b'H') => number(Part::Hour, 2),
            Some(b'k') => Item::Number(Part::Hour, Width::Padded),
            Some(b'I') => number(Part::HourOfHalf, 2),
            Some(b'l') => Item::Number(Part::HourOfHalf, Width::Padded),
            Some(b'p') => Item::Half,
            Some(b'M') => number(Part::Minute, 2),
            Some(b'S') => number(Part::Second, 2),
            Some(b'a') => Item::Weekday,
            Some(b'z') => Item::Offset,
            Some(b'Z') => Item::ZoneName,
            Some(b's') => Item::Epoch { unit: 0, has_fraction: false },
            Some(b'f' | b'L' | b'N') => Item::Fraction,
            Some(b'%') => Item::Literal(b'%'),
            Some(b't') => Item::Literal(b'\t'),
            composed => {
                compile(composition(composed)?, items)?;
                continue;
            }
        });
    }
    Ok(())
}

/// The pattern that a conversion is short for.
fn composition(conversion: Option<u8>) -> Result<&'static str, &'static str> {
    Ok(match conversion {
        Some(b'F') => "%Y-%m-%d",
        Some(b'T') => "%H:%M:%S",
        Some(b'R') => "%H:%M",
        Some(b'r') => "%I:%M:%S %p",
        Some(b'D') => "%m/%d/%y",
        Some(b'c') => "%a %b %e %H:%M:%S %Y",
        Some(_) => return Err("it has a conversion that is not known"),
        None => return Err("it ends with `%`"),
    })
}

impl Item {
    /// The pattern of an item of fixed width, and an example of the item.
    fn pattern(self) -> (Option<Vec<u8>>, Vec<u8>) {
        let example: &[u8] = match self {
            Self::Literal(byte) => return (Some(vec![byte]), vec![byte]),
            Self::Number(part, width) => {
                let example: &[u8] = match part {
                    Part::Year => b"2026",
                    Part::YearOfCentury => b"26",
                    Part::Month => b"11",
                    Part::Day => b"21",
                    Part::DayOfYear => b"325",
                    Part::Hour => b"13",
                    Part::HourOfHalf => b"01",
                    Part::Minute => b"25",
                    Part::Second => b"22",
                };
                let pattern = (width != Width::Padded).then(|| vec![b'0'; example.len()]);
                return (pattern, example.to_vec());
            }
            Self::MonthName => return (Some(b"aaa".to_vec()), b"Nov".to_vec()),
            Self::Weekday => return (Some(b"aaa".to_vec()), b"Sat".to_vec()),
            Self::Half => return (Some(b"aa".to_vec()), b"PM".to_vec()),
            Self::Offset => b"+0545",
            Self::ZoneName => b"UTC",
            Self::Fraction => b"707",
            Self::MaybeFraction => b".707",
            Self::Epoch { unit: 0, .. } => b"1795246822",
            Self::Epoch { unit: 3, .. } => b"1795246822707",
            Self::Epoch { unit: 6, .. } => b"1795246822707000",
            Self::Epoch { .. } => b"1795246822707000000",
        };
        (None, example.to_vec())
    }

    /// Takes the item off the front of `text`. `None` if it is not there.
    fn take<'t>(self, text: &'t [u8], parts: &mut Parts) -> Option<&'t [u8]> {
        match self {
            Self::Literal(byte) => text.strip_prefix(&[byte]),
            Self::Number(part, width) => {
                let len = if let Width::Digits(digits) = width { usize::from(digits) } else { 2 };
                let (number, rest) = text.split_at_checked(len)?;
                let number = number.strip_prefix(b" ").filter(|_| width == Width::Padded).unwrap_or(number);
                if !number.iter().all(u8::is_ascii_digit) {
                    return None;
                }
                let value = number.iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0'));
                parts.numbers[part as usize] = Some(value);
                Some(rest)
            }
            Self::MonthName => {
                let (rest, month) = month_name(text).ok()?;
                parts.numbers[Part::Month as usize] = Some(month.into());
                Some(rest)
            }
            Self::Weekday => {
                let (name, rest) = text.split_at_checked(3)?;
                name.iter().all(u8::is_ascii_alphabetic).then_some(rest)
            }
            Self::Half => {
                let (half, rest) = text.split_at_checked(2)?;
                parts.is_afternoon = Some(match half.to_ascii_uppercase().as_slice() {
                    b"AM" => false,
                    b"PM" => true,
                    _ => return None,
                });
                Some(rest)
            }
            Self::Offset => {
                let (rest, seconds) = offset(text).ok()?;
                parts.offset = Some(seconds);
                Some(rest)
            }
            Self::ZoneName => {
                let len = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
                let (name, rest) = text.split_at(len);
                parts.offset = Some(matches!(name, b"UTC" | b"GMT" | b"Z").then_some(0));
                (len > 0).then_some(rest)
            }
            Self::Fraction => match digits(text) {
                0 => None,
                digits => Some(&text[digits..]),
            },
            Self::MaybeFraction => match text.strip_prefix(b".").map(digits) {
                None | Some(0) => Some(text),
                Some(digits) => Some(&text[1 + digits..]),
            },
            Self::Epoch { unit, has_fraction } => {
                let own = if has_fraction { text } else { &text[..digits(text)] };
                let (rest, seconds) = epoch_of(own, unit).ok()?;
                parts.epoch = Some(seconds);
                Some(&text[own.len() - rest.len()..])
            }
        }
    }
}

impl Parts {
    /// The year, if it was read.
    fn year(&self) -> Option<u16> {
        let number = |part: Part| self.numbers[part as usize];
        // As POSIX has it: 69 to 99 are of the last century.
        let of_century =
            || number(Part::YearOfCentury).map(|year| if year < 69 { 2000 + year } else { 1900 + year });
        number(Part::Year).or_else(of_century)
    }

    /// The seconds since 1970, if there is such a time in the year.
    fn seconds(&self, zone: i64, year: Option<u16>) -> Option<i64> {
        if let Some(epoch) = self.epoch {
            return epoch;
        }
        let number = |part: Part| self.numbers[part as usize];
        let year = year?;
        let hour = match (number(Part::Hour), number(Part::HourOfHalf), self.is_afternoon) {
            (Some(hour), _, _) => hour,
            (None, Some(hour @ 1..=12), Some(is_afternoon)) => hour % 12 + if is_afternoon { 12 } else { 0 },
            _ => return None,
        };
        let (minute, second) = (number(Part::Minute)?, number(Part::Second).unwrap_or(0));
        let seconds = seconds_of_day(hour.into(), minute.into(), second.into());
        let offset = self.offset.unwrap_or(Some(zone));
        let small = |number: u16| u8::try_from(number).ok();
        match (number(Part::Month), number(Part::Day), number(Part::DayOfYear)) {
            (Some(month), Some(day), _) => instant(year, small(month)?, small(day)?, seconds, offset),
            (_, _, Some(day @ 1..=366)) => {
                let january = instant(year, 1, 1, seconds, offset)?;
                let next = instant(year + 1, 1, 1, seconds, offset)?;
                let found = january + i64::from(day - 1) * 86_400;
                (found < next).then_some(found)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: i64 = 1_795_246_822;

    fn read(pattern: &str, text: &str) -> Option<(usize, Option<i64>)> {
        Pattern::new(pattern).unwrap().read(text.as_bytes(), 0)
    }

    #[test]
    fn every_conversion_is_read() {
        for (pattern, text, expected) in [
            ("%d/%b/%Y:%H:%M:%S %z", "21/Nov/2026:13:25:22 +0545", SECONDS),
            ("%Y-%m-%d %H:%M:%S.%f", "2026-11-21 07:40:22.123456", SECONDS),
            ("%FT%T,%L%z", "2026-11-21T13:25:22,123+05:45", SECONDS),
            ("%a %b %e %H:%M:%S %Y", "Sat Nov 21 07:40:22 2026", SECONDS),
            ("%c", "Sun Nov  1 07:40:22 2026", SECONDS - 20 * 86_400),
            ("%D %r", "11/21/26 07:40:22 AM", SECONDS),
            ("%D %l:%M:%S%p", "11/21/26  7:40:22pm", SECONDS + 12 * 3600),
            ("%D %I:%M %p", "11/21/26 12:40 AM", SECONDS - 22 - 7 * 3600),
            ("%Y.%j %k:%M:%S %Z", "2026.325  7:40:22 GMT", SECONDS),
            ("%Y %j %R", "2024 366 00:00", 1_735_603_200),
            ("%s", "1795246822", SECONDS),
            ("%s.%N", "1795246822.123456789", SECONDS),
            ("%%%F%t%R", "%1999-12-31\t23:59", 946_684_740),
            ("%y%m%d%H%M%S", "690101000000", -31_536_000),
        ] {
            assert_eq!(read(pattern, text), Some((text.len(), Some(expected))), "{pattern} {text}");
            let pattern = Pattern::new(pattern).unwrap();
            let (len, seconds) = pattern.read(pattern.sample(), 0).unwrap();
            assert!(len == pattern.sample().len() && seconds.is_some(), "{pattern:?}");
        }
    }

    #[test]
    fn what_is_no_date_is_told_from_what_is_no_time() {
        for (pattern, text) in [
            ("%F %T", "2026-02-29 00:00:00"),
            ("%F %T", "2026-02-28 24:00:00"),
            ("%Y %j %R", "2026 366 00:00"),
            ("%Y %j %R", "2026 000 00:00"),
            ("%D %I:%M %p", "11/21/26 13:40 AM"),
            ("%F %T %Z", "2026-02-28 00:00:00 CET"),
            ("%F %T %z", "2026-02-28 00:00:00 +9900"),
        ] {
            assert_eq!(read(pattern, text), Some((text.len(), None)), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("%F %T", "2026-02-2x 00:00:00"),
            ("%F %T", "2026-02- 2 00:00:00"),
            ("%c", "Sun Nov x1 07:40:22 2026"),
            ("%c", "S1n Nov 11 07:40:22 2026"),
            ("%F %T.%f", "2026-02-28 00:00:00."),
            ("%s", "x"),
            ("%s", "-1"),
            ("%D %I:%M %p", "11/21/26 11:40 XM"),
        ] {
            assert_eq!(read(pattern, text), None, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_that_does_not_tell_the_instant_is_refused() {
        for pattern in
            ["", "%", "%Q", "%T", "%F", "%F %I:%M", "%j %T", "%m %T", "%Y-%d %T", "%F %H", "%F\n%T", "ms"]
        {
            assert!(matches!(Pattern::new(pattern), Err(FormatError::TimeShape { .. })), "{pattern}");
        }
    }

    #[test]
    fn a_time_without_a_year_is_of_the_last_one_in_which_it_has_been() {
        let pattern = Pattern::new("%b %e %T").unwrap();
        assert!(pattern.lacks_year() && !Pattern::new("%c").unwrap().lacks_year());
        let read = |text: &str, zone, latest| pattern.read_before(text.as_bytes(), zone, latest).unwrap().1;
        for (text, before, after) in [
            ("Nov 21 07:40:22", SECONDS - 365 * 86_400, SECONDS),
            ("Nov 20 23:59:59", SECONDS - 27_623, SECONDS - 27_623),
            ("Nov 21 07:40:23", SECONDS + 1 - 365 * 86_400, SECONDS + 1 - 365 * 86_400),
            ("Dec 31 23:59:59", 1_767_225_599, 1_767_225_599),
            ("Feb 29 00:00:00", 1_709_164_800, 1_709_164_800),
        ] {
            assert_eq!(read(text, 0, SECONDS - 1), Some(before), "{text}");
            assert_eq!(read(text, 0, SECONDS), Some(after), "{text}");
        }
        assert_eq!(read("Nov 21 07:40:22", -3600, SECONDS), Some(SECONDS + 3600 - 365 * 86_400));
        assert_eq!(read("Nov 31 07:40:22", 0, SECONDS), None);
        // 1900 was no leap year.
        assert_eq!(read("Feb 29 00:00:00", 0, -2_100_000_000), Some(-2_330_121_600));
        assert_eq!(pattern.read_before(b"Nov x", 0, SECONDS), None);
        assert_eq!(pattern.read(b"Nov 21 07:40:22", 0), Some((15, None)));
    }

    #[test]
    fn units_of_an_epoch_are_rounded_down() {
        for (unit, text, expected) in [
            (0, "1795246822.999", SECONDS),
            (3, "1795246822999", SECONDS),
            (3, "1795246822999.9", SECONDS),
            (6, "1795246822999999", SECONDS),
            (9, "1795246822999999999", SECONDS),
            (3, "1", 0),
            (3, "-1", -1),
            (3, "-1000", -1),
            (3, "-1000.5", -2),
        ] {
            let read = Pattern::epoch(unit).read(text.as_bytes(), 3600);
            assert_eq!(read, Some((text.len(), Some(expected))), "{text}");
        }
        assert_eq!(Pattern::epoch(3).read(b"999999999999999", 0), Some((15, None)));
    }
}
