//! Turns the rows of a batch into statements.
//!
//! ```text
//! rows of the batch --(65,536 at a time)--> parameters, sorted by primary key --(as many as fit)--> statements
//! ```
//!
//! With upserts of 1, 2, 4 … 1024 rows, 1,500 rows become one statement of 1,024 rows and one of 476 rows, which is
//! padded to 512. Padding rows repeat the key of the last row and have NULL in each measure, so they add nothing. 300 rows become
//! statements of 256, 32, 8 and 4 rows: to pad them to 512 would send 212 rows for nothing.

use std::{borrow::Cow, sync::Arc};

use evs_core::{Row, RowCursor, Rows, Schema, SinkError, escape, unescape};
use sha2::{Digest, Sha256};

use crate::{
    decimal,
    dialect::Dialect,
    table::{Table, Upserts, type_of},
    value::{ColumnType, Value},
};

/// The number of rows that are held as parameters at a time. It bounds the memory that a batch takes here.
const CHUNK_ROWS: usize = 1 << 16;
/// At most one row in this many is padding that adds nothing: padding costs less than one more round trip to the
/// server.
const PADDING_MAX: usize = 8;
/// The size limit of statements with several rows. Larger ones are no faster, and take memory in evs and in the
/// server.
const STATEMENT_BYTES: usize = 4 << 20;

/// Refuses a batch with a window, a value or a key that the store cannot hold, before anything is written.
///
/// The pipeline rejects lines that do not fit any of its stores, so this finds something only if the batch was cut
/// before this store was added. It has to be found before the first statement: a store in non-strict mode would
/// otherwise clip a value and only warn.
pub(crate) fn check(schema: &Schema, rows: &Rows, dialect: &dyn Dialect) -> Result<(), SinkError> {
    let limits = dialect.limits();
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        let refused = |column: &str, what: String| {
            let keys = row.keys.iter().map(|key| escape(key));
            let place = place(&schema.statistic, column, row.window_start, keys);
            Err(SinkError::refused(format!("{place}: {what}")))
        };
        if !limits.windows.contains(&row.window_start) {
            return refused("the start", "the time does not fit into the column".to_owned());
        }
        for (column, value) in schema.measures.iter().zip(row.values) {
            // Every store holds 64 bits.
            let is_wide = |value: &i128| i64::try_from(*value).is_err();
            let value = value.filter(is_wide);
            if let Some(value) = value.filter(|value| dialect.number(type_of(column), *value).is_none()) {
                return refused(&column.name, format!("{value} does not fit into the column"));
            }
        }
        for (column, key) in schema.keys.iter().zip(row.keys) {
            let max = limits.key_bytes_max;
            // A key's text is at least as long as the key, and at most four times as long.
            if key.len() > max / 4 && dialect.key_text(key).len() > max {
                return refused(&column.name, format!("the key is longer than {max} bytes"));
            }
        }
    }
    Ok(())
}

/// Names a column of a row for a message, with the keys if they are short.
pub(crate) fn place(
    statistic: &str,
    column: &str,
    window: i64,
    keys: impl Iterator<Item = impl AsRef<str>>,
) -> String {
    let keys = keys.map(|key| key.as_ref().chars().take(60).collect::<String>()).collect::<Vec<_>>();
    format!("statistic {statistic}: {column} of window {window}, keys {keys:?}")
}

/// A statement and its parameters.
type Statement<'b> = (&'b Arc<str>, Vec<Value>);

/// Turns rows into upserts, each as large as the limits allow.
///
/// Rows are sorted by primary key, a chunk at a time: neighbours go to the same pages of the table, and
/// writers that add to the same rows lock them in the same order.
pub(crate) struct Statements<'b> {
    table: &'b Table,
    dialect: &'b dyn Dialect,
    bytes_max: usize,
    hashes_keys: bool,
    cursor: RowCursor<'b>,
    chunk: Vec<Value>,
    order: Vec<u32>,
    done: usize,
}

impl<'b> Statements<'b> {
    /// Makes statements of at most `bytes_max` bytes.
    pub(crate) fn new(table: &'b Table, dialect: &'b dyn Dialect, rows: &'b Rows, bytes_max: usize) -> Self {
        let (chunk, order) = (Vec::new(), Vec::new());
        let hashes_keys = dialect.hashes_keys() && !table.schema.keys.is_empty();
        Self { table, dialect, bytes_max, hashes_keys, cursor: rows.cursor(), chunk, order, done: 0 }
    }

