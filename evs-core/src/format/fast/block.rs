//! Takes the lines of a block apart, some hundred at a time: by the index of the block those that are sure to be of
//! the format, and by the reference all others.

use std::ops::BitAnd;

use memchr::{memchr, memchr2};

use super::{
    columns::{Columns, Number, Rejected, Span},
    derive::{Derivation, Text, argument},
    index::{Index, Newline},
    template::{Candidates, Layout, Place},
};
use crate::{
    format::{
        compile::{Class, Escape},
        decode::escape::undo_default,
        limits::LineLimits,
        reference::{LineParser, Part, Source},
        rejection::{Reason, Rejection},
    },
    number::{decimal, decimal_list, short_decimal},
    record::{self, Record},
};

/// How many lines are taken apart at a time: as many as their columns find room in the cache beside the block.
const LINES_MAX: usize = if cfg!(test) { 16 } else { 256 };
/// Offsets in a block are kept in 31 bits, and the index needs room for one newline more.
const BLOCK_BYTES_MAX: usize = (1 << 31) - 2;

/// Takes blocks of lines apart. Each worker has its own.
#[derive(Clone, Debug)]
pub(crate) struct BlockParser {
    reference: LineParser,
    record: Record,
    numbers: Vec<Number>,
    limits: LineLimits,
    /// The latest time that is accepted, by the clock.
    latest: i64,
    fast: Option<Fast>,
    /// Whether a line that the reference reads next may have a NUL byte.
    may_have_nul: bool,
    /// How far the block has been read: the next line, of an indexed one; else the next byte.
    at: usize,
}

/// The fast path of a format that has one.
#[derive(Clone, Debug)]
struct Fast {
    layout: Layout,
    index: Index,
    /// Whether the index is of the block that is being read.
    is_indexed: bool,
    /// The fields that are logged values.
    values: Vec<Logged>,
    derivations: Vec<Derivation>,
    // Used again for every block of lines:
    /// The undamaged lines with the right numbers of marks and quotes.
    lines: Vec<u32>,
    /// Their marks, if they do not follow each other in the index.
    marks: Vec<u32>,
    sure: Vec<bool>,
    /// Which of these lines have a backslash in what is asked for; empty if none has.
    escaped: Vec<bool>,
    /// The lines that the reference has to read.
    others: Vec<u32>,
}

/// A field that is a logged value.
#[derive(Clone, Debug)]
struct Logged {
    field: usize,
    place: Place,
    /// Whether it is an argument of a query.
    is_arg: bool,
    /// Whether it is a number, in which the format allows no backslash. What is not asked for has been checked.
    is_number: bool,
}

impl BlockParser {
    /// A parser for the fields of `reference`, some of which are `numbers`.
    pub(crate) fn new(reference: LineParser, numbers: Vec<Number>, limits: LineLimits) -> Self {
        let fast = Fast::new(&reference, &numbers);
        let record = Record::new();
        Self { reference, record, numbers, limits, latest: i64::MAX, fast, may_have_nul: false, at: 0 }
    }

    /// From here on, lines that are later than `seconds` are rejected.
    pub(crate) fn set_latest(&mut self, seconds: i64) {
        self.latest = seconds;
    }

