//! Reads the lines of a block into columns, some hundred at a time.
//!
//! Lines that the template confirms are read by the index of the block. All others are read by the reference, which
//! alone decides if they are accepted.
//!
//! A line goes one way from candidate to confirmed to accepted, or drops out to the reference:
//!
//! ```text
//! all lines --separators, quotes, damage--> candidates --template--> confirmed
//!                 |                             |                       |
//!                 v                             v                       v numbers, times and keys
//!             reference                     reference               accepted, or reference
//! ```

use std::ops::BitAnd;

use memchr::{memchr, memchr2};

use super::{
    columns::{Columns, Conventions, Number, Rejected, Span},
    derive::Derivation,
    escapes::{Coding, DirectField, decode_value, find_escapes},
    headed::Headed,
    index::{Index, Newline},
    template::{Candidates, Template},
};
use crate::{
    format::{
        compile::Class,
        limits::LineLimits,
        reference::{FieldRule, LineParser, LineReader, Part},
        rejection::{Reason, Rejection},
    },
    number::short_decimal,
    record::{self, Record},
};

/// The number of lines read at a time. Their columns then fit into the cache beside the block.
pub(super) const LINES_MAX: usize = if cfg!(test) { 16 } else { 256 };
/// The largest offset in a block: spans hold offsets in 31 bits, and the index needs one more for a last newline.
const BLOCK_BYTES_MAX: usize = (1 << 31) - 2;

/// Reads blocks of lines into columns. Each worker has its own.
///
/// Call [`begin`](Self::begin) with a block, then [`read`](Self::read) with the same block until it returns `false`.
#[derive(Clone, Debug)]
pub(crate) struct BlockParser {
    /// The reader of all lines that the fast path leaves.
    reference: LineParser,
    /// The line that the reference has read last.
    record: Record,
    numbers: Vec<Number>,
    limits: LineLimits,
    /// The latest time that is accepted, in seconds since 1970.
    latest: i64,
    /// `None` if the format has no template, and while the fast path is borrowed.
    fast: Option<Fast>,
    /// The readers of a format whose fields a line of the log names.
    headed: Option<Box<Headed>>,
    /// True if a line that the reference reads next may have a NUL byte.
    may_have_nul: bool,
    /// The next line to read if the block is indexed, else the offset of the next byte to read.
    at: usize,
}

/// The fast path of a format.
#[derive(Clone, Debug)]
struct Fast {
    template: Template,
    index: Index,
    /// True if the index is of the block that is being read. (A block may be too large for it.)
    is_indexed: bool,
    /// The fields that are values of the line.
    values: Vec<DirectField>,
    /// The values from which the other fields are derived.
    derivations: Vec<Derivation>,
    /// The fields that no line has.
    absent: Vec<usize>,
    // Used again for every block of lines:
    /// The candidates: undamaged lines that have as many separators and quotes as the format.
    lines: Vec<u32>,
    /// The candidates' separators, copied here if not every line of the index is a candidate.
    separators: Vec<u32>,
    /// By candidate, true if it is confirmed to have the format.
    confirmed: Vec<bool>,
    /// By candidate, true if a value that is asked for has an escape in it. Empty if no candidate has any.
    escaped: Vec<bool>,
    /// The lines that the reference must read.
    for_reference: Vec<u32>,
}

impl BlockParser {
    /// A parser for the fields of `reference`. The fields of `numbers` are read as numbers, too.
    pub(crate) fn new(reference: LineParser, mut numbers: Vec<Number>, limits: LineLimits) -> Self {
        for number in &mut numbers {
            number.adapt(Conventions::of(&reference), is_number(&reference, number.field));
        }
        let fast = Fast::new(&reference, &numbers);
        let headed = match &reference.reader {
            LineReader::Header(reader) => {
                Some(Box::new(Headed::new((**reader).clone(), numbers.clone(), limits.clone())))
            }
            _ => None,
        };
        let (record, latest) = (Record::new(), i64::MAX);
        Self { reference, record, numbers, limits, latest, fast, headed, may_have_nul: false, at: 0 }
    }

