//! The errors of the tailer. Each one carries the known facts, and its message tells an operator what to do.

use std::{
    io,
    path::{Path, PathBuf},
};

/// An error that stops the reading of a log. `docs/errors.md` in the repository says what to do about each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TailError {
    /// The operating system refused `op`.
    #[error("{op} failed on {}", path.display())]
    Io {
        /// The operation.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The log is a directory, a pipe, a device or a socket.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// The log's path.
        path: PathBuf,
    },
    /// A compressed file cannot be decompressed to its end, and there is no uncompressed one beside it.
    #[error(
        "{} may be unread and cannot be decompressed; decompress it beside itself, repair it, move it away, or \
         leave it out with `on_unreadable(OnUnreadable::Skip)`",
        path.display()
    )]
    Damaged {
        /// The compressed file.
        path: PathBuf,
        /// The error of the decompressor.
        source: io::Error,
    },
    /// A file that was not read to its end is gone, or was shortened so much that none of its bytes are left.
    #[error(
        "file {number}, last known as {path}, is gone: read to byte {offset} of at least {size}; bring it back, \
         name the directory it was moved to with `olddir`, or go on without it with `on_gone(OnGone::Continue)`"
    )]
    Gone {
        /// The number of the file within the source, or 0 if nothing of it was read.
        number: u64,
        /// The last known path of the file.
        path: String,
        /// The offset up to which it was read.
        offset: u64,
        /// Its length when it was last seen.
        size: u64,
    },
    /// A file begins like the one that was read, but does not have the bytes that were read before `offset`.
    /// They were lost in a power cut, or the file was restored from a backup or written again. Nobody can
    /// tell whether its lines were counted.
    #[error(
        "{} begins like file {number}, but not with the bytes that were read before byte {offset}; it has {size}; \
         bring the file back that was read, or decide about this one: `on_changed(OnChanged::Skip)` takes its \
         lines for counted, `OnChanged::ReadAgain` counts them all",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The number, within the source, of the file that was read.
        number: u64,
        /// The offset up to which that file was read.
        offset: u64,
        /// The length of the file now.
        size: u64,
    },
    /// Two files have the bytes that were read of one file, and differ after them.
    #[error(
        "{} and {} both begin with the bytes that were read of {path}, and differ after them; move away the one \
         that is not the log's",
        one.display(),
        other.display()
    )]
    Ambiguous {
        /// The last known path of the file that was read.
        path: String,
        /// A file with its bytes.
        one: PathBuf,
        /// Another file with its bytes.
        other: PathBuf,
    },
    /// A file was found again in another directory, where other files may be unread as well.
    #[error(
        "{} was moved to {}, where {} may be unread as well; name that directory with `olddir`",
        found.display(),
        directory.display(),
        other.display()
    )]
    Olddir {
        /// The directory.
        directory: PathBuf,
        /// The file that was found again.
        found: PathBuf,
        /// A file that may be unread.
        other: PathBuf,
    },
    /// The log has too many files to remember each of them.
    #[error("more than {most} files belong to {}; move old ones away", path.display())]
    TooMany {
        /// The log's path.
        path: PathBuf,
        /// The most files that may be known.
        most: usize,
    },
    /// A new source cannot know whether a file is a log, with new lines, or a rotated file of a log that has no live file.
    #[error(
        "{} may be a log, or a rotated file of {log}, which is not there; use a pattern that matches live files only, or \
         begin with the oldest file with `begin(Begin::Oldest)`",
        path.display()
    )]
    Unclear {
        /// The file.
        path: PathBuf,
        /// The path of the log that it may be a rotated file of.
        log: String,
    },
    /// The state has a position in a log that the pattern does not match.
    #[error(
        "{log} was followed until now, and the pattern {} does not match it; correct the pattern, or give the log up with \
         `on_gone(OnGone::Continue)`",
        path.display()
    )]
    Unmatched {
        /// The path of the log.
        log: String,
        /// The pattern.
        path: PathBuf,
    },
    /// A pattern matches more logs than the process may have files open.
    #[error(
        "{} matches {logs} logs, and the limit of open files is enough for {most}; raise it (`ulimit -n`, \
         `LimitNOFILE=`)",
        path.display()
    )]
    TooManyLogs {
        /// The pattern.
        path: PathBuf,
        /// The number of logs.
        logs: usize,
        /// The most logs that may be followed: half of the limit of the process less 256, since a log has two files open
        /// while it is rotated, and the rest is left to the service.
        most: usize,
    },
    /// A frontier needs a file that no frontier describes.
    #[error("file {number} of the source is needed, but in no frontier")]
    Forgotten {
        /// The number of the file within the source.
        number: u64,
    },
    /// The file was truncated before a worker had read its range. Reading continues from the last commit.
    #[error("{}: bytes {start} to {end} are no longer there", path.display())]
    Shrunk {
        /// The file.
        path: PathBuf,
        /// The offset at which the range started.
        start: u64,
        /// The offset at which it ended.
        end: u64,
    },
}

impl TailError {
    /// Returns true if another look may succeed. During a rotation, files come and go between two looks.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ResourceBusy)
            }
            Self::Gone { .. }
            | Self::Damaged { .. }
            | Self::Changed { .. }
            | Self::Ambiguous { .. }
            | Self::Olddir { .. }
            | Self::Unclear { .. }
            | Self::Unmatched { .. } => true,
            Self::NotRegular { .. }
            | Self::Forgotten { .. }
            | Self::Shrunk { .. }
            | Self::TooMany { .. }
            | Self::TooManyLogs { .. } => false,
        }
    }

    /// Returns true if the files changed while they were looked at.
    pub(crate) fn is_changing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::ResourceBusy)
    }

    /// Returns a closure for `map_err` that adds the operation and the path.
    pub(super) fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { op, path: path.to_owned(), source }
    }
}
