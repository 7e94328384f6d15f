//! The cost per byte of the most expensive lines that clients can make, compared with that of an ordinary line.
//!
//!     cargo bench --bench hostile
//!     cargo bench --bench hostile -- --table
//!
//! The second command prints a table of all these lines. Its last column compares the cost of a byte with that in an
//! ordinary line. Lines are read on the fast path, as in a pipeline; with `--reference`, the reference reads them.

mod support;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput};
use evs::LogFormat;
use evs_core::internals::Parsing;
use support::hostile::{Case, cases};

/// The bytes of a block of lines. With its columns, it fits into the nearer caches.
const BLOCK_BYTES: usize = 256 << 10;
/// The number of times that each case is measured for the table. The shortest time counts.
const ROUNDS: usize = 15;

/// A block of whole lines that are all the same.
fn block(line: &str) -> Vec<u8> {
    let mut block = Vec::new();
    while block.len() < BLOCK_BYTES {
        block.extend_from_slice(line.as_bytes());
        block.push(b'\n');
    }
    block
}

/// The parser of a case, with the fast path or without.
fn parsing(case: &Case, by_reference: bool) -> Parsing {
    let format: LogFormat = case.format.parse().expect("a format");
    let make = if by_reference { Parsing::plain } else { Parsing::new };
    make(&format, case.fields).expect("the fields are there")
}

/// Measures each case by criterion, in bytes per second.
fn hostile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hostile");
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    for case in cases() {
        let block = block(&case.line);
        let mut parsing = parsing(&case, false);
        group.throughput(Throughput::Bytes(block.len() as u64));
        group.bench_function(format!("{}/{}", case.group, case.name), |bencher| {
            bencher.iter(|| black_box(parsing.lines(&block)));
        });
    }
}

/// The nanoseconds for a byte of each case, the shortest of all rounds. Each round measures all cases, so that a machine
/// that is busy for a while slows all of them.
fn measure(cases: &[Case], by_reference: bool) -> Vec<f64> {
    let mut states: Vec<_> =
        cases.iter().map(|case| (parsing(case, by_reference), block(&case.line), f64::INFINITY)).collect();
    for _ in 0..ROUNDS {
        for (parsing, block, best) in &mut states {
            for _ in 0..4 {
                let start = Instant::now();
                assert_ne!(black_box(parsing.lines(block)), 0, "the lines are good");
                *best = best.min(start.elapsed().as_secs_f64() * 1e9 / block.len() as f64);
            }
        }
    }
    states.into_iter().map(|(_, _, best)| best).collect()
}

/// Measures all cases and prints them as a table in Markdown, which `docs/hostile-lines.md` has.
fn table(by_reference: bool) {
    println!("| lines | bytes | ns/line | ns/byte | of an ordinary one |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    let cases = cases();
    let costs = measure(&cases, by_reference);
    let mut ordinary = 1.0;
    for (case, cost) in cases.iter().zip(costs) {
        if case.name == "ordinary" {
            ordinary = cost;
        }
        let (len, times) = (case.line.len() + 1, cost / ordinary);
        let line = cost * len as f64;
        println!("| {}: {} | {len} | {line:.0} | {cost:.2} | {times:.1} |", case.group, case.name);
    }
}

fn main() {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    if has("--table") {
        return table(has("--reference"));
    }
    let mut criterion = Criterion::default().configure_from_args();
    hostile(&mut criterion);
    criterion.final_summary();
}
