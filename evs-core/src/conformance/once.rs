//! Tests of exactly-once: sequences, progress, and failures between them.
//!
//! A sink that adds the rows and moves its progress in one transaction passes all of them. The usual faults are a
//! progress that is committed separately, an answer that is lost after the commit and taken for a failure, and a call
//! that is dropped while it waits.

use std::sync::Arc;

use crate::{
    batch::{Batch, Rows},
    conformance::{
        fixture::{Fixture, Overflow, Store},
        support::{Stream, apply_all, assert_holds, cancelled_after, held, progress, row, schema},
    },
    sink::{Applied, Fault, Progress, SinkError},
};

/// The key to which all tests of this module add.
const KEY: &[&[u8]] = &[b"c1"];

/// Makes the stream of this module's tests.
fn stream() -> Stream {
    Stream::new("web1", schema("ad_events", &["campaign"]))
}

/// A new store can be asked for its progress: that is no error and changes nothing.
///
/// A store whose table of progress does not exist yet has no progress; the error for a missing table must not come
/// out.
pub async fn an_unused_store_has_no_progress(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let sink = store.open().await;
    assert_eq!(progress(&*sink, "web1").await, []);
    sink.prepare(&stream().schema).await.expect("the schema is accepted");
    assert_eq!(progress(&*sink, "web1").await, [], "preparing is not progress");
}

/// A first batch is there after `Ok`, also for a sink that opens the store again.
///
/// The sink is dropped before the store is read again, so rows that wait in a buffer of the sink are missing.
pub async fn the_first_batch_is_applied(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let batches = [stream.batch(1, &[row(60, KEY, 5), row(60, &[b"c2"], -7)])];
    let sink = store.open().await;
    apply_all(&*sink, &batches).await;
    assert_holds(&held(&*sink, &stream.schema).await, &batches);
    drop(sink);
    assert_holds(&held(&*store.open().await, &stream.schema).await, &batches);
}

/// The same batch again, before and after a restart, returns [`Applied::Before`].
///
/// A sink that remembers its progress in memory alone passes before the restart and fails after it.
pub async fn the_same_batch_again_changes_nothing(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let batches = [stream.batch(1, &[row(60, KEY, 5)])];
    let sink = store.open().await;
    apply_all(&*sink, &batches).await;
    assert_eq!(sink.apply(&batches[0]).await.expect("known"), Applied::Before);
    drop(sink);
    let sink = store.open().await;
    assert_eq!(sink.apply(&batches[0]).await.expect("known"), Applied::Before);
    assert_holds(&held(&*sink, &stream.schema).await, &batches);
}

/// A batch from before the last one is [`SinkError::Ahead`], which names the store's progress. The progress does not
/// go back.
///
/// [`judge`](crate::judge) makes the error. A statement that writes the progress unconditionally fails this test.
pub async fn an_older_batch_again_changes_nothing(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let batches = [1, 2, 3].map(|n| stream.batch(n, &[row(60, KEY, n.into())]));
    let sink = store.open().await;
    apply_all(&*sink, &batches).await;
    let checksum = batches[2].checksum();
    for batch in &batches[..2] {
        let error = sink.apply(batch).await.expect_err("older");
        assert!(
            matches!(error, SinkError::Ahead { offered, applied: 3, checksum: found, .. }
                if (offered, found) == (batch.sequence, checksum)),
            "{error:?}"
        );
    }
    assert_eq!(sink.apply(&batches[2]).await.expect("known"), Applied::Before);
    assert_eq!(progress(&*sink, "web1").await, [Progress::after(&batches[2])]);
    assert_holds(&held(&*sink, &stream.schema).await, &batches);
}

