//! Reads blocks of a log that names its fields itself: the extended log file format of the W3C.
//!
//! A block is cut at the lines that begin with `#`. The lines between two of these have the same fields, and are read by
//! a parser of their own, with its own fast path. A log has few different `#Fields:` lines, so the parsers are kept.

use std::{ops::Range, sync::LazyLock};

use memchr::{memchr, memmem::Finder};

use super::{
    block::{BlockParser, LINES_MAX},
    columns::{Columns, Number, Rejected},
};
use crate::format::{
    compile::is_directive,
    limits::LineLimits,
    reference::{HeaderReader, LineForm, is_fields, without_fields},
};

/// The number of parsers that are kept. More are made again when they are needed.
const PARSERS_MAX: usize = 8;

/// Finds the next line that begins with `#`.
static NEXT_DIRECTIVE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n#"));

/// Reads blocks whose fields a line of the log names.
#[derive(Clone, Debug)]
pub(super) struct Headed {
    /// Makes the parsers.
    reader: HeaderReader,
    numbers: Vec<Number>,
    limits: LineLimits,
    /// The parsers that were made, the newest last.
    parsers: Vec<Headers>,
    /// The line that names the fields of the next lines. Empty if there is none.
    line: Vec<u8>,
    /// The part of the block that is being read, and the index of its parser.
    part: Option<(Range<usize>, usize)>,
    /// The offset after that part.
    at: usize,
    /// True if the reference reads all lines.
    #[cfg(any(test, feature = "internals"))]
    is_plain: bool,
}

/// The parser of lines of one form, after one `#Fields:` line.
#[derive(Clone, Debug)]
struct Headers {
    line: Vec<u8>,
    form: LineForm,
    /// `None` if the line does not name any field.
    parser: Option<BlockParser>,
}

impl Headed {
    /// Reads what `reader` reads.
    pub(super) fn new(reader: HeaderReader, numbers: Vec<Number>, limits: LineLimits) -> Self {
        Self {
            reader,
            numbers,
            limits,
            parsers: Vec::new(),
            line: Vec::new(),
            part: None,
            at: 0,
            #[cfg(any(test, feature = "internals"))]
            is_plain: false,
        }
    }

    /// Leaves all lines to the reference from here on.
    #[cfg(any(test, feature = "internals"))]
    pub(super) fn leave_fast_path(&mut self) {
        self.is_plain = true;
    }

    /// True if a parser that was made has a fast path.
    #[cfg(any(test, feature = "internals"))]
    pub(super) fn is_fast(&self) -> bool {
        self.parsers.iter().any(|headers| headers.parser.as_ref().is_some_and(BlockParser::is_fast))
    }

    /// Sets the line that names the fields of the next block's first lines.
    pub(super) fn set_directive(&mut self, line: Option<&[u8]>) {
        self.line.clear();
        self.line.extend_from_slice(line.unwrap_or_default());
    }

    /// Begins another block.
    pub(super) fn begin(&mut self) {
        self.part = None;
        self.at = 0;
    }

    /// Reads the next lines of the block that was begun. Returns `false` if there are none.
    pub(super) fn read(&mut self, block: &[u8], latest: i64, columns: &mut Columns) -> bool {
        loop {
            if self.part.is_none() && !self.begin_part(block, latest) {
                return false;
            }
            let Some((part, index)) = &mut self.part else { return false };
            let is_read = match &mut self.parsers[*index].parser {
                Some(parser) => {
                    let is_read = parser.read(&block[part.clone()], columns);
                    columns.shift(part.start);
                    is_read
                }
                None => reject(block, part, columns),
            };
            if is_read {
                return true;
            }
            self.part = None;
        }
    }

    /// Begins the next part of the block: the lines up to one that begins with `#`. Returns `false` if there is none.
    fn begin_part(&mut self, block: &[u8], latest: i64) -> bool {
        while self.at < block.len() {
            let end = end_of_line(block, self.at);
            let line = &block[self.at..end];
            if !is_directive(line) {
                let form = LineForm::of(line);
                let end = NEXT_DIRECTIVE.find(&block[self.at..]).map_or(block.len(), |at| self.at + at + 1);
                let index = self.parser(form);
                let part = self.at..end;
                if let Some(parser) = &mut self.parsers[index].parser {
                    parser.set_latest(latest);
                    parser.begin(&block[part.clone()]);
                }
                self.part = Some((part, index));
                self.at = end;
                return true;
            }
            if is_fields(line) {
                self.set_directive(Some(line));
            }
            self.at = end + 1;
        }
        false
    }

    /// The index of the parser for lines of that form, after the line that holds now.
    fn parser(&mut self, form: LineForm) -> usize {
        let is_it = |headers: &Headers| headers.form == form && headers.line == self.line;
        if let Some(index) = self.parsers.iter().position(is_it) {
            return index;
        }
        let reference = self.reader.parser(&self.line, form);
        let parser = reference.map(|reference| {
            let (numbers, limits) = (self.numbers.clone(), self.limits.clone());
            #[cfg(any(test, feature = "internals"))]
            if self.is_plain {
                return BlockParser::without_fast_path(reference, numbers, limits);
            }
            BlockParser::new(reference, numbers, limits)
        });
        if self.parsers.len() == PARSERS_MAX {
            self.parsers.remove(0);
        }
        self.parsers.push(Headers { line: self.line.clone(), form, parser });
        self.parsers.len() - 1
    }
}

/// Rejects the next lines of a part whose fields nothing names. Returns `false` if there are none.
fn reject(block: &[u8], part: &mut Range<usize>, columns: &mut Columns) -> bool {
    columns.clear();
    while columns.lines < LINES_MAX && part.start < part.end {
        let (start, end) = (part.start, end_of_line(block, part.start));
        columns.rejected.push(Rejected { start, end, rejection: without_fields(&block[start..end]) });
        columns.lines += 1;
        part.start = end + 1;
    }
    columns.lines > 0
}

/// The end of the line that begins at `at`.
fn end_of_line(block: &[u8], at: usize) -> usize {
    memchr(b'\n', &block[at..]).map_or(block.len(), |len| at + len)
}
