//! The line of a file that says what the lines after it have: `#Fields: date time c-ip …`.
//!
//! A worker reads a chunk without what stands before it. So each chunk carries the last such line before its start.

use std::sync::Arc;

use memchr::{memchr, memmem::find};

/// The length of the longest such line. After a longer one, none holds.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Finds the last line that begins with a prefix, piece by piece.
#[derive(Clone, Debug)]
pub(super) struct Directives {
    /// The prefix, which begins with `#`.
    prefix: &'static str,
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
        Self { prefix, line: None, begun: Vec::new(), is_other: false }
    }

    /// The last line found.
    pub(super) fn line(&self) -> Option<Arc<[u8]>> {
        self.line.clone()
    }

    /// Passes the next bytes of the file.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
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

    /// Passes a line of which only the beginning is known.
    pub(super) fn pass_line(&mut self, beginning: &[u8]) {
        if beginning.starts_with(self.prefix.as_bytes()) {
            self.line = None;
        }
        self.begun.clear();
        // A line feed ends it, if only for the search.
        self.is_other = false;
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
            }
        }
    }

    #[test]
    fn no_line_holds_after_one_that_is_too_long_to_be_read() {
        let mut directives = Directives::new(PREFIX);
        directives.pass(b"#Fields: a\n");
        directives.pass_line(b"something");
        assert_eq!(line(&directives).as_deref(), Some("#Fields: a"));
        directives.pass_line(b"#Fields: b");
        assert_eq!(line(&directives), None);
        directives.pass(b"#Fields: c\n");
        assert_eq!(line(&directives).as_deref(), Some("#Fields: c"));
    }
}
