//! The real process is killed again and again while its log is rotated, slowly and in all the ways that rotate a log:
//! nothing is lost, and nothing is counted twice.
//!
//! In each of its lives the process finds a slice of lines of its own, which it has read at its end or not. The lines
//! carry the number of their slice and their own, and the statistic is by slice: a wrong number names the slice that
//! was lost or counted twice. Where a test fails, its directory is kept and named.
//!
//! The tests are short. What makes them long, as scripts/rotation-storm does:
//!
//! - `EVS_STORM_SEEDS=1..80` goes through the seeds from 1 to 80, both included, instead of one,
//! - `EVS_STORM_KILLS=60` says how often the process is killed for each seed; 12 is the default.
//!
//! A seed decides what is written and when, but not when the machine gets to it: a failure may need some runs to come
//! again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::Write as _,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use evs::prelude::*;
use evs_testkit::{Random, rotated_files};
use support::{access_log, process::Running, sqlite_totals_of};

/// The longest life. An unoptimised process takes longer to begin.
const LIFE_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 250 } else { 120 });
/// The longest pause between two steps of a rotation.
const PAUSE_MAX: Duration = Duration::from_millis(4);
/// A slice has up to that many lines.
const SLICE_MAX: u64 = 10_000;

/// The way in which the log is rotated.
#[derive(Clone, Copy, Debug)]
enum Way {
    Rename,
    /// The second file is compressed, and its time is that of the compression.
    Gzip,
    /// The live file is copied and truncated. Nobody writes between the two.
    CopyTruncate,
}

/// By slice, its lines and the sum of their numbers.
type Slices = BTreeMap<u64, (u64, i128)>;

/// The log, and whoever writes and rotates it.
struct Log {
    path: PathBuf,
    file: File,
    way: Way,
    random: Random,
    rotations: u64,
    slices: Slices,
}

fn open(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}

/// A pause is what is tested here: whatever time the process gets, the numbers are exact.
#[expect(clippy::disallowed_methods)]
fn pause(random: &mut Random, max: Duration) {
    std::thread::sleep(Duration::from_micros(random.below(max.as_micros() as u64)));
}

impl Log {
    /// Writes a slice in pieces that end anywhere.
    fn write(&mut self, slice: u64) {
        let lines = 1 + self.random.below(SLICE_MAX);
        let mut text = String::new();
        for number in 1..=lines {
            let (client, second, agent) = (number % 250, number % 60, self.random.number());
            // Lines of different lengths, so that no place in a file is the end of a line in most of the others.
            let width = self.random.below(17) as usize;
            writeln!(
                text,
                "192.0.2.{client} - - [01/Mar/2026:10:00:{second:02} +0000] \"GET /e?s={slice}&n={number} HTTP/1.1\" \
                 200 {number} \"-\" \"agent {agent:0width$x}\""
            )
            .unwrap();
        }
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let sizes = [7, 100, 4096, 65_536];
            let size = if self.random.below(10) < 3 { sizes[self.random.below(4) as usize] } else { 1 << 20 };
            let (piece, others) = rest.split_at(size.min(rest.len()));
            self.file.write_all(piece).unwrap();
            rest = others;
        }
        self.slices.insert(slice, (lines, i128::from(lines * (lines + 1) / 2)));
    }

    fn pause(&mut self) {
        pause(&mut self.random, PAUSE_MAX);
    }

    fn numbered(&self, number: u64, extension: &str) -> PathBuf {
        PathBuf::from(format!("{}.{number}{extension}", self.path.display()))
    }

    /// Renames the rotated files, the oldest first, then rotates the live file, and compresses the second one.
    fn rotate(&mut self) {
        self.rotations += 1;
        let mut older = rotated_files(&self.path).unwrap();
        older.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        for (number, path) in older {
            let extension =
                if path.extension().is_some_and(|extension| extension == "gz") { ".gz" } else { "" };
            fs::rename(path, self.numbered(number + 1, extension)).unwrap();
            self.pause();
        }
        let first = self.numbered(1, "");
        match self.way {
            Way::Rename | Way::Gzip => {
                fs::rename(&self.path, first).unwrap();
                self.pause();
                self.file = open(&self.path);
            }
            Way::CopyTruncate => {
                fs::copy(&self.path, first).unwrap();
                self.pause();
                self.file.set_len(0).unwrap();
            }
        }
        if matches!(self.way, Way::Gzip) && self.numbered(2, "").exists() {
            self.pause();
            self.compress(2);
        }
    }

    /// For a while there are both files, of which the compressed one has the present time.
    fn compress(&mut self, number: u64) {
        let (from, to) = (self.numbered(number, ""), self.numbered(number, ".gz"));
        let mut gzip = Command::new("gzip");
        gzip.args(["-1", "-c"]).stdin(File::open(&from).unwrap()).stdout(File::create(to).unwrap());
        let status = gzip.status().unwrap();
        assert!(status.success(), "gzip: {status}");
        self.pause();
        fs::remove_file(from).unwrap();
    }
}

/// A log, what the process needs to count it, and the directory of both.
struct Storm {
    dir: tempfile::TempDir,
    name: String,
    random: Random,
}

impl Storm {
    fn database(&self) -> PathBuf {
        self.dir.path().join("stats.db")
    }

