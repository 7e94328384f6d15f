//! evs that is killed while it delivers.
//!
//! The proxy holds a random message of the process, which is killed at that moment. The message may still take effect
//! in the server after the next process has started.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use evs_testkit::Random;

use crate::{
    PATIENCE,
    store::Store,
    support::{
        answers,
        process::{Place, Running},
    },
};

/// The range of messages from its start at which the process is killed: a start takes a dozen or more.
const MESSAGES: u64 = 100;

/// evs itself is killed while it delivers, again and again.
pub(crate) async fn while_it_delivers(store: Arc<Store>) {
    // `tests/kill.rs` does it to a database in a file.
    if !store.engine.has_server() {
        return;
    }
    let kills: u64 = std::env::var("EVS_KILLS").map_or(50, |kills| kills.parse().unwrap());
    let database = store.database().await;
    let target = format!("{}={}", answers::SINK, database.url());
    let command = |place: &Place| {
        let mut command = place.command_to(&target);
        answers::add_to(&mut command);
        command
    };
    let (mut place, mut random) = (Place::new(answers::KIND, 4), Random::new(4));
    for kill in 1..=kills {
        database.proxy().hold(random.below(MESSAGES));
        let mut process = Running::start(&mut command(&place));
        let deadline = Instant::now() + PATIENCE;
        while !database.proxy().await_happened(kill, Duration::from_millis(10)) {
            assert!(Instant::now() < deadline, "kill {kill}: it does not deliver: {}", process.stderr());
            process.assert_running();
            place.write(1 + random.below(40));
        }
        // Dropped, it is killed: with a message on the way to the server that may take effect much later.
        drop(process);
        place.write(random.below(100));
    }
    let outcome = Running::start(command(&place).arg("--once")).outcome();
    outcome.assert_complete();
    let (sink, when) = (database.sink().await, format!("after {kills} kills"));
    place.assert_exact_in(&*sink, &when).await;
    answers::assert_exact(&place.log(), &place.path("database"), &*sink, &when).await;
}
