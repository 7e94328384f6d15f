//! A server that is killed while it applies a batch.
//!
//! The proxy holds the server's answer at a random message of a batch. The test kills the server at that moment: it
//! may have committed or not.

use std::sync::Arc;

use evs_testkit::Random;

use crate::{
    counting::{Counting, KIND},
    store::Store,
    support::process::Place,
};

/// The number of times that the server is killed, unless `EVS_SERVER_KILLS` has another one.
const KILLS: u64 = 4;
/// The range of messages at which the server is killed. A batch of SQL takes about six messages; other stores take
/// more.
const MESSAGES: u64 = 12;

/// The server is killed while it is at a batch, and started again, several times.
pub(crate) async fn while_it_applies(store: Arc<Store>) {
    if !store.engine.has_server() {
        return;
    }
    let kills = std::env::var("EVS_SERVER_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut database = store.database().await;
    let (mut place, mut random) = (Place::new(KIND, 2), Random::new(2));
    place.write(1_000);
    let (counting, account) = Counting::start(&place, database.sink().await);
    counting.until_delivered(&place).await;
    for _ in 0..kills {
        // At one message or another of a batch, the server has got it, and nobody will ever hear the answer.
        let mut held = 0;
        loop {
            database.proxy().hold(random.below(MESSAGES));
            held += 1;
            counting.until_happened(&mut place, 100, database.proxy(), held).await;
            if account.is_applying() {
                break;
            }
            // It was a message of the driver's own.
            database.proxy().cut();
        }
        database.down().await;
        counting.until_down().await;
        place.write(500);
        database.up().await;
        counting.until_delivered(&place).await;
    }
    account.assert_in_order();
    counting.assert_exact(&place, &database).await;
}
