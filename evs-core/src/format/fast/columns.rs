//! The columns that some lines of a block are read into: times, fields, numbers, and the rejected lines.
//!
//! A column has one element per accepted line, so that later steps are loops over plain arrays. All columns have the
//! same length, and the elements at one index belong to one line. The lines are in no order: those of the fast path
//! come first, and those of the reference after them.
//!
//! Values are not copied. A [`Span`] names the bytes of the block, or of a buffer for the few values that had to be
//! decoded.

use std::ops::RangeInclusive;

use memchr::memmem;

use crate::{
    format::{
        reference::{LineParser, LineReader},
        rejection::{Reason, Rejection},
    },
    number::{NumberError, Reading},
};

/// A field that is read as a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    /// The index of the field among the parser's fields.
    pub(crate) field: usize,
    /// The decimal places that are kept, and what becomes of others.
    pub(crate) reading: Reading,
    /// True if nginx writes one value per upstream server into it.
    pub(crate) is_list: bool,
    /// True if it is no list by its name, but may be one.
    pub(crate) may_be_list: bool,
    /// True if it is only added up. Then it may have more than 64 bits.
    pub(crate) is_summed: bool,
    /// True if a value that is no number, or out of range, is absent. Otherwise its line is rejected.
    pub(crate) is_lenient: bool,
    /// True if a value that is no number, or out of range, is absent until the statistics that count the line say if it is
    /// rejected.
    pub(crate) is_deferred: bool,
    /// True if a client writes it. Then it is a number as people write it, whatever the server's own numbers are like.
    pub(crate) is_of_client: bool,
    /// The values that a line may carry, times 10^scale.
    pub(crate) range: RangeInclusive<i64>,
}

/// The way in which a format writes numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conventions {
    /// True for numbers of JSON.
    is_json: bool,
    /// True if a number may have a `+` before it.
    has_plus: bool,
    /// True if `-1` is no value.
    minus_one_is_none: bool,
}

impl Conventions {
    /// The way in which the lines of a parser have their numbers.
    pub(crate) fn of(parser: &LineParser) -> Self {
        match &parser.reader {
            LineReader::Json { .. } => Self { is_json: true, ..Self::default() },
            LineReader::Nginx { steps, .. } => Self {
                is_json: false,
                has_plus: steps.steps.iter().any(|step| step.has_plus),
                minus_one_is_none: steps.minus_one_is_none,
            },
            _ => Self::default(),
        }
    }
}

impl Number {
    /// Sets what the format decides. `is_number` is true for a variable that is always a number, and not a list or a text
    /// with a unit: the reference would take neither for it.
    pub(super) fn adapt(&mut self, conventions: Conventions, is_number: bool) {
        self.follow(conventions);
        self.reading.has_units &= !is_number;
        self.may_be_list &= !is_number;
    }

    /// Follows the way in which a format writes numbers. A client follows none.
    pub(crate) fn follow(&mut self, conventions: Conventions) {
        let Conventions { is_json, has_plus, minus_one_is_none } = conventions;
        if !self.is_of_client {
            let reading = self.reading;
            self.reading = Reading {
                has_exponents: is_json,
                is_double: is_json,
                has_plus,
                minus_one_is_none,
                ..reading
            };
        }
    }

    /// Reads the number that a text writes.
    pub(crate) fn read(&self, text: &[u8]) -> Result<Option<i64>, NumberError> {
        let read = if self.is_list { self.reading.list(text) } else { self.reading.number(text) };
        match read {
            // nginx's lists also stand in variables and keys of other names. A comma without a blank is none of them.
            Err(NumberError::NotANumber) if self.may_be_list && has_separator(text) => {
                self.reading.list(text)
            }
            read => read,
        }
    }

    /// Appends the number that a text writes to a column. One that [`read`](Self::read) finds too large may be added up all
    /// the same.
    pub(crate) fn append(&self, text: &[u8], column: &mut NumberColumn) -> Result<(), Reason> {
        let read = self.read(text);
        if read == Err(NumberError::TooLarge)
            && let Some(wide) = self.read_wide(text)
        {
            column.push_wide(wide);
            return Ok(());
        }
        let read = match read {
            Ok(Some(value)) if !self.range.contains(&value) => Err(Reason::NumberOutOfRange),
            read => read.map_err(Reason::from),
        };
        match read {
            Ok(value) => column.push(value),
            Err(_) if self.is_lenient || self.is_deferred => column.push_bad(),
            Err(reason) => return Err(reason),
        }
        Ok(())
    }

