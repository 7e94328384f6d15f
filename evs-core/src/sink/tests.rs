//! Tests of the implementations for pointers.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;

use super::{Applied, Limits, MemorySink, Progress, Sink, SinkError};
use crate::{
    batch::{Batch, Epoch, Rows},
    statistic::Schema,
    writer::Writer,
};

/// Counts the calls of the methods that have a default.
#[derive(Debug, Default)]
struct Counting {
    inner: MemorySink,
    calls: std::sync::atomic::AtomicUsize,
}

impl Counting {
    fn calls(&self) -> usize {
        self.calls.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn count(&self) {
        self.calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[async_trait]
impl Sink for Counting {
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
        self.inner.apply(batch).await
    }

    async fn sweep(&self, _: &Schema, _: i64) -> Result<bool, SinkError> {
        self.count();
        Ok(true)
    }

    async fn close(&self) -> Result<(), SinkError> {
        self.count();
        Ok(())
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        self.inner.totals(schema, windows).await
    }
}

#[tokio::test]
async fn a_boxed_sink_is_a_sink_and_forgets_no_method() {
    let counting = Arc::new(Counting::default());
    let boxed: Box<dyn Sink> = Box::new(Arc::clone(&counting));
    let mut schema = Schema::new("ads", 60, Vec::new(), Vec::new());
    schema.retain_seconds = Some(60);
    // This calls the impl for `Box`, not the one of the sink in the box.
    assert!(Sink::sweep(&boxed, &schema, 0).await.unwrap());
    assert_eq!(counting.calls(), 1);
    Sink::close(&boxed).await.unwrap();
    assert_eq!(counting.calls(), 2);
    let writer = Writer::this_process("web1", Epoch::from_bytes([7; 16]));
    assert!(Sink::claim(&boxed, &writer, None).await.unwrap());
    let found = Sink::writer(&boxed, "web1").await.unwrap();
    assert_eq!(found.map(|found| found.token), Some(writer.token));
}
