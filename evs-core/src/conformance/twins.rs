//! Tests of copies of a state directory, and of several processes under one source name.
//!
//! Two things tell copies apart. A batch names its predecessor's checksum, so a store notices when the histories
//! differ. A process claims its source before its first batch, so a store notices when another process has taken over
//! since. The tests use a stream and a copy of it: both have the batches made before the copy, and batches of their
//! own after it.

use crate::{
    batch::Batch,
    conformance::{
        fixture::{Fixture, Store},
        support::{Stream, apply_all, assert_holds, from_writer, held, progress, row, schema},
    },
    sink::{Applied, Progress, Sink, SinkError},
    writer::Writer,
};

/// The key to which all tests of this module add.
const KEY: &[&[u8]] = &[b"c1"];

/// Makes the stream of this module's tests.
fn stream() -> Stream {
    Stream::new("web1", schema("ad_events", &["campaign"]))
}

/// Makes the batches with the given sequences, each with one row of the given value.
fn batches<const N: usize>(stream: &Stream, sequences: [u64; N], value: i128) -> [Batch; N] {
    sequences.map(|n| stream.batch(n, &[row(60, KEY, value)]))
}

/// Checks that the store holds exactly `batches`, and that its progress is the last of them.
async fn assert_unchanged(sink: &dyn Sink, stream: &Stream, batches: &[Batch]) {
    let last = batches.last().map(Progress::after);
    assert_eq!(progress(sink, "web1").await, last.into_iter().collect::<Vec<_>>());
    assert_holds(&held(sink, &stream.schema).await, batches);
}

/// Makes `writer` the writer of the source, after the present one.
async fn claim(sink: &dyn Sink, writer: &Writer) {
    let last = sink.writer(&writer.source).await.expect("the writer is read");
    assert!(sink.claim(writer, last.as_ref()).await.expect("claimed"), "nobody else claims it");
}

/// A copy of the state directory was used separately, and the store stands at the last sequence that both have. The
/// next batch of the copy is [`SinkError::Foreign`], which names the sequence at which the two differ.
pub async fn a_successor_of_another_history_is_foreign(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let first = batches(&stream, [1], 1);
    let copy = stream.copy();
    let [second] = batches(&stream, [2], 2);
    let applied = [first[0].clone(), second];
    let sink = store.open().await;
    apply_all(&*sink, &applied).await;
    let [own, next] = batches(&copy, [2, 3], 3);
    for restart in [false, true] {
        let sink = if restart { store.open().await } else { std::sync::Arc::clone(&sink) };
        let error = sink.apply(&next).await.expect_err("foreign");
        assert!(
            matches!(error, SinkError::Foreign { sequence: 2, offered, found, .. }
                if (offered, found) == (own.checksum(), applied[1].checksum())),
            "{error:?}"
        );
        assert_unchanged(&*sink, &stream, &applied).await;
    }
}

/// A copy that is behind gets the store's progress, by sequence and checksum, and changes nothing.
///
/// The pipeline looks the checksum up in its binlog. If it is there, the store has failed over and is legitimate; if
/// not, two processes share a name.
pub async fn a_copy_that_is_behind_changes_nothing(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let [first] = batches(&stream, [1], 1);
    let copy = stream.copy();
    let [second, third] = batches(&stream, [2, 3], 2);
    let applied = [first, second, third];
    let sink = store.open().await;
    apply_all(&*sink, &applied).await;
    let [own] = batches(&copy, [2], 3);
    let error = sink.apply(&own).await.expect_err("ahead");
    let last = applied[2].checksum();
    assert!(
        matches!(error, SinkError::Ahead { offered: 2, applied: 3, checksum, .. } if checksum == last),
        "{error:?}"
    );
    assert_unchanged(&*sink, &stream, &applied).await;
}

/// A copy that is ahead gets a gap. When it goes back to fill the gap, its batch is [`SinkError::Foreign`].
pub async fn a_copy_that_is_ahead_changes_nothing(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let [first] = batches(&stream, [1], 1);
    let copy = stream.copy();
    let [second] = batches(&stream, [2], 2);
    let applied = [first, second];
    let sink = store.open().await;
    apply_all(&*sink, &applied).await;
    let own = batches(&copy, [2, 3, 4, 5], 3);
    let error = sink.apply(&own[3]).await.expect_err("a gap");
    assert!(matches!(error, SinkError::Gap { offered: 5, applied: 2, .. }), "{error:?}");
    let error = sink.apply(&own[1]).await.expect_err("foreign");
    assert!(matches!(error, SinkError::Foreign { sequence: 2, .. }), "{error:?}");
    assert_unchanged(&*sink, &stream, &applied).await;
}

