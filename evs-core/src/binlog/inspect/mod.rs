//! Reads a binlog for a person: beside a running pipeline, without changing a byte, and past damage.
//!
//! [`recover`](super::recover) stops at the first damage, since nothing may be counted on top of it. This reader reports the
//! damage and goes on, with the same decoding and the same rules:
//!
//! ```text
//! segment 1   snapshot  batch  settle  [damage]  acknowledge  batch
//!             followed                 reported  read, but the state is not known here
//! segment 2   snapshot  batch  settle  [tail]
//!             followed again           a commit that is being written, or that a crash has cut short
//! ```
//!
//! A running pipeline appends to the last segment and removes the oldest ones. So the end of the last segment is a tail,
//! by the rule of recovery, and a segment that is gone when its turn comes is passed over: the next one begins with the
//! whole state.

mod facts;

use std::{io::ErrorKind, ops::ControlFlow, path::PathBuf, sync::Arc};

pub use facts::Facts;

use super::{
    copy::source_of,
    error::{BinlogError, Damage, io_error},
    event::{Event, decode_snapshot},
    frame::{FrameHeader, Location},
    reader::{Index, Waiting, unpack_batch},
    recover::{Replay, Scan},
    segment::{self, Named, Parsed, SegmentHeader},
    state::BinlogState,
};
use crate::{
    batch::{Batch, Epoch},
    disk::Disk,
    statistic::Schema,
};

/// A thing that reading a binlog has come upon, in the order of the files.
#[derive(Debug)]
#[non_exhaustive]
pub enum Found<'f> {
    /// A segment, before its frames.
    Segment(&'f Segment),
    /// A frame with valid checksums.
    Frame(&'f Frame<'f>),
    /// Bytes that are not what was written. Reading goes on after them.
    Problem(&'f Problem),
}

/// The header of a segment, and its file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Segment {
    /// The number of the segment.
    pub number: u64,
    /// The file.
    pub path: PathBuf,
    /// The length of the file when it was opened.
    pub bytes: u64,
    /// The version of its format.
    pub version: u32,
    /// The epoch of the state directory.
    pub epoch: Epoch,
    /// The name of the source.
    pub source: String,
}

/// A frame whose checksums are those of its bytes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Frame<'f> {
    /// The number of the segment.
    pub segment: u64,
    /// The version of the segment's format.
    pub version: u32,
    /// The offset in the segment at which the frame begins.
    pub offset: u64,
    /// The length of the frame with its header.
    pub bytes: u64,
    /// The offset up to which fsync had succeeded when the frame was written.
    pub synced: u64,
    /// True if the frame was compared with the ones before it. It was not if some of those are damaged.
    pub is_followed: bool,
    /// The contents of the frame.
    pub facts: Facts,
    rows: Option<RowsOf<'f>>,
}

/// The payload of a batch, and what is needed to decode it.
#[derive(Debug)]
struct RowsOf<'f> {
    payload: &'f [u8],
    schema: Arc<Schema>,
    source: Arc<str>,
    epoch: Epoch,
}

impl Frame<'_> {
    /// Decodes the batch with its rows, and compares it with its checksum. Returns `None` if the frame is no batch, or if
    /// its columns are not known because a frame before it is damaged.
    ///
    /// # Errors
    ///
    /// [`Damage`] if the rows are not the ones whose checksum the frame has.
    pub fn batch(&self) -> Option<Result<Batch, Damage>> {
        let rows = self.rows.as_ref()?;
        let unpacked = unpack_batch(rows.payload, &rows.schema, &rows.source, rows.epoch);
        Some(unpacked.and_then(|(batch, checksum)| {
            if batch.checksum() == checksum {
                return Ok(Batch { cut_checksum: Some(checksum), ..batch });
            }
            let (statistic, sequence) = (batch.statistic().to_owned(), batch.sequence);
            Err(Damage::Batch { statistic, sequence })
        }))
    }
}

/// Bytes of a binlog that are not what was written, or files that are not there.
#[derive(Debug)]
#[non_exhaustive]
pub struct Problem {
    /// The number of the segment, if it is in one.
    pub segment: Option<u64>,
    /// The offset in the segment; 0 if the whole segment is meant.
    pub offset: u64,
    /// The number of bytes that could not be read, up to the next frame or the end; 0 if the frame is valid and only
    /// contradicts the ones before it, or if a file is missing.
    pub bytes: u64,
    /// The kind of the problem, and its place.
    pub error: BinlogError,
}

