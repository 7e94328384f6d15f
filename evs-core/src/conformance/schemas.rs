//! Tests of definitions: a table takes the rows of the definitions that it was prepared for and no others.
//!
//! Rows that have another meaning must never be added to those of a table, even if the columns happen to fit. The error
//! names the difference, since an operator has to decide what to do. A table can get more measures, though: the module
//! `redefined` has the tests.

use crate::{
    conformance::{
        fixture::{Fixture, Store},
        support::{Stream, apply_all, assert_holds, assert_refused, held, progress, row, schema},
    },
    statistic::{KeyColumn, MeasureColumn, MeasureKind, Sample, Schema},
};

/// [`Sink::prepare`](crate::Sink::prepare) may be called at any time, and does nothing if the table is there.
pub async fn preparing_twice_changes_nothing(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = Stream::new("web1", schema("ad_events", &["campaign"]));
    let sink = store.open().await;
    let batches = [stream.batch(1, &[row(60, &[b"c1"], 1)])];
    apply_all(&*sink, &batches).await;
    for sink in [sink, store.open().await] {
        sink.prepare(&stream.schema).await.expect("the same schema");
        sink.prepare(&stream.schema).await.expect("the same schema");
        assert_holds(&held(&*sink, &stream.schema).await, &batches);
    }
}

/// Returns definitions whose rows must not be added to those of `base`, each with a word that names the difference.
fn others(base: &Schema) -> Vec<(Schema, &'static str)> {
    let key = |name: &str| KeyColumn { name: name.to_owned(), field: name.to_owned() };
    let mut others = Vec::new();
    let mut other = |change: &dyn Fn(&mut Schema), word| {
        let mut schema = base.clone();
        change(&mut schema);
        others.push((schema, word));
    };
    other(&|schema| schema.window_seconds = 300, "window");
    other(&|schema| schema.keys.push(key("kind")), "kind");
    other(&|schema| schema.keys.clear(), "keys");
    other(&|schema| schema.keys[0].field = "arg_c".to_owned(), "arg_c");
    other(&|schema| schema.only = Some("status >= 500".to_owned()), "status >= 500");
    other(&|schema| schema.sample = Some(Sample { one_in: 10, by: String::new() }), "sample");
    other(&|schema| schema.top = Some(100), "top");
    other(&|schema| schema.measures[1].scale = 6, "scale");
    other(&|schema| schema.measures[1].kind = MeasureKind::Max, "max");
    other(&|schema| schema.measures[2].field = "body_bytes_sent".to_owned(), "body_bytes_sent");
    others
}

/// The same statistic with another window, key, measure or scale is refused, and the error names the difference.
pub async fn another_definition_is_refused(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = Stream::new("web1", schema("ad_events", &["campaign"]));
    let sink = store.open().await;
    let batches = [stream.batch(1, &[row(60, &[b"c1"], 1)])];
    apply_all(&*sink, &batches).await;
    for (other, word) in others(&stream.schema) {
        // With a measure that the table could get, it is still refused, and gets nothing.
        let mut more = other.clone();
        more.measures.push(MeasureColumn::new("bytes", MeasureKind::Sum, "body_bytes_sent", 0));
        for other in [&other, &more] {
            for sink in [&sink, &store.open().await] {
                let what = assert_refused(sink.prepare(other).await);
                assert!(what.contains(word), "{word}: {what}");
            }
        }
    }
    sink.prepare(&stream.schema).await.expect("the definition it was made for");
    assert_holds(&held(&*sink, &stream.schema).await, &batches);
}

/// A batch with another definition than that of the table is refused and changes nothing, even without a call of
/// `prepare` before.
pub async fn a_batch_of_another_definition_is_refused(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = Stream::new("web1", schema("ad_events", &["campaign"]));
    let sink = store.open().await;
    let batches = [stream.batch(1, &[row(60, &[b"c1"], 1)])];
    apply_all(&*sink, &batches).await;
    let before = progress(&*sink, "web1").await;
    let mut more = (*stream.schema).clone();
    more.measures.push(MeasureColumn::new("bytes", MeasureKind::Sum, "body_bytes_sent", 0));
    // The table could get that measure, but nobody has prepared it.
    for (other, word) in others(&stream.schema).into_iter().chain([(more, "bytes")]) {
        let values = vec![Some(1); other.measures.len()];
        let keys = vec![b"c1".to_vec(); other.keys.len()];
        let other = Stream { schema: other.into(), ..stream.clone() };
        let batch = other.batch(2, &[(60, keys, values)]);
        for sink in [&sink, &store.open().await] {
            let what = assert_refused(sink.apply(&batch).await);
            assert!(what.contains(word), "{word}: {what}");
        }
    }
    assert_eq!(progress(&*sink, "web1").await, before);
    assert_holds(&held(&*sink, &stream.schema).await, &batches);
}

/// Statistics of one source have rows and sequences of their own.
///
/// Their batches are applied alternately, so a progress per source instead of per statistic is noticed.
pub async fn statistics_are_kept_apart(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let first = Stream::new("web1", schema("ad_events", &["campaign"]));
    let second = Stream { schema: schema("errors", &["campaign", "status"]).into(), ..first.clone() };
    let sink = store.open().await;
    let batches = [first.batch(1, &[row(60, &[b"c1"], 1)]), first.batch(2, &[row(60, &[b"c1"], 2)])];
    let others = [second.batch(1, &[row(60, &[b"c1", b"500"], 3)])];
    apply_all(&*sink, &batches[..1]).await;
    apply_all(&*sink, &others).await;
    apply_all(&*sink, &batches[1..]).await;
    assert_holds(&held(&*sink, &first.schema).await, &batches);
    assert_holds(&held(&*sink, &second.schema).await, &others);
}

/// A statistic without keys has one row per window. Its primary key is the window alone, which statements that join
/// lists of columns tend to forget.
pub async fn a_statistic_without_keys_has_a_row_per_window(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = Stream::new("web1", schema("requests", &[]));
    let sink = store.open().await;
    let batches = [1, 2].map(|n| stream.batch(n, &[row(60, &[], n.into()), row(120, &[], 5)]));
    apply_all(&*sink, &batches).await;
    let found = held(&*sink, &stream.schema).await;
    assert_eq!(found.len(), 2);
    assert_holds(&found, &batches);
}

/// The limits that a sink returns are within the ones that its fixture states.
pub async fn limits_are_those_of_the_store(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let (said, known) = (store.open().await.limits(), fixture.limits());
    let within = |(start, end): (bool, bool)| assert!(start && end, "{said:?} is beyond {known:?}");
    within((said.windows.start() >= known.windows.start(), said.windows.end() <= known.windows.end()));
    // A store whose readers add up has no totals of its own.
    if !matches!(known.overflow, super::Overflow::FoundByReaders) {
        within((said.sums.start() >= known.sums.start(), said.sums.end() <= known.sums.end()));
    }
    assert!(said.key_bytes_max.min(said.keys_bytes_max) <= known.key_bytes_max);
}
