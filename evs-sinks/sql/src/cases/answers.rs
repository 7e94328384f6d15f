//! The queries of `docs/guide/answers.md`, whose answers must be those of [`Totals`].

use std::ops::Range;

use evs_core::{
    Batch, Epoch, KeyColumn, MeasureColumn, MeasureKind, Rows, Schema, Sink, Totals, conformance::chained,
};

use super::database::{Database, Plain};

/// The hour of the guide: 2026-11-21, 13:00 to 14:00.
const HOUR: Range<i64> = 1_795_266_000..1_795_269_600;

/// The queries of the guide for a store return the answers of [`Totals`]. `store` is the name that begins their first line.
pub async fn the_queries_of_the_guide_answer_as_totals_does<D: Database>(store: &str) {
    let Some(database) = D::fresh().await else { return };
    let sink = database.sink().await;
    let (times, visits) = (times(), visits());
    for (schema, rows) in [(&times, rows_of_times()), (&visits, rows_of_visits())] {
        sink.prepare(schema).await.unwrap();
        sink.apply(&chained(Batch::new("web1", Epoch::random(), schema.clone(), 1, rows))).await.unwrap();
    }
    let mut plain = database.plain().await;
    check_quantiles(&mut plain, store, &*sink, &times).await;
    check_averages(&mut plain, store, &*sink, &times).await;
    check_distinct(&mut plain, store, &*sink, &visits).await;
}

async fn check_quantiles(plain: &mut impl Plain, store: &str, sink: &dyn Sink, schema: &Schema) {
    let rows = sink.totals(schema, HOUR).await.unwrap();
    let mut totals = Totals::new(schema, HOUR);
    totals.add(&rows).unwrap();
    for percent in [0, 1, 50, 90, 99, 100] {
        let sql = query(store, "quantile").replace("99 * total", &format!("{percent} * total"));
        let expected = totals.group_by(&["host"]).unwrap();
        let found = plain.texts(&sql).await;
        assert_eq!(found.len(), expected.len(), "{sql}");
        for (row, group) in found.iter().zip(expected) {
            let quantile = group.quantile("seconds", f64::from(percent) / 100.0).unwrap().unwrap();
            assert_eq!(row[0].as_bytes(), group.key("host").unwrap());
            assert_eq!(row[1].parse(), Ok(quantile.value), "{percent} of {row:?}");
        }
    }
}

async fn check_averages(plain: &mut impl Plain, store: &str, sink: &dyn Sink, schema: &Schema) {
    let rows = sink.totals(schema, HOUR).await.unwrap();
    let mut totals = Totals::new(schema, HOUR);
    totals.add(&rows).unwrap();
    let found = plain.texts(&query(store, "average")).await;
    let expected = totals.group_by(&["host"]).unwrap();
    assert_eq!(found.len(), expected.len());
    for (row, group) in found.iter().zip(expected) {
        let numbers = [group.average("seconds_sum", "hits").unwrap().unwrap(), group.rate("hits").unwrap()];
        for (text, expected) in row[1..].iter().zip(numbers) {
            // MySQL rounds a quotient to four more decimal places than the number has that it divides.
            let found: f64 = text.parse().unwrap();
            assert!((found - expected).abs() <= 1e-6, "{row:?}: {expected}");
        }
    }
}

async fn check_distinct(plain: &mut impl Plain, store: &str, sink: &dyn Sink, schema: &Schema) {
    let rows = sink.totals(schema, HOUR).await.unwrap();
    let mut totals = Totals::new(schema, HOUR);
    totals.add(&rows).unwrap();
    let found = plain.texts(&query(store, "distinct")).await;
    let expected = totals.group_by(&["host"]).unwrap();
    assert_eq!(found.len(), expected.len());
    for (row, group) in found.iter().zip(expected) {
        let (found, expected) =
            (row[1].parse::<f64>().unwrap(), group.distinct("visitors_slot").unwrap().estimate());
        // The registers are the same, so only the corrections of the two estimates differ.
        assert!(
            (found / expected - 1.0).abs() < 0.005 || (found - expected).abs() < 1.0,
            "{row:?}: {expected}"
        );
    }
}

