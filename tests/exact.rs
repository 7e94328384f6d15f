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

/// No client can write a number that SQLite then refuses: the largest ones are added up, within a batch and by the
/// store.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_values_of_lines_are_counted_exactly_by_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let line = |value: i64| {
        format!("192.0.2.1 - - [01/Jan/2026:00:00:01 +0000] \"GET /?v={value} HTTP/1.1\" 200 1 \"-\" \"-\"\n")
    };
    let database = dir.path().join("stats.db");
    let mut expected = [0, 0];
    // Each run is a batch of its own.
    for values in [vec![i64::MAX; 2], vec![i64::MAX], vec![5, i64::MIN], vec![i64::MIN; 3]] {
        let lines = values.iter().map(|value| line(*value)).collect::<String>();
        std::fs::write(&log, std::fs::read_to_string(&log).unwrap_or_default() + &lines).unwrap();
        let pipeline = Pipeline::builder("largest")
            .tail(&log)
            .format(LogFormat::combined())
            .statistic(Statistic::named("totals").measure(count_lines()).measure(sum(arg("v"))))
            .sink("sqlite", SqliteSink::open(&database).await.unwrap())
            .state_dir(dir.path().join("state"))
            .build()
            .unwrap();
        let summary = pipeline.run_to_end(std::future::pending()).await.unwrap();
        assert_eq!((summary.rejected, summary.is_complete), (0, true));
        expected[0] += values.len() as i128;
        expected[1] += values.iter().map(|value| i128::from(*value)).sum::<i128>();
        let schema = pipeline.schemas().next().unwrap();
        let rows = SqliteSink::open(&database).await.unwrap().totals(schema, 0..i64::MAX).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows.cursor().next_row().unwrap().values, expected.map(Some));
    }
}

fn count_lines() -> evs::Measure {
    evs::count()
}
