//! [`Record`]: a parsed line, which is its time and the fields that the parser was asked for.
//!
//! A record holds no copy of the line. A value is a range of one of three buffers: the line itself, a buffer of values
//! whose escapes were undone, and a buffer of derived values. So the caller passes the line again when it reads a
//! field, and a record can be reused for lines of any number without an allocation.

use std::ops::Range;

/// A parsed line: its time, and the fields that the parser was asked for.
///
/// A value that stands in the line as it is, is borrowed from the line. Any other is held in a buffer of the record,
/// which the next line reuses. So reading many lines into one record does not allocate.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{LogFormat, Record};
///
/// let mut parser = LogFormat::combined().parser(&["remote_addr", "arg_c"])?;
/// let mut record = Record::new();
/// for line in [
///     &br#"::1 - - [21/Nov/2026:13:25:22 +0000] "GET /?c=7 HTTP/1.1" 200 5 "-" "curl""#[..],
///     br#"::2 - - [21/Nov/2026:13:25:23 +0000] "GET / HTTP/1.1" 200 5 "-" "curl""#,
/// ] {
///     parser.parse(line, &mut record)?;
///     println!("{} {:?} {:?}", record.seconds(), record.field(0, line), record.field(1, line));
/// }
/// assert_eq!(record.seconds(), 1_795_267_523);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The line's time, in seconds since 1970.
    seconds: i64,
    /// By field, the location of its value.
    values: Vec<Value>,
    /// Values whose escapes were undone. Derived values are cut from these.
    pub(crate) unescaped: Vec<u8>,
    /// Derived values that were decoded or normalised, and so stand nowhere else.
    pub(crate) derived: Vec<u8>,
}

/// The location of a value: a range of one of the record's buffers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) buffer: Buffer,
    /// The first byte in the buffer.
    pub(crate) start: u32,
    /// The end in the buffer.
    pub(crate) end: u32,
    /// The offset in the line of the value that this one was made of, for error messages.
    pub(crate) origin: u32,
}

/// The bytes in which a value's `start` and `end` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffer {
    /// The line has no such value; it reads as `-`.
    Absent,
    /// The line itself.
    Line,
    /// [`Record::unescaped`].
    Unescaped,
    /// [`Record::derived`].
    Derived,
}

impl Value {
    /// The value of a field that the line does not have.
    pub(crate) const ABSENT: Self = Self { buffer: Buffer::Absent, start: 0, end: 0, origin: 0 };
}

impl Record {
    /// An empty record. [`LineParser::parse`](crate::LineParser::parse) fills it, again for each line.
    pub fn new() -> Self {
        Self::default()
    }

    /// The line's time, in seconds since 1970-01-01T00:00:00Z, rounded down.
    ///
    /// It is in UTC, whatever offset the line had.
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// The value of the field at `index`, in the order in which the parser was asked for fields. Its escapes are
    /// undone. It is `-` if the line has no such value.
    ///
    /// # Panics
    ///
    /// Panics if the parser was asked for fewer fields, or if `line` is not the line that was parsed.
    pub fn field<'r>(&'r self, index: usize, line: &'r [u8]) -> &'r [u8] {
        let value = self.values[index];
        let range = value.start as usize..value.end as usize;
        match value.buffer {
            Buffer::Absent => b"-",
            Buffer::Line => &line[range],
            Buffer::Unescaped => &self.unescaped[range],
            Buffer::Derived => &self.derived[range],
        }
    }

    /// The column of the line, a byte counted from 1, at which the value at `index` begins. For a derived value it is
    /// the column of the value from which it was derived, for a field without a value it is 1.
    ///
    /// # Panics
    ///
    /// Panics if the parser was asked for fewer fields.
    pub fn column(&self, index: usize) -> u32 {
        self.values[index].origin.saturating_add(1)
    }

    /// The location of the value at `index`: the buffer, and the range in it. The fast path makes spans of these.
    pub(crate) fn location(&self, index: usize) -> (Buffer, Range<usize>) {
        let Value { buffer, start, end, .. } = self.values[index];
        (buffer, start as usize..end as usize)
    }

    /// Clears the record for the next line.
    pub(crate) fn clear(&mut self) {
        self.seconds = 0;
        self.values.clear();
        self.unescaped.clear();
        self.derived.clear();
    }

    /// Makes the values that stand in `text` those of the line that it was taken from: they begin `moved` bytes later there, or
    /// are copied. `offset` tells the offset of a byte of the text in that line.
    pub(crate) fn take_over(&mut self, text: &[u8], moved: Option<usize>, offset: impl Fn(u32) -> usize) {
        for value in self.values.iter_mut().filter(|value| value.buffer != Buffer::Absent) {
            value.origin = u32::try_from(offset(value.origin)).unwrap_or(u32::MAX);
            let range = value.start as usize..value.end as usize;
            match (value.buffer, moved) {
                (Buffer::Line, Some(moved)) => {
                    value.start += moved as u32;
                    value.end += moved as u32;
                }
                (Buffer::Line, None) => {
                    value.buffer = Buffer::Unescaped;
                    value.start = self.unescaped.len() as u32;
                    self.unescaped.extend_from_slice(&text[range]);
                    value.end = self.unescaped.len() as u32;
                }
                _ => {}
            }
        }
    }

    /// Sets the line's time.
    pub(crate) fn set_seconds(&mut self, seconds: i64) {
        self.seconds = seconds;
    }

    /// Appends the value of the next field.
    pub(crate) fn push(&mut self, value: Value) {
        self.values.push(value);
    }
}