    /// Sets the current time, in seconds since 1970, which tells the year of times without one.
    pub(crate) fn set_now(&mut self, seconds: i64) {
        self.reference.last_time.set_now(seconds);
    }

    /// Sets the latest time that is accepted. Later lines are rejected from here on.
    pub(crate) fn set_latest(&mut self, seconds: i64) {
        self.latest = seconds;
    }

    /// As [`new`](Self::new), but the reference reads all lines.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn without_fast_path(reference: LineParser, numbers: Vec<Number>, limits: LineLimits) -> Self {
        let mut parser = Self { fast: None, ..Self::new(reference, numbers, limits) };
        if let Some(headed) = &mut parser.headed {
            headed.leave_fast_path();
        }
        parser
    }

    /// True if the format has a fast path.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn is_fast(&self) -> bool {
        self.fast.is_some() || self.headed.as_ref().is_some_and(|headed| headed.is_fast())
    }

    /// Tells the line that names the fields of the next block's lines: the last such line before the block.
    pub(crate) fn set_directive(&mut self, line: Option<&[u8]>) {
        if let Some(headed) = &mut self.headed {
            headed.set_directive(line);
        }
    }

    /// Begins another block, which ends after a whole line.
    pub(crate) fn begin(&mut self, block: &[u8]) {
        self.at = 0;
        if let Some(headed) = &mut self.headed {
            headed.begin();
        }
        if let Some(fast) = &mut self.fast {
            // A byte may be in the decoded buffer four times: as part of a value, of a request, of its path and of an
            // argument. Offsets in that buffer have 31 bits, too.
            fast.is_indexed = block.len() <= BLOCK_BYTES_MAX / 4;
            if fast.is_indexed {
                fast.index.read(block, fast.template.delimiters);
            }
        }
    }

    /// Reads the next lines of the block that was begun. Returns `false` if there are none.
    pub(crate) fn read(&mut self, block: &[u8], columns: &mut Columns) -> bool {
        columns.clear();
        if let Some(headed) = &mut self.headed {
            return headed.read(block, self.latest, columns);
        }
        match self.fast.take() {
            Some(mut fast) if fast.is_indexed => {
                self.read_indexed(&mut fast, block, columns);
                self.fast = Some(fast);
            }
            fast => {
                self.fast = fast;
                self.read_by_reference(block, columns);
            }
        }
        columns.lines > 0
    }

    /// Reads the next lines of a block without an index.
    fn read_by_reference(&mut self, block: &[u8], columns: &mut Columns) {
        while columns.lines < LINES_MAX && self.at < block.len() {
            let end = self.end_of_line(block);
            self.read_line(block, self.at, end, columns);
            columns.lines += 1;
            self.at = end + 1;
        }
    }

    /// Finds the end of the next line, and sets `may_have_nul` for it.
    fn end_of_line(&mut self, block: &[u8]) -> usize {
        let mut from = self.at;
        // JSON lines are searched for NUL bytes only once they are rejected.
        if !matches!(self.reference.reader, LineReader::Json { .. }) {
            from = memchr2(b'\n', 0, &block[from..]).map_or(block.len(), |len| from + len);
            self.may_have_nul = block.get(from) == Some(&0);
            if !self.may_have_nul {
                return from;
            }
        }
        memchr(b'\n', &block[from..]).map_or(block.len(), |len| from + len)
    }

    /// Reads the next lines of a block by its index.
    fn read_indexed(&mut self, fast: &mut Fast, block: &[u8], columns: &mut Columns) {
        let lines = self.at..fast.index.lines().min(self.at + LINES_MAX);
        self.at = lines.end;
        columns.lines = lines.len();
        fast.select_candidates(block, lines.clone());
        fast.read(block, columns);
        fast.read_numbers(block, &self.numbers, columns);
        fast.limit(block, &self.limits, self.latest, columns);
        fast.remove_unconfirmed(columns);
        columns.last_seconds = columns.seconds.last().copied();
        let last_confirmed = fast.lines.last().copied();
        if columns.keeps_starts {
            columns.starts.extend(fast.lines.iter().map(|line| fast.index.line(*line as usize).0 as u32));
        }
        fast.for_reference.sort_unstable();
        self.may_have_nul = !fast.index.damaged(lines).is_empty();
        for line in &fast.for_reference {
            let (start, end) = fast.index.line(*line as usize);
            let before = columns.last_seconds;
            self.read_line(block, start, end, columns);
            if last_confirmed > Some(*line) {
                columns.last_seconds = before;
            }
        }
    }

    /// Reads one line by the reference. A line that it rejects leaves nothing in the columns.
    fn read_line(&mut self, block: &[u8], start: usize, end: usize, columns: &mut Columns) {
        let line = &block[start..end];
        let rows = columns.len();
        if let Err(rejection) = self.try_line(line, start, columns) {
            columns.numbers.iter_mut().for_each(|column| column.truncate(rows));
            columns.rejected.push(Rejected { start, end, rejection });
        }
    }

    /// Reads one line by the reference. If it fails, numbers may already be in their columns.
    fn try_line(&mut self, line: &[u8], start: usize, columns: &mut Columns) -> Result<(), Rejection> {
        self.reference.parse_in_block(line, self.may_have_nul, &mut self.record)?;
        let record = &self.record;
        self.limits.check(line, record)?;
        if record.seconds() > self.latest {
            return Err(Rejection::at(0, Reason::TimeAhead));
        }
        for (number, column) in self.numbers.iter().zip(&mut columns.numbers) {
            let reject = |reason| Rejection { reason, column: record.column(number.field) };
            number.append(record.field(number.field, line), column).map_err(reject)?;
        }
        // This cannot happen for a chunk of a log, whose size the tailer bounds. Reject the line rather than wrap
        // offsets.
        if columns.decoded.len() + line.len() > BLOCK_BYTES_MAX {
            return Err(Rejection::at(0, Reason::LineTooLong));
        }
        for field in 0..columns.fields.len() {
            let span = match record.location(field) {
                (record::Buffer::Line, range) => Span::in_block(start + range.start, start + range.end),
                (record::Buffer::Absent, _) => Span::ABSENT,
                _ => columns.push_decoded(|decoded| decoded.extend_from_slice(record.field(field, line))),
            };
            columns.fields[field].push(span);
        }
        columns.seconds.push(record.seconds());
        if columns.keeps_starts {
            columns.starts.push(start as u32);
        }
        columns.last_seconds = Some(record.seconds());
        Ok(())
    }
}