/// A batch with other rows than those it was cut with keeps its place: the store remembers it by the checksum of the batch
/// that was cut ([`Batch::with_rows`](crate::Batch::with_rows)).
///
/// A sink that decorates another one relies on that. A store that computes a checksum of its own takes such a batch for
/// one of another history after a restart.
pub async fn a_batch_with_other_rows_keeps_its_place(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let cut = [1, 2, 3].map(|n| stream.batch(n, &[row(60, KEY, n.into())]));
    let other = |n: u64| stream.copy().batch(n, &[row(60, &[b"other"], 5), row(60, KEY, 7)]).rows;
    let decorated = [1, 2, 3].map(|n| {
        let batch = &cut[n as usize - 1];
        batch.with_rows(Arc::clone(&batch.schema), other(n))
    });
    apply_all(&*store.open().await, &decorated[..2]).await;
    let sink = store.open().await;
    assert_eq!(progress(&*sink, "web1").await, [Progress::after(&cut[1])]);
    assert_eq!(sink.apply(&decorated[1]).await.expect("known"), Applied::Before);
    assert_eq!(sink.apply(&cut[1]).await.expect("the batch that was cut"), Applied::Before);
    apply_all(&*sink, &decorated[2..]).await;
    assert_holds(&held(&*sink, &stream.schema).await, &decorated);
}

/// A batch that was given up comes without its rows. It moves the progress and needs no table, since the
/// store may be unable to make one.
pub async fn a_batch_that_was_given_up_needs_no_table(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let batches = [1, 2, 3].map(|n| stream.batch(n, &[row(60, KEY, n.into())]));
    let empty = |batch: &Batch| {
        let rows = Rows::new(batch.rows.key_columns(), batch.rows.measure_columns());
        batch.with_rows(Arc::clone(&batch.schema), rows)
    };
    let sink = store.open().await;
    assert_eq!(sink.apply(&empty(&batches[0])).await.expect("no table is needed"), Applied::Now);
    assert_eq!(sink.apply(&empty(&batches[0])).await.expect("known"), Applied::Before);
    assert_eq!(progress(&*sink, "web1").await, [Progress::after(&batches[0])]);
    let gap = sink.apply(&empty(&batches[2])).await.expect_err("not the next one");
    assert!(matches!(gap, SinkError::Gap { offered: 3, applied: 1, .. }), "{gap:?}");
    apply_all(&*sink, &batches[1..2]).await;
    assert_eq!(sink.apply(&empty(&batches[2])).await.expect("the next one"), Applied::Now);
    assert_eq!(progress(&*store.open().await, "web1").await, [Progress::after(&batches[2])]);
    assert_holds(&held(&*sink, &stream.schema).await, &batches[1..2]);
}

/// The rows of a batch count once, no matter at which point it fails and through which sink it is offered again.
///
/// It needs [`Store::open_failing`] and is left out without it. The fault after the commit ([`Fault::Answer`]) is the
/// one that breaks sinks which take an error for a batch that was not applied.
pub async fn a_batch_that_fails_midway_is_applied_once(fixture: &impl Fixture) {
    let faults = [Fault::Rows(1), Fault::Rows(700), Fault::Rows(1999), Fault::Commit, Fault::Answer];
    // Without transactions, a reader may see some rows before the batch is complete.
    let transactions = fixture.limits().overflow == Overflow::RefusedWhole;
    for fault in faults {
        for restart in [false, true] {
            let store = fixture.fresh().await;
            let stream = stream();
            let keys = (0..2000).map(|n| (60 * (n % 7), format!("{n}"))).collect::<Vec<_>>();
            let batches = [1, 2].map(|n| {
                let rows = keys.iter().map(|(window, key)| row(*window, &[key.as_bytes()], n.into()));
                stream.batch(n, &rows.collect::<Vec<_>>())
            });
            apply_all(&*store.open().await, &batches[..1]).await;
            let Some(mut sink) = store.open_failing(fault).await else { return };
            let error = sink.apply(&batches[1]).await.expect_err("fails on demand");
            assert!(error.is_transient(), "{error:?}");
            if restart {
                sink = store.open().await;
            }
            let applied = if fault == Fault::Answer { Applied::Before } else { Applied::Now };
            let committed = if fault == Fault::Answer { 2 } else { 1 };
            if transactions || fault == Fault::Answer {
                assert_holds(&held(&*sink, &stream.schema).await, &batches[..committed]);
            }
            assert_eq!(sink.apply(&batches[1]).await.expect("accepted now"), applied, "{fault:?}");
            assert_holds(&held(&*sink, &stream.schema).await, &batches);
        }
    }
}