    /// A number of a server that is read in this way, and may be a list.
    #[cfg(test)]
    pub(crate) fn plain(reading: Reading) -> Self {
        Self {
            field: 0,
            reading,
            is_list: false,
            may_be_list: true,
            is_summed: false,
            is_lenient: false,
            is_deferred: false,
            is_of_client: false,
            range: ANY,
        }
    }

    /// The reason why a text is no value of the measure. `None` if it is one.
    pub(crate) fn reason(&self, text: &[u8]) -> Option<Reason> {
        let mut column = NumberColumn::default();
        let strict = Self { is_lenient: false, is_deferred: false, ..self.clone() };
        strict.append(text, &mut column).err()
    }

    /// Reads a number beyond 64 bits, if it is only added up, and has no limits.
    #[cold]
    fn read_wide(&self, text: &[u8]) -> Option<i128> {
        let is_held = self.is_summed && !self.is_list && self.range == ANY;
        if is_held { self.reading.wide(text) } else { None }
    }
}

/// The range of a number without limits.
pub(crate) const ANY: RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// True if a text has a separator of a list.
fn has_separator(text: &[u8]) -> bool {
    memmem::find(text, b", ").is_some() || memmem::find(text, b" : ").is_some()
}

/// The location of a value's bytes: in the block, or in [`Columns::decoded`] if they do not stand in the block as they
/// are.
///
/// One bit of the offset tells the two apart, so a span has eight bytes, and a column of 256 of them two KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first byte, as an offset with the bit [`DECODED`] in it.
    start: u32,
    /// The end, with the same bit.
    end: u32,
}

/// The highest bit of an offset. It is set if the offset counts in [`Columns::decoded`], and free otherwise since
/// blocks are shorter than 2^31 bytes.
const DECODED: u32 = 1 << 31;

impl Span {
    /// The `-` with which [`Columns::decoded`] begins: the value of a field that is absent.
    pub(super) const ABSENT: Self = Self { start: DECODED, end: DECODED + 1 };

    /// The span of bytes that stand in the block, by their offsets.
    #[inline]
    pub(super) fn in_block(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// The span of a part of its bytes, by their range within the value.
    #[inline]
    pub(super) fn part(self, range: std::ops::Range<usize>) -> Self {
        Self { start: self.start + range.start as u32, end: self.start + range.end as u32 }
    }
}

/// One number per line. An absent number has the value 0, so that sums need not look at `are_absent`.
#[derive(Clone, Debug, Default)]
pub(crate) struct NumberColumn {
    /// By line, the value times 10^scale; 0 if it is absent.
    pub(crate) values: Vec<i64>,
    /// By line, true if the line has no value: `-` or nothing.
    pub(crate) are_absent: Vec<bool>,
    /// True if any of `are_absent` is.
    pub(crate) some_absent: bool,
    /// The lines whose value has more than 64 bits, with what is to be added to their element of `values`. They are rare.
    pub(crate) wide: Vec<(usize, i128)>,
    /// The lines whose value is absent, since it cannot be counted. They are rare.
    pub(crate) bad: Vec<usize>,
}

impl NumberColumn {
    /// Forgets the numbers, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.are_absent.clear();
        self.some_absent = false;
        self.wide.clear();
        self.bad.clear();
    }

    /// Reads the value of each line. A line whose value `read` cannot tell is no longer confirmed.
    ///
    /// `read` returns `None` if it cannot tell, and `Some(None)` if the line has no value.
    #[inline]
    pub(super) fn fill(
        &mut self,
        confirmed: &mut [bool],
        mut read: impl FnMut(usize) -> Option<Option<i64>>,
    ) {
        self.values.resize(confirmed.len(), 0);
        self.are_absent.resize(confirmed.len(), false);
        let rows = self.values.iter_mut().zip(&mut self.are_absent).zip(confirmed).enumerate();
        for (line, ((value, is_absent), confirmed)) in rows {
            match read(line) {
                Some(Some(read)) => *value = read,
                Some(None) => {
                    *is_absent = true;
                    self.some_absent = true;
                }
                None => *confirmed = false,
            }
        }
    }

    /// Takes the confirmation from lines whose value is outside of `range`.
    ///
    /// The lowest and the highest value of the column nearly always show that there is no such line.
    pub(super) fn limit(&self, range: &RangeInclusive<i64>, confirmed: &mut [bool]) {
        let (low, high) =
            self.values.iter().fold((0, 0), |(low, high), value| (*value.min(&low), *value.max(&high)));
        if range.contains(&low) && range.contains(&high) {
            return;
        }
        for ((value, is_absent), confirmed) in self.values.iter().zip(&self.are_absent).zip(confirmed) {
            *confirmed &= *is_absent || range.contains(value);
        }
    }

