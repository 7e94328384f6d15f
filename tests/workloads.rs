//! Each workload of the benches, malformed and odd lines among them and times that step back, gives exactly
//! the digests that its generator knows: up to thirty statistics at once, and other orders of fields.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../benches/support/mod.rs"]
mod bench_support;
mod support;

use std::sync::Arc;

use bench_support::{format, statistics};
use evs::{MemorySink, prelude::*};
use evs_testkit::{Generator, Mix, Options, Workload};
use support::digest_of;

const LINES: u64 = 50_000;
const OPTIONS: Options =
    Options { mix: Mix { malformed_every: 500, odd_every: 500 }, is_shuffled: true, seed: 5 };

async fn counts_exactly(workload: Workload, workers: usize) {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let mut generator = Generator::of(workload, OPTIONS);
    let mut bytes = Vec::new();
    generator.lines(LINES, &mut bytes);
    std::fs::write(&log, &bytes).unwrap();
    let sink = Arc::new(MemorySink::new());
    let mut builder = Pipeline::builder("workload")
        .tail(&log)
        .format(format(workload))
        .sink("memory", Arc::clone(&sink))
        .state_dir(dir.path().join("state"))
        .workers(workers);
    for statistic in statistics(workload) {
        builder = builder.statistic(statistic);
    }
    let pipeline = builder.build().unwrap();
    let summary = pipeline.run_to_end(std::future::pending()).await.unwrap();
    let name = workload.name();
    assert_eq!((summary.lines, summary.rejected), generator.counts(), "{name}");
    for (schema, expected) in pipeline.schemas().zip(generator.digests()) {
        assert_eq!(digest_of(&*sink, schema).await, expected, "{name}, {}", schema.statistic);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_workload_is_counted_exactly() {
    for workload in Workload::ALL {
        counts_exactly(workload, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_statistics_are_counted_exactly_by_four_workers() {
    counts_exactly(Workload::Cdn30, 4).await;
}
