//! The log is rotated while the process waits in any one of its calls that open a file of the log.
//!
//! strace delays the n-th `openat` on the names of the log, and writes the calls to a file. When that file shows that
//! the call has begun, the test rotates the log and appends lines. `delay_enter` makes the name lead to another file
//! than the process has looked at; `delay_exit` gives another name to the file that the process has just opened.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    time::Duration,
};

use evs_testkit::Kind;

use crate::{
    calls::{can_trace, start_traced},
    support::process::Place,
};

const LIVE: &str = "access.log";
const FIRST: &str = "access.log.1";
const SECOND: &str = "access.log.2";
const THIRD: &str = "access.log.3";
/// All names that the log has files of, before the rotation and after it.
const NAMES: [&str; 6] = [LIVE, FIRST, SECOND, THIRD, "access.log.2.gz", "access.log.3.gz"];

/// Lines of each file: more than a KiB, and more than is read at a time.
const LINES: u64 = 500;
/// Far longer than a rotation takes.
const DELAY: Duration = Duration::from_millis(300);
/// More calls than any run makes.
const CALLS_MAX: u64 = 60;
/// The least calls that a run makes: each file of the log is opened and looked into again when it is read.
const CALLS_MIN: u64 = 5;

/// The way in which a log is rotated.
#[derive(Clone, Copy, Debug)]
enum Way {
    Rename,
    /// The live file is copied and truncated. Nobody writes between the two.
    CopyTruncate,
    /// The second file is compressed, as logrotate's `delaycompress` does.
    Gzip,
}

impl Way {
    /// Rotates the log of `place`, which has two older files or fewer.
    fn rotate(self, place: &Place) {
        let rename = |from, to| {
            if place.path(from).exists() {
                fs::rename(place.path(from), place.path(to)).unwrap();
            }
        };
        rename(SECOND, THIRD);
        rename(FIRST, SECOND);
        match self {
            Self::Rename | Self::Gzip => {
                rename(LIVE, FIRST);
                File::create(place.path(LIVE)).unwrap();
            }
            Self::CopyTruncate => {
                fs::copy(place.path(LIVE), place.path(FIRST)).unwrap();
                File::options().write(true).open(place.path(LIVE)).unwrap().set_len(0).unwrap();
            }
        }
        if matches!(self, Self::Gzip) && place.path(SECOND).exists() {
            let status = Command::new("gzip").arg("-f").arg(place.path(SECOND)).status().unwrap();
            assert!(status.success(), "gzip: {status}");
        }
    }
}

/// The state of the n-th call of a thread, in the trace of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Ahead,
    Waiting,
    Over,
}

impl Call {
    fn of(trace: &Path, nth: u64, delay: &str) -> Self {
        // Not there until strace has begun.
        let text = fs::read_to_string(trace).unwrap_or_default();
        if let Some((_, later)) = text.split_once("(DELAYED)") {
            // The mark is written when the call has been made: after one delay, before the other.
            let is_waiting = delay == "delay_exit" && !later.contains("openat");
            return if is_waiting { Self::Waiting } else { Self::Over };
        }
        // Each line begins with the thread's number.
        let begun: Vec<_> =
            text.lines().filter(|line| line.contains("openat(")).map(|line| line.split(' ').next()).collect();
        let most = begun.iter().map(|thread| begun.iter().filter(|other| *other == thread).count()).max();
        let is_begun = most.unwrap_or(0) as u64 >= nth;
        if is_begun && delay == "delay_enter" { Self::Waiting } else { Self::Ahead }
    }
}

/// Rotates the log while the n-th call waits, and compares the numbers at the end. Says what has become of the call:
/// it is ahead if the run had fewer calls, and over if the rotation did not come in time.
async fn rotate_at(nth: u64, way: Way, delay: &str) -> Call {
    let mut place = Place::new(Kind::Combined, 400 + nth);
    // The run is one that resumes: it has read a part of what is now the oldest file, and nothing of the others.
    place.write(LINES);
    place.run_clean();
    for _ in 0..2 {
        place.write(LINES);
        Way::Rename.rotate(&place);
    }
    place.write(LINES);

    let trace = place.path("trace");
    let fault = format!("{delay}={}:when={nth}", DELAY.as_micros());
    let running = start_traced(&place, "openat", &fault, &NAMES, &trace);
    let mut found = Call::Ahead;
    let outcome = running.outcome_watched(|_| {
        if found == Call::Ahead && Call::of(&trace, nth, delay) != Call::Ahead {
            way.rotate(&place);
            place.write(LINES);
            found = Call::of(&trace, nth, delay);
        }
    });
    outcome.assert_complete();
    let when = format!("{way:?} while openat {nth} waited ({delay}, {found:?})");
    if found == Call::Ahead {
        // No such call: the log is as it was.
        assert_eq!(outcome.lines(), 3 * LINES, "{when}: {outcome:?}");
    }
    place.run_clean();
    place.assert_exact(&when).await;
    found
}

async fn rotate_at_every_open(way: Way, delay: &str) {
    if !can_trace(&format!("rotations ({way:?}) while files are opened ({delay})")) {
        return;
    }
    let (mut calls, mut in_time) = (0, 0);
    for nth in 1..=CALLS_MAX {
        match rotate_at(nth, way, delay).await {
            Call::Ahead => break,
            Call::Waiting => in_time += 1,
            Call::Over => {}
        }
        calls = nth;
    }
    assert!((CALLS_MIN..CALLS_MAX).contains(&calls), "{way:?}, {delay}: {calls} calls");
    // A machine that is busy may be late now and then.
    assert!(
        in_time > calls / 2,
        "{way:?}, {delay}: the rotation came in time for {in_time} of {calls} calls"
    );
}

#[tokio::test]
async fn a_rename_before_any_open_leaves_the_numbers_exact() {
    rotate_at_every_open(Way::Rename, "delay_enter").await;
}

#[tokio::test]
async fn a_rename_after_any_open_leaves_the_numbers_exact() {
    rotate_at_every_open(Way::Rename, "delay_exit").await;
}

#[tokio::test]
async fn a_copy_and_truncation_before_any_open_leaves_the_numbers_exact() {
    rotate_at_every_open(Way::CopyTruncate, "delay_enter").await;
}

#[tokio::test]
async fn a_copy_and_truncation_after_any_open_leaves_the_numbers_exact() {
    rotate_at_every_open(Way::CopyTruncate, "delay_exit").await;
}

#[tokio::test]
async fn a_compression_before_any_open_leaves_the_numbers_exact() {
    rotate_at_every_open(Way::Gzip, "delay_enter").await;
}

#[tokio::test]
async fn a_compression_after_any_open_leaves_the_numbers_exact() {
    rotate_at_every_open(Way::Gzip, "delay_exit").await;
}
