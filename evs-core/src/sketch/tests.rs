//! Tests of the answers that [`Totals`] gives.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use super::{bucket::Buckets, distinct::slot_and_rank, *};
use crate::{
    batch::Rows,
    statistic::{KeyColumn, MeasureColumn, MeasureKind, Schema},
};

/// A line: its window, host, duration in milliseconds and visitor.
type Line = (i64, u8, u32, u16);

const ALPHA: f64 = 0.01;

/// Requests by host, with a histogram of their durations.
fn times() -> Schema {
    let keys = vec![KeyColumn::new("host", "host"), KeyColumn::new("seconds", "bucket(request_time, 0.01)")];
    let measures = vec![
        MeasureColumn::new("seconds_max", MeasureKind::Max, "request_time", 3),
        MeasureColumn::new("count", MeasureKind::Count, "", 0),
        MeasureColumn::new("seconds_sum", MeasureKind::Sum, "request_time", 3),
        MeasureColumn::new("seconds_min", MeasureKind::Min, "request_time", 3),
    ];
    Schema::new("times", 60, keys, measures)
}

/// Requests by host, with the registers of their visitors.
fn visits() -> Schema {
    let keys =
        vec![KeyColumn::new("visitors", "distinct_slot(remote_addr, 12)"), KeyColumn::new("host", "host")];
    let measures = vec![
        MeasureColumn::new("count", MeasureKind::Count, "", 0),
        MeasureColumn::new("visitors_rank", MeasureKind::Max, "distinct_rank(remote_addr, 12)", 0),
    ];
    Schema::new("visits", 60, keys, measures)
}

/// One row for each line: to merge rows is the task of the reader here.
fn rows_of_times(lines: &[Line]) -> Rows {
    let buckets = Buckets::new(ALPHA).unwrap();
    let mut rows = Rows::new(2, 4);
    for (minute, host, millis, _) in lines {
        let mut seconds = Vec::new();
        buckets.write(format!("{}.{:03}", millis / 1000, millis % 1000).as_bytes(), &mut seconds);
        let value = Some(i128::from(*millis));
        rows.push(minute * 60, [&[*host][..], &seconds], &[value, Some(1), value, value]);
    }
    rows
}

fn rows_of_visits(lines: &[Line]) -> Rows {
    let mut rows = Rows::new(2, 2);
    for (minute, host, _, visitor) in lines {
        let (slot, rank) = slot_and_rank(visitor.to_string().as_bytes());
        let slot = slot.to_string();
        rows.push(minute * 60, [slot.as_bytes(), &[*host][..]], &[Some(1), Some(rank.into())]);
    }
    rows
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    vec((0_i64..4, b'a'..=b'c', 0_u32..100_000, 0_u16..300), 1..200)
}

/// The value of the rank that the quantile has, computed from all of them.
fn exact_quantile(mut values: Vec<u32>, percent: usize) -> f64 {
    values.sort_unstable();
    let rank = (percent * values.len()).div_ceil(100).max(1);
    f64::from(values[rank - 1]) / 1000.0
}

proptest! {
    #[test]
    fn totals_of_any_group_are_those_of_its_lines(all in lines(), percent in 0_usize..=100) {
        let (schema, rows) = (times(), rows_of_times(&all));
        let mut totals = Totals::new(&schema, 0..240);
        totals.add(&rows).unwrap();
        let by_host = totals.group_by(&["host"]).unwrap();
        let by_minute = totals.clone().each(Duration::from_secs(120)).unwrap();
        let by_minute = by_minute.group_by(&["host"]).unwrap();
        let mut counted = 0;
        for group in by_host.iter().chain(&by_minute) {
            let host = group.key("host").unwrap()[0];
            let of_group = |line: &&Line| {
                line.1 == host && group.window_start().is_none_or(|start| start == line.0 / 2 * 120)
            };
            let values: Vec<u32> = all.iter().filter(of_group).map(|line| line.2).collect();
            let (count, sum) = (values.len(), values.iter().sum::<u32>());
            let total = |name: &str| group.total(name).unwrap().unwrap();
            prop_assert_eq!(total("count"), Decimal { value: count as i128, scale: 0 });
            prop_assert_eq!(total("seconds_sum"), Decimal { value: sum.into(), scale: 3 });
            prop_assert_eq!(total("seconds_min").value, i128::from(*values.iter().min().unwrap()));
            prop_assert_eq!(total("seconds_max").value, i128::from(*values.iter().max().unwrap()));
            let average = group.average("seconds_sum", "count").unwrap().unwrap();
            prop_assert!((average - f64::from(sum) / 1000.0 / count as f64).abs() < 1e-9);
            let seconds = if group.window_start().is_some() { 120.0 } else { 240.0 };
            prop_assert_eq!(group.rate("count").unwrap(), count as f64 / seconds);

            let exact = exact_quantile(values, percent);
            let Quantile { value, relative_error } =
                group.quantile("seconds", percent as f64 / 100.0).unwrap().unwrap();
            prop_assert_eq!(relative_error, ALPHA);
            prop_assert!((value - exact).abs() <= ALPHA * exact * (1.0 + 1e-12), "{} for {}", value, exact);
            counted += count;
        }
        prop_assert_eq!(counted, 2 * all.len(), "each line is in one group of each kind");
    }

    #[test]
    fn distinct_counts_of_groups_merge_into_that_of_all(all in lines(), split in any::<prop::sample::Index>()) {
        let schema = visits();
        let (first, second) = all.split_at(split.index(all.len()));
        let (first, second) = (rows_of_visits(first), rows_of_visits(second));
        let mut totals = Totals::new(&schema, 0..240);
        totals.add(&first).unwrap();
        totals.add(&second).unwrap();
        let whole = totals.whole().distinct("visitors").unwrap();

        let mut merged = Distinct::empty();
        let mut expected = Distinct::empty();
        for group in totals.group_by(&["host"]).unwrap() {
            merged.merge(&group.distinct("visitors_rank").unwrap());
        }
        for (.., visitor) in &all {
            let (slot, rank) = slot_and_rank(visitor.to_string().as_bytes());
            expected.raise(slot, rank);
        }
        prop_assert_eq!(&whole, &expected);
        prop_assert_eq!(&merged, &expected);
        prop_assert_eq!(totals.whole().total("count").unwrap().unwrap().value, all.len() as i128);
    }
}

