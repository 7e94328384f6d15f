//! Tests of values, totals and windows: they are exact or refused.
//!
//! The suite uses the limits that the fixture states and tries both sides of each, and the neighbours of powers of
//! two, where a store that computes in floating point or in fewer bits goes wrong.

use std::ops::RangeInclusive;

use crate::{
    batch::Batch,
    conformance::{
        fixture::{Fixture, Overflow, Store},
        support::{
            PlainRow, Stream, apply_all, assert_holds, assert_refused, held, held_within, plain, progress,
            row, schema,
        },
    },
    sink::{Applied, Progress},
};

/// The key to which all tests of this module add.
const KEY: &[&[u8]] = &[b"c1"];

/// Makes the stream of this module's tests.
fn stream() -> Stream {
    Stream::new("web1", schema("ad_events", &["campaign"]))
}

/// Makes a row with the key of this module and the given values.
fn values(window: i64, values: [Option<i128>; 4]) -> PlainRow {
    (window, vec![b"c1".to_vec()], values.to_vec())
}

/// Checks that a new store holds exactly the sum of `batches` after they were applied.
async fn assert_kept(fixture: &impl Fixture, stream: &Stream, batches: &[Batch]) {
    let store = fixture.fresh().await;
    apply_all(&*store.open().await, batches).await;
    assert_holds(&held(&*store.open().await, &stream.schema).await, batches);
}

/// Counts and sums are added, and extremes keep the extreme.
pub async fn rows_are_merged_by_the_kind_of_measure(fixture: &impl Fixture) {
    let stream = stream();
    let batches =
        [(1, 10), (2, -30), (3, 20), (4, 0)].map(|(n, value)| stream.batch(n, &[row(60, KEY, value)]));
    assert_kept(fixture, &stream, &batches).await;
}

/// An absent value merges with a present one in either order, and with an absent one to an absent one.
pub async fn absent_values_merge_with_present_ones(fixture: &impl Fixture) {
    let stream = stream();
    let present = [Some(1), Some(-5), Some(7), Some(7)];
    let absent = [Some(1), None, None, None];
    let orders = [[absent, present], [present, absent], [absent, absent], [[None; 4], present]];
    let rows =
        |at: usize| (0_i64..).zip(orders).map(|(w, order)| values(w * 60, order[at])).collect::<Vec<_>>();
    assert_kept(fixture, &stream, &[stream.batch(1, &rows(0)), stream.batch(2, &rows(1))]).await;
}

/// The largest and smallest value of every measure, and the neighbours of powers of two between them, are exact.
pub async fn values_at_the_limits_are_exact(fixture: &impl Fixture) {
    let stream = stream();
    let limits = fixture.limits().of_measures();
    let mut numbers = vec![0, 1, -1];
    for limit in &limits {
        numbers.extend([*limit.start(), *limit.end(), limit.start() + 1, limit.end() - 1]);
    }
    for bits in [24, 31, 32, 52, 53, 54, 62, 63, 64, 65, 96, 126] {
        let power = 1_i128 << bits;
        numbers.extend([power - 1, power, power + 1, 1 - power, -power, -power - 1]);
    }
    // Each measure gets the numbers that it can hold, and no value in place of the others.
    let each = |number: i128, of: fn(i128, &RangeInclusive<i128>) -> i128| {
        limits.clone().map(|limit| limit.contains(&number).then(|| of(number, &limit)))
    };
    let rows = |of| {
        let row = |(at, number): (i64, &i128)| values(at * 60, each(*number, of));
        (0_i64..).zip(&numbers).map(row).collect::<Vec<_>>()
    };
    // The second batch moves the total to the other end of the range and not beyond it.
    let back = |number, limit: &RangeInclusive<i128>| if number < 0 { *limit.end() } else { *limit.start() };
    let batches = [
        stream.batch(1, &rows(|number, _| number)),
        stream.batch(2, &rows(|_, _| 0)),
        stream.batch(3, &rows(back)),
    ];
    assert_kept(fixture, &stream, &batches).await;
}

/// A value just outside the store's range is refused with the whole batch, in every measure.
///
/// Some stores clip a value to the range of its column, and only warn.
pub async fn values_beyond_the_limits_are_refused(fixture: &impl Fixture) {
    for (measure, limits) in fixture.limits().of_measures().into_iter().enumerate() {
        let beyond = [limits.end().checked_add(1), limits.start().checked_sub(1)];
        for number in beyond.into_iter().flatten() {
            let mut bad = [Some(1); 4];
            bad[measure] = Some(number);
            assert_nothing_is_applied(fixture, [Some(1); 4], bad).await;
        }
    }
}

/// A total just outside the store's range is refused, with the whole batch if the store can do that.
///
/// Each value fits by itself; only the addition in the store does not. Some stores then wrap, and some turn to
/// floating point.
pub async fn totals_beyond_the_limits_are_refused(fixture: &impl Fixture) {
    let limits = fixture.limits();
    for (measure, limit) in limits.of_measures().into_iter().take(2).enumerate() {
        for (held, added) in [(*limit.end(), 1), (*limit.start(), -1), (1, *limit.end())] {
            let (mut first, mut second) = ([Some(0); 4], [Some(0); 4]);
            (first[measure], second[measure]) = (Some(held), Some(added));
            match limits.overflow {
                Overflow::RefusedWhole => assert_nothing_is_applied(fixture, first, second).await,
                Overflow::RefusedInPart => assert_refused_in_part(fixture, first, second).await,
                Overflow::FoundByReaders => assert_readers_find(fixture, first, second).await,
            }
        }
    }
}

