//! What the tables look like, to evs and to everybody else.

use evs_core::{MeasureKind, Schema, Sink, SinkError, statistic::MeasureColumn};

use super::{Database, batch, run, schema, texts};
use crate::MySqlSink;

/// What `prepare` says when `sql` was there first; `None` if it accepts.
async fn refusal(sql: &str) -> Option<String> {
    let database = Database::new().await.unwrap();
    run(&mut database.plain().await, sql).await;
    let sink = database.sink().await;
    match sink.prepare(&schema()).await {
        Ok(()) => {
            sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
            None
        }
        Err(SinkError::Refused { what, .. }) => Some(what),
        Err(other) => panic!("{other:?}"),
    }
}

const WINDOW: &str = "window_start DATETIME, key_hash BINARY(16)";
const CAMPAIGN: &str = "campaign LONGTEXT NOT NULL";
const MEASURES: &str = "hits BIGINT, revenue DECIMAL(38,2)";
const KEY: &str = "PRIMARY KEY (window_start, key_hash)";
const BYTES: &str = "DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

#[tokio::test]
async fn an_empty_table_of_the_right_shape_is_used() {
    if evs_testkit::server("mysql").is_none() {
        return;
    }
    for table in [
        format!("CREATE TABLE ads ({WINDOW}, {CAMPAIGN}, {MEASURES}, {KEY}) {BYTES}"),
        format!(
            "CREATE TABLE ads (id BIGINT AUTO_INCREMENT, KEY (id), note TEXT, source VARCHAR(9) NOT NULL DEFAULT 'evs', \
             Revenue decimal(38,2), hits bigint(3), {CAMPAIGN}, key_hash BINARY(16), window_start DATETIME, {KEY}) {BYTES}"
        ),
    ] {
        assert_eq!(refusal(&table).await, None, "{table}");
    }
}

#[tokio::test]
async fn a_table_of_another_shape_is_refused_by_its_column() {
    if evs_testkit::server("mysql").is_none() {
        return;
    }
    for (columns, said) in [
        (format!("{WINDOW}, {CAMPAIGN}, hits BIGINT, {KEY}"), "ADD COLUMN `revenue` DECIMAL(38,2)"),
        (format!("{WINDOW}, campaign LONGBLOB, {MEASURES}, {KEY}"), "campaign of type \"LONGBLOB\""),
        (format!("{WINDOW}, campaign VARCHAR(64), {MEASURES}, {KEY}"), "campaign of type \"VARCHAR(64)\""),
        (format!("{WINDOW}, {CAMPAIGN}, hits BIGINT, revenue DOUBLE, {KEY}"), "revenue of type \"DOUBLE\""),
        (
            format!("{WINDOW}, {CAMPAIGN}, hits BIGINT, revenue DECIMAL(38,3), {KEY}"),
            "revenue of type \"DECIMAL(38,3)\"",
        ),
        (
            format!("{WINDOW}, {CAMPAIGN}, hits BIGINT UNSIGNED, revenue DECIMAL(38,2), {KEY}"),
            "hits of type \"BIGINT UNSIGNED\"",
        ),
        (
            format!("window_start TIMESTAMP, key_hash BINARY(16), {CAMPAIGN}, {MEASURES}, {KEY}"),
            "window_start of type \"TIMESTAMP\"",
        ),
        (
            format!("{WINDOW}, campaign LONGTEXT COLLATE utf8mb4_general_ci, {MEASURES}, {KEY}"),
            "campaign that compares by utf8mb4_general_ci",
        ),
        (
            format!("{WINDOW}, {CAMPAIGN}, {MEASURES}, PRIMARY KEY (key_hash, window_start)"),
            "window_start at the wrong place",
        ),
        (
            format!("{WINDOW}, {CAMPAIGN}, {MEASURES}, PRIMARY KEY (window_start)"),
            "key_hash at the wrong place",
        ),
        (
            format!("{WINDOW}, {CAMPAIGN}, {MEASURES}, PRIMARY KEY (window_start, key_hash, campaign(9))"),
            "campaign at the wrong place",
        ),
        (
            format!("{WINDOW}, {CAMPAIGN}, {MEASURES}, kind TEXT NOT NULL, {KEY}"),
            "a column kind, which evs does not know",
        ),
        (
            format!("{WINDOW}, {CAMPAIGN}, {MEASURES}, {KEY}, UNIQUE KEY one_hit (hits)"),
            "a unique index one_hit beside its primary key",
        ),
    ] {
        let what = refusal(&format!("CREATE TABLE ads ({columns}) {BYTES}")).await.expect(&columns);
        assert!(what.contains("ads") && what.contains(said), "{columns}: {what}");
    }
}

