//! A sink of one's own: the duties of a store, the suite that proves them, and a pipeline into it.
//!
//!     cargo run --example custom_sink --features conformance
//!
//! The store is a map behind a mutex. In your store, everything that happens while the mutex is held is one
//! transaction.
//!
//! To write a sink for a store, in this order:
//!
//! 1. `prepare` creates a table by a schema, adds columns for new measures, and refuses a table that differs otherwise.
//! 2. `apply` adds the rows of a batch and moves the progress, both in one transaction. `judge` and `Writer::check`
//!    decide if the batch is the next one; you store what they compare.
//! 3. `progress`, `begin`, `writer` and `claim` read and write two small tables.
//! 4. `totals` reads rows back, and `sweep` removes old ones.
//! 5. `conformance::run` tells which promises are still broken.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use evs::{
    Applied, Batch, Epoch, Limits, Progress, Rows, Schema, SinkError, Writer, async_trait,
    conformance::{self, Fixture},
    judge,
    prelude::*,
};

/// The key of a stream: source, epoch and statistic. The batches of a stream come in order.
type Stream = (String, Epoch, String);
/// The key of a row: the window's start and the keys. Keys are bytes, and keys that differ in one byte are different
/// rows.
type Key = (i64, Vec<Vec<u8>>);
/// A table: the definition of its rows, and by key the values that are there, by the name of the measure.
type Table = (Schema, BTreeMap<Key, BTreeMap<String, i128>>);

/// The contents of the store.
#[derive(Debug, Default)]
struct Store {
    /// By the name of a statistic, its table.
    tables: BTreeMap<String, Table>,
    /// By stream, its last batch: the sequence and the checksum.
    progress: BTreeMap<Stream, Progress>,
    /// By source, the process that has claimed it last.
    writers: BTreeMap<String, Writer>,
}

impl Store {
    /// Returns the table of a statistic, if it has all columns for it.
    fn table(&mut self, schema: &Schema) -> Result<&mut Table, SinkError> {
        let name = &schema.statistic;
        let table =
            self.tables.get_mut(name).ok_or_else(|| SinkError::refused(format!("no table {name}")))?;
        match table.0.union(schema) {
            Ok(union) if union == table.0 => Ok(table),
            Ok(union) => {
                let lacking: Vec<_> =
                    union.measures[table.0.measures.len()..].iter().map(|new| &*new.name).collect();
                Err(SinkError::refused(format!("table {name} lacks columns: {}", lacking.join(", "))))
            }
            Err(difference) => {
                Err(SinkError::refused(format!("table {name} has another shape: {difference}")))
            }
        }
    }
}

/// The sink: a handle to the store, of which clones share the contents.
#[derive(Clone, Debug, Default)]
struct MapSink(Arc<Mutex<Store>>);