fn row_of_times(seconds: &[u8], count: Option<i128>) -> Rows {
    let mut rows = Rows::new(2, 4);
    rows.push(0, [&b"a"[..], seconds], &[None, count, None, None]);
    rows
}

fn row_of_visits(slot: &[u8], rank: Option<i128>) -> Rows {
    let mut rows = Rows::new(2, 2);
    rows.push(0, [slot, &b"a"[..]], &[Some(1), rank]);
    rows
}

#[test]
fn quantiles_go_through_the_buckets_in_the_order_of_their_values() {
    let schema = times();
    let mut rows = Rows::new(2, 4);
    for (bucket, count) in
        [("10.3", 1), ("-", 50), ("9.01", 1), ("-2", 1), ("0", 1), ("-10.3", 1), ("0.5", 2)]
    {
        rows.push(0, [&b"a"[..], bucket.as_bytes()], &[None, Some(count), None, None]);
    }
    let mut totals = Totals::new(&schema, 0..60);
    totals.add(&rows).unwrap();
    let value = |q: f64| totals.whole().quantile("seconds", q).unwrap().unwrap().value;
    let found = [0.0, 0.1, 0.2, 0.5, 0.7, 0.85, 0.9, 1.0].map(value);
    assert_eq!(found, [-10.3, -10.3, -2.0, 0.5, 0.5, 9.01, 10.3, 10.3]);
}

#[test]
fn the_rank_of_a_quantile_is_exact() {
    let schema = times();
    let mut rows = Rows::new(2, 4);
    for value in 1..=100 {
        rows.push(0, [&b"a"[..], value.to_string().as_bytes()], &[None, Some(1), None, None]);
    }
    let mut totals = Totals::new(&schema, 0..60);
    totals.add(&rows).unwrap();
    for percent in 1..=100 {
        // As doubles, 0.07 times 100 is 7.000000000000001.
        let q = f64::from(percent) / 100.0;
        let value = totals.whole().quantile("seconds", q).unwrap().unwrap().value;
        assert_eq!(value, f64::from(percent));
    }
    assert_eq!(totals.whole().quantile("seconds", 1e-300).unwrap().unwrap().value, 1.0);
}

#[test]
fn rates_are_over_the_windows_that_begin_in_the_range() {
    let schema = times();
    let rows = row_of_times(b"1", Some(120));
    for (windows, each, expected) in [
        (0..60, None, 2.0),
        (0..61, None, 1.0),
        (-60..60, None, 1.0),
        (-59..60, None, 2.0),
        (0..3600, None, 120.0 / 3600.0),
        (0..3600, Some(600), 0.2),
        (0..300, Some(600), 0.4),
        (-120..180, Some(600), 120.0 / 180.0),
    ] {
        let mut totals = Totals::new(&schema, windows.clone());
        totals.add(&rows).unwrap();
        if let Some(seconds) = each {
            totals = totals.each(Duration::from_secs(seconds)).unwrap();
        }
        let group = &totals.group_by(&[]).unwrap()[0];
        assert_eq!(group.rate("count").unwrap(), expected, "{windows:?} each {each:?}");
    }
}

#[test]
fn without_rows_there_is_no_answer() {
    let schema = times();
    let outside = row_of_times(b"1", Some(1));
    let mut totals = Totals::new(&schema, 60..120);
    totals.add(&outside).unwrap();
    assert!(totals.group_by(&["host"]).unwrap().is_empty());
    let whole = totals.whole();
    assert_eq!(whole.total("count"), Ok(None));
    assert_eq!(whole.average("seconds_sum", "count"), Ok(None));
    assert_eq!(whole.rate("count"), Ok(0.0));
    assert_eq!(whole.quantile("seconds", 0.5), Ok(None));
    let visits = visits();
    assert_eq!(Totals::new(&visits, 0..60).whole().distinct("visitors").unwrap().estimate(), 0.0);
    assert!(Totals::new(&schema, 0..0).whole().rate("count").unwrap().is_nan());
}

