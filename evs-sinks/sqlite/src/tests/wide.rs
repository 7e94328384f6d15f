//! Sums beyond 64 bits.

use evs_core::{Applied, Batch, Fault, Rows, Sink, SinkError};
use evs_sql::{
    Faulty, SqlStore,
    cases::{Database as _, Plain as _, batch, schema},
};

use super::File;
use crate::{SqliteSink, connection::SqliteConnector};

const MAX: i128 = i64::MAX as i128;
const MIN: i128 = i64::MIN as i128;

/// A sink on a file with the statistic's table.
async fn prepared(file: &File) -> SqliteSink {
    let sink = SqliteSink::open(file.path()).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    sink
}

/// Applies a batch after the one that the sink has applied last.
async fn apply(sink: &dyn Sink, mut batch: Batch) -> Result<Applied, SinkError> {
    let last = sink.progress("web1").await.unwrap();
    batch.predecessor = last.first().map_or(0, |last| last.checksum);
    sink.apply(&batch).await
}

/// A batch with the given values in one row; `None` is NULL.
fn nullable(sequence: u64, hits: Option<i128>, revenue: Option<i128>) -> Batch {
    let mut rows = Rows::new(1, 2);
    rows.push(60, [&b"c1"[..]], &[hits, revenue]);
    let mut batch = batch(sequence, &[]);
    batch.rows = rows;
    batch
}

/// The measures of all rows, by window and key.
async fn values(sink: &dyn Sink) -> Vec<[Option<i128>; 2]> {
    let rows = sink.totals(&schema(), i64::MIN..i64::MAX).await.unwrap();
    let mut cursor = rows.cursor();
    let mut values = Vec::new();
    while let Some(row) = cursor.next_row() {
        values.push([row.values[0], row.values[1]]);
    }
    values
}

/// The values of a column, as another program reads them.
async fn read(file: &File, column: &str) -> Vec<String> {
    let query = format!("SELECT {column} FROM ads ORDER BY window_start, campaign");
    file.plain().await.texts(&query).await.concat()
}

#[tokio::test]
async fn a_total_that_leaves_64_bits_and_comes_back_is_exact() {
    let file = File::new();
    let sink = prepared(&file).await;
    let mut total = 0;
    let up_and_down = [MAX, 1, MAX, -MAX, -1, -1, MIN, MIN, -1, MAX, MAX, MAX, 1 << 100, MIN, -(1 << 101)];
    for (sequence, value) in (1..).zip(up_and_down) {
        total += value;
        assert_eq!(apply(&sink, batch(sequence, &[(60, b"c1", value)])).await.unwrap(), Applied::Now);
        assert_eq!(values(&sink).await, [[Some(sequence.into()), Some(total)]]);
        let kind = if i64::try_from(total).is_ok() { "integer" } else { "text" };
        let found = read(&file, "typeof(revenue) || ' ' || CAST(revenue AS TEXT)").await;
        assert_eq!(found, [format!("{kind} {total}")]);
    }
}

#[tokio::test]
async fn rows_beside_one_that_overflows_are_added_once() {
    const ROWS: usize = 700;
    // The wide row is alone in a statement, at its beginning, in its middle, at its end, and in several statements.
    let ours = None;
    // SQLite only undoes a failed statement if it has prepared for that. It must do so in tables that others have
    // made, too.
    let theirs = Some(
        "CREATE TABLE ads (window_start INTEGER, campaign TEXT, hits INTEGER, revenue ANY, \
         PRIMARY KEY (window_start, campaign)) STRICT",
    );
    for (table, wide) in [
        (ours, vec![0]),
        (ours, vec![100]),
        (ours, vec![255]),
        (ours, vec![256, 511, 699]),
        (ours, vec![]),
        (theirs, vec![255, 511]),
    ] {
        let file = File::new();
        if let Some(table) = table {
            file.plain().await.run(table).await;
        }
        let sink = prepared(&file).await;
        let keys = (0..ROWS).map(|row| format!("{row:03}")).collect::<Vec<_>>();
        let value = |row| if wide.contains(&row) { MAX } else { 1 };
        let rows = (0..ROWS).map(|row| (60, keys[row].as_bytes(), value(row))).collect::<Vec<_>>();
        for sequence in 1..=3 {
            assert_eq!(apply(&sink, batch(sequence, &rows)).await.unwrap(), Applied::Now);
            assert_eq!(apply(&sink, batch(sequence, &rows)).await.unwrap(), Applied::Before);
            let times = i128::from(sequence);
            let expected = (0..ROWS).map(|row| [Some(times), Some(times * value(row))]).collect::<Vec<_>>();
            assert!(values(&sink).await == expected, "{wide:?}, {sequence}");
        }
    }
}

