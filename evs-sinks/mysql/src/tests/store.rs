//! The server, its users, its limits and its locks.

use std::{sync::Arc, time::Duration};

use evs_core::{Applied, Sink, SinkError};
use evs_sql::{Connection, Connector, Gate, Held, SqlStore, Value};

use super::{Database, User, batch, in_full, run, schema, texts};
use crate::MySqlSink;

/// The error of a sink that is not to be had; it shows no password.
async fn refused(url: &str) -> String {
    let error = MySqlSink::connect(url).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    let shown = format!("{error:?} {}", in_full(&error));
    assert!(!shown.contains("hunter2"), "{shown}");
    in_full(&error)
}

#[tokio::test]
async fn urls_that_say_too_little_or_too_much_are_refused() {
    for (url, said) in [
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
    ] {
        let refusal = refused(url).await;
        assert!(refusal.contains(said), "{url}: {refusal}");
    }
    let builder = format!("{:?}", MySqlSink::builder("mysql://evs:hunter2@localhost/stats"));
    assert!(!builder.contains("hunter2"), "{builder}");
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    // A port that only the system could listen at, and that nobody uses.
    let sink = MySqlSink::connect("mysql://evs:hunter2@127.0.0.1:1/stats").await.unwrap();
    let error = sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap_err();
    assert!(matches!(error, SinkError::Unavailable { .. }), "{error:?}");
    let text = in_full(&error);
    assert!(text.contains("evs@127.0.0.1:1/stats: ") && text.contains("refused"), "{text}");
    assert!(!format!("{error:?} {text} {sink:?}").contains("hunter2"), "{error:?} {sink:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    // Its backlog takes connections that nobody accepts.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mysql://evs@{}/stats", listener.local_addr().unwrap());
    let sink = MySqlSink::builder(&url).timeout(Duration::from_millis(300)).connect().await.unwrap();
    for _ in 0..2 {
        let error = sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap_err();
        assert!(matches!(error, SinkError::Unavailable { .. }), "{error:?}");
        assert!(in_full(&error).contains("no connection within 300ms"), "{}", in_full(&error));
    }
    drop(listener);
}

#[tokio::test]
async fn what_will_not_pass_is_said_when_connecting() {
    let Some(database) = Database::new().await else { return };
    let user = User::new(&database, "SELECT").await;
    let wrong = refused(&database.url(Some(&format!("{}:hunter2wrong", user.plain_name())))).await;
    assert!(wrong.contains("Access denied for user") && wrong.contains("error 1045"), "{wrong}");
    let unknown = database.url(Some(&user.login())).replace(&database.name, "evs_no_such_database");
    let unknown = refused(&unknown).await;
    assert!(unknown.contains("error 1044") || unknown.contains("error 1049"), "{unknown}");
    let missing = refused(&database.url(None).replace(&database.name, "evs_no_such_database")).await;
    assert!(missing.contains("Unknown database") && missing.contains("error 1049"), "{missing}");
}

#[tokio::test]
async fn missing_rights_are_named_and_given_later() {
    let Some(database) = Database::new().await else { return };
    let user = User::new(&database, "SELECT").await;
    let sink = MySqlSink::connect(&database.url(Some(&user.login()))).await.unwrap();
    let error = sink.prepare(&schema()).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    assert!(in_full(&error).contains("CREATE command denied"), "{}", in_full(&error));
    assert!(!format!("{error:?} {sink:?}").contains("hunter2"), "{error:?} {sink:?}");
    let rights = "SELECT, INSERT, UPDATE, DELETE, CREATE";
    run(&mut database.plain().await, &format!("GRANT {rights} ON {}.* TO {}", database.name, user.name))
        .await;
    // As documented, these are all that is needed. Rights to a database are those of when it was connected to.
    let sink = MySqlSink::connect(&database.url(Some(&user.login()))).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
    sink.sweep(&schema(), 100).await.unwrap();
    assert!(sink.totals(&schema(), 0..100).await.unwrap().is_empty());
}

#[tokio::test]
async fn tls_that_is_asked_for_is_not_done_without() {
    let Some(database) = Database::new().await else { return };
    let mut plain = database.plain().await;
    let has_tls = texts(&mut plain, "SELECT @@have_ssl").await;
    let url = database.url(None);
    let separator = if url.contains('?') { '&' } else { '?' };
    let answer = MySqlSink::connect(&format!("{url}{separator}ssl-mode=REQUIRED")).await;
    if has_tls == [["YES"]] {
        answer.unwrap();
    } else {
        let error = answer.unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
        assert!(in_full(&error).contains("TLS"), "{}", in_full(&error));
    }
}

#[tokio::test]
async fn the_session_is_strict_and_keeps_no_old_view() {
    let Some(database) = Database::new().await else { return };
    let mut session = database.connector().connect().await.unwrap();
    let query = "SELECT @@sql_mode, @@autocommit, @@time_zone, @@innodb_lock_wait_timeout, @@completion_type";
    let row = session.query(&Arc::from(query), Vec::new()).await.unwrap().remove(0);
    assert!(matches!(&row[0], Value::Text(mode) if mode.contains("STRICT_ALL_TABLES")), "{row:?}");
    assert_eq!(row[1..], [Value::Integer(1), "+00:00".into(), Value::Integer(30), "NO_CHAIN".into()]);
    let query = "SHOW VARIABLES WHERE variable_name IN ('tx_isolation', 'transaction_isolation')";
    for row in session.query(&Arc::from(query), Vec::new()).await.unwrap() {
        assert_eq!(row[1], "READ-COMMITTED".into());
    }
    let packet = texts(&mut database.plain().await, "SELECT @@max_allowed_packet").await;
    assert_eq!(session.statement_bytes_max() + 1024, packet[0][0].parse::<usize>().unwrap());
}

