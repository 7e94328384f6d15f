//! The part that the tests of whole pipelines share: the statistic of each kind of log, and the totals that a store
//! has of it.
//!
//! `acceptance/tests` and `tests/*.rs` include this file as a module.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code)]
// A failure here fails the test.
#![allow(clippy::unwrap_used)]

pub(crate) mod answers;
pub(crate) mod process;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
};

use evs::{Schema, prelude::*};
use evs_testkit::{Digest, Kind, Totals};

/// The fields that a kind of log is counted by, and the field that is added up.
fn fields(kind: Kind) -> (&'static [&'static str], &'static str) {
    match kind {
        Kind::Combined => (&["status"], "body_bytes_sent"),
        Kind::Ads => (&["arg_c", "arg_t"], "arg_v"),
        Kind::Cdn => (&["host"], "body_bytes_sent"),
    }
}

/// A statistic that counts a kind of log the way its generator does.
pub(crate) fn statistic(kind: Kind, name: &str) -> Statistic {
    let (keys, value) = fields(kind);
    Statistic::named(name).group_by(keys.iter().copied()).measure(count()).measure(sum(value))
}

/// The same as an argument of the example, followed by more settings.
pub(crate) fn spec(kind: Kind, name: &str, settings: &str) -> String {
    let (keys, value) = fields(kind);
    format!("{name}; by={}; count; sum={value}; {settings}", keys.join(","))
}

/// The totals that the database has of the statistic of [`spec`].
pub(crate) async fn sqlite_totals(database: &Path, kind: Kind, name: &str) -> Totals {
    sqlite_totals_of(database, evs_testkit::log_format(kind), statistic(kind, name)).await
}

/// The totals that the database has of a statistic of a count and a sum.
pub(crate) async fn sqlite_totals_of(database: &Path, format: &str, statistic: Statistic) -> Totals {
    totals_of(&SqliteSink::open(database).await.unwrap(), &schema_of(format, statistic)).await
}

/// The schema of a statistic, as sinks know it.
pub(crate) fn schema_of(format: &str, statistic: Statistic) -> Arc<Schema> {
    let dir = tempfile::tempdir().unwrap();
    // A pipeline that is never run.
    let pipeline = Pipeline::builder("reader")
        .tail(dir.path().join("none.log"))
        .format(format.parse().unwrap())
        .statistic(statistic)
        .sink("none", evs::MemorySink::new())
        .state_dir(dir.path().join("state"))
        .build()
        .unwrap();
    let schema = pipeline.schemas().next().unwrap();
    Arc::clone(schema)
}

/// The totals that a sink has of a statistic of a count and a sum.
pub(crate) async fn totals_of(sink: &dyn Sink, schema: &Schema) -> Totals {
    let rows = sink.totals(schema, i64::MIN..i64::MAX).await.unwrap();
    let mut totals = Totals::new();
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        let keys = row.keys.iter().map(|key| key.to_vec()).collect();
        let (count, sum) = (row.values[0].unwrap(), row.values[1].unwrap());
        totals.insert((row.window_start, keys), (u64::try_from(count).unwrap(), sum));
    }
    totals
}

/// The digest of the totals that a sink has of a workload's statistic, as its generator computes it.
pub(crate) async fn digest_of(sink: &dyn Sink, schema: &Schema) -> Digest {
    let rows = sink.totals(schema, i64::MIN..i64::MAX).await.unwrap();
    let (mut digest, mut cursor) = (Digest::default(), rows.cursor());
    while let Some(row) = cursor.next_row() {
        let lines = u64::try_from(row.values[0].unwrap()).unwrap();
        let value = row.values.get(1).map(|value| value.unwrap());
        digest.add(row.window_start, row.keys.iter().copied(), lines, value);
    }
    digest
}

/// The path of the example `access_log`, which is built from the present sources first.
pub(crate) fn access_log() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| example("access_log"))
}

/// The path of an example, which is built from the present sources first.
pub(crate) fn example(name: &str) -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    // As scripts/test has built it: with other features, all dependencies would be built once more.
    build.args(["build", "--quiet", "--workspace", "--features", "evs/full", "--example", name]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
    assert!(status.success(), "{build:?}");
    // target/debug/deps/this-test -> target/debug/examples/access_log
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples").join(name)
}
