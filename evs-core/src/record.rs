//! One parsed line.

use std::ops::Range;

/// One parsed line: its time, and the fields that the parser was asked for.
///
/// Values are borrowed from the line where they stand in it as they are, and else held in buffers that
/// the next line uses again.
#[derive(Clone, Debug, Default)]
pub struct Record {
    seconds: i64,
    values: Vec<Value>,
    /// Logged values with their escapes undone: what derived values are cut from.
    pub(crate) unescaped: Vec<u8>,
    /// Values that stand nowhere else.
    pub(crate) derived: Vec<u8>,
}

/// Where a value is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) place: Place,
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Where in the line it comes from, counted from 0.
    pub(crate) origin: u32,
}

/// What a value's `start` and `end` count in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Absent,
    Line,
    Unescaped,
    Derived,
}

impl Value {
    pub(crate) const ABSENT: Self = Self { place: Place::Absent, start: 0, end: 0, origin: 0 };
}

impl Record {
    /// An empty record, to be filled by [`LineParser::parse`](crate::format::LineParser::parse) again
    /// and again.
    pub fn new() -> Self {
        Self::default()
    }

    /// The line's own time, in seconds since 1970-01-01T00:00:00Z, rounded down.
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// The value of the field that was asked for at `index`: escapes undone, `-` if there is none.
    ///
    /// # Panics
    ///
    /// If the parser was asked for fewer fields, or `line` is not the line that was parsed.
    pub fn field<'r>(&'r self, index: usize, line: &'r [u8]) -> &'r [u8] {
        let value = self.values[index];
        let range = value.start as usize..value.end as usize;
        match value.place {
            Place::Absent => b"-",
            Place::Line => &line[range],
            Place::Unescaped => &self.unescaped[range],
            Place::Derived => &self.derived[range],
        }
    }

    /// The byte of the line, counted from 1, where the value at `index` stands, or the logged value it
    /// was derived from. 1 for a field without a value.
    ///
    /// # Panics
    ///
    /// If the parser was asked for fewer fields.
    pub fn column(&self, index: usize) -> u32 {
        self.values[index].origin.saturating_add(1)
    }

    /// Where the value at `index` is.
    pub(crate) fn place(&self, index: usize) -> (Place, Range<usize>) {
        let Value { place, start, end, .. } = self.values[index];
        (place, start as usize..end as usize)
    }

    /// Forgets the last line.
    pub(crate) fn clear(&mut self) {
        self.seconds = 0;
        self.values.clear();
        self.unescaped.clear();
        self.derived.clear();
    }

    pub(crate) fn set_seconds(&mut self, seconds: i64) {
        self.seconds = seconds;
    }

    pub(crate) fn push(&mut self, value: Value) {
        self.values.push(value);
    }
}