/// The query of the guide that begins with `-- STORE: WHAT`.
fn query(store: &str, what: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/answers.md");
    let guide = std::fs::read_to_string(path).unwrap();
    let title = format!("```sql\n-- {store}: {what}");
    let (_, after) = guide.split_once(&title).unwrap_or_else(|| panic!("{path} has no {title}"));
    let (_, query) = after.split_once('\n').unwrap();
    query.split_once("```").unwrap().0.trim().trim_end_matches(';').to_owned()
}

fn times() -> Schema {
    let keys = vec![KeyColumn::new("host", "host"), KeyColumn::new("seconds", "bucket(request_time, 0.01)")];
    let measures = vec![
        MeasureColumn::new("hits", MeasureKind::Count, "", 0),
        MeasureColumn::new("seconds_sum", MeasureKind::Sum, "request_time", 3),
    ];
    Schema::new("times", 60, keys, measures)
}

/// Buckets of all orders of magnitude, whose order as texts is another one, in and beside the hour.
fn rows_of_times() -> Rows {
    let mut rows = Rows::new(2, 2);
    for (window, host, bucket, hits, sum) in [
        (-60, "a.org", "0.000000001241", 1_000_000, Some(0)),
        (0, "a.org", "9.784", 30, Some(293_520)),
        (0, "a.org", "12.41", 45, Some(558_450)),
        (0, "a.org", "-", 70, None),
        (0, "a.org", "0", 12, Some(0)),
        (0, "b.org", "1020", 1, Some(1_020_000)),
        (60, "a.org", "9.784", 4, Some(39_136)),
        (60, "a.org", "0.000000001241", 7, Some(0)),
        (60, "a.org", "1241000", 1, Some(1_241_000_000)),
        (3_540, "a.org", "-0.2478", 1, Some(-248)),
        (3_540, "b.org", "1040", 1, Some(1_040_000)),
        (3_600, "b.org", "0.3023", 1_000_000, Some(302_300_000)),
    ] {
        rows.push(HOUR.start + window, [host.as_bytes(), bucket.as_bytes()], &[Some(hits), sum]);
    }
    rows
}

fn visits() -> Schema {
    let keys = vec![
        KeyColumn::new("host", "host"),
        KeyColumn::new("visitors_slot", "distinct_slot(remote_addr, 12)"),
    ];
    let measures =
        vec![MeasureColumn::new("visitors_rank", MeasureKind::Max, "distinct_rank(remote_addr, 12)", 0)];
    Schema::new("visits", 60, keys, measures)
}

/// The registers of few and of many visitors in two windows, and of lines without a visitor.
fn rows_of_visits() -> Rows {
    let mut rows = Rows::new(2, 1);
    for (window, host, visitors) in [
        (-60, "a.org", 0..90_000_u64),
        (0, "a.org", 0..2_000),
        (0, "b.org", 5_000..25_000),
        (0, "c.org", 0..1),
        (60, "a.org", 1_000..3_000),
        (60, "b.org", 20_000..60_000),
    ] {
        let mut registers = [0_i128; 4096];
        for visitor in visitors {
            let hash = mixed(visitor);
            let register = &mut registers[(hash & 4095) as usize];
            *register = (*register).max(i128::from((hash >> 12).trailing_zeros().min(50) + 1));
        }
        for (slot, rank) in registers.iter().enumerate().filter(|(_, rank)| **rank > 0) {
            rows.push(HOUR.start + window, [host.as_bytes(), slot.to_string().as_bytes()], &[Some(*rank)]);
        }
    }
    rows.push(HOUR.start, [&b"a.org"[..], b"-"], &[None]);
    rows
}

/// Stands in for a hash: SplitMix64.
fn mixed(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