impl MapSink {
    /// Begins a transaction, which ends when the guard is dropped.
    fn begin_transaction(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Sink for MapSink {
    /// evs rejects lines beyond these limits, so that no client can make a batch that the store would refuse.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        let mut store = self.begin_transaction();
        let table = || (schema.clone(), BTreeMap::new());
        let (held, _) = store.tables.entry(schema.statistic.clone()).or_insert_with(table);
        // The table keeps its rows and gets columns for new measures, which are absent from these rows.
        if let Ok(union) = held.union(schema) {
            *held = union;
        }
        store.table(schema).map(|_| ())
    }

    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        let store = self.begin_transaction();
        Ok(store.progress.values().filter(|progress| progress.source == source).cloned().collect())
    }

    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        let stream = (progress.source.clone(), progress.epoch, progress.statistic.clone());
        self.begin_transaction().progress.entry(stream).or_insert_with(|| progress.clone());
        Ok(())
    }

    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        Ok(self.begin_transaction().writers.get(source).cloned())
    }

    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        let mut store = self.begin_transaction();
        let found = store.writers.get(&writer.source).map(|found| found.token);
        let is_free = found == last.map(|last| last.token);
        if is_free {
            store.writers.insert(writer.source.clone(), writer.clone());
        }
        Ok(is_free || found == Some(writer.token))
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        let mut store = self.begin_transaction();
        // Another process that has claimed the source since, and a batch that is not the next one, change nothing.
        if let Some(writer) = &batch.writer {
            writer.check(store.writers.get(&*batch.source))?;
        }
        let stream = (batch.source.to_string(), batch.epoch, batch.statistic().to_owned());
        if let Some(applied) = judge(store.progress.get(&stream), batch)? {
            return Ok(applied);
        }
        // A batch without rows moves the progress alone: it needs no table.
        if !batch.rows.is_empty() {
            // All rows are added, or none.
            let (_, rows) = store.table(&batch.schema)?;
            let mut changed = BTreeMap::<Key, BTreeMap<String, i128>>::new();
            for row in &batch.rows {
                let key = (row.window_start, row.keys.iter().map(|key| key.to_vec()).collect());
                let held = changed.get(&key).or_else(|| rows.get(&key));
                let mut values = held.cloned().unwrap_or_default();
                for (measure, value) in batch.schema.measures.iter().zip(row.values) {
                    let merged = measure.kind.merge(values.get(&measure.name).copied(), value);
                    let merged = merged.ok_or_else(|| {
                        let (table, column) = (batch.statistic(), &measure.name);
                        SinkError::refused(format!("table {table}: column {column} overflows"))
                    })?;
                    values.extend(merged.map(|merged| (measure.name.clone(), merged)));
                }
                changed.insert(key, values);
            }
            rows.extend(changed);
        }
        // The progress moves in the same transaction: this is what makes it exactly once.
        store.progress.insert(stream, Progress::after(batch));
        Ok(Applied::Now)
    }

    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        self.begin_transaction().table(schema)?.1.retain(|(window, _), _| *window >= before);
        Ok(false)
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        let mut store = self.begin_transaction();
        let mut rows = Rows::new(schema.keys.len(), schema.measures.len());
        for ((window, keys), values) in &store.table(schema)?.1 {
            if windows.contains(window) {
                let values: Vec<_> =
                    schema.measures.iter().map(|measure| values.get(&measure.name).copied()).collect();
                rows.push(*window, keys.iter().map(Vec::as_slice), &values);
            }
        }
        Ok(rows)
    }
}

/// The source of the suite's stores: each is new, and can be opened again and again.
struct Stores;

#[async_trait]
impl Fixture for Stores {
    type Store = MapSink;

    async fn fresh(&self) -> MapSink {
        MapSink::default()
    }
}

#[async_trait]
impl conformance::Store for MapSink {
    async fn open(&self) -> Arc<dyn Sink> {
        Arc::new(self.clone())
    }
}

#[tokio::main]
async fn main() -> Result<(), evs::Error> {
    conformance::run(&Stores).await;
    println!("the sink keeps every promise");

    let state = std::env::temp_dir().join(format!("evs-custom-sink-{}", std::process::id()));
    let sink = MapSink::default();
    let pipeline = Pipeline::builder("custom")
        .tail("tests/samples/apache-combined.log")
        .format(LogFormat::combined())
        .statistic(Statistic::named("requests").group_by(["status"]).measure(count()))
        .sink("map", sink.clone())
        .state_dir(&state)
        .build()?;
    let summary = pipeline.run_to_end(std::future::pending()).await?;
    println!("{} lines counted", summary.lines);
    for schema in pipeline.schemas() {
        for row in &sink.totals(schema, i64::MIN..i64::MAX).await? {
            println!("{} {}: {:?}", row.window_start, evs::escape(row.keys[0]), row.values);
        }
    }
    let _ = std::fs::remove_dir_all(state);
    Ok(())
}

#[tokio::test]
async fn the_sink_keeps_every_promise() {
    conformance::run(&Stores).await;
}
