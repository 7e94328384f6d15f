//! Lines per second: parsing alone, parsing and aggregating, and the whole pipeline with fsync and SQLite; for
//! the three kinds of log, one worker.
//!
//!     cargo bench --bench pipeline

use std::{hint::black_box, path::Path, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use evs::{bench::Aggregation, prelude::*, record::Record};
use evs_testkit::{Generator, Kind, Mix, log_format};

/// Lines of the log that is parsed from memory, in blocks as a worker reads them.
const LINES: u64 = 200_000;
const BLOCK_BYTES: usize = 256 << 10;
/// Lines of the log that the whole pipeline reads.
const PIPELINE_LINES: u64 = 2_000_000;

const KINDS: [(Kind, &str); 3] = [(Kind::Combined, "combined"), (Kind::Ads, "ads"), (Kind::Cdn, "cdn")];

fn fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Combined => &["status", "body_bytes_sent"],
        Kind::Ads => &["arg_c", "arg_t", "arg_v"],
        Kind::Cdn => &["host", "body_bytes_sent"],
    }
}

fn statistic(kind: Kind) -> Statistic {
    let (value, keys) = fields(kind).split_last().expect("a kind has fields");
    Statistic::named("totals").group_by(keys.iter().copied()).measure(count()).measure(sum(*value))
}

fn log(kind: Kind, lines: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    Generator::new(kind, Mix::default(), 1).lines(lines, &mut bytes);
    bytes
}

/// Whole lines of about [`BLOCK_BYTES`].
fn blocks(log: &[u8]) -> Vec<&[u8]> {
    let (mut blocks, mut rest) = (Vec::new(), log);
    while rest.len() > BLOCK_BYTES {
        let end = memchr::memrchr(b'\n', &rest[..BLOCK_BYTES]).expect("lines are shorter than blocks") + 1;
        let (block, behind) = rest.split_at(end);
        blocks.push(block);
        rest = behind;
    }
    blocks.push(rest);
    blocks
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(LINES));
    for (kind, name) in KINDS {
        let log = log(kind, LINES);
        let format: LogFormat = log_format(kind).parse().expect("a format");
        let mut parser = format.parser(fields(kind)).expect("the fields are there");
        let mut record = Record::new();
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                for block in blocks(&log) {
                    let mut rest = block;
                    while let Some(end) = memchr::memchr(b'\n', rest) {
                        parser.parse(&rest[..end], &mut record).expect("a good line");
                        black_box(&record);
                        rest = &rest[end + 1..];
                    }
                }
            });
        });
    }
}

fn aggregate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse and aggregate");
    group.throughput(Throughput::Elements(LINES));
    for (kind, name) in KINDS {
        let log = log(kind, LINES);
        let format: LogFormat = log_format(kind).parse().expect("a format");
        let mut aggregation = Aggregation::new(&format, &[statistic(kind)]).expect("the fields are there");
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| blocks(&log).into_iter().for_each(|block| aggregation.lines(block)));
        });
        assert!(aggregation.rows() > 0);
    }
}

async fn count_log(log: &Path, kind: Kind) {
    let dir = tempfile::tempdir().expect("a directory");
    let sink = SqliteSink::open(dir.path().join("stats.db")).await.expect("a database");
    let pipeline = Pipeline::builder("bench")
        .tail(log)
        .format(log_format(kind).parse().expect("a format"))
        .statistic(statistic(kind))
        .sink("sqlite", sink)
        .state_dir(dir.path().join("state"))
        .build()
        .expect("a pipeline");
    let summary = pipeline.run_to_end(std::future::pending()).await.expect("a run");
    assert_eq!((summary.lines, summary.rejected, summary.is_complete), (PIPELINE_LINES, 0, true));
}

fn whole_pipeline(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut group = criterion.benchmark_group("pipeline to SQLite");
    group.throughput(Throughput::Elements(PIPELINE_LINES)).sample_size(10);
    group.measurement_time(Duration::from_secs(20));
    for (kind, name) in KINDS {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("access.log");
        std::fs::write(&path, log(kind, PIPELINE_LINES)).expect("a log");
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| runtime.block_on(count_log(&path, kind)));
        });
    }
}

criterion_group!(benches, parse, aggregate, whole_pipeline);
criterion_main!(benches);
