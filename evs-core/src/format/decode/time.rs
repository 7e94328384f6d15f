//! Reads times as logs print them, into seconds since 1970.
//!
//! `21/Nov/2026:13:25:22 +0545`, for example, is 1,795,246,822. Lines of one second have the same text, so the last
//! times are remembered and compared, not parsed again.
//!
//! | shape | nginx | others |
//! | --- | --- | --- |
//! | [`Local`](Shape::Local) | `$time_local` | Apache's `%t`; HAProxy's, with a fraction and no zone |
//! | [`Iso8601`](Shape::Iso8601) | `$time_iso8601` | RFC 3339, with a fraction, `Z` or no zone |
//! | [`Msec`](Shape::Msec) | `$msec` | seconds, milli-, micro- or nanoseconds since 1970 |
//! | [`Pattern`](Shape::Pattern) | | conversions of `strftime`, such as Apache's `%{…}t` |
//!
//! A shape is checked before its numbers: a text of the wrong shape is [`Reason::Time`], and one of the right shape
//! whose date does not exist is [`Reason::Date`]. Fractions of a second are dropped, since windows are whole seconds
//! long. A time without a zone is one of the format's zone, which is UTC unless the format says another.

use std::sync::Arc;

use crate::{
    clock::unix_now,
    format::{error::FormatError, rejection::Reason},
};

mod pattern;
mod recent;
mod text;

use self::text::{epoch, finish, iso8601, local};
pub(in crate::format) use self::{pattern::Pattern, recent::RecentTimes};

/// The shape of a time in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::format) enum Shape {
    /// `1795246765.707`, as in `$msec`, or a number of digits that tells the unit: see [`is_epoch`].
    Msec,
    /// `2026-11-21T13:25:22+05:45`, as in `$time_iso8601`. A fraction may follow the seconds. The zone may be `Z`, or
    /// missing.
    Iso8601,
    /// `21/Nov/2026:13:25:22 +0545`, as in `$time_local`. A fraction may follow the seconds, and the zone may be
    /// missing.
    Local,
    /// Conversions of `strftime`.
    Pattern(Arc<Pattern>),
}