#[tokio::test]
async fn a_row_that_is_larger_than_a_packet_is_refused_and_smaller_ones_are_not() {
    let Some(database) = Database::new().await else { return };
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

#[tokio::test]
async fn a_connection_that_was_cut_is_made_anew() {
    let Some(database) = Database::new().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let mut plain = database.plain().await;
    let others = format!(
        "SELECT id FROM information_schema.processlist WHERE db = '{}' AND id <> CONNECTION_ID()",
        database.name
    );
    for sequence in 1..=3 {
        for connection in texts(&mut plain, &others).await {
            run(&mut plain, &format!("KILL {}", connection[0])).await;
        }
        // Nobody used it: nobody notices.
        assert_eq!(sink.apply(&batch(sequence, &[(60, b"c1", 5)])).await.unwrap(), Applied::Now);
    }
    assert_eq!(texts(&mut plain, "SELECT hits, revenue FROM ads").await, [["3", "0.15"]]);
}

/// Waits until somebody asks for a progress row that is locked. (InnoDB's own list of transactions is not made anew
/// for those who ask often.)
async fn lock_wait(database: &Database) {
    let mut plain = database.plain().await;
    let waiting = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE db = '{}' \
         AND (info LIKE 'UPDATE evs_progress%' OR info LIKE '%FROM evs_progress%FOR UPDATE') \
         AND id <> CONNECTION_ID()",
        database.name
    );
    while texts(&mut plain, &waiting).await == [["0"]] {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An attempt whose answer was lost is still under way when the batch is offered again: that waits for the outcome.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_attempt_waits_for_the_one_before() {
    // The first batch inserts its row of evs_progress, the second finds it.
    for sequence in [1, 2] {
        for is_committed in [false, true] {
            let Some(database) = Database::new().await else { return };
            let sink = database.sink().await;
            sink.prepare(&schema()).await.unwrap();
            for before in 1..sequence {
                sink.apply(&batch(before, &[(60, b"c1", 5)])).await.unwrap();
            }
            let gate = Gate::closed();
            let before = SqlStore::new(Held::new(database.connector(), &gate)).into_sink();
            let before = tokio::spawn(async move { before.apply(&batch(sequence, &[(60, b"c1", 5)])).await });
            gate.arrival().await;
            let next = tokio::spawn(async move { sink.apply(&batch(sequence, &[(60, b"c1", 5)])).await });
            lock_wait(&database).await;
            assert!(!next.is_finished());
            let expected = if is_committed {
                gate.open();
                assert_eq!(before.await.unwrap().unwrap(), Applied::Now);
                Applied::Before
            } else {
                before.abort();
                Applied::Now
            };
            assert_eq!(next.await.unwrap().unwrap(), expected, "batch {sequence}");
            let sums = texts(&mut database.plain().await, "SELECT hits, revenue FROM ads").await;
            assert_eq!(sums, [[sequence.to_string(), format!("0.{:02}", 5 * sequence)]]);
        }
    }
}

/// Neither an open transaction on recent rows holds up a sweep, nor a sweep those who add to recent rows.
#[tokio::test(flavor = "multi_thread")]
async fn sweeping_and_adding_do_not_wait_for_each_other() {
    let Some(database) = Database::new().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 1), (120, b"c1", 1), (6000, b"c1", 1), (6060, b"c1", 1)]))
        .await
        .unwrap();
    let mut other = database.plain().await;
    run(&mut other, "START TRANSACTION; UPDATE ads SET hits = 9 WHERE window_start = '1970-01-01 01:41:00'")
        .await;
    assert!(!sink.sweep(&schema(), 120).await.unwrap());
    run(&mut other, "ROLLBACK").await;
    let gate = Gate::closed();
    let sweeper = SqlStore::new(Held::new(database.connector(), &gate)).into_sink();
    let sweeper = tokio::spawn(async move { sweeper.sweep(&schema(), 6000).await });
    gate.arrival().await;
    sink.apply(&batch(2, &[(5940, b"c1", 1), (6000, b"c1", 1), (6000, b"c2", 1)])).await.unwrap();
    gate.open();
    assert!(!sweeper.await.unwrap().unwrap());
    let hits = texts(&mut other, "SELECT campaign, hits FROM ads ORDER BY window_start, campaign").await;
    assert_eq!(hits, [["c1", "1"], ["c1", "2"], ["c2", "1"], ["c1", "1"]]);
}

#[tokio::test]
async fn a_sum_out_of_range_is_refused_by_the_server() {
    let Some(database) = Database::new().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let most = 10_i128.pow(38) - 1;
    sink.apply(&batch(1, &[(60, b"c1", most)])).await.unwrap();
    let error = sink.apply(&batch(2, &[(60, b"c1", 1)])).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    let text = in_full(&error);
    assert!(text.contains("statistic ads: batch 2 of source web1 was not applied"), "{text}");
    assert!(text.contains("error 1264"), "{text}");
    run(&mut database.plain().await, "UPDATE ads SET hits = 9223372036854775807, revenue = 0").await;
    let error = sink.apply(&batch(2, &[(60, b"c1", 1)])).await.unwrap_err();
    assert!(in_full(&error).contains("error 1690"), "{}", in_full(&error));
    run(&mut database.plain().await, "UPDATE ads SET hits = 1").await;
    assert_eq!(sink.apply(&batch(2, &[(60, b"c1", 1)])).await.unwrap(), Applied::Now);
}
