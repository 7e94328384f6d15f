//! Whole pipelines into sinks in memory: outages, lost state, and what else may happen between runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod again;
mod begin;
mod cuts;
mod decorated;
mod definitions;
mod drains;
mod events;
mod figures;
mod lags;
mod lines;
mod logs;
mod names;
mod outages;
#[path = "../pipeline_support/mod.rs"]
mod pipeline_support;
mod refusals;
mod selected;
mod state;
mod watch;

use std::{
    collections::BTreeMap, ffi::OsStr, fs, future::pending, io, os::unix::ffi::OsStrExt, path::Path,
    sync::atomic::Ordering::SeqCst, time::Duration,
};

use evs_core::{
    Error, LogFormat, LostState, MeasureColumn, MeasureKind, MemorySink, Pipeline, PipelineBuilder, Schema,
    Sink, SinkError, SinkStart, SinkState, Statistic, Writer, count, min, sum,
};
use pipeline_support::{Machine, TestSink, run_to_end, totals_by_key, until};

impl Machine {
    fn pipeline(&self) -> PipelineBuilder {
        Pipeline::builder("web1")
            .tail(self.log())
            .format(LogFormat::common())
            .statistic(by_status("requests"))
            .state_dir(self.state())
            .drain_timeout(Duration::from_millis(300))
    }
}

fn by_status(name: &str) -> Statistic {
    let statistic = Statistic::named(name).group_by(["status"]).flush_every(Duration::from_millis(20));
    statistic.measure(count()).measure(sum("body_bytes_sent"))
}

fn line(status: u16, bytes: u64) -> String {
    format!("::1 - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" {status} {bytes}\n")
}

/// By status: lines and bytes.
async fn totals(sink: &TestSink, statistic: &str) -> BTreeMap<String, (i128, i128)> {
    let pipeline = Machine::new().pipeline().sink("none", MemorySink::new()).build().unwrap();
    let mut schema = Schema::clone(pipeline.schemas().next().unwrap());
    schema.statistic = statistic.to_owned();
    let totals = totals_by_key(sink, &schema).await;
    totals.into_iter().map(|(status, totals)| (status, (totals[0], totals[1]))).collect()
}

fn of<const N: usize>(rows: [(&str, i128, i128); N]) -> BTreeMap<String, (i128, i128)> {
    rows.into_iter().map(|(status, lines, bytes)| (status.to_owned(), (lines, bytes))).collect()
}
