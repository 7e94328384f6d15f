//! A machine whose clock is two years ahead, and stores with a retention whose clocks are right.
//!
//! The clock is that of the process alone, by `libfaketime`. The monotonic clock stays right, as it does when a real
//! clock jumps.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    hash::{BuildHasher, RandomState},
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use evs::prelude::*;
use support::{
    access_log,
    process::{Outcome, Running},
    schema_of, totals_of,
};

/// The path at which Debian's package `libfaketime` puts the variant for programs with threads, on any architecture.
const FAKETIME: &str = "/usr/lib/*/faketime/libfaketimeMT.so.1";
/// The jump of the clock, in seconds.
const YEARS: u64 = 2 * 365 * 86_400;

/// A log, and the stores that it is counted into.
struct Place {
    dir: tempfile::TempDir,
    /// The source and its statistic: others count into these servers as well.
    name: String,
    sinks: BTreeMap<&'static str, String>,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = format!("sqlite://{}", dir.path().join("stats.db").display());
        let servers = ["mysql", "postgres", "mongo", "cassandra"];
        let mut sinks: BTreeMap<_, _> =
            servers.into_iter().filter_map(|name| Some((name, evs_testkit::server(name)?))).collect();
        sinks.insert("sqlite", sqlite);
        let name = format!("clock_{:016x}", RandomState::new().hash_one(std::process::id()));
        Self { dir, name, sinks }
    }

    /// Logs a request of that time.
    fn log(&self, then: SystemTime) {
        let seconds = then.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut date = Command::new("date");
        date.env("LC_ALL", "C").args(["-u", "-d", &format!("@{seconds}"), "+%d/%b/%Y:%H:%M:%S +0000"]);
        let date = String::from_utf8(date.output().unwrap().stdout).unwrap();
        let line = format!("::1 - - [{}] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\n", date.trim_end());
        let log = OpenOptions::new().append(true).create(true).open(self.path("access.log"));
        log.unwrap().write_all(line.as_bytes()).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Counts the log into all stores, by a process that `prepare` may give another clock.
    fn run(&self, prepare: impl FnOnce(&mut Command)) -> Outcome {
        let mut command = Command::new(access_log());
        command.arg("--log").arg(self.path("access.log")).arg("--state").arg(self.path("state"));
        command.args(["--source", &self.name, "--once", "--stat"]);
        command.arg(format!("{}; by=status; count; sum=body_bytes_sent; retain=1h", self.name));
        for url in self.sinks.values() {
            command.args(["--sink", url]);
        }
        prepare(&mut command);
        let outcome = Running::start(&mut command).outcome();
        outcome.assert_complete();
        outcome
    }

    /// The number of lines that each store has.
    async fn lines(&self) -> BTreeMap<&'static str, u64> {
        let statistic = Statistic::named(&self.name).group_by(["status"]).measure(count());
        let statistic = statistic.measure(sum("body_bytes_sent")).retain(Duration::from_secs(3600));
        let schema = schema_of("combined", statistic);
        let mut lines = BTreeMap::new();
        for (&name, url) in &self.sinks {
            let totals = totals_of(&*evs::sink_from_url(url).await.unwrap(), &schema).await;
            lines.insert(name, totals.values().map(|total| total.0).sum());
        }
        lines
    }

    /// The result if every store has that number of lines.
    fn all(&self, lines: u64) -> BTreeMap<&'static str, u64> {
        self.sinks.keys().map(|name| (*name, lines)).collect()
    }
}

/// The path of the library, if it is installed.
fn faketime() -> Option<String> {
    let found = Command::new("sh").args(["-c", &format!("ls {FAKETIME}")]).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    found.lines().next().filter(|path| Path::new(path).exists()).map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_two_years_ahead_removes_nothing_from_any_store() {
    let Some(library) = faketime() else {
        evs_testkit::services::skip("faketime", "libfaketime is not installed");
        return;
    };
    let ahead = |command: &mut Command| {
        command.env("LD_PRELOAD", &library).env("FAKETIME", "+2y").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    };
    let place = Place::new();
    let now = SystemTime::now();
    let minutes = |minutes: u64| now - Duration::from_secs(60 * minutes);
    (1..=3).for_each(|ago| place.log(minutes(ago)));
    place.run(|_| ());
    assert_eq!(place.lines().await, place.all(3));

    // The clock jumps while evs is not running. It does not believe it, so no line is too late either.
    place.log(minutes(0));
    place.log(minutes(2));
    let outcome = place.run(ahead);
    assert_eq!(outcome.summary()["lines"], 2);
    assert_eq!(place.lines().await, place.all(5), "{}", outcome.stderr);

    // Somebody says that the clock is right, and a line says so too. Where the store has a clock of its own, that
    // one decides; SQLite has this machine's.
    place.log(now + Duration::from_secs(YEARS));
    let outcome = place.run(|command| {
        ahead(command);
        command.arg("--trust-clock");
    });
    let mut expected = place.all(6);
    expected.insert("sqlite", 1);
    assert_eq!(place.lines().await, expected, "{}", outcome.stderr);
}
