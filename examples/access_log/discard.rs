//! The sink of `discard://`, which measures a pipeline without a store.

use std::ops::Range;

use async_trait::async_trait;
use evs::{Applied, Batch, Limits, Progress, Rows, Schema, Sink, SinkError, Writer};

/// A sink that acknowledges every batch and discards it, to measure a pipeline up to the durable binlog.
///
/// It remembers nothing. A state directory that has delivered batches to it refuses to go on with it, as with
/// any store that has lost what it had.
#[derive(Debug)]
pub(crate) struct DiscardSink;

#[async_trait]
impl Sink for DiscardSink {
    fn limits(&self) -> Limits {
        Limits::default()
    }

    async fn prepare(&self, _: &Schema) -> Result<(), SinkError> {
        Ok(())
    }

    async fn progress(&self, _: &str) -> Result<Vec<Progress>, SinkError> {
        Ok(Vec::new())
    }

    async fn begin(&self, _: &Progress) -> Result<(), SinkError> {
        Ok(())
    }

    async fn writer(&self, _: &str) -> Result<Option<Writer>, SinkError> {
        Ok(None)
    }

    async fn claim(&self, _: &Writer, _: Option<&Writer>) -> Result<bool, SinkError> {
        Ok(true)
    }

    async fn apply(&self, _: &Batch) -> Result<Applied, SinkError> {
        Ok(Applied::Now)
    }

    async fn totals(&self, schema: &Schema, _: Range<i64>) -> Result<Rows, SinkError> {
        Ok(Rows::new(schema.keys.len(), schema.measures.len()))
    }
}

#[cfg(test)]
mod tests {
    use evs::prelude::*;

    use super::DiscardSink;

    #[tokio::test]
    async fn everything_is_acknowledged_and_nothing_kept() {
        let dir = tempfile::tempdir().unwrap();
        let pipeline = Pipeline::builder("discarded")
            .tail(crate::SAMPLE)
            .format(LogFormat::combined())
            .statistic(Statistic::named("requests").group_by(["status"]).measure(count()))
            .sink("discard", DiscardSink)
            .state_dir(dir.path().join("state"))
            .build()
            .unwrap();
        let summary = pipeline.run_to_end(std::future::pending()).await.unwrap();
        assert_eq!((summary.lines, summary.is_complete), (150, true));
        assert!(summary.batches > 0);
        let schema = pipeline.schemas().next().unwrap();
        assert!(DiscardSink.totals(schema, i64::MIN..i64::MAX).await.unwrap().is_empty());
    }
}
