//! The counters of lines and bytes, from the worker that counts them to the status and the binlog.
//!
//! Each worker counts in a [`Counters`] of its own. At a cut, the committer adds those of all workers to the totals in
//! the binlog. The status has the same counters in [`AtomicCounters`], to which every worker adds once per chunk.
//!
//! A new counter is a field of [`Counters`] and an element of the two arrays below. All arithmetic goes through these
//! arrays, so no counter can be left out of a sum.
//!
//! ```text
//! worker 0  Counters --\                   /--> binlog's ledger, durable with the batches
//! worker 1  Counters ----> committer: += --|
//! worker 2  Counters --/                   \--> summary of the run
//!    \--------------------> AtomicCounters -----> status, at any time
//! ```
//!
//! Counters in the status may be ahead of those in the ledger by the lines since the last cut. After a crash these
//! lines are read again, and counted again from the ledger's numbers.

use std::{
    ops::{AddAssign, Sub},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use serde::{Deserialize, Serialize};

/// The number of counters.
const COUNTERS: usize = 7;

/// The counters of a source. They only grow.
///
/// The binlog has them as JSON; `docs/binlog-format.md` specifies it. A counter that was added after the first version
/// is left out there while it is 0.
///
/// With a single statistic, `lines - rejected` is the sum of its counts plus `too_late`. An example of the JSON:
/// `{"lines":1000,"bytes":151200,"rejected":3,"lost_bytes":0}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Lines that were read, including rejected ones.
    pub lines: u64,
    /// Bytes of these lines, including newlines.
    pub bytes: u64,
    /// Lines that were rejected, including empty ones.
    pub rejected: u64,
    /// Bytes of the log that vanished before they were read.
    pub lost_bytes: u64,
    /// Lines left out of a statistic because their window was past its retention, once for each such statistic.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub too_late: u64,
    /// Lines that were counted although their time was more than a day ahead of the clock.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ahead: u64,
    /// Values that were left out of lenient measures, since they are no numbers or out of range. A value counts once for
    /// each way of reading its field.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bad_values: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Counters {
    fn to_array(self) -> [u64; COUNTERS] {
        let Self { lines, bytes, rejected, lost_bytes, too_late, ahead, bad_values } = self;
        [lines, bytes, rejected, lost_bytes, too_late, ahead, bad_values]
    }

    fn from_array(counters: [u64; COUNTERS]) -> Self {
        let [lines, bytes, rejected, lost_bytes, too_late, ahead, bad_values] = counters;
        Self { lines, bytes, rejected, lost_bytes, too_late, ahead, bad_values }
    }
}

/// Counters of disjoint pieces of the log add up to those of all of them.
impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        let (ours, others) = (self.to_array(), other.to_array());
        *self = Self::from_array(std::array::from_fn(|at| ours[at] + others[at]));
    }
}

/// The difference from earlier counters to later ones.
impl Sub for Counters {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        let (now, then) = (self.to_array(), before.to_array());
        debug_assert!(now.iter().zip(&then).all(|(now, then)| now >= then), "{self:?} before {before:?}");
        Self::from_array(std::array::from_fn(|at| now[at] - then[at]))
    }
}

/// Counters to which several threads add at the same time.
///
/// Each counter is exact. Two of them may be of slightly different moments: the lines of a chunk may be there before
/// its bytes.
///
/// Workers add once for each chunk, not for each line: an atomic addition for each line would make all workers wait
/// for one cache line.
#[derive(Debug, Default)]
pub(crate) struct AtomicCounters([AtomicU64; COUNTERS]);

impl AtomicCounters {
    /// Adds to every counter.
    pub(crate) fn add(&self, counters: Counters) {
        for (counter, added) in self.0.iter().zip(counters.to_array()) {
            // Most counters stay at 0, and adding 0 would take the cache line from the other threads.
            if added > 0 {
                counter.fetch_add(added, Relaxed);
            }
        }
    }

    /// Replaces every counter.
    pub(crate) fn store(&self, counters: Counters) {
        for (counter, value) in self.0.iter().zip(counters.to_array()) {
            counter.store(value, Relaxed);
        }
    }

    /// Returns the present counters.
    pub(crate) fn load(&self) -> Counters {
        Counters::from_array(std::array::from_fn(|at| self.0[at].load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counters that are all different, so that a test notices one in the place of another.
    fn distinct(factor: u64) -> Counters {
        Counters {
            lines: factor,
            bytes: 2 * factor,
            rejected: 3 * factor,
            lost_bytes: 4 * factor,
            too_late: 5 * factor,
            ahead: 6 * factor,
            bad_values: 7 * factor,
        }
    }

    #[test]
    fn sums_and_differences_are_taken_of_each_counter() {
        let mut sum = distinct(1);
        sum += distinct(10);
        assert_eq!((sum, sum - distinct(1)), (distinct(11), distinct(10)));
    }

    #[test]
    fn shared_counters_are_the_sum_of_what_was_added() {
        let shared = AtomicCounters::default();
        shared.store(distinct(100));
        shared.add(distinct(1));
        shared.add(Counters::default());
        assert_eq!(shared.load(), distinct(101));
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "before")]
    fn counters_that_decrease_are_noticed() {
        let _ = distinct(1) - distinct(2);
    }
}
