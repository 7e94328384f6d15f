//! The lines before a chunk without which it cannot be read: a `#Fields:` line, or the pieces of an incomplete line.
//!
//! A worker reads a chunk without the lines before it, so the chunk carries these. After a restart in the middle of a file,
//! the file is read once from its beginning to find them: they may stand anywhere before.

use std::{
    io::{self, Read},
    sync::Arc,
};

use super::directive::Directives;
use crate::format::{Pieces, Preamble};

/// The number of bytes that are read at a time.
const PART_BYTES: usize = 256 << 10;

/// Finds the lines before an offset of a file that a chunk from there on carries.
#[derive(Clone, Debug)]
pub(super) struct Before {
    /// The offset up to which the file was searched.
    until: u64,
    finder: Finder,
}

/// Finds one kind of lines.
#[derive(Clone, Debug)]
enum Finder {
    Directives(Directives),
    Pieces(Box<Pieces>),
}

impl Before {
    /// Finds lines from the start of a file on.
    fn new(preamble: Preamble, line_bytes_max: u64) -> Self {
        let finder = match preamble {
            Preamble::Directive(prefix) => Finder::Directives(Directives::new(prefix)),
            Preamble::Pieces(container) => Finder::Pieces(Box::new(Pieces::new(container, line_bytes_max))),
        };
        Self { until: 0, finder }
    }

    /// Finds the lines up to `offset` of a file, from its start on.
    pub(super) fn up_to(
        preamble: Preamble,
        line_bytes_max: u64,
        offset: u64,
        file: impl Read,
    ) -> io::Result<Self> {
        let mut before = Self::new(preamble, line_bytes_max);
        let mut file = file.take(offset);
        let mut part = vec![0; if offset == 0 { 0 } else { PART_BYTES }];
        loop {
            match file.read(&mut part) {
                Ok(0) => return Ok(before),
                Ok(count) => before.pass(&part[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The offset up to which the file was searched.
    pub(super) fn until(&self) -> u64 {
        self.until
    }

    /// The lines that a chunk from that offset on carries.
    pub(super) fn lines(&self) -> Option<Arc<[u8]>> {
        match &self.finder {
            Finder::Directives(directives) => directives.line(),
            Finder::Pieces(pieces) => pieces.lines(),
        }
    }

    /// Passes the next bytes of the file.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        self.until += bytes.len() as u64;
        match &mut self.finder {
            Finder::Directives(directives) => directives.pass(bytes),
            Finder::Pieces(pieces) => pieces.pass(bytes),
        }
    }

    /// Passes a line of which only the beginning and the length are known.
    pub(super) fn pass_line(&mut self, beginning: &[u8], bytes: u64) {
        self.until += bytes;
        match &mut self.finder {
            Finder::Directives(directives) => directives.pass_line(beginning),
            Finder::Pieces(pieces) => pieces.pass_line(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_up_to_an_offset_are_found_in_any_parts() {
        let text = b"#Fields: a\nx\n#Fields: b\n";
        for (offset, expected) in [(0, None), (11, Some(&b"#Fields: a"[..])), (24, Some(b"#Fields: b"))] {
            let before = Before::up_to(Preamble::Directive("#Fields:"), 100, offset, &text[..]).unwrap();
            assert_eq!((before.lines().as_deref(), before.until()), (expected, offset), "{offset}");
        }
        let mut before = Before::new(Preamble::Directive("#Fields:"), 100);
        before.pass(&text[..11]);
        before.pass_line(b"#Fields: long", 2_000_000);
        assert_eq!((before.lines(), before.until()), (None, 2_000_011));
    }
}
