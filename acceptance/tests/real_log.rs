//! The example counts a real log into all five stores at once, and they agree to the last digit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    path::Path,
    process::Command,
};

use evs::prelude::*;
use support::{access_log, process::Running, schema_of, totals_of};

/// The log of a web site, and that of a server that gets anything but requests. `tests/samples/README.md` describes
/// them.
const LOGS: [&str; 2] = ["apache-combined.log", "nginx-malformed-requests.log"];
/// The number of lines in both.
const LINES: u64 = 150 + 11;
/// The sum of `$body_bytes_sent` over both.
const BYTES: i128 = 6_357_034 + 1_727;

#[tokio::test(flavor = "multi_thread")]
async fn a_real_log_has_the_same_totals_in_every_store() {
    let dir = tempfile::tempdir().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/samples");
    let log = LOGS.map(|name| fs::read(samples.join(name)).unwrap()).concat();
    fs::write(dir.path().join("access.log"), log).unwrap();
    let servers = ["mysql", "postgres", "mongo", "cassandra"].map(evs_testkit::server);
    let sqlite = format!("sqlite://{}", dir.path().join("stats.db").display());
    let urls: Vec<_> = [sqlite].into_iter().chain(servers.into_iter().flatten()).collect();

    // Others count into these servers as well.
    let name = format!("real_{:016x}", RandomState::new().hash_one(std::process::id()));
    let mut command = Command::new(access_log());
    command.arg("--log").arg(dir.path().join("access.log")).arg("--state").arg(dir.path().join("state"));
    command.args(["--source", &name, "--once"]);
    command.args(["--stat", &format!("{name}; by=remote_addr,request,status; count; sum=body_bytes_sent")]);
    for url in &urls {
        command.args(["--sink", url]);
    }
    let outcome = Running::start(&mut command).outcome();
    outcome.assert_complete();
    assert_eq!(outcome.lines(), LINES);

    let statistic = Statistic::named(&name).group_by(["remote_addr", "request", "status"]);
    let schema = schema_of("combined", statistic.measure(count()).measure(sum("body_bytes_sent")));
    let mut expected = None;
    for url in &urls {
        let totals = totals_of(&*evs::sink_from_url(url).await.unwrap(), &schema).await;
        let sum = totals.values().fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
        assert_eq!(sum, (LINES, BYTES), "{url}");
        assert!(
            *expected.get_or_insert_with(|| totals.clone()) == totals,
            "{url} has other rows than {}",
            urls[0]
        );
    }
}
