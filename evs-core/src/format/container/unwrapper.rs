//! Makes lines of the inner format: takes them out of their envelopes, and puts pieces together.

use memchr::memchr;

use super::{
    Container, LINE_BYTES_MAX,
    opener::{Coding, Opened, Opener, append, header_len},
    streams::Streams,
};
use crate::format::{
    decode::escape::json_escape,
    fast::Rejected,
    rejection::{Reason, Rejection},
};

/// Makes lines of the inner format.
///
/// The pieces that a block begins with depend on the lines before it: see [`set_pieces`](Self::set_pieces).
#[derive(Clone, Debug)]
pub(crate) struct Unwrapper {
    opener: Opener,
    /// True if lines in the container may have a header of syslog, which is left out.
    may_have_header: bool,
    /// The lines of the inner format, each with a line feed.
    text: Vec<u8>,
    /// The origin of each of these lines, in their order.
    origins: Vec<Origin>,
    /// The lines that are not of the container.
    rejected: Vec<Rejected>,
    /// By stream, the text so far of a line that is not complete.
    pending: Streams<Vec<u8>>,
}

/// The origin of a line of the inner format.
#[derive(Clone, Copy, Debug)]
struct Origin {
    /// The first byte in the text.
    at: usize,
    /// The line in the block, without its line feed. If there were pieces, it is the last one.
    line: (usize, usize),
    added: Added,
}

/// A line that was added to the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum Added {
    /// The content stands in the line as it is, from that offset on.
    Plain(usize),
    /// The content is a JSON string, which begins at that offset.
    Json(usize),
    /// The content was put together, or written as numbers.
    Made,
    /// The line is a piece. Nothing was added.
    Piece,
}

impl Added {
    /// The offset in the line of a byte of its content. That of a byte that was put together is the offset in the whole.
    pub(in crate::format) fn offset(self, line: &[u8], offset: usize) -> usize {
        match self {
            Self::Plain(start) => start + offset,
            Self::Json(start) => start + escaped_len(&line[start..], offset),
            Self::Made | Self::Piece => offset,
        }
    }
}

impl Unwrapper {
    pub(in crate::format) fn new(container: Container) -> Self {
        Self {
            opener: Opener::new(container),
            may_have_header: false,
            text: Vec::new(),
            origins: Vec::new(),
            rejected: Vec::new(),
            pending: Streams::new(),
        }
    }

    /// With lines that may have a header of syslog.
    pub(in crate::format) fn headed(self, may_have_header: bool) -> Self {
        Self { may_have_header, ..self }
    }

