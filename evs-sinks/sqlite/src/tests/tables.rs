//! The tables as evs and other programs see them.

use evs_core::{MeasureColumn, MeasureKind, Sink, SinkError};
use evs_sql::cases::{Database as _, Plain as _, Settings, batch, schema};

use super::File;
use crate::SqliteSink;

/// The statement for the statistic's table with the given columns.
fn table(columns: &str) -> String {
    format!("CREATE TABLE ads ({columns}) STRICT, WITHOUT ROWID")
}

fn right_shapes() -> Vec<String> {
    let shapes = [
        "window_start INTEGER, campaign TEXT, hits INTEGER, revenue ANY, PRIMARY KEY (window_start, campaign)",
        "window_start INTEGER, campaign TEXT, hits INTEGER, revenue INTEGER, PRIMARY KEY (window_start, campaign)",
        "hits INTEGER, Revenue integer, note TEXT, source TEXT NOT NULL DEFAULT 'evs', campaign TEXT NOT NULL,
         window_start INTEGER, PRIMARY KEY (window_start, campaign)",
    ];
    shapes.map(table).into()
}

fn wrong_shapes() -> Vec<(String, &'static str)> {
    let measures = "hits INTEGER, revenue INTEGER";
    let key = "PRIMARY KEY (window_start, campaign)";
    let shapes = [
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
    ];
    shapes.map(|(columns, said)| (table(&columns), said)).into()
}

fn not_exact() -> Vec<(String, &'static str)> {
    let columns = "window_start INTEGER, campaign TEXT, hits INTEGER, revenue INTEGER, \
                   PRIMARY KEY (window_start, campaign)";
    vec![
        (format!("CREATE TABLE ads ({columns}) WITHOUT ROWID"), "is not STRICT"),
        (format!("CREATE TABLE ADS ({columns})"), "is not STRICT"),
        ("CREATE VIEW ads AS SELECT 1 AS window_start".to_owned(), "is a view"),
        (format!("{}; CREATE UNIQUE INDEX one ON ads (campaign)", table(columns)), "has a unique index one"),
        (
            table(&format!("{columns}, UNIQUE (campaign) ON CONFLICT REPLACE")),
            "has a unique index sqlite_autoindex",
        ),
        (format!("{}; INSERT INTO ads VALUES (60, 'c1', 1, 1)", table(columns)), "has rows"),
        ("CREATE TABLE evs_progress (source TEXT) STRICT".to_owned(), "evs_progress"),
    ]
}

evs_sql::cases! { File:
    an_empty_table_of_the_right_shape_is_used(right_shapes()),
    a_table_of_another_shape_is_refused_by_its_column(wrong_shapes()),
    what_cannot_hold_exact_rows_is_refused(not_exact()),
    what_is_not_to_be_created_is_refused_with_what_would_create_it("SELECT name FROM sqlite_schema"),
    a_table_that_is_gone_is_not_made_anew(),
    the_queries_of_the_guide_answer_as_totals_does("SQLite"),
    names_may_be_words_of_sql(Some("sqlite_ads")),
    a_statistic_may_have_no_keys_and_no_measures(|table| format!("SELECT name FROM pragma_table_info('{table}')")),
    all_scales_are_kept(["1", "1"]),
    old_windows_are_swept_away_piece_by_piece(),
}

#[tokio::test]
async fn a_table_that_is_not_prepared_is_not_used() {
    let file = File::new();
    let sink = SqliteSink::open(file.path()).await.unwrap();
    for _ in 0..2 {
        let error = sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
        let error = sink.totals(&schema(), 0..100).await.unwrap_err();
        assert!(error.to_string().contains("not prepared"), "{error:?}");
        let error = sink.sweep(&schema(), 60).await.unwrap_err();
        assert!(error.to_string().contains("not prepared"), "{error:?}");
    }
}

#[tokio::test]
async fn anybody_can_read_the_tables_as_documented() {
    let file = File::new();
    let sink = SqliteSink::open(file.path()).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    let batch = batch(1, &[(60, "größe".as_bytes(), 1250), (-60, b"a\\\xff", -3)]);
    sink.apply(&batch).await.unwrap();
    let mut plain = file.plain().await;
    let rows = plain.texts("SELECT window_start, campaign, hits, revenue, typeof(revenue) FROM ads").await;
    assert_eq!(rows, [["-60", r"a\x5C\xFF", "1", "-3", "integer"], ["60", "größe", "1", "1250", "integer"]]);
    let progress = "SELECT source, sequence, epoch, statistic, checksum, position FROM evs_progress";
    let (epoch, checksum) = ("07".repeat(16), format!("{:016x}", batch.checksum()));
    assert_eq!(plain.texts(progress).await, [["web1", "1", &epoch, "ads", &checksum, r#"{"files":[]}"#]]);
    let definition = plain.texts("SELECT definition FROM evs_statistics").await;
    assert_eq!(definition, [[schema().to_json()]]);
}

#[tokio::test]
async fn a_column_that_is_not_to_be_added_is_refused_with_what_would_add_it() {
    let file = File::fresh().await.unwrap();
    file.sink().await.prepare(&schema()).await.unwrap();
    let mut more = schema();
    more.measures.push(MeasureColumn::new("bytes", MeasureKind::Sum, "body_bytes_sent", 0));
    let cautious =
        File::connect(&file.url(), Settings { create: false, ..Settings::default() }).await.unwrap();
    let what = cautious.prepare(&more).await.unwrap_err().to_string();
    let (_, statement) = what.split_once("add them with: ").expect(&what);
    assert_eq!(statement, "ALTER TABLE \"ads\" ADD COLUMN \"bytes\" ANY;");
    let mut plain = file.plain().await;
    let definition = "SELECT definition FROM evs_statistics";
    assert_eq!(plain.texts(definition).await, [[schema().to_json()]], "nothing was changed");
    plain.run(statement).await;
    cautious.prepare(&more).await.unwrap();
    assert_eq!(plain.texts(definition).await, [[more.to_json()]]);
    assert_eq!(cautious.totals(&more, 0..100).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_column_with_values_of_others_is_not_added_to() {
    let file = File::fresh().await.unwrap();
    let sink = file.sink().await;
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
    let mut plain = file.plain().await;
    plain.run("ALTER TABLE ads ADD COLUMN bytes ANY; UPDATE ads SET bytes = 7").await;
    let mut more = schema();
    more.measures.push(MeasureColumn::new("bytes", MeasureKind::Sum, "body_bytes_sent", 0));
    let what = sink.prepare(&more).await.unwrap_err().to_string();
    assert!(what.contains("a column bytes with values that evs has not written"), "{what}");
    assert_eq!(plain.texts("SELECT definition FROM evs_statistics").await, [[schema().to_json()]]);
}