#[tokio::test]
async fn a_new_row_may_begin_beyond_64_bits() {
    let file = File::new();
    let sink = prepared(&file).await;
    apply(&sink, batch(1, &[(60, b"c1", MAX + 1), (60, b"c2", MIN - 1)])).await.unwrap();
    assert_eq!(values(&sink).await, [[Some(1), Some(MAX + 1)], [Some(1), Some(MIN - 1)]]);
    apply(&sink, batch(2, &[(60, b"c1", MIN - 1), (60, b"c2", 5)])).await.unwrap();
    assert_eq!(values(&sink).await, [[Some(2), Some(-1)], [Some(2), Some(MIN + 4)]]);
    assert_eq!(read(&file, "typeof(revenue)").await, ["integer", "integer"]);
}

#[tokio::test]
async fn absent_values_change_no_wide_total() {
    let file = File::new();
    let sink = prepared(&file).await;
    let mut total = None;
    let wide = Some(MAX + 1);
    for (sequence, value) in (1..).zip([None, wide, None, wide, None, Some(1)]) {
        apply(&sink, nullable(sequence, None, value)).await.unwrap();
        total = value.map(|value| value + total.unwrap_or(0)).or(total);
        assert_eq!(values(&sink).await, [[None, total]], "after {sequence}");
    }
}

