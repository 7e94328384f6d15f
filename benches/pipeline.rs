//! Measures the lines per second of the workloads, with one worker and with two: parsing alone, parsing and
//! aggregating, and the whole pipeline with fsync and SQLite.
//!
//!     cargo bench --bench pipeline
//!     cargo bench --bench pipeline -- 'parse/w1'
//!
//! The three stages show where the time goes. Parsing alone uses the reference, which users call through `LineParser`;
//! the pipeline uses the fast path.

mod support;

use std::{hint::black_box, path::Path, thread, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use evs::{LineParser, Record, prelude::*};
use evs_core::internals::Aggregation;
use evs_testkit::Workload;
use support::{blocks, fields, format, log, statistics};

/// The number of lines of a log that is parsed from memory.
const LINES: u64 = 200_000;
/// The number of lines of a log that the whole pipeline reads.
const PIPELINE_LINES: u64 = 2_000_000;
/// The number of lines of a log that makes as many rows as it has lines.
const ROWS_LINES: u64 = 500_000;

/// The workloads that differ in kind; the variants of W1 are left out.
const WORKLOADS: [Workload; 5] =
    [Workload::Combined, Workload::Ads, Workload::Cdn10, Workload::Cdn30, Workload::Json];
const WORKERS: [usize; 2] = [1, 2];

/// Works on the blocks with one thread per state.
fn on_threads<S: Send>(states: &mut [S], blocks: &[&[u8]], work: impl Fn(&mut S, &[u8]) + Sync) {
    let (work, workers) = (&work, states.len());
    thread::scope(|scope| {
        for (at, state) in states.iter_mut().enumerate() {
            scope.spawn(move || blocks.iter().skip(at).step_by(workers).for_each(|block| work(state, block)));
        }
    });
}

/// Measures `work` on the blocks of each workload, with a state per worker.
fn in_memory<S: Send>(
    criterion: &mut Criterion,
    name: &str,
    state: impl Fn(Workload) -> S,
    work: impl Fn(&mut S, &[u8]) + Sync,
) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(LINES));
    for workload in WORKLOADS {
        let log = log(workload, LINES);
        let blocks = blocks(&log);
        for workers in WORKERS {
            let mut states: Vec<S> = (0..workers).map(|_| state(workload)).collect();
            group.bench_function(BenchmarkId::new(workload.name(), workers), |bencher| {
                bencher.iter(|| on_threads(&mut states, &blocks, &work));
            });
        }
    }
}

/// Reads single lines by the reference.
fn parse(criterion: &mut Criterion) {
    let state = |workload| {
        let parser = format(workload).parser(&fields(workload)).expect("the fields are there");
        (parser, Record::new())
    };
    in_memory(criterion, "parse", state, |(parser, record), block| parse_lines(parser, record, block));
}

/// Reads each line of a block into the same record.
fn parse_lines(parser: &mut LineParser, record: &mut Record, block: &[u8]) {
    let mut rest = block;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        parser.parse(&rest[..end], record).expect("a good line");
        black_box(&record);
        rest = &rest[end + 1..];
    }
}

/// Reads blocks by the fast path and aggregates them, as a worker does.
fn aggregate(criterion: &mut Criterion) {
    let state =
        |workload| Aggregation::new(&format(workload), &statistics(workload)).expect("the fields are there");
    in_memory(criterion, "parse and aggregate", state, |aggregation, block| aggregation.lines(block));
}

/// Counts a log from its start to its end, with a new state directory and a new database.
async fn count_log(log: &Path, lines: u64, workload: Workload, workers: usize) {
    let dir = tempfile::tempdir().expect("a directory");
    let sink = SqliteSink::open(dir.path().join("stats.db")).await.expect("a database");
    let mut builder = Pipeline::builder("bench")
        .tail(log)
        .format(format(workload))
        .sink("sqlite", sink)
        .state_dir(dir.path().join("state"))
        .workers(workers);
    for statistic in statistics(workload) {
        builder = builder.statistic(statistic);
    }
    let summary =
        builder.build().expect("a pipeline").run_to_end(std::future::pending()).await.expect("a run");
    assert_eq!((summary.lines, summary.rejected, summary.is_complete), (lines, 0, true));
}

/// Measures a run to the end of a log.
fn whole_pipeline(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut group = criterion.benchmark_group("pipeline to SQLite");
    group.sample_size(10).measurement_time(Duration::from_secs(20));
    for workload in WORKLOADS {
        let lines = if workload == Workload::Cdn30 { ROWS_LINES } else { PIPELINE_LINES };
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("access.log");
        std::fs::write(&path, log(workload, lines)).expect("a log");
        group.throughput(Throughput::Elements(lines));
        for workers in WORKERS {
            group.bench_function(BenchmarkId::new(workload.name(), workers), |bencher| {
                bencher.iter(|| runtime.block_on(count_log(&path, lines, workload, workers)));
            });
        }
    }
}

criterion_group!(benches, parse, aggregate, whole_pipeline);
criterion_main!(benches);
