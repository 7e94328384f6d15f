use std::{fmt, io, path::PathBuf};

use crate::{
    batch::{Epoch, InvalidRows},
    codec::InvalidJson,
    disk::{Disk, is_full},
};

/// A binlog could not be opened, read or appended to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BinlogError {
    /// The operating system refused `op`.
    #[error("{op} failed on {}", path.display())]
    Io {
        /// What was tried.
        op: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// There was no room to write. What had been written of it is cut off again: the same call may be made
    /// again when there is room.
    #[error("{op} failed on {}: no room", path.display())]
    DiskFull {
        /// What was tried.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// An earlier write or fsync failed, so nobody knows what the disk holds. Opening the binlog anew reads
    /// it from there.
    #[error("{} is out of use until it is opened anew, since an earlier call failed", path.display())]
    Poisoned {
        /// The directory.
        path: PathBuf,
    },
    /// Bytes that were durable once are not what was written.
    #[error("{}, byte {offset}: damaged", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        source: Damage,
    },
    /// The segment was written by a later version of evs.
    #[error("{} has format version {found}; this evs reads up to {supported}", path.display())]
    NewerVersion {
        /// The segment.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The last version that is known.
        supported: u32,
    },
    /// A file is named like a segment, but not as evs would name it, or has another segment's contents.
    #[error("{} is not the segment that its name says", path.display())]
    Misnamed {
        /// The file.
        path: PathBuf,
        /// The number within, if it could be read.
        found: Option<u64>,
    },
    /// A segment is missing between others.
    #[error("{} is missing", path.display())]
    MissingSegment {
        /// Where it should be.
        path: PathBuf,
    },
    /// The binlog is another source's.
    #[error("{} belongs to source {found:?}, not {expected:?}", path.display())]
    ForeignSource {
        /// The segment.
        path: PathBuf,
        /// The source that was asked for.
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
        /// The segment's epoch.
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
    /// What was asked for contradicts what the binlog holds. Nothing was written.
    #[error("refused to append to {}", path.display())]
    Refused {
        /// The directory.
        path: PathBuf,
        /// The contradiction.
        source: Contradiction,
    },
    /// The source's name, or the rows of one batch, are longer than a binlog can hold. Nothing was written.
    #[error("{what} has {bytes} bytes, of {bytes_max} at the most")]
    TooLarge {
        /// What is too large.
        what: String,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        bytes_max: u64,
    },
}

impl BinlogError {
    /// Whether the same call may succeed when there is room on the disk.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }
}

/// What is wrong with bytes that were durable once.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The segment's header is not whole, or its checksum is another.
    #[error("the segment's header is unreadable")]
    SegmentHeader,
    /// The frame's header is not whole, or its checksum is another.
    #[error("no frame begins here")]
    FrameHeader,
    /// The frame reaches beyond the end of the segment.
    #[error("a frame of {found} bytes where {left} are left")]
    Length {
        /// The frame's length.
        found: u64,
        /// How many bytes the segment has from here on.
        left: u64,
    },
    /// The frame's payload has another checksum.
    #[error("checksum {found:#018x}, expected {expected:#018x}")]
    Checksum {
        /// The one that was written with it.
        expected: u64,
        /// The one that it has.
        found: u64,
    },
    /// A frame of a kind that this version does not have, or not in this place.
    #[error("unexpected frame of kind {found}")]
    Kind {
        /// The kind.
        found: u8,
    },
    /// The payload is not what its kind has.
    #[error("payload of frame kind {kind} is unreadable")]
    Payload {
        /// The kind.
        kind: u8,
        /// Why.
        source: InvalidJson,
    },
    /// The compressed rows do not unpack to the length that was written with them.
    #[error("the rows do not unpack to {expected} bytes")]
    Compression {
        /// Their length.
        expected: u64,
    },
    /// The rows are not in their encoding.
    #[error("the rows are unreadable")]
    Rows {
        /// Why.
        source: InvalidRows,
    },
    /// The batch is another one than the index says, or has another checksum.
    #[error("another batch than {statistic} {sequence}")]
    Batch {
        /// The statistic.
        statistic: String,
        /// The sequence that was looked for.
        sequence: u64,
    },
    /// The frame contradicts the ones before it.
    #[error("the frame does not follow from the ones before it")]
    Contradiction {
        /// How.
        source: Contradiction,
    },
    /// The segment's snapshot is not the state that the segments before it end with, or not any binlog's.
    #[error("the snapshot does not follow from the segments before it")]
    Snapshot,
    /// A batch that does not say which one comes before it, or one of version 1 that does.
    #[error("the batch and the segment's version do not agree on whether it names the batch before it")]
    Predecessor,
    /// The segment ends within a commit although another follows.
    #[error("the segment ends within a commit")]
    OpenCommit,
}