/// Applies `first`, then a batch that the store must refuse because of `second`. The row that `second` would have
/// damaged stays as it was, and so does the progress.
async fn assert_refused_in_part(fixture: &impl Fixture, first: [Option<i128>; 4], second: [Option<i128>; 4]) {
    let store = fixture.fresh().await;
    let stream = stream();
    let sink = store.open().await;
    let batches = [stream.batch(1, &[values(60, first)])];
    apply_all(&*sink, &batches).await;
    let bad = stream.batch(2, &[row(0, KEY, 1), values(60, second)]);
    for _ in 0..2 {
        let what = assert_refused(sink.apply(&bad).await);
        assert!(what.contains("ad_events"), "the statistic is not named: {what}");
    }
    assert_eq!(progress(&*sink, "web1").await, [Progress::after(&batches[0])]);
    let row = held_within(&*sink, &stream.schema, 60..61).await;
    assert_holds(&row, &batches);
}

/// Applies `first` and `second`. Readers must report an error for their total, not another number.
async fn assert_readers_find(fixture: &impl Fixture, first: [Option<i128>; 4], second: [Option<i128>; 4]) {
    let store = fixture.fresh().await;
    let stream = stream();
    let sink = store.open().await;
    let batches = [stream.batch(1, &[values(60, first)]), stream.batch(2, &[values(60, second)])];
    apply_all(&*sink, &batches).await;
    assert_refused(sink.totals(&stream.schema, 0..120).await);
}

/// Applies `first`, then a batch that the store must refuse because of `second`, although its other rows are valid.
async fn assert_nothing_is_applied(
    fixture: &impl Fixture,
    first: [Option<i128>; 4],
    second: [Option<i128>; 4],
) {
    let store = fixture.fresh().await;
    let stream = stream();
    let sink = store.open().await;
    let batches = [stream.batch(1, &[row(0, KEY, 1), values(60, first)])];
    apply_all(&*sink, &batches).await;
    let others = (2..500).map(|minute| row(minute * 60, KEY, 1));
    let rows = [row(0, KEY, 1), values(60, second)].into_iter().chain(others).collect::<Vec<_>>();
    let bad = stream.batch(2, &rows);
    for _ in 0..2 {
        let what = assert_refused(sink.apply(&bad).await);
        assert!(what.contains("ad_events"), "the statistic is not named: {what}");
    }
    assert_eq!(progress(&*sink, "web1").await, [Progress::after(&batches[0])]);
    assert_holds(&held(&*sink, &stream.schema).await, &batches);
    let other = Stream::new("web2", schema("ad_events", &["campaign"])).batch(1, &[row(0, KEY, 1)]);
    assert_eq!(sink.apply(&other).await.expect("other streams go on"), Applied::Now);
}

/// Windows before 1970, in the years 0000 and 9999, after 2038 and 2106, and at the limits of the store are kept.
///
/// A column with a time zone, or with 32 bits of seconds, loses some of them.
pub async fn windows_of_all_times_are_kept(fixture: &impl Fixture) {
    let limits = fixture.limits().windows;
    let mut windows = vec![
        -62_167_219_200,
        253_402_300_740,
        -60,
        -1,
        0,
        1,
        2_147_483_640,
        2_147_483_700,
        4_294_967_280,
        4_294_967_340,
        *limits.start(),
        // `totals` excludes the end of its range, so it can never return the very last second.
        (*limits.end()).min(i64::MAX - 1),
    ];
    windows.retain(|window| limits.contains(window));
    let stream = stream();
    let rows = windows.iter().map(|&window| row(window, KEY, 1)).collect::<Vec<_>>();
    let batches = [stream.batch(1, &rows), stream.batch(2, &rows)];
    assert_kept(fixture, &stream, &batches).await;
    let outside = [limits.start().checked_sub(1), limits.end().checked_add(1)];
    for window in outside.into_iter().flatten() {
        let store = fixture.fresh().await;
        let sink = store.open().await;
        sink.prepare(&stream.schema).await.expect("the schema is accepted");
        assert_refused(sink.apply(&stream.batch(1, &[row(window, KEY, 1)])).await);
    }
}

/// A window that is older than the ones applied before is not confused with them. Equal keys in different windows are
/// different rows.
pub async fn late_windows_are_added_to_their_own_rows(fixture: &impl Fixture) {
    let stream = stream();
    let batches = [
        stream.batch(1, &[row(120, KEY, 1)]),
        stream.batch(2, &[row(60, KEY, 2), row(180, KEY, 3)]),
        stream.batch(3, &[row(60, KEY, 4), row(120, KEY, 5), row(0, KEY, 6)]),
    ];
    assert_kept(fixture, &stream, &batches).await;
}

/// A range of windows includes its start and excludes its end; an empty range has no rows.
pub async fn totals_are_of_the_windows_asked_for(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = stream();
    let sink = store.open().await;
    let rows = (-3..4).map(|n| row(n * 60, KEY, 1)).collect::<Vec<_>>();
    apply_all(&*sink, &[stream.batch(1, &rows)]).await;
    let range = |start, end| start..end;
    for (windows, starts) in [
        (range(-60, 120), vec![-60, 0, 60]),
        (range(-61, 1), vec![-60, 0]),
        (range(-59, 1), vec![0]),
        (range(60, 60), vec![]),
        (range(120, -60), vec![]),
        (range(181, i64::MAX), vec![]),
        (range(i64::MIN, -120), vec![-180]),
    ] {
        let rows = sink.totals(&stream.schema, windows.clone()).await.expect("totals are read");
        let found = plain(&rows).iter().map(|row| row.0).collect::<Vec<_>>();
        assert_eq!(found, starts, "{windows:?}");
    }
}
