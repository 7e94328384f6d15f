//! The chunks of an open file: finds where the next one ends, and checks that the file is intact.
//!
//! A chunk ends at the last LF within 256 KiB of its start, so it has whole lines. If there is none, the search goes
//! on until the next LF, which is one long line, or until `line_bytes_max`, beyond which the line is oversized and
//! only its beginning is read.
//!
//! ```text
//! offset 0          262,144
//!        line⏎line⏎…line⏎li|ne⏎          a chunk of whole lines ends here ^, and the next begins with "line"
//! ```
//!
//! The tailer itself reads only the few KiB in which it searches for the LF. The workers read the lines, each its own
//! chunk.

use std::sync::Arc;

use memchr::{memchr, memrchr};

use super::{FileState, LogFile};
use crate::{
    position::{Digest, FileMark},
    tail::{
        chunk::{Chunk, ChunkKind, Pool},
        decoder::{decoder, unpack_error},
        error::TailError,
        excerpt::tail_before,
        options::ChunkLimits,
        preamble::Before,
        unzip::Unzip,
    },
};

/// The number of bytes that are read at a time in search of an LF. It starts small, since most lines are
/// short.
const PIECE_BYTES_MIN: u64 = 4 << 10;
/// The number to which the reads grow.
const PIECE_BYTES_MAX: u64 = 64 << 10;

/// The most offsets of a file that are remembered with a digest, to recognize a copy of its beginning.
const TRAIL_LEN_MAX: usize = 1024;

impl LogFile {
    /// Returns the next range, if the last look found one.
    pub(in crate::tail) fn next(
        &mut self,
        limits: ChunkLimits,
        pool: &Pool,
    ) -> Result<Option<Chunk>, TailError> {
        let next = match self.state {
            FileState::Done | FileState::Truncated | FileState::Lost => None,
            FileState::Open | FileState::Closing if self.packed.is_some() => {
                self.next_unzipped(limits, pool)?
            }
            FileState::Open | FileState::Closing => self.next_plain(limits)?,
        };
        if next.is_none() && self.state == FileState::Closing && self.offset == self.size {
            self.state = FileState::Done;
            // The decoder is no longer needed. The handle is kept until the next cut.
            self.unzip = None;
        }
        Ok(next)
    }

    /// Returns the next range of a plain file, which the worker will read. It is handed out only if the file
    /// is still intact after the tailer has found its end.
    fn next_plain(&mut self, limits: ChunkLimits) -> Result<Option<Chunk>, TailError> {
        let start = self.offset;
        let Some((end, kind)) = self.find_end(limits)? else { return Ok(None) };
        let before = self.before(limits)?;
        let preamble = before.as_ref().and_then(Before::lines);
        let after = match before {
            Some(before) => Some(self.pass(before, (start, end), kind)?),
            None => None,
        };
        let tail = tail_before(&self.handle, end)?;
        // The check comes last: if the old bytes are still there now, the bytes that were read before were the
        // old ones too.
        if tail.len() as u64 != end.min(FileMark::TAIL_BYTES_MAX as u64) || !self.is_intact()? {
            self.is_suspect = true;
            return Ok(None);
        }
        self.tail = tail;
        let last = self.tail.len().min((end - start) as usize);
        let last = Digest::of(&self.tail[self.tail.len() - last..]);
        self.hand_out(end);
        self.before = after;
        let handle = Arc::clone(&self.handle);
        Ok(Some(Chunk::in_file(self.number, (start, end), kind, handle, last).after(preamble)))
    }

    /// Returns the lines before the offset that chunks carry, if they carry any. Unless the last chunk ended there, the
    /// file is searched from its beginning.
    fn before(&mut self, limits: ChunkLimits) -> Result<Option<Before>, TailError> {
        let Some(preamble) = limits.preamble else { return Ok(None) };
        if let Some(before) = self.before.take().filter(|known| known.until() == self.offset) {
            return Ok(Some(before));
        }
        let found = decoder(&self.handle)
            .and_then(|file| Before::up_to(preamble, limits.line_bytes_max, self.offset, file));
        found.map(Some).map_err(|error| unpack_error(&self.path, error))
    }

    /// Passes a range of a plain file in search of the lines that chunks carry.
    fn pass(
        &self,
        mut before: Before,
        (start, end): (u64, u64),
        kind: ChunkKind,
    ) -> Result<Before, TailError> {
        if kind == ChunkKind::Oversized {
            let until = end.min(start + Chunk::OVERSIZED_BYTES as u64);
            before.pass_line(&self.handle.read_range(start, until)?, end - start);
        } else {
            before.pass(&self.handle.read_range(start, end)?);
        }
        Ok(before)
    }