impl Fast {
    /// The fast path of a format. `None` if it has none: JSON, LTSV, and formats without a template.
    fn new(reference: &LineParser, numbers: &[Number]) -> Option<Self> {
        let (steps, slots) = match &reference.reader {
            LineReader::Nginx { steps, slots } => (steps, slots),
            LineReader::Delimited { template, slots, .. } => (&**template, slots),
            _ => return None,
        };
        let step_of = |slot: usize| slots.iter().position(|other| *other == Some(slot));
        let fields = reference.fields.fields();
        // A list is no number, even if all that is asked for is its sum.
        let read_as_numbers = numbers.iter().filter(|number| !number.is_list);
        let slots_read = read_as_numbers.filter_map(|number| fields[number.field].direct.first());
        let trusted = slots_read.filter_map(|slot| step_of(*slot)).collect::<Vec<_>>();
        let template = Template::new(steps, &trusted, reference.last_time.zone())?;
        let (mut values, mut absent) = (Vec::new(), Vec::new());
        let mut derivations = Vec::<Derivation>::new();
        let mut origins = Vec::new();
        for (at, field) in fields.iter().enumerate() {
            if let Some(slot) = field.direct.first() {
                let step = step_of(*slot)?;
                values.push(DirectField {
                    field: at,
                    extent: template.values[step],
                    coding: coding(field),
                    is_number: steps.steps[step].class == Class::Number,
                });
                continue;
            }
            let Some((origin, _)) = field.sources.first().copied() else {
                absent.push(at);
                continue;
            };
            let derivation = origins.iter().position(|other| *other == origin).or_else(|| {
                let (slot, kind) = reference.fields.source_of(origin);
                derivations.push(Derivation::new(template.values[step_of(slot)?], kind, steps.escape));
                origins.push(origin);
                Some(origins.len() - 1)
            })?;
            derivations[derivation].add(at, field.part.as_ref()?);
        }
        Some(Self {
            template,
            index: Index::default(),
            is_indexed: false,
            values,
            derivations,
            absent,
            lines: Vec::new(),
            separators: Vec::new(),
            confirmed: Vec::new(),
            escaped: Vec::new(),
            for_reference: Vec::new(),
        })
    }