    fn command(&self) -> Command {
        let dir = self.dir.path();
        let mut command = Command::new(access_log());
        command.arg("--log").arg(dir.join("logs/access.log")).arg("--state").arg(dir.join("state"));
        command.args(["--format", "combined", "--from", "oldest", "--source", "storm"]);
        command.args(["--stat", "by_slice; window=1h; flush=50ms; by=arg_s; count; sum=arg_n"]);
        command.arg("--sink").arg(format!("sqlite://{}", self.database().display()));
        command
    }

    fn start(&self) -> Running {
        Running::start(&mut self.command())
    }

    /// Kills a process that has not ended by itself, and keeps what it said.
    fn kill(&self, mut running: Running) {
        running.assert_running();
        let mut said =
            OpenOptions::new().append(true).create(true).open(self.dir.path().join("said")).unwrap();
        said.write_all(running.stderr().as_bytes()).unwrap();
    }

    fn pause(&mut self, max: Duration) {
        pause(&mut self.random, max);
    }

    /// Rotates, while the process is killed and started again.
    fn rotate_and_restart(&mut self, log: &mut Log, running: Running) -> Running {
        let is_killed_before = self.random.below(2) == 0;
        std::thread::scope(|scope| {
            if is_killed_before {
                self.kill(running);
                scope.spawn(|| log.rotate());
                self.pause(Duration::from_millis(30));
            } else {
                scope.spawn(|| log.rotate());
                self.pause(Duration::from_millis(30));
                self.kill(running);
            }
            self.start()
        })
    }

    /// One life of the process, with the lines of a slice or without.
    fn live(&mut self, log: &mut Log, slice: u64) {
        let mut running = self.start();
        let begun = Instant::now();
        if self.random.below(5) > 0 {
            log.write(slice);
        }
        // One rotation in two, and one more in four: with empty files, too.
        for _ in 0..[0, 0, 1, 2][self.random.below(4) as usize] {
            match self.random.below(2) {
                0 => log.rotate(),
                _ => running = self.rotate_and_restart(log, running),
            }
        }
        self.pause(LIFE_MAX.saturating_sub(begun.elapsed()).max(PAUSE_MAX));
        self.kill(running);
    }

    async fn counted(&self) -> Slices {
        let statistic = Statistic::named("by_slice")
            .window(Duration::from_secs(3600))
            .group_by(["arg_s"])
            .measure(count());
        let totals = sqlite_totals_of(&self.database(), "combined", statistic.measure(sum("arg_n"))).await;
        let mut slices = Slices::new();
        for ((_, keys), (lines, sum)) in totals {
            let slice = str::from_utf8(&keys[0]).unwrap().parse().unwrap();
            let found = slices.entry(slice).or_default();
            *found = (found.0 + lines, found.1 + sum);
        }
        slices
    }
}

/// Whoever looks into a failure needs the files.
impl Drop for Storm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.dir.disable_cleanup(true);
            eprintln!("{}: everything is kept in {}", self.name, self.dir.path().display());
        }
    }
}

/// The slices that are wrong: what should be, and what is.
fn differences(expected: &Slices, found: &Slices) -> Vec<String> {
    let all: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let of = |slices: &Slices, slice| slices.get(slice).copied().unwrap_or_default();
    all.into_iter()
        .map(|slice| (slice, of(expected, slice), of(found, slice)))
        .filter(|(_, expected, found)| expected != found)
        .map(|(slice, expected, found)| format!("slice {slice} should be {expected:?} and is {found:?}"))
        .collect()
}

async fn storm(way: Way, seed: u64, kills: u64) {
    let name = format!("{way:?}, seed {seed}");
    let mut storm = Storm { dir: tempfile::tempdir().unwrap(), name, random: Random::new(seed) };
    let path = storm.dir.path().join("logs/access.log");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let file = open(&path);
    let random = Random::new(seed + 1_000_000);
    let mut log = Log { path, file, way, random, rotations: 0, slices: Slices::new() };
    for slice in 0..kills {
        storm.live(&mut log, slice);
    }
    let outcome = Running::start(storm.command().arg("--once")).outcome();
    outcome.assert_complete();
    assert!(log.rotations > 0 && !log.slices.is_empty(), "{}: nothing has happened", storm.name);
    let wrong = differences(&log.slices, &storm.counted().await);
    assert!(wrong.is_empty(), "{}: {}", storm.name, wrong.join(", "));
    let lines: u64 = log.slices.values().map(|slice| slice.0).sum();
    eprintln!("{}: {kills} kills, {} rotations, {lines} lines: exact", storm.name, log.rotations);
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn seeds(default: u64) -> RangeInclusive<u64> {
    let Some(text) = setting("EVS_STORM_SEEDS") else { return default..=default };
    let (first, last) = text.split_once("..").unwrap_or((&text, &text));
    first.parse().unwrap()..=last.parse().unwrap()
}

async fn storms(way: Way, default: u64) {
    let kills = setting("EVS_STORM_KILLS").map_or(12, |kills| kills.parse().unwrap());
    for seed in seeds(default) {
        storm(way, seed, kills).await;
    }
}

#[tokio::test]
async fn kills_amid_renames_lose_nothing_and_count_nothing_twice() {
    storms(Way::Rename, 1).await;
}

#[tokio::test]
async fn kills_amid_compression_lose_nothing_and_count_nothing_twice() {
    storms(Way::Gzip, 2).await;
}

#[tokio::test]
async fn kills_amid_copies_and_truncations_lose_nothing_and_count_nothing_twice() {
    storms(Way::CopyTruncate, 3).await;
}
