//! The ways out of `docs/errors.md`, step by step: the error appears, what the page says is done, and every line is
//! counted once. Other tests that the page names do the same for their errors.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod log;
#[path = "../pipeline_support/mod.rs"]
mod pipeline_support;
mod program;
mod state_dir;
mod store;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
    sync::atomic::Ordering::SeqCst,
    time::Duration,
};

use evs_core::{
    Error, LogFormat, LostState, MemorySink, Pipeline, PipelineBuilder, Schema, SinkError, Statistic, count,
};
use pipeline_support::{Machine, TestSink, copy_all, run_to_end, totals_by_key, until};

impl Machine {
    /// The pipeline of this machine without its sink, with a grace time that no test waits for.
    fn pipeline(&self) -> PipelineBuilder {
        Pipeline::builder("web1")
            .tail(self.log())
            .format(LogFormat::common())
            .statistic(by_status("requests"))
            .state_dir(self.state())
            .grace(Duration::ZERO)
            .drain_timeout(Duration::from_millis(300))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Adds lines with that status to the log.
    fn log_requests(&self, status: u16, lines: usize) {
        self.append(&requests(status, lines));
    }

    /// Counts to the end of the log.
    async fn count(&self, sink: &TestSink) {
        let summary = run_to_end(self.pipeline().sink("stats", sink.clone())).await.unwrap();
        assert!(summary.is_complete, "{summary:?}");
    }

    /// The error that stops the pipeline.
    async fn error(&self, sink: &TestSink) -> Error {
        run_to_end(self.pipeline().sink("stats", sink.clone())).await.unwrap_err()
    }
}

fn by_status(name: &str) -> Statistic {
    let statistic = Statistic::named(name).group_by(["status"]).measure(count());
    statistic.flush_every(Duration::from_millis(20))
}

fn requests(status: u16, lines: usize) -> String {
    format!("::1 - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" {status} 1\n").repeat(lines)
}

/// Lines by status.
async fn totals(sink: &TestSink, statistic: &str) -> BTreeMap<String, i128> {
    let pipeline = Machine::new().pipeline().sink("none", MemorySink::new()).build().unwrap();
    let mut schema = Schema::clone(pipeline.schemas().next().unwrap());
    schema.statistic = statistic.to_owned();
    let totals = totals_by_key(sink, &schema).await;
    totals.into_iter().map(|(status, totals)| (status, totals[0])).collect()
}

fn of<const N: usize>(rows: [(&str, i128); N]) -> BTreeMap<String, i128> {
    rows.into_iter().map(|(status, lines)| (status.to_owned(), lines)).collect()
}

/// Asserts that an error has this form, and shows it otherwise.
macro_rules! assert_is {
    ($error:expr, $form:pat) => {
        match &$error {
            $form => {}
            other => panic!("{other} is not {}", stringify!($form)),
        }
    };
}
use assert_is;
