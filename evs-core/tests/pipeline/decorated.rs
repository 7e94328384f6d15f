//! A sink that passes batches on to another one, and changes what they hold.

use std::{ops::Range, sync::Arc};

use evs_core::{
    Applied, Batch, KeyColumn, Limits, Progress, Rows, async_trait,
    conformance::{self, Fixture, Store},
};

use super::*;

/// Adds a key with the name of the machine to every row, and passes nothing on of statistics that it does not want.
#[derive(Clone, Debug)]
struct AddsHost {
    inner: TestSink,
    unwanted: Option<&'static str>,
}

impl AddsHost {
    fn new(inner: TestSink) -> Self {
        Self { inner, unwanted: None }
    }

    fn schema(schema: &Schema) -> Schema {
        let mut schema = schema.clone();
        schema.keys.push(KeyColumn::new("evs_host", "hostname"));
        schema
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Sink for AddsHost {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        self.inner.prepare(&Self::schema(schema)).await
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
        let schema = Self::schema(&batch.schema);
        let mut rows = Rows::new(schema.keys.len(), schema.measures.len());
        if self.unwanted != Some(batch.statistic()) {
            for row in &batch.rows {
                rows.push(row.window_start, row.keys.iter().copied().chain([&b"web1"[..]]), &row.values);
            }
        }
        self.inner.apply(&batch.with_rows(schema, rows)).await
    }

    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        self.inner.sweep(&Self::schema(schema), before).await
    }

    async fn close(&self) -> Result<(), SinkError> {
        self.inner.close().await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        let mut rows = Rows::new(schema.keys.len(), schema.measures.len());
        for row in &self.inner.totals(&Self::schema(schema), windows).await? {
            let (host, keys) = row.keys.split_last().unwrap();
            assert_eq!(*host, b"web1");
            rows.push(row.window_start, keys.iter().copied(), &row.values);
        }
        Ok(rows)
    }
}

struct Decorated(TestSink);

#[async_trait]
impl Store for Decorated {
    async fn open(&self) -> Arc<dyn Sink> {
        Arc::new(AddsHost::new(self.0.clone()))
    }
}

struct Fresh;

#[async_trait]
impl Fixture for Fresh {
    type Store = Decorated;

    async fn fresh(&self) -> Decorated {
        Decorated(TestSink::default())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decorating_sink_passes_the_suite() {
    conformance::run(&Fresh).await;
}

#[tokio::test]
async fn a_decorating_sink_goes_on_after_a_process_was_killed() {
    let (machine, store) = (Machine::new(), TestSink::default());
    let sink = AddsHost { inner: store.clone(), unwanted: Some("errors") };
    let build = || {
        let builder = machine.pipeline().statistic(by_status("errors"));
        builder.sink("decorated", sink.clone()).build().unwrap()
    };
    let pipeline = build();
    for lines in 1..=3 {
        machine.append(&line(200, 1));
        // The run is dropped as soon as the store has the batches; the acknowledgement may be lost.
        tokio::select! {
            ended = pipeline.run(pending()) => panic!("{ended:?}"),
            () = until(&pipeline, "applied", |_| store.applied().len() == 2 * lines) => {}
        }
    }
    assert!(pipeline.run_to_end(pending()).await.unwrap().is_complete);
    drop(pipeline);
    // A new process compares the store's progress with the binlog.
    machine.append(&line(404, 1));
    assert!(build().run_to_end(pending()).await.unwrap().is_complete);
    let of_host = async |statistic: &str| {
        let mut schema = Schema::clone(build().schemas().next().unwrap());
        schema.statistic = statistic.to_owned();
        totals_by_key(&sink, &schema).await
    };
    let expected = [("200".to_owned(), vec![3, 3]), ("404".to_owned(), vec![1, 1])];
    assert_eq!(of_host("requests").await, expected.into());
    let schema = {
        let mut schema = Schema::clone(build().schemas().next().unwrap());
        schema.statistic = "errors".to_owned();
        schema
    };
    sink.prepare(&schema).await.unwrap();
    assert_eq!(of_host("errors").await, BTreeMap::new());
}
