//! The index of the batches in a binlog, and a reader that any thread can use while the binlog grows.
//!
//! The index is in memory, and has no rows: some hundred bytes for each batch. A batch is read from its segment when
//! a sink needs it, and checked again, since a disk can rot while the binlog is open.
//!
//! Each sink has its own place among the batches. A sink that was away for an hour reads old segments while another
//! one reads the newest.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::{
    error::{BinlogError, Damage, io_error},
    event::{BatchHeader, decode_batch, kind},
    frame::{FrameHeader, HEADER_BYTES, Location},
    segment,
    state::SinkProgress,
};
use crate::{
    batch::{Batch, Epoch},
    disk::Disk,
    statistic::Schema,
};

/// The place and the description of a batch's frame.
///
/// The checksum is here, so that a sink's progress can be compared with the history without reading any batch.
#[derive(Clone, Debug)]
pub(super) struct IndexEntry {
    /// The place of the frame.
    pub(super) location: Location,
    /// The length of the frame.
    pub(super) bytes: u64,
    /// The schema of the batch's rows. The statistic may have another schema by now.
    pub(super) schema: Arc<Schema>,
    /// The [`Batch::checksum`] of the batch.
    pub(super) checksum: u64,
    /// The number of rows.
    pub(super) rows: u64,
    /// The time of the commit, as its [`Ledger`](super::Ledger) has it.
    pub(super) time: Option<i64>,
}

/// The batches that wait for a sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// The number of batches.
    pub batches: u64,
    /// The number of their rows.
    pub rows: u64,
    /// The time of the oldest commit among theirs, in seconds since 1970; `None` if no commit noted its time.
    pub since: Option<i64>,
}

/// The size of the batches of one statistic after a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// The number of rows.
    pub(crate) rows: u64,
    /// The length of the frames.
    pub(crate) bytes: u64,
    /// The time of the first commit, in seconds since 1970; `None` if it did not note its time or there is no batch.
    pub(crate) since: Option<i64>,
}

/// The batches of one statistic that the binlog still has, by sequence.
#[derive(Debug)]
struct StreamIndex {
    /// The sequence of the first entry, or of the next batch if there is no entry.
    first: u64,
    /// The checksum of the batch before the first entry; 0 if there was none.
    before: u64,
    entries: VecDeque<IndexEntry>,
    /// By entry, the rows and bytes of all batches up to it that were ever in the index. The backlog of a sink is the
    /// difference of two of them, however many batches wait.
    sums: VecDeque<(u64, u64)>,
}

impl StreamIndex {
    /// Returns the checksum of a batch in the index, or of the one before them.
    fn checksum(&self, sequence: u64) -> Option<u64> {
        match sequence.checked_add(1)?.checked_sub(self.first)? {
            0 => Some(self.before),
            behind => self.entries.get(usize::try_from(behind - 1).ok()?).map(|entry| entry.checksum),
        }
    }
}

/// The index of all batches.
#[derive(Debug, Default)]
pub(super) struct Index {
    streams: BTreeMap<String, StreamIndex>,
}

impl Index {
    /// Adds a statistic whose batches up to `sequence` are gone. The last of these has the given checksum.
    pub(super) fn begin(&mut self, statistic: &str, sequence: u64, checksum: u64) {
        self.stream(statistic, sequence + 1).before = checksum;
    }

    fn stream(&mut self, statistic: &str, first: u64) -> &mut StreamIndex {
        let new = || StreamIndex { first, before: 0, entries: VecDeque::new(), sums: VecDeque::new() };
        self.streams.entry(statistic.to_owned()).or_insert_with(new)
    }

    /// Adds the next batch of a statistic.
    pub(super) fn push(&mut self, header: &BatchHeader, entry: IndexEntry) {
        let stream = self.stream(&header.statistic, header.sequence);
        debug_assert_eq!(stream.first + stream.entries.len() as u64, header.sequence);
        let (rows, bytes) = stream.sums.back().copied().unwrap_or_default();
        stream.sums.push_back((rows + entry.rows, bytes + entry.bytes));
        stream.entries.push_back(entry);
    }

    /// Returns the sequence of the oldest batch of `statistic`; `None` if there is no batch of it.
    pub(super) fn first(&self, statistic: &str) -> Option<u64> {
        self.streams.get(statistic).filter(|stream| !stream.entries.is_empty()).map(|stream| stream.first)
    }

