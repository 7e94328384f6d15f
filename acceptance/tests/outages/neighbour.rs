//! Two sinks, one of which is dead.
//!
//! Each sink has a task and an acknowledgement of its own, so an outage of one store must not delay another by a
//! single batch.

use std::{sync::Arc, time::Duration};

use evs::{MemorySink, SinkState, prelude::*};

use crate::{
    counting::{Counting, KIND, builder},
    store::{Database, Store},
    support::process::Place,
    watched::{Account, Watched},
};

/// The number of times that the log grows while one sink is dead.
const STEPS: u64 = 25;
/// A short deadline, so that many calls end in vain.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Of two sinks one is dead: the other is not one batch later than without it.
///
/// Without it, the sink that lives has every batch before another line is written. So it has beside a dead one.
pub(crate) async fn is_dead(store: Arc<Store>) {
    let mut database = store.database().await;
    let mut place = Place::new(KIND, 7);
    let lively: Arc<dyn Sink> = Arc::new(MemorySink::new());
    let ((lively_too, lively_account), (dead, dead_account)) =
        (Watched::new(Arc::clone(&lively)), Watched::new(database.sink().await));
    database.down().await;
    let counting = Counting::run(
        builder(&place).sink_timeout(TIMEOUT).sink("dead", dead).sink("lively", lively_too),
        &[&dead_account, &lively_account],
    );
    steps(&counting, &mut place, &lively_account).await;
    counting.until_down().await;
    fall_silent(&mut database).await;
    steps(&counting, &mut place, &lively_account).await;
    match database.engine().has_server() {
        true => database.proxy().speak(),
        false => database.up().await,
    }
    counting.until_delivered(&place).await;
    lively_account.assert_in_order();
    dead_account.assert_in_order();
    place.assert_exact_in(&*lively, "the sink that lived").await;
    counting.assert_exact(&place, &database).await;
}

/// A server that is there and says nothing is worse than one that is away.
async fn fall_silent(database: &mut Database) {
    if database.engine().has_server() {
        database.up().await;
        database.proxy().fall_silent();
    }
}

/// Writes to the log step by step, and waits after each until the sink that lives has all of it.
async fn steps(counting: &Counting, place: &mut Place, lively: &Account) {
    for step in 0..STEPS {
        place.write(100);
        let (lines, rejected) = place.generator.counts();
        let what = format!("step {step}: the sink that lives has all of it");
        let status = counting.until(&what, |_| lively.lines() == lines - rejected).await;
        let (dead, lively) = (&status.sinks[0], &status.sinks[1]);
        assert_eq!((dead.batches, lively.state), (0, SinkState::Up), "{status:#?}");
        assert_ne!(dead.state, SinkState::Up, "{status:#?}");
    }
}
