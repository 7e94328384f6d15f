//! An open file of the log, with the few operations that the tailer and the workers need.
//!
//! Reads take an offset, so that many workers can read from the same handle.
//!
//! The handle is what makes a rotation harmless: a file that is renamed or removed while it is open is still the same
//! file, and is read to its end.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::{
    error::TailError,
    fs::{FileId, LogFs, LogRead, Stat},
    packing::Packing,
};
use crate::position::FileMark;

/// An open file of a log. It stays readable after it was renamed or removed.
#[derive(Debug)]
pub struct LogHandle {
    file: Box<dyn LogRead>,
    path: PathBuf,
    id: FileId,
    packing: Packing,
}

impl LogHandle {
    /// Opens the regular file at `path`. Returns its length and its first bytes, up to
    /// [`FileMark::HEAD_BYTES_MAX`], too.
    pub(super) fn open(fs: &dyn LogFs, path: &Path) -> Result<(Self, u64, Vec<u8>), TailError> {
        let file = fs.open(path).map_err(TailError::io("open", path))?;
        let stat = file.stat().map_err(TailError::io("fstat", path))?;
        if !stat.is_regular {
            return Err(TailError::NotRegular { path: path.to_owned() });
        }
        let mut handle = Self { file, path: path.to_owned(), id: stat.id, packing: Packing::Plain };
        let head = handle.read_range(0, stat.size.min(FileMark::HEAD_BYTES_MAX as u64))?;
        handle.packing = Packing::of(path, &head);
        Ok((handle, stat.size, head))
    }

    /// Makes all bytes durable that have been written to the file so far.
    ///
    /// # Errors
    ///
    /// A failed call must not be repeated: the kernel may have dropped the bytes that it could not write, and
    /// a second call would succeed without them.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// Returns the path by which the file was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the device and the inode.
    pub(super) fn id(&self) -> FileId {
        self.id
    }

    /// Returns the compression of the file.
    pub(super) fn packing(&self) -> Packing {
        self.packing
    }

    /// Returns the current metadata of the file.
    pub(super) fn stat(&self) -> Result<Stat, TailError> {
        self.file.stat().map_err(TailError::io("fstat", &self.path))
    }

    /// Reads at `offset` until `buffer` is full or the file ends. Returns the number of bytes.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Returns the bytes from `start` to `end`, or to the end of the file.
    pub(super) fn read_range(&self, start: u64, end: u64) -> Result<Vec<u8>, TailError> {
        let mut bytes = vec![0; (end - start) as usize];
        let count = self.read_at(&mut bytes, start).map_err(TailError::io("read", &self.path))?;
        bytes.truncate(count);
        Ok(bytes)
    }
}