    /// Puts the numbers of these lines, which are in order, into another column.
    pub(crate) fn select(&self, lines: &[u32], selected: &mut Self) {
        selected.clear();
        selected.values.extend(lines.iter().map(|line| self.values[*line as usize]));
        selected.some_absent = self.some_absent;
        if self.some_absent {
            selected.are_absent.extend(lines.iter().map(|line| self.are_absent[*line as usize]));
        }
        for (line, rest) in &self.wide {
            if let Ok(at) = lines.binary_search(&(*line as u32)) {
                selected.wide.push((at, *rest));
            }
        }
    }

    /// Appends the value of a line.
    #[inline]
    pub(crate) fn push(&mut self, value: Option<i64>) {
        self.some_absent |= value.is_none();
        self.are_absent.push(value.is_none());
        self.values.push(value.unwrap_or_default());
    }

    /// Appends the value of a line, which has more than 64 bits.
    #[cold]
    fn push_wide(&mut self, value: i128) {
        let part = value.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        self.wide.push((self.values.len(), value - i128::from(part)));
        self.push(Some(part));
    }

    /// Appends no value for a line, since it has one that cannot be counted.
    #[cold]
    fn push_bad(&mut self) {
        self.bad.push(self.values.len());
        self.push(None);
    }

    /// Forgets the values of all lines but the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.are_absent.truncate(len);
        self.wide.retain(|(line, _)| *line < len);
        self.bad.retain(|line| *line < len);
    }
}

/// A rejected line, by its offsets in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// The first byte.
    pub(crate) start: usize,
    /// The end, without the newline.
    pub(crate) end: usize,
    /// The reason, and the column in the line.
    pub(crate) rejection: Rejection,
}

/// Some lines of a block: the accepted ones by column, and the rejected ones.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// The number of lines read, accepted or rejected.
    pub(crate) lines: usize,
    /// By line, its time in seconds since 1970.
    pub(crate) seconds: Vec<i64>,
    /// By field, the column of its values.
    pub(crate) fields: Vec<Vec<Span>>,
    /// By number, the column of its values.
    pub(crate) numbers: Vec<NumberColumn>,
    /// The rejected lines, in the order of the block.
    pub(crate) rejected: Vec<Rejected>,
    /// The time of the last accepted line in the block. (It need not be the last element of `seconds`: lines that the
    /// reference read come after the others.)
    pub(crate) last_seconds: Option<i64>,
    /// The bytes of values that do not stand in the block as they are, because an escape was undone.
    pub(super) decoded: Vec<u8>,
    /// By line, the offset of its first byte. Empty unless [`keep_starts`](Self::keep_starts) was called.
    pub(crate) starts: Vec<u32>,
    /// True if `starts` is filled.
    pub(super) keeps_starts: bool,
}

impl Columns {
    /// Empty columns for the given numbers of fields and of number columns.
    pub(crate) fn new(fields: usize, numbers: usize) -> Self {
        Self {
            lines: 0,
            seconds: Vec::new(),
            fields: vec![Vec::new(); fields],
            numbers: vec![NumberColumn::default(); numbers],
            rejected: Vec::new(),
            last_seconds: None,
            decoded: b"-".to_vec(),
            starts: Vec::new(),
            keeps_starts: false,
        }
    }

    /// Keeps the offsets of lines from here on.
    pub(crate) fn keep_starts(&mut self) {
        self.keeps_starts = true;
    }

    /// True if any accepted line has the field.
    pub(crate) fn have(&self, field: usize) -> bool {
        self.fields[field].iter().any(|span| *span != Span::ABSENT)
    }

    /// The number of accepted lines.
    pub(crate) fn len(&self) -> usize {
        self.seconds.len()
    }

    /// The bytes of a value.
    #[inline(always)]
    pub(crate) fn text<'t>(&'t self, block: &'t [u8], span: Span) -> &'t [u8] {
        if span.start & DECODED == 0 {
            &block[span.start as usize..span.end as usize]
        } else {
            &self.decoded[(span.start & !DECODED) as usize..(span.end & !DECODED) as usize]
        }
    }

