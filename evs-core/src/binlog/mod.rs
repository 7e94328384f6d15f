//! The binlog: an append-only file of batches and acknowledgements, split into segments.
//!
//! A batch is cut, made durable here, and delivered only then. From that moment its sequence always stands for its
//! rows. `docs/binlog-format.md` specifies the files and their state after each possible crash.
//!
//! # Crashes
//!
//! A commit for which [`Binlog::commit`] has returned `Ok` survives a power cut. A commit is written as a whole or
//! not at all. If it was interrupted, or returned an error other than [`is_disk_full`](BinlogError::is_disk_full),
//! the next start finds either all of it or nothing, and makes durable what it finds before [`Binlog::open`] returns.
//! A power cut may lose acknowledgements, but not the ones because of which a segment was removed.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

mod commit;
mod copy;
mod error;
mod event;
mod frame;
mod reader;
mod recover;
mod segment;
mod state;
#[cfg(test)]
mod tests;
mod writer;

pub use commit::{Commit, Cut};
pub(crate) use copy::source_of;
pub use error::{BinlogError, Contradiction, Damage, Recovery, Torn};
pub use reader::BinlogReader;
pub use state::{ClonedBatches, Ledger, RejectedLine, RejectsMark, SinkMark, State, StatisticState, Totals};

use error::io_error;
use event::{Event, Forget, Mark, PAYLOAD_BYTES_MAX};
use frame::{Frames, Place};
use reader::Index;
use recover::Recovered;
use segment::SOURCE_BYTES_MAX;
use writer::{Durability, Writer};

use crate::{batch::Epoch, disk::Disk};

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

/// The binlog of one source. One thread owns it; other threads read batches through a [`BinlogReader`].
///
/// The binlog relies on no other process having the directory open. The caller has to lock the directory.
#[derive(Debug)]
pub struct Binlog {
    disk: Arc<dyn Disk>,
    options: BinlogOptions,
    state: State,
    reader: BinlogReader,
    /// All segments. Frames are appended to the last one.
    segments: VecDeque<Segment>,
    writer: Writer,
    /// True after a failed write or fsync: the contents of the disk are unknown.
    is_poisoned: bool,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    bytes: u64,
    /// The time since which every registered sink is known to have all batches of the segment.
    acknowledged_since: Option<Instant>,
}

impl Segment {
    fn new(number: u64, bytes: u64) -> Self {
        Self { number, bytes, acknowledged_since: None }
    }
}

impl Binlog {
    /// Opens the binlog in the directory, or makes one with a random epoch if there is none.
    ///
    /// An incomplete end that a crash has left is cut off and reported in [`Recovery`]. Everything else is durable
    /// when this returns. If an older version of evs wrote the last segment, a new one begins: nothing is appended to
    /// a segment of an older format.
    ///
    /// # Errors
    ///
    /// If the files cannot be read, are damaged or incomplete, belong to another source, or were written by a later
    /// version. Nothing was written then, unless the error is one of writing. Opening can be tried again at any time.
    pub fn open(
        disk: Arc<dyn Disk>,
        source: &str,
        options: BinlogOptions,
    ) -> Result<(Self, Recovery), BinlogError> {
        Self::open_as(disk, source, options, Epoch::random)
    }

    fn open_as(
        disk: Arc<dyn Disk>,
        source: &str,
        options: BinlogOptions,
        epoch: impl FnOnce() -> Epoch,
    ) -> Result<(Self, Recovery), BinlogError> {
        check_size("the source's name", source.len() as u64, SOURCE_BYTES_MAX as u64)?;
        let (recovered, torn) = recover::recover(&disk, source)?;
        let created = recovered.is_none();
        let mut binlog = match recovered {
            Some(recovered) => Self::of(disk, options, recovered),
            None => Self::create(&disk, State::new(epoch(), source), options)?,
        };
        if binlog.writer.version < segment::VERSION {
            binlog.rotate()?;
        }
        Ok((binlog, Recovery { created, torn }))
    }

    /// Begins a binlog in a directory without one. `state` must have no batches.
    fn create(disk: &Arc<dyn Disk>, state: State, options: BinlogOptions) -> Result<Self, BinlogError> {
        let writer = Writer::create(disk, 1, &state)?;
        let segments = VecDeque::from([Segment::new(1, writer.end)]);
        let recovered = Recovered { state, index: Index::default(), segments, writer };
        Ok(Self::of(Arc::clone(disk), options, recovered))
    }

    fn of(disk: Arc<dyn Disk>, options: BinlogOptions, recovered: Recovered) -> Self {
        let Recovered { state, index, segments, writer } = recovered;
        let reader = BinlogReader::new(Arc::clone(&disk), index, state.epoch, &state.source);
        Self { disk, options, state, reader, segments, writer, is_poisoned: false }
    }

    /// Returns the state as of the last frame.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns a reader of the batches.
    pub fn reader(&self) -> BinlogReader {
        self.reader.clone()
    }

    /// Returns the size of all segments, in bytes.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Returns the size of the batches that not every registered sink has acknowledged, in bytes.
    pub fn unacknowledged_bytes(&self) -> u64 {
        let index = self.reader.index();
        let behind = |name: &String| index.bytes_behind(name, self.state.acknowledged(name));
        self.state.statistics.keys().map(behind).sum()
    }

