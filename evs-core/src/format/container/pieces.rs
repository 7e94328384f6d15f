//! Finds the pieces before an offset of a file whose lines are not complete there.

use std::sync::Arc;

use memchr::{memchr, memrchr};

use super::{
    Container, LINE_BYTES_MAX,
    opener::{Opened, Opener, append},
    streams::Streams,
};

/// Finds pieces, part by part of a file. The parts may end anywhere.
#[derive(Clone, Debug)]
pub(crate) struct Pieces {
    opener: Opener,
    /// The length of the longest line that is read, with its line feed.
    line_bytes_max: usize,
    /// The beginning of the current line.
    begun: Vec<u8>,
    /// By stream, the pieces of a line that is not complete.
    pending: Streams<Pending>,
    /// The content of a piece.
    content: Vec<u8>,
}

/// The pieces of a line that is not complete.
#[derive(Clone, Debug, Default)]
struct Pending {
    /// The lines of the pieces, each with its line feed.
    lines: Vec<u8>,
    /// The length of the line so far.
    bytes: usize,
}

impl Pieces {
    /// No pieces: a file begins. Lines longer than `line_bytes_max` are not read, as the worker does not read them.
    pub(crate) fn new(container: Container, line_bytes_max: u64) -> Self {
        let line_bytes_max = usize::try_from(line_bytes_max).unwrap_or(usize::MAX);
        let (begun, pending, content) = (Vec::new(), Streams::new(), Vec::new());
        Self { opener: Opener::new(container), line_bytes_max, begun, pending, content }
    }

    /// The pieces whose lines are not complete, each with its line feed: stream by stream, in the order in which they
    /// began.
    pub(crate) fn lines(&self) -> Option<Arc<[u8]>> {
        let lines: Vec<u8> = self.pending.values().flat_map(|pending| &pending.lines).copied().collect();
        (!lines.is_empty()).then(|| lines.into())
    }

    /// Passes the next bytes of the file.
    pub(crate) fn pass(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.pending.is_empty() && self.begun.is_empty() && !self.opener.container.may_have_pieces(bytes) {
            rest = &bytes[memrchr(b'\n', bytes).map_or(0, |at| at + 1)..];
        }
        while let Some(at) = memchr(b'\n', rest) {
            if self.begun.is_empty() {
                self.line(&rest[..at]);
            } else {
                let mut line = std::mem::take(&mut self.begun);
                line.extend_from_slice(&rest[..at]);
                self.line(&line);
            }
            rest = &rest[at + 1..];
        }
        let room = self.line_bytes_max.saturating_sub(self.begun.len());
        self.begun.extend_from_slice(&rest[..rest.len().min(room)]);
    }

    /// Passes a line that is too long to be read.
    pub(crate) fn pass_line(&mut self) {
        self.begun.clear();
    }

    fn line(&mut self, line: &[u8]) {
        if line.len() >= self.line_bytes_max {
            return;
        }
        let Ok(Opened { content, coding, stream, is_piece }) = self.opener.open(line) else { return };
        let stream = &line[stream];
        if !is_piece {
            self.pending.take(stream);
            return;
        }
        let pending = self.pending.value(stream);
        // What is kept shows that the line is too long.
        if pending.bytes <= LINE_BYTES_MAX {
            pending.lines.extend_from_slice(line);
            pending.lines.push(b'\n');
            self.content.clear();
            append(&line[content], coding, &mut self.content);
            pending.bytes += self.content.len();
        }
    }
}
