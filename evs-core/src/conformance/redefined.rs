//! Tests of definitions that change: a table can get more measures, and then takes batches of all definitions that it
//! was prepared for.
//!
//! Batches of the older definition may still wait when the newer one is prepared, and another source may keep the older
//! one for ever. A measure is absent from the rows that were not counted with it: nobody knows its value there, so it is
//! not 0.

use std::{slice, sync::Arc};

use crate::{
    batch::Batch,
    conformance::{
        fixture::{Fixture, Store},
        support::{
            PlainRow, Stream, apply_all, assert_holds, cancelled_after, held, held_rows, progress, row,
            schema,
        },
    },
    sink::{Applied, Sink},
    statistic::{MeasureColumn, MeasureKind, Schema},
};

/// The measures that the tests add, one of each kind.
fn more() -> [MeasureColumn; 4] {
    [
        MeasureColumn::new("misses", MeasureKind::Count, "", 0),
        MeasureColumn::new("bytes_sum", MeasureKind::Sum, "body_bytes_sent", 2),
        MeasureColumn::new("bytes_min", MeasureKind::Min, "body_bytes_sent", 0),
        MeasureColumn::new("bytes_max", MeasureKind::Max, "body_bytes_sent", 0),
    ]
}

/// The definition before the change.
fn old() -> Schema {
    schema("ad_events", &["campaign"])
}

/// The definition with the given measures before and after the old ones.
fn with(before: &[MeasureColumn], after: &[MeasureColumn]) -> Schema {
    let mut schema = old();
    schema.measures = [before, &schema.measures, after].concat();
    schema
}

/// A row whose values are all `value`.
fn flat(window: i64, key: &[u8], value: i128, measures: usize) -> PlainRow {
    (window, vec![key.to_vec()], vec![Some(value); measures])
}

/// Returns the rows of `found` with the measures of `schema` alone, taken from rows of `from`.
fn as_rows_of(schema: &Schema, from: &Schema, rows: &[PlainRow]) -> Vec<PlainRow> {
    let place = |measure: &MeasureColumn| from.measures.iter().position(|other| other == measure);
    let places: Vec<_> = schema.measures.iter().map(place).collect();
    let values = |row: &PlainRow| places.iter().map(|place| place.and_then(|at| row.2[at])).collect();
    rows.iter().map(|row| (row.0, row.1.clone(), values(row))).collect()
}

/// After [`Sink::prepare`] with a new measure, a batch adds to the rows that are there. Rows that get no value of the
/// new measure do not have it. [`Sink::totals`] returns the measures that it is asked for.
pub async fn a_new_measure_is_added_to_the_rows_that_are_there(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let bytes = more()[1].clone();
    // The new measure is not the last one: its place in a batch is not its place in the table.
    let new = with(&[bytes], &[]);
    let before = Stream::new("web1", old());
    let after = before.with_schema(new.clone());
    let sink = store.open().await;
    apply_all(&*sink, &[before.batch(1, &[row(60, &[b"c1"], 5), row(60, &[b"c2"], 7)])]).await;
    let known = progress(&*sink, "web1").await;
    sink.prepare(&new).await.expect("a new measure is accepted");
    assert_eq!(progress(&*sink, "web1").await, known, "preparing moves nothing");
    let empty = [Some(1), Some(7), Some(7), Some(7)];
    let rows = held_rows(&*sink, &new).await;
    assert_eq!(rows[1].2[..1], [None], "not counted yet");
    assert_eq!(rows[1].2[1..], empty);

    let batch = after.batch(2, &[flat(60, b"c1", 3, 5), flat(120, b"c3", 4, 5)]);
    for sink in [sink, store.open().await] {
        sink.prepare(&new).await.expect("it is prepared already");
        sink.apply(&batch).await.expect("the batch is applied");
        let some = |values: [i128; 5]| values.map(Some).to_vec();
        let expected = vec![
            (60, vec![b"c1".to_vec()], some([3, 4, 8, 3, 5])),
            (60, vec![b"c2".to_vec()], [&[None], &empty[..]].concat()),
            (120, vec![b"c3".to_vec()], some([4, 4, 4, 4, 4])),
        ];
        assert_eq!(held_rows(&*sink, &new).await, expected);
        assert_eq!(held_rows(&*sink, &old()).await, as_rows_of(&old(), &new, &expected));
    }
}

