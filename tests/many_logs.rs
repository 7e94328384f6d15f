//! A process follows many logs by a pattern, and is killed again and again while they rotate: every line of each of them is
//! counted once.
//!
//! `EVS_LOGS_KILLS` says how often to kill; 8 is the default.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use evs::prelude::*;
use evs_testkit::Random;
use support::{access_log, process::Running, sqlite_totals_of};

/// More logs than those whose positions are written as a whole.
const LOGS: usize = 24;
/// The logs that are written and rotated; the others stay as they are.
const BUSY: usize = 8;
/// The longest life. An unoptimised process takes longer to begin.
const LIFE_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 400 } else { 150 });

/// By log, its lines and the sum of their numbers.
type Lines = BTreeMap<usize, (u64, i128)>;

/// The logs, and whoever writes and rotates them.
struct Site {
    dir: tempfile::TempDir,
    random: Random,
    files: Vec<File>,
    lines: Lines,
    rotations: u64,
}

/// A pause is what is tested here: whatever time the process gets, the numbers are exact.
#[expect(clippy::disallowed_methods)]
fn pause(random: &mut Random, max: Duration) {
    std::thread::sleep(Duration::from_micros(random.below(max.as_micros() as u64)));
}

fn open(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}

impl Site {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        let random = Random::new(seed);
        Self { dir, random, files: Vec::new(), lines: Lines::new(), rotations: 0 }
    }

    fn path(&self, log: usize) -> PathBuf {
        self.dir.path().join(format!("logs/site-{log}.log"))
    }

    /// Adds a log with some lines.
    fn add(&mut self) {
        let log = self.files.len();
        if log < LOGS {
            self.files.push(open(&self.path(log)));
            self.write(log);
        }
    }

    /// Writes lines in pieces that end anywhere.
    fn write(&mut self, log: usize) {
        let (before, sum) = self.lines.get(&log).copied().unwrap_or_default();
        let count = 1 + self.random.below(400);
        let mut text = String::new();
        for number in before + 1..=before + count {
            let agent = self.random.number();
            writeln!(
                text,
                "192.0.2.7 - - [01/Mar/2026:10:00:00 +0000] \"GET /e?log={log}&n={number} HTTP/1.1\" 200 5 \"-\" \"{agent:x}\""
            )
            .unwrap();
        }
        let (piece, rest) = text.as_bytes().split_at(self.random.below(text.len() as u64) as usize);
        self.files[log].write_all(piece).unwrap();
        pause(&mut self.random, Duration::from_millis(2));
        self.files[log].write_all(rest).unwrap();
        let added = (before + 1..=before + count).map(i128::from).sum::<i128>();
        self.lines.insert(log, (before + count, sum + added));
    }

    /// Rotates a log: some with dates, in names that the pattern matches, and the others with numbers and gzip.
    fn rotate(&mut self, log: usize) {
        self.rotations += 1;
        let path = self.path(log);
        if log.is_multiple_of(2) {
            let dated = path.with_file_name(format!("site-{log}-20260301{:03}.log", self.rotations));
            fs::rename(&path, dated).unwrap();
        } else {
            let numbered = |number: u64| PathBuf::from(format!("{}.{number}", path.display()));
            let packed = |number: u64| PathBuf::from(format!("{}.{number}.gz", path.display()));
            let oldest = (2..).take_while(|number| packed(*number).exists()).last().unwrap_or(1);
            for number in (2..=oldest).rev() {
                fs::rename(packed(number), packed(number + 1)).unwrap();
            }
            if numbered(1).exists() {
                fs::rename(numbered(1), numbered(2)).unwrap();
                let mut gzip = Command::new("gzip");
                gzip.args(["-1", "-c"]).stdin(File::open(numbered(2)).unwrap());
                assert!(gzip.stdout(File::create(packed(2)).unwrap()).status().unwrap().success());
                fs::remove_file(numbered(2)).unwrap();
            }
            fs::rename(&path, numbered(1)).unwrap();
        }
        pause(&mut self.random, Duration::from_millis(4));
        self.files[log] = open(&path);
    }

    fn command(&self) -> Command {
        let dir = self.dir.path();
        let mut command = Command::new(access_log());
        command.arg("--log").arg(dir.join("logs/*.log")).arg("--state").arg(dir.join("state"));
        command.args(["--format", "combined", "--from", "oldest", "--source", "many"]);
        for (name, flush) in [("by_log", "50ms"), ("seldom", "700ms")] {
            let spec = format!("{name}; window=1h; flush={flush}; by=arg_log; count; sum=arg_n");
            command.args(["--stat", &spec]);
        }
        command.arg("--sink").arg(format!("sqlite://{}", dir.join("stats.db").display()));
        command
    }

    /// One life of the process, in which logs are written and rotated, and one may appear.
    fn live(&mut self) {
        let mut running = Running::start(&mut self.command());
        self.add();
        for _ in 0..self.random.below(12) {
            let log = self.random.below(BUSY.min(self.files.len()) as u64) as usize;
            match self.random.below(3) {
                0 => self.rotate(log),
                _ => self.write(log),
            }
        }
        pause(&mut self.random, LIFE_MAX);
        running.assert_running();
    }

    async fn counted(&self, name: &'static str) -> Lines {
        let statistic = Statistic::named(name)
            .window(Duration::from_secs(3600))
            .group_by(["arg_log"])
            .measure(count())
            .measure(sum("arg_n"));
        let totals = sqlite_totals_of(&self.dir.path().join("stats.db"), "combined", statistic).await;
        let mut lines = Lines::new();
        for ((_, keys), (count, sum)) in totals {
            let log = str::from_utf8(&keys[0]).unwrap().parse().unwrap();
            let found = lines.entry(log).or_default();
            *found = (found.0 + count, found.1 + sum);
        }
        lines
    }
}

/// Whoever looks into a failure needs the files.
impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.dir.disable_cleanup(true);
            eprintln!("everything is kept in {}", self.dir.path().display());
        }
    }
}

#[tokio::test]
async fn kills_amid_the_rotations_of_many_logs_lose_nothing_and_count_nothing_twice() {
    let kills = std::env::var("EVS_LOGS_KILLS").map_or(8, |kills| kills.parse().unwrap());
    let mut site = Site::new(11);
    (0..LOGS - 4).for_each(|_| site.add());
    for _ in 0..kills {
        site.live();
    }
    while site.files.len() < LOGS {
        site.add();
    }
    site.rotate(0);
    site.write(0);
    let outcome = Running::start(site.command().arg("--once")).outcome();
    outcome.assert_complete();
    assert_eq!(site.counted("by_log").await, site.lines);
    assert_eq!(site.counted("seldom").await, site.lines);
    eprintln!("{kills} kills, {} rotations of {LOGS} logs: exact", site.rotations);
}

#[test]
fn more_logs_than_descriptors_are_refused_and_told() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        eprintln!("skipped: prlimit is not installed");
        return;
    }
    let mut site = Site::new(12);
    (0..LOGS).for_each(|_| site.add());
    let mut limited = Command::new("prlimit");
    limited.arg("--nofile=40").arg("--");
    let inner = site.command();
    limited.arg(inner.get_program()).args(inner.get_args()).arg("--once");
    let outcome = Running::start(&mut limited).outcome();
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.stderr);
    let message = format!("matches {LOGS} logs, and the limit of open files is enough for 10; raise it");
    assert!(outcome.stderr.contains(&message), "{}", outcome.stderr);
}
