//! Tables that differ from those that evs creates.

use evs_core::{Sink, SinkError};
use sqlx::Row;

use super::{File, batch, run, schema};
use crate::SqliteSink;

/// The error of `prepare` after `sql` has run; `None` if `prepare` accepts the table.
async fn refusal(sql: &str) -> Option<String> {
    let file = File::new();
    run(&mut file.plain().await, sql).await;
    let sink = SqliteSink::open(file.path()).await.unwrap();
    match sink.prepare(&schema()).await {
        Ok(()) => {
            sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
            None
        }
        Err(SinkError::Refused { what, .. }) => Some(what),
        Err(other) => panic!("{other:?}"),
    }
}

/// The statement for the statistic's table with the given columns.
fn table(columns: &str) -> String {
    format!("CREATE TABLE ads ({columns}) STRICT, WITHOUT ROWID")
}

#[tokio::test]
async fn an_empty_table_of_the_right_shape_is_used() {
    for columns in [
        "window_start INTEGER, campaign TEXT, hits INTEGER, revenue ANY, PRIMARY KEY (window_start, campaign)",
        "window_start INTEGER, campaign TEXT, hits INTEGER, revenue INTEGER, PRIMARY KEY (window_start, campaign)",
        "hits INTEGER, Revenue integer, note TEXT, source TEXT NOT NULL DEFAULT 'evs', campaign TEXT NOT NULL,
         window_start INTEGER, PRIMARY KEY (window_start, campaign)",
    ] {
        assert_eq!(refusal(&table(columns)).await, None, "{columns}");
    }
}

#[tokio::test]
async fn a_table_of_another_shape_is_refused_by_its_column() {
    let measures = "hits INTEGER, revenue INTEGER";
    let key = "PRIMARY KEY (window_start, campaign)";
    for (columns, said) in [
        (format!("window_start INTEGER, campaign TEXT, hits INTEGER, {key}"), "ADD COLUMN \"revenue\" ANY"),
        (format!("window_start INTEGER, campaign BLOB, {measures}, {key}"), "campaign of type \"BLOB\""),
        (
            format!("window_start INTEGER, campaign TEXT, hits REAL, revenue INTEGER, {key}"),
            "hits of type \"REAL\"",
        ),
        (
            format!("window_start INTEGER, campaign TEXT, hits ANY, revenue ANY, {key}"),
            "hits of type \"ANY\"",
        ),
        (
            format!("window_start INTEGER, campaign TEXT, hits INTEGER, revenue REAL, {key}"),
            "revenue of type \"REAL\", not ANY",
        ),
        (
            format!("window_start INTEGER, campaign TEXT COLLATE NOCASE, {measures}, {key}"),
            "campaign that compares by NOCASE",
        ),
        (
            format!("window_start INTEGER, campaign TEXT, {measures}, PRIMARY KEY (campaign, window_start)"),
            "window_start at the wrong place",
        ),
        (
            format!(
                "window_start INTEGER, campaign TEXT, {measures}, PRIMARY KEY (window_start, campaign, hits)"
            ),
            "hits at the wrong place",
        ),
        (
            format!("window_start INTEGER PRIMARY KEY, campaign TEXT, {measures}"),
            "campaign at the wrong place",
        ),
        (
            format!(
                "window_start INTEGER, campaign TEXT, kind TEXT, {measures}, PRIMARY KEY (window_start, campaign, kind)"
            ),
            "a column kind, which evs does not know",
        ),
        (
            format!("window_start INTEGER, campaign TEXT, {measures}, kind TEXT NOT NULL, {key}"),
            "a column kind, which evs does not know",
        ),
    ] {
        let what = refusal(&table(&columns)).await.expect(&columns);
        assert!(what.contains("ads") && what.contains(said), "{columns}: {what}");
    }
}

#[tokio::test]
async fn what_cannot_hold_exact_rows_is_refused() {
    let columns = "window_start INTEGER, campaign TEXT, hits INTEGER, revenue INTEGER, \
                   PRIMARY KEY (window_start, campaign)";
    for (sql, said) in [
        (format!("CREATE TABLE ads ({columns}) WITHOUT ROWID"), "is not STRICT"),
        (format!("CREATE TABLE ADS ({columns})"), "is not STRICT"),
        ("CREATE VIEW ads AS SELECT 1 AS window_start".to_owned(), "is a view"),
        (format!("{}; INSERT INTO ads VALUES (60, 'c1', 1, 1)", table(columns)), "has rows"),
        ("CREATE TABLE evs_progress (source TEXT) STRICT".to_owned(), "evs_progress"),
        ("CREATE TABLE evs_statistics (statistic TEXT)".to_owned(), "evs_statistics"),
    ] {
        let what = refusal(&sql).await.expect(&sql);
        assert!(what.contains(said), "{sql}: {what}");
    }
}

