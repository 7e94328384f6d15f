//! The options of a binlog.

use std::time::Duration;

/// The limits of a binlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinlogOptions {
    /// The size beyond which a segment is closed and the next one begins: 64 MiB by default. A commit is never split,
    /// so a larger commit makes a larger segment.
    pub segment_bytes_max: u64,
    /// The time for which a segment is kept after every sink has acknowledged its batches: 10 minutes by default. A
    /// sink that lost its latest batches (it was restored from a backup or failed over) gets them again from there.
    pub keep_acknowledged: Duration,
}

impl Default for BinlogOptions {
    fn default() -> Self {
        Self { segment_bytes_max: 64 << 20, keep_acknowledged: Duration::from_secs(600) }
    }
}
