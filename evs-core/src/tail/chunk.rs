//! Chunks: the ranges of the log that the tailer hands out and the workers read.
//!
//! A chunk of a plain file holds only offsets, so that the worker does the reading. A compressed file has to
//! be decompressed from its beginning, by one decoder, so its chunks hold the decompressed bytes.

use std::sync::{Arc, Mutex, PoisonError};

use super::{error::TailError, handle::LogHandle};
use crate::position::Digest;

/// A range of one file of the log, for a worker to read.
#[derive(Debug)]
pub struct Chunk {
    /// The file's [number](crate::FileMark::number) within the source.
    pub number: u64,
    /// The offset of the first byte, uncompressed.
    pub start: u64,
    /// The offset after the last byte.
    pub end: u64,
    /// The kind of lines in the range.
    pub kind: ChunkKind,
    /// The path of the log that the file belongs to. It is set by [`Logs`](super::Logs).
    pub log: Option<Arc<str>>,
    content: Content,
    /// The lines before the range without which it cannot be read.
    preamble: Option<Arc<[u8]>>,
}

/// The kind of lines in a [`Chunk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkKind {
    /// Whole lines, none longer than the limit. The last byte is an LF.
    Lines,
    /// The rest of a finished file: one or more lines, of which the last has no LF.
    Final,
    /// A single line longer than the limit, with or without an LF.
    Oversized,
}

/// The bytes of a chunk, or the place where they are.
#[derive(Debug)]
enum Content {
    /// The bytes are in the file. `last` is the digest of those before `end`. By it the worker checks that it
    /// reads the same bytes as the tailer did: a file that is truncated and refilled loses its end first.
    File { handle: Arc<LogHandle>, last: Digest },
    /// The bytes are decompressed and in memory.
    Block(Block),
}

impl Chunk {
    /// The number of bytes that are read of an [`ChunkKind::Oversized`] line.
    pub const OVERSIZED_BYTES: usize = 4096;

    /// Describes a range of a plain file. `last` is the digest of its last bytes.
    pub(super) fn in_file(
        number: u64,
        (start, end): (u64, u64),
        kind: ChunkKind,
        handle: Arc<LogHandle>,
        last: Digest,
    ) -> Self {
        Self { number, start, end, kind, content: Content::File { handle, last }, log: None, preamble: None }
    }

    /// Wraps decompressed lines.
    pub(super) fn in_memory(number: u64, (start, end): (u64, u64), kind: ChunkKind, block: Block) -> Self {
        Self { number, start, end, kind, content: Content::Block(block), log: None, preamble: None }
    }

    /// With the lines before the range without which it cannot be read.
    pub(super) fn after(self, preamble: Option<Arc<[u8]>>) -> Self {
        Self { preamble, ..self }
    }

    /// The lines of the file before the range that [`TailOptions::preamble`](super::TailOptions) asks for. `None` if there
    /// are none.
    pub fn preamble(&self) -> Option<&[u8]> {
        self.preamble.as_deref()
    }

    /// Reads the range, into `buffer` if it is not in memory. Of an [`ChunkKind::Oversized`] line, reads the
    /// first [`Chunk::OVERSIZED_BYTES`].
    ///
    /// # Errors
    ///
    /// Returns [`TailError::Shrunk`] if the bytes are no longer there, and [`TailError::Io`] if they cannot
    /// be read.
    pub fn read<'b>(&'b self, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], TailError> {
        match &self.content {
            Content::Block(block) => Ok(&block.bytes),
            Content::File { handle, last } => self.read_file(handle, last, buffer),
        }
    }

    /// Reads a range from the file, and checks that its last bytes are those that the tailer saw.
    fn read_file<'b>(
        &self,
        handle: &LogHandle,
        last: &Digest,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], TailError> {
        let mut wanted = (self.end - self.start) as usize;
        if self.kind == ChunkKind::Oversized {
            wanted = wanted.min(Self::OVERSIZED_BYTES);
        }
        // The bytes to check are the last of the wanted ones, or of an oversized line its end, which is read
        // after the wanted ones.
        let check = last.len as usize;
        let total = if self.kind == ChunkKind::Oversized { wanted + check } else { wanted };
        if buffer.len() < total {
            buffer.resize(total, 0);
        }
        let read = |bytes: &mut [u8], at| match handle.read_at(bytes, at) {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(_) => Err(self.shrunk(handle)),
            Err(source) => Err(TailError::io("read", handle.path())(source)),
        };
        read(&mut buffer[..wanted], self.start)?;
        if self.kind == ChunkKind::Oversized {
            read(&mut buffer[wanted..total], self.end - u64::from(last.len))?;
        }
        if !last.matches(&buffer[total - check..total]) {
            return Err(self.shrunk(handle));
        }
        Ok(&buffer[..wanted])
    }

    fn shrunk(&self, handle: &LogHandle) -> TailError {
        TailError::Shrunk { path: handle.path().to_owned(), start: self.start, end: self.end }
    }
}

/// A pool of buffers for decompressed bytes. There are as many buffers as there are chunks at the same time.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Pool {
    /// The most unused buffers that are kept.
    const FREE_MAX: usize = 16;

    /// Returns an empty buffer.
    pub(super) fn take(&self) -> Block {
        let bytes = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Block { bytes, pool: self.clone() }
    }
}

/// A buffer of a [`Pool`]. When dropped, it returns to the pool.
#[derive(Debug)]
pub(super) struct Block {
    /// The bytes. Their capacity is kept for the next user.
    pub(super) bytes: Vec<u8>,
    pool: Pool,
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < Pool::FREE_MAX {
            self.bytes.clear();
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}
