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
    /// A file has been truncated, or has fewer bytes than it had. What was written since is read from the
    /// beginning.
    Truncated {
        /// Its number within the source.
        number: u64,
        /// Where it is.
        path: PathBuf,
        /// Up to where it had been handed out.
        offset: u64,
        /// How many bytes were seen but are found nowhere: lost.
        lost: u64,
        /// Whether that is all. If not, there is no copy of the file, and what was written after it was last
        /// looked at and before it was truncated is lost as well.
        is_known: bool,
    },
    /// A file does not have the bytes that were read of it, and was not to stop the source.
    Changed {
        /// The number within the source of the file that was read.
        number: u64,
        /// The file.
        path: PathBuf,
        /// Up to where the one that was read was read.
        offset: u64,
        /// How long it is now.
        size: u64,
    },
    /// A file that cannot be decompressed was left out.
    Skipped {
        /// Where it is.
        path: PathBuf,
        /// Its bytes, compressed: lost.
        lost: u64,
    },
    /// A file was found again in a directory that is not looked through.
    Olddir {
        /// Where it is.
        path: PathBuf,
        /// The directory, which is to be named with `olddir`.
        directory: PathBuf,
    },
    /// The state knows nothing of older files, since it is new or was written by version 1: those whose names
    /// are older than the last file that was read are taken for read.
    Presumed {
        /// The log's path.
        path: PathBuf,
        /// How many files.
        files: u64,
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
            Self::Truncated { lost, .. } | Self::Gone { lost, .. } | Self::Skipped { lost, .. } => *lost,
            _ => 0,
        }
    }

    /// Whether bytes were lost by it, or may have been.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Truncated { is_known, .. } => !is_known || self.lost() > 0,
            Self::Changed { .. } => true,
            _ => self.lost() > 0,
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
            Self::Truncated { path, offset, lost, is_known: true, .. } => {
                write!(f, "{} was truncated, read to byte {offset}; {lost} bytes are lost", path.display())
            }
            Self::Truncated { path, offset, lost, .. } => write!(
                f,
                "{} was truncated, read to byte {offset}, and there is no copy; {lost} bytes are lost, and what \
                 was written just before",
                path.display()
            ),
            Self::Changed { path, offset, size, .. } => write!(
                f,
                "{} does not have the bytes that were read before byte {offset}; it has {size}",
                path.display()
            ),
            Self::Skipped { path, lost } => {
                write!(f, "{} cannot be decompressed and is left out; {lost} bytes are lost", path.display())
            }
            Self::Olddir { path, directory } => write!(
                f,
                "{} was found again; name {} as the olddir, so that everything in it is found",
                path.display(),
                directory.display()
            ),
            Self::Presumed { path, files } => write!(
                f,
                "nothing is known of the older files of {}: {files} of them are taken for counted",
                path.display()
            ),
            Self::Gone { path, offset, lost, .. } => {
                write!(f, "{} is gone, read to byte {offset}; {lost} bytes are lost", path.display())
            }
            Self::Finished { path, size, .. } => write!(f, "{} is finished at {size} bytes", path.display()),
            Self::Waiting { path } => write!(f, "{} does not exist and is waited for", path.display()),
            Self::Unreadable { path, source } => write!(f, "{} cannot be read: {source}", path.display()),
        }
    }
}
