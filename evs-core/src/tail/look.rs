//! A first look at a file: it is opened, and its first and last bytes are read.
//!
//! Everything is read from the open file, and its length, too. Between listing a path and opening it, the path may
//! have come to lead to another file; what the handle says counts.

use std::{io::ErrorKind, path::Path, sync::Arc};

use super::{
    error::TailError,
    excerpt::{changing, head_of, tail_before},
    fs::LogFs,
    handle::LogHandle,
};
use crate::position::{Digest, FileMark, Fingerprint};

/// A file that was opened a moment ago, with the bytes by which it is recognized.
#[derive(Debug)]
pub(super) struct Look {
    /// The open file.
    pub(super) handle: Arc<LogHandle>,
    /// The fingerprint of the bytes in the file, compressed or not.
    pub(super) raw: Fingerprint,
    /// The first bytes, uncompressed. Empty for a compressed file until [`Look::unpack_head`].
    pub(super) head: Vec<u8>,
}

impl Look {
    /// Opens the file at `path` and looks at it. Returns `None` if it is gone.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, is not a regular file, or has shrunk meanwhile. In the
    /// last case, another look may succeed.
    pub(super) fn at(fs: &dyn LogFs, path: &Path) -> Result<Option<Self>, TailError> {
        match LogHandle::open(fs, path) {
            Ok((handle, len, head)) => Self::with(Arc::new(handle), len, head).map(Some),
            Err(TailError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Looks at a file that is already open.
    pub(super) fn of(handle: Arc<LogHandle>) -> Result<Self, TailError> {
        let len = handle.stat()?.size;
        let head = handle.read_range(0, len.min(FileMark::HEAD_BYTES_MAX as u64))?;
        Self::with(handle, len, head)
    }

    /// Completes a look with the last bytes. Returns an error if the file is shorter by now than `len`.
    fn with(handle: Arc<LogHandle>, len: u64, head: Vec<u8>) -> Result<Self, TailError> {
        // The last bytes of a short file are all of its bytes.
        let is_short = len <= FileMark::HEAD_BYTES_MAX as u64;
        let tail = if is_short { Digest::of(&head) } else { Digest::of(&tail_before(&handle, len)?) };
        let is_whole = head.len() as u64 == len.min(FileMark::HEAD_BYTES_MAX as u64)
            && u64::from(tail.len) == len.min(FileMark::TAIL_BYTES_MAX as u64);
        if !is_whole {
            return Err(changing(handle.path()));
        }
        let raw = Fingerprint { len, head: Digest::of(&head), tail };
        let head = if handle.packing().is_plain() { head } else { Vec::new() };
        Ok(Self { handle, raw, head })
    }

    /// Reads the first uncompressed bytes of a compressed file.
    pub(super) fn unpack_head(&mut self) -> Result<(), TailError> {
        if !self.handle.packing().is_plain() && self.head.is_empty() {
            self.head = head_of(&self.handle)?;
        }
        Ok(())
    }

    /// Returns the fingerprint of a plain file; `None` if it is compressed.
    pub(super) fn content(&self) -> Option<Fingerprint> {
        self.handle.packing().is_plain().then_some(self.raw)
    }

    /// Returns the fingerprint of the compressed bytes of a compressed file; `None` if it is plain.
    pub(super) fn packed(&self) -> Option<Fingerprint> {
        (!self.handle.packing().is_plain()).then_some(self.raw)
    }
}
