//! The limits of a store: the windows, sums and keys that it can hold.
//!
//! A pipeline intersects the limits of all its sinks and checks every line against the result before it counts the
//! line.
//!
//! Checking at the line and not at the batch is what keeps a client from stopping a sink. A batch has lines of many
//! clients. If one of them could send a key that the store refuses, every batch with that key would be refused, and
//! the sink would stand still. Here that one line is rejected, counted and kept with its reason, and the rest goes
//! on.

use std::ops::RangeInclusive;

/// The limits of a store.
///
/// A line that does not fit into every configured store is rejected when it is read, for all of them. So no client
/// can send a line from which a batch is made that a store refuses.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::Limits;
///
/// let limits = Limits::default().windows(0..=253_402_300_799).key_bytes_max(65_535);
/// assert!(!limits.windows.contains(&-1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The range of window starts, in seconds since 1970.
    pub windows: RangeInclusive<i64>,
    /// The range of a sum's total, times 10^scale.
    pub sums: RangeInclusive<i128>,
    /// The maximum length of one key, in bytes of its [text](crate::batch::escape).
    pub key_bytes_max: usize,
    /// The maximum length of all keys of a row together, in bytes of their text.
    pub keys_bytes_max: usize,
}

/// The default has no limits.
impl Default for Limits {
    fn default() -> Self {
        Self {
            windows: i64::MIN..=i64::MAX,
            sums: i128::MIN..=i128::MAX,
            key_bytes_max: usize::MAX,
            keys_bytes_max: usize::MAX,
        }
    }
}

impl Limits {
    /// Sets [`windows`](Self::windows).
    #[must_use]
    pub fn windows(mut self, starts: RangeInclusive<i64>) -> Self {
        self.windows = starts;
        self
    }

    /// Sets [`sums`](Self::sums).
    #[must_use]
    pub fn sums(mut self, totals: RangeInclusive<i128>) -> Self {
        self.sums = totals;
        self
    }

    /// Sets [`key_bytes_max`](Self::key_bytes_max).
    #[must_use]
    pub fn key_bytes_max(mut self, bytes: usize) -> Self {
        self.key_bytes_max = bytes;
        self
    }

    /// Sets [`keys_bytes_max`](Self::keys_bytes_max).
    #[must_use]
    pub fn keys_bytes_max(mut self, bytes: usize) -> Self {
        self.keys_bytes_max = bytes;
        self
    }

    /// Returns the limits of two stores together: a value is within them if both stores can hold it.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        fn both<T: Copy + Ord>(one: &RangeInclusive<T>, other: &RangeInclusive<T>) -> RangeInclusive<T> {
            *one.start().max(other.start())..=*one.end().min(other.end())
        }
        Self {
            windows: both(&self.windows, &other.windows),
            sums: both(&self.sums, &other.sums),
            key_bytes_max: self.key_bytes_max.min(other.key_bytes_max),
            keys_bytes_max: self.keys_bytes_max.min(other.keys_bytes_max),
        }
    }

    /// Returns the range of times whose windows, each `window_seconds` long, the store can hold.
    pub(crate) fn times(&self, window_seconds: i64) -> RangeInclusive<i64> {
        let length = i128::from(window_seconds.max(1));
        let (first, last) = (i128::from(*self.windows.start()), i128::from(*self.windows.end()));
        let start = first + (length - first.rem_euclid(length)) % length;
        let end = last - last.rem_euclid(length) + length - 1;
        // A window that lies within 64 bits must also end within them.
        let (least, most) = (i128::from(i64::MIN) + length, i128::from(i64::MAX) - length);
        start.clamp(least, most) as i64..=end.clamp(least, most) as i64
    }

    /// Returns the range of values that one line may add to a sum, unless the measure sets its own range. It is small
    /// enough that [`ADDITIONS`](Self::ADDITIONS) such lines can be added up.
    pub(crate) fn summands(&self) -> RangeInclusive<i64> {
        let share = |total: i128| (total / Self::ADDITIONS).clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        share(*self.sums.start())..=share(*self.sums.end())
    }

    /// The number of lines with the largest value that a row can hold. A higher number would reject lines of real
    /// logs: a duration in nanoseconds must be able to exceed 15 minutes, and some last for days.
    pub(crate) const ADDITIONS: i128 = 8_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_whose_windows_fit() {
        let limits = Limits::default().windows(-90..=119);
        for (window, times) in [(1, -90..=119), (60, -60..=119), (90, -90..=179), (7, -84..=125)] {
            assert_eq!(limits.times(window), times, "{window}");
            let start = |time: i64| time - time.rem_euclid(window);
            assert!(limits.windows.contains(&start(*times.start())), "{window}");
            assert!(!limits.windows.contains(&start(times.start() - 1)), "{window}");
            assert!(limits.windows.contains(&start(*times.end())), "{window}");
            assert!(!limits.windows.contains(&start(times.end() + 1)), "{window}");
        }
        let times = Limits::default().times(60);
        assert_eq!(times, i64::MIN + 60..=i64::MAX - 60);
    }

    #[test]
    fn both_stores_hold_what_each_of_them_holds() {
        let one = Limits::default().windows(0..=10).sums(-5..=5).key_bytes_max(7);
        let other = Limits::default().windows(-3..=8).keys_bytes_max(9);
        let both = Limits::default().windows(0..=8).sums(-5..=5).key_bytes_max(7).keys_bytes_max(9);
        assert_eq!(one.and(&other), both);
        assert_eq!(other.and(&one), both);
    }

    #[test]
    fn a_line_adds_what_thousands_of_lines_can() {
        assert_eq!(Limits::default().summands(), i64::MIN..=i64::MAX);
        let narrow = Limits::default().sums(i64::MIN.into()..=i64::MAX.into());
        assert_eq!(narrow.summands(), -1_152_921_504_606_846..=1_152_921_504_606_846);
    }
}
