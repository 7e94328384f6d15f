//! The server, its users, its limits and its locks.

use std::sync::Arc;

use evs_core::{Sink, SinkError};
use evs_sql::{
    Connection, Connector, Gate, Held, SqlStore, Value,
    cases::{Database as _, Plain as _, Rights, Server as _, User as _, batch, refused, schema},
};

use super::Database;
use crate::MySqlSink;

const URLS: [(&str, &str); 8] = [
    ("", "another scheme"),
    ("sqlite://stats.db", "another scheme"),
    ("mysql://evs:hunter2@localhost", "names no database"),
    ("mysql://evs:hunter2@localhost/", "names no database"),
    ("mysql://evs:hunter2@localhost:x/stats", "invalid port number"),
    ("mysql://evs:hunter2@localhost/stats?ssl-mode=hunter", "ssl_mode"),
    ("mysql://evs:hunter2@localhost/stats?sslmodus=REQUIRED", "a parameter sslmodus"),
    (
        "mysql://evs:hunter2@localhost/stats?ssl-ca=/no/such/ca.pem",
        "/no/such/ca.pem: the file cannot be read",
    ),
];

fn rights() -> Rights<Database> {
    Rights {
        few: "SELECT",
        said: &["CREATE command denied"],
        give: |database, user| {
            format!("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON {}.* TO {}", database.name, user.name)
        },
        are_of_the_connection: true,
    }
}

evs_sql::cases! { Database:
    urls_that_say_too_little_or_too_much_are_refused(
        &URLS,
        format!("{:?}", MySqlSink::builder("mysql://evs:hunter2@localhost/stats")),
    ),
    a_server_that_is_away_is_waited_for(),
    a_server_that_never_answers_is_given_up(),
    missing_rights_are_named_and_given_later(rights()),
    tls_that_is_asked_for_is_not_done_without("ssl-mode=REQUIRED", "SELECT @@have_ssl", "YES"),
    a_connection_that_was_cut_is_made_anew(),
    the_next_attempt_waits_for_the_one_before(),
    progress_waits_for_a_first_batch_that_is_under_way(),
    two_writers_of_the_same_rows_lose_nothing("500.00"),
    many_may_prepare_at_once(),
    a_sum_out_of_range_is_refused_by_the_server(&["error 1264"], "error 1690"),
}

#[tokio::test]
async fn what_will_not_pass_is_said_when_connecting() {
    let Some(database) = Database::fresh().await else { return };
    let user = database.user("SELECT").await;
    let wrong = refused::<Database>(&database.url_as(&format!("{}:hunter2wrong", user.plain_name()))).await;
    assert!(wrong.contains("Access denied for user") && wrong.contains("error 1045"), "{wrong}");
    let unknown = database.url_as(&user.login()).replace(&database.name, "evs_no_such_database");
    let unknown = refused::<Database>(&unknown).await;
    assert!(unknown.contains("error 1044") || unknown.contains("error 1049"), "{unknown}");
    let missing = refused::<Database>(&database.url().replace(&database.name, "evs_no_such_database")).await;
    assert!(missing.contains("Unknown database") && missing.contains("error 1049"), "{missing}");
}

#[tokio::test]
async fn the_session_is_strict_and_keeps_no_old_view() {
    let Some(database) = Database::fresh().await else { return };
    let mut session = database.connector().connect().await.unwrap();
    let query = "SELECT @@sql_mode, @@autocommit, @@time_zone, @@innodb_lock_wait_timeout, @@completion_type";
    let row = session.query(&Arc::from(query), Vec::new()).await.unwrap().remove(0);
    assert!(matches!(&row[0], Value::Text(mode) if mode.contains("STRICT_ALL_TABLES")), "{row:?}");
    assert_eq!(row[1..], [Value::Integer(1), "+00:00".into(), Value::Integer(30), "NO_CHAIN".into()]);
    let query = "SHOW VARIABLES WHERE variable_name IN ('tx_isolation', 'transaction_isolation')";
    for row in session.query(&Arc::from(query), Vec::new()).await.unwrap() {
        assert_eq!(row[1], "READ-COMMITTED".into());
    }
    let packet = database.plain().await.texts("SELECT @@max_allowed_packet").await;
    assert_eq!(session.statement_bytes_max() + 1024, packet[0][0].parse::<usize>().unwrap());
}

#[tokio::test]
async fn a_row_that_is_larger_than_a_packet_is_refused_and_smaller_ones_are_not() {
    let Some(database) = Database::fresh().await else { return };
    let max = database.connector().connect().await.unwrap().statement_bytes_max();
    if max > 64 << 20 {
        return;
    }
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let (large, too_large) = (vec![b'x'; max - 2048], vec![b'y'; max]);
    sink.apply(&batch(1, &[(60, &large, 1), (120, b"c1", 1)])).await.unwrap();
    let error = sink.apply(&batch(2, &[(60, b"c1", 1), (60, &too_large, 1)])).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "refused");
    assert!(error.to_string().contains("does not fit into a statement"), "{error}");
    assert_eq!(sink.totals(&schema(), 0..1000).await.unwrap().len(), 2);
}

/// An open transaction on recent rows does not block a sweep, and a sweep does not block writers of recent rows.
#[tokio::test(flavor = "multi_thread")]
async fn sweeping_and_adding_do_not_wait_for_each_other() {
    let Some(database) = Database::fresh().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 1), (120, b"c1", 1), (6000, b"c1", 1), (6060, b"c1", 1)]))
        .await
        .unwrap();
    let mut other = database.plain().await;
    other.run("START TRANSACTION; UPDATE ads SET hits = 9 WHERE window_start = '1970-01-01 01:41:00'").await;
    assert!(!sink.sweep(&schema(), 120).await.unwrap());
    other.run("ROLLBACK").await;
    let gate = Gate::closed();
    let sweeper = SqlStore::new(Held::new(database.connector(), &gate)).into_sink();
    let sweeper = tokio::spawn(async move { sweeper.sweep(&schema(), 6000).await });
    gate.arrival().await;
    sink.apply(&batch(2, &[(5940, b"c1", 1), (6000, b"c1", 1), (6000, b"c2", 1)])).await.unwrap();
    gate.open();
    assert!(!sweeper.await.unwrap().unwrap());
    let hits = other.texts("SELECT campaign, hits FROM ads ORDER BY window_start, campaign").await;
    assert_eq!(hits, [["c1", "1"], ["c1", "2"], ["c2", "1"], ["c1", "1"]]);
}