    /// Sets the pieces before the next block whose lines are not complete there: the lines that
    /// [`Pieces`](super::Pieces) has found.
    pub(crate) fn set_pieces(&mut self, lines: Option<&[u8]>) {
        self.pending.clear();
        self.text.clear();
        for line in lines.unwrap_or_default().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let _ = self.add(line);
        }
    }

    /// Makes the lines of a block, which ends after a whole line.
    pub(crate) fn unwrap(&mut self, block: &[u8]) -> &[u8] {
        self.text.clear();
        self.origins.clear();
        self.rejected.clear();
        let mut start = 0;
        while start < block.len() {
            let end = memchr(b'\n', &block[start..]).map_or(block.len(), |len| start + len);
            let at = self.text.len();
            match self.add(&block[start..end]) {
                Ok(Added::Piece) => {}
                Ok(added) => {
                    self.text.push(b'\n');
                    self.origins.push(Origin { at, line: (start, end), added });
                }
                Err(rejection) => {
                    self.text.truncate(at);
                    self.rejected.push(Rejected { start, end, rejection });
                }
            }
            start = end + 1;
        }
        &self.text
    }

    /// The lines that [`unwrap`](Self::unwrap) has made.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The lines of the block that are not of the container.
    pub(crate) fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// The origin of a line of the text that was rejected: the line of the block, and its bytes. A line that was put together
    /// has the place of its last piece, and its own bytes.
    pub(crate) fn origin<'t>(&'t self, block: &'t [u8], rejected: &Rejected) -> (Rejected, &'t [u8]) {
        let index = self.origins.partition_point(|origin| origin.at <= rejected.start).saturating_sub(1);
        let Origin { line: (start, end), added, .. } = self.origins[index];
        let Rejection { reason, column } = rejected.rejection;
        let line = &block[start..end];
        let offset = added.offset(line, (column as usize).saturating_sub(1));
        let line = if added == Added::Made { &self.text[rejected.start..rejected.end] } else { line };
        (Rejected { start, end, rejection: Rejection::at(offset, reason) }, line)
    }

    /// The offset in the block of the line from which the text at an offset was made.
    pub(crate) fn start_of(&self, text: usize) -> usize {
        let index = self.origins.partition_point(|origin| origin.at <= text).saturating_sub(1);
        self.origins.get(index).map_or(0, |origin| origin.line.0)
    }

    /// Opens a single line, and forgets the lines before it but for pieces.
    pub(in crate::format) fn open(&mut self, line: &[u8]) -> Result<Added, Rejection> {
        self.text.clear();
        self.add(line)
    }

    /// Adds the content of a line to the text, unless it is a piece.
    fn add(&mut self, line: &[u8]) -> Result<Added, Rejection> {
        let keeps_header = self.opener.container == Container::Cri { keeps_header: true };
        let opened = match self.opener.open(line) {
            Ok(opened) => opened,
            // The inner format has the header, and knows best.
            Err(_) if keeps_header => {
                self.text.extend_from_slice(line);
                return Ok(Added::Plain(0));
            }
            Err(rejection) => return Err(rejection),
        };
        let Opened { content, coding, stream, is_piece } = opened;
        if is_piece {
            let text = self.pending.value(&line[stream]);
            // Of a line that is too long, only the beginning is kept.
            if text.len() <= LINE_BYTES_MAX {
                append(&line[content], coding, text);
            }
            return Ok(Added::Piece);
        }
        if keeps_header {
            self.text.extend_from_slice(&line[..content.start]);
        }
        let before = self.pending.take(&line[stream]);
        let start = self.text.len();
        self.text.extend_from_slice(before.as_deref().unwrap_or_default());
        let is_read = append(&line[content.clone()], coding, &mut self.text);
        if before.is_some() && self.text.len() - start > LINE_BYTES_MAX {
            return Err(Rejection::at(0, Reason::LineTooLong));
        }
        // A terminal ends its lines with CR and LF.
        if self.opener.container == Container::Docker && self.text[start..].ends_with(b"\r") {
            self.text.pop();
        }
        // Entries of the journal may have several lines, which are not lines of an access log.
        if !is_read || (coding != Coding::Plain && memchr(b'\n', &self.text[start..]).is_some()) {
            return Err(Rejection::at(content.start, Reason::Container));
        }
        let header = if self.may_have_header { header_len(&self.text[start..]) } else { 0 };
        self.text.drain(start..start + header);
        Ok(match coding {
            _ if before.is_some() => Added::Made,
            Coding::Plain if keeps_header => Added::Plain(0),
            Coding::Plain => Added::Plain(content.start + header),
            Coding::Json => Added::Json(content.start + escaped_len(&line[content.start..], header)),
            Coding::Numbers => Added::Made,
        })
    }
}

/// The length of the escaped text of the first `len` bytes of a JSON string's content.
fn escaped_len(text: &[u8], len: usize) -> usize {
    let (mut at, mut made) = (0, 0);
    while made < len && at < text.len() {
        let escape = if text[at] == b'\\' { json_escape(&text[at + 1..]) } else { None };
        let (read, wrote) = escape.map_or((1, 1), |(length, c)| (1 + length, c.len_utf8()));
        at += read;
        made += wrote;
    }
    at
}