/// What was to be appended, or was read, does not follow from what is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// A statistic that was never defined.
    #[error("statistic {statistic} is not defined")]
    UnknownStatistic {
        /// The statistic.
        statistic: String,
    },
    /// A batch that is not the next one.
    #[error("statistic {statistic}: batch {found} where {expected} is next")]
    Sequence {
        /// The statistic.
        statistic: String,
        /// The next sequence.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// A batch that names another one as the one before it.
    #[error(
        "statistic {statistic}: batch {sequence} follows one with checksum {found:016x}, not {expected:016x}"
    )]
    Predecessor {
        /// The statistic.
        statistic: String,
        /// The batch that came.
        sequence: u64,
        /// The checksum of the last batch.
        expected: u64,
        /// The checksum that it names.
        found: u64,
    },
    /// A batch that does not begin where the one before it ended.
    #[error("statistic {statistic}: begins at {found} where it stood at {expected}")]
    From {
        /// The statistic.
        statistic: String,
        /// Where the statistic stood, in words.
        expected: String,
        /// Where the batch begins, in words.
        found: String,
    },
    /// A batch of another schema, or rows with other columns, than the statistic has.
    #[error("statistic {statistic}: rows of another schema")]
    Schema {
        /// The statistic.
        statistic: String,
    },
    /// A statistic that is cut twice in one commit.
    #[error("statistic {statistic} is cut twice in one commit")]
    Twice {
        /// The statistic.
        statistic: String,
    },
    /// A sink that was never registered for the statistic.
    #[error("sink {sink} is not registered for statistic {statistic}")]
    UnknownSink {
        /// The sink.
        sink: String,
        /// The statistic.
        statistic: String,
    },
    /// A sink has what was never cut.
    #[error("sink {sink} is at batch {found} of {statistic}, of which {last} is the last")]
    Ahead {
        /// The sink.
        sink: String,
        /// The statistic.
        statistic: String,
        /// Where the sink is.
        found: u64,
        /// The last batch.
        last: u64,
    },
}

/// What opening a binlog found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// The directory had no binlog; one was made, with an epoch of its own.
    pub created: bool,
    /// What a crash had left half written, and was cut off: nothing of it had been committed.
    pub torn: Option<Torn>,
}

/// The end of a binlog that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub path: PathBuf,
    /// From where on it was cut off; 0 if the segment was removed, because its creation was not finished.
    pub offset: u64,
    /// How many bytes were cut off.
    pub bytes: u64,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes cut off {} at byte {}", self.bytes, self.path.display(), self.offset)
    }
}

/// Adds what was tried, and on which file of `disk`, to an error of the operating system's. Without a name
/// it was the directory.
pub(super) fn io_error(
    op: &'static str,
    disk: &dyn Disk,
    name: &str,
) -> impl FnOnce(io::Error) -> BinlogError + use<> {
    let path = if name.is_empty() { disk.path() } else { disk.path().join(name) };
    move |source| BinlogError::Io { op, path, source }
}

/// As [`io_error`], for calls after which it is known what the disk holds if it was full. A full disk that
/// shows only at fsync is not among these: what was written is then lost in parts.
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
