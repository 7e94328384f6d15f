//! The last times of a column, which are compared instead of parsed.

use super::{ISO8601, LOCAL, Shape, fraction, text::offset};
use crate::number::short_decimal;

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
    /// The zone of times without one.
    zone: i64,
    /// True if a time without a zone is left to the reference: the text after it could belong to it.
    needs_zone: bool,
    /// By the low four bits of the last digit of the seconds, a time. Digits take ten of the sixteen places; the index
    /// needs no check.
    times: [RecentTime; 16],
    /// The same for times with a fraction or another zone, of which the text up to the seconds is remembered, read as
    /// a time of UTC.
    starts: [RecentTime; 16],
}

/// A time that was read, with its text.
#[derive(Clone, Copy, Debug)]
struct RecentTime {
    /// The first and the last 16 bytes of the text. They overlap, so together they are the whole text.
    head: [u8; 16],
    tail: [u8; 16],
    /// The length of the text. Only patterns have texts of several lengths.
    len: usize,
    /// The time in seconds since 1970.
    seconds: i64,
}

impl RecentTime {
    /// No text is equal to this: its head and tail differ where they would overlap.
    const NONE: Self = Self { head: [0; 16], tail: [1; 16], len: 0, seconds: 0 };
}

impl RecentTimes {
    /// A cache without times. The byte `until` follows each time, unless the line ends there. Times without a zone are
    /// those of `zone`.
    pub(in crate::format) fn new(shape: &Shape, is_the_time: bool, until: Option<u8>, zone: i64) -> Self {
        let needs_zone = until.is_some_and(|byte| shape.may_take(byte));
        let (times, starts) = ([RecentTime::NONE; 16], [RecentTime::NONE; 16]);
        Self { shape: shape.clone(), is_the_time, zone, needs_zone, times, starts }
    }

    /// The seconds of a time, or 0 if this column is not the time. `None` if `text` is not a time.
    #[inline]
    pub(in crate::format) fn read(&mut self, text: &[u8]) -> Option<i64> {
        // The offset of the last digit of the seconds, and the length of the text.
        let (digit, len) = match self.shape {
            Shape::Local => (19, LOCAL.len() + 6),
            Shape::Iso8601 => (18, ISO8601.len() + 6),
            Shape::Msec => {
                let read = ten_digits_and_millis(text).or_else(|| whole_units(text));
                return read.or_else(|| self.parse(text));
            }
            Shape::Pattern(_) => return self.read_pattern(text),
        };
        if text.len() != len {
            return self.read_start(text);
        }
        let (head, tail) = (*text.first_chunk()?, *text.last_chunk()?);
        let recent = &self.times[usize::from(text[digit] & 15)];
        if recent.head == head && recent.tail == tail {
            return Some(recent.seconds);
        }
        let seconds = self.parse(text)?;
        self.times[usize::from(text[digit] & 15)] = RecentTime { head, tail, len, seconds };
        Some(seconds)
    }

    /// Reads a time that is not remembered.
    #[cold]
    fn parse(&self, text: &[u8]) -> Option<i64> {
        match self.is_the_time {
            _ if self.shape.length(text) != Some(text.len()) => None,
            _ if self.needs_zone && !self.has_zone(text) => None,
            true => self.shape.seconds(text, self.zone).ok(),
            false => self.shape.fits(text).then_some(0),
        }
    }

    /// True if a text of this shape ends with a zone.
    fn has_zone(&self, text: &[u8]) -> bool {
        let start = if self.shape == Shape::Local { LOCAL.len() } else { ISO8601.len() };
        let Some(rest) = text.get(start..) else { return false };
        let fraction = fraction(rest);
        let zone = &rest[fraction..];
        !zone.is_empty() && self.shape.zone(zone) == zone.len()
    }

    /// Reads a time with a fraction, or with another zone than nginx prints, or without one. Its start is compared with
    /// those that were read.
    #[inline(never)]
    fn read_start(&mut self, text: &[u8]) -> Option<i64> {
        let len = if self.shape == Shape::Local { LOCAL.len() } else { ISO8601.len() };
        let (start, rest) = text.split_at_checked(len)?;
        let (head, tail) = (*start.first_chunk()?, *start.last_chunk()?);
        let place = usize::from(start[len - 1] & 15);
        let recent = self.starts[place];
        let is_known = recent.head == head && recent.tail == tail;
        let seconds = if is_known { recent.seconds } else { self.shape.seconds(start, 0).ok()? };
        if !is_known {
            self.starts[place] = RecentTime { head, tail, len, seconds };
        }
        let zone = &rest[fraction(rest)..];
        let offset = match zone {
            [] if self.needs_zone => return None,
            [] => self.zone,
            b"Z" => 0,
            _ if self.shape.zone(zone) != zone.len() => return None,
            _ => match offset(zone.trim_ascii_start()) {
                Ok(([], Some(offset))) => offset,
                _ => return None,
            },
        };
        Some(if self.is_the_time { seconds - offset } else { 0 })
    }

    /// Reads a time of a pattern.
    #[inline(never)]
    fn read_pattern(&mut self, text: &[u8]) -> Option<i64> {
        let Shape::Pattern(pattern) = &self.shape else { return None };
        let len = text.len();
        // Longer texts, and those whose seconds have no fixed place, are not remembered.
        let digit = pattern.second().filter(|digit| *digit < len && (16..=32).contains(&len));
        let Some(digit) = digit else { return self.parse(text) };
        let (head, tail) = (*text.first_chunk()?, *text.last_chunk()?);
        let place = usize::from(text[digit] & 15);
        let recent = &self.times[place];
        if recent.len == len && recent.head == head && recent.tail == tail {
            return Some(recent.seconds);
        }
        let seconds = self.parse(text)?;
        self.times[place] = RecentTime { head, tail, len, seconds };
        Some(seconds)
    }
}

/// The seconds of a number since 1970, of the years 2001 to 2286, whose digits tell the unit: see
/// [`is_epoch`](super::is_epoch).
#[inline]
fn whole_units(text: &[u8]) -> Option<i64> {
    let unit = match text.len() {
        10 => 1,
        13 => 1_000,
        16 => 1_000_000,
        19 => 1_000_000_000,
        _ => return None,
    };
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // 19 digits have room in 64 bits without a sign.
    let units = text.iter().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    i64::try_from(units / unit).ok()
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
