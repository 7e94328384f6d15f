//! The options of a tailer: the log's path, where a new source begins, and what to do in doubt.
//!
//! Each `On...` option has `Stop` as its default: without a decision of the operator, the tailer stops rather than
//! counts something that may be wrong.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::fs::{LogFs, RealFs};
use crate::{clock::Wall, format::Preamble};

/// The place where a new source begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Begin {
    /// The source begins with the oldest rotated file that is still there.
    Oldest,
    /// The source begins with the first line of the live file.
    #[default]
    Start,
    /// The source begins after the last complete line of the live file.
    End,
}

/// The reaction to a file with unread bytes that is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnGone {
    /// Stop with [`TailError::Gone`](super::TailError::Gone).
    #[default]
    Stop,
    /// Count the bytes as lost, in [`Status::lost_bytes`](crate::Status::lost_bytes), and continue with the next
    /// file.
    Continue,
}

/// The reaction to a file that begins like one that was read, but does not have the bytes that were read of that
/// one. It was shortened by a power cut, restored from a backup, or written again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnChanged {
    /// Stop with [`TailError::Changed`](super::TailError::Changed).
    #[default]
    Stop,
    /// Read all of the file. Lines that were counted before are counted again.
    ReadAgain,
    /// Take everything that is in the file now as read. Lines that were not counted are lost.
    Skip,
}

/// The reaction to a file that may be unread and cannot be decompressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnreadable {
    /// Stop with [`TailError::Damaged`](super::TailError::Damaged), once the file has not changed for the grace
    /// time.
    #[default]
    Stop,
    /// Leave the file out, and count its bytes as lost, in [`Status::lost_bytes`](crate::Status::lost_bytes).
    Skip,
}

/// The options of a [`Tailer`](super::Tailer).
#[derive(Clone, Debug)]
pub struct TailOptions {
    /// The path of the log. The tailer looks for rotated files beside it and, if it is a symbolic link,
    /// beside the file that it leads to.
    ///
    /// A name with times in it, in the letters of `strftime` (`access.%Y-%m-%d.log`), stands for a log without a
    /// live file: each file is followed until the next one has lines. The letters are `%Y`, `%y`, `%m`, `%b`, `%d`,
    /// `%j`, `%H`, `%M`, `%S`, `%s` and `%%`.
    pub path: PathBuf,
    /// True if the name of the log is meant literally, whatever letters are in it.
    pub is_literal: bool,
    /// Another directory in which rotated files are, relative to the directory of the log.
    pub olddir: Option<PathBuf>,
    /// The place where a new source begins. Default: [`Begin::Start`].
    pub begin: Begin,
    /// The time for which a rotated file must not have grown before it is closed. Default: 10 s.
    ///
    /// Lines that the web server writes to it later are not read. So this time should be longer than the web
    /// server's `flush=` time.
    pub grace: Duration,
    /// The length of the longest line, LF included, that is handed out whole. Default: 1 MiB.
    pub line_bytes_max: u64,
    /// The length of a range, unless a line is longer. At most `line_bytes_max`. Default: 256 KiB.
    pub chunk_bytes: u64,
    /// The lines before a range without which it cannot be read. Each chunk then carries these: see
    /// [`Chunk::preamble`](super::Chunk::preamble). Default: none.
    pub preamble: Option<Preamble>,
    /// The most files that are open at once. Finished files count until they are retired. Default: 64.
    pub files_max: usize,
    /// The time after which all files are looked at again, even if nothing seems to have changed. Default: 5 s.
    pub survey_every: Duration,
    /// The reaction to a file with unread bytes that is gone. Default: [`OnGone::Stop`].
    pub on_gone: OnGone,
    /// The reaction to a file that does not have the bytes that were read of it. Default: [`OnChanged::Stop`].
    pub on_changed: OnChanged,
    /// The reaction to a file that cannot be decompressed. Default: [`OnUnreadable::Stop`].
    pub on_unreadable: OnUnreadable,
    /// The file system. Default: [`RealFs`].
    pub fs: Arc<dyn LogFs>,
    /// The clock that tells how long it takes to look at all files. Default: the system's.
    pub wall: Wall,
}

impl TailOptions {
    /// Returns the default options for the log at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            is_literal: false,
            olddir: None,
            begin: Begin::default(),
            grace: Duration::from_secs(10),
            line_bytes_max: 1 << 20,
            chunk_bytes: 256 << 10,
            preamble: None,
            files_max: 64,
            survey_every: Duration::from_secs(5),
            on_gone: OnGone::default(),
            on_changed: OnChanged::default(),
            on_unreadable: OnUnreadable::default(),
            fs: Arc::new(RealFs),
            wall: Wall::system(),
        }
    }

    /// Returns both lengths, forced into their ranges. Since a chunk is not longer than the longest line, a chunk
    /// of several lines has none that is too long.
    pub(super) fn limits(&self) -> ChunkLimits {
        let line_bytes_max = self.line_bytes_max.max(1);
        let chunk_bytes = self.chunk_bytes.clamp(1, line_bytes_max);
        ChunkLimits { line_bytes_max, chunk_bytes, preamble: self.preamble }
    }
}

/// The lengths that lines and chunks may have, and the lines that chunks carry.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkLimits {
    /// The length of the longest line that is handed out whole.
    pub(super) line_bytes_max: u64,
    /// The length of a chunk, unless a line is longer.
    pub(super) chunk_bytes: u64,
    /// The lines that a chunk carries.
    pub(super) preamble: Option<Preamble>,
}
