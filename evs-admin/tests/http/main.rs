//! The routes of the cockpit, on real pipelines and over real connections.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod changes;
mod guard;
mod health;
mod metrics;
mod numbers;
mod status;
#[path = "../support/mod.rs"]
mod support;

use std::{future::pending, sync::Arc, time::Duration};

use evs_admin::{Cockpit, http::Options};
use evs_core::{Pipeline, Sink, SinkState};
use serde_json::Value;
use support::{Client, Machine, TestSink, get, line, serve, until};

/// A pipeline that runs, and its cockpit on a port.
struct Running {
    machine: Machine,
    sink: TestSink,
    pipeline: Arc<Pipeline>,
    client: Client,
    /// Ends the run when it is dropped.
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    run: tokio::task::JoinHandle<Result<evs_core::Summary, evs_core::Error>>,
}

impl Running {
    async fn new() -> Self {
        Self::with(Options::new()).await
    }

    async fn with(options: Options) -> Self {
        let (machine, sink, cockpit) = (Machine::new(), TestSink::default(), Cockpit::new());
        let builder = machine.pipeline().sink("reports", sink.clone());
        let pipeline = Arc::new(cockpit.build("web1", builder).await.unwrap());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let run = pipeline.spawn(async { drop(stopped.await) }).unwrap();
        let client = serve(&cockpit, options).await;
        until(&pipeline, "running", |status| status.phase == evs_core::Phase::Running).await;
        Self { machine, sink, pipeline, client, stop: Some(stop), run }
    }

    /// Writes lines and waits until each of them is counted in the store, or rejected and committed.
    async fn deliver(&self, lines: &str) {
        self.machine.append(lines);
        let expected = self.pipeline.status().lines + lines.lines().count() as u64;
        until(&self.pipeline, "read", |status| status.lines == expected).await;
        let schema = self.pipeline.schemas().next().unwrap();
        loop {
            let rows = self.sink.store.totals(schema, i64::MIN..i64::MAX).await.unwrap();
            let counted: i128 = rows.iter().filter_map(|row| row.values[0]).sum();
            let status = self.pipeline.status();
            let rejected: u64 = status.rejected_by_reason.iter().map(|rejected| rejected.lines).sum();
            if counted as u64 + rejected == expected && status.sinks[0].waiting == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(mut self) -> evs_core::Summary {
        drop(self.stop.take());
        self.run.await.unwrap().unwrap()
    }
}
