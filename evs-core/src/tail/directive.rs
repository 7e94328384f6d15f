//! The line of a file that says what the lines after it have: `#Fields: date time c-ip …`.
//!
//! A worker reads a chunk without what stands before it. So each chunk carries the last such line before its start.
//! After a restart in the middle of a file, the file is read once from its beginning to find that line: it may stand
//! anywhere before.

use std::{
    io::{self, Read},
    sync::Arc,
};

use memchr::{memchr, memmem::find};

/// The length of the longest such line. After a longer one, none holds.
const LINE_BYTES_MAX: usize = 64 << 10;
/// The number of bytes that are read at a time.
const PIECE_BYTES: usize = 256 << 10;

/// Finds the last line that begins with a prefix, piece by piece.
#[derive(Clone, Debug)]
pub(super) struct Directives {
    /// The prefix, which begins with `#`.
    prefix: &'static str,
    /// The offset up to which the file was searched.
    until: u64,
    /// The last line found, without its line feed.
    line: Option<Arc<[u8]>>,
    /// The beginning of the current line, as long as it may be such a line.
    begun: Vec<u8>,
    /// True if the current line is not such a line.
    is_other: bool,
}

impl Directives {
    /// Finds lines that begin with `prefix`, from the start of a file on.
    pub(super) fn new(prefix: &'static str) -> Self {
        Self { prefix, until: 0, line: None, begun: Vec::new(), is_other: false }
    }

    /// Finds the lines up to `offset` of a file, from its start on.
    pub(super) fn up_to(prefix: &'static str, offset: u64, file: impl Read) -> io::Result<Self> {
        let mut directives = Self::new(prefix);
        let mut file = file.take(offset);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(directives),
                Ok(count) => directives.pass(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The offset up to which the file was searched.
    pub(super) fn until(&self) -> u64 {
        self.until
    }

    /// The last line found.
    pub(super) fn line(&self) -> Option<Arc<[u8]>> {
        self.line.clone()
    }

    /// Passes the next bytes of the file.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        self.until += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.is_other {
                match find(rest, b"\n#") {
                    Some(at) => rest = &rest[at + 1..],
                    None if rest.ends_with(b"\n") => rest = b"",
                    None => return,
                }
                self.is_other = false;
                continue;
            }
            let end = memchr(b'\n', rest);
            let part = &rest[..end.unwrap_or(rest.len())];
            let room = (LINE_BYTES_MAX + 1).saturating_sub(self.begun.len());
            self.begun.extend_from_slice(&part[..part.len().min(room)]);
            rest = &rest[part.len()..];
            let prefix = self.prefix.as_bytes();
            let is_one = self.begun.starts_with(prefix);
            if is_one && (end.is_some() || self.begun.len() > LINE_BYTES_MAX) {
                let is_whole = self.begun.len() <= LINE_BYTES_MAX;
                self.line = is_whole.then(|| Arc::from(&*self.begun));
                self.is_other = true;
            } else if end.is_some() || !(is_one || prefix.starts_with(&self.begun)) {
                self.is_other = true;
            }
            if self.is_other {
                self.begun.clear();
            }
        }
    }

    /// Passes a line of which only the beginning and the length are known.
    pub(super) fn pass_line(&mut self, beginning: &[u8], bytes: u64) {
        let until = self.until + bytes;
        if beginning.starts_with(self.prefix.as_bytes()) {
            self.line = None;
        }
        self.begun.clear();
        // A line feed ends it, if only for the search.
        self.is_other = false;
        self.until = until;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "#Fields:";

    fn line(directives: &Directives) -> Option<String> {
        directives.line().map(|line| String::from_utf8_lossy(&line).into_owned())
    }

    #[test]
    fn the_last_line_is_found_however_the_bytes_are_cut() {
        let long = format!("#Fields:{}\nx\n", " a".repeat(LINE_BYTES_MAX));
        for (text, expected) in [
            ("", None),
            ("a\nb\n", None),
            ("#Fields: a\n", Some("#Fields: a")),
            ("#Version: 1.0\n#Fields: a\nx #Fields: b\n#Field: c\n", Some("#Fields: a")),
            ("#Fields: a\n1\n#Fields: b c\r\n2\n", Some("#Fields: b c\r")),
            ("#Fields: a\n\n##Fields: b\n#\n#F", Some("#Fields: a")),
            ("#Fields: a\n#Fields:\n", Some("#Fields:")),
            (&long, None),
        ] {
            for len in [1, 2, 3, 7, text.len().max(1)] {
                let mut directives = Directives::new(PREFIX);
                text.as_bytes().chunks(len).for_each(|piece| directives.pass(piece));
                assert_eq!(line(&directives).as_deref(), expected, "pieces of {len} of {text:.60}");
                assert_eq!(directives.until(), text.len() as u64);
            }
            let up_to = Directives::up_to(PREFIX, text.len() as u64, text.as_bytes()).unwrap();
            assert_eq!(line(&up_to).as_deref(), expected);
        }
    }

    #[test]
    fn no_line_holds_after_one_that_is_too_long_to_be_read() {
        let mut directives = Directives::new(PREFIX);
        directives.pass(b"#Fields: a\n");
        directives.pass_line(b"something", 2_000_000);
        assert_eq!(line(&directives).as_deref(), Some("#Fields: a"));
        directives.pass_line(b"#Fields: b", 2_000_000);
        assert_eq!((line(&directives), directives.until()), (None, 4_000_011));
        directives.pass(b"#Fields: c\n");
        assert_eq!(line(&directives).as_deref(), Some("#Fields: c"));
    }
}
