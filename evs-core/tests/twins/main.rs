//! Copied and restored state directories, several processes under one source name, and stores that come back older:
//! whole pipelines into a store in memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod adoption;
mod clones;
mod copies;
#[path = "../pipeline_support/mod.rs"]
mod pipeline_support;
mod restored;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use evs_core::{
    Error, LogFormat, LostState, MemorySink, Pipeline, PipelineBuilder, Sink, SinkState, Statistic, Status,
    Summary, Undelivered, count, describe,
};
use pipeline_support::{Machine, TestSink, copy_all, run_to_end, totals_by_key, until};
use tokio::{sync::oneshot, task::JoinHandle};

impl TestSink {
    async fn fence(&self) -> u64 {
        self.store().writer("web1").await.unwrap().map_or(0, |writer| writer.fence)
    }

    /// Lines by status.
    async fn totals(&self) -> BTreeMap<String, i128> {
        let pipeline = Machine::new().builder("web1").sink("none", MemorySink::new()).build().unwrap();
        let totals = totals_by_key(&self.store(), pipeline.schemas().next().unwrap()).await;
        totals.into_iter().map(|(status, totals)| (status, totals[0])).collect()
    }
}

impl Machine {
    /// Adds a line with that status to the log.
    fn log_request(&self, status: u16) {
        self.append(&format!("::1 - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" {status} 1\n"));
    }

    fn builder(&self, source: &str) -> PipelineBuilder {
        let requests = Statistic::named("requests").group_by(["status"]).measure(count());
        Pipeline::builder(source)
            .tail(self.log())
            .format(LogFormat::common())
            .statistic(requests.flush_every(Duration::from_millis(10)))
            .state_dir(self.state())
            .poll_every(Duration::from_millis(5))
            .drain_timeout(Duration::from_millis(300))
    }

    fn start(&self, sink: &TestSink) -> Running {
        Running::new(self.builder("web1").sink("stats", sink.clone()))
    }

    async fn run_to_end(&self, sink: &TestSink) -> Result<Summary, Error> {
        run_to_end(self.builder("web1").sink("stats", sink.clone())).await
    }

    /// Counts one line, and delivers it.
    async fn count(&self, sink: &TestSink, status: u16) {
        self.log_request(status);
        let summary = self.run_to_end(sink).await.unwrap();
        assert_eq!((summary.lines, summary.is_complete), (1, true));
    }

    /// Cuts a batch of one line, while the sink is away.
    async fn cut(&self, sink: &TestSink, status: u16) {
        self.log_request(status);
        sink.is_down.store(true, SeqCst);
        let running = self.start(sink);
        running.until("cut", |status| status.batches == 1).await;
        assert_eq!(running.stop().await.unwrap().batches, 1);
        sink.is_down.store(false, SeqCst);
    }
}

/// A pipeline that runs.
struct Running {
    pipeline: Arc<Pipeline>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<Summary, Error>>,
}

impl Running {
    fn new(builder: PipelineBuilder) -> Self {
        let pipeline = Arc::new(builder.build().unwrap());
        let (stop, stopped) = oneshot::channel();
        let running = Arc::clone(&pipeline);
        let ended = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            running.run(stopped).await
        });
        Self { pipeline, stop, ended }
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Status) -> bool) {
        until(&self.pipeline, what, is_so).await;
    }

    async fn until_delivered(&self, batches: u64) {
        self.until("delivered", |status| status.sinks[0].batches == batches).await;
    }

    /// Waits until its sink has stopped, and returns why.
    async fn until_sink_stopped(&self) -> String {
        self.until("stopped", |status| status.sinks[0].state == SinkState::Stopped).await;
        self.pipeline.status().sinks[0].last_error.clone().unwrap()
    }

    async fn stop(self) -> Result<Summary, Error> {
        let _ = self.stop.send(());
        self.ended.await.unwrap()
    }
}

async fn until_claimed(sink: &TestSink, fence: u64) {
    let started = Instant::now();
    while sink.fence().await != fence {
        assert!(started.elapsed() < Duration::from_secs(60), "never claimed {fence}: {}", sink.fence().await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn of<const N: usize>(totals: [(&str, i128); N]) -> BTreeMap<String, i128> {
    totals.into_iter().map(|(status, lines)| (status.to_owned(), lines)).collect()
}

/// Who this process is to its sinks.
fn this_process() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("process {} on host {host}", std::process::id())
}

#[track_caller]
fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

/// The sink's error of a run to the end.
#[track_caller]
fn refused(ended: Result<Summary, Error>) -> String {
    match ended {
        Err(error @ Error::SinkStopped { .. }) => describe(&error),
        other => panic!("{other:?}"),
    }
}

const WAYS_OUT: [&str; 3] = ["cloned_from", "LostState::Adopt", "stop the other process"];