/// The pattern of `$time_local` up to the seconds. `0` stands for a digit, `a` for a letter, and any other byte for
/// itself.
const LOCAL: &[u8] = b"00/aaa/0000:00:00:00";
/// The pattern of `$time_iso8601` up to the seconds.
const ISO8601: &[u8] = b"0000-00-00T00:00:00";
/// The number of digits of a nanosecond since 1970, in the years 2001 to 2286.
const EPOCH_DIGITS_MAX: usize = 19;

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

    /// The shape that a user names, or describes with conversions of `strftime`.
    pub(in crate::format) fn named(shape: &str) -> Result<Self, FormatError> {
        match shape {
            "epoch" => Ok(Self::Msec),
            "iso8601" => Ok(Self::Iso8601),
            "local" => Ok(Self::Local),
            "seconds" => Ok(Self::Pattern(Arc::new(Pattern::epoch(0)))),
            "milliseconds" => Ok(Self::Pattern(Arc::new(Pattern::epoch(3)))),
            "microseconds" => Ok(Self::Pattern(Arc::new(Pattern::epoch(6)))),
            "nanoseconds" => Ok(Self::Pattern(Arc::new(Pattern::epoch(9)))),
            _ => Ok(Self::Pattern(Arc::new(Pattern::new(shape)?))),
        }
    }

    /// A date and a time of day with that text between them: `2026-11-21 07:40:22`, with or without a fraction.
    pub(in crate::format) fn date_and_time(between: &str) -> Result<Self, FormatError> {
        let pattern = Pattern::new(&format!("%Y-%m-%d{between}%T"))?;
        Ok(Self::Pattern(Arc::new(pattern.with_fraction())))
    }

    /// The rank of the shape among the times of a format: the lowest is the line's time. (`$msec` needs no time zone,
    /// and `$time_iso8601` no name of a month.)
    pub(in crate::format) fn rank(&self) -> u8 {
        match self {
            Self::Msec => 0,
            Self::Iso8601 => 1,
            Self::Local => 2,
            Self::Pattern(_) => 3,
        }
    }

    /// The number of bytes that a time of this shape takes at the start of `rest`: as many as can belong to it.
    /// `None` if `rest` is too short.
    pub(in crate::format) fn length(&self, rest: &[u8]) -> Option<usize> {
        let whole = match self {
            Self::Local => LOCAL.len(),
            Self::Iso8601 => ISO8601.len(),
            Self::Msec => match digits(rest) {
                0 => return None,
                digits => digits,
            },
            Self::Pattern(pattern) => return pattern.read(rest, 0).map(|(length, _)| length),
        };
        let rest = rest.get(whole..)?;
        let fraction = fraction(rest);
        let zone = self.zone(&rest[fraction..]);
        Some(whole + fraction + zone)
    }

    /// The number of bytes of the zone at the start of `rest`.
    fn zone(&self, rest: &[u8]) -> usize {
        let patterns: &[&[u8]] = match self {
            Self::Local => &[b" +0000"],
            Self::Iso8601 => &[b"Z", b"+00:00", b"+0000"],
            Self::Msec | Self::Pattern(_) => &[],
        };
        let found = patterns
            .iter()
            .find(|pattern| rest.get(..pattern.len()).is_some_and(|zone| looks_like(pattern, zone)));
        found.map_or(0, |pattern| pattern.len())
    }

    /// The pattern with which such a time begins: `0` stands for a digit, `a` for a letter, `+` for a sign.
    pub(in crate::format) fn pattern(&self) -> &[u8] {
        match self {
            Self::Local => LOCAL,
            Self::Iso8601 => ISO8601,
            Self::Msec => b"0",
            Self::Pattern(pattern) => pattern.head(),
        }
    }

    /// A time of this shape.
    pub(in crate::format) fn sample(&self) -> &[u8] {
        match self {
            Self::Local => b"21/Nov/2026:13:25:22 +0545",
            Self::Iso8601 => b"2026-11-21T13:25:22+05:45",
            Self::Msec => b"1795246822.000",
            Self::Pattern(pattern) => pattern.sample(),
        }
    }

    /// True if times of this shape have no year, as those of syslog.
    pub(in crate::format) fn lacks_year(&self) -> bool {
        matches!(self, Self::Pattern(pattern) if pattern.lacks_year())
    }

    /// True if nearly all times of this shape are as long as its sample.
    pub(in crate::format) fn has_length(&self) -> bool {
        matches!(self, Self::Local | Self::Iso8601)
    }

    /// True if `byte` after a time may belong to that time: a greedy reader would take it, and look further.
    ///
    /// A zone ends a time in any case.
    pub(in crate::format) fn may_take(&self, byte: u8) -> bool {
        match self {
            Self::Local => matches!(byte, b'.' | b' ' | b'0'..=b'9'),
            Self::Iso8601 => matches!(byte, b'.' | b'Z' | b'+' | b'-' | b'0'..=b'9'),
            Self::Msec => matches!(byte, b'.' | b'0'..=b'9'),
            Self::Pattern(pattern) => pattern.may_take(byte),
        }
    }

    /// True if `text`, of that [`length`](Self::length), looks like a time. The date may not exist.
    pub(in crate::format) fn fits(&self, text: &[u8]) -> bool {
        let begins = |pattern: &[u8]| {
            text.get(..pattern.len()).is_some_and(|head| looks_like(pattern, head))
                && self.length(text) == Some(text.len())
        };
        match self {
            Self::Local => begins(LOCAL),
            Self::Iso8601 => begins(ISO8601),
            Self::Msec => is_epoch(text),
            Self::Pattern(pattern) => pattern.read(text, 0).is_some_and(|(length, _)| length == text.len()),
        }
    }

    /// The seconds of a text of this shape. A time without a zone is one of `zone`, which is ahead of UTC by that
    /// many seconds. A time without a year does not tell them: see [`LastTime::read`].
    fn seconds(&self, text: &[u8], zone: i64) -> Result<i64, Reason> {
        if !self.fits(text) {
            return Err(Reason::Time);
        }
        match self {
            Self::Local => finish(|text| local(text, zone), text),
            Self::Iso8601 => finish(|text| iso8601(text, zone), text),
            Self::Msec => finish(epoch, text),
            Self::Pattern(pattern) => match pattern.read(text, zone) {
                Some((_, seconds)) => seconds.ok_or(Reason::Date),
                None => Err(Reason::Time),
            },
        }
    }
}