/// A batch of the older definition may wait until the newer one is prepared, or until batches of it were applied.
pub async fn an_older_batch_may_come_after_the_new_definition(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let new = with(&[], &more()[..2]);
    let web1 = Stream::new("web1", old());
    let batches = [
        web1.batch(1, &[row(60, &[b"c1"], 1)]),
        web1.batch(2, &[row(60, &[b"c1"], 2), row(120, &[b"c1"], 2)]),
    ];
    let sink = store.open().await;
    apply_all(&*sink, &batches[..1]).await;
    sink.prepare(&new).await.expect("a new measure is accepted");
    // Without a call of `prepare` for its own definition.
    assert_eq!(sink.apply(&batches[1]).await.expect("an older batch is accepted"), Applied::Now);
    let later = web1.with_schema(new.clone()).batch(3, &[flat(60, b"c1", 3, 6)]);
    assert_eq!(sink.apply(&later).await.expect("a newer batch is accepted"), Applied::Now);
    // Another source still has the old definition, also after a restart.
    let web2 = Stream::new("web2", old());
    let others = [web2.batch(1, &[row(60, &[b"c1"], 10), row(180, &[b"c1"], 10)])];
    let again = store.open().await;
    apply_all(&*again, &others).await;
    for sink in [sink, again] {
        let short = as_rows_of(&old(), &new, &[flat(60, b"c1", 3, 6)]);
        let short = web1.batch(3, &short);
        assert_holds(&held(&*sink, &old()).await, batches.iter().chain([&short]).chain(&others));
        let found: Vec<_> =
            held_rows(&*sink, &new).await.into_iter().map(|row| row.2[4..].to_vec()).collect();
        assert_eq!(found, [[Some(3); 2], [None; 2], [None; 2]]);
        sink.prepare(&old()).await.expect("the old definition is still accepted");
    }
}

/// The measures of a batch belong to columns by their names, not by their places.
pub async fn another_order_of_measures_is_no_other_definition(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let mut turned = old();
    turned.measures.reverse();
    let stream = Stream::new("web1", old());
    let sink = store.open().await;
    let first = stream.batch(1, &[row(60, &[b"c1"], 5)]);
    let second = stream.with_schema(turned.clone());
    let second = second.batch(2, &[(60, vec![b"c1".to_vec()], [9, 2, 4, 1].map(Some).to_vec())]);
    apply_all(&*sink, &[first, second]).await;
    for (schema, expected) in [(old(), [2, 9, 2, 9]), (turned, [9, 2, 9, 2])] {
        let expected = vec![(60, vec![b"c1".to_vec()], expected.map(Some).to_vec())];
        assert_eq!(held_rows(&*sink, &schema).await, expected);
    }
}

/// Measures of every kind can be added, one after the other. Each is then merged by its kind.
pub async fn each_kind_of_measure_can_be_added(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = Stream::new("web1", old());
    let sink = store.open().await;
    apply_all(&*sink, &[stream.batch(1, &[row(60, &[b"c1"], 5)])]).await;
    let mut sequence = 1;
    for count in 1..=more().len() {
        let schema = with(&[], &more()[..count]);
        for value in [9, 4] {
            sequence += 1;
            let batch =
                stream.with_schema(schema.clone()).batch(sequence, &[flat(60, b"c1", value, 4 + count)]);
            apply_all(&*sink, &[batch]).await;
        }
        let rows = held_rows(&*sink, &schema).await;
        let merged = more()[count - 1].kind.merge(Some(9), Some(4)).expect("it fits");
        assert_eq!(rows[0].2[3 + count], merged, "{:?}", more()[count - 1].kind);
    }
    let all = held_rows(&*sink, &with(&[], &more())).await;
    assert_eq!(all[0].2, [53, 57, 4, 9, 52, 39, 4, 9].map(Some));
}