/// The end of the last segment that belongs to no complete commit. A running pipeline is writing it, or a crash has cut it
/// short; the next start cuts it off, and reads its lines again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tail {
    /// The number of the segment.
    pub segment: u64,
    /// The offset at which it begins.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
}

/// The sum of a binlog that was read.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Contents {
    /// The state after the last commit. `None` if there is no binlog, or if a frame of the last segment is damaged.
    pub state: Option<BinlogState>,
    /// The segments that were read, without their frames.
    pub segments: Vec<Segment>,
    /// The end of the last segment that does not count.
    pub tail: Option<Tail>,
    /// The number of problems.
    pub problems: u64,
    /// True if the visitor has stopped the reading, so that the rest is not known.
    pub is_stopped: bool,
    index: Index,
}

impl Contents {
    /// Returns the number of batches of a statistic after `sequence` that the binlog has, with their rows and the time of the
    /// first one, and the length of their frames in bytes.
    pub fn waiting(&self, statistic: &str, sequence: u64) -> (Waiting, u64) {
        let mut waiting = Waiting::default();
        self.index.add_waiting(statistic, sequence, &mut waiting);
        (waiting, self.index.backlog(statistic, sequence).bytes)
    }

    /// Returns the sequence of the oldest batch of a statistic that the binlog has; `None` if it has none.
    pub fn first_sequence(&self, statistic: &str) -> Option<u64> {
        self.index.first(statistic)
    }
}

/// The segments that are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// All segments.
    All,
    /// The newest segment that has a state. It is enough to know the state, and takes the same time however large the binlog
    /// is.
    Newest,
}

/// The function that is called with everything that is found. Reading ends when it breaks.
pub(crate) type Visit<'v> = dyn FnMut(Found<'_>) -> ControlFlow<()> + 'v;

/// Reads a binlog, and calls `visit` with everything that is in it.
///
/// # Errors
///
/// Returns an error if a file cannot be read, or if a later version of evs has written it. Damage is no error.
pub(crate) fn read(disk: &dyn Disk, part: Part, visit: &mut Visit<'_>) -> Result<Contents, BinlogError> {
    let source = source_of(disk).map_err(io_error("read", disk, ""))?.unwrap_or_default();
    let mut walk =
        Walk { disk, visit, replay: Replay::new(&source), contents: Contents::default(), has_gap: false };
    let numbers = walk.numbers()?;
    let flow = match part {
        Part::All => walk.all(&numbers)?,
        Part::Newest => walk.newest(&numbers)?,
    };
    let Walk { replay, mut contents, .. } = walk;
    contents.is_stopped = flow.is_break();
    contents.state = replay.state;
    contents.index = replay.index;
    Ok(contents)
}

/// The reading of a binlog.
struct Walk<'w, 'v> {
    disk: &'w dyn Disk,
    visit: &'w mut Visit<'v>,
    /// The state is `None` where it is not known, before the first snapshot and after damage.
    replay: Replay<'w>,
    contents: Contents,
    /// True if some of the batches that the state knows were not read.
    has_gap: bool,
}

type Flow = ControlFlow<()>;
const GO_ON: Flow = Flow::Continue(());

