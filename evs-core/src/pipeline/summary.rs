//! The totals of a run.

use std::time::Duration;

use serde::Serialize;

use crate::seconds;

/// The totals of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Lines read, including rejected ones. A line that was read before a crash and is read again is counted once.
    pub lines: u64,
    /// Lines that were not counted, including empty ones.
    pub rejected: u64,
    /// Bytes of all those lines.
    pub bytes: u64,
    /// Bytes of the log that vanished before they were read.
    pub lost_bytes: u64,
    /// Lines left out of a statistic because their window was past its retention, once for each such statistic.
    pub too_late: u64,
    /// Lines that were counted although their time was more than a day ahead of the clock.
    pub ahead: u64,
    /// Values that were left out of [lenient](crate::Measure::lenient) measures, since they are no numbers or out of range. A
    /// value counts once for each way of reading its field.
    pub bad_values: u64,
    /// Batches that were cut.
    pub batches: u64,
    /// Batches that stayed in the binlog for the next start, over all sinks.
    pub undelivered: u64,
    /// True if every sink has everything that was read. After [`run_to_end`](crate::Pipeline::run_to_end) it also means that
    /// the end of the log was reached.
    pub is_complete: bool,
    /// The duration of the run.
    #[serde(rename = "seconds", serialize_with = "seconds::of")]
    pub duration: Duration,
}
