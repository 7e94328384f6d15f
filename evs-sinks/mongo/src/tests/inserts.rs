//! Tests of documents that are inserted before any update is tried.

use std::{
    mem,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use evs_core::{MeasureColumn, MeasureKind, Rows, Sink};
use mongodb::bson::{Bson, Document};

use super::{
    Row, Scratch, batch,
    proxy::{Fate, Judge, Proxy, written},
    schema, totals,
};
use crate::MongoSink;

/// Records the commands that add rows.
#[derive(Default)]
struct Noting(Mutex<Vec<&'static str>>);

#[async_trait]
impl Judge for Noting {
    async fn judge(&self, command: &Document) -> Fate {
        if let Some((name, "ads")) = written(command) {
            self.0.lock().unwrap().push(name);
        }
        Fate::Forward
    }
}

/// A sink, and the commands that it sends.
struct Noted {
    sink: MongoSink,
    noting: Arc<Noting>,
    source: &'static str,
    sequence: u64,
    _proxy: Proxy,
}

impl Noted {
    async fn new(scratch: &Scratch, source: &'static str) -> Self {
        let noting = Arc::new(Noting::default());
        let proxy = Proxy::before(&scratch.url, Arc::clone(&noting)).await;
        let sink = MongoSink::connect(&scratch.by_way_of(proxy.address)).await.unwrap();
        sink.prepare(&schema()).await.unwrap();
        Self { sink, noting, source, sequence: 0, _proxy: proxy }
    }

    async fn sends(&mut self, rows: &[Row<'_>]) -> Vec<&'static str> {
        self.sequence += 1;
        self.sink.apply(&batch(self.source, self.sequence, rows)).await.unwrap();
        mem::take(&mut *self.noting.0.lock().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_new_windows_are_inserted_and_all_others_update() {
    let Some(scratch) = Scratch::new().await else { return };
    let mut web1 = Noted::new(&scratch, "web1").await;
    assert_eq!(web1.sends(&[(60, "c1", 1), (60, "c2", 1)]).await, ["insert"]);
    assert_eq!(web1.sends(&[(60, "c1", 1), (60, "c3", 1), (120, "c1", 1)]).await, ["insert", "update"]);
    assert_eq!(web1.sends(&[(60, "c2", 1), (120, "c2", 1)]).await, ["update"]);
    assert_eq!(web1.sends(&[(180, "c1", 1)]).await, ["insert"]);
    let expected =
        [(60, "c1", 2), (60, "c2", 2), (60, "c3", 1), (120, "c1", 1), (120, "c2", 1), (180, "c1", 1)];
    assert_eq!(
        totals(&web1.sink).await,
        expected.map(|(window, key, hits)| (window, key.to_owned(), hits, hits))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_always_comes_second_seldom_tries_to_insert() {
    let Some(scratch) = Scratch::new().await else { return };
    let (mut first, mut second) = (Noted::new(&scratch, "web1").await, Noted::new(&scratch, "web2").await);
    let (mut inserts, mut updates) = (0, 0);
    for window in (0..40).map(|minute| minute * 60) {
        assert_eq!(first.sends(&[(window, "c1", 5)]).await, ["insert"]);
        match *second.sends(&[(window, "c1", 7)]).await {
            ["insert", "update"] => inserts += 1,
            ["update"] => updates += 1,
            ref other => panic!("{other:?}"),
        }
    }
    assert_eq!((inserts, updates), (3, 37));
    assert!(totals(&first.sink).await.iter().all(|row| (row.2, row.3) == (2, 12)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inserted_document_is_the_one_that_an_upsert_makes() {
    let Some(scratch) = Scratch::new().await else { return };
    let measure = |name: &str, kind| MeasureColumn::new(name, kind, "", 3);
    let mut measures = schema().measures;
    measures.extend([measure("least", MeasureKind::Min), measure("most", MeasureKind::Max)]);
    let mut schema = schema();
    schema.measures = measures;
    let schema = Arc::new(schema);
    let sink = scratch.sink().await;
    sink.prepare(&schema).await.unwrap();
    let values: [&[Option<i128>]; 3] = [
        &[Some(3), Some(-250), Some(-1), Some(10_i128.pow(33))],
        &[Some(i64::MAX.into()), None, Some(0), None],
        &[Some(0), Some(0), None, None],
    ];
    // One window is new to this sink, and one is not.
    for (sequence, window) in [(1, 120), (2, 60)] {
        let mut rows = Rows::new(1, 4);
        for (key, values) in ["c1", "c\\\0", ""].into_iter().zip(values) {
            rows.push(window, [key.as_bytes()], values);
        }
        let (schema, source) = (Arc::clone(&schema), "web1".into());
        let mut batch = batch::<&str>("nobody", sequence, &[]);
        batch.source = source;
        batch.schema = schema;
        batch.rows = rows;
        sink.apply(&evs_core::conformance::chained(batch)).await.unwrap();
    }
    let mut documents = scratch.documents("ads").await;
    assert_eq!(documents.len(), 6);
    for (at, document) in documents.iter_mut().enumerate() {
        // The marks differ on purpose. So may the order of fields, which the server chooses.
        let marks = document.remove("_evs").unwrap();
        let sequence = marks.as_document().unwrap().values().collect::<Vec<_>>();
        assert_eq!(sequence, [&Bson::Int64(if at < 3 { 1 } else { 2 })]);
        assert!(document.remove("_id").is_some() && document.remove("window_start").is_some());
        let mut fields = mem::take(document).into_iter().collect::<Vec<_>>();
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        document.extend(fields);
    }
    let (inserted, upserted) = documents.split_at(3);
    assert_eq!(inserted, upserted);
}
