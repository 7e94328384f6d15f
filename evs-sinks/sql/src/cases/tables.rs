//! The tables as evs and other programs see them.

use evs_core::{MeasureColumn, MeasureKind, Rows, SinkError, conformance::chained};

use super::database::{Database, Plain, Settings, batch, schema};
use crate::Connector;

/// The error of `prepare` after `sql` has run; `None` if `prepare` accepts the table.
async fn refusal<D: Database>(sql: &str) -> Option<String> {
    let database = D::fresh().await.unwrap();
    database.plain().await.run(sql).await;
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

/// Each of these statements makes a table `ads` that evs accepts.
pub async fn an_empty_table_of_the_right_shape_is_used<D: Database>(tables: Vec<String>) {
    if D::fresh().await.is_none() {
        return;
    }
    for table in tables {
        assert_eq!(refusal::<D>(&table).await, None, "{table}");
    }
}

/// Each of these statements makes a table `ads` that evs refuses with the given words.
pub async fn a_table_of_another_shape_is_refused_by_its_column<D: Database>(tables: Vec<(String, &str)>) {
    if D::fresh().await.is_none() {
        return;
    }
    for (sql, said) in tables {
        let what = refusal::<D>(&sql).await.expect(&sql);
        assert!(what.contains("ads") && what.contains(said), "{sql}: {what}");
    }
}

/// Each of these statements makes something that evs refuses with the given words.
pub async fn what_cannot_hold_exact_rows_is_refused<D: Database>(made: Vec<(String, &str)>) {
    if D::fresh().await.is_none() {
        return;
    }
    let ours = [
        ("CREATE TABLE evs_progress (source TEXT)".to_owned(), "evs_progress"),
        ("CREATE TABLE evs_statistics (statistic TEXT)".to_owned(), "evs_statistics"),
    ];
    for (sql, said) in made.into_iter().chain(ours) {
        let what = refusal::<D>(&sql).await.expect(&sql);
        assert!(what.contains(said), "{sql}: {what}");
    }
}

/// `tables` is the query for the tables of the database.
pub async fn what_is_not_to_be_created_is_refused_with_what_would_create_it<D: Database>(tables: &str) {
    let Some(database) = D::fresh().await else { return };
    let settings = Settings { create: false, ..Settings::default() };
    let sink = D::connect(&database.url(), settings).await.unwrap();
    assert_eq!(sink.progress("web1").await.unwrap(), []);
    let what = sink.prepare(&schema()).await.unwrap_err().to_string();
    assert!(what.contains("these are missing: evs_progress, evs_writers, evs_statistics, ads; "), "{what}");
    let (_, statements) = what.split_once("create them with: ").unwrap();
    let mut plain = database.plain().await;
    assert!(plain.texts(tables).await.is_empty());
    plain.run(statements).await;
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
}

/// A missing table that evs knows is not replaced by an empty one.
pub async fn a_table_that_is_gone_is_not_made_anew<D: Database>() {
    let Some(database) = D::fresh().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
    database.plain().await.run("DROP TABLE ads").await;
    let first = sink.apply(&batch(2, &[(60, b"c1", 5)])).await.unwrap_err();
    assert!(!first.is_transient(), "{first:?}");
    for sink in [sink, database.sink().await] {
        let again = sink.apply(&batch(2, &[(60, b"c1", 5)])).await.unwrap_err();
        assert!(again.to_string().contains("the table ads is gone"), "{again}");
        let again = sink.prepare(&schema()).await.unwrap_err();
        assert!(again.to_string().contains("the table ads is gone"), "{again}");
    }
}

/// Names are quoted. `reserved` is a table name that the server reserves for itself, if there is one.
pub async fn names_may_be_words_of_sql<D: Database>(reserved: Option<&str>) {
    let Some(database) = D::fresh().await else { return };
    let mut schema = schema();
    schema.statistic = "select".to_owned();
    schema.keys[0].name = "Group".to_owned();
    schema.measures[0].name = "order".to_owned();
    schema.measures[1].name = "KEY".to_owned();
    let sink = database.sink().await;
    sink.prepare(&schema).await.unwrap();
    let mut batch = batch(1, &[(60, b"c1", 5)]);
    batch.schema = schema.clone().into();
    sink.apply(&batch).await.unwrap();
    assert_eq!(sink.totals(&schema, 0..100).await.unwrap().len(), 1);
    assert!(!sink.sweep(&schema, 100).await.unwrap());
    assert_eq!(sink.totals(&schema, 0..100).await.unwrap().len(), 0);
    let mut taken = schema;
    taken.statistic = "other".to_owned();
    let hash = database.connector().dialect().hashes_keys().then_some("Key_Hash");
    for name in ["Window_Start"].into_iter().chain(hash) {
        taken.keys[0].name = name.to_owned();
        assert!(matches!(sink.prepare(&taken).await, Err(SinkError::Refused { .. })));
    }
    if let Some(reserved) = reserved {
        taken.keys[0].name = "key".to_owned();
        taken.statistic = reserved.to_owned();
        let error = sink.prepare(&taken).await.unwrap_err();
        assert!(error.to_string().contains("reserved"), "{error}");
    }
}

/// A reader of the tables, such as a report.
#[derive(Debug)]
pub struct Report<'r> {
    /// The statement that sets another time zone for the session.
    pub time_zone: &'r str,
    /// The minute before 2026 and the start of 2100, both in UTC, as that session shows them.
    pub windows: [&'r str; 2],
    /// The key `"blank "`, as it is stored.
    pub blank: &'r str,
    /// Queries, and the first column of each result.
    pub queries: Vec<(&'r str, Vec<&'r str>)>,
    /// An expression on `updated_at`, and its value if that time is recent.
    pub is_recent: [&'r str; 2],
}

/// The statements of docs/sinks about the tables hold.
pub async fn anybody_can_read_the_tables_as_documented<D: Database>(report: Report<'_>) {
    let Some(database) = D::fresh().await else { return };
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
    // Asks like a report in another time zone.
    plain.run(report.time_zone).await;
    let read = "SELECT window_start, campaign, hits, revenue FROM ads ORDER BY window_start, campaign";
    let [minute, later] = report.windows;
    let expected = [
        [minute, "a\\x5C\\xFF", "1", "-0.03"],
        [minute, "blank", "1", "0.08"],
        [minute, report.blank, "1", "0.07"],
        [minute, "größe", "1", "12.50"],
        [later, "c1", "1", "999999999999999999999999999999999999.99"],
    ];
    assert_eq!(plain.texts(read).await, expected);
    let common = [
        ("SELECT revenue FROM ads WHERE campaign = 'größe'", vec!["12.50"]),
        ("SELECT count(*) FROM ads WHERE campaign IN ('GRÖSSE', 'Größe', 'grosse')", vec!["0"]),
        ("SELECT revenue FROM ads WHERE campaign = 'blank'", vec!["0.08"]),
        ("SELECT count(*) FROM ads GROUP BY campaign", vec!["1"; 5]),
    ];
    for (query, expected) in common.into_iter().chain(report.queries) {
        let found = plain.texts(query).await;
        assert_eq!(found.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), expected, "{query}");
    }
    let checksum = format!("{:016x}", batch(1, &rows).checksum());
    let epoch = "07".repeat(16);
    let [recent, yes] = report.is_recent;
    let progress =
        format!("SELECT source, epoch, statistic, sequence, checksum, position, {recent} FROM evs_progress");
    assert_eq!(
        plain.texts(&progress).await,
        [["web1", epoch.as_str(), "ads", "1", checksum.as_str(), r#"{"files":[]}"#, yes]]
    );
    let definition = plain.texts("SELECT statistic, definition FROM evs_statistics").await;
    assert_eq!(definition, [["ads".to_owned(), schema().to_json()]]);
}

/// `columns_of` is the query for the columns of a table, in their order.
pub async fn a_statistic_may_have_no_keys_and_no_measures<D: Database>(columns_of: fn(&str) -> String) {
    let Some(database) = D::fresh().await else { return };
    let sink = database.sink().await;
    let mut minutes = schema();
    minutes.statistic = "minutes".to_owned();
    minutes.keys = Vec::new();
    let mut seen = schema();
    seen.statistic = "seen".to_owned();
    seen.measures = Vec::new();
    let hash = database.connector().dialect().hashes_keys().then_some("key_hash");
    for (schema, columns) in [
        (minutes, vec!["window_start", "hits", "revenue"]),
        (seen, ["window_start"].into_iter().chain(hash).chain(["campaign"]).collect()),
    ] {
        sink.prepare(&schema).await.unwrap();
        let mut rows = Rows::new(schema.keys.len(), schema.measures.len());
        let (keys, values) = (vec![&b"c1"[..]; schema.keys.len()], vec![Some(1); schema.measures.len()]);
        rows.push(60, keys.iter().copied(), &values);
        for sequence in [1, 2] {
            let schema = schema.clone().into();
            let mut batch = batch(sequence, &[]);
            batch.schema = schema;
            batch.rows = rows.clone();
            sink.apply(&chained(batch)).await.unwrap();
        }
        assert_eq!(sink.totals(&schema, 0..100).await.unwrap().len(), 1);
        let found = database.plain().await.texts(&columns_of(&schema.statistic)).await;
        assert_eq!(found.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), columns);
    }
}

/// Decimals of each scale are read as they were written. `ones` are 1 with the scale 0 and 1 with the scale 18, as
/// others read them.
pub async fn all_scales_are_kept<D: Database>(ones: [&str; 2]) {
    let Some(database) = D::fresh().await else { return };
    let sink = database.sink().await;
    let mut schema = schema();
    let column = |scale: u8| MeasureColumn::new(format!("scale_{scale}"), MeasureKind::Sum, "", scale);
    schema.measures = (0..=18).map(column).collect();
    sink.prepare(&schema).await.unwrap();
    let most = 10_i128.pow(38) - 1;
    let mut rows = Rows::new(1, 19);
    for (key, value) in [(&b"most"[..], most), (b"least", -most), (b"one", 1), (b"minus one", -1)] {
        rows.push(60, [key], &[Some(value); 19]);
    }
    let mut filled = batch(1, &[]);
    filled.schema = schema.clone().into();
    filled.rows = rows.clone();
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
    let written = plain.texts("SELECT scale_0, scale_18 FROM ads WHERE campaign = 'one'").await;
    assert_eq!(written, [ones]);
}

/// The oldest windows go first.
pub async fn old_windows_are_swept_away_piece_by_piece<D: Database>() {
    let Some(database) = D::fresh().await else { return };
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
