//! Chunks of a compressed file.
//!
//! A compressed file cannot be read at an offset, so one decoder goes through it, and the chunks hold the
//! decompressed bytes.
//!
//! To go on at offset 5,000,000 after a restart, the decoder decompresses and drops 5,000,000 bytes. That is slow for
//! large files, and happens once: a rotated file is read to its end in one go.

use std::{
    io::{self, ErrorKind, Read},
    sync::Arc,
};

use memchr::{memchr, memrchr};

use super::{
    chunk::{Chunk, ChunkKind},
    decoder::decoder,
    excerpt::push_tail,
    handle::LogHandle,
    options::ChunkLimits,
};

/// The number of decompressed bytes that are skipped at a time.
const PIECE_BYTES: usize = 64 << 10;

/// Makes consecutive chunks of a compressed file.
pub(super) struct Unzip {
    decoder: Box<dyn Read + Send>,
    /// Bytes that are already decompressed and come after the last chunk.
    carry: Vec<u8>,
}

/// The lines that [`Unzip::next`] has put into a block.
pub(super) struct Taken {
    /// The length of the lines. Of an oversized line, the block has only the beginning.
    pub(super) len: u64,
    /// The kind of the lines.
    pub(super) kind: ChunkKind,
}

impl Unzip {
    /// Opens a decoder, and skips to `offset`.
    pub(super) fn open(handle: &Arc<LogHandle>, offset: u64) -> io::Result<Self> {
        let mut decoder = decoder(handle)?;
        let skipped = io::copy(&mut decoder.by_ref().take(offset), &mut io::sink())?;
        if skipped < offset {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(Self { decoder, carry: Vec::new() })
    }

    /// Puts the next lines into `block`: at most `most` bytes, which is the distance to the end of the file
    /// or to a stop. Keeps `tail` up to date.
    pub(super) fn next(
        &mut self,
        block: &mut Vec<u8>,
        tail: &mut Vec<u8>,
        most: u64,
        limits: ChunkLimits,
    ) -> io::Result<Taken> {
        let mut searched = 0;
        let mut want = limits.chunk_bytes.min(most);
        loop {
            self.fill(block, want as usize)?;
            if let Some(at) = memrchr(b'\n', &block[searched..]) {
                self.put_back(block, searched + at + 1);
                push_tail(tail, block);
                return Ok(Taken { len: block.len() as u64, kind: ChunkKind::Lines });
            }
            searched = block.len();
            if want == most {
                push_tail(tail, block);
                return Ok(Taken { len: most, kind: ChunkKind::Final });
            }
            if want == limits.line_bytes_max {
                let len = self.skip_line(block, tail, most)?;
                return Ok(Taken { len, kind: ChunkKind::Oversized });
            }
            want = (want * 2).min(limits.line_bytes_max).min(most);
        }
    }

    /// Skips the rest of the line of which `block` is the beginning, and keeps only the first bytes of the
    /// line.
    fn skip_line(&mut self, block: &mut Vec<u8>, tail: &mut Vec<u8>, most: u64) -> io::Result<u64> {
        let mut len = block.len() as u64;
        push_tail(tail, block);
        block.truncate(Chunk::OVERSIZED_BYTES);
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        while len < most {
            piece.clear();
            self.fill(&mut piece, (most - len).min(PIECE_BYTES as u64) as usize)?;
            let end = memchr(b'\n', &piece);
            if let Some(at) = end {
                self.put_back(&mut piece, at + 1);
            }
            push_tail(tail, &piece);
            len += piece.len() as u64;
            if end.is_some() {
                break;
            }
        }
        Ok(len)
    }

    /// Fills `block` up to `want` bytes.
    fn fill(&mut self, block: &mut Vec<u8>, want: usize) -> io::Result<()> {
        let carried = self.carry.len().min(want - block.len());
        block.extend(self.carry.drain(..carried));
        let missing = (want - block.len()) as u64;
        if missing > 0 {
            self.decoder.by_ref().take(missing).read_to_end(block)?;
        }
        // The file is shorter than it was when it was verified.
        if block.len() < want { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Takes the bytes of `block` from `from` on back, for the next chunk.
    fn put_back(&mut self, block: &mut Vec<u8>, from: usize) {
        self.carry.splice(..0, block.drain(from..));
    }
}

impl std::fmt::Debug for Unzip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unzip").field("carry", &self.carry.len()).finish_non_exhaustive()
    }
}
