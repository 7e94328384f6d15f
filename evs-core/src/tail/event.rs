use std::{fmt, io, path::PathBuf};

/// Something worth telling has happened to the log.
#[derive(Debug)]
#[non_exhaustive]
pub enum TailEvent {
    /// A file has been opened, to be read from `offset` on.
    Opened {
        /// Its number within the source.
        number: u64,
        /// Where it is.
        path: PathBuf,
        /// Where reading begins.
        offset: u64,
    },
    /// A file is no longer the one that the log's name stands for. It is read on until it stops growing.
    Rotated {
        /// Its number within the source.
        number: u64,
        /// By which path it was known.
        path: PathBuf,
    },
    /// A file has been truncated. Its successor is read from the beginning.
    Truncated {
        /// Its number within the source.
        number: u64,
        /// Where it is.
        path: PathBuf,
        /// Up to where it had been handed out.
        offset: u64,
        /// How many bytes were seen but are found nowhere: lost.
        lost: u64,
    },
    /// A file was gone when reading was resumed.
    Gone {
        /// Its number within the source.
        number: u64,
        /// By which path it was last known.
        path: PathBuf,
        /// Up to where it had been read.
        offset: u64,
        /// How many more bytes it is known to have had: lost.
        lost: u64,
    },
    /// A rotated file has been handed out to its end.
    Finished {
        /// Its number within the source.
        number: u64,
        /// Where it is.
        path: PathBuf,
        /// How long it was.
        size: u64,
    },
    /// The log does not exist. It is waited for.
    Waiting {
        /// The log's path.
        path: PathBuf,
    },
    /// A file that is next cannot be opened. It is tried again at each poll, and nothing is skipped.
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
}

impl TailEvent {
    /// How many bytes were lost by it.
    pub fn lost(&self) -> u64 {
        match self {
            Self::Truncated { lost, .. } | Self::Gone { lost, .. } => *lost,
            _ => 0,
        }
    }
}

/// For people.
impl fmt::Display for TailEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { path, offset, .. } => {
                write!(f, "{} is read from byte {offset} on", path.display())
            }
            Self::Rotated { path, .. } => write!(f, "{} was rotated", path.display()),
            Self::Truncated { path, offset, lost, .. } => {
                write!(f, "{} was truncated at byte {offset}; {lost} bytes are lost", path.display())
            }
            Self::Gone { path, offset, lost, .. } => {
                write!(f, "{} is gone, read to byte {offset}; {lost} bytes are lost", path.display())
            }
            Self::Finished { path, size, .. } => write!(f, "{} is finished at {size} bytes", path.display()),
            Self::Waiting { path } => write!(f, "{} does not exist and is waited for", path.display()),
            Self::Unreadable { path, source } => write!(f, "{} cannot be read: {source}", path.display()),
        }
    }
}
