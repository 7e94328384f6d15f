//! Tests with a store that fails and hangs on demand, and needs no database.

use std::{
    future::pending,
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use evs_core::{
    Applied, Batch, Epoch, KeyColumn, Limits, MeasureColumn, MeasureKind, Progress, Rows, Schema, Sink,
    SinkError, Writer,
};

use crate::{Failure, Kind, Store, StoreError, Stored, Tables, Words, forward_sink};

/// The behaviour of the next call of `apply`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    Applies,
    Fails(Kind),
    Hangs,
}

#[derive(Debug)]
struct Scripted {
    next: Mutex<Next>,
    tables: Tables<()>,
    secrets: Vec<String>,
    checks: AtomicUsize,
    /// The calls of [`Store::failed`]: the kind of each error, and `None` for a call that was dropped.
    told: Mutex<Vec<Option<Kind>>>,
}

impl Scripted {
    fn new() -> Self {
        Self {
            next: Mutex::new(Next::Applies),
            tables: Tables::new(),
            secrets: vec!["hunter2".to_owned()],
            checks: AtomicUsize::new(0),
            told: Mutex::default(),
        }
    }
}

#[async_trait]
impl Store for Scripted {
    const WORDS: Words = Words::TABLES;

    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn secrets(&self) -> &[String] {
        &self.secrets
    }

    fn forget(&self, statistic: &str) {
        self.tables.forget(statistic);
    }

    fn failed(&self, failure: Option<&Failure>) {
        let kind = failure.map(|failure| match failure {
            Failure::Sink(_) => Kind::Permanent,
            Failure::Store(error) => error.kind,
        });
        self.told.lock().unwrap().push(kind);
    }

    async fn prepare_once(&self, _: &Schema) -> Result<(), Failure> {
        Ok(())
    }

    async fn progress_once(&self, _: &str) -> Result<Vec<Progress>, Failure> {
        Ok(Vec::new())
    }

    async fn begin_once(&self, _: &Progress) -> Result<(), Failure> {
        Ok(())
    }

    async fn writer_once(&self, _: &str) -> Result<Option<Writer>, Failure> {
        Ok(None)
    }

    async fn claim_once(&self, _: &Writer, _: Option<&Writer>) -> Result<bool, Failure> {
        Ok(true)
    }

    async fn apply_once(&self, batch: &Batch) -> Result<Applied, Failure> {
        let check = async {
            self.checks.fetch_add(1, SeqCst);
            Ok(())
        };
        self.tables.checked(&batch.schema, check).await?;
        let next = *self.next.lock().unwrap();
        match next {
            Next::Applies => Ok(Applied::Now),
            Next::Fails(kind) => Err(StoreError::new(kind, "no access for evs:hunter2").into()),
            Next::Hangs => pending().await,
        }
    }

    async fn totals_once(&self, _: &Schema, _: Range<i64>) -> Result<Rows, Failure> {
        Ok(Rows::new(1, 1))
    }
}

/// Expands `forward_sink!` in this crate, where clippy checks it.
#[derive(Debug)]
struct Wrapper(Stored<Scripted>);

forward_sink!(Wrapper);

fn batch(key: &str) -> Batch {
    let name = |name: &str| name.to_owned();
    let schema = Schema::new(
        name("ads"),
        60,
        vec![KeyColumn::new(name(key), name(key))],
        vec![MeasureColumn::new(name("n"), MeasureKind::Count, "", 0)],
    );
    Batch::new("web1", Epoch::from_bytes([7; 16]), schema, 1, Rows::new(1, 1))
}

fn wrapper() -> Wrapper {
    Wrapper(Stored::new(Scripted::new()))
}

impl Wrapper {
    fn store(&self) -> &Scripted {
        self.0.store()
    }

    fn next(&self, next: Next) {
        *self.store().next.lock().unwrap() = next;
    }

    /// Starts to apply a batch, and drops the call as soon as it is blocked.
    async fn apply_and_drop(&self) {
        let batch = batch("k");
        tokio::select! {
            biased;
            answer = self.apply(&batch) => panic!("{answer:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
}

#[tokio::test]
async fn errors_are_sorted_and_say_what_was_tried_without_the_secret() {
    let sink = wrapper();
    for (kind, is_transient) in [(Kind::Lost, true), (Kind::Busy, true), (Kind::Permanent, false)] {
        sink.next(Next::Fails(kind));
        let error = sink.apply(&batch("k")).await.unwrap_err();
        assert_eq!(error.is_transient(), is_transient, "{kind:?}");
        let story = "statistic ads: batch 1 of source web1 was not applied: no access for evs:***";
        assert_eq!(error.to_string(), story);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    let told = [Some(Kind::Lost), Some(Kind::Busy), Some(Kind::Permanent)];
    assert_eq!(*sink.store().told.lock().unwrap(), told);
}

#[tokio::test]
async fn a_table_is_checked_once_and_again_after_an_attempt_without_an_end() {
    let sink = wrapper();
    for _ in 0..2 {
        sink.apply(&batch("k")).await.unwrap();
        assert_eq!(sink.store().checks.load(SeqCst), 1);
    }
    sink.next(Next::Fails(Kind::Busy));
    sink.apply(&batch("k")).await.unwrap_err();
    sink.next(Next::Applies);
    sink.apply(&batch("k")).await.unwrap();
    assert_eq!(sink.store().checks.load(SeqCst), 2, "after an error");
    sink.next(Next::Hangs);
    sink.apply_and_drop().await;
    sink.next(Next::Applies);
    sink.apply(&batch("k")).await.unwrap();
    assert_eq!(sink.store().checks.load(SeqCst), 3, "after a call that was dropped");
    sink.apply(&batch("other")).await.unwrap();
    assert_eq!(sink.store().checks.load(SeqCst), 4, "another definition");
}

#[tokio::test]
async fn the_store_is_told_of_a_call_that_was_dropped() {
    let sink = wrapper();
    sink.apply(&batch("k")).await.unwrap();
    assert_eq!(*sink.store().told.lock().unwrap(), []);
    sink.next(Next::Hangs);
    sink.apply_and_drop().await;
    assert_eq!(*sink.store().told.lock().unwrap(), [None]);
}

#[tokio::test]
async fn a_definition_that_differs_is_refused_by_its_difference() {
    let (mine, other) = (batch("k").schema, batch("other").schema);
    Words::TABLES.compare(&mine.to_json(), &mine).unwrap();
    let refused = Words::COLLECTIONS.compare(&other.to_json(), &mine).unwrap_err();
    assert!(matches!(&refused, SinkError::Refused { .. }), "{refused:?}");
    let text = refused.to_string();
    assert!(text.starts_with("the collection ads was made for another definition: "), "{text}");
    let mut more = (*mine).clone();
    more.measures.insert(0, MeasureColumn::new("misses", MeasureKind::Count, "", 0));
    let refused = Words::TABLES.compare(&mine.to_json(), &more).unwrap_err().to_string();
    assert!(refused.contains("another definition: measures without misses; "), "{refused}");
    Words::TABLES.compare(&more.to_json(), &mine).unwrap();
    let extension = Words::TABLES.extension(&mine.to_json(), &more).unwrap().unwrap();
    assert_eq!((&extension.added[..], &extension.without(|_| true)), (&more.measures[..1], &*mine));
    assert_eq!(extension.without(|_| false), extension.schema);
    let unreadable = Words::TABLES.compare("{", &mine).unwrap_err().to_string();
    assert!(
        unreadable.starts_with("the definition of ads in evs_statistics cannot be read: "),
        "{unreadable}"
    );
}
