//! A connection that is cut between a commit and its answer.
//!
//! The client cannot know whether its batch was applied. It offers the batch again, and the store must recognise it.

use std::sync::Arc;

use evs_testkit::{Random, proxy::Sender};

use crate::{
    counting::{Counting, KIND},
    store::Store,
    support::process::Place,
};

/// The number of answers that are lost after the server has done its work.
const LOST_ANSWERS: u64 = 50;
/// The number of connections that end somewhere else.
const CUTS: u64 = 20;

/// The connection is cut between the server's commit and its answer, again and again, and anywhere else as well.
pub(crate) async fn answers(store: Arc<Store>) {
    if !store.engine.has_server() {
        return;
    }
    let database = store.database().await;
    let (mut place, mut random) = (Place::new(KIND, 3), Random::new(3));
    place.write(500);
    let (counting, account) = Counting::start(&place, database.sink().await);
    counting.until_delivered(&place).await;
    for fault in 1..=LOST_ANSWERS + CUTS {
        let retries = counting.sink().retries;
        if fault <= LOST_ANSWERS {
            database.proxy().lose_answer(random.below(3));
        } else {
            let sender = if random.below(2) == 0 { Sender::Client } else { Sender::Server };
            // In the header of a message or in its body; most are shorter than that.
            database.proxy().cut_within(sender, random.below(12), random.below(300) as usize);
        }
        counting.until_happened(&mut place, 50, database.proxy(), fault).await;
        counting.until_delivered(&place).await;
        if fault <= LOST_ANSWERS {
            assert!(counting.sink().retries > retries, "fault {fault} was not noticed");
        }
    }
    if database.engine().is_transactional() {
        assert!(account.before() >= LOST_ANSWERS, "only {} of the lost commits were found", account.before());
    }
    account.assert_in_order();
    counting.assert_exact(&place, &database).await;
}
