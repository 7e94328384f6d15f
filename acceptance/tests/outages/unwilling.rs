//! A store that refuses: missing tables, missing rights, a wrong password.
//!
//! These errors are permanent, so the sink stops and says why. Reading goes on, and the batches wait for a start at
//! which the cause is removed. A sink that is new would be asked at the start, which would fail; this one was away then.

use std::{sync::Arc, time::Duration};

use evs::SinkState;

use crate::{
    counting::{Counting, KIND, builder},
    store::Store,
    support::process::Place,
};

/// The password of the user without rights. It must be in no message.
const PASSWORD: &str = "hunter2";

/// A permanent error stops the sink, and its status names the remedy. After the remedy and a new start, nothing is
/// missing.
pub(crate) async fn to_be_written(store: Arc<Store>) {
    let mut database = store.database().await;
    let mut place = Place::new(KIND, 9);

    // Away at the first start, so that it is known to the state directory, and has nothing.
    let sink = database.sink().await;
    database.down().await;
    let away = builder(&place).sink("store", sink).drain_timeout(Duration::from_secs(1));
    let counting = Counting::run(away, &[]);
    place.write(500);
    counting.until_down().await;
    counting.until_cut(&place).await;
    counting.stop_with_a_rest().await;
    database.up().await;

    // Tables that are not there, and that evs may not make.
    let (counting, _) = Counting::start(&place, database.sink_that_makes_nothing().await);
    let said = stopped(&counting, &mut place).await;
    assert!(said.contains("evs_"), "of which table? {said}");
    counting.stop_with_a_rest().await;

    if database.engine().is_transactional() {
        // A user who may not do it.
        let user = database.poor_user(PASSWORD).await;
        let (counting, _) = Counting::start(&place, database.sink_of(&user, PASSWORD).await);
        let said = stopped(&counting, &mut place).await;
        assert!(said.contains("denied"), "no right to what? {said}");
        counting.stop_with_a_rest().await;

        // Nobody is asked for a password while the server is down.
        database.down().await;
        let (counting, _) = Counting::start(&place, database.sink_of(&user, "hunter3").await);
        counting.until_down().await;
        database.up().await;
        let said = stopped(&counting, &mut place).await;
        assert!(said.contains(&user) && !said.contains("hunter"), "whose password is wrong? {said}");
        counting.stop_with_a_rest().await;
    }

    let (counting, account) = Counting::start(&place, database.sink().await);
    counting.until_delivered(&place).await;
    account.assert_in_order();
    counting.assert_exact(&place, &database).await;
}

/// Waits until the sink has stopped, and returns why. The log is read on meanwhile.
async fn stopped(counting: &Counting, place: &mut Place) -> String {
    place.write(500);
    let is_stopped = |status: &evs::Status| status.sinks[0].state == SinkState::Stopped;
    counting.until("stopped", is_stopped).await;
    place.write(500);
    let status = counting.until_cut(place).await;
    assert_eq!((status.sinks[0].state, status.sinks[0].batches), (SinkState::Stopped, 0), "{status:#?}");
    status.sinks[0].last_error.clone().unwrap()
}
