//! What is read of some lines of a block, column by column.

use std::ops::RangeInclusive;

use crate::format::rejection::Rejection;

/// A field that is read as a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    /// Which of the parser's fields.
    pub(crate) field: usize,
    pub(crate) scale: u8,
    /// Whether nginx writes one value per upstream into it.
    pub(crate) is_list: bool,
    /// What a line may carry, times 10^scale.
    pub(crate) range: RangeInclusive<i64>,
}

/// A value's bytes: in the block, or aside if it does not stand there as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

/// The highest bit of an offset says that it counts in [`Columns::aside`]: blocks are shorter than 2^31 bytes.
const ASIDE: u32 = 1 << 31;

impl Span {
    /// The `-` with which [`Columns::aside`] begins.
    pub(super) const ABSENT: Self = Self { start: ASIDE, end: ASIDE + 1 };

    #[inline]
    pub(super) fn in_block(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// The span of a part of its bytes.
    #[inline]
    pub(super) fn part(self, range: std::ops::Range<usize>) -> Self {
        Self { start: self.start + range.start as u32, end: self.start + range.end as u32 }
    }
}

/// One number of each line. An absent one has the value 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct NumberColumn {
    pub(crate) values: Vec<i64>,
    pub(crate) are_absent: Vec<bool>,
    /// Whether any of them is.
    pub(crate) some_absent: bool,
}

impl NumberColumn {
    fn clear(&mut self) {
        self.values.clear();
        self.are_absent.clear();
        self.some_absent = false;
    }

    /// Reads the value of each line that is still sure; one of which it cannot be read is not sure any more.
    #[inline]
    pub(super) fn fill(&mut self, sure: &mut [bool], mut read: impl FnMut(usize) -> Option<Option<i64>>) {
        self.values.resize(sure.len(), 0);
        self.are_absent.resize(sure.len(), false);
        let rows = self.values.iter_mut().zip(&mut self.are_absent).zip(sure).enumerate();
        for (line, ((value, is_absent), sure)) in rows {
            match read(line) {
                Some(Some(read)) => *value = read,
                Some(None) => {
                    *is_absent = true;
                    self.some_absent = true;
                }
                None => *sure = false,
            }
        }
    }

    /// Doubts the lines whose value is outside of `range`.
    pub(super) fn limit(&self, range: &RangeInclusive<i64>, sure: &mut [bool]) {
        let (low, high) =
            self.values.iter().fold((0, 0), |(low, high), value| (*value.min(&low), *value.max(&high)));
        if range.contains(&low) && range.contains(&high) {
            return;
        }
        for ((value, is_absent), sure) in self.values.iter().zip(&self.are_absent).zip(sure) {
            *sure &= *is_absent || range.contains(value);
        }
    }

    #[inline]
    pub(super) fn push(&mut self, value: Option<i64>) {
        self.some_absent |= value.is_none();
        self.are_absent.push(value.is_none());
        self.values.push(value.unwrap_or_default());
    }
}

/// A line that is none, and where it is in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) rejection: Rejection,
}

/// Some lines of a block: those that are of the format, by column, and those that are not.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// How many lines were read, of the format or not.
    pub(crate) lines: usize,
    /// The lines' times.
    pub(crate) seconds: Vec<i64>,
    /// By field, the lines' values.
    pub(crate) fields: Vec<Vec<Span>>,
    /// By number, the lines' values.
    pub(crate) numbers: Vec<NumberColumn>,
    /// In the order of the block.
    pub(crate) rejected: Vec<Rejected>,
    /// The time of the last line in the block that is of the format. (In the columns, lines that the reference
    /// read come behind the others.)
    pub(crate) last_seconds: Option<i64>,
    /// Values that do not stand in the block as they are.
    pub(super) aside: Vec<u8>,
}

impl Columns {
    pub(crate) fn new(fields: usize, numbers: usize) -> Self {
        Self {
            lines: 0,
            seconds: Vec::new(),
            fields: vec![Vec::new(); fields],
            numbers: vec![NumberColumn::default(); numbers],
            rejected: Vec::new(),
            last_seconds: None,
            aside: b"-".to_vec(),
        }
    }

    /// The number of lines that are of the format.
    pub(crate) fn len(&self) -> usize {
        self.seconds.len()
    }

    /// The bytes of a value.
    #[inline(always)]
    pub(crate) fn text<'t>(&'t self, block: &'t [u8], span: Span) -> &'t [u8] {
        if span.start & ASIDE == 0 {
            &block[span.start as usize..span.end as usize]
        } else {
            &self.aside[(span.start & !ASIDE) as usize..(span.end & !ASIDE) as usize]
        }
    }

    /// The first 16 bytes from where a value stands in the block on, and how many bytes the value has.
    #[inline(always)]
    pub(crate) fn head(&self, block: &[u8], span: Span) -> Option<([u8; 16], usize)> {
        // What is aside is beyond any block.
        let head = block.get(span.start as usize..)?.first_chunk()?;
        Some((*head, (span.end - span.start) as usize))
    }

    /// The bytes of a value of 1 to 8 bytes that stands in the block, with what is behind it, and how many there
    /// are.
    #[inline(always)]
    pub(super) fn short_text(&self, block: &[u8], span: Span) -> Option<([u8; 8], usize)> {
        let len = span.end.wrapping_sub(span.start) as usize;
        if !(1..=8).contains(&len) {
            return None;
        }
        // What is aside is beyond any block.
        block.get(span.start as usize..)?.first_chunk().map(|bytes| (*bytes, len))
    }

    pub(super) fn clear(&mut self) {
        self.lines = 0;
        self.seconds.clear();
        self.fields.iter_mut().for_each(Vec::clear);
        self.numbers.iter_mut().for_each(NumberColumn::clear);
        self.rejected.clear();
        self.last_seconds = None;
        self.aside.truncate(1);
    }

    /// The span of what `write` appends.
    pub(super) fn put_aside(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.aside.len() as u32;
        write(&mut self.aside);
        Span { start: start | ASIDE, end: self.aside.len() as u32 | ASIDE }
    }

    /// Keeps the lines that are `sure`.
    pub(super) fn retain(&mut self, sure: &[bool]) {
        retain(&mut self.seconds, sure);
        self.fields.iter_mut().for_each(|column| retain(column, sure));
        for column in &mut self.numbers {
            retain(&mut column.values, sure);
            retain(&mut column.are_absent, sure);
            column.some_absent = column.are_absent.contains(&true);
        }
    }
}

fn retain<T>(column: &mut Vec<T>, sure: &[bool]) {
    let mut sure = sure.iter();
    column.retain(|_| *sure.next().unwrap_or(&false));
}
