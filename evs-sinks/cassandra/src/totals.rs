//! Reads totals: the sums over the rows of a window and key.
//!
//! There is no GROUP BY over several partitions, and no sum of `varint` that cannot overflow. So evs reads the rows
//! and adds them up itself, in 128 bits. A window is read page by page, and only its totals are kept in memory.

use std::{collections::HashMap, ops::Range, sync::Arc};

use evs_core::{MeasureKind, Rows, Schema, SinkError, unescape};
use evs_store::Failure;

use crate::{
    concurrent::Tasks,
    driver::{Session, Value},
    shape::from_column,
    table::Table,
};

/// The last sequence of each source and epoch that counts.
type Sequences = HashMap<(Arc<str>, Arc<str>), i64>;

/// The window's start, the keys' bytes and the values.
type Total = (i64, Vec<Vec<u8>>, Vec<Option<i128>>);

/// Adds up the rows of the windows that start within `range`.
///
/// Rows of a batch that is still being written do not count: `sequences` has the last complete batch of each stream.
pub(crate) async fn read(
    session: &Arc<dyn Session>,
    table: &Arc<Table>,
    sequences: Sequences,
    range: Range<i64>,
) -> Result<Rows, Failure> {
    let windows = table.windows.find(session, range).await?;
    let sequences = Arc::new(sequences);
    let mut tasks = Tasks::new(table.pool);
    for window in windows {
        for bucket in 0..table.buckets {
            let (session, table) = (Arc::clone(session), Arc::clone(table));
            let sequences = Arc::clone(&sequences);
            tasks.run(async move { partition(&*session, &table, &sequences, window, bucket).await }).await?;
        }
    }
    let mut totals = tasks.finish().await?.into_iter().flatten().collect::<Vec<_>>();
    totals.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut rows = Rows::new(table.schema.keys.len(), table.schema.measures.len());
    for (window, keys, values) in &totals {
        rows.push(*window, keys.iter().map(Vec::as_slice), values);
    }
    Ok(rows)
}

async fn partition(
    session: &dyn Session,
    table: &Table,
    sequences: &Sequences,
    window: i64,
    bucket: i32,
) -> Result<Vec<Total>, Failure> {
    let values = [Value::Timestamp(window * 1000), Value::Int(bucket)];
    let mut partition = Partition { schema: &table.schema, window, groups: Vec::new(), last: Vec::new() };
    let mut behind = None;
    loop {
        let (rows, end) = session.page(&table.select, &values, behind).await?;
        for row in &rows {
            partition.add(row, sequences)?;
        }
        if end.is_none() {
            return Ok(partition.groups);
        }
        behind = end;
    }
}

/// The totals of a partition, whose rows come in the order of their keys.
///
/// The clustering order puts the rows of one key next to each other. So a row either adds to the last group or begins
/// a new one, and no map from keys to groups is needed.
struct Partition<'t> {
    schema: &'t Schema,
    window: i64,
    groups: Vec<Total>,
    /// The key columns of the last group, with their hash.
    last: Vec<Value>,
}

impl Partition<'_> {
    fn add(&mut self, row: &[Value], sequences: &Sequences) -> Result<(), SinkError> {
        let unreadable = || {
            let table = &self.schema.statistic;
            SinkError::refused(format!("a row of the table {table} cannot be read: {row:?}"))
        };
        let (keys, rest) = row.split_at_checked(self.schema.keys.len() + 1).ok_or_else(unreadable)?;
        let (stream, rest) = rest.split_at_checked(3).ok_or_else(unreadable)?;
        let [Value::Text(source), Value::Text(epoch), Value::Bigint(sequence)] = stream else {
            return Err(unreadable());
        };
        let done = sequences.get(&(Arc::clone(source), Arc::clone(epoch)));
        if done.is_none_or(|done| done < sequence) {
            return Ok(());
        }
        let (values, long) = rest.split_at_checked(self.schema.measures.len()).ok_or_else(unreadable)?;
        if self.groups.is_empty() || self.last != keys {
            let whole = whole_keys(keys, long).ok_or_else(unreadable)?;
            self.groups.push((self.window, whole, vec![None; values.len()]));
            self.last = keys.to_vec();
        }
        let Some((_, _, totals)) = self.groups.last_mut() else { return Ok(()) };
        for ((measure, total), value) in self.schema.measures.iter().zip(totals).zip(values) {
            let value = from_column(measure, value).ok_or_else(|| {
                let (table, column) = (&self.schema.statistic, &measure.name);
                SinkError::refused(format!(
                    "the table {table}, column {column}: {value:?} is no value of evs's"
                ))
            })?;
            let merged = measure.kind.merge(*total, value);
            // A total that a count's column could not hold is refused, too.
            let fits = |total: &Option<i128>| {
                measure.kind != MeasureKind::Count || total.is_none_or(|total| i64::try_from(total).is_ok())
            };
            *total = merged.filter(fits).ok_or_else(|| {
                let (statistic, column, window) = (&self.schema.statistic, &measure.name, self.window);
                SinkError::refused(format!(
                    "statistic {statistic}: the total of {column} in window {window} is too large to be told"
                ))
            })?;
        }
        Ok(())
    }
}

/// The bytes of the keys, from their columns or, if they were cut, from the list.
///
/// `None` if the columns contradict each other, for example a hash without the list of whole keys: evs never writes
/// such a row.
fn whole_keys(keys: &[Value], long: &[Value]) -> Option<Vec<Vec<u8>>> {
    let (hash, columns) = keys.split_last()?;
    let bytes = |text: &str| unescape(text).map(std::borrow::Cow::into_owned);
    match (hash.text()?, long) {
        ("", _) => columns.iter().map(|key| bytes(key.text()?)).collect(),
        (_, [Value::Texts(whole)]) if whole.len() == columns.len() => {
            whole.iter().map(|key| bytes(key)).collect()
        }
        _ => None,
    }
}