#[tokio::test]
async fn what_is_not_to_be_created_is_refused_with_what_would_create_it() {
    let file = File::new();
    let sink = SqliteSink::builder(file.url()).create(false).connect().await.unwrap();
    assert_eq!(sink.progress("web1").await.unwrap(), []);
    let what = sink.prepare(&schema()).await.unwrap_err().to_string();
    assert!(what.contains("these are missing: evs_progress, evs_writers, evs_statistics, ads; "), "{what}");
    let (_, statements) = what.split_once("create them with: ").unwrap();
    let mut plain = file.plain().await;
    let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'";
    assert_eq!(sqlx::query(tables).fetch_one(&mut plain).await.unwrap().get::<i64, _>(0), 0);
    run(&mut plain, statements).await;
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
}

#[tokio::test]
async fn old_windows_are_swept_away_piece_by_piece() {
    let file = File::new();
    let sink = SqliteSink::open(file.path()).await.unwrap();
    let before = sink.sweep(&schema(), 60).await.unwrap_err();
    assert!(before.to_string().contains("not prepared"), "{before}");
    sink.prepare(&schema()).await.unwrap();
    let rows = (0..6000).map(|window| (window, &b"c1"[..], 1)).collect::<Vec<_>>();
    sink.apply(&batch(1, &rows)).await.unwrap();
    let windows = async || {
        let rows = sink.totals(&schema(), 0..10_000).await.unwrap();
        let mut cursor = rows.cursor();
        (rows.len(), cursor.next_row().map(|row| row.window_start))
    };
    assert!(sink.sweep(&schema(), 5500).await.unwrap());
    assert_eq!(windows().await, (1000, Some(5000)), "the oldest first, and no more than a piece");
    assert!(!sink.sweep(&schema(), 5500).await.unwrap());
    assert_eq!(windows().await, (500, Some(5500)));
    assert!(!sink.sweep(&schema(), i64::MAX).await.unwrap());
    assert_eq!(windows().await, (0, None));
    assert!(!sink.sweep(&schema(), i64::MIN).await.unwrap());
}

#[tokio::test]
async fn names_that_sqlite_keeps_for_itself_are_refused() {
    let file = File::new();
    let sink = SqliteSink::open(file.path()).await.unwrap();
    let mut schema = schema();
    schema.statistic = "sqlite_ads".to_owned();
    assert!(matches!(sink.prepare(&schema).await, Err(SinkError::Refused { .. })));
}

#[tokio::test]
async fn a_table_that_is_gone_is_not_made_anew() {
    let file = File::new();
    let sink = SqliteSink::open(file.path()).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
    run(&mut file.plain().await, "DROP TABLE ads").await;
    sink.apply(&batch(2, &[(60, b"c1", 5)])).await.unwrap_err();
    let again = sink.apply(&batch(2, &[(60, b"c1", 5)])).await.unwrap_err();
    assert!(again.to_string().contains("the table ads is gone"), "{again}");
    let restarted = SqliteSink::open(file.path()).await.unwrap().prepare(&schema()).await.unwrap_err();
    assert!(restarted.to_string().contains("the table ads is gone"), "{restarted}");
}

#[tokio::test]
async fn a_batch_without_a_prepared_table_is_refused() {
    let file = File::new();
    let sink = SqliteSink::open(file.path()).await.unwrap();
    for _ in 0..2 {
        let error = sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
        let error = sink.totals(&schema(), 0..100).await.unwrap_err();
        assert!(error.to_string().contains("not prepared"), "{error:?}");
    }
}

#[tokio::test]
async fn anybody_can_read_the_tables_as_documented() {
    let file = File::new();
    let sink = SqliteSink::open(file.path()).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, "größe".as_bytes(), 1250), (-60, b"a\\\xff", -3)])).await.unwrap();
    let mut plain = file.plain().await;
    let query = "SELECT window_start, campaign, hits, revenue FROM ads";
    let rows = sqlx::query(query).fetch_all(&mut plain).await.unwrap();
    let read = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect::<Vec<_>>();
    let expected: [(i64, String, i64, i64); 2] =
        [(-60, r"a\x5C\xFF".to_owned(), 1, -3), (60, "größe".to_owned(), 1, 1250)];
    assert_eq!(read, expected);

    let query =
        "SELECT sequence, epoch, statistic, checksum, position FROM evs_progress WHERE source = 'web1'";
    let row = sqlx::query(query).fetch_one(&mut plain).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 1);
    assert_eq!(row.get::<String, _>(1), "07".repeat(16));
    assert_eq!(row.get::<String, _>(2), "ads");
    assert_eq!(
        row.get::<String, _>(3),
        format!("{:016x}", batch(1, &[(60, "größe".as_bytes(), 1250), (-60, b"a\\\xff", -3)]).checksum())
    );
    assert_eq!(row.get::<String, _>(4), r#"{"files":[]}"#);
    let definition =
        sqlx::query("SELECT definition FROM evs_statistics").fetch_one(&mut plain).await.unwrap();
    assert_eq!(definition.get::<String, _>(0), schema().to_json());
}
