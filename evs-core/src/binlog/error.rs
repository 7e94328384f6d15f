//! The errors of a binlog, the kinds of damage that reading can find, and the report of a recovery.

use std::{fmt, io, path::PathBuf};

use crate::{
    batch::{Epoch, InvalidRows},
    codec::InvalidJson,
    disk::{Disk, is_full},
};

/// A binlog could not be opened, read or appended to. `docs/errors.md` in the repository says what to do about each
/// error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BinlogError {
    /// The operating system refused the operation `op`.
    #[error("{op} failed on {}", path.display())]
    Io {
        /// The operation that failed.
        op: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// There was no room to write. The part that was written is cut off again, so the same call can be made again
    /// when there is room.
    #[error("{op} failed on {}: no room", path.display())]
    DiskFull {
        /// The operation that failed.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// An earlier write or fsync failed, so the contents of the disk are unknown. Opening the binlog again reads
    /// them.
    #[error("{} is out of use until it is opened anew, since an earlier call failed", path.display())]
    Poisoned {
        /// The directory.
        path: PathBuf,
    },
    /// Bytes that were durable are not the bytes that were written.
    #[error("{}, byte {offset}: damaged", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// The offset in the segment.
        offset: u64,
        /// The kind of damage.
        source: Damage,
    },
    /// A later version of evs wrote the segment.
    #[error("{} has format version {found}; this evs reads up to {supported}", path.display())]
    NewerVersion {
        /// The segment.
        path: PathBuf,
        /// The version of the segment.
        found: u32,
        /// The latest version that this evs can read.
        supported: u32,
    },
    /// A file has a name like a segment but not as evs would write it, or it has the contents of another segment.
    #[error("{} is not the segment that its name says", path.display())]
    Misnamed {
        /// The file.
        path: PathBuf,
        /// The number inside the file, if it could be read.
        found: Option<u64>,
    },
    /// A segment is missing between others.
    #[error("{} is missing", path.display())]
    MissingSegment {
        /// The path at which it should be.
        path: PathBuf,
    },
    /// The binlog belongs to another source.
    #[error("{} belongs to source {found:?}, not {expected:?}", path.display())]
    ForeignSource {
        /// The segment.
        path: PathBuf,
        /// The source that was requested.
        expected: String,
        /// The source that wrote the segment.
        found: String,
    },
    /// A segment comes from another state directory.
    #[error("{} belongs to epoch {found}, not {expected}", path.display())]
    ForeignEpoch {
        /// The segment.
        path: PathBuf,
        /// The epoch of the segments before it.
        expected: Epoch,
        /// The epoch of the segment.
        found: Epoch,
    },
    /// A sink needs a batch that the binlog no longer has.
    #[error("{sink} needs batch {sequence} of {statistic}, which {} no longer has", path.display())]
    Gone {
        /// The directory.
        path: PathBuf,
        /// The sink.
        sink: String,
        /// The statistic.
        statistic: String,
        /// The first batch that is missing.
        sequence: u64,
    },
    /// The request contradicts the contents of the binlog. Nothing was written.
    #[error("refused to append to {}", path.display())]
    Refused {
        /// The directory.
        path: PathBuf,
        /// The contradiction.
        source: Contradiction,
    },
    /// The name of the source, or the rows of one batch, are larger than a binlog can hold. Nothing was written.
    #[error("{what} has {bytes} bytes, of {bytes_max} at the most")]
    TooLarge {
        /// The thing that is too large.
        what: String,
        /// Its size.
        bytes: u64,
        /// The maximum size.
        bytes_max: u64,
    },
}

impl BinlogError {
    /// Returns whether the same call may succeed when there is room on the disk.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }
}

/// The kind of damage in bytes that were durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The header of the segment is incomplete, or its checksum does not match.
    #[error("the segment's header is unreadable")]
    SegmentHeader,
    /// The header of the frame is incomplete, or its checksum does not match.
    #[error("no frame begins here")]
    FrameHeader,
    /// The frame is longer than the rest of the segment.
    #[error("a frame of {found} bytes where {left} are left")]
    Length {
        /// The length of the frame.
        found: u64,
        /// The number of bytes in the segment from here on.
        left: u64,
    },
    /// The checksum of the frame's payload does not match.
    #[error("checksum {found:#018x}, expected {expected:#018x}")]
    Checksum {
        /// The checksum that was written.
        expected: u64,
        /// The checksum of the payload.
        found: u64,
    },
    /// The frame has a kind that this version does not know, or that cannot be in this place.
    #[error("unexpected frame of kind {found}")]
    Kind {
        /// The kind.
        found: u8,
    },
    /// The payload is not valid for its kind.
    #[error("payload of frame kind {kind} is unreadable")]
    Payload {
        /// The kind.
        kind: u8,
        /// The error of the JSON.
        source: InvalidJson,
    },
    /// The compressed rows do not decompress to the recorded length.
    #[error("the rows do not unpack to {expected} bytes")]
    Compression {
        /// The recorded length.
        expected: u64,
    },
    /// The rows are not in their encoding.
    #[error("the rows are unreadable")]
    Rows {
        /// The error of the encoding.
        source: InvalidRows,
    },
    /// The batch is not the one that the index names, or it has another checksum.
    #[error("another batch than {statistic} {sequence}")]
    Batch {
        /// The statistic.
        statistic: String,
        /// The sequence that was requested.
        sequence: u64,
    },
    /// The frame contradicts the ones before it.
    #[error("the frame does not follow from the ones before it")]
    Contradiction {
        /// The contradiction.
        source: Contradiction,
    },
    /// The snapshot of the segment is not the state at the end of the segments before it, or it cannot be the state
    /// of any binlog.
    #[error("the snapshot does not follow from the segments before it")]
    Snapshot,
    /// A batch of version 2 does not name its predecessor, or a batch of version 1 does.
    #[error("the batch and the segment's version do not agree on whether it names the batch before it")]
    Predecessor,
    /// The segment ends within a commit although another segment follows.
    #[error("the segment ends within a commit")]
    OpenCommit,
}

