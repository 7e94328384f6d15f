//! Tests of retention: windows are kept for as long as the statistic says.
//!
//! A store either removes old windows when it is asked ([`Sink::sweep`](crate::Sink::sweep)), piece by piece, or lets
//! them expire by itself. In both cases the progress stays: a batch that was applied is never applied again, even if
//! none of its rows is left.

use crate::{
    conformance::{
        fixture::{Fixture, Store},
        support::{Stream, apply_all, assert_holds, held, held_within, row, schema},
    },
    sink::{Applied, Progress},
};

/// The number of rows in old windows. They are more than a store should remove at once.
const OLD_ROWS: i64 = 12_000;

/// Makes the stream of this module's tests.
fn stream() -> Stream {
    Stream::new("web1", schema("ad_events", &["campaign"]))
}

/// Windows that start before the given time are removed, in as many calls as that takes, and no others. A batch that
/// was applied stays applied.
pub async fn old_windows_are_swept_away(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let sink = store.open().await;
    let stream = stream();
    let keys = (0..OLD_ROWS / 100).map(|at| format!("c{at}").into_bytes()).collect::<Vec<_>>();
    let mut rows = Vec::new();
    for window in 0..100 {
        rows.extend(keys.iter().map(|key| row(window * 60, &[key], 1)));
    }
    let recent = [row(6_000, &[b"c1"], 1), row(6_060, &[b"c2"], 1)];
    let batches = [stream.batch(1, &rows), stream.batch(2, &recent)];
    apply_all(&*sink, &batches).await;
    let mut pieces = 0;
    while sink.sweep(&stream.schema, 6_000).await.expect("a piece is removed") {
        pieces += 1;
        assert!(pieces < OLD_ROWS, "sweeping never ends");
    }
    if fixture.limits().sweeps {
        assert_holds(&held(&*sink, &stream.schema).await, &batches[1..]);
    } else {
        assert_holds(&held(&*sink, &stream.schema).await, &batches);
    }
    assert_eq!(sink.progress("web1").await.expect("progress"), [Progress::after(&batches[1])]);
    assert_eq!(sink.apply(&batches[1]).await.expect("the last batch"), Applied::Before);
    assert_holds(&held_within(&*sink, &stream.schema, 6_000..i64::MAX).await, &batches[1..]);
}

/// The retention of a statistic may change from one start to the next.
pub async fn another_retention_is_no_other_definition(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let year = 366 * 86_400;
    // The windows are recent, since stores may let old ones expire at once.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let window = now.as_secs().cast_signed() / 60 * 60;
    let stream = stream();
    let mut batches = Vec::new();
    for (sequence, retain_seconds) in (1..).zip([None, Some(2 * year), Some(year), None]) {
        let mut schema = schema("ad_events", &["campaign"]);
        schema.retain_seconds = retain_seconds;
        batches.push(stream.with_schema(schema).batch(sequence, &[row(window, &[b"c1"], 1)]));
        apply_all(&*store.open().await, &batches[batches.len() - 1..]).await;
        assert_holds(&held(&*store.open().await, &stream.schema).await, &batches);
    }
}