    /// The next statement and its parameters, or `None` after the last one.
    pub(crate) fn next_statement(&mut self) -> Result<Option<Statement<'b>>, SinkError> {
        if self.done == self.order.len() && !self.fill() {
            return Ok(None);
        }
        let rows = self.done..self.done + self.fitting_rows()?;
        self.done = rows.end;
        let columns = self.columns();
        Ok(Some(match &self.table.upserts {
            Upserts::Rows(upserts) => {
                let power = rows.len().next_power_of_two().ilog2() as usize;
                let mut parameters = Vec::with_capacity((1 << power) * columns);
                for &row in &self.order[rows.clone()] {
                    let start = row as usize * columns;
                    parameters.extend(self.chunk[start..start + columns].iter_mut().map(take));
                }
                self.pad(&mut parameters, 1 << power);
                (&upserts[power], parameters)
            }
            Upserts::Lists { sql, columns: kinds, .. } => {
                let list = |(at, kind): (usize, &ColumnType)| {
                    let values = self.order[rows.clone()].iter();
                    let values = values.map(|row| take(&mut self.chunk[*row as usize * columns + at]));
                    Value::List(*kind, values.collect())
                };
                (sql, kinds.iter().enumerate().map(list).collect())
            }
        }))
    }

    /// The parameters of the statement after `others` other ones. They are empty if there is no such statement.
    pub(crate) fn nth(mut self, others: usize) -> Result<Vec<Value>, SinkError> {
        for _ in 0..others {
            self.next_statement()?;
        }
        Ok(self.next_statement()?.map(|(_, parameters)| parameters).unwrap_or_default())
    }

    /// Fills a statement up with rows that add nothing to its last row: they have its key, and NULLs.
    fn pad(&self, parameters: &mut Vec<Value>, rows: usize) {
        let (columns, measures) = (self.columns(), self.table.schema.measures.len());
        let last = parameters.len() - columns;
        while parameters.len() < rows * columns {
            parameters.extend_from_within(last..last + columns - measures);
            parameters.resize(parameters.len() + measures, Value::Null);
        }
    }

    /// The columns of the primary key.
    fn key_columns(&self) -> usize {
        1 + if self.hashes_keys { 1 } else { self.table.schema.keys.len() }
    }

    fn columns(&self) -> usize {
        let schema = &self.table.schema;
        1 + usize::from(self.hashes_keys) + schema.keys.len() + schema.measures.len()
    }

    /// Reads and sorts the next chunk. Returns false if there is none.
    ///
    /// Sorting matters when several sources add to the same rows. Two transactions that lock rows in different orders
    /// can wait for each other for ever, and the server then ends one of them. In the order of the key, one simply
    /// waits for the other.
    fn fill(&mut self) -> bool {
        self.chunk.clear();
        let mut rows = 0;
        while rows < CHUNK_ROWS as u32
            && let Some(row) = self.cursor.next_row()
        {
            push(&mut self.chunk, &row, &self.table.schema, self.dialect, self.hashes_keys);
            rows += 1;
        }
        let (columns, keys) = (self.columns(), self.key_columns());
        let chunk = &self.chunk;
        let key = |row: &u32| &chunk[*row as usize * columns..][..keys];
        self.order.clear();
        self.order.extend(0..rows);
        if self.hashes_keys {
            self.order.sort_by_cached_key(|row| match key(row) {
                [Value::Time(window), Value::Hash(hash)] => (*window, *hash),
                other => unreachable!("{other:?} is no window with a hash"),
            });
        } else {
            self.order.sort_by(|a, b| key(a).cmp(key(b)));
        }
        self.done = 0;
        rows > 0
    }

    /// The number of rows for the next statement: limited by the rows that are left and by the store, and with an
    /// upsert of that size.
    fn fitting_rows(&self) -> Result<usize, SinkError> {
        let left = &self.order[self.done..];
        let (mut rows, sql) = match &self.table.upserts {
            Upserts::Rows(upserts) => (rows_of_upsert(left.len(), upserts.len()), Err(upserts)),
            Upserts::Lists { sql, rows_max, .. } => (left.len().min(*rows_max), Ok(sql)),
        };
        loop {
            let size = rows.next_power_of_two();
            let (sql, padding) = match sql {
                Ok(sql) => (sql, 0),
                Err(upserts) => (&upserts[size.ilog2() as usize], size - rows),
            };
            let parameters = left[..rows].iter().map(|row| self.row_bytes(*row)).sum::<usize>();
            let padding = padding * self.row_bytes(left[rows - 1]);
            let bytes = sql.len() + 32 * self.columns() + parameters + padding;
            let bytes_max = self.bytes_max;
            if bytes <= bytes_max.min(STATEMENT_BYTES) || (rows == 1 && bytes <= bytes_max) {
                return Ok(rows);
            }
            if rows == 1 {
                let statistic = &self.table.schema.statistic;
                return Err(SinkError::refused(format!(
                    "statistic {statistic}: a row of {bytes} bytes does not fit into a statement; the store \
                     takes {bytes_max} bytes"
                )));
            }
            rows = size / 2;
        }
    }

    fn row_bytes(&self, row: u32) -> usize {
        let columns = self.columns();
        self.chunk[row as usize * columns..][..columns].iter().map(Value::bytes).sum()
    }
}