    /// Without the fast path.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn plain(reference: LineParser, numbers: Vec<Number>, limits: LineLimits) -> Self {
        Self { fast: None, ..Self::new(reference, numbers, limits) }
    }

    /// Whether the format has a fast path.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn is_fast(&self) -> bool {
        self.fast.is_some()
    }

    /// Begins with another block, which ends behind a line.
    pub(crate) fn begin(&mut self, block: &[u8]) {
        self.at = 0;
        if let Some(fast) = &mut self.fast {
            // A byte may be aside four times: as part of a logged value, of a request, of its path, and of an argument.
            fast.is_indexed = block.len() <= BLOCK_BYTES_MAX / 4;
            if fast.is_indexed {
                fast.index.read(block, fast.layout.delimiters);
            }
        }
    }

    /// Reads the next lines of the block that was begun; `false` if there are none.
    pub(crate) fn read(&mut self, block: &[u8], columns: &mut Columns) -> bool {
        columns.clear();
        match self.fast.take() {
            Some(mut fast) if fast.is_indexed => {
                self.read_indexed(&mut fast, block, columns);
                self.fast = Some(fast);
            }
            fast => {
                self.fast = fast;
                self.read_plainly(block, columns);
            }
        }
        columns.lines > 0
    }

    fn read_plainly(&mut self, block: &[u8], columns: &mut Columns) {
        while columns.lines < LINES_MAX && self.at < block.len() {
            let end = self.end_of_line(block);
            self.read_line(block, self.at, end, columns);
            columns.lines += 1;
            self.at = end + 1;
        }
    }

    /// Finds the end of the next line, and whether the line may have a NUL byte.
    fn end_of_line(&mut self, block: &[u8]) -> usize {
        let mut from = self.at;
        // JSON is searched for them when it is rejected.
        if !matches!(self.reference.source, Source::Json { .. }) {
            from = memchr2(b'\n', 0, &block[from..]).map_or(block.len(), |len| from + len);
            self.may_have_nul = block.get(from) == Some(&0);
            if !self.may_have_nul {
                return from;
            }
        }
        memchr(b'\n', &block[from..]).map_or(block.len(), |len| from + len)
    }

    fn read_indexed(&mut self, fast: &mut Fast, block: &[u8], columns: &mut Columns) {
        let lines = self.at..fast.index.lines().min(self.at + LINES_MAX);
        self.at = lines.end;
        columns.lines = lines.len();
        fast.choose(lines.clone());
        fast.read(block, columns);
        fast.read_numbers(block, &self.numbers, columns);
        fast.limit(block, &self.limits, self.latest, columns);
        fast.drop_unsure(columns);
        columns.last_seconds = columns.seconds.last().copied();
        let last_sure = fast.lines.last().copied();
        fast.others.sort_unstable();
        self.may_have_nul = !fast.index.damaged(lines).is_empty();
        for line in &fast.others {
            let (start, end) = fast.index.line(*line as usize);
            let before = columns.last_seconds;
            self.read_line(block, start, end, columns);
            if last_sure > Some(*line) {
                columns.last_seconds = before;
            }
        }
    }

    /// Reads one line by the reference.
    fn read_line(&mut self, block: &[u8], start: usize, end: usize, columns: &mut Columns) {
        let line = &block[start..end];
        let rows = columns.len();
        if let Err(rejection) = self.try_line(line, start, columns) {
            for column in &mut columns.numbers {
                column.values.truncate(rows);
                column.are_absent.truncate(rows);
            }
            columns.rejected.push(Rejected { start, end, rejection });
        }
    }

    fn try_line(&mut self, line: &[u8], start: usize, columns: &mut Columns) -> Result<(), Rejection> {
        self.reference.parse_in_block(line, self.may_have_nul, &mut self.record)?;
        let record = &self.record;
        self.limits.check(line, record)?;
        if record.seconds() > self.latest {
            return Err(Rejection::at(0, Reason::TimeAhead));
        }
        for (number, column) in self.numbers.iter().zip(&mut columns.numbers) {
            let text = record.field(number.field, line);
            let read = if number.is_list { decimal_list } else { decimal };
            let reject = |reason| Rejection { reason, column: record.column(number.field) };
            let value = read(text, number.scale).map_err(|error| reject(error.into()))?;
            if value.is_some_and(|value| !number.range.contains(&value)) {
                return Err(reject(Reason::NumberOutOfRange));
            }
            column.push(value);
        }
        // A block whose values do not find room in 31 bits is none that can be read from a log: lines have a
        // limit, and there are 512 of them.
        if columns.aside.len() + line.len() > BLOCK_BYTES_MAX {
            return Err(Rejection::at(0, Reason::LineTooLong));
        }
        for field in 0..columns.fields.len() {
            let span = match record.place(field) {
                (record::Place::Line, range) => Span::in_block(start + range.start, start + range.end),
                (record::Place::Absent, _) => Span::ABSENT,
                _ => columns.put_aside(|aside| aside.extend_from_slice(record.field(field, line))),
            };
            columns.fields[field].push(span);
        }
        columns.seconds.push(record.seconds());
        columns.last_seconds = Some(record.seconds());
        Ok(())
    }
}