    /// Records that `sink` has the batches of `statistic` up to `sequence`.
    ///
    /// The record survives the end of the process, but not a power cut; after one, the batch is offered again.
    ///
    /// # Errors
    ///
    /// If the sink is not registered or the batch was never cut, and if writing failed.
    pub fn acknowledge(&mut self, sink: &str, statistic: &str, sequence: u64) -> Result<(), BinlogError> {
        if self.mark(sink, statistic).is_some_and(|mark| sequence <= mark) {
            return self.check_usable();
        }
        let mark = Mark { sink: sink.to_owned(), statistic: statistic.to_owned(), sequence };
        self.record(&Event::Acknowledge(mark), Durability::Written)
    }

    /// Records durably that `sink` has the batches of `statistic` up to `applied`, which may be more or fewer than
    /// before, and that it needs the later ones. The sink needs all batches of statistics that are defined later.
    ///
    /// # Errors
    ///
    /// If a batch after `applied` is gone or `applied` was never cut, and if writing failed.
    pub fn register_sink(&mut self, sink: &str, statistic: &str, applied: u64) -> Result<(), BinlogError> {
        self.check_usable()?;
        let asked_for = (sink, statistic, applied);
        recover::check_available(&*self.disk, &self.reader.index(), &self.state, asked_for)?;
        if self.mark(sink, statistic) == Some(applied) {
            return Ok(());
        }
        let mark = Mark { sink: sink.to_owned(), statistic: statistic.to_owned(), sequence: applied };
        self.record(&Event::Register(mark), Durability::Synced)
    }

    /// Removes a sink that is not configured any more, so that it does not keep segments.
    ///
    /// # Errors
    ///
    /// If writing failed.
    pub fn forget_sink(&mut self, sink: &str) -> Result<(), BinlogError> {
        if !self.state.sinks.contains_key(sink) {
            return self.check_usable();
        }
        self.record(&Event::Forget(Forget { sink: sink.to_owned() }), Durability::Written)
    }

    /// Removes the oldest segments, and returns how many. A segment is removed if every registered sink acknowledged
    /// all its batches at least [`keep_acknowledged`](BinlogOptions::keep_acknowledged) ago, or if they have
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

    /// Makes everything durable that was appended, including acknowledgements.
    ///
    /// # Errors
    ///
    /// If the fsync fails, now or before.
    pub fn sync(&mut self) -> Result<(), BinlogError> {
        self.check_usable()?;
        let result = self.writer.sync();
        self.poison_on_error(result)
    }

    fn mark(&self, sink: &str, statistic: &str) -> Option<u64> {
        Some(self.state.sinks.get(sink)?.get(statistic)?.acknowledged)
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

    /// Appends a single frame.
    fn record(&mut self, event: &Event, durability: Durability) -> Result<(), BinlogError> {
        self.check_usable()?;
        let mut next = self.state.clone();
        next.apply(event).map_err(|source| self.refused(source))?;
        let mut frames = Frames::default();
        event.push(&[], &mut frames);
        self.append(&mut frames, durability)?;
        self.state = next;
        Ok(())
    }

    /// Appends frames and returns the place at which they begin. If they do not fit into this segment, they begin a
    /// new one; its snapshot is the present state, so the state must be the one before these frames.
    fn append(&mut self, frames: &mut Frames, durability: Durability) -> Result<Place, BinlogError> {
        self.check_usable()?;
        for (_, bytes) in frames.spans(0) {
            check_size("a frame", bytes, PAYLOAD_BYTES_MAX)?;
        }
        let result = self.try_append(frames, durability);
        self.poison_on_error(result)
    }

    fn try_append(&mut self, frames: &mut Frames, durability: Durability) -> Result<Place, BinlogError> {
        let is_full = self.writer.end + frames.len() > self.options.segment_bytes_max;
        if is_full && self.writer.has_appended() {
            self.rotate()?;
        }
        let place = self.writer.append(frames, durability)?;
        if let Some(last) = self.segments.back_mut() {
            last.bytes = self.writer.end;
        }
        Ok(place)
    }

    fn rotate(&mut self) -> Result<(), BinlogError> {
        // The existence of the next segment proves that this one was durable as a whole, so it is synced first.
        self.writer.sync()?;
        self.writer = Writer::create(&self.disk, self.writer.number + 1, &self.state)?;
        self.segments.push_back(Segment::new(self.writer.number, self.writer.end));
        Ok(())
    }

    fn check_usable(&self) -> Result<(), BinlogError> {
        if self.is_poisoned { Err(BinlogError::Poisoned { path: self.disk.path() }) } else { Ok(()) }
    }

    fn poison_on_error<T>(&mut self, result: Result<T, BinlogError>) -> Result<T, BinlogError> {
        self.is_poisoned |= result.as_ref().is_err_and(|error| !error.is_disk_full());
        result
    }

    fn refused(&self, source: Contradiction) -> BinlogError {
        BinlogError::Refused { path: self.disk.path(), source }
    }
}

fn check_size(what: &str, bytes: u64, bytes_max: u64) -> Result<(), BinlogError> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(BinlogError::TooLarge { what: what.to_owned(), bytes, bytes_max })
}

/// Corrects the checksums of a segment's frames after its bytes were changed, so that a test or a fuzzer gets past
/// them. `number` is the number of the segment. If the header is not valid, nothing is changed.
#[cfg(any(test, feature = "internals"))]
pub fn reseal(number: u64, segment: &mut [u8]) {
    if let Some(first) = segment::header_bytes(segment) {
        frame::reseal(number, first, segment);
    }
}