/// A call of `apply` is dropped at each await in turn. The store and the sink still apply the batch once.
///
/// The pipeline drops a call at its deadline. A sink that keeps a connection in the middle of a transaction, and uses
/// it for the next call, fails here.
pub async fn a_batch_that_is_cancelled_anywhere_is_applied_once(fixture: &impl Fixture) {
    /// The limit of polls: a batch of ten rows should not need more awaits.
    const POLLS_MAX: usize = 1000;
    let store = fixture.fresh().await;
    let stream = stream();
    let sink = store.open().await;
    let mut batches = Vec::new();
    for polls in 1..=POLLS_MAX {
        let rows = (0_u8..10).map(|key| row(60, &[&[key]], 3)).collect::<Vec<_>>();
        let batch = stream.batch(polls as u64, &rows);
        sink.prepare(&batch.schema).await.expect("the schema is accepted");
        let done = cancelled_after(polls, sink.apply(&batch)).await;
        if done.is_none() {
            sink.apply(&batch).await.expect("applied, now or before");
        }
        batches.push(batch);
        if done.is_some() {
            break;
        }
    }
    assert!(batches.len() < POLLS_MAX, "a call was never done");
    assert_holds(&held(&*sink, &stream.schema).await, &batches);
}

/// A batch that is not the next one is [`SinkError::Gap`], which names the store's progress.
///
/// The sequences 0 and 2^64 - 1 are tried, too: an addition must not wrap.
pub async fn a_gap_is_refused(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let sink = store.open().await;
    sink.prepare(&stream.schema).await.expect("the schema is accepted");
    let gap = |n| stream.batch(n, &[row(60, KEY, 1)]);
    for offered in [0, 2, u64::MAX] {
        let error = sink.apply(&gap(offered)).await.expect_err("a gap");
        assert!(matches!(error, SinkError::Gap { applied: 0, offered: n, .. } if n == offered), "{error:?}");
    }
    assert_eq!(progress(&*sink, "web1").await, []);
    let batches = [gap(1), gap(2)];
    apply_all(&*sink, &batches).await;
    let error = sink.apply(&gap(4)).await.expect_err("a gap");
    assert!(matches!(error, SinkError::Gap { applied: 2, offered: 4, .. }), "{error:?}");
    assert_eq!(progress(&*sink, "web1").await, [Progress::after(&batches[1])]);
    assert_holds(&held(&*sink, &stream.schema).await, &batches);
}

/// The last sequence with another checksum is [`SinkError::Foreign`].
///
/// A sink that compares sequences alone takes the batch of a copied state directory for one that it has.
pub async fn other_contents_under_the_same_sequence_are_foreign(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let batches = [stream.batch(1, &[row(60, KEY, 1)])];
    let sink = store.open().await;
    apply_all(&*sink, &batches).await;
    let other = stream.batch(1, &[row(60, KEY, 2)]);
    let error = sink.apply(&other).await.expect_err("foreign");
    let (ours, theirs) = (other.checksum(), batches[0].checksum());
    assert!(
        matches!(error, SinkError::Foreign { sequence: 1, offered, found, .. } if (offered, found) == (ours, theirs)),
        "{error:?}"
    );
    assert_eq!(progress(&*sink, "web1").await, [Progress::after(&batches[0])]);
    assert_holds(&held(&*sink, &stream.schema).await, &batches);
}

