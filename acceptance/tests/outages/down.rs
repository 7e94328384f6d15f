//! A database that is not there when evs starts.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use evs::SinkState;

use crate::{
    counting::{Counting, KIND},
    store::Store,
    support::process::Place,
};

/// evs starts without its database, which comes five seconds later.
pub(crate) async fn at_start(store: Arc<Store>) {
    let mut database = store.database().await;
    database.down().await;
    let mut place = Place::new(KIND, 1);
    place.write(500);
    let (counting, account) = Counting::start(&place, database.sink().await);
    counting.until_down().await;
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(5) {
        place.write(20);
        // The lines that are written meanwhile wait for the sink, and the status says so.
        let status = counting.until_cut(&place).await;
        let waits = |status: &evs::Status| status.sinks[0].waiting == status.batches;
        let status = if waits(&status) { status } else { counting.until("all of it waits", waits).await };
        assert_eq!((status.sinks[0].state, status.sinks[0].batches), (SinkState::Down, 0));
    }
    database.up().await;
    counting.until_delivered(&place).await;
    account.assert_in_order();
    counting.assert_exact(&place, &database).await;
}
