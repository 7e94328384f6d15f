//! What tests of whole pipelines share: a sink in memory that can fail in many ways, and a machine with a log.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by several tests")]

use std::{
    collections::BTreeMap,
    fs,
    future::pending,
    io::Write,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use evs_core::{
    Applied, Batch, Error, Limits, MemorySink, Pipeline, PipelineBuilder, Progress, Rows, Schema, Sink,
    SinkError, Status, Summary, Writer,
};

/// A sink whose store outlives the pipeline. All machines of a test can write to it.
#[derive(Clone, Debug, Default)]
pub struct TestSink {
    pub store: Arc<Mutex<MemorySink>>,
    /// Calls fail, and may succeed later.
    pub is_down: Arc<AtomicBool>,
    /// Calls fail for good.
    pub refuses: Arc<AtomicBool>,
    /// The rows of this statistic are refused for good, if it is set.
    pub refuses_rows_of: Arc<Mutex<Option<&'static str>>>,
    /// Down for batches of the statistic `many` with a higher sequence, if set.
    pub down_after: Arc<Mutex<Option<u64>>>,
    /// The time that it takes to apply a batch.
    pub takes: Arc<Mutex<Duration>>,
    /// Compares no writers, so that only the checksums of batches tell histories apart.
    pub ignores_writers: Arc<AtomicBool>,
    /// The number of calls of `apply` that find the claim forgotten.
    pub forgets: Arc<AtomicU64>,
    /// Answers every batch with a gap that is none, against the contract of a sink.
    pub claims_gaps: Arc<AtomicBool>,
    /// After the batch with that sequence, this store replaces the present one.
    pub failover: Arc<Mutex<Option<(u64, MemorySink)>>>,
    /// A batch of another process, applied just before the next claim of the source.
    pub under_way: Arc<Mutex<Option<Batch>>>,
    /// The batches that were applied.
    pub applied: Arc<Mutex<Vec<Batch>>>,
}

impl TestSink {
    pub fn store(&self) -> MemorySink {
        self.store.lock().unwrap().clone()
    }

    pub fn replace(&self, store: MemorySink) {
        *self.store.lock().unwrap() = store;
    }

    /// Returns the sequences of the batches that were applied.
    pub fn applied(&self) -> Vec<u64> {
        self.applied.lock().unwrap().iter().map(|batch| batch.sequence).collect()
    }

    fn check_rows(&self, statistic: &str) -> Result<(), SinkError> {
        match *self.refuses_rows_of.lock().unwrap() {
            Some(refused) if refused == statistic => Err(SinkError::refused(format!("no rows of {refused}"))),
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<(), SinkError> {
        if self.refuses.load(SeqCst) {
            return Err(SinkError::refused("no"));
        }
        if self.is_down.load(SeqCst) {
            return Err(SinkError::unavailable("connecting", "refused"));
        }
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Sink for TestSink {
    fn limits(&self) -> Limits {
        self.store().limits()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        self.check()?;
        self.store().prepare(schema).await
    }

    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        self.check()?;
        self.store().progress(source).await
    }

    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        self.check()?;
        self.store().begin(progress).await
    }

    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        self.check()?;
        self.store().writer(source).await
    }

    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        self.check()?;
        let under_way = self.under_way.lock().unwrap().take();
        if let Some(batch) = under_way {
            assert_eq!(self.store().apply(&batch).await?, Applied::Now);
        }
        self.store().claim(writer, last).await
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        self.check()?;
        if !batch.rows.is_empty() {
            self.check_rows(batch.statistic())?;
        }
        let down_after = *self.down_after.lock().unwrap();
        if batch.statistic() == "many" && down_after.is_some_and(|last| batch.sequence > last) {
            return Err(SinkError::unavailable("applying", "refused"));
        }
        if self.claims_gaps.load(SeqCst) {
            let (statistic, offered) = (batch.statistic().to_owned(), batch.sequence);
            return Err(SinkError::Gap { statistic, offered, applied: offered });
        }
        if self.forgets.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(SinkError::Unclaimed { source_name: batch.source.to_string() });
        }
        let takes = *self.takes.lock().unwrap();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        let mut batch = batch.clone();
        batch.writer = batch.writer.filter(|_| !self.ignores_writers.load(SeqCst));
        let applied = self.store().apply(&batch).await?;
        if applied == Applied::Now {
            self.applied.lock().unwrap().push(batch.clone());
        }
        if let Some((_, store)) = self.failover.lock().unwrap().take_if(|(after, _)| *after == batch.sequence)
        {
            self.replace(store);
        }
        Ok(applied)
    }

    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        self.store().sweep(schema, before).await
    }

    async fn close(&self) -> Result<(), SinkError> {
        self.store().close().await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        self.store().totals(schema, windows).await
    }
}

/// Returns the totals of the measures by the first key, over all windows and other keys.
pub async fn totals_by_key(sink: &dyn Sink, schema: &Schema) -> BTreeMap<String, Vec<i128>> {
    let rows = sink.totals(schema, i64::MIN..i64::MAX).await.unwrap();
    let mut totals = BTreeMap::<_, Vec<i128>>::new();
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        let key = String::from_utf8(row.keys[0].to_vec()).unwrap();
        let total = totals.entry(key).or_insert_with(|| vec![0; row.values.len()]);
        total.iter_mut().zip(row.values).for_each(|(total, value)| *total += value.unwrap());
    }
    totals
}

/// A machine: a directory with a log and a state directory.
pub struct Machine(pub tempfile::TempDir);

impl Machine {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A copy of its disk.
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        copy_all(self.0.path(), copy.0.path());
        copy
    }

    pub fn log(&self) -> PathBuf {
        self.0.path().join("access.log")
    }

    pub fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    pub fn append(&self, lines: &str) {
        let mut log = fs::OpenOptions::new().append(true).create(true).open(self.log()).unwrap();
        log.write_all(lines.as_bytes()).unwrap();
    }
}

pub fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.as_ref().unwrap(), to.join(entry.as_ref().unwrap().file_name()));
        match entry.file_type().unwrap().is_dir() {
            true => copy_all(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

pub async fn run_to_end(builder: PipelineBuilder) -> Result<Summary, Error> {
    builder.build()?.run_to_end(pending()).await
}

/// Waits until the pipeline's status is as expected; fails if it never is.
pub async fn until(pipeline: &Pipeline, what: &str, is_so: impl Fn(&Status) -> bool) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        if is_so(&pipeline.status()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never {what}: {:#?}", pipeline.status());
}
