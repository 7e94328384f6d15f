use std::{
    io,
    path::{Path, PathBuf},
};

/// The log cannot be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TailError {
    /// The operating system refused `op`.
    #[error("{op} failed on {}", path.display())]
    Io {
        /// What was tried.
        op: &'static str,
        /// On which file.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// The log is a directory, a pipe, a device or a socket.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// The log's path.
        path: PathBuf,
    },
    /// A compressed file cannot be decompressed to its end, and there is no plain one beside it.
    #[error(
        "{} may be unread and cannot be decompressed; decompress it beside itself, repair it, move it away, or \
         leave it out with `on_unreadable(OnUnreadable::Skip)`",
        path.display()
    )]
    Damaged {
        /// The compressed file.
        path: PathBuf,
        /// What the decompressor found.
        source: io::Error,
    },
    /// A file that was not read to its end is gone, or was shortened with nothing left of its bytes.
    #[error(
        "file {number}, last known as {path}, is gone: read to byte {offset} of at least {size}; bring it back, \
         name the directory it was moved to with `olddir`, or go on without it with `on_gone(OnGone::Continue)`"
    )]
    Gone {
        /// Its number within the source; 0 if nothing of it was read.
        number: u64,
        /// The path by which it was last known.
        path: String,
        /// Up to where it was read.
        offset: u64,
        /// How long it was when last seen.
        size: u64,
    },
    /// A file begins like the one that was read, but does not have the bytes that were read before
    /// `offset`: lost in a power cut, restored from a backup, or written again. It cannot be told whether its
    /// lines were counted.
    #[error(
        "{} begins like file {number}, but not with the bytes that were read before byte {offset}; it has {size}; \
         bring the file back that was read, or decide about this one: `on_changed(OnChanged::Skip)` takes its \
         lines for counted, `OnChanged::ReadAgain` counts them all",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The number within the source of the file that was read.
        number: u64,
        /// Up to where that one was read.
        offset: u64,
        /// How long the file is now.
        size: u64,
    },
    /// Two files have the bytes that were read of one, and differ after them.
    #[error(
        "{} and {} both begin with the bytes that were read of {path}, and differ after them; move away the one \
         that is not the log's",
        one.display(),
        other.display()
    )]
    Ambiguous {
        /// The path by which the file was last known.
        path: String,
        /// A file with its bytes.
        one: PathBuf,
        /// Another one.
        other: PathBuf,
    },
    /// A file was found again in another directory, in which there are others that may not have been read.
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
    /// There are too many files beside the log to remember each of them.
    #[error("more than {most} files belong to {}; move old ones away", path.display())]
    TooMany {
        /// The log's path.
        path: PathBuf,
        /// How many may be known.
        most: usize,
    },
    /// A frontier needs a file of which no frontier says what it is.
    #[error("file {number} of the source is needed, but in no frontier")]
    Forgotten {
        /// Its number within the source.
        number: u64,
    },
    /// The file was truncated before a worker had read the range that it was given. Reading goes on
    /// from what was last committed.
    #[error("{}: bytes {start} to {end} are no longer there", path.display())]
    Shrunk {
        /// The file.
        path: PathBuf,
        /// Where the range started.
        start: u64,
        /// Where it ended.
        end: u64,
    },
}

impl TailError {
    /// Whether looking again may help when files were looked for: a rotation under way makes them come and go
    /// between two looks.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ResourceBusy)
            }
            Self::Gone { .. }
            | Self::Damaged { .. }
            | Self::Changed { .. }
            | Self::Ambiguous { .. }
            | Self::Olddir { .. } => true,
            Self::NotRegular { .. } | Self::Forgotten { .. } | Self::Shrunk { .. } | Self::TooMany { .. } => {
                false
            }
        }
    }

    /// For `map_err`.
    pub(super) fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { op, path: path.to_owned(), source }
    }
}