    /// Returns the end and the kind of the next range.
    fn find_end(&mut self, limits: ChunkLimits) -> Result<Option<(u64, ChunkKind)>, TailError> {
        let known = self.known_end();
        let near = known.min(self.offset + limits.chunk_bytes);
        if let Some(end) = self.last_line_end(near)? {
            return Ok(Some((end, ChunkKind::Lines)));
        }
        self.scanned = self.scanned.max(near);
        let kind =
            |end, otherwise| if end > limits.line_bytes_max { ChunkKind::Oversized } else { otherwise };
        while self.scanned < known {
            let until = known.min(self.scanned + PIECE_BYTES_MAX);
            let piece = self.handle.read_range(self.scanned, until)?;
            if let Some(at) = memchr(b'\n', &piece) {
                let end = self.scanned + at as u64 + 1;
                return Ok(Some((end, kind(end - self.offset, ChunkKind::Lines))));
            }
            if piece.is_empty() {
                // The file is shorter than at the last look.
                self.is_suspect = true;
                return Ok(None);
            }
            self.scanned += piece.len() as u64;
        }
        let is_final = self.state == FileState::Closing || self.stops.last() == Some(&known);
        let rest = known - self.offset;
        Ok((is_final && rest > 0).then(|| (known, kind(rest, ChunkKind::Final))))
    }

    /// Returns the end of the last line before `near`, searching backwards as far as `scanned`.
    fn last_line_end(&self, near: u64) -> Result<Option<u64>, TailError> {
        let mut until = near;
        let mut piece_bytes = PIECE_BYTES_MIN;
        while until > self.scanned {
            let from = self.scanned.max(until.saturating_sub(piece_bytes));
            if let Some(at) = memrchr(b'\n', &self.handle.read_range(from, until)?) {
                return Ok(Some(from + at as u64 + 1));
            }
            until = from;
            piece_bytes = (piece_bytes * 2).min(PIECE_BYTES_MAX);
        }
        Ok(None)
    }

    /// Returns the next range of a compressed file, with its decompressed bytes.
    fn next_unzipped(&mut self, limits: ChunkLimits, pool: &Pool) -> Result<Option<Chunk>, TailError> {
        let most = self.known_end() - self.offset;
        if most == 0 {
            return Ok(None);
        }
        // After an error there is no decoder, and a new one begins at the offset.
        let mut unzip = match self.unzip.take() {
            Some(unzip) => unzip,
            None => {
                let opened = Unzip::open(&self.handle, self.offset);
                opened.map_err(|error| unpack_error(&self.path, error))?
            }
        };
        let mut before = self.before(limits)?;
        let preamble = before.as_ref().and_then(Before::lines);
        let mut block = pool.take();
        let mut tail = self.tail.clone();
        let taken = unzip.next(&mut block.bytes, &mut tail, most, limits);
        let taken = taken.map_err(|error| unpack_error(&self.path, error))?;
        (self.unzip, self.tail) = (Some(unzip), tail);
        let range = (self.offset, self.offset + taken.len);
        match &mut before {
            Some(before) if taken.kind == ChunkKind::Oversized => before.pass_line(&block.bytes, taken.len),
            Some(before) => before.pass(&block.bytes),
            None => {}
        }
        self.hand_out(range.1);
        self.before = before;
        Ok(Some(Chunk::in_memory(self.number, range, taken.kind, block).after(preamble)))
    }

    /// Returns the end of the file, or the next stop if that comes first.
    fn known_end(&self) -> u64 {
        self.stops.last().map_or(self.size, |stop| self.size.min(*stop))
    }

    /// Moves the offset to `end`, and remembers it with its digest. If too many are remembered, every second
    /// one is dropped.
    fn hand_out(&mut self, end: u64) {
        self.offset = end;
        self.scanned = self.scanned.max(end);
        if self.trail.len() >= TRAIL_LEN_MAX {
            let mut at = 0;
            self.trail.retain(|_| {
                at += 1;
                at % 2 == 0
            });
        }
        self.trail.push((end, Digest::of(&self.tail)));
        while self.stops.last().is_some_and(|stop| *stop <= end) {
            self.stops.pop();
        }
    }
}