impl<'w> Walk<'w, '_> {
    /// Returns the numbers of the segments, in order.
    fn numbers(&mut self) -> Result<Vec<u64>, BinlogError> {
        let mut numbers = Vec::new();
        for name in self.disk.list().map_err(io_error("list", self.disk, ""))? {
            match segment::parse_name(&name) {
                Named::Segment(number) => numbers.push(number),
                Named::Alike => {
                    let path = self.disk.path().join(name);
                    // Reading goes on in any case: this is only the first of the problems.
                    let _ = self.problem(None, 0, 0, BinlogError::Misnamed { path, found: None });
                }
                Named::Other => {}
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn all(&mut self, numbers: &[u64]) -> Result<Flow, BinlogError> {
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return Ok(GO_ON) };
        for number in *first..=*last {
            let flow = match self.open(number, number == *last)? {
                Some(scan) => self.segment(&scan)?,
                None => self.missing(number)?,
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        if !self.has_gap
            && let Err(error) = self.replay.check_sinks(self.disk)
        {
            return Ok(self.problem(None, 0, 0, error));
        }
        Ok(GO_ON)
    }

    /// Reads the newest segment, and the one before it if the newest was not finished.
    fn newest(&mut self, numbers: &[u64]) -> Result<Flow, BinlogError> {
        self.has_gap = true;
        for number in numbers.iter().rev().take(2) {
            let Some(scan) = self.open(*number, Some(number) == numbers.last())? else { continue };
            let flow = self.segment(&scan)?;
            if flow.is_break() || self.replay.state.is_some() {
                return Ok(flow);
            }
        }
        Ok(GO_ON)
    }

    /// Opens a segment; returns `None` if it is not there.
    fn open(&self, number: u64, is_last: bool) -> Result<Option<Scan<'w>>, BinlogError> {
        match Scan::open(self.disk, number, is_last) {
            Err(BinlogError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Handles a segment that is not there. A running pipeline removes segments from the oldest on, and those are no
    /// problem.
    fn missing(&mut self, number: u64) -> Result<Flow, BinlogError> {
        let names = self.disk.list().map_err(io_error("list", self.disk, ""))?;
        let is_older = |name: &String| matches!(segment::parse_name(name), Named::Segment(n) if n < number);
        self.lose_track();
        if !names.iter().any(is_older) {
            return Ok(GO_ON);
        }
        let path = self.disk.path().join(segment::name(number));
        Ok(self.problem(Some(number), 0, 0, BinlogError::MissingSegment { path }))
    }

    /// Goes on without a state, until the next snapshot.
    fn lose_track(&mut self) {
        self.replay.state = None;
        self.replay.open = None;
        self.replay.index = Index::default();
        self.has_gap = true;
    }

    fn problem(&mut self, segment: Option<u64>, offset: u64, bytes: u64, error: BinlogError) -> Flow {
        self.contents.problems += 1;
        (self.visit)(Found::Problem(&Problem { segment, offset, bytes, error }))
    }

    /// Reports damage, after which the state is not known.
    fn damage(&mut self, scan: &Scan<'_>, offset: u64, bytes: u64, damage: Damage) -> Flow {
        self.lose_track();
        self.problem(Some(scan.number), offset, bytes, scan.damaged(offset, damage))
    }

    fn segment(&mut self, scan: &Scan<'_>) -> Result<Flow, BinlogError> {
        let header = match scan.header()? {
            Parsed::Header(header) => header,
            Parsed::Newer(found) => {
                let (path, supported) = (scan.path(), segment::VERSION);
                return Err(BinlogError::NewerVersion { path, found, supported });
            }
            Parsed::Unreadable if self.is_unfinished(scan, 0)? => return Ok(GO_ON),
            // Without a header, the version of the frames is not known.
            Parsed::Unreadable => return Ok(self.damage(scan, 0, scan.size, Damage::SegmentHeader)),
        };
        if let Err(error) = self.replay.check_header(scan, &header) {
            self.lose_track();
            return Ok(self.problem(Some(scan.number), 0, scan.size, error));
        }
        let found = Segment {
            number: scan.number,
            path: scan.path(),
            bytes: scan.size,
            version: header.version,
            epoch: header.epoch,
            source: header.source.clone(),
        };
        if (self.visit)(Found::Segment(&found)).is_break() {
            return Ok(Flow::Break(()));
        }
        self.contents.segments.push(found);
        self.frames(scan, &header)
    }

    /// Returns whether a segment that is invalid from `offset` on is one whose creation is not finished. If so, it is the
    /// tail.
    fn is_unfinished(&mut self, scan: &Scan<'_>, offset: u64) -> Result<bool, BinlogError> {
        let may_be = scan.is_last && (self.replay.state.is_some() || scan.number == 1 || self.has_gap);
        let is_it = may_be && !scan.was_synced_beyond(offset, 0)?;
        if is_it {
            self.contents.tail = Some(Tail { segment: scan.number, offset: 0, bytes: scan.size });
        }
        Ok(is_it)
    }

    /// Reports bytes that are no frame. Returns the offset of the next frame, or the end.
    fn hole(&mut self, scan: &Scan<'_>, offset: u64, damage: Damage) -> Result<(Flow, u64), BinlogError> {
        let next = scan.find_header(offset + 1, |_| true)?.unwrap_or(scan.size);
        Ok((self.damage(scan, offset, next - offset, damage), next))
    }

    /// Reads the frames of a segment.
    fn frames(&mut self, scan: &Scan<'_>, header: &SegmentHeader) -> Result<Flow, BinlogError> {
        let begin = header.len() as u64;
        let (mut offset, mut kept_end, mut is_first) = (begin, begin, true);
        let mut payload = Vec::new();
        while is_first || offset < scan.size {
            match scan.frame(offset, &mut payload)? {
                Ok(frame) => {
                    if self.frame(scan, header, (offset, &frame), &payload, is_first).is_break() {
                        return Ok(Flow::Break(()));
                    }
                    offset += frame.frame_bytes();
                    if self.replay.open.is_none() {
                        kept_end = offset;
                    }
                }
                Err(_) if is_first && self.is_unfinished(scan, offset)? => return Ok(GO_ON),
                Err(_) if !is_first && scan.is_last && !scan.was_synced_beyond(offset, kept_end)? => break,
                Err(damage) => {
                    let (flow, next) = self.hole(scan, offset, damage)?;
                    if flow.is_break() {
                        return Ok(flow);
                    }
                    (offset, kept_end) = (next, next);
                }
            }
            is_first = false;
        }
        self.end(scan, kept_end)
    }

    /// Ends a segment: what comes after its last commit is the tail of the last segment, or damage.
    fn end(&mut self, scan: &Scan<'_>, kept_end: u64) -> Result<Flow, BinlogError> {
        let is_open = self.replay.open.take().is_some();
        if scan.is_last {
            let bytes = scan.size - kept_end;
            self.contents.tail =
                (bytes > 0).then_some(Tail { segment: scan.number, offset: kept_end, bytes });
        } else if is_open {
            return Ok(self.damage(scan, kept_end, 0, Damage::OpenCommit));
        }
        Ok(GO_ON)
    }

    /// Reads one frame, and applies it if the state is known.
    fn frame(
        &mut self,
        scan: &Scan<'_>,
        header: &SegmentHeader,
        (offset, frame): (u64, &FrameHeader),
        payload: &[u8],
        is_first: bool,
    ) -> Flow {
        let read = if is_first {
            self.snapshot(header, frame, payload).map(|facts| (facts, None))
        } else {
            self.event(scan, header, (offset, frame), payload)
        };
        let (facts, rows) = match read {
            Ok(read) => read,
            Err(damage) => return self.damage(scan, offset, 0, damage),
        };
        let is_followed = self.replay.state.is_some();
        let (segment, version, bytes, synced) =
            (scan.number, header.version, frame.frame_bytes(), frame.synced);
        let found = Frame { segment, version, offset, bytes, synced, is_followed, facts, rows };
        (self.visit)(Found::Frame(&found))
    }

    fn snapshot(
        &mut self,
        header: &SegmentHeader,
        frame: &FrameHeader,
        payload: &[u8],
    ) -> Result<Facts, Damage> {
        let facts = Facts::of_snapshot(&decode_snapshot(frame.kind, payload)?);
        let followed = self.replay.snapshot(header, frame.kind, payload);
        if followed.is_err() {
            // The snapshot is valid by itself, so what comes after it can be followed.
            self.lose_track();
            self.replay.snapshot(header, frame.kind, payload)?;
        }
        followed.map(|()| facts)
    }

    fn event<'p>(
        &mut self,
        scan: &Scan<'_>,
        header: &SegmentHeader,
        (offset, frame): (u64, &FrameHeader),
        payload: &'p [u8],
    ) -> Result<(Facts, Option<RowsOf<'p>>), Damage> {
        let event = Event::decode(header.version, frame.kind, payload)?;
        let mut facts = Facts::of(&event);
        let Some(before) = &self.replay.state else { return Ok((facts, None)) };
        facts.resolve(self.replay.open.as_ref().map_or(before, |open| &open.state));
        let statistic = match &event {
            Event::Batch(batch) => Some(batch.statistic.clone()),
            _ => None,
        };
        let location = Location { segment: scan.number, offset };
        self.replay.event(event, location, frame.frame_bytes())?;
        let known = self.replay.open.as_ref().map(|open| &open.state).zip(statistic);
        let rows = known.and_then(|(state, statistic)| {
            let schema = Arc::clone(&state.statistics.get(&statistic)?.schema);
            Some(RowsOf { payload, schema, source: header.source.as_str().into(), epoch: header.epoch })
        });
        Ok((facts, rows))
    }
}
