//! System calls that fail, or during which the process dies: strace makes them.
//!
//! It counts the calls of each thread by itself, so the n-th call is that of the first thread to come to it.

use std::{
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use evs_testkit::Kind;

use crate::{
    skip,
    support::process::{Outcome, Place, Running},
};

pub(crate) fn can_trace(test: &str) -> bool {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=none", "true"]);
    let works = command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    if !works {
        skip(test, "strace is not installed, or not permitted");
    }
    works
}

/// Begins to run to the end of the log with a fault in some system calls, only those on `paths` if there are any.
fn start_with(place: &Place, calls: &str, fault: &str, paths: &[&str]) -> Running {
    start_traced(place, calls, fault, paths, Path::new("/dev/null"))
}

/// The same, while strace writes these calls to the file `trace`: the beginning of a line when a call is entered, the
/// rest of it when the call is over.
pub(crate) fn start_traced(place: &Place, calls: &str, fault: &str, paths: &[&str], trace: &Path) -> Running {
    let (trace, output) = (format!("trace={calls}"), trace.display().to_string());
    let inject = format!("inject={calls}:{fault}");
    // With -D the process is a child of this one, and strace a grandchild. With -I2 it ends when it is told to.
    let mut wrapper = vec!["strace", "-D", "-I2", "-f", "-qq", "-o", &output];
    wrapper.extend(["-e", &trace, "-e", &inject]);
    let paths: Vec<_> = paths.iter().map(|name| place.path(name).display().to_string()).collect();
    wrapper.extend(paths.iter().flat_map(|path| ["-P", path]));
    Running::start(place.command(&wrapper).arg("--once"))
}

/// The same while the log is followed, with everything said.
pub(crate) fn start_live_with(place: &Place, calls: &str, fault: &str) -> Running {
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{fault}"));
    let wrapper = ["strace", "-D", "-I2", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    Running::start(place.command(&wrapper).env("RUST_LOG", "debug"))
}

/// Runs with a fault in the n-th such call of any thread; whatever becomes of that.
pub(crate) fn end_with(place: &Place, calls: &str, fault: &str) -> Outcome {
    start_with(place, calls, fault, &[]).ended()
}

fn run_with(place: &Place, calls: &str, fault: &str, paths: &[&str]) -> Outcome {
    start_with(place, calls, fault, paths).outcome()
}

const LOG: &str = "access.log";
const BINLOG: &str = "state/binlog-0000000000000001.evs";
const WAL: &str = "database/stats.db-wal";

/// Lines for a few cuts.
const LINES: u64 = 3_000;

#[tokio::test]
async fn a_failed_sync_stops_the_process_and_the_next_start_is_exact() {
    if !can_trace("failing syncs") {
        return;
    }
    // Whether there is a state already, the call, where, and the how maniest of a thread: the main thread syncs
    // what it makes or recovers, the committer the log and the binlog at each cut, SQLite its own.
    let cases: [(bool, &str, &[&str], &[u64]); 7] = [
        (false, "fdatasync", &[], &[1, 2, 3, 5]),
        // Before anything of a new log is read, nothing of it need be durable.
        (false, "fdatasync", &[LOG], &[1]),
        (true, "fdatasync", &[LOG], &[1, 2]),
        (true, "fdatasync", &[BINLOG], &[1, 2]),
        (false, "fsync", &[], &[1, 2]),
        (true, "fsync", &["state"], &[1]),
        (false, "fsync", &[WAL], &[1, 2]),
    ];
    for (is_known, call, paths, nths) in cases {
        for &nth in nths {
            let when = format!("{call} {nth} of {paths:?} failed, with a state: {is_known}");
            let mut place = Place::new(Kind::Combined, nth);
            if is_known {
                place.write(LINES);
                place.run_clean();
            }
            place.write(LINES);
            let outcome = run_with(&place, call, &format!("error=EIO:when={nth}"), paths);
            assert_eq!(outcome.status.code(), Some(1), "{when}: {outcome:?}");
            let says_why =
                ["Input/output error", "disk I/O error"].iter().any(|why| outcome.stderr.contains(why));
            assert!(says_why, "{when}: {outcome:?}");
            place.run_clean();
            place.assert_exact(&when).await;
        }
    }
}

#[tokio::test]
async fn a_binlog_without_room_for_a_while_goes_on_by_itself() {
    if !can_trace("a binlog without room") {
        return;
    }
    for (error, said) in [
        ("ENOSPC", "No space left on device"),
        ("EDQUOT", "Disk quota exceeded"),
        ("EFBIG", "File too large"),
    ] {
        let mut place = Place::new(Kind::Combined, 30);
        place.write(LINES);
        // Without room to begin with there is nothing to wait for: the start fails, and can be tried again.
        for nth in [1, 2] {
            let outcome = run_with(&place, "pwrite64", &format!("error={error}:when={nth}"), &[BINLOG]);
            outcome.assert_stopped(&[said]);
        }
        place.run_clean();
        // A start writes what was not synced a second time; from the second call on it is the committer that waits.
        for nth in [2, 3] {
            place.write(LINES);
            let fault = format!("error={error}:when={nth}..{}", nth + 1);
            let outcome = run_with(&place, "pwrite64", &fault, &[BINLOG]);
            outcome.assert_complete();
            // The third may be an acknowledgement, for which the reserve is given up without anybody waiting.
            let says_so = ["reading waits", said].iter().all(|text| outcome.stderr.contains(text));
            assert!(nth > 2 || says_so, "{error} {nth}: {outcome:?}");
            assert_eq!(outcome.lines(), LINES);
            place.assert_exact(&format!("pwrite64 {nth} of the binlog: {error}")).await;
        }
    }
}

#[tokio::test]
async fn a_state_directory_that_becomes_read_only_stops_the_process_and_the_next_start_is_exact() {
    if !can_trace("a state directory that becomes read-only") {
        return;
    }
    let mut place = Place::new(Kind::Combined, 37);
    place.write(LINES);
    place.run_clean();
    for nth in [1, 2, 3] {
        place.write(LINES);
        let outcome = run_with(&place, "pwrite64", &format!("error=EROFS:when={nth}+"), &[BINLOG]);
        outcome.assert_stopped(&["Read-only file system"]);
        assert!(outcome.stderr.contains(BINLOG), "{outcome:?}");
    }
    place.run_clean();
    place.assert_exact("read-only for a while").await;
}

#[tokio::test]
async fn a_log_that_cannot_be_read_stops_the_process_and_the_next_start_is_exact() {
    if !can_trace("a log that cannot be read") {
        return;
    }
    let mut place = Place::new(Kind::Combined, 38);
    place.write(LINES);
    place.run_clean();
    // For good, and from the second read of a thread on.
    for when in ["1+", "2+"] {
        place.write(LINES);
        let outcome = run_with(&place, "pread64", &format!("error=EIO:when={when}"), &[LOG]);
        outcome.assert_stopped(&["Input/output error"]);
        assert!(outcome.stderr.contains(LOG), "{outcome:?}");
    }
    // One read that fails may be made again, or stop the process.
    for nth in 1..=6 {
        place.write(LINES / 10);
        let outcome = run_with(&place, "pread64", &format!("error=EIO:when={nth}"), &[LOG]);
        if !outcome.status.success() {
            outcome.assert_stopped(&["Input/output error"]);
        }
    }
    place.run_clean();
    place.assert_exact("reads of the log failed").await;
}

#[tokio::test]
async fn rejected_lines_without_room_are_counted_and_written_when_there_is_room() {
    if !can_trace("rejected lines without room") {
        return;
    }
    let mut place = Place::new(Kind::Combined, 35);
    place.write(LINES);
    let outcome = run_with(&place, "pwrite64", "error=ENOSPC", &["state/rejected-0.jsonl"]);
    outcome.assert_complete();
    assert!(outcome.stderr.contains("reading waits"), "{outcome:?}");
    let rejected = place.generator.counts().1;
    assert_eq!(outcome.summary()["rejected"].as_u64(), Some(rejected));
    place.assert_exact("no room for rejected lines").await;
    place.run_clean();
    let kept = std::fs::read_to_string(place.state().join("rejected-0.jsonl")).unwrap();
    assert_eq!(kept.lines().count() as u64, rejected);
}

#[tokio::test]
async fn a_database_without_room_gets_everything_when_there_is_room() {
    if !can_trace("a database without room") {
        return;
    }
    let mut place = Place::new(Kind::Combined, 36);
    place.write(LINES);
    let mut running = start_with(&place, "pwrite64", "error=ENOSPC", &[WAL]);
    running.until_it_says("the sink is down");
    assert!(running.stderr().contains("database or disk is full"), "{}", running.stderr());
    running.end_tracing();
    let outcome = running.outcome();
    outcome.assert_complete();
    assert_eq!(outcome.lines(), LINES);
    place.assert_exact("no room for the database").await;
}

#[tokio::test]
async fn any_open_without_file_descriptors_leaves_the_numbers_exact() {
    if !can_trace("opens without file descriptors") {
        return;
    }
    let mut place = Place::new(Kind::Ads, 31);
    place.write(LINES);
    // A source begins with its live file: with what is rotated before, it has nothing to do.
    place.run_clean();
    let mut stopped = 0;
    for nth in (1..=36).step_by(2) {
        place.write(LINES / 10);
        if nth % 4 == 1 {
            place.rotate();
        }
        let outcome = run_with(&place, "openat", &format!("error=EMFILE:when={nth}..{}", nth + 1), &[]);
        if !outcome.status.success() {
            stopped += 1;
            // Also the program's loader may be the one to say it.
            assert!(outcome.stderr.contains("error"), "openat {nth}: no reason given: {outcome:?}");
        }
    }
    place.run_clean();
    place.assert_exact(&format!("{stopped} starts failed without file descriptors")).await;
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_for_a_while_is_opened_later() {
    if !can_trace("a log that cannot be opened") {
        return;
    }
    for error in ["EMFILE", "EINTR", "EACCES"] {
        let mut place = Place::new(Kind::Combined, 32);
        place.write(LINES);
        let outcome = run_with(&place, "openat", &format!("error={error}:when=1..2"), &[LOG]);
        outcome.assert_complete();
        assert_eq!(outcome.lines(), LINES);
        place.assert_exact(&format!("{error} for the log")).await;
    }
}

#[tokio::test]
async fn interrupted_reads_and_writes_are_made_again() {
    if !can_trace("interrupted calls") {
        return;
    }
    let mut place = Place::new(Kind::Combined, 33);
    place.write(LINES);
    let paths = [LOG, BINLOG, "database/stats.db", WAL];
    let outcome = run_with(&place, "pread64,pwrite64,ftruncate", "error=EINTR:when=1+2", &paths);
    outcome.assert_complete();
    assert_eq!(outcome.lines(), LINES);
    place.assert_exact("interrupted").await;
}

#[tokio::test]
async fn a_disk_that_takes_seconds_to_sync_only_delays() {
    if !can_trace("a slow disk") {
        return;
    }
    let mut place = Place::new(Kind::Combined, 35);
    place.write(LINES);
    let since = Instant::now();
    let outcome = run_with(&place, "fdatasync,fsync", "delay_enter=2s:when=1..6+1", &[]);
    outcome.assert_complete();
    assert!(since.elapsed() >= Duration::from_secs(2), "nothing was slow");
    assert_eq!(outcome.lines(), LINES);
    place.assert_exact("a slow disk").await;
}

#[tokio::test]
async fn a_kill_at_any_system_call_loses_nothing_and_counts_nothing_twice() {
    if !can_trace("kills at system calls") {
        return;
    }
    let mut place = Place::new(Kind::Combined, 34);
    for (call, last, step) in [
        ("fdatasync", 12, 1),
        ("pwrite64", 60, 1),
        ("openat", 45, 1),
        ("fsync", 6, 1),
        ("unlink", 3, 1),
        ("unlinkat", 2, 1),
    ] {
        let mut kills = 0;
        for nth in (1..=last).step_by(step) {
            place.write(LINES / 10);
            if nth % 4 == 0 {
                place.rotate();
            }
            let outcome = run_with(&place, call, &format!("signal=SIGKILL:when={nth}"), &[]);
            match outcome.status.signal() {
                Some(9) => kills += 1,
                _ => outcome.assert_complete(),
            }
        }
        assert!(kills > 0, "no {call} was come to");
        place.run_clean();
        place.assert_exact(&format!("killed {kills} times at {call}")).await;
    }
}
