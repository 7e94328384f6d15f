//! kill -9 of the real process at random moments, while a writer appends in pieces that end anywhere and rotates:
//! nothing is lost, and nothing is counted twice.
//!
//! `EVS_KILLS` says how often to kill; a longer run than CI's is `EVS_KILLS=200 cargo test --test kill`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../benches/support/mod.rs"]
mod bench_support;
mod support;

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use evs::prelude::*;
use evs_testkit::{Generator, Kind, Mix, Options, Random, RotatingLog, Workload};
use support::{access_log, answers, digest_of, schema_of, spec, sqlite_totals};

/// Statistics that are cut at different times, so that after a kill each goes on from another position.
const STATISTICS: [(&str, &str); 3] =
    [("often", "flush=50ms"), ("seldom", "flush=700ms"), ("early", "flush=5s; rows=4")];
const MIX: Mix = Mix { malformed_every: 97, odd_every: 101 };

/// The arguments of the process, and the pace of the writer.
struct Job {
    format: &'static str,
    statistics: Vec<String>,
    /// A statistic that is added after the first run, to a source that has older files by then.
    added: Option<String>,
    workers: &'static str,
    /// True if there are [`answers`], too.
    has_answers: bool,
    /// The writer writes up to that many lines at a time.
    lines_max: u64,
}

impl Job {
    fn of_kind(kind: Kind, workers: &'static str) -> Self {
        let statistics = STATISTICS.iter().map(|(name, settings)| spec(kind, name, settings)).collect();
        Self {
            format: evs_testkit::log_format(kind),
            statistics,
            added: None,
            workers,
            has_answers: false,
            lines_max: 2000,
        }
    }

    fn start(&self, dir: &Path, once: bool) -> Child {
        let mut command = Command::new(access_log());
        command.arg("--log").arg(dir.join("access.log")).arg("--state").arg(dir.join("state"));
        command.arg("--sink").arg(format!("{}=sqlite://{}", answers::SINK, dir.join("stats.db").display()));
        command.args(["--format", self.format, "--workers", self.workers]);
        let is_first = !dir.join("state").exists();
        for statistic in self.statistics.iter().chain(self.added.iter().filter(|_| !is_first)) {
            command.args(["--stat", statistic]);
        }
        if self.has_answers {
            answers::add_to(&mut command);
        }
        if once {
            command.arg("--once");
        }
        command.stdout(Stdio::null()).spawn().unwrap()
    }

