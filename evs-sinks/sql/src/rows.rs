//! A batch's rows as statements.

use std::{borrow::Cow, sync::Arc};

use evs_core::{
    Rows, SinkError,
    batch::{RowCursor, escape, unescape},
    statistic::Schema,
};

use crate::{connection::Value, dialect::Dialect, table::Table};

/// How many rows are held as parameters at a time, which bounds the memory that a batch takes here.
const CHUNK_ROWS: usize = 1 << 16;

/// Refuses a batch with a value or a key that the store cannot hold, before anything is written.
pub(crate) fn check(schema: &Schema, rows: &Rows, dialect: &dyn Dialect) -> Result<(), SinkError> {
    let key_bytes_max = dialect.limits().key_bytes_max;
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        let place = |column: &str| {
            let short = |key: &&[u8]| escape(key).chars().take(60).collect::<String>();
            let keys = row.keys.iter().map(short).collect::<Vec<_>>();
            let (statistic, window) = (&schema.statistic, row.window_start);
            format!("statistic {statistic}: {column} of window {window}, keys {keys:?}")
        };
        for (column, value) in schema.measures.iter().zip(row.values) {
            if let Some(value) = value.filter(|value| dialect.number(*value).is_none()) {
                let place = place(&column.name);
                return Err(SinkError::refused(format!("{place}: {value} does not fit into the column")));
            }
        }
        for (column, key) in schema.keys.iter().zip(row.keys) {
            // Escaping never makes a key shorter, or more than four times as long.
            if key.len() > key_bytes_max / 4 && escape(key).len() > key_bytes_max {
                let place = place(&column.name);
                return Err(SinkError::refused(format!(
                    "{place}: the key is longer than {key_bytes_max} bytes"
                )));
            }
        }
    }
    Ok(())
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
    cursor: RowCursor<'b>,
    chunk: Vec<Value>,
    order: Vec<u32>,
    done: usize,
}

impl<'b> Statements<'b> {
    pub(crate) fn new(table: &'b Table, dialect: &'b dyn Dialect, rows: &'b Rows) -> Self {
        let (chunk, order) = (Vec::new(), Vec::new());
        Self { table, dialect, cursor: rows.cursor(), chunk, order, done: 0 }
    }

    /// The next statement and its parameters, or `None` behind the last.
    pub(crate) fn next_statement(&mut self) -> Result<Option<Statement<'b>>, SinkError> {
        if self.done == self.order.len() && !self.fill() {
            return Ok(None);
        }
        let columns = self.columns();
        let power = self.fitting_power()?;
        let rows = self.done..self.done + (1 << power);
        let mut parameters = Vec::with_capacity(rows.len() * columns);
        for &row in &self.order[rows.clone()] {
            let start = row as usize * columns;
            let values = &mut self.chunk[start..start + columns];
            parameters.extend(values.iter_mut().map(|value| std::mem::replace(value, Value::Null)));
        }
        self.done = rows.end;
        Ok(Some((&self.table.upserts[power], parameters)))
    }

    fn columns(&self) -> usize {
        1 + self.table.schema.keys.len() + self.table.schema.measures.len()
    }

    /// Reads and sorts the next chunk; false if there is none.
    fn fill(&mut self) -> bool {
        self.chunk.clear();
        let mut rows = 0;
        while rows < CHUNK_ROWS as u32
            && let Some(row) = self.cursor.next_row()
        {
            self.chunk.push(Value::Integer(row.window_start));
            self.chunk.extend(row.keys.iter().map(|key| Value::Text(escape(key).into_owned())));
            let number = |value: &Option<i128>| value.and_then(|value| self.dialect.number(value));
            self.chunk.extend(row.values.iter().map(|value| number(value).unwrap_or(Value::Null)));
            rows += 1;
        }
        let (columns, keys) = (self.columns(), 1 + self.table.schema.keys.len());
        let chunk = &self.chunk;
        let key = |row: &u32| &chunk[*row as usize * columns..][..keys];
        self.order.clear();
        self.order.extend(0..rows);
        self.order.sort_by(|a, b| key(a).cmp(key(b)));
        self.done = 0;
        rows > 0
    }

    /// The largest statement, as a power of two of rows, that neither the rows left nor the limits forbid.
    fn fitting_power(&self) -> Result<usize, SinkError> {
        let bytes_max = self.dialect.limits().statement_bytes_max;
        let left = &self.order[self.done..];
        let mut power = (left.len().ilog2() as usize).min(self.table.upserts.len() - 1);
        loop {
            let parameters = left[..1 << power].iter().map(|row| self.row_bytes(*row)).sum::<usize>();
            let bytes = self.table.upserts[power].len() + parameters;
            match (bytes <= bytes_max, power) {
                (true, _) => return Ok(power),
                (false, 0) => {
                    let statistic = &self.table.schema.statistic;
                    return Err(SinkError::refused(format!(
                        "statistic {statistic}: a row of {bytes} bytes does not fit into a statement of \
                         {bytes_max} bytes"
                    )));
                }
                (false, _) => power -= 1,
            }
        }
    }

    fn row_bytes(&self, row: u32) -> usize {
        let columns = self.columns();
        self.chunk[row as usize * columns..][..columns].iter().map(Value::bytes).sum()
    }
}

/// The rows that a query for totals found, sorted by window and keys.
pub(crate) fn read(schema: &Schema, found: &[Vec<Value>]) -> Result<Rows, SinkError> {
    let keys = schema.keys.len();
    let mut sorted = Vec::with_capacity(found.len());
    for row in found {
        sorted.push(parse(row, keys).ok_or_else(|| {
            let statistic = &schema.statistic;
            SinkError::refused(format!("a row of the table {statistic} cannot be read: {row:?}"))
        })?);
    }
    // By the keys' bytes: the store sorts by what `escape` made of them.
    sorted.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut rows = Rows::new(keys, schema.measures.len());
    let mut values = Vec::new();
    for (window, keys, numbers) in &sorted {
        values.clear();
        values.extend(numbers.iter().map(Value::number));
        rows.push(*window, keys.iter().map(|key| &**key), &values);
    }
    Ok(rows)
}

/// The window's start, the keys' bytes and the values.
type ReadRow<'r> = (i64, Vec<Cow<'r, [u8]>>, &'r [Value]);

fn parse(row: &[Value], keys: usize) -> Option<ReadRow<'_>> {
    let (window, rest) = row.split_first()?;
    let (keys, values) = rest.split_at_checked(keys)?;
    let Value::Integer(window) = window else { return None };
    let keys = keys.iter().map(|key| unescape(key.text()?)).collect::<Option<_>>()?;
    values.iter().all(|value| value.text().is_none()).then_some((*window, keys, values))
}
