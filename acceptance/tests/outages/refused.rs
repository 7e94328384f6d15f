//! A store that cannot take one statistic: its table is missing, and evs may not make it.
//!
//! That statistic stops in this store, and nothing else. It is tried again in vain, one batch of it is given up, and after
//! the table was made by hand the rest is delivered, all without a restart.

use std::{fs, sync::Arc, time::Duration};

use evs::{Begin, SinkState, Status};

use evs_testkit::log_format;

use crate::{
    counting::{Counting, KIND, builder},
    store::Store,
    support::{process::Place, schema_of, statistic, totals_of},
};

/// The statistic whose table is missing.
const REFUSED: &str = "others";

/// Both statistics are exact in the end, but for the lines of the batch that was given up.
pub(crate) async fn one_statistic(store: Arc<Store>) {
    let mut database = store.database().await;
    let mut place = Place::new(KIND, 11);

    // The first statistic has its table.
    let (counting, _) = Counting::start(&place, database.sink().await);
    place.write(500);
    counting.until_delivered(&place).await;
    counting.stop().await;

    // The other one is added while the store is away, so that its batches wait when the store refuses it.
    // It counts what is in the log already, too.
    let other = || statistic(KIND, REFUSED).flush_every(Duration::from_millis(10)).begin(Begin::Start);
    let both = |place: &Place| builder(place).statistic(other());
    let sink = database.sink_that_makes_nothing().await;
    database.cut_off().await;
    let away = both(&place).sink("store", sink).drain_timeout(Duration::from_secs(1));
    let counting = Counting::run(away, &[]);
    place.write(500);
    counting.until_down().await;
    counting.until_cut(&place).await;
    counting.stop_with_a_rest().await;
    database.up().await;

    let sink = database.sink_that_makes_nothing().await;
    let counting = Counting::run(both(&place).sink("store", sink), &[]);
    let at = |sequence| {
        move |status: &Status| {
            let stopped = &status.sinks[0].stopped;
            stopped.iter().any(|stopped| (&*stopped.statistic, stopped.sequence) == (REFUSED, sequence))
        }
    };
    let status = counting.until("stopped", at(1)).await;
    assert!(status.sinks[0].stopped[0].error.contains(REFUSED), "of which table? {status:#?}");
    place.write(500);
    let others = |status: &Status| {
        let sink = &status.sinks[0];
        sink.state == SinkState::Up && sink.batches > 0 && sink.stopped.len() == 1
    };
    counting.until("the other statistic went on", others).await;

    // In vain, as long as there is no table.
    let handle = counting.handle();
    let since = status.sinks[0].stopped[0].since;
    assert!(handle.retry("store", REFUSED).unwrap());
    let again = |status: &Status| status.sinks[0].stopped.iter().any(|stopped| stopped.since > since);
    counting.until("stopped again", again).await;
    let path = handle.discard("store", REFUSED, 1).await.unwrap();
    counting.until("stopped at the next batch", at(2)).await;

    // Somebody makes the table.
    let schema = schema_of(log_format(KIND), other());
    database.sink().await.prepare(&schema).await.unwrap();
    assert!(handle.retry("store", REFUSED).unwrap());
    let is_delivered = |status: &Status| status.sinks[0].waiting == 0 && status.sinks[0].stopped.is_empty();
    counting.until_cut(&place).await;
    let status = counting.until("all was delivered", is_delivered).await;
    assert_eq!(status.sinks[0].discarded, 1);

    counting.assert_exact(&place, &database).await;

    let rows = fs::read_to_string(path).unwrap();
    let lines_of = |row: &str| -> u64 {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        row["measures"]["count"].as_str().unwrap().parse().unwrap()
    };
    let discarded: u64 = rows.lines().map(lines_of).sum();
    let totals = totals_of(&*database.sink().await, &schema).await;
    let counted: u64 = totals.values().map(|(lines, _)| lines).sum();
    let (written, rejected) = place.generator.counts();
    assert!(discarded > 0);
    assert_eq!(counted + discarded, written - rejected, "lines of {REFUSED}");
}
