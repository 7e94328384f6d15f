//! Real processes with one source name on one database: a cloned machine, and two machines with the same name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../benches/support/mod.rs"]
mod bench_support;
mod support;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use evs::prelude::*;
use support::{
    access_log,
    process::{Outcome, Running},
    schema_of,
};

/// Some machines, and the database that they write to.
struct World(tempfile::TempDir);

/// A log and a state directory.
struct Machine<'w> {
    world: &'w World,
    dir: PathBuf,
}

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn machine(&self, name: &str) -> Machine<'_> {
        let dir = self.0.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        Machine { world: self, dir }
    }

    fn database(&self) -> PathBuf {
        self.0.path().join("stats.db")
    }

    /// Lines by status.
    async fn totals(&self) -> Vec<(String, i128)> {
        let sink = SqliteSink::open(self.database()).await.unwrap();
        let by_status = Statistic::named("requests").group_by(["status"]).measure(count());
        let rows = sink.totals(&schema_of("combined", by_status), i64::MIN..i64::MAX).await.unwrap();
        let (mut totals, mut cursor) = (Vec::new(), rows.cursor());
        while let Some(row) = cursor.next_row() {
            totals.push((String::from_utf8(row.keys[0].to_vec()).unwrap(), row.values[0].unwrap()));
        }
        totals
    }
}

impl Machine<'_> {
    fn append(&self, status: u16) {
        let mut log = OpenOptions::new().append(true).create(true).open(self.dir.join("access.log")).unwrap();
        let line =
            format!("::1 - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" {status} 1 \"-\" \"-\"\n");
        log.write_all(line.as_bytes()).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(access_log());
        command.arg("--log").arg(self.dir.join("access.log")).arg("--state").arg(self.dir.join("state"));
        command.arg("--sink").arg(format!("sqlite://{}", self.world.database().display()));
        command.args(["--stat", "requests; window=60s; flush=10ms; by=status; count"]);
        command.env("RUST_LOG", "warn,evs_core::deliver=info");
        command
    }

    fn start(&self) -> Running {
        let mut running = Running::start(&mut self.command());
        running.until("claimed", |running| running.stderr().contains("the source is claimed"));
        running
    }

    fn run_to_end(&self, arguments: &[&str]) -> Outcome {
        Running::start(self.command().arg("--once").args(arguments)).outcome()
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => copy_all(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

fn of<const N: usize>(totals: [(&str, i128); N]) -> Vec<(String, i128)> {
    totals.into_iter().map(|(status, lines)| (status.to_owned(), lines)).collect()
}

#[track_caller]
fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

#[tokio::test]
async fn a_cloned_machine_is_found_out_and_goes_on_under_a_name_of_its_own() {
    let world = World::new();
    let (original, clone) = (world.machine("a"), world.machine("b"));
    original.append(200);
    original.run_to_end(&[]).assert_complete();
    copy_all(&original.dir, &clone.dir);
    let mut first = original.start();
    let second = clone.start();
    // The clone has taken over, so the original stops, says who has, and keeps what it has cut.
    original.append(200);
    first.until("stopped", |first| first.stderr().contains("the sink stopped"));
    assert_says(
        &first.stderr(),
        &["was taken over by", &format!("process {} on host", second.id()), "cloned_from"],
    );
    first.signal("TERM");
    let ended = first.outcome();
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    second.signal("TERM");
    second.outcome().assert_complete();
    // The original starts again, and takes over from a clone that has delivered nothing.
    original.run_to_end(&[]).assert_complete();
    clone.append(404);
    let ended = clone.run_to_end(&[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_says(&ended.stderr, &["statistic requests", "has batch 2", "cloned_from"]);
    assert_eq!(world.totals().await, of([("200", 2)]));
    let (old, new) = (clone.dir.join("state"), clone.dir.join("new"));
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let cloned = ["--source", "web2", "--cloned-from", old, "--undelivered", "deliver"];
    let mut command = Command::new(access_log());
    command.args(clone.command().get_args().map(|argument| match argument == old {
        true => new.as_ref(),
        false => argument,
    }));
    Running::start(command.args(cloned).arg("--once")).outcome().assert_complete();
    assert_eq!(world.totals().await, of([("200", 2), ("404", 1)]));
}

#[tokio::test]
async fn of_two_machines_with_one_name_the_later_ends_and_names_the_other() {
    let world = World::new();
    let (first, second) = (world.machine("a"), world.machine("b"));
    let mut running = first.start();
    second.append(404);
    for _ in 0..2 {
        let ended = second.run_to_end(&[]);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let holder = format!("claimed last by process {} on host", running.id());
        assert_says(&ended.stderr, &[&holder, "a name and an empty state directory of its own"]);
    }
    running.assert_running();
    first.append(200);
    running.signal("TERM");
    running.outcome().assert_complete();
    first.append(200);
    first.run_to_end(&[]).assert_complete();
    assert_eq!(world.totals().await, of([("200", 2)]));
    // A lost state directory: nobody else counts, and it takes over.
    fs::remove_dir_all(first.dir.join("state")).unwrap();
    first.append(500);
    assert_eq!(first.run_to_end(&[]).status.code(), Some(1));
    first.run_to_end(&["--on-lost-state", "adopt"]).assert_complete();
    assert_eq!(world.totals().await, of([("200", 2), ("500", 1)]));
}
