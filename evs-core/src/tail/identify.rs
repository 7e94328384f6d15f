//! Recognizes a file of a log by its bytes, for tools that have a state directory and no tailer.

use std::{
    io::{self, ErrorKind, Read},
    path::Path,
    sync::Arc,
};

use memchr::{memchr, memrchr};

use super::{
    decoder::{decoder, unpack_error},
    error::TailError,
    excerpt::Excerpt,
    fs::RealFs,
    handle::LogHandle,
    look::Look,
};
use crate::position::{FileMark, KnownFile};

/// The number of bytes that are read at a time.
const PIECE_BYTES: usize = 64 << 10;

/// A file of which the first bytes were read.
#[derive(Debug)]
pub(crate) struct Identified {
    look: Look,
}

/// The result of comparing a file with the facts about one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The file begins with the remembered bytes, and has the remembered bytes before the offset.
    Same,
    /// The file begins with other bytes: it is another file.
    Other,
    /// The file begins with the remembered bytes, and ends before the offset.
    Shorter,
    /// The file begins with the remembered bytes, and has other bytes before the offset.
    Changed,
}

impl Identified {
    /// Opens the file at `path`; returns `None` if there is none.
    pub(crate) fn at(path: &Path) -> Result<Option<Self>, TailError> {
        let Some(mut look) = Look::at(&RealFs, path)? else { return Ok(None) };
        look.unpack_head()?;
        Ok(Some(Self { look }))
    }

    /// Compares the file with each of `marks`. A compressed file is decompressed once, if it begins like one of them.
    pub(crate) fn compare(&self, marks: &[&FileMark]) -> Result<Vec<Verdict>, TailError> {
        // A mark without bytes says nothing.
        let begins = |mark: &FileMark| mark.head.len > 0 && mark.head.begins(&self.look.head);
        if !marks.iter().any(|mark| begins(mark)) {
            return Ok(vec![Verdict::Other; marks.len()]);
        }
        let offsets: Vec<u64> = marks.iter().map(|mark| mark.offset).collect();
        let excerpt = Excerpt::of(&self.look.handle, &offsets)?;
        let verdict = |(mark, tail): (&&FileMark, &Vec<u8>)| match () {
            () if !begins(mark) => Verdict::Other,
            () if excerpt.size < mark.offset => Verdict::Shorter,
            () if mark.tail.matches(tail) => Verdict::Same,
            () => Verdict::Changed,
        };
        Ok(marks.iter().zip(&excerpt.tails).map(verdict).collect())
    }

    /// Returns whether it is a known file, or has that file's bytes at its beginning.
    pub(crate) fn is_known(&self, known: &KnownFile) -> Result<bool, TailError> {
        if known.head.len == 0 || !known.head.begins(&self.look.head) {
            return Ok(false);
        }
        let Some(content) = known.content else {
            // Nobody has decompressed it, so the compressed bytes decide.
            return Ok(known.packed.is_some() && known.packed == self.look.packed());
        };
        let excerpt = Excerpt::of(&self.look.handle, &[content.len])?;
        Ok(excerpt.size >= content.len && content.tail.matches(&excerpt.tails[0]))
    }

    /// Returns the line that has the byte at `offset`, of which at most `bytes_max` bytes are read before and after that
    /// byte, and the offset at which it begins. Returns `None` if the file ends before.
    pub(crate) fn line_at(&self, offset: u64, bytes_max: u64) -> Result<Option<(u64, Vec<u8>)>, TailError> {
        let first = offset.saturating_sub(bytes_max);
        let mut bytes = self.read(first, bytes_max.saturating_mul(2).saturating_add(1))?;
        let at = (offset - first) as usize;
        if bytes.len() <= at {
            return Ok(None);
        }
        let start = memrchr(b'\n', &bytes[..at]).map_or(0, |newline| newline + 1);
        let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |newline| at + newline);
        bytes.truncate(end);
        bytes.drain(..start);
        Ok(Some((first + start as u64, bytes)))
    }

    /// Reads at most `most` uncompressed bytes from `offset` on.
    fn read(&self, offset: u64, most: u64) -> Result<Vec<u8>, TailError> {
        let handle: &Arc<LogHandle> = &self.look.handle;
        if handle.packing().is_plain() {
            let size = handle.stat()?.size;
            return handle.read_range(offset.min(size), offset.saturating_add(most).min(size));
        }
        let damaged = |error| unpack_error(handle.path(), error);
        let mut decoder = decoder(handle).map_err(damaged)?;
        let mut left = offset;
        let mut piece = vec![0; PIECE_BYTES];
        while left > 0 {
            let want = left.min(PIECE_BYTES as u64) as usize;
            match decoder.read(&mut piece[..want]) {
                Ok(0) => return Ok(Vec::new()),
                Ok(count) => left -= count as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(damaged(error)),
            }
        }
        let mut bytes = Vec::new();
        let read: io::Result<usize> = decoder.take(most).read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Digest;

    fn mark(log: &[u8], offset: usize) -> FileMark {
        FileMark {
            number: 1,
            start: 0,
            offset: offset as u64,
            size: log.len() as u64,
            device: 0,
            inode: 0,
            modified: 0,
            head: Digest::of(&log[..offset.min(FileMark::HEAD_BYTES_MAX)]),
            tail: Digest::of(&log[offset.saturating_sub(FileMark::TAIL_BYTES_MAX)..offset]),
            is_rotated: false,
            path: String::new(),
            log: None,
        }
    }

    #[test]
    fn bytes_tell_a_file_from_another_and_from_one_that_has_changed() {
        let directory = tempfile::tempdir().unwrap();
        let log: Vec<u8> = (0..2000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let file = |name: &str, bytes: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            Identified::at(&path).unwrap().unwrap()
        };
        let half = mark(&log, log.len() / 2);
        let mut changed = log.clone();
        changed[log.len() / 2 - 5] ^= 1;
        for (name, bytes, expected) in [
            ("same", &log[..], Verdict::Same),
            ("shorter", &log[..log.len() / 3], Verdict::Shorter),
            ("changed", &changed, Verdict::Changed),
            ("other", &log[7..], Verdict::Other),
        ] {
            assert_eq!(file(name, bytes).compare(&[&half]).unwrap(), [expected], "{name}");
        }
        assert!(Identified::at(&directory.path().join("none")).unwrap().is_none());
    }

    #[test]
    fn the_line_of_a_byte_is_found_in_plain_and_compressed_files() {
        let directory = tempfile::tempdir().unwrap();
        let packed = zstd::encode_all(&b"first\nsecond\nlast"[..], 0).unwrap();
        for (name, bytes) in [("plain", &b"first\nsecond\nlast"[..]), ("packed.zst", &packed)] {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let file = Identified::at(&path).unwrap().unwrap();
            for (offset, expected) in [
                (0, Some((0, "first"))),
                (5, Some((0, "first"))),
                (6, Some((6, "second"))),
                (16, Some((13, "last"))),
                (17, None),
            ] {
                let found = file.line_at(offset, 1 << 20).unwrap();
                let found = found.as_ref().map(|(at, line)| (*at, str::from_utf8(line).unwrap()));
                assert_eq!(found, expected, "{name} {offset}");
            }
        }
    }
}