    /// Returns the total length of the frames of `statistic` after `sequence`.
    pub(super) fn bytes_behind(&self, statistic: &str, sequence: u64) -> u64 {
        let Some(stream) = self.streams.get(statistic) else {
            return 0;
        };
        let skip = usize::try_from((sequence + 1).saturating_sub(stream.first)).unwrap_or(usize::MAX);
        stream.entries.iter().skip(skip).map(|entry| entry.bytes).sum()
    }

    /// Adds the batches of `statistic` after `sequence` to `waiting`.
    pub(super) fn add_waiting(&self, statistic: &str, sequence: u64, waiting: &mut Waiting) {
        let Some(stream) = self.streams.get(statistic) else {
            return;
        };
        let skip = usize::try_from((sequence + 1).saturating_sub(stream.first)).unwrap_or(usize::MAX);
        for entry in stream.entries.iter().skip(skip) {
            waiting.batches += 1;
            waiting.rows += entry.rows;
            waiting.since = waiting.since.into_iter().chain(entry.time).min();
        }
    }

    /// Returns the size of the batches of `statistic` after `sequence`.
    pub(super) fn backlog(&self, statistic: &str, sequence: u64) -> Backlog {
        let find = || {
            let stream = self.streams.get(statistic)?;
            let skip = usize::try_from((sequence + 1).saturating_sub(stream.first)).ok()?;
            let (entry, first, last) =
                (stream.entries.get(skip)?, stream.sums.get(skip)?, stream.sums.back()?);
            let rows = last.0 - first.0 + entry.rows;
            Some(Backlog { rows, bytes: last.1 - first.1 + entry.bytes, since: entry.time })
        };
        find().unwrap_or_default()
    }

    /// Returns whether `acknowledged` covers every batch up to and in `segment`.
    pub(super) fn is_acknowledged(&self, segment: u64, acknowledged: impl Fn(&str) -> u64) -> bool {
        self.streams.iter().all(|(statistic, stream)| {
            let within = stream.entries.partition_point(|entry| entry.location.segment <= segment) as u64;
            within == 0 || stream.first + within - 1 <= acknowledged(statistic)
        })
    }

    /// Removes the batches up to and in `segment` from the index.
    pub(super) fn forget_segment(&mut self, segment: u64) {
        for stream in self.streams.values_mut() {
            let within = stream.entries.partition_point(|entry| entry.location.segment <= segment);
            if let Some(last) = stream.entries.drain(..within).next_back() {
                stream.before = last.checksum;
            }
            stream.sums.drain(..within);
            stream.first += within as u64;
        }
    }

    fn entry(&self, statistic: &str, sequence: u64) -> Option<&IndexEntry> {
        let stream = self.streams.get(statistic)?;
        stream.entries.get(usize::try_from(sequence.checked_sub(stream.first)?).ok()?)
    }

    fn checksum(&self, statistic: &str, sequence: u64) -> Option<u64> {
        match self.streams.get(statistic) {
            Some(stream) => stream.checksum(sequence),
            // A statistic without batches may not be known yet.
            None => (sequence == 0).then_some(0),
        }
    }
}

/// Reads batches from any thread while the binlog is appended to. Cloning is cheap.
///
/// Everything that it returns is durable: a batch appears after its commit has returned.
#[derive(Clone, Debug)]
pub struct BinlogReader {
    disk: Arc<dyn Disk>,
    index: Arc<RwLock<Index>>,
    epoch: Epoch,
    source: Arc<str>,
}

impl BinlogReader {
    /// Makes the reader of the binlog in `disk`.
    pub(super) fn new(disk: Arc<dyn Disk>, index: Index, epoch: Epoch, source: &str) -> Self {
        Self { disk, index: Arc::new(RwLock::new(index)), epoch, source: source.into() }
    }