/// A frame that was to be appended, or was read, does not follow from the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// The statistic was never defined.
    #[error("statistic {statistic} is not defined")]
    UnknownStatistic {
        /// The statistic.
        statistic: String,
    },
    /// The batch is not the next one.
    #[error("statistic {statistic}: batch {found} where {expected} is next")]
    Sequence {
        /// The statistic.
        statistic: String,
        /// The next sequence.
        expected: u64,
        /// The sequence of the batch.
        found: u64,
    },
    /// The batch names another predecessor than the last batch.
    #[error(
        "statistic {statistic}: batch {sequence} follows one with checksum {found:016x}, not {expected:016x}"
    )]
    Predecessor {
        /// The statistic.
        statistic: String,
        /// The sequence of the batch.
        sequence: u64,
        /// The checksum of the last batch.
        expected: u64,
        /// The checksum that the batch names.
        found: u64,
    },
    /// The batch does not begin where the batch before it ended.
    #[error("statistic {statistic}: begins at {found} where it stood at {expected}")]
    From {
        /// The statistic.
        statistic: String,
        /// The position of the statistic, in words.
        expected: String,
        /// The position at which the batch begins, in words.
        found: String,
    },
    /// The position with that number is not known, or is known already.
    #[error("position {position} is not the one that is next, or is not known")]
    UnknownPosition {
        /// The number of the position.
        position: u64,
    },
    /// The batch has another schema than the statistic, or its rows have other columns.
    #[error("statistic {statistic}: rows of another schema")]
    Schema {
        /// The statistic.
        statistic: String,
    },
    /// A statistic is cut twice in one commit.
    #[error("statistic {statistic} is cut twice in one commit")]
    Twice {
        /// The statistic.
        statistic: String,
    },
    /// The sink was never registered for the statistic.
    #[error("sink {sink} is not registered for statistic {statistic}")]
    UnknownSink {
        /// The sink.
        sink: String,
        /// The statistic.
        statistic: String,
    },
    /// The sink is not registered, or another one has its new name.
    #[error("sink {sink} cannot become {to}: it is not registered, or {to} is")]
    Rename {
        /// The sink.
        sink: String,
        /// The new name.
        to: String,
    },
    /// The sink has a batch that was never cut.
    #[error("sink {sink} is at batch {found} of {statistic}, of which {last} is the last")]
    Ahead {
        /// The sink.
        sink: String,
        /// The statistic.
        statistic: String,
        /// The sequence of the sink.
        found: u64,
        /// The sequence of the last batch.
        last: u64,
    },
}

/// The report of opening a binlog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// True if the directory had no binlog: one was made, with an epoch of its own.
    pub created: bool,
    /// The incomplete end that a crash had left. It was cut off, since nothing of it had been committed.
    pub torn: Option<Torn>,
}

/// The part that was cut off at the end of a binlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub path: PathBuf,
    /// The offset from which it was cut off; 0 if the segment was removed because its creation was not finished.
    pub offset: u64,
    /// The number of bytes that were cut off.
    pub bytes: u64,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes cut off {} at byte {}", self.bytes, self.path.display(), self.offset)
    }
}

/// Adds the operation, and the file of `disk`, to an error of the operating system. An empty name stands for the
/// directory.
pub(super) fn io_error(
    op: &'static str,
    disk: &dyn Disk,
    name: &str,
) -> impl FnOnce(io::Error) -> BinlogError + use<> {
    let path = if name.is_empty() { disk.path() } else { disk.path().join(name) };
    move |source| BinlogError::Io { op, path, source }
}

/// Converts an error like [`io_error`], for calls after which the contents of the disk are known if the disk was
/// full. An fsync is not such a call: if a full disk shows only there, a part of what was written is lost.
pub(super) fn room_error(
    op: &'static str,
    disk: &dyn Disk,
    name: &str,
) -> impl FnOnce(io::Error) -> BinlogError + use<> {
    let path = disk.path().join(name);
    move |source| match is_full(source.kind()) {
        true => BinlogError::DiskFull { op, path, source },
        false => BinlogError::Io { op, path, source },
    }
}

/// Returns an error if `what` has more bytes than it may have.
pub(super) fn check_size(what: &str, bytes: u64, bytes_max: u64) -> Result<(), BinlogError> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(BinlogError::TooLarge { what: what.to_owned(), bytes, bytes_max })
}
