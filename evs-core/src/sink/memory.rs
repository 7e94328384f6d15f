//! A sink in memory, the reference for all others: it follows the contract of [`Sink`] step by step and fails on
//! demand.
//!
//! ```text
//! store   rows       (statistic, window, keys) -> values
//!         progress   (source, epoch, statistic) -> sequence, position, checksum
//!         writers    source -> process
//! ```
//!
//! A batch computes all its new totals before it stores the first one. So a fault in the middle leaves the store as
//! it was, like a transaction.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    error::SinkError,
    judge::judge,
    limits::Limits,
    progress::{Applied, Progress},
    sink::Sink,
};
use crate::{
    batch::{Batch, Epoch, Rows},
    statistic::{MeasureColumn, Schema},
    writer::Writer,
};

/// A sink in memory, for tests and examples. Its contents end with the process.
///
/// Clones share one store. Values may have the whole range of `i128`.
#[derive(Clone, Default)]
pub struct MemorySink {
    store: Arc<Mutex<Store>>,
    limits: Limits,
}

/// The moment at which a store fails while it applies a batch. Tests use it to show that the batch is still applied
/// exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The store fails after it has written at least this many rows, before it commits.
    Rows(usize),
    /// The store fails after it has written everything, before it commits.
    Commit,
    /// The store fails after it has committed everything, before the answer arrives.
    Answer,
}

/// The contents of the store, which a mutex protects.
#[derive(Clone, Default)]
struct Store {
    tables: BTreeMap<String, Table>,
    progress: BTreeMap<Stream, Progress>,
    /// The last writer of each source, by the source's name.
    writers: BTreeMap<String, Writer>,
    fault: Option<Fault>,
}

/// The rows of one statistic. Their values are those of all measures that any of its definitions has.
#[derive(Clone)]
struct Table {
    schema: Schema,
    rows: BTreeMap<RowKey, Values>,
}

/// The key of a stream: source, epoch and statistic.
type Stream = (String, Epoch, String);
/// The key of a row: the window's start and the keys.
type RowKey = (i64, Vec<Box<[u8]>>);
/// The values of a row, one per measure.
type Values = Box<[Option<i128>]>;

impl MemorySink {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the same store with lower limits, to test how a pipeline treats a store that can hold less.
    #[must_use]
    pub fn limited(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns an independent copy of the store as it is now, like a backup.
    #[must_use]
    pub fn backup(&self) -> Self {
        Self { store: Arc::new(Mutex::new(self.lock().clone())), ..self.clone() }
    }

    /// Makes the next [`Sink::apply`] that would change something fail once, with [`SinkError::Unavailable`].
    pub fn fail_next(&self, fault: Fault) {
        self.lock().fault = Some(fault);
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        // A panic cannot leave the store half changed: all rows of a batch are computed before the first one is
        // stored.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemorySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySink").finish_non_exhaustive()
    }
}

#[async_trait]
impl Sink for MemorySink {
    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        let mut store = self.lock();
        if let Some(table) = store.tables.get_mut(&schema.statistic) {
            return table.extend(schema);
        }
        let table = Table { schema: schema.clone(), rows: BTreeMap::new() };
        store.tables.insert(schema.statistic.clone(), table);
        Ok(())
    }

    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        Ok(self.lock().progress.values().filter(|p| p.source == source).cloned().collect())
    }

    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        let stream = (progress.source.clone(), progress.epoch, progress.statistic.clone());
        self.lock().progress.entry(stream).or_insert_with(|| progress.clone());
        Ok(())
    }

    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        Ok(self.lock().writers.get(source).cloned())
    }

    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        let mut store = self.lock();
        let found = store.writers.get(&writer.source).map(|found| found.token);
        if found == last.map(|last| last.token) {
            store.writers.insert(writer.source.clone(), writer.clone());
            return Ok(true);
        }
        Ok(found == Some(writer.token))
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        self.lock().apply(batch)
    }

    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        let mut store = self.lock();
        store.table(schema)?;
        if let Some(table) = store.tables.get_mut(&schema.statistic) {
            table.rows = table.rows.split_off(&(before, Vec::new()));
        }
        Ok(false)
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        let store = self.lock();
        let mut rows = Rows::new(schema.keys.len(), schema.measures.len());
        if windows.is_empty() {
            return Ok(rows);
        }
        let span = (windows.start, Vec::new())..(windows.end, Vec::new());
        let table = store.table(schema)?;
        let columns = table.columns(schema)?;
        for ((window, keys), values) in table.rows.range(span) {
            let values: Vec<_> = columns.iter().map(|&at| values[at]).collect();
            rows.push(*window, keys.iter().map(|key| &**key), &values);
        }
        Ok(rows)
    }
}

