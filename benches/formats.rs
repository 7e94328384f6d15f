//! Measures the lines per second of each format that has a name, and of each container: parsing and aggregating from
//! memory, with one worker. docs/formats.md has the results.
//!
//!     cargo bench --bench formats
//!     cargo bench --bench formats -- 'formats/envoy'

mod support;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use evs::LogFormat;
use evs_core::internals::Aggregation;
use support::{blocks, formats::CASES};

/// The number of lines of each log: 50 seconds of a busy server.
const LINES: u64 = 100_000;

fn formats(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("formats");
    group.throughput(Throughput::Elements(LINES));
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3)).sample_size(10);
    for case in CASES {
        let format: LogFormat = case.format.parse().expect("a format");
        let log = case.log(LINES);
        let blocks = blocks(&log);
        let mut aggregation = Aggregation::new(&format, &[case.statistic()]).expect("the fields are there");
        group.bench_function(BenchmarkId::from_parameter(case.format), |bencher| {
            bencher.iter(|| blocks.iter().for_each(|block| aggregation.lines(block)));
        });
        assert_eq!(aggregation.rejected(), 0, "{}", case.format);
    }
}

criterion_group!(benches, formats);
criterion_main!(benches);