#[tokio::test]
async fn a_total_beyond_128_bits_and_a_count_beyond_64_are_refused_by_name() {
    let file = File::new();
    let sink = prepared(&file).await;
    apply(&sink, nullable(1, Some(MAX), Some(i128::MAX))).await.unwrap();
    let refused = async |hits, revenue| match apply(&sink, nullable(2, hits, revenue)).await {
        Err(SinkError::Refused { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    let what = refused(None, Some(1)).await;
    let place = "statistic ads: revenue of window 60, keys [\"c1\"]: the total ";
    assert_eq!(what, format!("{place}{} + 1 does not fit into the column", i128::MAX));
    // The wide sum makes evs read the row, and then the count does not fit.
    let what = refused(Some(1), Some(-1)).await;
    assert!(what.contains("hits of window 60") && what.contains(&format!("{MAX} + 1")), "{what}");
    assert_eq!(values(&sink).await, [[Some(MAX), Some(i128::MAX)]]);
    apply(&sink, nullable(2, None, Some(-1))).await.unwrap();
    assert_eq!(values(&sink).await, [[Some(MAX), Some(i128::MAX - 1)]]);
}

#[tokio::test]
async fn columns_of_others_keep_what_they_have() {
    let file = File::new();
    let sink = prepared(&file).await;
    let mut plain = file.plain().await;
    plain.run("ALTER TABLE ads ADD COLUMN note TEXT NOT NULL DEFAULT 'none'").await;
    apply(&sink, batch(1, &[(60, b"c1", MAX), (60, b"c2", MAX)])).await.unwrap();
    plain.run("UPDATE ads SET note = 'mine' WHERE campaign = 'c1'").await;
    for sequence in [2, 3] {
        apply(&sink, batch(sequence, &[(60, b"c1", MAX), (60, b"c2", MAX)])).await.unwrap();
    }
    assert_eq!(values(&sink).await, [[Some(3), Some(3 * MAX)]; 2]);
    assert_eq!(read(&file, "note").await, ["mine", "none"]);
}

#[tokio::test]
async fn a_table_from_before_is_used_and_refuses_wide_totals_until_it_is_rebuilt() {
    let file = File::new();
    let old = "CREATE TABLE ads (window_start INTEGER NOT NULL, campaign TEXT NOT NULL, hits INTEGER, \
               revenue INTEGER, PRIMARY KEY (window_start, campaign)) STRICT, WITHOUT ROWID";
    file.plain().await.run(old).await;
    let sink = prepared(&file).await;
    apply(&sink, batch(1, &[(60, b"c1", MAX)])).await.unwrap();
    for rows in [[(60, &b"c1"[..], 1)], [(60, b"c2", MAX + 1)]] {
        let error = apply(&sink, batch(2, &rows)).await.unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
        let cause = error.to_string();
        assert!(cause.contains("in INTEGER column ads.revenue"), "{cause}");
    }
    apply(&sink, batch(2, &[(60, b"c1", -5)])).await.unwrap();
    assert_eq!(values(&sink).await, [[Some(2), Some(MAX - 5)]]);

    // These are the statements of docs/sinks/sqlite.md.
    let rebuild = "BEGIN IMMEDIATE; ALTER TABLE ads RENAME TO ads_old; \
                   CREATE TABLE ads (window_start INTEGER NOT NULL, campaign TEXT NOT NULL, hits INTEGER, \
                   revenue ANY, PRIMARY KEY (window_start, campaign)) STRICT, WITHOUT ROWID; \
                   INSERT INTO ads SELECT * FROM ads_old; DROP TABLE ads_old; COMMIT";
    file.plain().await.run(rebuild).await;
    apply(&sink, batch(3, &[(60, b"c1", MAX)])).await.unwrap();
    assert_eq!(values(&sink).await, [[Some(3), Some(2 * MAX - 5)]]);
}

#[tokio::test]
async fn a_number_that_somebody_rounded_is_refused_and_not_added_to() {
    let file = File::new();
    let sink = prepared(&file).await;
    apply(&sink, batch(1, &[(60, b"c1", MAX)])).await.unwrap();
    file.plain().await.run("UPDATE ads SET revenue = revenue + 1").await;
    let error = apply(&sink, batch(2, &[(60, b"c1", 1)])).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    sink.totals(&schema(), 0..100).await.unwrap_err();
    assert_eq!(read(&file, "typeof(revenue)").await, ["real"]);
}

#[tokio::test]
async fn a_batch_that_fails_among_wide_rows_is_applied_once() {
    for fault in [Fault::Rows(1), Fault::Rows(2), Fault::Commit, Fault::Answer] {
        let file = File::new();
        let sink = prepared(&file).await;
        let rows: [(i64, &[u8], i128); 4] = [(60, b"a", 1), (60, b"b", MAX), (60, b"c", 1), (60, b"d", MAX)];
        apply(&sink, batch(1, &rows)).await.unwrap();
        let failing = SqlStore::new(Faulty::new(SqliteConnector::new(&file.path()), fault)).into_sink();
        let error = apply(&failing, batch(2, &rows)).await.unwrap_err();
        assert!(error.is_transient(), "{fault:?}: {error:?}");
        let answer = if fault == Fault::Answer { Applied::Before } else { Applied::Now };
        assert_eq!(apply(&failing, batch(2, &rows)).await.unwrap(), answer, "{fault:?}");
        let (narrow, wide) = ([Some(2), Some(2)], [Some(2), Some(2 * MAX)]);
        assert_eq!(values(&failing).await, [narrow, wide, narrow, wide], "{fault:?}");
    }
}
