//! The server, its users, its limits and its locks.

use std::sync::Arc;

use evs_core::{Applied, Sink, SinkError};
use evs_sql::{
    Connection, Connector, Value,
    cases::{Database as _, Plain as _, Rights, Server as _, User as _, batch, in_full, refused, schema},
};

use super::Database;
use crate::PostgresSink;

const URLS: [(&str, &str); 9] = [
    ("", "another scheme"),
    ("sqlite://stats.db", "another scheme"),
    ("postgres://evs:hunter2@localhost", "names no database"),
    ("postgresql://evs:hunter2@localhost/", "names no database"),
    ("postgres://evs:hunter2@localhost:x/stats", "invalid port number"),
    ("postgres://evs:hunter2@localhost/stats?sslmode=hunter", "ssl_mode"),
    ("postgres://evs:hunter2@localhost/stats?ssl-modus=require", "a parameter ssl-modus"),
    ("postgres://evs@localhost/stats?password=hunter2&port=x", "cannot be used"),
    (
        "postgres://evs:hunter2@localhost/stats?sslrootcert=/no/such/ca.pem",
        "/no/such/ca.pem: the file cannot be read",
    ),
];

fn rights() -> Rights<Database> {
    Rights {
        few: "USAGE",
        said: &["permission denied for schema public", "42501"],
        give: |_, user| format!("GRANT CREATE ON SCHEMA public TO {}", user.name),
        are_of_the_connection: false,
    }
}

evs_sql::cases! { Database:
    urls_that_say_too_little_or_too_much_are_refused(
        &URLS,
        format!("{:?}", PostgresSink::builder("postgres://evs:hunter2@localhost/stats")),
    ),
    a_server_that_is_away_is_waited_for(),
    a_server_that_never_answers_is_given_up(),
    missing_rights_are_named_and_given_later(rights()),
    tls_that_is_asked_for_is_not_done_without("sslmode=require", "SHOW ssl", "on"),
    a_connection_that_was_cut_is_made_anew(),
    the_next_attempt_waits_for_the_one_before(),
    progress_waits_for_a_first_batch_that_is_under_way(),
    two_writers_of_the_same_rows_lose_nothing("500.00"),
    many_may_prepare_at_once(),
    a_sum_out_of_range_is_refused_by_the_server(&["numeric field overflow", "22003"], "bigint out of range"),
}

#[tokio::test]
async fn what_will_not_pass_is_said_when_connecting() {
    let Some(database) = Database::fresh().await else { return };
    let user = database.user("USAGE").await;
    let wrong = refused::<Database>(&database.url_as(&format!("{}:hunter2wrong", user.name))).await;
    assert!(wrong.contains("password authentication failed") && wrong.contains("28P01"), "{wrong}");
    let missing = database.url_as(&user.login()).replace(&database.name, "evs_no_such_database");
    let missing = refused::<Database>(&missing).await;
    assert!(missing.contains("evs_no_such_database") && missing.contains("3D000"), "{missing}");
    let sql = format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", database.name);
    database.plain().await.run(&sql).await;
    let denied = refused::<Database>(&database.url_as(&user.login())).await;
    assert!(denied.contains("permission denied for database") && denied.contains("42501"), "{denied}");
}

#[tokio::test]
async fn a_database_that_cannot_hold_all_keys_is_refused() {
    let Some(database) = Database::with("ENCODING 'LATIN1' LOCALE 'C'").await else { return };
    let refusal = refused::<Database>(&database.url()).await;
    assert!(refusal.contains("encoding is LATIN1") && refusal.contains("ENCODING 'UTF8'"), "{refusal}");
}

/// The documented rights are enough for tables that somebody else has made.
#[tokio::test]
async fn rights_to_the_tables_are_all_that_is_needed() {
    let Some(database) = Database::fresh().await else { return };
    let user = database.user("USAGE").await;
    database.sink().await.prepare(&schema()).await.unwrap();
    let mut plain = database.plain().await;
    let url = database.url_as(&user.login());
    let sink = PostgresSink::builder(&url).create(false).connect().await.unwrap();
    let error = sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    assert!(in_full(&error).contains("permission denied for table"), "{}", in_full(&error));
    let grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON ads, evs_progress, evs_writers, evs_statistics TO";
    plain.run(&format!("{grant} {}", user.name)).await;
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
    assert_eq!(sink.progress("web1").await.unwrap().len(), 1);
    sink.sweep(&schema(), 100).await.unwrap();
    assert!(sink.totals(&schema(), 0..100).await.unwrap().is_empty());
}

