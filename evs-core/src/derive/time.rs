//! The parts of a line's time: its hour, its day of the week, its date.

use std::{fmt, str::FromStr};

use time::OffsetDateTime;

use super::expr::ABSENT;

/// An offset from UTC, in minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UtcOffset {
    minutes: i32,
}

/// The largest offset from UTC, either way: beyond what any zone has.
const MINUTES_MAX: i32 = 18 * 60;

impl UtcOffset {
    /// The same time in seconds, as a clock of that offset shows it.
    pub(crate) fn shift(self, seconds: i64) -> i64 {
        seconds.saturating_add(i64::from(self.minutes) * 60)
    }

    pub(crate) fn is_utc(self) -> bool {
        self.minutes == 0
    }
}

impl FromStr for UtcOffset {
    type Err = String;

    /// Reads `+02:00`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not an offset from UTC such as +02:00");
        let (sign, rest) = match text.as_bytes().first() {
            Some(b'+') => (1, &text[1..]),
            Some(b'-') => (-1, &text[1..]),
            _ => return Err(wrong()),
        };
        let number = |text: &str| {
            (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| text.parse::<i32>().ok())
                .flatten()
        };
        let (hours, minutes) = rest.split_once(':').ok_or_else(wrong)?;
        match (number(hours), number(minutes)) {
            (Some(hours), Some(minutes)) if minutes < 60 && hours * 60 + minutes <= MINUTES_MAX => {
                Ok(Self { minutes: sign * (hours * 60 + minutes) })
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minutes < 0 { '-' } else { '+' };
        let minutes = self.minutes.abs();
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// A part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimePart {
    /// `00` to `59`.
    Minute,
    /// `00` to `23`.
    Hour,
    /// `1` for Monday to `7` for Sunday, as in ISO 8601.
    Weekday,
    /// `2026-11-21`.
    Date,
    /// `2026-11`.
    Month,
}

impl TimePart {
    /// All parts, with their names.
    pub(crate) const ALL: [(&str, Self); 5] = [
        ("minute", Self::Minute),
        ("hour", Self::Hour),
        ("weekday", Self::Weekday),
        ("date", Self::Date),
        ("month", Self::Month),
    ];

    /// The part's name.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, part)| *part == self).map_or("", |(name, _)| *name)
    }

    /// Appends the part of a time in seconds since 1970.
    pub(crate) fn write(self, seconds: &[u8], out: &mut Vec<u8>) {
        let seconds = str::from_utf8(seconds).ok().and_then(|text| text.parse::<i64>().ok());
        let Some(time) = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()) else {
            out.extend_from_slice(ABSENT);
            return;
        };
        let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
        let text = match self {
            Self::Minute => format!("{:02}", time.minute()),
            Self::Hour => format!("{:02}", time.hour()),
            Self::Weekday => time.weekday().number_from_monday().to_string(),
            Self::Date => format!("{year:04}-{month:02}-{day:02}"),
            Self::Month => format!("{year:04}-{month:02}"),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_time() {
        let part = |part: TimePart, seconds: &str| {
            let mut out = Vec::new();
            part.write(seconds.as_bytes(), &mut out);
            String::from_utf8(out).unwrap()
        };
        // 2026-11-21T13:25:22Z, a Saturday.
        for (name, expected) in
            [("minute", "25"), ("hour", "13"), ("weekday", "6"), ("date", "2026-11-21"), ("month", "2026-11")]
        {
            let (_, known) = TimePart::ALL.into_iter().find(|(known, _)| *known == name).unwrap();
            assert_eq!(part(known, "1795267522"), expected, "{name}");
            assert_eq!(known.name(), name);
        }
        assert_eq!(part(TimePart::Date, "-1"), "1969-12-31");
        assert_eq!(part(TimePart::Date, "x"), "-");
        assert_eq!(part(TimePart::Date, "9223372036854775807"), "-");
    }

    #[test]
    fn offsets_are_read_as_they_are_written() {
        for text in ["+00:00", "+02:00", "-03:30", "+18:00"] {
            assert_eq!(text.parse::<UtcOffset>().unwrap().to_string(), text);
        }
        for text in ["", "+2:00", "02:00", "+02:60", "+18:01", "+02", "+ 2:00", "+02:00 ", "\u{b1}02:00"] {
            assert!(text.parse::<UtcOffset>().is_err(), "{text}");
        }
        assert_eq!("-03:30".parse::<UtcOffset>().unwrap().shift(0), -12_600);
    }
}