/// Two sources whose definitions have different new measures do not disturb each other, whoever comes first.
pub async fn sources_may_have_different_measures(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let [misses, sum, ..] = more();
    let one = Stream::new("web1", with(&[], slice::from_ref(&misses)));
    let two = Stream::new("web2", with(slice::from_ref(&sum), &[]));
    let (sink, other) = (store.open().await, store.open().await);
    for n in 1..4 {
        apply_all(&*sink, &[one.batch(n, &[flat(60, b"c1", 1, 5)])]).await;
        apply_all(&*other, &[two.batch(n, &[flat(60, b"c1", 10, 5)])]).await;
    }
    let both = with(&[], &[misses, sum]);
    for sink in [sink, other, store.open().await] {
        sink.prepare(&both).await.expect("the table has all of it");
        let expected = [33, 33, 1, 10, 3, 30].map(Some).to_vec();
        assert_eq!(held_rows(&*sink, &both).await, [(60, vec![b"c1".to_vec()], expected)]);
    }
}

/// A call of [`Sink::prepare`] that is dropped at any point leaves a table that both definitions can use, and the next
/// call completes it.
pub async fn a_preparation_that_is_cancelled_anywhere_is_completed(fixture: &impl Fixture) {
    let new = with(&[], &more());
    for polls in 0.. {
        let store = fixture.fresh().await;
        let stream = Stream::new("web1", old());
        let sink = store.open().await;
        apply_all(&*sink, &[stream.batch(1, &[row(60, &[b"c1"], 5)])]).await;
        // It takes some ten milliseconds, so few places are tried.
        let done = cancelled_after(polls * polls, sink.prepare(&new)).await;
        if let Some(answer) = &done {
            assert!(answer.is_ok(), "{answer:?}");
        }
        for sink in [sink, store.open().await] {
            until_prepared(&*sink, &old()).await;
            until_prepared(&*sink, &new).await;
        }
        let sink = store.open().await;
        let batch = stream.with_schema(new.clone()).batch(2, &[flat(60, b"c1", 3, 8)]);
        assert_eq!(sink.apply(&batch).await.expect("the batch is applied"), Applied::Now);
        let expected = [4, 8, 3, 5, 3, 3, 3, 3].map(Some).to_vec();
        assert_eq!(held_rows(&*sink, &new).await, [(60, vec![b"c1".to_vec()], expected)]);
        if done.is_some() {
            return;
        }
    }
}

/// Several processes that start with new definitions at the same moment all succeed, and the table has all measures.
pub async fn several_preparations_at_once_all_succeed(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = Stream::new("web1", old());
    apply_all(&*store.open().await, &[stream.batch(1, &[row(60, &[b"c1"], 5)])]).await;
    let [misses, sum, min, max] = more();
    let schemas = [
        with(&[], &[misses.clone(), sum.clone()]),
        with(&[], &[sum.clone(), misses.clone()]),
        with(slice::from_ref(&min), slice::from_ref(&misses)),
        with(&[], &[misses, sum, min, max]),
    ];
    let mut running = Vec::new();
    for (at, schema) in schemas.iter().enumerate() {
        let sink = store.open().await;
        let source = ["web2", "web3", "web4", "web5"][at];
        let batch =
            Stream::new(source, schema.clone()).batch(1, &[flat(60, b"c1", 1, schema.measures.len())]);
        running.push(tokio::spawn(prepare_and_apply(sink, batch)));
    }
    for done in running {
        done.await.expect("no task panics");
    }
    let sink = store.open().await;
    let rows = held_rows(&*sink, &schemas[3]).await;
    assert_eq!(rows, [(60, vec![b"c1".to_vec()], [5, 9, 1, 5, 4, 3, 1, 1].map(Some).to_vec())]);
}

async fn prepare_and_apply(sink: Arc<dyn Sink>, batch: Batch) {
    until_prepared(&*sink, &batch.schema).await;
    loop {
        match sink.apply(&batch).await {
            Err(error) if error.is_transient() => {}
            answer => break assert_eq!(answer.expect("the batch is applied"), Applied::Now),
        }
    }
}

/// Prepares again as long as the error can pass, as a pipeline does.
async fn until_prepared(sink: &dyn Sink, schema: &Schema) {
    loop {
        match sink.prepare(schema).await {
            Err(error) if error.is_transient() => {}
            answer => return answer.expect("the schema is accepted"),
        }
    }
}