/// The progress that [`Sink::begin`] has set is compared like that of an applied batch.
pub async fn a_stream_begun_in_another_history_is_foreign(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let (stream, copy) = (stream(), stream());
    let sink = store.open().await;
    sink.prepare(&stream.schema).await.expect("the schema is accepted");
    let [behind] = batches(&copy, [41], 9);
    let start = Progress { epoch: stream.epoch, ..Progress::after(&behind) };
    sink.begin(&start).await.expect("begun");
    let [_, next] = batches(&stream, [41, 42], 1);
    let error = sink.apply(&next).await.expect_err("foreign");
    assert!(matches!(error, SinkError::Foreign { sequence: 41, .. }), "{error:?}");
    assert_eq!(progress(&*sink, "web1").await, [start]);
}

/// If an earlier version of evs has set the progress by its sequence alone, there is nothing to compare.
pub async fn a_stream_of_which_only_the_number_is_known_goes_on(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let sink = store.open().await;
    sink.prepare(&stream.schema).await.expect("the schema is accepted");
    let [begun, next] = batches(&stream, [41, 42], 1);
    sink.begin(&Progress { checksum: 0, ..Progress::after(&begun) }).await.expect("begun");
    assert_eq!(sink.apply(&next).await.expect("the next one"), Applied::Now);
    assert_unchanged(&*sink, &stream, std::slice::from_ref(&next)).await;
}

/// After `Ok` a claim is there with all its parts, for every sink that opens the store, and only for its own source.
///
/// The token has 128 bits, the process number 32, and the host may have any characters.
pub async fn a_claim_is_remembered(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let sink = store.open().await;
    assert_eq!(sink.writer("web1").await.expect("nobody, without an error"), None);
    let mut writers = Vec::new();
    for (fence, source) in (1..).zip(["web1", "WEB1", "wéb'1"]) {
        let stream = Stream::new(source, schema("ad_events", &["campaign"]));
        let host = "hôst'\\\"1".to_owned();
        let writer = Writer { host, process: u32::MAX, token: u128::MAX - 1, ..stream.writer(fence) };
        claim(&*sink, &writer).await;
        writers.push(writer);
    }
    for sink in [sink, store.open().await] {
        for writer in &writers {
            let found = sink.writer(&writer.source).await.expect("the writer is read");
            assert_eq!(found.as_ref(), Some(writer));
        }
        assert_eq!(sink.writer("web2").await.expect("the writer is read"), None);
    }
}

/// A claim that does not name the last writer changes nothing. A claim whose answer was lost is still made.
///
/// That is a compare-and-set of one row. The second half means that a claim by the present writer succeeds.
pub async fn a_claim_names_the_one_before_it(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let sink = store.open().await;
    let [first, second, third] = [1, 2, 3].map(|fence| stream.writer(fence));
    assert!(!sink.claim(&second, Some(&first)).await.expect("an answer"), "nobody has it");
    assert_eq!(sink.writer("web1").await.expect("the writer is read"), None);
    assert!(sink.claim(&first, None).await.expect("an answer"));
    assert!(sink.claim(&first, None).await.expect("an answer"), "as before");
    assert!(!sink.claim(&second, None).await.expect("an answer"), "the first has it");
    assert!(sink.claim(&second, Some(&first)).await.expect("an answer"));
    assert!(sink.claim(&second, Some(&first)).await.expect("an answer"), "as before");
    assert!(!sink.claim(&third, Some(&first)).await.expect("an answer"), "the second has it");
    assert_eq!(sink.writer("web1").await.expect("the writer is read"), Some(second));
}

/// If several processes claim a source at the same time, one of them gets it.
///
/// A sink that reads the writer and then writes it, without a condition or a lock, lets two of them win.
pub async fn one_of_several_claims_at_once_wins(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let mut claims = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (sink, writer) = (store.open().await, stream.writer(1));
        claims.spawn(async move {
            loop {
                match sink.claim(&writer, None).await {
                    Ok(is_ours) => return is_ours.then_some(writer),
                    Err(error) => assert!(error.is_transient(), "{error:?}"),
                }
            }
        });
    }
    let winners: Vec<_> = claims.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let found = store.open().await.writer("web1").await.expect("the writer is read");
    assert_eq!(found.as_ref(), winners.first());
}

