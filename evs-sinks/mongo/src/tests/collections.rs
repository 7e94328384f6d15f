//! The database as any other program finds it.

use evs_core::{Applied, Rows, Sink};
use mongodb::bson::{Bson, DateTime, Document, doc};

use super::{Scratch, batch, refused, schema};
use crate::{MongoSink, decimal};

#[tokio::test(flavor = "multi_thread")]
async fn documents_have_types_that_can_be_queried() {
    let Some(scratch) = Scratch::new().await else { return };
    let sink = scratch.sink().await;
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch("web1", 1, &[(1_700_000_040, "größe\0", 250)])).await.unwrap();
    sink.apply(&batch("web1", 2, &[(1_700_000_040, "größe\0", -1_000)])).await.unwrap();
    let mut found = scratch.documents("ads").await;
    let marks = found[0].remove("_evs").unwrap();
    assert_eq!(marks.as_document().unwrap().values().collect::<Vec<_>>(), [&Bson::Int64(2)]);
    let expected = doc! {
        "_id": r"1700000040|größe\x00",
        "window_start": DateTime::parse_rfc3339_str("2023-11-14T22:14:00Z").unwrap(),
        "campaign": r"größe\x00",
        "hits": 2_i64,
        "revenue": Bson::Decimal128("-7.50".parse().unwrap()),
    };
    let sorted = |document: &Document| {
        let mut fields = document.clone().into_iter().collect::<Vec<_>>();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        fields
    };
    assert_eq!(found.iter().map(sorted).collect::<Vec<_>>(), [sorted(&expected)]);
    let progress = scratch.documents("evs_progress").await;
    assert_eq!(progress.len(), 1);
    assert_eq!(progress[0].get_i64("sequence").unwrap(), 2);
    assert_eq!(progress[0].get_str("source").unwrap(), "web1");
    let catalogue = scratch.documents("evs_statistics").await;
    assert_eq!(catalogue[0].get_str("_id").unwrap(), "ads");
    assert_eq!(catalogue[0].get_str("definition").unwrap(), schema().to_json());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_absent_is_a_field_that_is_not_there() {
    let Some(scratch) = Scratch::new().await else { return };
    let sink = scratch.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let mut without = batch::<&str>("web1", 1, &[]);
    without.rows = Rows::new(1, 2);
    without.rows.push(60, [&b"c1"[..]], &[Some(1), None]);
    sink.apply(&without).await.unwrap();
    assert!(!scratch.documents("ads").await[0].contains_key("revenue"));
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_have_34_digits_and_no_more() {
    let Some(scratch) = Scratch::new().await else { return };
    let sink = scratch.sink().await;
    sink.prepare(&schema()).await.unwrap();
    for (key, sign) in [("up", 1), ("down", -1)] {
        let source = format!("web-{key}");
        let add = |sequence, value: i128| batch(&source, sequence, &[(60, key, sign * value)]);
        sink.apply(&add(1, decimal::MAX - 1)).await.unwrap();
        sink.apply(&add(2, 1)).await.unwrap();
        let told = refused(sink.apply(&add(3, 1)).await);
        assert!(told.contains("34 digits") && told.contains("revenue") && told.contains(key), "{told}");
        // In the other direction there is room, for another source.
        sink.apply(&batch("web9", 1 + u64::from(sign < 0), &[(60, key, -sign)])).await.unwrap();
        let found = super::totals(&sink).await;
        let row = found.iter().find(|row| row.1 == key).unwrap();
        assert_eq!(row.3, sign * (decimal::MAX - 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_others_have_written_in_another_form_are_read() {
    let Some(scratch) = Scratch::new().await else { return };
    let sink = scratch.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let ads = scratch.database.collection::<Document>("ads");
    let row = |hits: Bson, revenue: &str| {
        let revenue = Bson::Decimal128(revenue.parse().unwrap());
        doc! { "_id": "x", "window_start": DateTime::from_millis(0), "campaign": "c1", "hits": hits, "revenue": revenue }
    };
    ads.insert_one(row(Bson::Int32(3), "1.5")).await.unwrap();
    assert_eq!(super::totals(&sink).await, [(0, "c1".to_owned(), 3, 150)]);
    for bad in [row(Bson::Double(3.0), "1.5"), row(Bson::Int64(3), "1.505"), row(Bson::Int64(3), "NaN")] {
        ads.replace_one(doc! { "_id": "x" }, bad).await.unwrap();
        let told = refused(sink.totals(&schema(), 0..60).await);
        assert!(told.contains("ads"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn collections_that_evs_did_not_make_are_refused() {
    let Some(scratch) = Scratch::new().await else { return };
    let sink = scratch.sink().await;
    let ads = scratch.database.collection::<Document>("ads");
    let prepare = async || refused(sink.prepare(&schema()).await);

    ads.insert_one(doc! { "user": "alice" }).await.unwrap();
    let told = prepare().await;
    assert!(told.contains("not made by evs"), "{told}");
    ads.drop().await.unwrap();

    scratch.database.run_command(doc! { "create": "ads", "capped": true, "size": 100_000 }).await.unwrap();
    let told = prepare().await;
    assert!(told.contains("capped"), "{told}");
    ads.drop().await.unwrap();

    let collation = doc! { "locale": "en", "strength": 2 };
    scratch.database.run_command(doc! { "create": "ads", "collation": collation }).await.unwrap();
    let told = prepare().await;
    assert!(told.contains("collation"), "{told}");
    ads.drop().await.unwrap();

    scratch.database.run_command(doc! { "create": "ads", "viewOn": "others", "pipeline": [] }).await.unwrap();
    let told = prepare().await;
    assert!(told.contains("is a view"), "{told}");
    ads.drop().await.unwrap();

    // An empty collection is used.
    scratch.database.create_collection("ads").await.unwrap();
    sink.prepare(&schema()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_was_dropped_is_not_made_again_in_silence() {
    let Some(scratch) = Scratch::new().await else { return };
    let sink = scratch.sink().await;
    sink.prepare(&schema()).await.unwrap();
    scratch.database.collection::<Document>("ads").drop().await.unwrap();
    let batch = batch("web1", 1, &[(60, "c1", 1)]);
    for told in [refused(sink.prepare(&schema()).await), refused(sink.apply(&batch).await)] {
        assert!(told.contains("is gone"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_if_that_is_not_wanted() {
    let Some(scratch) = Scratch::new().await else { return };
    let sink = MongoSink::builder(&scratch.url).create(false).connect().await.unwrap();
    for name in ["evs_progress", "evs_writers", "evs_statistics", "ads"] {
        let told = refused(sink.prepare(&schema()).await);
        assert!(told.contains(&format!("createCollection({name:?})")), "{told}");
        scratch.database.create_collection(name).await.unwrap();
    }
    sink.prepare(&schema()).await.unwrap();
    assert_eq!(sink.apply(&batch("web1", 1, &[(60, "c1", 1)])).await.unwrap(), Applied::Now);
    assert_eq!(scratch.database.collection::<Document>("ads").list_index_names().await.unwrap(), ["_id_"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_validator_forbids_is_refused_in_the_servers_words() {
    let Some(scratch) = Scratch::new().await else { return };
    let sink = scratch.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let validator = doc! { "collMod": "ads", "validator": { "campaign": { "$ne": "bad" } } };
    scratch.database.run_command(validator).await.unwrap();
    let batch = batch("web1", 1, &[(60, "good", 1), (60, "bad", 1)]);
    let told = refused(sink.apply(&batch).await);
    for word in ["statistic ads", "batch 1", "60|bad", "121", "validation"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert_eq!(sink.progress("web1").await.unwrap(), []);
    // After the obstacle is gone, each row counts once.
    scratch.database.run_command(doc! { "collMod": "ads", "validator": {} }).await.unwrap();
    assert_eq!(sink.apply(&batch).await.unwrap(), Applied::Now);
    let expected = [(60, "bad".to_owned(), 1, 1), (60, "good".to_owned(), 1, 1)];
    assert_eq!(super::totals(&sink).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_would_be_paths_or_evs_own_are_refused() {
    // The schema is refused before any server is asked.
    let sink = MongoSink::connect("mongodb://127.0.0.1:1/stats").await.unwrap();
    let key = |name: &str| {
        let mut schema = schema();
        schema.keys[0].name = name.to_owned();
        schema
    };
    for name in ["", "a.b", "$a", "a\0", "ä", "1a", "_id", "_evs", "window_start", "hits"] {
        let told = refused(sink.prepare(&key(name)).await);
        assert!(told.contains("field"), "{told}");
    }
    for name in ["", "a.b", "$a", "A", "1a", "_a", "evs_progress", "system.users"] {
        let mut schema = schema();
        schema.statistic = name.to_owned();
        refused(sink.prepare(&schema).await);
    }
}