impl Fast {
    fn new(reference: &LineParser, numbers: &[Number]) -> Option<Self> {
        let Source::Nginx { steps, slots } = &reference.source else { return None };
        let step_of = |slot: usize| slots.iter().position(|other| *other == Some(slot));
        let fields = reference.plan.fields();
        let slots_read = numbers.iter().filter_map(|number| fields[number.field].direct.first());
        let trusted = slots_read.filter_map(|slot| step_of(*slot)).collect::<Vec<_>>();
        let layout = Layout::new(steps, &trusted)?;
        let (mut values, mut derivations) = (Vec::new(), Vec::<Derivation>::new());
        let mut origins = Vec::new();
        for (at, field) in fields.iter().enumerate() {
            if let Some(slot) = field.direct.first() {
                let step = step_of(*slot)?;
                values.push(Logged {
                    field: at,
                    place: layout.values[step],
                    is_arg: matches!(field.part, Some(Part::Arg(_))),
                    is_number: steps.steps[step].class == Class::Number,
                });
                continue;
            }
            let (origin, _) = *field.origins.first()?;
            let derivation = origins.iter().position(|other| *other == origin).or_else(|| {
                let (slot, kind) = reference.plan.origin_of(origin);
                derivations.push(Derivation::new(layout.values[step_of(slot)?], kind));
                origins.push(origin);
                Some(origins.len() - 1)
            })?;
            derivations[derivation].add(at, field.part.as_ref()?);
        }
        Some(Self {
            layout,
            index: Index::default(),
            is_indexed: false,
            values,
            derivations,
            lines: Vec::new(),
            marks: Vec::new(),
            sure: Vec::new(),
            escaped: Vec::new(),
            others: Vec::new(),
        })
    }

    /// Picks the lines that have the right numbers of marks and quotes and are not damaged.
    fn choose(&mut self, lines: std::ops::Range<usize>) {
        self.lines.clear();
        self.marks.clear();
        self.others.clear();
        let newlines = &self.index.newlines()[lines.start..=lines.end];
        let numbers = lines.start as u32..lines.end as u32;
        let is_candidate = |(start, end): (&Newline, &Newline)| {
            (end.mark - start.mark == self.layout.marks) & (end.quotes - start.quotes == self.layout.quotes)
        };
        let ends = newlines.iter().zip(&newlines[1..]);
        let damaged = self.index.damaged(lines.clone());
        if damaged.is_empty() && ends.clone().map(is_candidate).fold(true, BitAnd::bitand) {
            self.lines.extend(numbers);
        } else {
            for (line, ends) in numbers.zip(ends) {
                let is_candidate = is_candidate(ends) && damaged.binary_search(&line).is_err();
                if is_candidate { &mut self.lines } else { &mut self.others }.push(line);
            }
            let newlines = self.index.newlines();
            for line in &self.lines {
                let (start, end) = (newlines[*line as usize].mark, newlines[*line as usize + 1].mark);
                self.marks.extend_from_slice(&self.index.marks()[start as usize..=end as usize]);
            }
        }
    }

    /// Reads the columns of the times and fields.
    fn read(&mut self, block: &[u8], columns: &mut Columns) {
        let width = self.layout.marks as usize;
        let len = self.lines.len();
        let lines = match self.lines.first() {
            Some(first) if self.others.is_empty() => {
                let start = self.index.newlines()[*first as usize].mark as usize;
                let marks = &self.index.marks()[start..=start + len * width];
                Candidates { block, marks, stride: width, len }
            }
            _ => Candidates { block, marks: &self.marks, stride: width + 1, len },
        };
        self.layout.check(lines, &mut columns.seconds, &mut self.sure);
        find_escapes(
            (&self.index, &self.layout),
            lines,
            &self.values,
            &self.derivations,
            &mut self.sure,
            &mut self.escaped,
        );
        for Logged { field, place, is_arg, .. } in &self.values {
            let span = |line| {
                let (start, end) = lines.place(*place, line);
                Span::in_block(start, end)
            };
            columns.fields[*field].extend((0..lines.len).map(span));
            if *is_arg || !self.escaped.is_empty() {
                let sure = (0..lines.len).filter(|line| self.sure[*line]);
                for line in sure.filter(|line| *is_arg || self.escaped[*line]) {
                    let text = &block[span_of(lines.place(*place, line))];
                    let is_escaped = self.escaped.get(line) == Some(&true);
                    let made = logged(text, lines.at(place.start, line), is_escaped, *is_arg, columns);
                    columns.fields[*field][line] = made;
                }
            }
        }
        for derivation in &mut self.derivations {
            derivation.fill(lines, &self.sure, &self.escaped, columns);
        }
    }