    /// The 16 bytes of the block from the start of a value on, and the value's length. The bytes after a shorter value
    /// are those of the block. `None` for a decoded value, and near the end of the block.
    ///
    /// A dictionary compares short texts as words, and so needs no copy of them.
    #[inline(always)]
    pub(crate) fn head(&self, block: &[u8], span: Span) -> Option<([u8; 16], usize)> {
        // The offset of a decoded value has its highest bit set, so it lies after the end of any block.
        let head = block.get(span.start as usize..)?.first_chunk()?;
        Some((*head, (span.end - span.start) as usize))
    }

    /// As [`head`](Self::head), for a value of 1 to 8 bytes: the 8 bytes from its start on, and its length.
    #[inline(always)]
    pub(super) fn short_text(&self, block: &[u8], span: Span) -> Option<([u8; 8], usize)> {
        let len = span.end.wrapping_sub(span.start) as usize;
        if !(1..=8).contains(&len) {
            return None;
        }
        // As in `head`, a decoded value lies after the end of any block.
        block.get(span.start as usize..)?.first_chunk().map(|bytes| (*bytes, len))
    }

    /// Clears the columns for the next lines.
    pub(super) fn clear(&mut self) {
        self.lines = 0;
        self.seconds.clear();
        self.fields.iter_mut().for_each(Vec::clear);
        self.numbers.iter_mut().for_each(NumberColumn::clear);
        self.rejected.clear();
        self.last_seconds = None;
        self.decoded.truncate(1);
        self.starts.clear();
    }

    /// The span of the bytes that `write` appends to the decoded ones.
    pub(super) fn push_decoded(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.decoded.len() as u32;
        write(&mut self.decoded);
        debug_assert!(self.decoded.len() < DECODED as usize, "offsets have 31 bits");
        Span { start: start | DECODED, end: self.decoded.len() as u32 | DECODED }
    }

    /// Moves all offsets of a block by `bytes`: what was read is a part of a block that begins there.
    pub(super) fn shift(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        for span in self.fields.iter_mut().flatten().filter(|span| span.start < DECODED) {
            *span = Span { start: span.start + bytes as u32, end: span.end + bytes as u32 };
        }
        for rejected in &mut self.rejected {
            rejected.start += bytes;
            rejected.end += bytes;
        }
        self.starts.iter_mut().for_each(|start| *start += bytes as u32);
    }

    /// Rejects accepted lines after they were read: by line, the reason. It needs the lines' offsets.
    pub(crate) fn reject(&mut self, block: &[u8], reasons: &[Option<Rejection>]) {
        debug_assert_eq!(self.starts.len(), self.len());
        let is_kept: Vec<bool> = reasons.iter().map(Option::is_none).collect();
        for (start, rejection) in self.starts.iter().zip(reasons) {
            let Some(rejection) = *rejection else { continue };
            let start = *start as usize;
            let end = memchr::memchr(b'\n', &block[start..]).map_or(block.len(), |len| start + len);
            self.rejected.push(Rejected { start, end, rejection });
        }
        self.rejected.sort_by_key(|rejected| rejected.start);
        for column in &mut self.numbers {
            // A line that stays moves up by as many as are rejected before it.
            let moved = |line: usize| {
                is_kept[line].then(|| is_kept[..line].iter().filter(|is_kept| **is_kept).count())
            };
            column.wide =
                column.wide.iter().filter_map(|(line, rest)| Some((moved(*line)?, *rest))).collect();
            column.bad = column.bad.iter().filter_map(|line| moved(*line)).collect();
        }
        retain(&mut self.starts, &is_kept);
        self.retain(&is_kept);
        let last = (0..self.len()).max_by_key(|line| self.starts[*line]);
        self.last_seconds = last.map(|line| self.seconds[line]);
    }

    /// Keeps the lines that are `confirmed`.
    pub(super) fn retain(&mut self, confirmed: &[bool]) {
        debug_assert_eq!(self.len(), confirmed.len());
        debug_assert!(self.fields.iter().all(|column| column.len() == confirmed.len()));
        debug_assert!(self.numbers.iter().all(|column| column.values.len() == confirmed.len()));
        retain(&mut self.seconds, confirmed);
        self.fields.iter_mut().for_each(|column| retain(column, confirmed));
        for column in &mut self.numbers {
            retain(&mut column.values, confirmed);
            retain(&mut column.are_absent, confirmed);
            column.some_absent = column.are_absent.contains(&true);
        }
    }
}

/// Keeps the elements whose line is `confirmed`.
fn retain<T>(column: &mut Vec<T>, confirmed: &[bool]) {
    let mut confirmed = confirmed.iter();
    column.retain(|_| *confirmed.next().unwrap_or(&false));
}