#[test]
fn a_total_that_does_not_fit_is_an_error() {
    let schema = times();
    let (most, one) = (row_of_times(b"1", Some(i128::MAX)), row_of_times(b"2", Some(1)));
    let mut totals = Totals::new(&schema, 0..60);
    totals.add(&most).unwrap();
    assert_eq!(totals.whole().total("count").unwrap().unwrap().value, i128::MAX);
    let of_product = totals.whole().quantile("seconds", 0.5);
    assert_eq!(of_product, Err(TotalsError::Overflow { column: "seconds".to_owned() }));
    totals.add(&one).unwrap();
    let overflow = |column: &str| TotalsError::Overflow { column: column.to_owned() };
    assert_eq!(totals.whole().total("count"), Err(overflow("count")));
    assert_eq!(totals.whole().rate("count"), Err(overflow("count")));
    assert_eq!(totals.whole().quantile("seconds", 1.0), Err(overflow("seconds")));
}

#[test]
fn questions_that_a_schema_cannot_answer_are_refused() {
    let (times, visits) = (times(), visits());
    let (times, visits) = (Totals::new(&times, 0..60), Totals::new(&visits, 0..60));
    let whole = times.whole();
    let unknown = |column: &str| TotalsError::UnknownColumn { column: column.to_owned() };
    let wrong = |column: &str, expected| TotalsError::WrongColumn { column: column.to_owned(), expected };
    assert_eq!(times.group_by(&["host", "count"]).unwrap_err(), unknown("count"));
    assert_eq!(whole.key("host"), Err(unknown("host")));
    assert_eq!(whole.total("host"), Err(unknown("host")));
    assert_eq!(whole.average("seconds_max", "count"), Err(wrong("seconds_max", "a sum")));
    assert_eq!(whole.average("seconds_sum", "seconds_sum"), Err(wrong("seconds_sum", "a count")));
    assert_eq!(whole.rate("seconds_max"), Err(wrong("seconds_max", "a count or a sum")));
    assert_eq!(whole.quantile("host", 0.5), Err(wrong("host", "a bucket")));
    assert_eq!(whole.quantile("count", 0.5), Err(unknown("count")));
    for q in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(whole.quantile("seconds", q), Err(TotalsError::InvalidQuantile { .. })), "{q}");
    }
    assert_eq!(whole.distinct("visitors").unwrap_err(), unknown("visitors"));
    assert_eq!(visits.whole().distinct("host").unwrap_err(), wrong("host", "a distinct count"));
    assert_eq!(visits.whole().distinct("count").unwrap_err(), wrong("count", "a distinct count"));
    for length in [Duration::ZERO, Duration::from_secs(90), Duration::from_millis(60_500), Duration::MAX] {
        let error = times.clone().each(length).unwrap_err();
        assert_eq!(error, TotalsError::InvalidWindow { length, window_seconds: 60 });
    }

    let mut without = Schema::new("s", 60, vec![KeyColumn::new("b", "bucket(x, 0.1)")], Vec::new());
    assert_eq!(Totals::new(&without, 0..60).whole().quantile("b", 0.5), Err(TotalsError::NoCount));
    without.keys[0].field = "distinct_slot(x, 12)".to_owned();
    let alone = Totals::new(&without, 0..60).whole().distinct("b").unwrap_err();
    assert_eq!(alone, wrong("b", "a distinct count"));
    let rows = Rows::new(2, 0);
    let error = Totals::new(&without, 0..60).add(&rows).unwrap_err();
    assert_eq!(error.to_string(), "rows of 2 keys and 0 measures, expected 1 and 0");
}

#[test]
fn rows_that_nothing_could_have_counted_are_refused() {
    let (times, visits) = (times(), visits());
    for bucket in ["", "x", "NaN", "inf", "1e999", "\u{ff}"] {
        let rows = row_of_times(bucket.as_bytes(), Some(1));
        let mut totals = Totals::new(&times, 0..60);
        totals.add(&rows).unwrap();
        let found = totals.whole().quantile("seconds", 0.5);
        assert!(matches!(found, Err(TotalsError::InvalidValue { .. })), "{bucket}: {found:?}");
    }
    for (slot, rank, is_valid) in [
        ("0", Some(1), true),
        ("4095", Some(63), true),
        ("-", None, true),
        ("4096", Some(1), false),
        ("-", Some(1), false),
        ("x", Some(1), false),
        ("7", Some(64), false),
        ("7", Some(-1), false),
        ("7", Some(257), false),
    ] {
        let rows = row_of_visits(slot.as_bytes(), rank);
        let mut totals = Totals::new(&visits, 0..60);
        totals.add(&rows).unwrap();
        let found = totals.whole().distinct("visitors");
        assert_eq!(found.is_ok(), is_valid, "{slot} {rank:?}: {found:?}");
    }
}