    /// Reads the numbers; a line with one that is none is not sure any more.
    fn read_numbers(&mut self, block: &[u8], numbers: &[Number], columns: &mut Columns) {
        for (at, number) in numbers.iter().enumerate() {
            let mut column = std::mem::take(&mut columns.numbers[at]);
            let read = if number.is_list { decimal_list } else { decimal };
            let spans = &columns.fields[number.field];
            let doubted = self.sure.contains(&false).then(|| self.sure.clone());
            column.fill(&mut self.sure, |line| {
                if let Some((bytes, len)) = columns.short_text(block, spans[line])
                    && let Some(value) = short_decimal(bytes, len, number.scale)
                {
                    return Some(Some(value));
                }
                // What is not sure may be no text at all.
                let is_sure = doubted.as_ref().is_none_or(|sure| sure[line]);
                is_sure.then(|| read(columns.text(block, spans[line]), number.scale).ok()).flatten()
            });
            column.limit(&number.range, &mut self.sure);
            columns.numbers[at] = column;
        }
    }

    /// Doubts the lines that carry what no store is to get.
    fn limit(&mut self, block: &[u8], limits: &LineLimits, latest: i64, columns: &Columns) {
        let (first, last) = (*limits.times.start(), latest.min(*limits.times.end()));
        let are_in = |all: bool, seconds: &i64| all & (first..=last).contains(seconds);
        if !columns.seconds.iter().fold(true, are_in) {
            for (seconds, sure) in columns.seconds.iter().zip(&mut self.sure) {
                *sure &= (first..=last).contains(seconds);
            }
        }
        // Keys are parts of their lines, so these need not be looked at one by one.
        let ends = self.lines.first().zip(self.lines.last());
        let bytes = ends.map_or(0, |(first, last)| {
            self.index.line(*last as usize).1 - self.index.line(*first as usize).0
        });
        if limits.allow_keys_in(bytes) {
            return;
        }
        for (line, sure) in self.sure.iter_mut().enumerate().filter(|(_, sure)| **sure) {
            *sure = limits.allow_keys(|field| columns.text(block, columns.fields[field][line]));
        }
    }

    /// Takes the lines that are not sure out of the columns, for the reference to read.
    fn drop_unsure(&mut self, columns: &mut Columns) {
        if self.sure.iter().all(|sure| *sure) {
            return;
        }
        columns.retain(&self.sure);
        let unsure = self.lines.iter().zip(&self.sure).filter(|(_, sure)| !**sure);
        self.others.extend(unsure.map(|(line, _)| *line));
        let mut sure = self.sure.iter();
        self.lines.retain(|_| *sure.next().unwrap_or(&false));
    }
}

/// Finds the lines that have a backslash where it matters: in a value that is asked for, whose escapes are to be
/// undone. In a number it makes the line doubtful; so it does anywhere at all where it could stand before a quote.
fn find_escapes(
    (index, layout): (&Index, &Layout),
    lines: Candidates<'_>,
    values: &[Logged],
    derivations: &[Derivation],
    sure: &mut [bool],
    escaped: &mut Vec<bool>,
) {
    escaped.clear();
    let mut hint = 0;
    for line in 0..lines.len {
        let marks = lines.line(line);
        let (start, end) = (marks[0].wrapping_add(1), marks[layout.marks as usize]);
        match index.next_backslash(start, &mut hint) {
            None => break,
            Some(at) if at >= end => continue,
            Some(_) => {}
        }
        let has_any = |place: &Place| {
            let (start, end) = place.of(marks);
            index.next_backslash(start as u32, &mut hint.clone()).is_some_and(|at| (at as usize) < end)
        };
        let are_plain = layout.escape == Escape::Default;
        if !are_plain || values.iter().any(|value| value.is_number && has_any(&value.place)) {
            sure[line] = false;
            continue;
        }
        let places = values.iter().map(|value| &value.place);
        let mut places = places.chain(derivations.iter().map(|derivation| &derivation.place));
        if places.any(has_any) {
            escaped.resize(lines.len, false);
            escaped[line] = true;
        }
    }
}

fn span_of((start, end): (usize, usize)) -> std::ops::Range<usize> {
    start..end
}

/// A logged value that stands at `start`, with whatever is to be undone.
#[cold]
fn logged(text: &[u8], start: usize, is_escaped: bool, is_arg: bool, columns: &mut Columns) -> Span {
    if !is_escaped || memchr(b'\\', text).is_none() {
        let whole = 0..text.len();
        return if is_arg {
            argument(text, whole, Text::InBlock(start), columns)
        } else {
            Span::in_block(start, start + text.len())
        };
    }
    if !is_arg {
        return columns.put_aside(|aside| undo_default(text, aside));
    }
    let mut unescaped = Vec::new();
    undo_default(text, &mut unescaped);
    let place = columns.put_aside(|aside| aside.extend_from_slice(&unescaped));
    argument(&unescaped, 0..unescaped.len(), Text::Aside(place), columns)
}
