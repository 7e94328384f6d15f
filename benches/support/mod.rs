//! The workloads, with the statistics that evs counts of them, for benches and tests.

// Each bench and test is a program of its own, and uses only a part of this.
#![allow(dead_code)]

pub(crate) mod formats;
pub(crate) mod hostile;
pub(crate) mod top;

use std::collections::BTreeSet;

use evs::prelude::*;
use evs_testkit::{Generator, Measure, Options, StatisticSpec, Workload};

/// The number of bytes that a worker reads at a time, about.
const BLOCK_BYTES: usize = 256 << 10;

/// The statistics of a workload.
pub(crate) fn statistics(workload: Workload) -> Vec<Statistic> {
    workload.statistics().iter().map(statistic).collect()
}

/// The statistic of a specification.
fn statistic(spec: &StatisticSpec) -> Statistic {
    let statistic = Statistic::named(spec.name).group_by(spec.by.iter().copied()).measure(count());
    spec.measures.iter().fold(statistic, |statistic, measure| match *measure {
        Measure::Sum(field, scale) => statistic.measure(sum(field).scale(scale)),
        Measure::Max(field, scale) => statistic.measure(max(field).scale(scale)),
    })
}

/// The log format of a workload.
pub(crate) fn format(workload: Workload) -> LogFormat {
    workload.log_format().parse().expect("a workload's format is one")
}

/// The fields that the statistics of a workload need of a line.
pub(crate) fn fields(workload: Workload) -> Vec<&'static str> {
    let mut fields = BTreeSet::new();
    for spec in workload.statistics() {
        fields.extend(spec.by);
        fields.extend(spec.measures.iter().map(Measure::field));
    }
    fields.into_iter().collect()
}

/// A log of the given number of ordinary lines.
pub(crate) fn log(workload: Workload, lines: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    Generator::of(workload, Options::default()).lines(lines, &mut bytes);
    bytes
}

/// The log in blocks of whole lines, as a worker reads them.
pub(crate) fn blocks(log: &[u8]) -> Vec<&[u8]> {
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