    /// Selects the candidates among the lines, and leaves the others to the reference.
    ///
    /// Nearly always all lines are candidates. Then the separators of the index are used in place; only otherwise are
    /// those of the candidates copied.
    fn select_candidates(&mut self, block: &[u8], lines: std::ops::Range<usize>) {
        self.lines.clear();
        self.separators.clear();
        self.for_reference.clear();
        let damaged = self.index.damaged(lines.clone());
        if let Some(walk) = &self.template.walk {
            for line in lines.start as u32..lines.end as u32 {
                let is_candidate = damaged.binary_search(&line).is_err()
                    && walk.append(block, self.index.line(line as usize), &mut self.separators);
                if is_candidate { &mut self.lines } else { &mut self.for_reference }.push(line);
            }
            return;
        }
        let newlines = &self.index.newlines()[lines.start..=lines.end];
        let numbers = lines.start as u32..lines.end as u32;
        let is_candidate = |(start, end): (&Newline, &Newline)| {
            (end.separator - start.separator == self.template.separators)
                & (end.quotes - start.quotes == self.template.quotes)
        };
        let ends = newlines.iter().zip(&newlines[1..]);
        if damaged.is_empty() && ends.clone().map(is_candidate).fold(true, BitAnd::bitand) {
            self.lines.extend(numbers);
        } else {
            for (line, ends) in numbers.zip(ends) {
                let is_candidate = is_candidate(ends) && damaged.binary_search(&line).is_err();
                if is_candidate { &mut self.lines } else { &mut self.for_reference }.push(line);
            }
            let newlines = self.index.newlines();
            for line in &self.lines {
                let (start, end) =
                    (newlines[*line as usize].separator, newlines[*line as usize + 1].separator);
                self.separators.extend_from_slice(&self.index.separators()[start as usize..=end as usize]);
            }
        }
    }

    /// Reads the candidates' times and fields into the columns.
    fn read(&mut self, block: &[u8], columns: &mut Columns) {
        let width = self.template.separators as usize;
        let len = self.lines.len();
        let lines = match (&self.template.walk, self.lines.first()) {
            (Some(walk), _) => Candidates { block, separators: &self.separators, stride: walk.stride(), len },
            (None, Some(first)) if self.for_reference.is_empty() => {
                let start = self.index.newlines()[*first as usize].separator as usize;
                let separators = &self.index.separators()[start..=start + len * width];
                Candidates { block, separators, stride: width, len }
            }
            _ => Candidates { block, separators: &self.separators, stride: width + 1, len },
        };
        self.template.check(lines, &mut columns.seconds, &mut self.confirmed);
        find_escapes(
            (&self.index, &self.template),
            lines,
            &self.values,
            &self.derivations,
            &mut self.confirmed,
            &mut self.escaped,
        );
        for DirectField { field, extent, coding, .. } in &self.values {
            let span = |line| {
                let (start, end) = lines.extent(*extent, line);
                Span::in_block(start, end)
            };
            columns.fields[*field].extend((0..lines.len).map(span));
            let is_coded = *coding != Coding::Plain;
            if is_coded || !self.escaped.is_empty() {
                let confirmed = (0..lines.len).filter(|line| self.confirmed[*line]);
                for line in confirmed.filter(|line| is_coded || self.escaped[*line]) {
                    let (start, end) = lines.extent(*extent, line);
                    let text = &block[start..end];
                    let is_escaped = self.escaped.get(line) == Some(&true);
                    let escape = is_escaped.then_some(self.template.escape);
                    let made = decode_value(text, start, escape, *coding, columns);
                    columns.fields[*field][line] = made;
                }
            }
        }
        for field in &self.absent {
            columns.fields[*field].resize(lines.len, Span::ABSENT);
        }
        for derivation in &mut self.derivations {
            derivation.fill(lines, &self.confirmed, &self.escaped, columns);
        }
    }

