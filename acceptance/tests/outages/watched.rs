//! A sink that keeps account of the calls of another sink, and of its answers.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use evs::{Applied, Batch, Limits, Progress, Rows, Schema, SinkError, Writer, prelude::*};

/// Passes every call on to `inner`, and enters it into the account.
#[derive(Debug)]
pub(crate) struct Watched {
    inner: Arc<dyn Sink>,
    account: Arc<Account>,
}

/// The calls of a sink, and its answers.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// The batches that the sink has acknowledged, in that order.
    acknowledged: Mutex<Vec<(u64, Applied)>>,
    /// The lines counted in them: the sum of the first measure.
    lines: AtomicU64,
    /// The number of calls of `apply` that have neither returned nor been dropped.
    applying: AtomicU64,
}

impl Watched {
    /// Watches a sink. The account outlives it.
    pub(crate) fn new(inner: Arc<dyn Sink>) -> (Self, Arc<Account>) {
        let account = Arc::new(Account::default());
        (Self { inner, account: Arc::clone(&account) }, account)
    }
}

impl Account {
    pub(crate) fn is_applying(&self) -> bool {
        self.applying.load(Ordering::SeqCst) > 0
    }

    /// The number of lines in the acknowledged batches.
    pub(crate) fn lines(&self) -> u64 {
        self.lines.load(Ordering::SeqCst)
    }

    /// The number of batches that the sink had already when it acknowledged them.
    pub(crate) fn before(&self) -> u64 {
        let acknowledged = self.acknowledged.lock().unwrap();
        acknowledged.iter().filter(|(_, applied)| *applied == Applied::Before).count() as u64
    }

    /// The batches came in order, each once: the first one first, and none was left out.
    pub(crate) fn assert_in_order(&self) {
        let acknowledged = self.acknowledged.lock().unwrap();
        let sequences: Vec<_> = acknowledged.iter().map(|(sequence, _)| *sequence).collect();
        let expected: Vec<_> = (1..=sequences.len() as u64).collect();
        assert_eq!(sequences, expected, "the batches are not in order");
    }
}

/// Counts a call for as long as it is not dropped.
struct Applying<'a>(&'a AtomicU64);

impl<'a> Applying<'a> {
    /// Counts a call that begins.
    fn begin(calls: &'a AtomicU64) -> Self {
        calls.fetch_add(1, Ordering::SeqCst);
        Self(calls)
    }
}

impl Drop for Applying<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Sink for Watched {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        self.inner.prepare(schema).await
    }

    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        self.inner.progress(source).await
    }

    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        self.inner.begin(progress).await
    }

    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        self.inner.writer(source).await
    }

    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        self.inner.claim(writer, last).await
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        let _applying = Applying::begin(&self.account.applying);
        let applied = self.inner.apply(batch).await?;
        self.account.acknowledged.lock().unwrap().push((batch.sequence, applied));
        self.account.lines.fetch_add(lines(&batch.rows), Ordering::SeqCst);
        Ok(applied)
    }

    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        self.inner.sweep(schema, before).await
    }

    async fn close(&self) -> Result<(), SinkError> {
        self.inner.close().await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        self.inner.totals(schema, windows).await
    }
}

/// The sum of the first measure, which is a count.
fn lines(rows: &Rows) -> u64 {
    let (mut lines, mut cursor) = (0, rows.cursor());
    while let Some(row) = cursor.next_row() {
        lines += u64::try_from(row.values[0].unwrap()).unwrap();
    }
    lines
}
