//! The binlog of one source: opening, and the single frames that record the progress of sinks.

use std::{collections::VecDeque, sync::Arc};

use super::{
    error::{BinlogError, Contradiction, Recovery, check_size},
    event::{Discard, Event, Forget, PAYLOAD_BYTES_MAX, Rename, SinkPosition},
    frame::{Frames, Location},
    options::BinlogOptions,
    reader::{BinlogReader, Index},
    recover::{self, Recovered},
    segment::{self, SOURCE_BYTES_MAX, Segment},
    state::BinlogState,
    writer::{Durability, SegmentWriter},
};
use crate::{batch::Epoch, disk::Disk};

/// The binlog of one source. One thread owns it; other threads read batches through a [`BinlogReader`].
///
/// The binlog relies on no other process having the directory open. The caller has to lock the directory.
#[derive(Debug)]
pub struct Binlog {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: BinlogOptions,
    pub(super) state: BinlogState,
    pub(super) reader: BinlogReader,
    /// All segments. Frames are appended to the last one.
    pub(super) segments: VecDeque<Segment>,
    pub(super) writer: SegmentWriter,
    /// True after a failed write or fsync: the contents of the disk are unknown.
    pub(super) is_poisoned: bool,
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

    pub(super) fn open_as(
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
            None => Self::create(&disk, BinlogState::new(epoch(), source), options)?,
        };
        if binlog.writer.version < segment::VERSION {
            binlog.rotate()?;
        }
        Ok((binlog, Recovery { created, torn }))
    }

    /// Begins a binlog in a directory without one. `state` must have no batches.
    pub(super) fn create(
        disk: &Arc<dyn Disk>,
        state: BinlogState,
        options: BinlogOptions,
    ) -> Result<Self, BinlogError> {
        let writer = SegmentWriter::create(disk, 1, &state)?;
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
    pub fn state(&self) -> &BinlogState {
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
        if self.acknowledged_by(sink, statistic).is_some_and(|last| sequence <= last) {
            return self.check_usable();
        }
        let position = SinkPosition { sink: sink.to_owned(), statistic: statistic.to_owned(), sequence };
        self.record(&Event::Acknowledge(position), Durability::Written)
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
        if self.acknowledged_by(sink, statistic) == Some(applied) {
            return Ok(());
        }
        let position =
            SinkPosition { sink: sink.to_owned(), statistic: statistic.to_owned(), sequence: applied };
        self.record(&Event::Register(position), Durability::Synced)
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

    /// Gives a sink another name, durably. Its progress goes on under that name, and the old one is unknown.
    ///
    /// # Errors
    ///
    /// If the sink is not registered or a sink with the new name is, and if writing failed.
    pub fn rename_sink(&mut self, sink: &str, to: &str) -> Result<(), BinlogError> {
        let rename = Rename { sink: sink.to_owned(), to: to.to_owned() };
        self.record(&Event::Rename(rename), Durability::Synced)
    }

    /// Gives up a batch for a sink, durably: the sink is to take its place in the stream, but not its rows. Changes
    /// nothing if the batch was given up before.
    ///
    /// # Errors
    ///
    /// If the sink is not registered or the batch was never cut, and if writing failed.
    pub fn discard(
        &mut self,
        sink: &str,
        statistic: &str,
        sequence: u64,
        rows: u64,
    ) -> Result<(), BinlogError> {
        let known = self.state.sinks.get(sink).and_then(|statistics| statistics.get(statistic));
        if known.is_some_and(|known| known.discarded.contains(sequence)) {
            return self.check_usable();
        }
        let discard = Discard { sink: sink.to_owned(), statistic: statistic.to_owned(), sequence, rows };
        self.record(&Event::Discard(discard), Durability::Synced)
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

    pub(super) fn acknowledged_by(&self, sink: &str, statistic: &str) -> Option<u64> {
        Some(self.state.sinks.get(sink)?.get(statistic)?.acknowledged)
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
    pub(super) fn append(
        &mut self,
        frames: &mut Frames,
        durability: Durability,
    ) -> Result<Location, BinlogError> {
        self.check_usable()?;
        for (_, bytes) in frames.spans(0) {
            check_size("a frame", bytes, PAYLOAD_BYTES_MAX)?;
        }
        let result = self.try_append(frames, durability);
        self.poison_on_error(result)
    }

    fn try_append(&mut self, frames: &mut Frames, durability: Durability) -> Result<Location, BinlogError> {
        let is_full = self.writer.end + frames.len() > self.options.segment_bytes_max;
        if is_full && self.writer.has_appended() {
            self.rotate()?;
        }
        let location = self.writer.append(frames, durability)?;
        if let Some(last) = self.segments.back_mut() {
            last.bytes = self.writer.end;
        }
        Ok(location)
    }

    pub(super) fn rotate(&mut self) -> Result<(), BinlogError> {
        // The existence of the next segment proves that this one was durable as a whole, so it is synced first.
        self.writer.sync()?;
        self.writer = SegmentWriter::create(&self.disk, self.writer.number + 1, &self.state)?;
        self.segments.push_back(Segment::new(self.writer.number, self.writer.end));
        Ok(())
    }

    pub(super) fn check_usable(&self) -> Result<(), BinlogError> {
        if self.is_poisoned { Err(BinlogError::Poisoned { path: self.disk.path() }) } else { Ok(()) }
    }

    pub(super) fn poison_on_error<T>(&mut self, result: Result<T, BinlogError>) -> Result<T, BinlogError> {
        self.is_poisoned |= result.as_ref().is_err_and(|error| !error.is_disk_full());
        result
    }

    pub(super) fn refused(&self, source: Contradiction) -> BinlogError {
        BinlogError::Refused { path: self.disk.path(), source }
    }
}