/// The last second of the day after that of a time.
fn latest(now: i64) -> i64 {
    (now.div_euclid(DAY_SECONDS) + 2) * DAY_SECONDS - 1
}

const DAY_SECONDS: i64 = 86_400;

/// True if the text is a time since 1970 that was not cut: it has the three or more fraction digits of `$msec`, or as
/// many digits as a time from 2001 to 2286 has in seconds, milli-, micro- or nanoseconds: 10, 13, 16 or 19.
fn is_epoch(text: &[u8]) -> bool {
    let whole = digits(text);
    let fraction = fraction(&text[whole..]);
    let is_whole = matches!(whole, 10 | 13 | 16 | EPOCH_DIGITS_MAX);
    whole + fraction == text.len() && (is_whole || ((1..=12).contains(&whole) && fraction > 3))
}

/// The number of digits at the start of a text.
fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The number of bytes of the fraction at the start of a text: a point and digits, or nothing.
fn fraction(text: &[u8]) -> usize {
    match text {
        [b'.', fraction @ ..] => match digits(fraction) {
            0 => 0,
            digits => digits + 1,
        },
        _ => 0,
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
    /// The zone of times without one: the seconds by which it is ahead of UTC.
    zone: i64,
    /// The latest time that one without a year can be. `None` for that of the system's clock.
    latest: Option<i64>,
}

impl LastTime {
    /// For times of which those without a zone are ahead of UTC by that many seconds.
    pub(in crate::format) fn in_zone(zone: i64) -> Self {
        Self { zone, ..Self::default() }
    }

    /// The zone of times without one.
    pub(in crate::format) fn zone(&self) -> i64 {
        self.zone
    }

    /// True if `text` is the last time that was read.
    pub(in crate::format) fn knows(&self, text: &[u8]) -> bool {
        self.text == text
    }

    /// Sets the current time, in seconds since 1970.
    pub(in crate::format) fn set_now(&mut self, now: i64) {
        let latest = Some(latest(now));
        if self.latest != latest {
            self.latest = latest;
            self.text.clear();
        }
    }

    /// The seconds of a time of a known shape. One without a year is of the last year in which it is not after tomorrow: the
    /// web server's clock may be ahead, and its zone another.
    pub(in crate::format) fn read(&mut self, shape: &Shape, text: &[u8]) -> Result<i64, Reason> {
        match shape {
            Shape::Pattern(pattern) if pattern.lacks_year() => {
                let latest = self.latest.unwrap_or_else(|| latest(unix_now()));
                self.remembered(text, |text, zone| match pattern.read_before(text, zone, latest) {
                    Some((length, seconds)) if length == text.len() => seconds.ok_or(Reason::Date),
                    _ => Err(Reason::Time),
                })
            }
            _ => self.remembered(text, |text, zone| shape.seconds(text, zone)),
        }
    }

    /// The seconds of a time of any shape but a pattern: ISO 8601, `$time_local`, or a number since 1970. It may stand
    /// in brackets.
    pub(in crate::format) fn read_any(&mut self, text: &[u8]) -> Result<i64, Reason> {
        self.remembered(text, |text, zone| {
            let text = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text);
            match text {
                [_, _, b'/', ..] => finish(|text| local(text, zone), text),
                [_, _, _, _, b'-', ..] => finish(|text| iso8601(text, zone), text),
                _ => finish(epoch, text),
            }
        })
    }

    /// The remembered seconds if `text` is the last time read, else those that `seconds` reads.
    fn remembered(
        &mut self,
        text: &[u8],
        seconds: impl FnOnce(&[u8], i64) -> Result<i64, Reason>,
    ) -> Result<i64, Reason> {
        // At first the remembered text is empty, and the empty text is not a time.
        if self.text != text || text.is_empty() {
            let seconds = seconds(text, self.zone)?;
            // A time is short, except for the fraction digits that a client may have chosen.
            self.text.clear();
            self.text.extend_from_slice(text);
            self.seconds = seconds;
        }
        Ok(self.seconds)
    }
}

#[cfg(test)]
mod tests;
