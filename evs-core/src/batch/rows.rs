//! The rows of a batch in their compact encoding, and the cursor that reads them.
//!
//! The row (window 60, key `200`, values 3 and none), the first of its batch, takes these bytes:
//!
//! ```text
//! 78           60 seconds after the last window (0), in zigzag: 120
//! 03 32 30 30  a key of 3 bytes, "200"
//! 01 03        a value of one byte, 3
//! ff           no value
//! ```
//!
//! Windows of neighbouring rows are mostly equal, so the difference takes one byte, and counts are mostly small. A
//! cursor reads the rows in order and copies nothing; there is no way to jump to a row, and nothing needs it.

use std::fmt;

use serde::{Serialize, Serializer};

use super::text::escape;
use crate::codec::{Reader, UnexpectedEnd, put_varint};

/// Marks an absent value in the encoding. A present value begins with its length, 0 to 16.
const ABSENT: u8 = 0xFF;

/// The rows of a batch, encoded one after the other. The binlog holds the same bytes.
///
/// `docs/binlog-format.md` specifies the encoding. A [`RowCursor`] reads the rows in order.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::Rows;
///
/// let mut rows = Rows::new(1, 2);
/// rows.push(60, [&b"200"[..]], &[Some(3), None]);
/// assert_eq!(rows.as_bytes(), [120, 3, b'2', b'0', b'0', 1, 3, 0xff]);
/// assert_eq!(Rows::from_bytes(rows.as_bytes().to_vec(), 1, 1, 2).ok(), Some(rows));
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Rows {
    len: usize,
    keys: usize,
    measures: usize,
    last_window: i64,
    bytes: Vec<u8>,
}

/// Bytes are not the encoding of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("row {row} is damaged at byte {offset}")]
#[non_exhaustive]
pub struct InvalidRows {
    /// The index of the row.
    pub row: usize,
    /// The offset in the encoded rows at which reading failed.
    pub offset: usize,
}

impl Rows {
    /// Makes an empty list of rows, for statistics with the given numbers of key and measure columns.
    pub fn new(keys: usize, measures: usize) -> Self {
        Self { keys, measures, ..Self::default() }
    }

    /// Adds a row. Windows are in seconds since 1970; values are integers times 10^scale.
    ///
    /// # Panics
    ///
    /// Panics if the number of keys or values is not the number of columns.
    pub fn push<'k>(
        &mut self,
        window_start: i64,
        keys: impl IntoIterator<Item = &'k [u8]>,
        values: &[Option<i128>],
    ) {
        // The subtraction wraps, so that windows at both ends of the range can be neighbours.
        let delta = window_start.wrapping_sub(self.last_window);
        put_varint(&mut self.bytes, ((delta << 1) ^ (delta >> 63)) as u64);
        self.last_window = window_start;
        let mut written = 0;
        for key in keys {
            put_varint(&mut self.bytes, key.len() as u64);
            self.bytes.extend_from_slice(key);
            written += 1;
        }
        assert_eq!((written, values.len()), (self.keys, self.measures), "columns of the row");
        for value in values {
            put_value(&mut self.bytes, *value);
        }
        self.len += 1;
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the number of key columns.
    pub fn key_columns(&self) -> usize {
        self.keys
    }

    /// Returns the number of measure columns.
    pub fn measure_columns(&self) -> usize {
        self.measures
    }

    /// Returns the encoded rows.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes rows from encoded rows. It checks every row.
    ///
    /// # Errors
    ///
    /// [`InvalidRows`] if `bytes` is not exactly `len` rows with the given numbers of columns.
    ///
    /// A damaged length can be anything, so nothing is allocated by it: keys are slices of `bytes`.
    pub fn from_bytes(bytes: Vec<u8>, len: usize, keys: usize, measures: usize) -> Result<Self, InvalidRows> {
        let mut rows = Self { len, keys, measures, last_window: 0, bytes };
        let mut cursor = rows.cursor();
        let mut row = 0;
        while cursor.read()? {
            row += 1;
        }
        let (last_window, offset) = (cursor.window, cursor.reader.offset());
        if offset != rows.bytes.len() {
            return Err(InvalidRows { row, offset });
        }
        rows.last_window = last_window;
        Ok(rows)
    }

    /// Iterates over the rows. Each item allocates; a sink that handles many rows is faster with a
    /// [`cursor`](Self::cursor).
    ///
    /// ```
    /// # use evs_core::Rows;
    /// let mut rows = Rows::new(1, 1);
    /// rows.push(60, [&b"200"[..]], &[Some(3)]);
    /// rows.push(60, [&b"404"[..]], &[Some(1)]);
    /// let lines: i128 = rows.iter().filter_map(|row| row.values[0]).sum();
    /// assert_eq!(lines, 4);
    /// for row in &rows {
    ///     assert_eq!(row.window_start, 60);
    /// }
    /// ```
    pub fn iter(&self) -> RowIter<'_> {
        RowIter(self.cursor())
    }

    /// Returns a cursor at the first row.
    pub fn cursor(&self) -> RowCursor<'_> {
        RowCursor {
            reader: Reader::new(&self.bytes),
            left: self.len,
            row: 0,
            window: 0,
            keys: Vec::with_capacity(self.keys),
            values: Vec::with_capacity(self.measures),
            columns: (self.keys, self.measures),
        }
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, bytes) = (self.len, self.bytes.len());
        write!(f, "Rows {{ len: {len}, keys: {}, measures: {}, bytes: {bytes} }}", self.keys, self.measures)
    }
}

