//! Tests of the retention, which is a TTL index.

use evs_core::{Applied, Schema, Sink};
use mongodb::bson::{Document, doc};

use super::{Scratch, batch, refused, schema};
use crate::MongoSink;

const WEEK: u64 = 7 * 86_400;

fn retained(seconds: Option<u64>) -> Schema {
    let mut schema = schema();
    schema.retain_seconds = seconds;
    schema
}

/// The time to live of the index on `window_start`, if the index exists.
async fn index(scratch: &Scratch) -> Option<Option<i64>> {
    let reply = scratch.database.run_command(doc! { "listIndexes": "ads" }).await.unwrap();
    let indexes = reply.get_document("cursor").unwrap().get_array("firstBatch").unwrap().clone();
    let found = indexes.iter().filter_map(|index| index.as_document());
    let mut found = found.filter(|index| index.get_document("key").unwrap().contains_key("window_start"));
    let index = found.next()?;
    assert!(found.next().is_none(), "one index");
    Some(crate::errors::integer(index, "expireAfterSeconds"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ttl_index_is_made_changed_and_dropped_with_the_retention() {
    let Some(scratch) = Scratch::new().await else { return };
    for seconds in [None, Some(WEEK), Some(2 * WEEK), Some(WEEK), None, Some(0x7FFF_FFFF), None] {
        let sink = scratch.sink().await;
        for _ in 0..2 {
            sink.prepare(&retained(seconds)).await.unwrap();
            assert_eq!(index(&scratch).await, Some(seconds.map(u64::cast_signed)));
        }
    }
    let told = refused(scratch.sink().await.prepare(&retained(Some(0x8000_0000))).await);
    assert!(told.contains("2147483647"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_missing_is_only_named_if_it_is_not_to_be_made() {
    let Some(scratch) = Scratch::new().await else { return };
    scratch.sink().await.prepare(&retained(Some(WEEK))).await.unwrap();
    let sink = MongoSink::builder(&scratch.url).create(false).connect().await.unwrap();
    sink.prepare(&retained(Some(WEEK))).await.unwrap();
    for seconds in [Some(2 * WEEK), None] {
        let told = refused(sink.prepare(&retained(seconds)).await);
        assert!(told.contains("for 604800 s") && told.contains("createIndex"), "{told}");
        assert_eq!(told.contains("expireAfterSeconds: 1209600"), seconds.is_some(), "{told}");
    }
    assert_eq!(index(&scratch).await, Some(Some(WEEK.cast_signed())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_expired_between_two_attempts_is_made_anew_and_no_other_is_added_to_twice() {
    let Some(scratch) = Scratch::new().await else { return };
    let sink = scratch.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let batch = batch("web1", 1, &[(60, "c1", 5), (60, "c2", 7)]);
    *sink.0.store().checkpoints.fault.lock().unwrap() = Some(evs_core::Fault::Commit);
    super::unavailable(sink.apply(&batch).await);
    scratch.database.collection::<Document>("ads").delete_one(doc! { "campaign": "c1" }).await.unwrap();
    assert_eq!(sink.apply(&batch).await.unwrap(), Applied::Now);
    let expected = [(60, "c1".to_owned(), 1, 5), (60, "c2".to_owned(), 1, 7)];
    assert_eq!(super::totals(&sink).await, expected);
}
