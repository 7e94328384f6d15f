//! The server, its users, its limits and its locks.

use std::{sync::Arc, time::Duration};

use evs_core::{Applied, Epoch, Sink, SinkError};
use evs_sql::{Connection, Connector, Gate, Held, SqlStore, Value};
use tokio::task::JoinHandle;

use super::{Database, User, batch, in_full, run, schema, texts};
use crate::PostgresSink;

/// The error of a sink that is not to be had; it shows no password.
async fn refused(url: &str) -> String {
    let error = PostgresSink::connect(url).await.unwrap_err();
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
    ] {
        let refusal = refused(url).await;
        assert!(refusal.contains(said), "{url}: {refusal}");
    }
    let builder = format!("{:?}", PostgresSink::builder("postgres://evs:hunter2@localhost/stats"));
    assert!(!builder.contains("hunter2"), "{builder}");
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    // A port that only the system could listen at, and that nobody uses.
    let sink = PostgresSink::connect("postgres://evs:hunter2@127.0.0.1:1/stats").await.unwrap();
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
    let url = format!("postgres://evs@{}/stats", listener.local_addr().unwrap());
    let sink = PostgresSink::builder(&url).timeout(Duration::from_millis(300)).connect().await.unwrap();
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
    let user = User::new(&database, "USAGE").await;
    let wrong = refused(&database.url(Some(&format!("{}:hunter2wrong", user.name)))).await;
    assert!(wrong.contains("password authentication failed") && wrong.contains("28P01"), "{wrong}");
    let missing = database.url(Some(&user.login())).replace(&database.name, "evs_no_such_database");
    let missing = refused(&missing).await;
    assert!(missing.contains("evs_no_such_database") && missing.contains("3D000"), "{missing}");
    let sql = format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", database.name);
    run(&mut database.plain().await, &sql).await;
    let denied = refused(&database.url(Some(&user.login()))).await;
    assert!(denied.contains("permission denied for database") && denied.contains("42501"), "{denied}");
}

#[tokio::test]
async fn a_database_that_cannot_hold_all_keys_is_refused() {
    let Some(database) = Database::with("ENCODING 'LATIN1' LOCALE 'C'").await else { return };
    let refusal = refused(&database.url(None)).await;
    assert!(refusal.contains("encoding is LATIN1") && refusal.contains("ENCODING 'UTF8'"), "{refusal}");
}

#[tokio::test]
async fn missing_rights_are_named_and_given_later() {
    let Some(database) = Database::new().await else { return };
    let user = User::new(&database, "USAGE").await;
    let sink = PostgresSink::connect(&database.url(Some(&user.login()))).await.unwrap();
    let error = sink.prepare(&schema()).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    let text = in_full(&error);
    assert!(text.contains("permission denied for schema public") && text.contains("42501"), "{text}");
    assert!(!format!("{error:?} {sink:?}").contains("hunter2"), "{error:?} {sink:?}");
    let mut plain = database.plain().await;
    run(&mut plain, &format!("GRANT CREATE ON SCHEMA public TO {}", user.name)).await;
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
}

/// As documented for tables that somebody else has made.
#[tokio::test]
async fn rights_to_the_tables_are_all_that_is_needed() {
    let Some(database) = Database::new().await else { return };
    let user = User::new(&database, "USAGE").await;
    database.sink().await.prepare(&schema()).await.unwrap();
    let mut plain = database.plain().await;
    let url = database.url(Some(&user.login()));
    let sink = PostgresSink::builder(&url).create(false).connect().await.unwrap();
    let error = sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    assert!(in_full(&error).contains("permission denied for table"), "{}", in_full(&error));
    let grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON ads, evs_progress, evs_writers, evs_statistics TO";
    run(&mut plain, &format!("{grant} {}", user.name)).await;
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
    assert_eq!(sink.progress("web1").await.unwrap().len(), 1);
    sink.sweep(&schema(), 100).await.unwrap();
    assert!(sink.totals(&schema(), 0..100).await.unwrap().is_empty());
}

#[tokio::test]
async fn tls_that_is_asked_for_is_not_done_without() {
    let Some(database) = Database::new().await else { return };
    let has_tls = texts(&mut database.plain().await, "SHOW ssl").await;
    let url = database.url(None);
    let separator = if url.contains('?') { '&' } else { '?' };
    let answer = PostgresSink::connect(&format!("{url}{separator}sslmode=require")).await;
    if has_tls == [["on"]] {
        answer.unwrap();
    } else {
        let error = answer.unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
        assert!(in_full(&error).contains("TLS"), "{}", in_full(&error));
    }
}