    /// Reads the numbers into the columns. A line with a value that is not a number is no longer confirmed.
    fn read_numbers(&mut self, block: &[u8], numbers: &[Number], columns: &mut Columns) {
        for (at, number) in numbers.iter().enumerate() {
            let mut column = std::mem::take(&mut columns.numbers[at]);
            let spans = &columns.fields[number.field];
            let doubted = self.confirmed.contains(&false).then(|| self.confirmed.clone());
            column.fill(&mut self.confirmed, |line| {
                if let Some((bytes, len)) = columns.short_text(block, spans[line])
                    && let Some(value) = short_decimal(bytes, len, number.reading.scale)
                {
                    return Some(Some(value));
                }
                // The span of a line that is not confirmed may be out of range.
                let is_confirmed = doubted.as_ref().is_none_or(|confirmed| confirmed[line]);
                is_confirmed.then(|| number.read(columns.text(block, spans[line])).ok()).flatten()
            });
            column.limit(&number.range, &mut self.confirmed);
            columns.numbers[at] = column;
        }
    }

    /// Takes the confirmation from lines whose time or keys some store cannot hold: the reference will reject them.
    fn limit(&mut self, block: &[u8], limits: &LineLimits, latest: i64, columns: &Columns) {
        let (first, last) = (*limits.times.start(), latest.min(*limits.times.end()));
        let are_in = |all: bool, seconds: &i64| all & (first..=last).contains(seconds);
        if !columns.seconds.iter().fold(true, are_in) {
            for (seconds, confirmed) in columns.seconds.iter().zip(&mut self.confirmed) {
                *confirmed &= (first..=last).contains(seconds);
            }
        }
        // Keys are parts of their lines. If all lines together are short enough, no key needs a check of its own.
        let ends = self.lines.first().zip(self.lines.last());
        let bytes = ends.map_or(0, |(first, last)| {
            self.index.line(*last as usize).1 - self.index.line(*first as usize).0
        });
        if limits.allow_keys_in(bytes) {
            return;
        }
        for (line, confirmed) in self.confirmed.iter_mut().enumerate().filter(|(_, confirmed)| **confirmed) {
            *confirmed = limits.allow_keys(|field| columns.text(block, columns.fields[field][line]));
        }
    }

    /// Removes the lines that are not confirmed from the columns, and leaves them to the reference.
    fn remove_unconfirmed(&mut self, columns: &mut Columns) {
        if self.confirmed.iter().all(|confirmed| *confirmed) {
            return;
        }
        columns.retain(&self.confirmed);
        let unconfirmed = self.lines.iter().zip(&self.confirmed).filter(|(_, confirmed)| !**confirmed);
        self.for_reference.extend(unconfirmed.map(|(line, _)| *line));
        let mut confirmed = self.confirmed.iter();
        self.lines.retain(|_| *confirmed.next().unwrap_or(&false));
    }
}

/// True if the field is a variable that is always a number, as the format or the log says.
fn is_number(reference: &LineParser, field: usize) -> bool {
    let (steps, slots) = match &reference.reader {
        LineReader::Nginx { steps, slots } => (steps, slots),
        LineReader::Delimited { template, slots, .. } => (&**template, slots),
        _ => return false,
    };
    let direct = reference.fields.fields()[field].direct.first();
    let step = direct.and_then(|slot| slots.iter().position(|other| *other == Some(*slot)));
    step.is_some_and(|step| steps.steps[step].class == Class::Number)
}

/// The coding of a field that is a value of the line.
fn coding(field: &FieldRule) -> Coding {
    match &field.part {
        Some(Part::Arg(_)) => Coding::Argument,
        _ if field.is_encoded => Coding::Header,
        _ => Coding::Plain,
    }
}
