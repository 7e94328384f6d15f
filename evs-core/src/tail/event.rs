//! Events: things that happened to the log and that an operator wants to know, above all losses.

use std::{fmt, io, path::PathBuf};

/// Something has happened to the log that is worth reporting.
#[derive(Debug)]
#[non_exhaustive]
pub enum TailEvent {
    /// A file was opened.
    Opened {
        /// The number of the file within the source.
        number: u64,
        /// The path of the file.
        path: PathBuf,
        /// The offset at which reading begins.
        offset: u64,
    },
    /// The log's name no longer leads to this file. It is read until it stops growing.
    Rotated {
        /// The number of the file within the source.
        number: u64,
        /// The path of the file before the rotation was noticed.
        path: PathBuf,
    },
    /// A file was truncated, or has fewer bytes than it had. The bytes that were written since are read from
    /// the beginning.
    Truncated {
        /// The number of the file within the source.
        number: u64,
        /// The path of the file.
        path: PathBuf,
        /// The offset up to which it had been handed out.
        offset: u64,
        /// The number of bytes that were seen and are not in any file: they are lost.
        lost: u64,
        /// True if `lost` is the whole loss. If false, there is no copy of the file, so the bytes that were
        /// written between the last look and the truncation are lost as well, and nobody knows how many.
        is_known: bool,
    },
    /// A file does not have the bytes that were read of it, and the options say to continue.
    Changed {
        /// The number, within the source, of the file that was read.
        number: u64,
        /// The file.
        path: PathBuf,
        /// The offset up to which that file was read.
        offset: u64,
        /// The length of the file now.
        size: u64,
    },
    /// A file that cannot be decompressed was left out.
    Skipped {
        /// The path of the file.
        path: PathBuf,
        /// The number of its compressed bytes, which are lost.
        lost: u64,
    },
    /// A file was found again in a directory that evs does not search.
    Olddir {
        /// The path of the file.
        path: PathBuf,
        /// The directory. It should be named with `olddir`.
        directory: PathBuf,
    },
    /// The state knows nothing of older files, because it is new or was written by version 1. Files whose
    /// names are older than the last file that was read count as read.
    Presumed {
        /// The log's path.
        path: PathBuf,
        /// The number of these files.
        files: u64,
    },
    /// A file was gone when reading was resumed.
    Gone {
        /// The number of the file within the source.
        number: u64,
        /// The last known path of the file.
        path: PathBuf,
        /// The offset up to which it had been read.
        offset: u64,
        /// The number of bytes after that offset that it is known to have had: they are lost.
        lost: u64,
    },
    /// A rotated file has been handed out to its end.
    Finished {
        /// The number of the file within the source.
        number: u64,
        /// The path of the file.
        path: PathBuf,
        /// Its length.
        size: u64,
    },
    /// The log does not exist. The tailer waits for it.
    Waiting {
        /// The log's path.
        path: PathBuf,
    },
    /// The next file cannot be opened. Each poll tries again, and nothing is skipped.
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl TailEvent {
    /// Returns the number of bytes that were lost by this event.
    pub fn lost(&self) -> u64 {
        match self {
            Self::Truncated { lost, .. } | Self::Gone { lost, .. } | Self::Skipped { lost, .. } => *lost,
            _ => 0,
        }
    }

    /// Returns true if bytes were lost by this event, or may have been.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Truncated { is_known, .. } => !is_known || self.lost() > 0,
            Self::Changed { .. } => true,
            _ => self.lost() > 0,
        }
    }
}

/// A sentence for people. Programs match on the variants instead.
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