/// A process that continues after another one has claimed its source adds nothing: at its next batch, whichever that
/// is, it gets an error that names the other process.
pub async fn a_writer_that_was_taken_over_adds_nothing(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let errors = stream.with_schema(schema("errors", &["status"])).copy();
    let applied = batches(&stream, [1, 2], 1);
    let [third] = batches(&stream, [3], 2);
    let (sink, other_sink) = (store.open().await, store.open().await);
    sink.prepare(&errors.schema).await.expect("the schema is accepted");
    let (first, second) = (stream.writer(1), stream.writer(2));
    let second = Writer { host: "web2".to_owned(), process: 4711, ..second };
    claim(&*sink, &first).await;
    apply_all(&*sink, &applied.clone().map(|batch| from_writer(&batch, &first))).await;
    claim(&*other_sink, &second).await;
    // These are the next batch, the last one again, an older one, one after a gap, and the first of another
    // statistic.
    let [_, _, fourth] = batches(&stream, [8, 9, 5], 2);
    let [of_errors] = batches(&errors, [1], 2);
    for batch in [&third, &applied[1], &applied[0], &fourth, &of_errors] {
        let error = sink.apply(&from_writer(batch, &first)).await.expect_err("taken over");
        assert!(matches!(&error, SinkError::TakenOver { writer } if **writer == second), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("process 4711 on host web2"), "{said}");
    }
    assert_unchanged(&*sink, &stream, &applied).await;
    assert_holds(&held(&*sink, &errors.schema).await, []);
    assert_eq!(other_sink.apply(&from_writer(&third, &second)).await.expect("the next one"), Applied::Now);
    assert_unchanged(&*sink, &stream, &[&applied[..], &[third]].concat()).await;
}

/// With two state directories under one source name, the one that did not claim the source last adds nothing,
/// although the store knows no batch of its epoch.
pub async fn writers_of_two_epochs_are_told_apart(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let (ours, theirs) = (stream(), stream());
    let sink = store.open().await;
    sink.prepare(&ours.schema).await.expect("the schema is accepted");
    let (our_writer, their_writer) = (ours.writer(1), theirs.writer(1));
    claim(&*sink, &our_writer).await;
    let [batch] = batches(&theirs, [1], 1);
    let error = sink.apply(&from_writer(&batch, &their_writer)).await.expect_err("taken over");
    let epoch = ours.epoch;
    assert!(matches!(&error, SinkError::TakenOver { writer } if writer.epoch == epoch), "{error:?}");
    let applied = batches(&ours, [1], 1);
    assert_eq!(sink.apply(&from_writer(&applied[0], &our_writer)).await.expect("ours"), Applied::Now);
    assert_unchanged(&*sink, &ours, &applied).await;
}

/// A process that starts where another one has ended claims the source and continues with its batches.
pub async fn a_restart_takes_over_and_goes_on(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let applied = batches(&stream, [1, 2], 1);
    for (fence, batch) in (1..).zip(&applied) {
        let (sink, writer) = (store.open().await, stream.writer(fence));
        claim(&*sink, &writer).await;
        apply_all(&*sink, &[from_writer(batch, &writer)]).await;
        assert_eq!(sink.apply(&from_writer(batch, &writer)).await.expect("known"), Applied::Before);
    }
    assert_unchanged(&*store.open().await, &stream, &applied).await;
}

/// A store that remembers an earlier writer than the one that offers a batch returns an error, and applies the batch
/// after the source is claimed again.
pub async fn a_store_that_was_restored_is_claimed_again(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let applied = batches(&stream, [1, 2], 1);
    let sink = store.open().await;
    let (earlier, own) = (stream.writer(1), stream.writer(2));
    claim(&*sink, &own).await;
    apply_all(&*sink, &[from_writer(&applied[0], &own)]).await;
    // This is the claim that a backup has.
    claim(&*sink, &earlier).await;
    let error = sink.apply(&from_writer(&applied[1], &own)).await.expect_err("not claimed");
    assert!(matches!(error, SinkError::Unclaimed { .. }), "{error:?}");
    assert_unchanged(&*sink, &stream, &applied[..1]).await;
    claim(&*sink, &Writer { fence: 3, ..own.clone() }).await;
    assert_eq!(sink.apply(&from_writer(&applied[1], &own)).await.expect("claimed"), Applied::Now);
    assert_unchanged(&*sink, &stream, &applied).await;
}

/// A batch of a process that the store does not know is refused, in a new stream or an old one. A batch without a
/// writer is applied.
pub async fn a_source_that_nobody_claimed_is_claimed_first(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let applied = batches(&stream, [1, 2, 3], 1);
    let (sink, own) = (store.open().await, stream.writer(1));
    sink.prepare(&stream.schema).await.expect("the schema is accepted");
    for at in 0..2 {
        let error = sink.apply(&from_writer(&applied[at], &own)).await.expect_err("not claimed");
        assert!(matches!(error, SinkError::Unclaimed { .. }), "{error:?}");
        assert_unchanged(&*sink, &stream, &applied[..at]).await;
        assert_eq!(sink.apply(&applied[at]).await.expect("nobody's"), Applied::Now);
    }
    claim(&*sink, &own).await;
    assert_eq!(sink.apply(&from_writer(&applied[2], &own)).await.expect("claimed"), Applied::Now);
    assert_unchanged(&*sink, &stream, &applied).await;
}
