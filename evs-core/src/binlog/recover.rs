//! Recovery: reads a binlog from the disk. Nothing is written before all of it has been read and checked.
//!
//! The hard question is how to tell a crash from damage. Both leave bytes that are no valid frame. After a crash such
//! bytes are the end of the last segment, nothing after them was ever promised to anybody, and they are cut off.
//! Damage lies before something that was durable, and cutting there would throw away batches that a sink may have.
//!
//! Each frame says up to which offset fsync had succeeded when it was written. So there is a proof of damage: a valid
//! frame header after the bad bytes that names an offset beyond the last good commit. Example, with `end` = 500:
//!
//! ```text
//!   0        500        600              900
//!   | commits | garbage  | frame, synced = 300 |     no proof: these bytes may never have been durable; cut off at 500
//!   | commits | garbage  | frame, synced = 600 |     proof: bytes up to 600 were durable, so 500 to 600 are damage
//! ```
//!
//! Only the last segment can have an incomplete end, since a segment is synced before the next one is created.

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use super::{
    error::{BinlogError, Damage, Torn, io_error},
    event::{BatchHeader, Event, decode_snapshot},
    frame::{FrameHeader, HEADER_BYTES, Location},
    reader::{Index, IndexEntry, check_payload},
    segment::{self, HEADER_BYTES_MAX, Named, Parsed, Segment, SegmentHeader},
    state::BinlogState,
    writer::SegmentWriter,
};
use crate::disk::{Disk, DiskFile};

/// The number of bytes per read, where the number does not matter.
const CHUNK_BYTES: usize = 1 << 20;

/// The contents of the disk.
pub(super) struct Recovered {
    /// The state after the last frame.
    pub(super) state: BinlogState,
    /// The batches in all segments.
    pub(super) index: Index,
    /// The segments, in order.
    pub(super) segments: VecDeque<Segment>,
    /// The writer at the end of the last segment.
    pub(super) writer: SegmentWriter,
}

/// Reads the binlog, cuts off an incomplete end that a crash has left, and makes the rest durable.
///
/// If no segment was ever finished, there is no binlog.
pub(super) fn recover(
    shared: &Arc<dyn Disk>,
    source: &str,
) -> Result<(Option<Recovered>, Option<Torn>), BinlogError> {
    let disk = &**shared;
    let mut replay = Replay::new(source);
    let mut segments = VecDeque::new();
    let mut last: Option<(Scan<'_>, Kept)> = None;
    let mut torn = None;
    let numbers = segment_numbers(disk)?;
    for (at, &number) in numbers.iter().enumerate() {
        let scan = Scan::open(disk, number, at + 1 == numbers.len())?;
        match replay.segment(&scan)? {
            Some(kept) => {
                segments.push_back(Segment::new(number, kept.end));
                last = Some((scan, kept));
            }
            None => torn = Some((scan.torn(0), Some(scan.name))),
        }
    }
    replay.check_sinks(disk)?;

    // Reading is complete; from here on the disk is changed.
    if let Some((_, Some(unfinished))) = &torn {
        disk.remove(unfinished).map_err(io_error("remove", disk, unfinished))?;
        disk.sync().map_err(io_error("sync", disk, ""))?;
    }
    let Some((scan, kept)) = last else {
        return Ok((None, torn.map(|(torn, _)| torn)));
    };
    if kept.end < scan.size {
        torn = Some((scan.torn(kept.end), None));
    }
    scan.keep(&kept)?;
    disk.sync().map_err(io_error("sync", disk, ""))?;
    let Kept { version, begin, end, .. } = kept;
    let (disk, number) = (Arc::clone(shared), scan.number);
    let writer = SegmentWriter { disk, file: scan.file, version, number, begin, end, synced: end };
    let recovered = replay.state.map(|state| Recovered { state, index: replay.index, segments, writer });
    Ok((recovered, torn.map(|(torn, _)| torn)))
}

/// Returns the numbers of the segments, in order and without a gap.
fn segment_numbers(disk: &dyn Disk) -> Result<Vec<u64>, BinlogError> {
    let mut numbers = Vec::new();
    for name in disk.list().map_err(io_error("list", disk, ""))? {
        match segment::parse_name(&name) {
            Named::Segment(number) => numbers.push(number),
            Named::Alike => return Err(BinlogError::Misnamed { path: disk.path().join(name), found: None }),
            Named::Other => {}
        }
    }
    numbers.sort_unstable();
    match numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        Some(gap) => Err(BinlogError::MissingSegment { path: disk.path().join(segment::name(gap[0] + 1)) }),
        None => Ok(numbers),
    }
}

