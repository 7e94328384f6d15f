//! The bytes of a file by which it is recognized, and how they are read.
//!
//! A [`Look`](super::look::Look) is cheap: it reads the first and last bytes that are in the file. An [`Excerpt`] has
//! the uncompressed bytes, and those before any offset as well, for which a compressed file has to be decompressed to
//! its end. The survey of all files, in `tailer/survey.rs`, uses both.

use std::{
    io::{self, ErrorKind, Read},
    path::Path,
    sync::Arc,
};

use memchr::{memchr, memrchr};

use super::{
    decoder::{decoder, decoder_with, unpack_error},
    error::TailError,
    handle::LogHandle,
};
use crate::position::{Digest, FileMark, Fingerprint};

/// The number of bytes that are read at a time.
const PIECE_BYTES: u64 = 64 << 10;
/// Files that have fewer bytes in common may be different ones: they have the same header, or a web server has written the
/// same line or two again.
pub(super) const SURE_BYTES: u64 = FileMark::HEAD_BYTES_MAX as u64;

/// The uncompressed bytes of a file, or as much of them as is needed to compare it with others.
#[derive(Clone, Debug)]
pub(super) struct Excerpt {
    /// The length of the file.
    pub(super) size: u64,
    /// The first bytes, up to [`FileMark::HEAD_BYTES_MAX`].
    pub(super) head: Vec<u8>,
    /// The bytes before each of the requested offsets, up to [`FileMark::TAIL_BYTES_MAX`].
    pub(super) tails: Vec<Vec<u8>>,
    /// The last bytes, up to [`FileMark::TAIL_BYTES_MAX`].
    pub(super) end: Vec<u8>,
}

impl Excerpt {
    /// Reads a file. A compressed one is decompressed, and thereby verified, to its end.
    ///
    /// # Errors
    ///
    /// Returns [`TailError::Damaged`] if the file cannot be decompressed.
    pub(super) fn of(handle: &Arc<LogHandle>, offsets: &[u64]) -> Result<Self, TailError> {
        if !handle.packing().is_plain() {
            return Self::decompress(handle, offsets);
        }
        let size = handle.stat()?.size;
        let tails = offsets.iter().map(|offset| tail_before(handle, *offset)).collect::<Result<_, _>>()?;
        let (head, end) = (head_of(handle)?, tail_before(handle, size)?);
        let is_whole = head.len() as u64 >= size.min(FileMark::HEAD_BYTES_MAX as u64)
            && end.len() as u64 == size.min(FileMark::TAIL_BYTES_MAX as u64);
        if is_whole { Ok(Self { size, head, tails, end }) } else { Err(changing(handle.path())) }
    }

    /// Returns the fingerprint of the whole file.
    pub(super) fn content(&self) -> Fingerprint {
        Fingerprint { len: self.size, head: Digest::of(&self.head), tail: Digest::of(&self.end) }
    }

    /// Decompresses a file to its end, and keeps the bytes before each of `offsets`.
    fn decompress(handle: &Arc<LogHandle>, offsets: &[u64]) -> Result<Self, TailError> {
        let damaged = |error| unpack_error(handle.path(), error);
        // Decompressors treat a file of no bytes in different ways. No compressor writes such a file, so it
        // counts as incomplete.
        if handle.stat()?.size == 0 {
            return Err(damaged(ErrorKind::UnexpectedEof.into()));
        }
        let mut stops: Vec<(usize, u64)> = offsets.iter().copied().enumerate().collect();
        stops.sort_by_key(|(_, offset)| *offset);
        let tails = vec![Vec::new(); offsets.len()];
        let mut excerpt = Self { size: 0, head: Vec::new(), tails, end: Vec::new() };
        let mut decoder = decoder(handle).map_err(damaged)?;
        let mut piece = vec![0; PIECE_BYTES as usize];
        for (index, stop) in
            stops.into_iter().map(|(index, stop)| (Some(index), stop)).chain([(None, u64::MAX)])
        {
            while excerpt.size < stop {
                let most = (stop - excerpt.size).min(piece.len() as u64) as usize;
                let count = match decoder.read(&mut piece[..most]) {
                    Ok(0) => break,
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => return Err(damaged(error)),
                };
                let wanted = FileMark::HEAD_BYTES_MAX.saturating_sub(excerpt.head.len()).min(count);
                excerpt.head.extend_from_slice(&piece[..wanted]);
                push_tail(&mut excerpt.end, &piece[..count]);
                excerpt.size += count as u64;
            }
            if let Some(index) = index {
                excerpt.tails[index].clone_from(&excerpt.end);
            }
        }
        Ok(excerpt)
    }
}

/// Returns the first uncompressed bytes of a file, up to [`FileMark::HEAD_BYTES_MAX`].
pub(super) fn head_of(handle: &Arc<LogHandle>) -> Result<Vec<u8>, TailError> {
    if handle.packing().is_plain() {
        return handle.read_range(0, FileMark::HEAD_BYTES_MAX as u64);
    }
    let damaged = |error| unpack_error(handle.path(), error);
    let mut head = Vec::new();
    let most = FileMark::HEAD_BYTES_MAX as u64;
    decoder_with(handle, 4096).map_err(damaged)?.take(most).read_to_end(&mut head).map_err(damaged)?;
    Ok(head)
}

/// Returns the bytes of a plain file before `offset`, up to [`FileMark::TAIL_BYTES_MAX`].
pub(super) fn tail_before(handle: &LogHandle, offset: u64) -> Result<Vec<u8>, TailError> {
    handle.read_range(offset.saturating_sub(FileMark::TAIL_BYTES_MAX as u64), offset)
}

/// Returns the end of the last complete line of a plain file.
pub(super) fn last_line_end(handle: &LogHandle, size: u64) -> Result<u64, TailError> {
    let mut until = size;
    while until > 0 {
        let from = until.saturating_sub(PIECE_BYTES);
        if let Some(at) = memrchr(b'\n', &handle.read_range(from, until)?) {
            return Ok(from + at as u64 + 1);
        }
        until = from;
    }
    Ok(0)
}

/// Appends `bytes` to `tail`, of which only the last ones are kept.
pub(super) fn push_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    let most = FileMark::TAIL_BYTES_MAX;
    let bytes = &bytes[bytes.len().saturating_sub(most)..];
    let surplus = (tail.len() + bytes.len()).saturating_sub(most);
    tail.drain(..surplus);
    tail.extend_from_slice(bytes);
}

/// Returns true if one of two beginnings begins with the other.
pub(super) fn same_beginning(one: &[u8], other: &[u8]) -> bool {
    let len = one.len().min(other.len());
    len > 0 && one[..len] == other[..len]
}

/// Returns true if a file of `len` bytes, which begins with `head`, may be another version of one of which the first `read`
/// bytes were read.
///
/// Where these are no whole line, they are no evidence for a longer file: reading on there would count a line that nobody
/// wrote.
pub(super) fn may_be_version(head: &[u8], read: u64, len: u64) -> bool {
    let known = usize::try_from(read).ok().and_then(|read| head.get(..read));
    read == 0 || len <= read || known.is_none_or(|bytes| memchr(b'\n', bytes).is_some())
}

/// Returns the error for a file that changes while it is looked at. Another look may succeed.
pub(super) fn changing(path: &Path) -> TailError {
    let source = io::Error::new(ErrorKind::ResourceBusy, "the files are being changed");
    TailError::Io { op: "read", path: path.to_owned(), source }
}
