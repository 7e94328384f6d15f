//! Measures what conditions, derived keys and top lists cost, beside the plain statistic, with one worker in memory.
//!
//!     cargo bench --bench selecting
//!
//! The lines are those of a CDN (W3), which have 20,000 pages. `top` also says how far the lists are from exact counts, and
//! how much memory ten million keys take: `cargo bench --bench selecting -- --accuracy`.

mod support;

use criterion::{Criterion, Throughput};
use evs::{Condition, Field, Statistic, arg, concat, constant, event_time, field, histogram, prelude::*};
use evs_core::internals::Aggregation;
use evs_testkit::Workload;
use support::{blocks, format, log, statistics, top};

/// The number of lines that are counted in one iteration.
const LINES: u64 = 200_000;

/// A derived key beside the plain one of a statistic.
fn derived(key: &str, at: usize) -> Field {
    let plain = field(key);
    let derived = match at % 5 {
        0 => plain.clone().lower(),
        1 => plain.clone().truncate(12),
        2 => plain.clone().default("none"),
        3 => plain.clone().replace("[0-9]+", "N"),
        _ => concat([plain.clone(), constant("", "/")]),
    };
    derived.named(plain.name())
}

/// The statistics of W3 with 30, of which 15 have conditions, and 10 derived keys.
fn selected() -> Vec<Statistic> {
    let conditions = [
        field("status").ge(400),
        field("request_uri").starts_with("/"),
        field("upstream_cache_status").eq("HIT"),
        field("request_method").ne("HEAD") & field("status").lt(500),
        field("remote_addr").in_network(["10.0.0.0/8", "192.0.2.0/24"]) | field("pop").starts_with("f"),
    ];
    let specs = Workload::Cdn30.statistics();
    let plain = statistics(Workload::Cdn30);
    let statistic = |(at, statistic): (usize, Statistic)| {
        let statistic = if at % 2 == 0 {
            statistic.only(conditions[at / 2 % conditions.len()].clone())
        } else {
            statistic
        };
        if at % 3 == 1 {
            let by = specs[at].by;
            return statistic.group_by(by.iter().map(|key| derived(key, at)));
        }
        statistic
    };
    plain.into_iter().enumerate().map(statistic).collect()
}

/// The pairs that are compared: a name, and the statistics.
fn cases() -> Vec<(&'static str, Vec<Statistic>)> {
    let counted = |statistic: Statistic| statistic.measure(count()).measure(sum("body_bytes_sent"));
    let by_host = || counted(Statistic::named("s").group_by(["host"]));
    let by_uri = |key: Field| vec![counted(Statistic::named("s").group_by([key]))];
    let reversed = field("request_uri").map("reversed", 1, |uri, out| out.extend(uri.iter().rev()));
    let one_percent = Condition::code("one_percent", 1, ["request_uri"], |values| {
        values[0].iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31) + u32::from(*byte)) % 100 == 0
    });
    vec![
        ("w3-30 plain", statistics(Workload::Cdn30)),
        ("w3-30 with 15 conditions and 10 derived keys", selected()),
        ("by host, all lines", vec![by_host()]),
        ("by host, status >= 500", vec![by_host().only(field("status").ge(500))]),
        (
            "by host and page, all lines",
            vec![counted(Statistic::named("s").group_by(["host", "request_uri"]))],
        ),
        (
            "by host and page, one page in 100",
            vec![counted(Statistic::named("s").group_by(["host", "request_uri"])).only(one_percent)],
        ),
        ("by page", by_uri(field("request_uri"))),
        ("by a closure on the page", by_uri(reversed)),
        ("by page, top 100", vec![counted(Statistic::named("s").group_by(["request_uri"])).top(100)]),
        ("by hour", by_uri(event_time().hour())),
        ("by the bucket of the time", by_uri(histogram("request_time", 0.01))),
        ("distinct addresses", vec![Statistic::named("s").distinct("remote_addr")]),
        ("one line in 10", vec![by_host().sample(10)]),
        ("of an argument that no line has", vec![by_host().only(!arg("none").is_absent())]),
    ]
}

fn main() {
    if std::env::args().any(|argument| argument == "--accuracy") {
        top::accuracy();
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    let log = log(Workload::Cdn30, LINES);
    let blocks = blocks(&log);
    let mut group = criterion.benchmark_group("selecting");
    group.throughput(Throughput::Elements(LINES));
    for (name, statistics) in cases() {
        let mut aggregation =
            Aggregation::new(&format(Workload::Cdn30), &statistics).expect("the fields are there");
        group.bench_function(name, |bencher| {
            bencher.iter(|| blocks.iter().for_each(|block| aggregation.lines(block)));
        });
    }
    group.finish();
    criterion.final_summary();
}