/// The number of rows for the next upsert. There are `upserts` upserts, of 1, 2, 4 … rows; one is also used for
/// slightly fewer rows than it has, since it can be padded.
///
/// Examples with upserts of up to 1,024 rows: 1,024 left gives 1,024; 1,000 left gives 1,000 (24 rows of padding);
/// 700 left gives 512, and then 188 in further statements.
fn rows_of_upsert(left: usize, upserts: usize) -> usize {
    let full = 1 << left.ilog2().min(upserts as u32 - 1);
    let next = left.next_power_of_two();
    let is_nearly_full = next.ilog2() < upserts as u32 && next - left <= next / PADDING_MAX;
    if is_nearly_full { left } else { full }
}

fn take(value: &mut Value) -> Value {
    std::mem::replace(value, Value::Null)
}

/// Appends the values of a row, in the order of the table's columns.
fn push(values: &mut Vec<Value>, row: &Row<'_>, schema: &Schema, dialect: &dyn Dialect, hashes_keys: bool) {
    values.push(Value::Time(row.window_start));
    if hashes_keys {
        values.push(Value::Hash(hash(row.keys)));
    }
    values.extend(row.keys.iter().map(|key| Value::Text(dialect.key_text(key).into_owned())));
    let number = |(value, column)| {
        let value: &Option<i128> = value;
        value.and_then(|value| dialect.number(type_of(column), value)).unwrap_or(Value::Null)
    };
    values.extend(row.values.iter().zip(&schema.measures).map(number));
}

/// The hash that stands for a row's keys in the primary key: the first half of SHA-256 over the length of each key,
/// as eight bytes in big-endian order, and its bytes. Clients choose keys, so it must not be possible to find two
/// rows with the same hash.
///
/// The length before each key keeps `("ab", "c")` and `("a", "bc")` apart. 128 bits are enough: a client would have
/// to try about 2^64 keys to make two of them meet.
fn hash(keys: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for key in keys {
        hash.update((key.len() as u64).to_be_bytes());
        hash.update(key);
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    half
}

/// The rows that a query for totals found, sorted by window and keys.
pub(crate) fn read(schema: &Schema, found: &[Vec<Value>], dialect: &dyn Dialect) -> Result<Rows, SinkError> {
    let keys = schema.keys.len();
    let mut sorted = Vec::with_capacity(found.len());
    for row in found {
        sorted.push(parse(row, schema, dialect).ok_or_else(|| {
            let statistic = &schema.statistic;
            SinkError::refused(format!("a row of the table {statistic} cannot be read: {row:?}"))
        })?);
    }
    // Sorted by the keys' bytes, because the store sorts by their escaped texts.
    sorted.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut rows = Rows::new(keys, schema.measures.len());
    for (window, keys, values) in &sorted {
        rows.push(*window, keys.iter().map(|key| &**key), values);
    }
    Ok(rows)
}

/// The window's start, the keys' bytes and the values.
type ReadRow<'r> = (i64, Vec<Cow<'r, [u8]>>, Vec<Option<i128>>);

fn parse<'r>(row: &'r [Value], schema: &Schema, dialect: &dyn Dialect) -> Option<ReadRow<'r>> {
    let (Value::Integer(window) | Value::Time(window), rest) = row.split_first()? else { return None };
    let (keys, values) = rest.split_at_checked(schema.keys.len())?;
    let keys = keys.iter().map(|key| unescape(key.text()?)).collect::<Option<_>>()?;
    Some((*window, keys, numbers(values, schema, dialect)?))
}

/// The measures of a row, times 10^scale. `None` if one of them is not such a number.
pub(crate) fn numbers(values: &[Value], schema: &Schema, dialect: &dyn Dialect) -> Option<Vec<Option<i128>>> {
    let numbers = values.iter().zip(&schema.measures).map(|(value, column)| match value {
        Value::Null => Some(None),
        Value::Integer(number) => Some(Some((*number).into())),
        Value::Text(text) => Some(Some(decimal::parse(text, dialect.text_scale(column.scale))?)),
        Value::Time(_) | Value::Hash(_) | Value::List(..) => None,
    });
    numbers.collect()
}