/// The part of a segment that counts.
///
/// Bytes between `synced` and `end` were read well, but they may only be in the page cache. They are written again
/// and synced before the binlog is used, because a sink may be about to get a batch from them.
struct Kept {
    /// The format version of the segment.
    version: u32,
    /// The offset of the first frame after the snapshot.
    begin: u64,
    /// The offset at which the part ends.
    end: u64,
    /// The offset up to which fsync certainly succeeded.
    synced: u64,
}

/// The state and the index while they are built, frame by frame.
///
/// A commit takes effect as a whole. So its frames change a copy of the state, which takes the place of the state
/// when the commit's end is found, and is dropped otherwise.
pub(super) struct Replay<'s> {
    source: &'s str,
    /// The state after the last frame that counts; `None` before the first segment.
    pub(super) state: Option<BinlogState>,
    pub(super) index: Index,
    /// The commit that is being read. Its frames take effect when its end is found.
    pub(super) open: Option<OpenCommit>,
}

/// A commit whose end was not read yet: the state that it leads to, and its batches.
pub(super) struct OpenCommit {
    pub(super) state: BinlogState,
    batches: Vec<(BatchHeader, IndexEntry)>,
}

impl<'s> Replay<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self { source, state: None, index: Index::default(), open: None }
    }

    /// Reads a segment. Returns `None` if the creation of the segment was not finished.
    fn segment(&mut self, scan: &Scan<'_>) -> Result<Option<Kept>, BinlogError> {
        let header = match scan.header()? {
            Parsed::Header(header) => header,
            Parsed::Newer(found) => {
                let (path, supported) = (scan.path(), segment::VERSION);
                return Err(BinlogError::NewerVersion { path, found, supported });
            }
            Parsed::Unreadable => return self.unfinished(scan, 0, Damage::SegmentHeader),
        };
        self.check_header(scan, &header)?;
        let mut offset = header.len() as u64;
        let mut payload = Vec::new();
        let frame = match scan.frame(offset, &mut payload)? {
            Ok(frame) => frame,
            Err(damage) => return self.unfinished(scan, offset, damage),
        };
        self.snapshot(&header, frame.kind, &payload).map_err(|source| scan.damaged(offset, source))?;
        offset += frame.frame_bytes();
        self.frames(scan, header.version, offset, payload).map(Some)
    }

    /// Reads the frames after the snapshot.
    fn frames(
        &mut self,
        scan: &Scan<'_>,
        version: u32,
        begin: u64,
        mut payload: Vec<u8>,
    ) -> Result<Kept, BinlogError> {
        let mut kept = Kept { version, begin, end: begin, synced: 0 };
        let mut offset = begin;
        while offset < scan.size {
            let frame = match scan.frame(offset, &mut payload)? {
                Ok(frame) => frame,
                Err(damage) => {
                    let is_tail = scan.is_last && !scan.was_synced_beyond(offset, kept.end)?;
                    if is_tail {
                        break;
                    }
                    return Err(scan.damaged(offset, damage));
                }
            };
            let location = Location { segment: scan.number, offset };
            let event = Event::decode(version, frame.kind, &payload);
            event
                .and_then(|event| self.event(event, location, frame.frame_bytes()))
                .map_err(|source| scan.damaged(offset, source))?;
            offset += frame.frame_bytes();
            if self.open.is_none() {
                kept = Kept { end: offset, synced: frame.synced, ..kept };
            }
        }
        if self.open.take().is_some() && !scan.is_last {
            return Err(scan.damaged(kept.end, Damage::OpenCommit));
        }
        Ok(kept)
    }

    /// Applies one more frame of `bytes` bytes.
    pub(super) fn event(&mut self, event: Event, location: Location, bytes: u64) -> Result<(), Damage> {
        // The state is always there, since the snapshot was read before.
        let Some(state) = &mut self.state else { return Err(Damage::Snapshot) };
        if !event.in_commit() {
            if self.open.is_some() {
                return Err(Damage::OpenCommit);
            }
            return Ok(state.apply(&event)?);
        }
        let open = self.open.get_or_insert_with(|| OpenCommit { state: state.clone(), batches: Vec::new() });
        open.state.apply(&event)?;
        match event {
            Event::Batch(header) => {
                let schema = Arc::clone(&open.state.statistics[&header.statistic].schema);
                let (checksum, rows) = (header.checksum, header.rows);
                let entry = IndexEntry { location, bytes, schema, checksum, rows, time: None };
                open.batches.push((header, entry));
            }
            Event::Settle(settle) => {
                if let Some(commit) = self.open.take() {
                    let time = settle.ledger.time;
                    for (header, entry) in commit.batches {
                        self.index.push(&header, IndexEntry { time, ..entry });
                    }
                    self.state = Some(commit.state);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes the state from the first segment's snapshot. The snapshot of each later segment must be equal to the
    /// state at its start.
    pub(super) fn snapshot(
        &mut self,
        header: &SegmentHeader,
        kind: u8,
        payload: &[u8],
    ) -> Result<(), Damage> {
        let snapshot = decode_snapshot(kind, payload)?;
        if header.version < 2 && snapshot.files.is_some() {
            return Err(Damage::Snapshot);
        }
        if let Some(state) = &self.state {
            return if *state == snapshot { Ok(()) } else { Err(Damage::Snapshot) };
        }
        let is_own = snapshot.epoch == header.epoch && snapshot.source == header.source;
        if !is_own || !snapshot.is_sound() {
            return Err(Damage::Snapshot);
        }
        for (statistic, known) in &snapshot.statistics {
            self.index.begin(statistic, known.sequence, known.checksum);
        }
        self.state = Some(snapshot);
        Ok(())
    }

    /// Checks that a segment belongs to this source, epoch and file name.
    pub(super) fn check_header(&self, scan: &Scan<'_>, header: &SegmentHeader) -> Result<(), BinlogError> {
        let path = scan.path();
        if header.source != self.source {
            let (expected, found) = (self.source.to_owned(), header.source.clone());
            return Err(BinlogError::ForeignSource { path, expected, found });
        }
        match &self.state {
            Some(state) if state.epoch != header.epoch => {
                Err(BinlogError::ForeignEpoch { path, expected: state.epoch, found: header.epoch })
            }
            _ if header.number != scan.number => {
                Err(BinlogError::Misnamed { path, found: Some(header.number) })
            }
            _ => Ok(()),
        }
    }

    /// Handles a segment that does not begin correctly. If it is the last one and nothing was ever appended to it, the
    /// segment before it says the same, so it is treated as if it did not exist. In all other cases it is damaged.
    fn unfinished(&self, scan: &Scan<'_>, offset: u64, damage: Damage) -> Result<Option<Kept>, BinlogError> {
        let nothing_lost = scan.is_last && (self.state.is_some() || scan.number == 1);
        if nothing_lost && !scan.was_synced_beyond(offset, 0)? {
            return Ok(None);
        }
        Err(scan.damaged(offset, damage))
    }

    /// Checks that every batch that a sink still needs is there.
    ///
    /// A batch that is missing at the start of the binlog is noticed here, and not when it is offered: then other
    /// batches would have been counted meanwhile, and the way back would be longer.
    pub(super) fn check_sinks(&self, disk: &dyn Disk) -> Result<(), BinlogError> {
        let Some(state) = &self.state else { return Ok(()) };
        for (sink, statistics) in &state.sinks {
            for (statistic, progress) in statistics {
                check_available(disk, &self.index, state, (sink, statistic, progress.acknowledged))?;
            }
        }
        Ok(())
    }
}

/// Checks that the batches after `applied` are there.
pub(super) fn check_available(
    disk: &dyn Disk,
    index: &Index,
    state: &BinlogState,
    (sink, statistic, applied): (&str, &str, u64),
) -> Result<(), BinlogError> {
    let last = state.statistics.get(statistic).map_or(0, |known| known.sequence);
    if applied >= last || index.first(statistic).is_some_and(|first| first <= applied + 1) {
        return Ok(());
    }
    let (sink, statistic) = (sink.to_owned(), statistic.to_owned());
    Err(BinlogError::Gone { path: disk.path(), sink, statistic, sequence: applied + 1 })
}

/// A segment that is being read.
///
/// `size` is the length when the file was opened. In a recovery nobody else writes to it, because the directory is locked.
pub(super) struct Scan<'d> {
    disk: &'d dyn Disk,
    name: String,
    pub(super) number: u64,
    file: Arc<dyn DiskFile>,
    pub(super) size: u64,
    pub(super) is_last: bool,
}

impl<'d> Scan<'d> {
    /// Opens a segment for reading.
    pub(super) fn open(disk: &'d dyn Disk, number: u64, is_last: bool) -> Result<Self, BinlogError> {
        let name = segment::name(number);
        let file = disk.open(&name).map_err(io_error("open", disk, &name))?;
        let size = file.size().map_err(io_error("stat", disk, &name))?;
        Ok(Self { disk, name, number, file, size, is_last })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.disk.path().join(&self.name)
    }

    pub(super) fn damaged(&self, offset: u64, source: Damage) -> BinlogError {
        BinlogError::Damaged { path: self.path(), offset, source }
    }

    /// Describes the end of the segment that is cut off from `offset` on.
    fn torn(&self, offset: u64) -> Torn {
        Torn { path: self.path(), offset, bytes: self.size - offset }
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), BinlogError> {
        self.file.read_exact_at(buffer, offset).map_err(io_error("read", self.disk, &self.name))
    }

    /// Reads the header of the segment.
    pub(super) fn header(&self) -> Result<Parsed, BinlogError> {
        let mut bytes = [0; HEADER_BYTES_MAX];
        let bytes = &mut bytes[..self.size.min(HEADER_BYTES_MAX as u64) as usize];
        self.read(bytes, 0)?;
        Ok(SegmentHeader::parse(bytes))
    }

    /// Reads a frame and checks that it was written at this place.
    pub(super) fn frame(
        &self,
        offset: u64,
        payload: &mut Vec<u8>,
    ) -> Result<Result<FrameHeader, Damage>, BinlogError> {
        let location = Location { segment: self.number, offset };
        let left = self.size - offset;
        if left < HEADER_BYTES as u64 {
            return Ok(Err(Damage::FrameHeader));
        }
        let mut head = [0; HEADER_BYTES];
        self.read(&mut head, offset)?;
        let Some(header) = FrameHeader::parse(&head, location) else {
            return Ok(Err(Damage::FrameHeader));
        };
        let found = header.frame_bytes();
        // This check comes before the memory for the frame is allocated.
        if found > left {
            return Ok(Err(Damage::Length { found, left }));
        }
        payload.resize(header.payload_bytes as usize, 0);
        self.read(payload, offset + HEADER_BYTES as u64)?;
        Ok(check_payload(&header, location, payload).map(|()| header))
    }

    /// Returns whether a frame after the damage at `hole` proves that fsync once succeeded beyond `end`.
    ///
    /// The header of a frame has a checksum of its own, so a header is enough as a proof.
    pub(super) fn was_synced_beyond(&self, hole: u64, end: u64) -> Result<bool, BinlogError> {
        Ok(self.find_header(hole + 1, |header| header.synced > end)?.is_some())
    }

    /// Returns the offset of the first header of a frame from `start` on for which `is_wanted` holds.
    ///
    /// The search for one at every byte takes linear time, whatever the payloads contain.
    pub(super) fn find_header(
        &self,
        mut start: u64,
        is_wanted: impl Fn(&FrameHeader) -> bool,
    ) -> Result<Option<u64>, BinlogError> {
        let mut chunk = Vec::new();
        while start + HEADER_BYTES as u64 <= self.size {
            let len = (self.size - start).min(CHUNK_BYTES as u64);
            chunk.resize(len as usize, 0);
            self.read(&mut chunk, start)?;
            let found = chunk.array_windows().zip(start..).find(|(head, offset)| {
                let location = Location { segment: self.number, offset: *offset };
                FrameHeader::parse(head, location).is_some_and(|header| is_wanted(&header))
            });
            if let Some((_, offset)) = found {
                return Ok(Some(offset));
            }
            // The next chunk begins with the first header that is not completely in this one.
            start += len - (HEADER_BYTES as u64 - 1);
        }
        Ok(None)
    }

    /// Cuts off the part that does not count, and makes the rest durable.
    ///
    /// The bytes that may not have reached the disk are written again. After a failed fsync the kernel marks the
    /// pages as clean, so another fsync alone would succeed without writing them.
    fn keep(&self, kept: &Kept) -> Result<(), BinlogError> {
        if kept.end < self.size {
            self.file.truncate(kept.end).map_err(io_error("truncate", self.disk, &self.name))?;
        }
        let mut chunk = Vec::new();
        let mut offset = kept.synced;
        while offset < kept.end {
            chunk.resize((kept.end - offset).min(CHUNK_BYTES as u64) as usize, 0);
            self.read(&mut chunk, offset)?;
            self.file.write_all_at(&chunk, offset).map_err(io_error("write", self.disk, &self.name))?;
            offset += chunk.len() as u64;
        }
        self.file.sync().map_err(io_error("sync", self.disk, &self.name))
    }
}