    fn run_to_end(&self, dir: &Path) {
        let status = self.start(dir, true).wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

/// Kills the process again and again while the log grows and is rotated, and lets it come to the end at last.
async fn kill_and_finish(dir: &Path, job: &Job, generator: Generator, seed: u64) -> RotatingLog {
    let kills: u64 = std::env::var("EVS_KILLS").map_or(25, |kills| kills.parse().unwrap());
    let mut log = RotatingLog::create(dir.join("access.log"), generator, seed).unwrap();
    let mut random = Random::new(seed);
    // A new source begins with the log that is there, and knows of no older one. Were it killed before it has begun,
    // and the log rotated, the next start would be a new source's again.
    if job.added.is_some() {
        for _ in 0..4 {
            log.write(5_000).unwrap();
            log.rotate().unwrap();
        }
        log.write(5_000).unwrap();
    }
    job.run_to_end(dir);
    for _ in 0..kills {
        let mut process = job.start(dir, false);
        // The writer's pace decides when the process dies: after up to 40 of its steps.
        for _ in 0..1 + random.below(40) {
            log.write(1 + random.below(job.lines_max)).unwrap();
            if random.below(20) == 0 {
                log.rotate().unwrap();
            }
            tokio::time::sleep(Duration::from_micros(random.below(20_000))).await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        // Some of what happens, happens while it is down.
        for _ in 0..random.below(3) {
            log.write(1 + random.below(job.lines_max)).unwrap();
            log.rotate().unwrap();
        }
    }
    log.finish().unwrap();
    job.run_to_end(dir);
    log
}

async fn survives_kills(kind: Kind, workers: &'static str, seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let generator = Generator::new(kind, MIX, seed);
    let mut log = kill_and_finish(dir.path(), &Job::of_kind(kind, workers), generator, seed).await;
    let generator = log.finish().unwrap();
    let lines = |totals: &evs_testkit::Totals| totals.values().map(|total| total.0).sum::<u64>();
    for (name, _) in STATISTICS {
        let totals = sqlite_totals(&dir.path().join("stats.db"), kind, name).await;
        assert_eq!(lines(&totals), lines(generator.totals()), "{name}, seed {seed}: lost or counted twice");
        assert!(totals == *generator.totals(), "{name}, seed {seed}: the totals differ");
    }
}

#[tokio::test]
async fn no_line_is_lost_or_counted_twice_with_one_worker() {
    survives_kills(Kind::Combined, "1", 1).await;
}

#[tokio::test]
async fn no_line_is_lost_or_counted_twice_with_four_workers() {
    survives_kills(Kind::Ads, "4", 2).await;
}

/// The statistic reads its older files while the process is killed, and while they are renamed and compressed.
#[tokio::test]
async fn no_line_is_lost_or_counted_twice_in_a_statistic_that_begins_at_the_oldest_file() {
    let (kind, seed) = (Kind::Combined, 4);
    let dir = tempfile::tempdir().unwrap();
    let added = Some(spec(kind, "added", "begin=oldest; flush=50ms"));
    let job = Job { added, ..Job::of_kind(kind, "2") };
    let mut log = kill_and_finish(dir.path(), &job, Generator::new(kind, MIX, seed), seed).await;
    let totals = async |name| sqlite_totals(&dir.path().join("stats.db"), kind, name).await;
    let expected = log.finish().unwrap().totals();
    let lines = |totals: &evs_testkit::Totals| totals.values().map(|total| total.0).sum::<u64>();
    let added = totals("added").await;
    assert_eq!(lines(&added), lines(expected), "seed {seed}: lost or counted twice");
    assert!(added == *expected, "seed {seed}: the totals differ");
    // The others have what came after the older files, all the same.
    let others = [totals("often").await, totals("seldom").await, totals("early").await];
    assert!(lines(&others[0]) + 15_000 < lines(expected), "{} lines", lines(&others[0]));
    assert!(others.iter().all(|other| *other == others[0]), "seed {seed}: the others differ");
}

/// Conditions, derived keys, top lists, distinct counts, histograms, samples and routes.
#[tokio::test]
async fn no_line_is_lost_or_counted_twice_in_answers_of_all_kinds() {
    let (kind, seed) = (answers::KIND, 5);
    let dir = tempfile::tempdir().unwrap();
    let job = Job { has_answers: true, lines_max: 300, ..Job::of_kind(kind, "2") };
    kill_and_finish(dir.path(), &job, Generator::new(kind, MIX, seed), seed).await;
    let sink = SqliteSink::open(dir.path().join("stats.db")).await.unwrap();
    let when = format!("seed {seed}");
    answers::assert_exact(&dir.path().join("access.log"), dir.path(), &sink, &when).await;
}

#[tokio::test]
async fn no_line_is_lost_or_counted_twice_in_thirty_statistics() {
    let (workload, seed) = (Workload::Cdn30, 3);
    let dir = tempfile::tempdir().unwrap();
    let settings = ["flush=50ms", "flush=700ms", "flush=5s; rows=1000"].into_iter().cycle();
    let statistics = workload.statistics().iter().zip(settings);
    let job = Job {
        format: workload.log_format(),
        statistics: statistics.map(|(spec, settings)| format!("{spec}; {settings}")).collect(),
        added: None,
        workers: "4",
        has_answers: false,
        lines_max: 100,
    };
    let options = Options { mix: MIX, is_shuffled: true, seed };
    let mut log = kill_and_finish(dir.path(), &job, Generator::of(workload, options), seed).await;
    let sink = SqliteSink::open(dir.path().join("stats.db")).await.unwrap();
    let expected = log.finish().unwrap().digests();
    for (statistic, expected) in bench_support::statistics(workload).into_iter().zip(expected) {
        let schema = schema_of(workload.log_format(), statistic);
        let found = digest_of(&sink, &schema).await;
        assert_eq!(found, expected, "{}, seed {seed}: lost or counted twice", schema.statistic);
    }
}
