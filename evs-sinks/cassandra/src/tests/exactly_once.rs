//! Tests of late requests and deleted progress.

use std::sync::Arc;

use evs_core::{Applied, Epoch, Fault, Progress, Sink, SinkError, conformance::Store};

use super::support::{Server, batch, plain, schema};
use crate::{Driver, progress::ProgressTable};

const ONE: [Option<i128>; 5] = [Some(1); 5];

pub(super) async fn passes_the_suite(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    evs_core::conformance::run(&server).await;
    server.clean().await;
}

/// An abandoned request may still reach the server after later batches were applied.
pub(super) async fn a_late_request_does_not_move_the_progress_back(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let (sink, schema, epoch) = (keyspace.sink().await, schema(&["campaign"]), Epoch::random());
    sink.prepare(&schema).await.unwrap();
    let batches = [1, 2, 3].map(|n| batch(epoch, &schema, n, &[(60, &[b"c1"], ONE)]));
    for batch in &batches {
        assert_eq!(sink.apply(batch).await.unwrap(), Applied::Now);
    }
    let progress = ProgressTable::new(&keyspace.name);
    let late = Progress::after(&batches[1]);
    // A progress is given, so nothing is read back.
    progress.advance(&*server.session, Some(&late), &late).await.unwrap();
    assert_eq!(sink.progress("web1").await.unwrap(), [Progress::after(&batches[2])]);
    server.clean().await;
}

pub(super) async fn a_batch_that_is_half_written_does_not_count(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let (schema, epoch) = (schema(&["campaign"]), Epoch::random());
    let sink: Arc<dyn Sink> = keyspace.open_failing(Fault::Commit).await.expect("fails on demand");
    sink.prepare(&schema).await.unwrap();
    let first = batch(epoch, &schema, 1, &[(60, &[b"c1"], ONE)]);
    assert!(sink.apply(&first).await.unwrap_err().is_transient());
    assert_eq!(keyspace.query("SELECT hits FROM KS.ad_events").await.len(), 1, "its row is there");
    assert_eq!(plain(&sink.totals(&schema, 0..120).await.unwrap()), []);
    assert_eq!(sink.apply(&first).await.unwrap(), Applied::Now);
    assert_eq!(plain(&sink.totals(&schema, 0..120).await.unwrap()).len(), 1);
    server.clean().await;
}

/// The tombstone of the deletion is younger than every progress, and hides it.
pub(super) async fn progress_that_was_deleted_by_hand_is_not_taken_for_written(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let (sink, schema, epoch) = (keyspace.sink().await, schema(&["campaign"]), Epoch::random());
    sink.prepare(&schema).await.unwrap();
    let first = batch(epoch, &schema, 1, &[(60, &[b"c1"], ONE)]);
    sink.apply(&first).await.unwrap();
    keyspace.execute("DELETE FROM KS.evs_progress WHERE source = 'web1'").await;
    let error = sink.apply(&first).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    let said = error.to_string();
    assert!(
        said.contains("ad_events") && said.contains("deleted by hand") && said.contains("TRUNCATE"),
        "{said}"
    );
    // These are the ways out that the error names.
    keyspace.execute("TRUNCATE KS.evs_progress").await;
    assert_eq!(sink.apply(&first).await.unwrap(), Applied::Now);
    let other = batch(Epoch::random(), &schema, 1, &[(60, &[b"c1"], ONE)]);
    assert_eq!(sink.apply(&other).await.unwrap(), Applied::Now);
    server.clean().await;
}