/// A row, borrowed from its cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row<'c> {
    /// The window's start, in seconds since 1970-01-01T00:00:00Z.
    pub window_start: i64,
    /// The keys' bytes, one per key column.
    pub keys: &'c [&'c [u8]],
    /// The values, one per measure column, as integers times 10^scale.
    pub values: &'c [Option<i128>],
}

/// A row that owns its lists; its keys are borrowed from the batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RowRef<'r> {
    /// The window's start, in seconds since 1970-01-01T00:00:00Z.
    pub window_start: i64,
    /// The keys' bytes, one per key column. Serialized as [text](crate::escape).
    #[serde(serialize_with = "keys_as_text")]
    pub keys: Vec<&'r [u8]>,
    /// The values, one per measure column, as integers times 10^scale.
    pub values: Vec<Option<i128>>,
}

fn keys_as_text<S: Serializer>(keys: &[&[u8]], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(keys.iter().map(|key| escape(key)))
}

/// Iterates over the rows of a batch. [`Rows::iter`] makes it.
#[derive(Debug)]
pub struct RowIter<'r>(RowCursor<'r>);

impl<'r> Iterator for RowIter<'r> {
    type Item = RowRef<'r>;

    fn next(&mut self) -> Option<Self::Item> {
        let Row { window_start, values, .. } = self.0.next_row()?;
        let values = values.to_vec();
        // The keys are copied from the cursor's list, since a `Row` cannot outlive the next one.
        Some(RowRef { window_start, keys: self.0.keys.clone(), values })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.left, Some(self.0.left))
    }
}

impl ExactSizeIterator for RowIter<'_> {}

impl<'r> IntoIterator for &'r Rows {
    type Item = RowRef<'r>;
    type IntoIter = RowIter<'r>;

    fn into_iter(self) -> RowIter<'r> {
        self.iter()
    }
}

/// Serializes the rows as a list.
impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

/// Reads rows one after the other and reuses its memory. A `while let` loop takes the place of an iterator.
///
/// ```
/// # use evs_core::Rows;
/// let mut rows = Rows::new(1, 1);
/// rows.push(60, [&b"200"[..]], &[Some(3)]);
/// let mut cursor = rows.cursor();
/// while let Some(row) = cursor.next_row() {
///     assert_eq!((row.window_start, row.keys[0], row.values[0]), (60, &b"200"[..], Some(3)));
/// }
/// ```
///
/// The row that it returns borrows from it, so the keys and values are written to the same two lists again for each
/// row. That is why it is not an `Iterator`.
#[derive(Debug)]
pub struct RowCursor<'r> {
    reader: Reader<'r>,
    left: usize,
    row: usize,
    window: i64,
    keys: Vec<&'r [u8]>,
    values: Vec<Option<i128>>,
    columns: (usize, usize),
}

impl RowCursor<'_> {
    /// Returns the next row, or `None` after the last.
    // This cannot fail: `Rows` holds only bytes that `push` wrote or that `from_bytes` has read to the end.
    #[expect(clippy::missing_panics_doc, clippy::unwrap_used)]
    pub fn next_row(&mut self) -> Option<Row<'_>> {
        self.read().unwrap().then_some(Row {
            window_start: self.window,
            keys: &self.keys,
            values: &self.values,
        })
    }

    fn read(&mut self) -> Result<bool, InvalidRows> {
        if self.left == 0 {
            return Ok(false);
        }
        self.read_columns().map_err(|_| InvalidRows { row: self.row, offset: self.reader.offset() })?;
        self.left -= 1;
        self.row += 1;
        Ok(true)
    }

    fn read_columns(&mut self) -> Result<(), UnexpectedEnd> {
        self.keys.clear();
        self.values.clear();
        let delta = self.reader.varint()?;
        self.window = self.window.wrapping_add((delta >> 1) as i64 ^ -((delta & 1) as i64));
        for _ in 0..self.columns.0 {
            let len = self.reader.varint()?;
            self.keys.push(self.reader.take(usize::try_from(len).map_err(|_| UnexpectedEnd)?)?);
        }
        for _ in 0..self.columns.1 {
            self.values.push(read_value(&mut self.reader)?);
        }
        Ok(())
    }
}