/// After [`Sink::begin`](crate::Sink::begin), the next batch is the first one.
///
/// A pipeline calls `begin` for a store that is added to a source with a history, so the stream begins at some
/// sequence that is not 1.
pub async fn a_stream_goes_on_behind_its_beginning(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let sink = store.open().await;
    let start = Progress::after(&stream.batch(41, &[]));
    sink.begin(&start).await.expect("begun");
    drop(sink);
    let sink = store.open().await;
    assert_eq!(progress(&*sink, "web1").await, [start]);
    sink.prepare(&stream.schema).await.expect("the schema is accepted");
    let batch = stream.batch(42, &[row(60, KEY, 1)]);
    let early = sink.apply(&stream.batch(43, &[])).await.expect_err("a gap");
    assert!(matches!(early, SinkError::Gap { applied: 41, .. }), "{early:?}");
    assert_eq!(sink.apply(&batch).await.expect("the next one"), Applied::Now);
    assert_holds(&held(&*sink, &stream.schema).await, [&batch]);
}

/// [`Sink::begin`](crate::Sink::begin) changes nothing for a stream that the store knows.
pub async fn a_known_stream_is_not_begun_again(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let sink = store.open().await;
    let batches = [stream.batch(1, &[row(60, KEY, 1)])];
    apply_all(&*sink, &batches).await;
    for sequence in [0, 1, 9] {
        sink.begin(&Progress::after(&stream.batch(sequence, &[]))).await.expect("nothing to do");
    }
    assert_eq!(progress(&*sink, "web1").await, [Progress::after(&batches[0])]);
    assert_holds(&held(&*sink, &stream.schema).await, &batches);
}

/// Progress is read back as it was written, for each epoch and statistic, and only for the requested source.
///
/// The sources differ in case, in a trailing blank and in an accent: a column with a lenient collation takes some of
/// them for the same.
pub async fn progress_is_what_was_applied(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let schemas = [schema("ad_events", &["campaign"]), schema("errors", &["status"])];
    let mut expected = Vec::new();
    for source in ["web1", "WEB1", "web1 ", "wéb'1"] {
        for schema in &schemas {
            let streams = [Stream::new(source, schema.clone()), Stream::new(source, schema.clone())];
            for (sequence, stream) in [1, 2, 3].into_iter().flat_map(|n| streams.iter().map(move |s| (n, s)))
            {
                let batch = stream.batch(sequence, &[row(60, KEY, 1)]);
                apply_all(&*store.open().await, std::slice::from_ref(&batch)).await;
                expected.retain(|p: &Progress| (p.epoch, &p.statistic) != (batch.epoch, &schema.statistic));
                expected.push(Progress::after(&batch));
            }
        }
    }
    let sink = store.open().await;
    for source in ["web1", "WEB1", "web1 ", "wéb'1", "web2"] {
        let mut of_source = expected.clone();
        of_source.retain(|p| p.source == source);
        of_source.sort_by(|a, b| (a.epoch, &a.statistic).cmp(&(b.epoch, &b.statistic)));
        assert_eq!(progress(&*sink, source).await, of_source, "{source}");
    }
}

/// Sources and epochs have sequences of their own and add to the same rows.
///
/// So the source is no part of a row's key: several machines make one total.
pub async fn streams_side_by_side_add_to_the_same_rows(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let sink = store.open().await;
    let schema = schema("ad_events", &["campaign"]);
    let streams = [
        Stream::new("web1", schema.clone()),
        Stream::new("web1", schema.clone()),
        Stream::new("web2", schema.clone()),
    ];
    let mut batches = Vec::new();
    for sequence in 1..=3 {
        for (at, stream) in (0..).zip(&streams) {
            batches.push(stream.batch(sequence, &[row(60, KEY, at), row(120, KEY, -at)]));
        }
    }
    apply_all(&*sink, &batches).await;
    assert_holds(&held(&*sink, &schema).await, &batches);
    assert_eq!(progress(&*sink, "web1").await.len(), 2);
    assert_eq!(progress(&*sink, "web2").await.len(), 1);
}

/// A batch may be empty: then only the position moves. A quiet log has such batches, and its position must reach the
/// store.
pub async fn a_batch_without_rows_moves_the_progress(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let sink = store.open().await;
    let batches = [stream.batch(1, &[]), stream.batch(2, &[])];
    apply_all(&*sink, &batches).await;
    assert_eq!(progress(&*sink, "web1").await, [Progress::after(&batches[1])]);
    assert_holds(&held(&*sink, &stream.schema).await, &batches);
}