#[tokio::test]
async fn what_cannot_hold_exact_rows_is_refused() {
    if evs_testkit::server("mysql").is_none() {
        return;
    }
    let columns = format!("{WINDOW}, {CAMPAIGN}, {MEASURES}, {KEY}");
    for (sql, said) in [
        (format!("CREATE TABLE ads ({columns}) ENGINE=MyISAM {BYTES}"), "ALTER TABLE `ads` ENGINE=InnoDB"),
        ("CREATE VIEW ads AS SELECT 1 AS window_start".to_owned(), "is a view"),
        (
            format!(
                "CREATE TABLE ads ({columns}) {BYTES}; INSERT INTO ads VALUES ('2026-01-01', REPEAT('x', 16), 'c1', 1, 1)"
            ),
            "has rows",
        ),
        ("CREATE TABLE evs_progress (source TEXT)".to_owned(), "evs_progress"),
        ("CREATE TABLE evs_statistics (statistic TEXT)".to_owned(), "evs_statistics"),
    ] {
        let what = refusal(&sql).await.expect(&sql);
        assert!(what.contains(said), "{sql}: {what}");
    }
}

#[tokio::test]
async fn what_is_not_to_be_created_is_refused_with_what_would_create_it() {
    let Some(database) = Database::new().await else { return };
    let sink = MySqlSink::builder(&database.url(None)).create(false).connect().await.unwrap();
    assert_eq!(sink.progress("web1").await.unwrap(), []);
    let what = sink.prepare(&schema()).await.unwrap_err().to_string();
    assert!(what.contains("these are missing: evs_progress, evs_writers, evs_statistics, ads; "), "{what}");
    let (_, statements) = what.split_once("create them with: ").unwrap();
    let mut plain = database.plain().await;
    assert!(texts(&mut plain, "SHOW TABLES").await.is_empty());
    run(&mut plain, statements).await;
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
}

#[tokio::test]
async fn a_table_that_is_gone_is_not_made_anew() {
    let Some(database) = Database::new().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
    run(&mut database.plain().await, "DROP TABLE ads").await;
    let first = sink.apply(&batch(2, &[(60, b"c1", 5)])).await.unwrap_err();
    assert!(!first.is_transient(), "{first:?}");
    for sink in [sink, database.sink().await] {
        let again = sink.apply(&batch(2, &[(60, b"c1", 5)])).await.unwrap_err();
        assert!(again.to_string().contains("the table ads is gone"), "{again}");
        let again = sink.prepare(&schema()).await.unwrap_err();
        assert!(again.to_string().contains("the table ads is gone"), "{again}");
    }
}

#[tokio::test]
async fn names_may_be_words_of_sql() {
    let Some(database) = Database::new().await else { return };
    let mut schema = Schema { statistic: "select".to_owned(), ..schema() };
    schema.keys[0].name = "Group".to_owned();
    schema.measures[0].name = "order".to_owned();
    schema.measures[1].name = "KEY".to_owned();
    let sink = database.sink().await;
    sink.prepare(&schema).await.unwrap();
    let batch = evs_core::Batch { schema: schema.clone().into(), ..batch(1, &[(60, b"c1", 5)]) };
    sink.apply(&batch).await.unwrap();
    assert_eq!(sink.totals(&schema, 0..100).await.unwrap().len(), 1);
    assert!(!sink.sweep(&schema, 100).await.unwrap());
    assert_eq!(sink.totals(&schema, 0..100).await.unwrap().len(), 0);
    let mut taken = Schema { statistic: "other".to_owned(), ..schema };
    taken.keys[0].name = "Key_Hash".to_owned();
    assert!(matches!(sink.prepare(&taken).await, Err(SinkError::Refused { .. })));
}