/// The settings within a transaction of a session.
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
    let Some(database) = Database::new().await else { return };
    let mut plain = database.plain().await;
    for lax in [
        "default_transaction_isolation = 'serializable'",
        "synchronous_commit = 'off'",
        "lock_timeout = 0",
        "statement_timeout = 7",
    ] {
        run(&mut plain, &format!("ALTER DATABASE {} SET {lax}", database.name)).await;
    }
    let mut session = database.connector().connect().await.unwrap();
    let strict = ["read committed", "on", "30s", "1h", "1min"].map(Value::from);
    assert_eq!(settings(&mut session).await, strict);
    // A pooler may give each transaction a session that somebody else has used.
    session.execute(&Arc::from("SET synchronous_commit = off"), Vec::new()).await.unwrap();
    assert_eq!(settings(&mut session).await, strict);
    // More than `on` is not made less.
    session.execute(&Arc::from("SET synchronous_commit = remote_apply"), Vec::new()).await.unwrap();
    assert_eq!(settings(&mut session).await[1], "remote_apply".into());
}

#[tokio::test]
async fn a_read_only_server_is_waited_for() {
    let Some(database) = Database::new().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let mut plain = database.plain().await;
    let set = format!("ALTER DATABASE {} SET default_transaction_read_only =", database.name);
    run(&mut plain, &format!("{set} on")).await;
    let replica = database.sink().await;
    let error = replica.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap_err();
    assert!(matches!(error, SinkError::Unavailable { .. }), "{error:?}");
    assert!(in_full(&error).contains("25006"), "{}", in_full(&error));
    assert!(replica.totals(&schema(), 0..100).await.unwrap().is_empty());
    assert_eq!(sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap(), Applied::Now);
}

#[tokio::test]
async fn a_connection_that_was_cut_is_made_anew() {
    let Some(database) = Database::new().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let mut plain = database.plain().await;
    let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for sequence in 1..=3 {
        texts(&mut plain, &format!("SELECT pg_terminate_backend(pid) {others}")).await;
        while texts(&mut plain, &format!("SELECT count(*) {others}")).await != [["0"]] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Nobody used it: nobody notices.
        assert_eq!(sink.apply(&batch(sequence, &[(60, b"c1", 5)])).await.unwrap(), Applied::Now);
    }
    assert_eq!(texts(&mut plain, "SELECT hits, revenue FROM ads").await, [["3", "0.15"]]);
}

#[tokio::test]
async fn a_row_that_is_larger_than_a_statement_of_many_is_kept() {
    let Some(database) = Database::new().await else { return };
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

/// Waits until somebody in the database, whose work is `waiter`, waits for a lock.
async fn lock_wait<T>(plain: &mut sqlx::PgConnection, waiter: &JoinHandle<T>) {
    let waiting = "SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid \
         WHERE NOT l.granted AND a.datname = current_database()";
    while texts(plain, waiting).await == [["0"]] {
        assert!(!waiter.is_finished(), "it did not wait");
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
            let mut plain = database.plain().await;
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
            lock_wait(&mut plain, &next).await;
            let expected = if is_committed {
                gate.open();
                assert_eq!(before.await.unwrap().unwrap(), Applied::Now);
                Applied::Before
            } else {
                before.abort();
                Applied::Now
            };
            assert_eq!(next.await.unwrap().unwrap(), expected, "batch {sequence}");
            let sums = texts(&mut plain, "SELECT hits, revenue FROM ads").await;
            assert_eq!(sums, [[sequence.to_string(), format!("0.{:02}", 5 * sequence)]]);
        }
    }
}

/// The first batch of a stream is not there yet, and yet it may be at any moment.
#[tokio::test(flavor = "multi_thread")]
async fn progress_waits_for_a_first_batch_that_is_under_way() {
    let Some(database) = Database::new().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let gate = Gate::closed();
    let before = SqlStore::new(Held::new(database.connector(), &gate)).into_sink();
    let before = tokio::spawn(async move { before.apply(&batch(1, &[(60, b"c1", 5)])).await });
    gate.arrival().await;
    // Another source's is not waited for.
    assert_eq!(sink.progress("web2").await.unwrap(), []);
    let progress = tokio::spawn(async move { sink.progress("web1").await });
    lock_wait(&mut database.plain().await, &progress).await;
    gate.open();
    before.await.unwrap().unwrap();
    assert_eq!(progress.await.unwrap().unwrap()[0].sequence, 1);
}

