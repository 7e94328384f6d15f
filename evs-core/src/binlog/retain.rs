//! Retention: removes the segments that no sink needs any more.
//!
//! Example with segments 5 to 8. The slowest sink has acknowledged everything in 5 and 6, and a part of 7. Segments 5
//! and 6 stay for `keep_acknowledged` after that: a store that fails over to an older replica gets its last batches
//! again from them. Then they go, the oldest first, so that the files that are left always are a range without a gap.

use std::time::Instant;

use super::{
    binlog::Binlog,
    error::{BinlogError, io_error},
    segment,
};

impl Binlog {
    /// Removes the oldest segments, and returns how many. A segment is removed if every registered sink acknowledged
    /// all its batches at least [`keep_acknowledged`](super::BinlogOptions::keep_acknowledged) ago, or if they have
    /// acknowledged them and the binlog is larger than `bytes_max`.
    ///
    /// The last segment stays, and so does every segment while no sink is registered. If even the last segment is not
    /// needed and the binlog is larger than `bytes_max`, a new one begins, so that the last one can be removed.
    ///
    /// # Errors
    ///
    /// If writing or removing failed. If there is no room for a new segment ([`is_disk_full`]), nothing is lost, and
    /// the call can be repeated.
    ///
    /// [`is_disk_full`]: BinlogError::is_disk_full
    pub fn retain(&mut self, now: Instant, bytes_max: u64) -> Result<usize, BinlogError> {
        self.check_usable()?;
        self.note_acknowledged(now);
        if self.bytes() > bytes_max && self.writer.has_appended() && self.is_acknowledged() {
            let result = self.rotate();
            self.poison_on_error(result)?;
        }
        let mut removed = 0;
        while self.may_remove_first(now, bytes_max) {
            let result = self.remove_first();
            self.poison_on_error(result)?;
            removed += 1;
        }
        Ok(removed)
    }

    fn note_acknowledged(&mut self, now: Instant) {
        let index = self.reader.index();
        for segment in &mut self.segments {
            let acknowledged = !self.state.sinks.is_empty()
                && index.is_acknowledged(segment.number, |statistic| self.state.acknowledged(statistic));
            segment.acknowledged_since = acknowledged.then(|| segment.acknowledged_since.unwrap_or(now));
        }
    }

    /// Returns whether nobody needs any segment, including the last one.
    fn is_acknowledged(&self) -> bool {
        self.segments.iter().all(|segment| segment.acknowledged_since.is_some())
    }

    fn may_remove_first(&self, now: Instant, bytes_max: u64) -> bool {
        let Some(since) = self.segments.front().and_then(|first| first.acknowledged_since) else {
            return false;
        };
        let long_enough = now.saturating_duration_since(since) >= self.options.keep_acknowledged;
        self.segments.len() > 1 && (long_enough || self.bytes() > bytes_max)
    }

    fn remove_first(&mut self) -> Result<(), BinlogError> {
        // The acknowledgements become durable first: without them, the next start would miss the batches.
        self.writer.sync()?;
        let Some(first) = self.segments.pop_front() else { return Ok(()) };
        self.reader.index_mut().forget_segment(first.number);
        let name = segment::name(first.number);
        self.disk.remove(&name).map_err(io_error("remove", &*self.disk, &name))?;
        // The directory is synced after each segment, so that a later segment cannot be gone while an earlier one is
        // back.
        self.disk.sync().map_err(io_error("sync", &*self.disk, ""))
    }
}