/// Reads the settings within a transaction of a session.
async fn settings(session: &mut impl Connection) -> Vec<Value> {
    let names = [
        "transaction_isolation",
        "synchronous_commit",
        "lock_timeout",
        "statement_timeout",
        "idle_in_transaction_session_timeout",
    ];
    let query = names.map(|name| format!("current_setting('{name}')")).join(", ");
    session.begin().await.unwrap();
    let row = session.query(&Arc::from(format!("SELECT {query}")), Vec::new()).await.unwrap().remove(0);
    session.rollback().await.unwrap();
    row
}

#[tokio::test]
async fn transactions_are_durable_and_keep_neither_an_old_view_nor_locks() {
    let Some(database) = Database::fresh().await else { return };
    let mut plain = database.plain().await;
    for lax in [
        "default_transaction_isolation = 'serializable'",
        "synchronous_commit = 'off'",
        "lock_timeout = 0",
        "statement_timeout = 7",
    ] {
        plain.run(&format!("ALTER DATABASE {} SET {lax}", database.name)).await;
    }
    let mut session = database.connector().connect().await.unwrap();
    let strict = ["read committed", "on", "30s", "1h", "1min"].map(Value::from);
    assert_eq!(settings(&mut session).await, strict);
    // A pooler may give each transaction a session that another client has used.
    session.execute(&Arc::from("SET synchronous_commit = off"), Vec::new()).await.unwrap();
    assert_eq!(settings(&mut session).await, strict);
    // A setting that is stricter than `on` is kept.
    session.execute(&Arc::from("SET synchronous_commit = remote_apply"), Vec::new()).await.unwrap();
    assert_eq!(settings(&mut session).await[1], "remote_apply".into());
}

#[tokio::test]
async fn a_read_only_server_is_waited_for() {
    let Some(database) = Database::fresh().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let mut plain = database.plain().await;
    let set = format!("ALTER DATABASE {} SET default_transaction_read_only =", database.name);
    plain.run(&format!("{set} on")).await;
    let replica = database.sink().await;
    let error = replica.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap_err();
    assert!(matches!(error, SinkError::Unavailable { .. }), "{error:?}");
    assert!(in_full(&error).contains("25006"), "{}", in_full(&error));
    assert!(replica.totals(&schema(), 0..100).await.unwrap().is_empty());
    assert_eq!(sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap(), Applied::Now);
}

#[tokio::test]
async fn a_row_that_is_larger_than_a_statement_of_many_is_kept() {
    let Some(database) = Database::fresh().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let large = vec![b'x'; 8 << 20];
    sink.apply(&batch(1, &[(60, &large, 1), (60, b"c1", 1)])).await.unwrap();
    let rows = sink.totals(&schema(), 0..100).await.unwrap();
    let mut cursor = rows.cursor();
    let mut found = Vec::new();
    while let Some(row) = cursor.next_row() {
        found.push(row.keys[0].len());
    }
    assert_eq!(found, [2, 8 << 20]);
}

/// Another client's open transaction, on old rows or new ones, does not block the sweep.
#[tokio::test(flavor = "multi_thread")]
async fn sweeping_and_adding_do_not_wait_for_each_other() {
    let Some(database) = Database::fresh().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 1), (120, b"c1", 1), (6000, b"c1", 1)])).await.unwrap();
    let mut other = database.plain().await;
    other
        .run("BEGIN; UPDATE ads SET hits = 9 WHERE window_start IN (to_timestamp(120), to_timestamp(6000))")
        .await;
    assert!(!sink.sweep(&schema(), 6000).await.unwrap());
    other.run("ROLLBACK").await;
    assert_eq!(sink.totals(&schema(), 0..10_000).await.unwrap().len(), 2, "a row in use is left for later");
    other.run("BEGIN; DELETE FROM ads WHERE window_start < to_timestamp(3600)").await;
    sink.apply(&batch(2, &[(6000, b"c1", 1), (6060, b"c2", 1)])).await.unwrap();
    other.run("COMMIT").await;
    assert_eq!(sink.totals(&schema(), 0..10_000).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_url_may_name_a_schema() {
    let Some(database) = Database::fresh().await else { return };
    let mut plain = database.plain().await;
    plain.run("CREATE SCHEMA counted").await;
    let url = database.url();
    let separator = if url.contains('?') { '&' } else { '?' };
    let sink = PostgresSink::connect(&format!("{url}{separator}options[search_path]=counted")).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
    assert_eq!(plain.texts("SELECT hits FROM counted.ads").await, [["1"]]);
}
