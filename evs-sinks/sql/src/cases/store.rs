//! The server, its users, its limits and its locks.

use std::time::{Duration, Instant};

use evs_core::{Applied, Epoch, SinkError, conformance::chained};
use tokio::task::JoinHandle;

use super::database::{Database, Plain, Server, Settings, User, batch, in_full, refused, schema};
use crate::{Gate, Held, SqlStore};

/// Each URL is refused with the given words. `builder` is the `Debug` output of a builder whose URL has a password.
pub async fn urls_that_say_too_little_or_too_much_are_refused<D: Database>(
    urls: &[(&str, &str)],
    builder: String,
) {
    for (url, said) in urls {
        let refusal = refused::<D>(url).await;
        assert!(refusal.contains(said), "{url}: {refusal}");
    }
    assert!(!builder.contains("hunter2"), "{builder}");
}

/// A server that is down is no error when connecting, and the sink recovers when it is up.
pub async fn a_server_that_is_away_is_waited_for<D: Server>() {
    // A port that only privileged processes could listen on, and that nothing uses.
    let url = format!("{}://evs:hunter2@127.0.0.1:1/stats", D::SCHEME);
    let sink = D::connect(&url, Settings::default()).await.unwrap();
    let error = sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap_err();
    assert!(matches!(error, SinkError::Unavailable { .. }), "{error:?}");
    let text = in_full(&error);
    assert!(text.contains("evs@127.0.0.1:1/stats: ") && text.contains("refused"), "{text}");
    assert!(!format!("{error:?} {text} {sink:?}").contains("hunter2"), "{error:?} {sink:?}");
}

/// Connecting has a limit.
pub async fn a_server_that_never_answers_is_given_up<D: Server>() {
    // The listener's backlog takes connections that nobody accepts.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("{}://evs@{}/stats", D::SCHEME, listener.local_addr().unwrap());
    let settings = Settings { timeout: Some(Duration::from_millis(300)), ..Settings::default() };
    let sink = D::connect(&url, settings).await.unwrap();
    for _ in 0..2 {
        let error = sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap_err();
        assert!(matches!(error, SinkError::Unavailable { .. }), "{error:?}");
        assert!(in_full(&error).contains("no connection within 300ms"), "{}", in_full(&error));
    }
    drop(listener);
}

/// Rights that an account has, lacks and gets.
#[derive(Debug)]
pub struct Rights<D: Server> {
    /// The rights that it has. They do not allow it to create tables.
    pub few: &'static str,
    /// The words of the server about the rights that it lacks.
    pub said: &'static [&'static str],
    /// The statement that grants everything it needs.
    pub give: fn(&D, &D::User) -> String,
    /// True if a connection keeps the rights that the account had when it connected.
    pub are_of_the_connection: bool,
}

/// A missing right is an error that names it, and the sink recovers once the right is granted.
pub async fn missing_rights_are_named_and_given_later<D: Server>(rights: Rights<D>) {
    let Some(database) = D::fresh().await else { return };
    let user = database.user(rights.few).await;
    let url = database.url_as(&user.login());
    let mut sink = D::connect(&url, Settings::default()).await.unwrap();
    let error = sink.prepare(&schema()).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    let text = in_full(&error);
    assert!(rights.said.iter().all(|said| text.contains(said)), "{text}");
    assert!(!format!("{error:?} {sink:?}").contains("hunter2"), "{error:?} {sink:?}");
    database.plain().await.run(&(rights.give)(&database, &user)).await;
    // These are all the rights that are needed, as the documentation says.
    if rights.are_of_the_connection {
        sink = D::connect(&url, Settings::default()).await.unwrap();
    }
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
    sink.sweep(&schema(), 100).await.unwrap();
    assert!(sink.totals(&schema(), 0..100).await.unwrap().is_empty());
}

/// A URL with `parameter` asks for TLS. The server has it if `query` finds `yes`.
pub async fn tls_that_is_asked_for_is_not_done_without<D: Database>(parameter: &str, query: &str, yes: &str) {
    let Some(database) = D::fresh().await else { return };
    let has_tls = database.plain().await.texts(query).await;
    let url = database.url();
    let separator = if url.contains('?') { '&' } else { '?' };
    let answer = D::connect(&format!("{url}{separator}{parameter}"), Settings::default()).await;
    if has_tls == [[yes]] {
        answer.unwrap();
    } else {
        let error = answer.unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
        assert!(in_full(&error).contains("TLS"), "{}", in_full(&error));
    }
}

/// A connection that died while nobody used it causes no error.
pub async fn a_connection_that_was_cut_is_made_anew<D: Server>() {
    let Some(database) = D::fresh().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let mut plain = database.plain().await;
    for sequence in 1..=3 {
        database.cut_others(&mut plain).await;
        // The connection was idle, so the sink replaces it silently.
        assert_eq!(sink.apply(&batch(sequence, &[(60, b"c1", 5)])).await.unwrap(), Applied::Now);
    }
    assert_eq!(plain.texts("SELECT hits, revenue FROM ads").await, [["3", "0.15"]]);
}

/// Waits until a session in the database waits for a lock. `waiter` is the task whose session that is.
async fn lock_wait<D: Server, T>(database: &D, waiter: &JoinHandle<T>) {
    let mut plain = database.plain().await;
    let started = Instant::now();
    while !database.is_lock_waited_for(&mut plain).await {
        assert!(!waiter.is_finished(), "it did not wait");
        assert!(started.elapsed() < Duration::from_secs(120), "no lock is waited for");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!waiter.is_finished(), "it did not wait");
}