    /// Reads a batch. Returns `None` if the batch was not cut yet, or is gone because every sink had it.
    ///
    /// The call blocks while the disk works.
    ///
    /// # Errors
    ///
    /// If the batch cannot be read, or is not the one that was written.
    pub fn batch(&self, statistic: &str, sequence: u64) -> Result<Option<Batch>, BinlogError> {
        let found = {
            let index = self.index();
            index.entry(statistic, sequence).cloned().zip(index.checksum(statistic, sequence.wrapping_sub(1)))
        };
        let Some((entry, predecessor)) = found else {
            return Ok(None);
        };
        let name = segment::name(entry.location.segment);
        let file = match self.disk.open(&name) {
            // The batch was removed between the look at the index and the reading.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.has(statistic, sequence) => {
                return Ok(None);
            }
            file => file.map_err(io_error("open", &*self.disk, &name))?,
        };
        // This length is not taken from the disk unchecked: the index has it from a frame that was read or written as
        // a whole.
        let mut frame = vec![0; entry.bytes as usize];
        file.read_exact_at(&mut frame, entry.location.offset).map_err(io_error(
            "read",
            &*self.disk,
            &name,
        ))?;
        let decoded = self.decode(&frame, &entry, statistic, sequence);
        let batch = decoded.map(|batch| Some(Batch { predecessor, ..batch }));
        batch.map_err(|source| BinlogError::Damaged {
            path: self.disk.path().join(&name),
            offset: entry.location.offset,
            source,
        })
    }

    /// Returns the [`Batch::checksum`] of a batch that can be read, or of the last one that cannot be read any more
    /// (0 if there was none). Returns `None` for earlier batches and for ones that were never cut.
    pub fn checksum(&self, statistic: &str, sequence: u64) -> Option<u64> {
        self.index().checksum(statistic, sequence)
    }

    /// Returns the sequence of the last batch of `statistic`, or 0.
    pub fn last_sequence(&self, statistic: &str) -> u64 {
        let index = self.index();
        index.streams.get(statistic).map_or(0, |stream| {
            // Sequences begin with 1, so the subtraction cannot overflow.
            stream.first + stream.entries.len() as u64 - 1
        })
    }

    /// Returns the sequence of the oldest batch of `statistic` that can be read; `None` if there is none.
    pub fn first_sequence(&self, statistic: &str) -> Option<u64> {
        self.index().first(statistic)
    }

    /// Returns the batches after the given progress of a sink, by statistic.
    pub fn waiting(&self, progress: &BTreeMap<String, SinkProgress>) -> Waiting {
        let index = self.index();
        let mut waiting = Waiting::default();
        for (statistic, progress) in progress {
            index.add_waiting(statistic, progress.acknowledged, &mut waiting);
        }
        waiting
    }

    /// Returns the size of the batches of `statistic` after `sequence`.
    pub(crate) fn backlog(&self, statistic: &str, sequence: u64) -> Backlog {
        self.index().backlog(statistic, sequence)
    }

    /// Returns the place and the length of a batch's frame.
    #[cfg(test)]
    pub(super) fn location(&self, statistic: &str, sequence: u64) -> Option<(Location, u64)> {
        self.index().entry(statistic, sequence).map(|entry| (entry.location, entry.bytes))
    }

    /// Returns whether the index has the batch.
    fn has(&self, statistic: &str, sequence: u64) -> bool {
        self.index().entry(statistic, sequence).is_some()
    }

    /// Decodes and checks the frame of a batch.
    fn decode(
        &self,
        frame: &[u8],
        entry: &IndexEntry,
        statistic: &str,
        sequence: u64,
    ) -> Result<Batch, Damage> {
        let (head, payload) = frame.split_first_chunk::<HEADER_BYTES>().ok_or(Damage::FrameHeader)?;
        let frame_header = FrameHeader::parse(head, entry.location).ok_or(Damage::FrameHeader)?;
        check_payload(&frame_header, entry.location, payload)?;
        if frame_header.kind != kind::BATCH {
            return Err(Damage::Kind { found: frame_header.kind });
        }
        let (batch, checksum) = unpack_batch(payload, &entry.schema, &self.source, self.epoch)?;
        let asked_for = batch.statistic() == statistic && batch.sequence == sequence;
        if asked_for && batch.checksum() == checksum {
            Ok(Batch { cut_checksum: Some(checksum), ..batch })
        } else {
            Err(Damage::Batch { statistic: statistic.to_owned(), sequence })
        }
    }

    /// Locks the index for reading.
    // A panic while the lock was held leaves a consistent index: every change to it is a single push or drain.
    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the index for changes.
    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decodes the payload of a batch's frame. Returns the checksum that the frame has for it, too.
pub(super) fn unpack_batch(
    payload: &[u8],
    schema: &Arc<Schema>,
    source: &Arc<str>,
    epoch: Epoch,
) -> Result<(Batch, u64), Damage> {
    let (header, rows) = decode_batch(payload, schema)?;
    let batch = Batch {
        source: Arc::clone(source),
        epoch,
        schema: Arc::clone(schema),
        sequence: header.sequence,
        predecessor: header.predecessor.unwrap_or_default(),
        from: header.from,
        to: header.to,
        rows,
        writer: None,
        cut_checksum: None,
    };
    Ok((batch, header.checksum))
}

/// Compares a payload with its checksum.
pub(super) fn check_payload(header: &FrameHeader, location: Location, payload: &[u8]) -> Result<(), Damage> {
    let (expected, found) = (header.payload_hash, location.hash(payload));
    if expected == found { Ok(()) } else { Err(Damage::Checksum { expected, found }) }
}
