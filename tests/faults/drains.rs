//! The end of a run whose store is away: what the process waits for, for how long, and what it says about it.

use evs_testkit::Kind;

use crate::{
    lock,
    support::process::{Place, Running},
    unlock,
};

/// The first words of a drain that waits.
const WAITS: &str = "the run waits for its sinks";

#[tokio::test]
async fn once_gives_up_after_its_timeout_and_says_that_the_rest_waits_in_the_binlog() {
    let mut place = Place::new(Kind::Combined, 31);
    place.write(5_000);
    let locked = lock(&place.database()).await;
    let mut command = place.command(&[]);
    command.args(["--once", "--drain-timeout", "1"]).env("RUST_LOG", "info");
    let outcome = Running::start(&mut command).outcome();
    assert_eq!(outcome.status.code(), Some(3), "{outcome:?}");
    assert_eq!(outcome.lines(), 5_000);
    for text in [WAITS, "the rest waits in the binlog", "sqlite (", "batch"] {
        assert!(outcome.stderr.contains(text), "{text}: {outcome:?}");
    }
    unlock(locked).await;
    assert_eq!(place.run_clean().lines(), 0, "what is left is in the binlog");
    place.assert_exact("once, with a timeout").await;
}

#[tokio::test]
async fn once_without_a_timeout_waits_until_the_store_is_back() {
    let mut place = Place::new(Kind::Combined, 32);
    place.write(5_000);
    let locked = lock(&place.database()).await;
    let mut running = Running::start(place.command(&[]).arg("--once").env("RUST_LOG", "info"));
    running.until_it_says(WAITS);
    unlock(locked).await;
    let outcome = running.outcome();
    outcome.assert_complete();
    assert_eq!(outcome.lines(), 5_000);
    place.assert_exact("once, without a timeout").await;
}

#[tokio::test]
async fn the_timeout_also_holds_after_a_signal() {
    let mut place = Place::new(Kind::Combined, 33);
    place.write(5_000);
    let locked = lock(&place.database()).await;
    // The default would wait for ten seconds.
    let mut running = Running::start(place.command(&[]).args(["--drain-timeout", "0"]));
    running.until("cut a batch", |_| place.binlog_bytes() > 1_000);
    running.signal("TERM");
    let outcome = running.outcome();
    assert_eq!(outcome.status.code(), Some(3), "{outcome:?}");
    assert!(outcome.stderr.contains("the rest waits in the binlog"), "{outcome:?}");
    unlock(locked).await;
    assert_eq!(outcome.lines() + place.run_clean().lines(), 5_000);
    place.assert_exact("terminated without time").await;
}
