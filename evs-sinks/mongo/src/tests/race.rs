//! Tests with two sources that add to a document that neither has found.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use evs_core::{Applied, Sink};
use mongodb::bson::{Bson, Document, doc};

use super::{
    Scratch, batch,
    proxy::{Fate, Judge, Proxy, written},
    refused, schema, totals,
};
use crate::MongoSink;

/// The other source, which is faster whenever this one makes documents. MongoDB then answers with a duplicate key, as
/// it does for a row that is added a second time.
struct Rival {
    /// The sink to which it adds its rows. `None` if the documents are gone again when they are looked for.
    sink: Option<MongoSink>,
    /// The index that the error names, if it names one.
    index: Option<&'static str>,
    /// The number of commands before which it acts: the insert, and then the guarded upserts. Before the last of
    /// them, its rows are there to stay.
    wins: usize,
    /// The number of commands so far that make documents.
    met: AtomicUsize,
}

#[async_trait]
impl Judge for Rival {
    async fn judge(&self, command: &Document) -> Fate {
        let array = |name| command.get_array(name).map(Vec::as_slice).unwrap_or_default();
        let is_upsert = |update: &&Bson| update.as_document().unwrap().get_bool("upsert").unwrap();
        let made = array("documents").len() + array("updates").iter().filter(is_upsert).count();
        if !matches!(written(command), Some((_, "ads"))) || made == 0 {
            return Fate::Forward;
        }
        let met = self.met.fetch_add(1, SeqCst) + 1;
        if met > self.wins {
            return Fate::Forward;
        }
        if let Some(sink) = self.sink.as_ref().filter(|_| met == self.wins) {
            sink.apply(&batch("rival", 1, ROWS)).await.unwrap();
        }
        let error = |index: i32| {
            let mut error = doc! { "index": index, "code": 11000, "errmsg": "E11000 duplicate key error" };
            if let Some(name) = self.index {
                error.insert("keyPattern", doc! { name: 1 });
            }
            error
        };
        let errors = (0..).take(made).map(error).collect::<Vec<_>>();
        Fate::Answer(doc! { "ok": 1.0, "n": 0, "nModified": 0, "writeErrors": errors })
    }
}

const ROWS: &[super::Row<'_>] = &[(60, "c1", 250), (60, "c2", -1), (120, "c1", 3)];

/// Makes a sink that meets the rival, and returns its answer to one batch.
async fn met(scratch: &Scratch, rival: Rival) -> (Arc<Rival>, Result<Applied, evs_core::SinkError>) {
    let rival = Arc::new(rival);
    let proxy = Proxy::before(&scratch.url, Arc::clone(&rival)).await;
    let sink = MongoSink::connect(&scratch.by_way_of(proxy.address)).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    let answer = sink.apply(&batch("web1", 1, ROWS)).await;
    (rival, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_key_without_the_mark_is_a_lost_race_and_the_row_is_added() {
    // Servers need not name the index.
    for (wins, index) in [(1, Some("_id")), (1, None), (2, Some("_id")), (2, None)] {
        let Some(scratch) = Scratch::new().await else { return };
        let plain = scratch.sink().await;
        plain.prepare(&schema()).await.unwrap();
        let sink = Some(scratch.sink().await);
        let (rival, answer) = met(&scratch, Rival { sink, index, wins, met: AtomicUsize::new(0) }).await;
        assert_eq!(answer.unwrap(), Applied::Now);
        assert_eq!(rival.met.load(SeqCst), 2, "an insert and upserts; what comes after that makes nothing");
        let expected = ROWS.iter().map(|(window, key, value)| (*window, (*key).to_owned(), 2, value * 2));
        assert_eq!(totals(&plain).await, expected.collect::<Vec<_>>());
        // Now that the marks exist, the same error means that the row was added.
        assert_eq!(plain.apply(&batch("web1", 1, ROWS)).await.unwrap(), Applied::Before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_gone_when_it_is_looked_for_is_made() {
    for wins in [1, 2] {
        let Some(scratch) = Scratch::new().await else { return };
        let rival = Rival { sink: None, index: Some("_id"), wins, met: AtomicUsize::new(0) };
        let (rival, answer) = met(&scratch, rival).await;
        assert_eq!(answer.unwrap(), Applied::Now);
        assert_eq!(rival.met.load(SeqCst), wins + 1);
        let found = totals(&scratch.sink().await).await;
        assert_eq!(found.iter().map(|row| row.3).collect::<Vec<_>>(), [250, -1, 3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_key_of_another_index_is_refused_and_the_index_named() {
    let Some(scratch) = Scratch::new().await else { return };
    let sink = scratch.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let index = doc! { "key": { "campaign": 1 }, "name": "campaign_1", "unique": true };
    scratch.database.run_command(doc! { "createIndexes": "ads", "indexes": [index] }).await.unwrap();
    let told = refused(sink.apply(&batch("web1", 1, &[(60, "c1", 1), (120, "c1", 1)])).await);
    assert!(told.contains("unique index") && told.contains("campaign_1") && told.contains("ads"), "{told}");
    assert_eq!(sink.progress("web1").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_sources_that_add_to_the_same_rows_at_once_lose_nothing() {
    const SOURCES: usize = 8;
    const BATCHES: u64 = 5;
    let Some(scratch) = Scratch::new().await else { return };
    scratch.sink().await.prepare(&schema()).await.unwrap();
    let keys = (0..40).map(|key| format!("c{key}")).collect::<Vec<_>>();
    let mut writers = tokio::task::JoinSet::new();
    for source in 0..SOURCES {
        let url = scratch.url.clone();
        let batches = (1..=BATCHES).map(|sequence| {
            // Each batch has new windows, so that documents are made at the same time.
            let rows = keys.iter().map(|key| (60 * sequence.cast_signed(), key.as_str(), 7));
            batch(&format!("web{source}"), sequence, &rows.collect::<Vec<_>>())
        });
        let batches = batches.collect::<Vec<_>>();
        writers.spawn(async move {
            let sink = MongoSink::connect(&url).await.unwrap();
            for batch in batches {
                while let Err(error) = sink.apply(&batch).await {
                    assert!(error.is_transient(), "{error:?}");
                }
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let found = totals(&scratch.sink().await).await;
    assert_eq!(found.len(), keys.len() * BATCHES as usize);
    assert!(found.iter().all(|row| (row.2, row.3) == (SOURCES as i128, 7 * SOURCES as i128)), "{found:?}");
    // Each source has a mark of its own.
    let document = scratch.documents("ads").await.swap_remove(0);
    assert_eq!(document.get_document("_evs").unwrap().len(), SOURCES);
}
