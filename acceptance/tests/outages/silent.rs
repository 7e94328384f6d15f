//! A server that no longer answers, while its connections stay open.
//!
//! No error arrives, so only the deadline of a call ends it. That is the behaviour of a firewall that has forgotten a
//! connection, and of a machine that has lost its network.

use std::{sync::Arc, time::Duration};

use crate::{
    counting::{Counting, KIND, builder},
    store::Store,
    support::process::Place,
    watched::Watched,
};

/// A short deadline, since the test waits for it.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The server answers nothing any more, neither on the connections that it has nor on new ones, which it accepts.
pub(crate) async fn server(store: Arc<Store>) {
    if !store.engine.has_server() {
        return;
    }
    let database = store.database().await;
    let mut place = Place::new(KIND, 6);
    place.write(500);
    let (sink, account) = Watched::new(database.sink().await);
    let counting = Counting::run(builder(&place).sink_timeout(TIMEOUT).sink("store", sink), &[&account]);
    counting.until_delivered(&place).await;
    for _ in 0..2 {
        database.proxy().fall_silent();
        place.write(500);
        // By the pipeline's limit; and once more, on a new connection.
        counting.until_down().await;
        let retries = counting.sink().retries;
        counting.until("tried again in vain", |status| status.sinks[0].retries > retries).await;
        place.write(500);
        database.proxy().speak();
        counting.until_delivered(&place).await;
    }
    account.assert_in_order();
    counting.assert_exact(&place, &database).await;
}
