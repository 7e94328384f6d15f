//! Counts the instructions that it takes to parse and to aggregate the workloads.
//!
//! The count is the same on a busy machine, so it is good for comparing one version with another. It needs valgrind and
//! gungraun's runner; `scripts/bench-instructions` installs both.

#![allow(missing_docs, unused_qualifications, reason = "of what gungraun's macros make")]

mod support;

use std::hint::black_box;

use evs::{LineParser, Record};
use evs_core::internals::Aggregation;
use evs_testkit::Workload;
use gungraun::{library_benchmark, library_benchmark_group, main};
use support::{blocks, fields, format, log, statistics};

/// The number of lines of each log: few, since valgrind is slow.
const LINES: u64 = 20_000;

/// A parser and a log for it.
fn to_parse(workload: Workload) -> (LineParser, Vec<u8>) {
    let parser = format(workload).parser(&fields(workload)).expect("the fields are there");
    (parser, log(workload, LINES))
}

/// Reads single lines by the reference.
#[library_benchmark(setup = to_parse)]
#[bench::w1(Workload::Combined)]
#[bench::w2(Workload::Ads)]
#[bench::w3_10(Workload::Cdn10)]
#[bench::w3_30(Workload::Cdn30)]
#[bench::json(Workload::Json)]
fn parse((mut parser, log): (LineParser, Vec<u8>)) -> (LineParser, Vec<u8>) {
    let (mut record, mut rest) = (Record::new(), &log[..]);
    while let Some(end) = memchr::memchr(b'\n', rest) {
        parser.parse(&rest[..end], &mut record).expect("a good line");
        black_box(&record);
        rest = &rest[end + 1..];
    }
    // These are returned so that dropping them is not measured.
    (parser, log)
}

/// Counts the same lines once before, so that their keys are known, as they are in the long run.
fn to_aggregate(workload: Workload) -> (Aggregation, Vec<u8>) {
    let mut aggregation =
        Aggregation::new(&format(workload), &statistics(workload)).expect("the fields are there");
    let log = log(workload, LINES);
    blocks(&log).into_iter().for_each(|block| aggregation.lines(block));
    (aggregation, log)
}

/// Reads blocks by the fast path, and aggregates them.
#[library_benchmark(setup = to_aggregate)]
#[bench::w1(Workload::Combined)]
#[bench::w2(Workload::Ads)]
#[bench::w3_10(Workload::Cdn10)]
#[bench::w3_30(Workload::Cdn30)]
#[bench::json(Workload::Json)]
fn parse_and_aggregate((mut aggregation, log): (Aggregation, Vec<u8>)) -> (Aggregation, Vec<u8>) {
    blocks(&log).into_iter().for_each(|block| aggregation.lines(block));
    (aggregation, log)
}

library_benchmark_group!(name = lines; benchmarks = parse, parse_and_aggregate);
main!(library_benchmark_groups = lines);