/// Writes a value as its length in bytes and its bytes: two's complement, little endian, as few bytes as possible.
/// For example, 0 takes no bytes after its length, and 200 takes two: a single byte `C8` would be read as -56.
fn put_value(bytes: &mut Vec<u8>, value: Option<i128>) {
    let Some(value) = value else {
        bytes.push(ABSENT);
        return;
    };
    let magnitude = if value < 0 { !value } else { value };
    let bits = 128 - magnitude.leading_zeros();
    let len = if value == 0 { 0 } else { bits as usize / 8 + 1 };
    bytes.push(len as u8);
    // Copying all sixteen bytes is faster than copying only the ones in use.
    let end = bytes.len() + len;
    bytes.extend_from_slice(&value.to_le_bytes());
    bytes.truncate(end);
}

fn read_value(reader: &mut Reader<'_>) -> Result<Option<i128>, UnexpectedEnd> {
    let len = reader.take(1)?[0];
    if len == ABSENT {
        return Ok(None);
    }
    if len > 16 {
        return Err(UnexpectedEnd);
    }
    let low = reader.take(usize::from(len))?;
    let negative = low.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut bytes = [if negative { 0xFF } else { 0 }; 16];
    bytes[..low.len()].copy_from_slice(low);
    Ok(Some(i128::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Plain = (i64, Vec<Vec<u8>>, Vec<Option<i128>>);

    fn encode(plain: &[Plain]) -> Rows {
        let mut rows = Rows::new(2, 3);
        for (window, keys, values) in plain {
            rows.push(*window, keys.iter().map(Vec::as_slice), values);
        }
        rows
    }

    fn decode(rows: &Rows) -> Vec<Plain> {
        let mut cursor = rows.cursor();
        let mut plain = Vec::new();
        while let Some(row) = cursor.next_row() {
            plain.push((
                row.window_start,
                row.keys.iter().map(|k| k.to_vec()).collect(),
                row.values.to_vec(),
            ));
        }
        plain
    }

    fn value() -> impl Strategy<Value = Option<i128>> {
        prop_oneof![
            Just(None),
            Just(Some(0)),
            Just(Some(i128::MIN)),
            Just(Some(i128::MAX)),
            (-300_i128..300).prop_map(Some),
            any::<i128>().prop_map(Some),
        ]
    }

    fn row() -> impl Strategy<Value = Plain> {
        let window = prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>(), 0_i64..100_000];
        let key = prop::collection::vec(any::<u8>(), 0..200);
        (window, prop::collection::vec(key, 2), prop::collection::vec(value(), 3))
    }

    proptest! {
        #[test]
        fn rows_are_read_as_they_were_written(plain in prop::collection::vec(row(), 0..20)) {
            let rows = encode(&plain);
            prop_assert_eq!(rows.len(), plain.len());
            prop_assert_eq!(decode(&rows), plain.clone());
            let iterated = rows.iter().map(|row| {
                (row.window_start, row.keys.iter().map(|key| key.to_vec()).collect(), row.values)
            });
            prop_assert_eq!(iterated.len(), plain.len());
            prop_assert_eq!(iterated.collect::<Vec<Plain>>(), plain.clone());
            let again = Rows::from_bytes(rows.as_bytes().to_vec(), plain.len(), 2, 3).unwrap();
            prop_assert_eq!(again, rows);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, len in 0_usize..10) {
            if let Ok(rows) = Rows::from_bytes(bytes, len, 2, 1) {
                prop_assert_eq!(decode(&rows).len(), len);
            }
        }
    }

    #[test]
    fn missing_and_left_over_bytes_are_refused() {
        let rows = encode(&[(60, vec![b"a".to_vec(), b"b".to_vec()], vec![Some(1), None, Some(-1)])]);
        let bytes = rows.as_bytes();
        for end in 0..bytes.len() {
            assert!(Rows::from_bytes(bytes[..end].to_vec(), 1, 2, 3).is_err(), "{end} bytes");
        }
        assert!(Rows::from_bytes([bytes, b"x"].concat(), 1, 2, 3).is_err());
    }
}