#[tokio::test]
async fn anybody_can_read_the_tables_as_documented() {
    let Some(database) = Database::new().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let (minute, later) = (1_767_225_540, 4_102_444_800);
    let rows: [(i64, &[u8], i128); 5] = [
        (minute, "größe".as_bytes(), 1250),
        (minute, b"a\\\xff", -3),
        (minute, b"blank ", 7),
        (minute, b"blank", 8),
        (later, b"c1", 10_i128.pow(38) - 1),
    ];
    sink.apply(&batch(1, &rows)).await.unwrap();
    let mut plain = database.plain().await;
    // As a report in another time zone would ask.
    run(&mut plain, "SET time_zone = '+05:00'").await;
    let read = texts(
        &mut plain,
        "SELECT window_start, campaign, hits, revenue FROM ads ORDER BY window_start, campaign",
    );
    let expected = [
        ["2025-12-31 23:59:00", "a\\x5C\\xFF", "1", "-0.03"],
        ["2025-12-31 23:59:00", "blank", "1", "0.08"],
        ["2025-12-31 23:59:00", "blank\\x20", "1", "0.07"],
        ["2025-12-31 23:59:00", "größe", "1", "12.50"],
        ["2100-01-01 00:00:00", "c1", "1", "999999999999999999999999999999999999.99"],
    ];
    assert_eq!(read.await, expected);
    for (query, expected) in [
        ("SELECT revenue FROM ads WHERE campaign = 'größe'", vec!["12.50"]),
        ("SELECT COUNT(*) FROM ads WHERE campaign IN ('GRÖSSE', 'Größe', 'grosse')", vec!["0"]),
        ("SELECT revenue FROM ads WHERE campaign = 'blank'", vec!["0.08"]),
        ("SELECT COUNT(*) FROM ads GROUP BY campaign", vec!["1"; 5]),
        ("SELECT SUM(revenue) FROM ads WHERE window_start < '2026-01-01'", vec!["12.62"]),
        ("SELECT SUM(revenue) / SUM(hits) FROM ads WHERE campaign LIKE 'blank%'", vec!["0.075000"]),
        ("SELECT COUNT(DISTINCT key_hash) FROM ads", vec!["5"]),
    ] {
        let found = texts(&mut plain, query).await;
        assert_eq!(found.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), expected, "{query}");
    }
    let checksum = format!("{:016x}", batch(1, &rows).checksum());
    let epoch = "07".repeat(16);
    assert_eq!(
        texts(
            &mut plain,
            "SELECT source, epoch, statistic, sequence, checksum, position, \
             ABS(TIMESTAMPDIFF(HOUR, updated_at, UTC_TIMESTAMP())) FROM evs_progress"
        )
        .await,
        [["web1", epoch.as_str(), "ads", "1", checksum.as_str(), r#"{"files":[]}"#, "0"]]
    );
    let definition = texts(&mut plain, "SELECT statistic, definition FROM evs_statistics").await;
    assert_eq!(definition, [["ads".to_owned(), schema().to_json()]]);
}

#[tokio::test]
async fn a_statistic_may_have_no_keys_and_no_measures() {
    let Some(database) = Database::new().await else { return };
    let sink = database.sink().await;
    let minutes = Schema { statistic: "minutes".to_owned(), keys: Vec::new(), ..schema() };
    let seen = Schema { statistic: "seen".to_owned(), measures: Vec::new(), ..schema() };
    for (schema, columns) in [
        (minutes, vec!["window_start", "hits", "revenue"]),
        (seen, vec!["window_start", "key_hash", "campaign"]),
    ] {
        sink.prepare(&schema).await.unwrap();
        let mut rows = evs_core::Rows::new(schema.keys.len(), schema.measures.len());
        let (keys, values) = (vec![&b"c1"[..]; schema.keys.len()], vec![Some(1); schema.measures.len()]);
        rows.push(60, keys.iter().copied(), &values);
        for sequence in [1, 2] {
            let schema = schema.clone().into();
            let batch = evs_core::Batch { schema, rows: rows.clone(), ..batch(sequence, &[]) };
            sink.apply(&evs_core::conformance::chained(batch)).await.unwrap();
        }
        assert_eq!(sink.totals(&schema, 0..100).await.unwrap().len(), 1);
        let query = format!("SHOW COLUMNS FROM {}", schema.statistic);
        let found = texts(&mut database.plain().await, &query).await;
        assert_eq!(found.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), columns);
    }
}

#[tokio::test]
async fn all_scales_are_kept() {
    let Some(database) = Database::new().await else { return };
    let sink = database.sink().await;
    let mut schema = schema();
    let column = |scale: u8| MeasureColumn {
        name: format!("scale_{scale}"),
        kind: MeasureKind::Sum,
        field: String::new(),
        scale,
    };
    schema.measures = (0..=18).map(column).collect();
    sink.prepare(&schema).await.unwrap();
    let most = 10_i128.pow(38) - 1;
    let mut rows = evs_core::Rows::new(1, 19);
    for (key, value) in [(&b"most"[..], most), (b"least", -most), (b"one", 1), (b"minus one", -1)] {
        rows.push(60, [key], &[Some(value); 19]);
    }
    let filled = evs_core::Batch { schema: schema.clone().into(), rows: rows.clone(), ..batch(1, &[]) };
    sink.apply(&filled).await.unwrap();
    let found = sink.totals(&schema, 0..100).await.unwrap();
    let mut cursor = found.cursor();
    while let Some(row) = cursor.next_row() {
        let expected = match row.keys[0] {
            b"most" => most,
            b"least" => -most,
            b"one" => 1,
            _ => -1,
        };
        assert_eq!(row.values, [Some(expected); 19]);
    }
    let mut plain = database.plain().await;
    let written = texts(&mut plain, "SELECT scale_0, scale_18 FROM ads WHERE campaign = 'one'").await;
    assert_eq!(written, [["1", "0.000000000000000001"]]);
}

#[tokio::test]
async fn old_windows_are_swept_away_piece_by_piece() {
    let Some(database) = Database::new().await else { return };
    let sink = database.sink().await;
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
    assert!(!sink.sweep(&schema(), i64::MIN).await.unwrap());
    assert!(!sink.sweep(&schema(), i64::MAX).await.unwrap());
    assert_eq!(windows().await, (0, None));
}
