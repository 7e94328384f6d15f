//! [`LogFile`]: a file of the log, which is recognized by its bytes as the tailer does.

use std::path::{Path, PathBuf};

use crate::{
    position::{FileMark, KnownFile},
    tail::{Identified, TailError, Verdict},
};

/// The result of comparing a file with a position in a file of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileMatch {
    /// It is the file, and it has the bytes that were read right before the position.
    Same,
    /// It begins with other bytes, so it is another file. A position without bytes matches no file.
    Other,
    /// It begins like the file, and ends before the position.
    Shorter,
    /// It begins like the file, and has other bytes right before the position.
    Changed,
}

/// A file that may belong to a log, plain or compressed.
///
/// ```
/// use evs_core::inspect::LogFile;
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("access.log");
/// std::fs::write(&path, "first line\nsecond line\n")?;
/// let file = LogFile::open(&path)?.ok_or("it was written just now")?;
/// assert_eq!(file.line_at(13)?, Some((11, b"second line".to_vec())));
/// assert_eq!(file.line_at(99)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: Identified,
}

impl LogFile {
    /// The most bytes of a line that [`line_at`](Self::line_at) reads on each side of a byte.
    pub const LINE_BYTES_MAX: u64 = 1 << 20;

    /// Opens the file at `path`; returns `None` if there is none.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be read or decompressed, or if it is not a regular file.
    pub fn open(path: impl AsRef<Path>) -> Result<Option<Self>, TailError> {
        let path = path.as_ref().to_owned();
        Ok(Identified::at(&path)?.map(|file| Self { path, file }))
    }

    /// Returns the path by which the file was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Compares the file with each of `marks`, by the digests that they remember. A compressed file is decompressed to its
    /// end if it begins like one of them.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read or decompressed.
    pub fn compare(&self, marks: &[&FileMark]) -> Result<Vec<FileMatch>, TailError> {
        let verdicts = self.file.compare(marks)?;
        let found = |verdict| match verdict {
            Verdict::Same => FileMatch::Same,
            Verdict::Other => FileMatch::Other,
            Verdict::Shorter => FileMatch::Shorter,
            Verdict::Changed => FileMatch::Changed,
        };
        Ok(verdicts.into_iter().map(found).collect())
    }

    /// Returns whether it is a known file that is not open, or begins with all of that file's bytes. It goes by the bytes, as
    /// [`compare`](Self::compare) does.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read or decompressed.
    pub fn is_known(&self, known: &KnownFile) -> Result<bool, TailError> {
        self.file.is_known(known)
    }

    /// Returns the line that has the byte at `offset` (uncompressed), without its line feed, and the offset at which it
    /// begins. Returns `None` if the file ends before. Of a line that is longer than
    /// [`LINE_BYTES_MAX`](Self::LINE_BYTES_MAX) on one side of the byte, it returns a part.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read or decompressed.
    pub fn line_at(&self, offset: u64) -> Result<Option<(u64, Vec<u8>)>, TailError> {
        self.file.line_at(offset, Self::LINE_BYTES_MAX)
    }
}