impl Store {
    /// Returns the table of a statistic, if it has all columns of `schema`.
    fn table(&self, schema: &Schema) -> Result<&Table, SinkError> {
        let statistic = &schema.statistic;
        let Some(table) = self.tables.get(statistic) else {
            return Err(SinkError::refused(format!("statistic {statistic} was not prepared")));
        };
        table.columns(schema).map(|_| table)
    }

    /// Applies a batch as the contract says: check the writer, judge the progress, and only then change anything.
    fn apply(&mut self, batch: &Batch) -> Result<Applied, SinkError> {
        if let Some(writer) = &batch.writer {
            writer.check(self.writers.get(&*batch.source))?;
        }
        let stream = (batch.source.to_string(), batch.epoch, batch.statistic().to_owned());
        if let Some(applied) = judge(self.progress.get(&stream), batch)? {
            return Ok(applied);
        }
        // A batch without rows needs no table.
        let merged = match batch.rows.is_empty() {
            true => BTreeMap::new(),
            false => self.table(&batch.schema)?.merge(&batch.schema, &batch.rows)?,
        };
        let fault = self.fault.take();
        if let Some(Fault::Rows(_) | Fault::Commit) = fault {
            return Err(SinkError::unavailable("the batch was not applied", "fault on demand"));
        }
        if let Some(table) = self.tables.get_mut(batch.statistic()) {
            table.rows.extend(merged);
        }
        self.progress.insert(stream, Progress::after(batch));
        match fault {
            None => Ok(Applied::Now),
            Some(_) => Err(SinkError::unavailable("the answer was lost", "fault on demand")),
        }
    }
}

impl Table {
    /// Adds the measures that `schema` has and the table does not. They are absent from the rows that are there.
    fn extend(&mut self, schema: &Schema) -> Result<(), SinkError> {
        let union = self.schema.union(schema).map_err(|difference| other_definition(schema, &difference))?;
        for values in self.rows.values_mut() {
            let mut longer = values.to_vec();
            longer.resize(union.measures.len(), None);
            *values = longer.into();
        }
        self.schema = union;
        Ok(())
    }

    /// Returns the index of each measure of `schema` in the values of a row.
    fn columns(&self, schema: &Schema) -> Result<Vec<usize>, SinkError> {
        let union = self.schema.union(schema).map_err(|difference| other_definition(schema, &difference))?;
        let place = |measure| self.schema.measures.iter().position(|held| held == measure);
        let places: Option<Vec<_>> = schema.measures.iter().map(place).collect();
        places.ok_or_else(|| other_definition(schema, &self.schema.difference(&union).unwrap_or_default()))
    }

    /// Returns the rows that `rows` of `schema` would change, with their new values.
    fn merge(&self, schema: &Schema, rows: &Rows) -> Result<BTreeMap<RowKey, Values>, SinkError> {
        let columns = self.columns(schema)?;
        let mut merged = BTreeMap::<RowKey, Values>::new();
        let mut all = vec![None; self.schema.measures.len()];
        let mut cursor = rows.cursor();
        while let Some(row) = cursor.next_row() {
            let key = (row.window_start, row.keys.iter().map(|&key| key.into()).collect());
            let held = merged.get(&key).or_else(|| self.rows.get(&key));
            columns.iter().zip(row.values).for_each(|(&at, value)| all[at] = *value);
            let values = match held {
                None => all.as_slice().into(),
                Some(held) => {
                    let columns = self.schema.measures.iter().zip(held).zip(&all);
                    columns
                        .map(|((column, held), value)| self.add(column, *held, *value))
                        .collect::<Result<_, _>>()?
                }
            };
            merged.insert(key, values);
        }
        Ok(merged)
    }

    /// Merges two values, or refuses if their sum overflows.
    fn add(
        &self,
        column: &MeasureColumn,
        held: Option<i128>,
        value: Option<i128>,
    ) -> Result<Option<i128>, SinkError> {
        column.kind.merge(held, value).ok_or_else(|| {
            let (statistic, name) = (&self.schema.statistic, &column.name);
            SinkError::refused(format!("statistic {statistic}: {name} overflows: {held:?} and {value:?}"))
        })
    }
}

/// The error for a definition that a table was not made for.
fn other_definition(schema: &Schema, difference: &str) -> SinkError {
    let statistic = &schema.statistic;
    SinkError::refused(format!("statistic {statistic} is held with another definition: {difference}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, Fixture};

    struct Memory;

    #[async_trait]
    impl Fixture for Memory {
        type Store = MemorySink;

        async fn fresh(&self) -> MemorySink {
            MemorySink::new()
        }
    }

    #[async_trait]
    impl conformance::Store for MemorySink {
        async fn open(&self) -> Arc<dyn Sink> {
            Arc::new(self.clone())
        }

        async fn open_failing(&self, fault: Fault) -> Option<Arc<dyn Sink>> {
            self.fail_next(fault);
            Some(Arc::new(self.clone()))
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn passes_the_suite() {
        conformance::run(&Memory).await;
    }
}
