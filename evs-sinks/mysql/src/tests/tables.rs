//! The tables as evs and other programs see them.

use evs_sql::cases::Report;

use super::Database;

const WINDOW: &str = "window_start DATETIME, key_hash BINARY(16)";
const CAMPAIGN: &str = "campaign LONGTEXT NOT NULL";
const MEASURES: &str = "hits BIGINT, revenue DECIMAL(38,2)";
const KEY: &str = "PRIMARY KEY (window_start, key_hash)";
const BYTES: &str = "DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

fn right_shapes() -> Vec<String> {
    vec![
        format!("CREATE TABLE ads ({WINDOW}, {CAMPAIGN}, {MEASURES}, {KEY}) {BYTES}"),
        format!(
            "CREATE TABLE ads (id BIGINT AUTO_INCREMENT, KEY (id), note TEXT, source VARCHAR(9) NOT NULL DEFAULT 'evs', \
             Revenue decimal(38,2), hits bigint(3), {CAMPAIGN}, key_hash BINARY(16), window_start DATETIME, {KEY}) {BYTES}"
        ),
    ]
}

fn wrong_shapes() -> Vec<(String, &'static str)> {
    let shapes = [
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
    ];
    shapes
        .into_iter()
        .map(|(columns, said)| (format!("CREATE TABLE ads ({columns}) {BYTES}"), said))
        .collect()
}

fn not_exact() -> Vec<(String, &'static str)> {
    let columns = format!("{WINDOW}, {CAMPAIGN}, {MEASURES}, {KEY}");
    vec![
        (format!("CREATE TABLE ads ({columns}) ENGINE=MyISAM {BYTES}"), "ALTER TABLE `ads` ENGINE=InnoDB"),
        ("CREATE VIEW ads AS SELECT 1 AS window_start".to_owned(), "is a view"),
        (
            format!(
                "CREATE TABLE ads ({columns}) {BYTES}; INSERT INTO ads VALUES ('2026-01-01', REPEAT('x', 16), 'c1', 1, 1)"
            ),
            "has rows",
        ),
    ]
}

fn report() -> Report<'static> {
    Report {
        time_zone: "SET time_zone = '+05:00'",
        windows: ["2025-12-31 23:59:00", "2100-01-01 00:00:00"],
        blank: "blank\\x20",
        queries: vec![
            ("SELECT SUM(revenue) FROM ads WHERE window_start < '2026-01-01'", vec!["12.62"]),
            ("SELECT SUM(revenue) / SUM(hits) FROM ads WHERE campaign LIKE 'blank%'", vec!["0.075000"]),
            ("SELECT COUNT(DISTINCT key_hash) FROM ads", vec!["5"]),
        ],
        is_recent: ["ABS(TIMESTAMPDIFF(HOUR, updated_at, UTC_TIMESTAMP()))", "0"],
    }
}

evs_sql::cases! { Database:
    an_empty_table_of_the_right_shape_is_used(right_shapes()),
    a_table_of_another_shape_is_refused_by_its_column(wrong_shapes()),
    what_cannot_hold_exact_rows_is_refused(not_exact()),
    what_is_not_to_be_created_is_refused_with_what_would_create_it("SHOW TABLES"),
    a_table_that_is_gone_is_not_made_anew(),
    the_queries_of_the_guide_answer_as_totals_does("MySQL"),
    names_may_be_words_of_sql(None),
    anybody_can_read_the_tables_as_documented(report()),
    a_statistic_may_have_no_keys_and_no_measures(|table| format!("SHOW COLUMNS FROM {table}")),
    all_scales_are_kept(["1", "0.000000000000000001"]),
    old_windows_are_swept_away_piece_by_piece(),
}
