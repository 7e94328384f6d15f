use std::sync::{Arc, Mutex, PoisonError};

use super::{Digest, LogHandle, TailError};

/// A range of one file of the log, for a worker to read.
#[derive(Debug)]
pub struct Chunk {
    /// The file's [number](super::FileMark::number) within the source.
    pub number: u64,
    /// Where the range starts: the offset of its first byte, uncompressed.
    pub start: u64,
    /// Where it ends: the offset behind its last byte.
    pub end: u64,
    /// What is in it.
    pub kind: ChunkKind,
    content: Content,
}

/// What is in a [`Chunk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkKind {
    /// Whole lines, none over the limit; the last byte is an LF.
    Lines,
    /// The rest of a finished file, of one or more lines, the last of which has no LF.
    Final,
    /// A single line over the limit, with or without LF.
    Oversized,
}

#[derive(Debug)]
enum Content {
    /// In the file. `last` are the bytes before `end`, by which the worker sees that it has read the same
    /// ones as the tailer: a file that is truncated and refilled loses its end first.
    File { handle: Arc<LogHandle>, last: Digest },
    /// Decompressed.
    Block(Block),
}

impl Chunk {
    /// How much of an [`ChunkKind::Oversized`] line is read.
    pub const OVERSIZED_BYTES: usize = 4096;

    pub(super) fn in_file(
        number: u64,
        (start, end): (u64, u64),
        kind: ChunkKind,
        handle: Arc<LogHandle>,
        last: Digest,
    ) -> Self {
        Self { number, start, end, kind, content: Content::File { handle, last } }
    }

    pub(super) fn in_memory(number: u64, (start, end): (u64, u64), kind: ChunkKind, block: Block) -> Self {
        Self { number, start, end, kind, content: Content::Block(block) }
    }

    /// Reads the range, into `buffer` if it is not in memory. Of an [`ChunkKind::Oversized`] line these are
    /// the first [`Chunk::OVERSIZED_BYTES`].
    ///
    /// # Errors
    ///
    /// [`TailError::Shrunk`] if the bytes are no longer there, [`TailError::Io`] if they cannot be read.
    pub fn read<'b>(&'b self, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], TailError> {
        match &self.content {
            Content::Block(block) => Ok(&block.bytes),
            Content::File { handle, last } => self.read_file(handle, last, buffer),
        }
    }

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
        // The end of what is wanted, or the end of the line behind it.
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

/// Buffers for decompressed bytes. There are as many as there are chunks at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Pool {
    /// How many are kept when they are not in use.
    const FREE_MAX: usize = 16;

    /// An empty buffer.
    pub(super) fn take(&self) -> Block {
        let bytes = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Block { bytes, pool: self.clone() }
    }
}

/// A buffer of a [`Pool`], which gets it back when it is dropped.
#[derive(Debug)]
pub(super) struct Block {
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
