//! The tables as evs and other programs see them.

use evs_sql::cases::Report;

use super::Database;

const WINDOW: &str = "window_start TIMESTAMPTZ, key_hash BYTEA";
const CAMPAIGN: &str = "campaign TEXT COLLATE \"C\" NOT NULL";
const MEASURES: &str = "hits BIGINT, revenue NUMERIC(38,2)";
const KEY: &str = "PRIMARY KEY (window_start, key_hash)";

fn right_shapes() -> Vec<String> {
    vec![
        format!("CREATE TABLE ads ({WINDOW}, {CAMPAIGN}, {MEASURES}, {KEY})"),
        format!(
            "CREATE TABLE ads (id BIGINT GENERATED ALWAYS AS IDENTITY, note TEXT, \
             source VARCHAR(9) NOT NULL DEFAULT 'evs', revenue decimal(38,2), hits int8, \
             campaign TEXT NOT NULL, key_hash BYTEA, window_start timestamp with time zone, {KEY})"
        ),
        format!(
            "CREATE TABLE ads ({WINDOW}, {CAMPAIGN}, {MEASURES}, {KEY}) PARTITION BY RANGE (window_start); \
             CREATE TABLE ads_all PARTITION OF ads DEFAULT"
        ),
    ]
}

fn wrong_shapes() -> Vec<(String, &'static str)> {
    let shapes = [
        (format!("{WINDOW}, {CAMPAIGN}, hits BIGINT, {KEY}"), "ADD COLUMN \"revenue\" NUMERIC(38,2)"),
        (format!("{WINDOW}, campaign BYTEA, {MEASURES}, {KEY}"), "campaign of type \"BYTEA\""),
        (
            format!("{WINDOW}, campaign VARCHAR(64), {MEASURES}, {KEY}"),
            "campaign of type \"CHARACTER VARYING(64)\"",
        ),
        (
            format!("{WINDOW}, {CAMPAIGN}, hits BIGINT, revenue DOUBLE PRECISION, {KEY}"),
            "revenue of type \"DOUBLE PRECISION\"",
        ),
        (
            format!("{WINDOW}, {CAMPAIGN}, hits BIGINT, revenue NUMERIC(38,3), {KEY}"),
            "revenue of type \"NUMERIC(38,3)\"",
        ),
        (
            format!("{WINDOW}, {CAMPAIGN}, hits INTEGER, revenue NUMERIC(38,2), {KEY}"),
            "hits of type \"INTEGER\"",
        ),
        (
            format!("{WINDOW}, {CAMPAIGN}, hits BIGINT, \"Revenue\" NUMERIC(38,2), {KEY}"),
            "no column \"revenue\"",
        ),
        (
            format!("window_start TIMESTAMP, key_hash BYTEA, {CAMPAIGN}, {MEASURES}, {KEY}"),
            "window_start of type \"TIMESTAMP WITHOUT TIME ZONE\"",
        ),
        (
            format!("window_start TIMESTAMPTZ(0), key_hash BYTEA, {CAMPAIGN}, {MEASURES}, {KEY}"),
            "window_start of type \"TIMESTAMP(0) WITH TIME ZONE\"",
        ),
        (
            format!("{WINDOW}, campaign TEXT COLLATE no_case, {MEASURES}, {KEY}"),
            "campaign that compares by no_case, not by bytes",
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
            format!("{WINDOW}, {CAMPAIGN}, {MEASURES}, PRIMARY KEY (window_start, key_hash, campaign)"),
            "campaign at the wrong place",
        ),
        (
            format!("{WINDOW}, {CAMPAIGN}, {MEASURES}, kind TEXT NOT NULL, {KEY}"),
            "a column kind, which evs does not know",
        ),
        (
            format!("{WINDOW}, {CAMPAIGN}, {MEASURES}, {KEY}, CONSTRAINT one_hit UNIQUE (hits)"),
            "a unique index one_hit beside its primary key",
        ),
        (format!("{WINDOW}, {CAMPAIGN}, {MEASURES}, {KEY} DEFERRABLE"), "a DEFERRABLE primary key"),
    ];
    let made = |columns| {
        format!(
            "CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
             CREATE TABLE ads ({columns})"
        )
    };
    shapes.into_iter().map(|(columns, said)| (made(columns), said)).collect()
}

fn not_exact() -> Vec<(String, &'static str)> {
    let columns = format!("{WINDOW}, {CAMPAIGN}, {MEASURES}, {KEY}");
    vec![
        (format!("CREATE UNLOGGED TABLE ads ({columns})"), "ALTER TABLE ads SET LOGGED"),
        ("CREATE VIEW ads AS SELECT 1 AS window_start".to_owned(), "is a view"),
        ("CREATE MATERIALIZED VIEW ads AS SELECT 1 AS window_start".to_owned(), "is a materialized view"),
        (
            format!("CREATE TABLE ads ({columns}); INSERT INTO ads VALUES ('2026-01-01', 'x', 'c1', 1, 1)"),
            "has rows",
        ),
    ]
}

fn report() -> Report<'static> {
    Report {
        time_zone: "SET TimeZone = '-05:00'",
        windows: ["2026-01-01 04:59:00+05", "2100-01-01 05:00:00+05"],
        blank: "blank ",
        queries: vec![
            ("SELECT sum(revenue) FROM ads WHERE window_start < '2026-01-01 00:00+00'", vec!["12.62"]),
            (
                "SELECT round(sum(revenue) / sum(hits), 3) FROM ads WHERE campaign LIKE 'blank%'",
                vec!["0.075"],
            ),
            ("SELECT count(DISTINCT key_hash) FROM ads WHERE length(key_hash) = 16", vec!["5"]),
            (
                "SELECT window_start AT TIME ZONE 'UTC' FROM ads WHERE campaign = 'größe'",
                vec!["2025-12-31 23:59:00"],
            ),
        ],
        is_recent: ["now() - updated_at BETWEEN '-1 min' AND '1 hour'", "t"],
    }
}

fn columns_of(table: &str) -> String {
    format!(
        "SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
    )
}

evs_sql::cases! { Database:
    an_empty_table_of_the_right_shape_is_used(right_shapes()),
    a_table_of_another_shape_is_refused_by_its_column(wrong_shapes()),
    what_cannot_hold_exact_rows_is_refused(not_exact()),
    what_is_not_to_be_created_is_refused_with_what_would_create_it(
        "SELECT 1 FROM pg_tables WHERE schemaname = 'public'",
    ),
    a_table_that_is_gone_is_not_made_anew(),
    the_queries_of_the_guide_answer_as_totals_does("PostgreSQL"),
    names_may_be_words_of_sql(Some("pg_class")),
    anybody_can_read_the_tables_as_documented(report()),
    a_statistic_may_have_no_keys_and_no_measures(columns_of),
    all_scales_are_kept(["1", "0.000000000000000001"]),
    old_windows_are_swept_away_piece_by_piece(),
}
