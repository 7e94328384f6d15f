//! Signals, and a second process.

use evs_testkit::Kind;

use crate::{
    lock,
    support::process::{Place, Running},
    unlock,
};

#[tokio::test]
async fn sigterm_during_work_drains_and_the_next_start_goes_on() {
    let mut place = Place::new(Kind::Ads, 11);
    place.write(200_000);
    let mut running = Running::start(&mut place.command(&[]));
    running.until("counted something", |_| place.binlog_bytes() > 20_000);
    running.signal("TERM");
    let first = running.outcome();
    first.assert_complete();
    let second = place.run_clean();
    assert_eq!(first.lines() + second.lines(), 200_000);
    place.assert_exact("terminated at work").await;
}

#[tokio::test]
async fn sigterm_twice_while_the_sink_is_away_ends_in_time_and_loses_nothing() {
    let mut place = Place::new(Kind::Combined, 12);
    place.write(5_000);
    let locked = lock(&place.database()).await;
    let mut running = Running::start(&mut place.command(&[]));
    running.until("cut a batch", |_| place.binlog_bytes() > 1_000);
    running.signal("TERM");
    running.signal("TERM");
    let outcome = running.outcome();
    assert_eq!(outcome.status.code(), Some(3), "{outcome:?}");
    assert!(outcome.stderr.contains("not everything was delivered"), "{outcome:?}");
    assert_eq!(outcome.lines(), 5_000, "read, and not to be read again");
    unlock(locked).await;
    assert_eq!(place.run_clean().lines(), 0, "what is left is in the binlog");
    place.assert_exact("terminated twice").await;
}

#[tokio::test]
async fn a_second_process_on_the_state_directory_ends_and_names_the_first() {
    let mut place = Place::new(Kind::Combined, 13);
    place.write(1_000);
    let mut first = Running::start(&mut place.command(&[]));
    first.until("cut a batch", |_| place.binlog_bytes() > 1_000);
    let second = Running::start(place.command(&[]).arg("--once")).outcome();
    second.assert_stopped(&["is in use by"]);
    assert!(second.stderr.contains(&format!("process {} on host", first.id())), "{second:?}");
    first.signal("TERM");
    first.outcome().assert_complete();
    place.run_clean();
    place.assert_exact("two at once").await;
}

#[tokio::test]
async fn a_process_that_was_stopped_goes_on_where_it_was() {
    let mut place = Place::new(Kind::Combined, 14);
    place.write(1_000);
    let mut running = Running::start(&mut place.command(&[]));
    running.until("cut a batch", |_| place.binlog_bytes() > 1_000);
    running.signal("STOP");
    place.write(3_000);
    place.rotate();
    place.write(3_000);
    let before = place.binlog_bytes();
    running.signal("CONT");
    running.until("goes on", |_| place.binlog_bytes() > before);
    running.signal("TERM");
    let first = running.outcome();
    first.assert_complete();
    assert_eq!(first.lines() + place.run_clean().lines(), 7_000);
    place.assert_exact("stopped for a while").await;
}
