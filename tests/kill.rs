//! kill -9 of the real process at random moments, while a writer appends in pieces that end anywhere and rotates:
//! nothing is lost, and nothing is counted twice.
//!
//! `EVS_KILLS` says how often to kill; a longer run than CI's is `EVS_KILLS=200 cargo test --test kill`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use evs_testkit::{Generator, Kind, Mix, Random, RotatingLog};
use support::{access_log, spec, sqlite_totals};

/// Statistics that are cut at different times, so that after a kill each goes on from another position.
const STATISTICS: [(&str, &str); 3] =
    [("often", "flush=50ms"), ("seldom", "flush=700ms"), ("early", "flush=5s; rows=4")];

fn start(dir: &Path, kind: Kind, workers: &str, once: bool) -> Child {
    let mut command = Command::new(access_log());
    command.arg("--log").arg(dir.join("access.log")).arg("--state").arg(dir.join("state"));
    command.arg("--sink").arg(format!("sqlite://{}", dir.join("stats.db").display()));
    command.args(["--format", evs_testkit::log_format(kind), "--workers", workers]);
    for (name, settings) in STATISTICS {
        command.args(["--stat", &spec(kind, name, settings)]);
    }
    if once {
        command.arg("--once");
    }
    command.stdout(Stdio::null()).spawn().unwrap()
}

async fn survives_kills(kind: Kind, workers: &str, seed: u64) {
    let kills: u64 = std::env::var("EVS_KILLS").map_or(25, |kills| kills.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mix = Mix { malformed_every: 97, odd_every: 101 };
    let generator = Generator::new(kind, mix, seed);
    let mut log = RotatingLog::create(dir.path().join("access.log"), generator, seed).unwrap();
    let mut random = Random::new(seed);
    for _ in 0..kills {
        let mut process = start(dir.path(), kind, workers, false);
        // The writer's pace decides when the process dies: after up to 40 of its steps.
        for _ in 0..1 + random.below(40) {
            log.write(1 + random.below(2000)).unwrap();
            if random.below(20) == 0 {
                log.rotate().unwrap();
            }
            tokio::time::sleep(Duration::from_micros(random.below(20_000))).await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        // Some of what happens, happens while it is down.
        for _ in 0..random.below(3) {
            log.write(1 + random.below(2000)).unwrap();
            log.rotate().unwrap();
        }
    }
    let generator = log.finish().unwrap();
    let status = start(dir.path(), kind, workers, true).wait().unwrap();
    assert!(status.success(), "{status}");
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
