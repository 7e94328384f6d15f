//! A million lines of each kind of log, malformed and odd ones among them, give exactly the right totals.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::{path::Path, time::Duration};

use evs::{Summary, prelude::*};
use evs_testkit::{Generator, Kind, Mix, log_format};
use support::{sqlite_totals, statistic};

const LINES: u64 = 1_000_000;
const MIX: Mix = Mix { malformed_every: 1000, odd_every: 1000 };

async fn count(dir: &Path, log: &Path, kind: Kind, workers: usize) -> Summary {
    let database = dir.join(format!("{workers}.db"));
    let pipeline = Pipeline::builder("exact")
        .tail(log)
        .format(log_format(kind).parse().unwrap())
        .statistic(statistic(kind, "totals"))
        .sink("sqlite", SqliteSink::open(&database).await.unwrap())
        .state_dir(dir.join(format!("state-{workers}")))
        .workers(workers)
        .build()
        .unwrap();
    pipeline.run_to_end(std::future::pending()).await.unwrap()
}

async fn counts_exactly(kind: Kind) {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let mut generator = Generator::new(kind, MIX, 42);
    let mut bytes = Vec::new();
    generator.lines(LINES, &mut bytes);
    std::fs::write(&log, &bytes).unwrap();
    for workers in [1, 4] {
        let summary = count(dir.path(), &log, kind, workers).await;
        assert_eq!((summary.lines, summary.rejected), generator.counts(), "{kind:?}, {workers} workers");
        assert_eq!((summary.bytes, summary.is_complete), (bytes.len() as u64, true));
        let totals = sqlite_totals(&dir.path().join(format!("{workers}.db")), kind, "totals").await;
        assert!(totals == *generator.totals(), "{kind:?}, {workers} workers: the totals differ");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn combined_lines_are_counted_exactly() {
    counts_exactly(Kind::Combined).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ad_events_are_counted_exactly() {
    counts_exactly(Kind::Ads).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cdn_lines_are_counted_exactly() {
    counts_exactly(Kind::Cdn).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_with_different_flush_intervals_and_few_rows_agree() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let mut generator = Generator::new(Kind::Combined, MIX, 1);
    let mut bytes = Vec::new();
    generator.lines(100_000, &mut bytes);
    std::fs::write(&log, &bytes).unwrap();
    let by_status = |name: &str| {
        let statistic = Statistic::named(name).group_by(["status"]).measure(count_lines());
        statistic.measure(sum("body_bytes_sent"))
    };
    let database = dir.path().join("stats.db");
    let pipeline = Pipeline::builder("intervals")
        .tail(&log)
        .format(LogFormat::combined())
        .statistic(by_status("requests").flush_every(Duration::from_millis(10)))
        .statistic(by_status("seldom").flush_every(Duration::from_secs(3600)))
        .statistic(
            Statistic::named("addresses").group_by(["remote_addr"]).measure(count_lines()).rows_max(500),
        )
        .sink("sqlite", SqliteSink::open(&database).await.unwrap())
        .state_dir(dir.path().join("state"))
        .workers(2)
        .build()
        .unwrap();
    let summary = pipeline.run_to_end(std::future::pending()).await.unwrap();
    assert!(summary.is_complete);
    let sink = SqliteSink::open(&database).await.unwrap();
    let schemas: Vec<_> = pipeline.schemas().cloned().collect();
    let mut lines = Vec::new();
    for schema in &schemas {
        let rows = sink.totals(schema, i64::MIN..i64::MAX).await.unwrap();
        let mut cursor = rows.cursor();
        let mut counted = 0;
        while let Some(row) = cursor.next_row() {
            counted += row.values[0].unwrap();
        }
        lines.push(counted);
    }
    let good = i128::from(summary.lines - summary.rejected);
    assert_eq!(lines, [good, good, good]);
    let last = |statistic: &'static str| {
        let sink = &sink;
        async move {
            let progress = sink.progress("intervals").await.unwrap();
            progress.into_iter().find(|progress| progress.statistic == statistic).unwrap().sequence
        }
    };
    assert_eq!(last("seldom").await, 1, "it is flushed at the end only");
    assert!(last("addresses").await > 10, "it is cut early, again and again");
}

fn count_lines() -> evs::Measure {
    evs::count()
}
