//! Limits of the process: the size of files, memory, watches of the file system. And nobody who reads what it says.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use evs_testkit::Kind;

use crate::{
    calls::{can_trace, end_with, start_live_with},
    skip,
    support::process::{PATIENCE, Place, Running, look_again_soon},
};

fn can_limit(test: &str) -> bool {
    let works = Command::new("prlimit").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !works {
        skip(test, "prlimit is not installed");
    }
    works
}

#[tokio::test]
async fn a_limit_of_file_sizes_pauses_reading_and_says_so() {
    if !can_limit("a limit of file sizes") {
        return;
    }
    let mut place = Place::new(Kind::Combined, 51);
    place.write(3_000);
    // Less than the room that is kept in reserve.
    let wrapper = ["prlimit", "--fsize=100000:unlimited", "--"];
    let mut running = Running::start(place.command(&wrapper).arg("--once"));
    running.until_it_says("reading waits");
    assert!(running.stderr().contains("File too large"), "{}", running.stderr());
    let pid = format!("--pid={}", running.id());
    assert!(Command::new("prlimit").args([&pid, "--fsize=unlimited"]).status().unwrap().success());
    let outcome = running.outcome();
    outcome.assert_complete();
    assert_eq!(outcome.lines(), 3_000);
    place.assert_exact("the size of files was limited").await;
}

#[tokio::test]
async fn a_process_without_memory_ends_and_the_next_start_is_exact() {
    if !can_limit("a limit of memory") {
        return;
    }
    let mut place = Place::new(Kind::Ads, 52);
    let (mut failed, mut completed) = (0, false);
    // From too little for the loader of the program to enough.
    for megabytes in (8_u64..).step_by(8) {
        place.write(20_000);
        let limit = format!("--as={}", megabytes << 20);
        let outcome = Running::start(place.command(&["prlimit", &limit, "--"]).arg("--once")).ended();
        if outcome.status.success() {
            completed = true;
            break;
        }
        failed += 1;
        assert!(megabytes < 4_096, "{outcome:?}");
    }
    assert!(completed && failed > 0);
    place.run_clean();
    place.assert_exact(&format!("{failed} runs had too little memory")).await;
}

#[tokio::test]
async fn a_thread_that_cannot_be_started_stops_the_process_and_the_next_start_is_exact() {
    if !can_trace("threads that cannot be started") {
        return;
    }
    let mut place = Place::new(Kind::Combined, 55);
    let mut said = std::collections::BTreeSet::new();
    for nth in 1..=12 {
        place.write(500);
        let outcome = end_with(&place, "clone3,clone", &format!("error=EAGAIN:when={nth}"));
        let name = outcome.stderr.split("starting thread ").nth(1);
        said.extend(name.and_then(|rest| Some(rest.split_once(':')?.0.to_owned())));
        assert!(outcome.status.success() || !outcome.stderr.is_empty(), "{nth}: {outcome:?}");
    }
    // The other threads are tokio's and the driver's.
    for thread in ["evs-committer", "evs-reader", "evs-worker-0"] {
        assert!(said.contains(thread), "{said:?}");
    }
    place.run_clean();
    place.assert_exact("threads could not be started").await;
}

#[tokio::test]
async fn without_file_system_events_the_log_is_polled() {
    if !can_trace("no file system events") {
        return;
    }
    for (call, error) in [("inotify_init1", "EMFILE"), ("inotify_add_watch", "ENOSPC")] {
        let mut place = Place::new(Kind::Combined, 53);
        place.write(1_000);
        let mut running = start_live_with(&place, call, &format!("error={error}"));
        running.until_it_says("not watched, only polled");
        running.until("counted what was there", |_| place.binlog_bytes() > 1_000);
        let before = place.binlog_bytes();
        place.write(1_000);
        running.until("noticed new lines", |_| place.binlog_bytes() > before);
        running.signal("TERM");
        let lines = running.outcome().lines();
        assert_eq!(lines + place.run_clean().lines(), 2_000);
        place.assert_exact(call).await;
    }
}

#[tokio::test]
async fn a_process_that_nobody_listens_to_goes_on_counting() {
    let mut place = Place::new(Kind::Combined, 54);
    place.write(1_000);
    let mut command = place.command(&[]);
    command.env("RUST_LOG", "trace").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Both pipes are closed before much is said.
    drop((child.stdout.take(), child.stderr.take()));
    let deadline = Instant::now() + PATIENCE;
    for _ in 0..2 {
        while !place.has_counted_all().await {
            assert!(child.try_wait().unwrap().is_none(), "it ended");
            assert!(Instant::now() < deadline, "it does not count");
            look_again_soon();
        }
        place.write(1_000);
    }
    let kill = format!("kill -TERM {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    place.run_clean();
    place.assert_exact("nobody listened").await;
}