/// Both add to the same rows, in the order of the keys: neither waits for the other in a circle for ever.
#[tokio::test(flavor = "multi_thread")]
async fn two_writers_of_the_same_rows_lose_nothing() {
    let Some(database) = Database::new().await else { return };
    let keys = (0..500).map(|key| format!("c{key}").into_bytes()).collect::<Vec<_>>();
    database.sink().await.prepare(&schema()).await.unwrap();
    let writer = async |source: &'static str, is_reversed: bool| {
        let sink = database.sink().await;
        let mut rows = keys.iter().map(|key| (60, &key[..], 5)).collect::<Vec<_>>();
        if is_reversed {
            rows.reverse();
        }
        for sequence in 1..=10 {
            let epoch = Epoch::from_bytes([u8::from(is_reversed); 16]);
            let batch = evs_core::Batch { source: source.into(), epoch, ..batch(sequence, &rows) };
            let batch = evs_core::conformance::chained(batch);
            while let Err(error) = sink.apply(&batch).await {
                assert!(error.is_transient(), "{error:?}");
            }
        }
    };
    tokio::join!(writer("web1", false), writer("web2", true));
    let sums = "SELECT count(*), min(hits), max(hits), sum(revenue) FROM ads";
    assert_eq!(texts(&mut database.plain().await, sums).await, [["500", "20", "20", "500.00"]]);
}

/// The tables are made by all of them at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn many_may_prepare_at_once() {
    let Some(database) = Database::new().await else { return };
    let prepare = async || {
        let sink = database.sink().await;
        while let Err(error) = sink.prepare(&schema()).await {
            assert!(error.is_transient(), "{error:?}");
        }
    };
    tokio::join!(prepare(), prepare(), prepare(), prepare());
    assert_eq!(texts(&mut database.plain().await, "SELECT count(*) FROM evs_statistics").await, [["1"]]);
}

/// Somebody's open transaction, on rows that are old or not, does not hold up the sweep.
#[tokio::test(flavor = "multi_thread")]
async fn sweeping_and_adding_do_not_wait_for_each_other() {
    let Some(database) = Database::new().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 1), (120, b"c1", 1), (6000, b"c1", 1)])).await.unwrap();
    let mut other = database.plain().await;
    run(
        &mut other,
        "BEGIN; UPDATE ads SET hits = 9 WHERE window_start IN (to_timestamp(120), to_timestamp(6000))",
    )
    .await;
    assert!(!sink.sweep(&schema(), 6000).await.unwrap());
    run(&mut other, "ROLLBACK").await;
    assert_eq!(sink.totals(&schema(), 0..10_000).await.unwrap().len(), 2, "a row in use is left for later");
    run(&mut other, "BEGIN; DELETE FROM ads WHERE window_start < to_timestamp(3600)").await;
    sink.apply(&batch(2, &[(6000, b"c1", 1), (6060, b"c2", 1)])).await.unwrap();
    run(&mut other, "COMMIT").await;
    assert_eq!(sink.totals(&schema(), 0..10_000).await.unwrap().len(), 2);
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
    assert!(text.contains("numeric field overflow") && text.contains("22003"), "{text}");
    run(&mut database.plain().await, "UPDATE ads SET hits = 9223372036854775807, revenue = 0").await;
    let error = sink.apply(&batch(2, &[(60, b"c1", 1)])).await.unwrap_err();
    assert!(in_full(&error).contains("bigint out of range"), "{}", in_full(&error));
    run(&mut database.plain().await, "UPDATE ads SET hits = 1").await;
    assert_eq!(sink.apply(&batch(2, &[(60, b"c1", 1)])).await.unwrap(), Applied::Now);
}

#[tokio::test]
async fn the_url_may_name_a_schema() {
    let Some(database) = Database::new().await else { return };
    let mut plain = database.plain().await;
    run(&mut plain, "CREATE SCHEMA counted").await;
    let url = database.url(None);
    let separator = if url.contains('?') { '&' } else { '?' };
    let sink = PostgresSink::connect(&format!("{url}{separator}options[search_path]=counted")).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
    assert_eq!(texts(&mut plain, "SELECT hits FROM counted.ads").await, [["1"]]);
}
