//! A sink whose name or address changes while its batches wait, on the real process.

use evs_testkit::Kind;

use crate::{
    lock,
    support::process::{Outcome, Place, Running},
    unlock,
};

/// The URL of the place's database.
fn url(place: &Place) -> String {
    format!("sqlite://{}", place.database().display())
}

/// Counts into a sink until its database is locked and batches wait for it, and kills the process.
async fn leave_waiting(place: &mut Place, sink: &str) {
    place.write(1_000);
    let once = Running::start(place.command_to(sink).arg("--once")).outcome();
    once.assert_complete();
    let locked = lock(&place.database()).await;
    let before = place.binlog_bytes();
    let mut running = Running::start(&mut place.command_to(sink));
    // A start commits where it stands, without a line. What comes after that has the lines.
    running.until("committed its start", |_| place.binlog_bytes() > before);
    let started = place.binlog_bytes();
    place.write(1_000);
    running.until("cut a batch", |_| place.binlog_bytes() > started);
    running.signal("KILL");
    drop(running);
    unlock(locked).await;
}

/// Counts the rest into a sink, with further arguments.
fn run(place: &Place, sink: &str, arguments: &[&str]) -> Outcome {
    Running::start(place.command_to(sink).arg("--once").args(arguments)).outcome()
}

#[tokio::test]
async fn another_spelling_of_its_url_is_the_same_sink() {
    let mut place = Place::new(Kind::Combined, 71);
    let plain = url(&place);
    leave_waiting(&mut place, &plain).await;
    let other = format!("sqlite://{}", place.path("database/../database/stats.db").display());
    run(&place, &other, &[]).assert_complete();
    place.assert_exact("by another spelling of the URL").await;
}

#[tokio::test]
async fn a_renamed_sink_is_refused_with_the_argument_that_delivers_what_waits() {
    // The second name is one that the example made from a URL.
    for old in ["reports", "sqlite-var-lib-evs-stats-db"] {
        let mut place = Place::new(Kind::Combined, 72);
        let (plain, named) = (url(&place), format!("{old}={}", url(&place)));
        leave_waiting(&mut place, &named).await;
        let formerly = format!("sqlite={old}");
        let refused = run(&place, &plain, &[]);
        refused.assert_stopped(&[&format!("--formerly {formerly}")]);
        refused.assert_stopped(&[&format!("--forget-sink {old}")]);
        for _ in 0..2 {
            place.write(1_000);
            run(&place, &plain, &["--formerly", &formerly]).assert_complete();
            place.assert_exact("under the new name").await;
        }
        place.write(1_000);
        run(&place, &plain, &[]).assert_complete();
        place.assert_exact("without the argument").await;
    }
}

#[tokio::test]
async fn a_sink_is_given_up_by_its_name_with_a_warning_that_has_the_number() {
    let mut place = Place::new(Kind::Combined, 73);
    let reports = format!("reports={}", url(&place));
    leave_waiting(&mut place, &reports).await;
    run(&place, "discard://", &[]).assert_stopped(&["--forget-sink reports"]);
    let given_up = run(&place, "discard://", &["--forget-sink", "reports"]);
    given_up.assert_complete();
    assert!(given_up.stderr.contains("batches are given up"), "{given_up:?}");
    // The database goes on where it stands when its sink comes back, since the binlog still has the batches.
    run(&place, &reports, &[]).assert_complete();
    place.assert_exact("taken out and added again").await;
}