/// An attempt whose answer was lost is still running when the batch is offered again. The second attempt waits for
/// the outcome of the first.
pub async fn the_next_attempt_waits_for_the_one_before<D: Server>() {
    // The first batch inserts its row of evs_progress, the second finds it.
    for sequence in [1, 2] {
        for is_committed in [false, true] {
            let Some(database) = D::fresh().await else { return };
            let sink = database.sink().await;
            sink.prepare(&schema()).await.unwrap();
            for before in 1..sequence {
                sink.apply(&batch(before, &[(60, b"c1", 5)])).await.unwrap();
            }
            let gate = Gate::closed();
            let before = SqlStore::new(Held::new(database.connector(), &gate)).into_sink();
            // Made here, since the batches of a stream are chained by the thread that makes them.
            let batch = batch(sequence, &[(60, b"c1", 5)]);
            let same = batch.clone();
            let mut before = tokio::spawn(async move { evs_core::Sink::apply(&before, &same).await });
            tokio::select! {
                () = gate.arrival() => {}
                ended = &mut before => panic!("the first attempt does not reach its commit: {ended:?}"),
            }
            let next = tokio::spawn(async move { sink.apply(&batch).await });
            lock_wait(&database, &next).await;
            let expected = if is_committed {
                gate.open();
                assert_eq!(before.await.unwrap().unwrap(), Applied::Now);
                Applied::Before
            } else {
                before.abort();
                Applied::Now
            };
            assert_eq!(next.await.unwrap().unwrap(), expected, "batch {sequence}");
            let sums = database.plain().await.texts("SELECT hits, revenue FROM ads").await;
            assert_eq!(sums, [[sequence.to_string(), format!("0.{:02}", 5 * sequence)]]);
        }
    }
}

/// The first batch of a stream is not committed yet, but may be at any moment.
pub async fn progress_waits_for_a_first_batch_that_is_under_way<D: Server>() {
    let Some(database) = D::fresh().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let gate = Gate::closed();
    let before = SqlStore::new(Held::new(database.connector(), &gate)).into_sink();
    let batch = batch(1, &[(60, b"c1", 5)]);
    let mut before = tokio::spawn(async move { evs_core::Sink::apply(&before, &batch).await });
    tokio::select! {
        () = gate.arrival() => {}
        ended = &mut before => panic!("the first batch does not reach its commit: {ended:?}"),
    }
    // Another source does not wait.
    assert_eq!(sink.progress("web2").await.unwrap(), []);
    let progress = tokio::spawn(async move { sink.progress("web1").await });
    lock_wait(&database, &progress).await;
    gate.open();
    before.await.unwrap().unwrap();
    assert_eq!(progress.await.unwrap().unwrap()[0].sequence, 1);
}

/// Both writers add to the same rows in the order of the keys, so that they cannot deadlock. `revenue` is the sum of
/// 500 in the column `revenue`, as it is read.
pub async fn two_writers_of_the_same_rows_lose_nothing<D: Database>(revenue: &str) {
    let Some(database) = D::fresh().await else { return };
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
            let mut batch = batch(sequence, &rows);
            (batch.source, batch.epoch) = (source.into(), epoch);
            let batch = chained(batch);
            while let Err(error) = sink.apply(&batch).await {
                assert!(error.is_transient(), "{error:?}");
            }
        }
    };
    tokio::join!(writer("web1", false), writer("web2", true));
    let sums = "SELECT count(*), min(hits), max(hits), sum(revenue) FROM ads";
    assert_eq!(database.plain().await.texts(sums).await, [["500", "20", "20", revenue]]);
}

/// All of them create the tables at the same moment.
pub async fn many_may_prepare_at_once<D: Database>() {
    let Some(database) = D::fresh().await else { return };
    let prepare = async || {
        let sink = database.sink().await;
        while let Err(error) = sink.prepare(&schema()).await {
            assert!(error.is_transient(), "{error:?}");
        }
    };
    tokio::join!(prepare(), prepare(), prepare(), prepare());
    let count = "SELECT count(*) FROM evs_statistics";
    assert_eq!(database.plain().await.texts(count).await, [["1"]]);
}

/// The server refuses a decimal that overflows with all words of `decimal`, and a count with those of `count`.
pub async fn a_sum_out_of_range_is_refused_by_the_server<D: Database>(decimal: &[&str], count: &str) {
    let Some(database) = D::fresh().await else { return };
    let sink = database.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let most = 10_i128.pow(38) - 1;
    sink.apply(&batch(1, &[(60, b"c1", most)])).await.unwrap();
    let error = sink.apply(&batch(2, &[(60, b"c1", 1)])).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    let text = in_full(&error);
    assert!(text.contains("statistic ads: batch 2 of source web1 was not applied"), "{text}");
    assert!(decimal.iter().all(|said| text.contains(said)), "{text}");
    let mut plain = database.plain().await;
    plain.run("UPDATE ads SET hits = 9223372036854775807, revenue = 0").await;
    let error = sink.apply(&batch(2, &[(60, b"c1", 1)])).await.unwrap_err();
    assert!(in_full(&error).contains(count), "{}", in_full(&error));
    plain.run("UPDATE ads SET hits = 1").await;
    assert_eq!(sink.apply(&batch(2, &[(60, b"c1", 1)])).await.unwrap(), Applied::Now);
}
