//! Tests with lost answers, servers that are down, and servers that are silent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use evs_core::{Applied, Progress, Sink, SinkError};
use mongodb::bson::{Document, doc};
use tokio::net::TcpListener;

use super::{
    Scratch, batch,
    proxy::{Fate, Judge, Proxy, written},
    schema, totals, unavailable,
};
use crate::{MongoSink, progress};

/// Loses the answer to the nth write, from 0.
struct Losing {
    nth: usize,
    seen: AtomicUsize,
}

#[async_trait]
impl Judge for Losing {
    async fn judge(&self, command: &Document) -> Fate {
        if written(command).is_none() || self.seen.fetch_add(1, SeqCst) != self.nth {
            return Fate::Forward;
        }
        Fate::LoseAnswer
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_answer_is_lost_is_applied_once() {
    let Some(scratch) = Scratch::new().await else { return };
    let plain = scratch.sink().await;
    plain.prepare(&schema()).await.unwrap();
    // The writes of a batch are its rows and then its progress; those of the next batch follow. The rows of the first
    // source are inserted. The documents of the other sources exist already, so their inserts fail and their rows are
    // added after that.
    for nth in 0..6 {
        let losing = Arc::new(Losing { nth, seen: AtomicUsize::new(0) });
        let proxy = Proxy::before(&scratch.url, losing).await;
        let sink = MongoSink::connect(&scratch.by_way_of(proxy.address)).await.unwrap();
        let source = format!("web{nth}");
        let mut failed = 0;
        for sequence in 1..=3 {
            let batch = batch(&source, sequence, &[(60, "c1", 5), (60, "c2", 7)]);
            while let Err(error) = sink.apply(&batch).await {
                assert!(error.is_transient(), "{error:?}");
                failed += 1;
            }
        }
        assert_eq!(failed, 1, "write {nth}");
    }
    let expected = [(60, "c1".to_owned(), 18, 90), (60, "c2".to_owned(), 18, 126)];
    assert_eq!(totals(&plain).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_closes_is_no_second_count() {
    let Some(scratch) = Scratch::new().await else { return };
    // The fault is for this sink alone, because others use the server at the same time.
    let name = format!("appName={}", scratch.database.name());
    let sink = MongoSink::connect(&scratch.url.replace("appName=evs-test", &name)).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    let admin = mongodb::Client::with_uri_str(&scratch.url).await.unwrap().database("admin");
    let fail = doc! {
        "configureFailPoint": "failCommand",
        "mode": { "times": 1 },
        "data": { "failCommands": ["insert", "update"], "closeConnection": true, "appName": scratch.database.name() },
    };
    // Only servers that were started for tests know this command.
    if let Err(error) = admin.run_command(fail).await {
        eprintln!("SKIPPED a_connection_that_the_server_closes: no fail points: {error}");
        return;
    }
    let batch = batch("web1", 1, &[(60, "c1", 5)]);
    unavailable(sink.apply(&batch).await);
    assert_eq!(sink.apply(&batch).await.unwrap(), Applied::Now);
    assert_eq!(totals(&sink).await, [(60, "c1".to_owned(), 1, 5)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_requests_of_earlier_attempts_change_nothing() {
    let Some(scratch) = Scratch::new().await else { return };
    let sink = scratch.sink().await;
    sink.prepare(&schema()).await.unwrap();
    let batches = [1, 2, 3].map(|n| batch("web1", n, &[(60, "c1", 5)]));
    for batch in &batches {
        assert_eq!(sink.apply(batch).await.unwrap(), Applied::Now);
    }
    // These are the requests of an attempt that found the stream at an earlier position.
    for (at, last) in [None, Some(Progress::after(&batches[0]))].into_iter().enumerate() {
        let server = super::server(&scratch);
        let late = progress::advance(&server, last.as_ref(), &batches[at]).await;
        assert!(
            matches!(late, Err(evs_store::Failure::Sink(SinkError::Ahead { applied: 3, .. }))),
            "{late:?}"
        );
        super::send_rows(&server, &batches[at]).await;
        assert_eq!(sink.progress("web1").await.unwrap(), [Progress::after(&batches[2])]);
        assert_eq!(totals(&sink).await, [(60, "c1".to_owned(), 3, 15)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_no_error_until_it_is_used_and_found_when_it_is_back() {
    let Some(scratch) = Scratch::new().await else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = scratch.by_way_of(address);
    let sink = MongoSink::connect(&format!("{url}&serverSelectionTimeoutMS=200")).await.unwrap();
    let told = unavailable(sink.prepare(&schema()).await);
    assert!(told.contains("statistic ads"), "{told}");
    let forward = Arc::new(Losing { nth: usize::MAX, seen: AtomicUsize::new(0) });
    let _proxy = Proxy::at(address, &scratch.url, forward).await;
    // The driver looks for the server by itself, now and then.
    while let Err(error) = sink.prepare(&schema()).await {
        assert!(error.is_transient(), "{error:?}");
    }
    assert_eq!(sink.apply(&batch("web1", 1, &[(60, "c1", 5)])).await.unwrap(), Applied::Now);
}

/// Lets the nth write be carried out, and reports that the majority did not confirm it.
struct Unconfirmed {
    nth: usize,
    code: i32,
    seen: AtomicUsize,
    server: crate::server::Server,
}

#[async_trait]
impl Judge for Unconfirmed {
    async fn judge(&self, command: &Document) -> Fate {
        if written(command).is_none() || self.seen.fetch_add(1, SeqCst) != self.nth {
            return Fate::Forward;
        }
        let mut command = command.clone();
        // The fields that the driver adds.
        for added in ["$db", "lsid", "$clusterTime"] {
            command.remove(added);
        }
        let mut reply = self.server.run(command).await.unwrap();
        reply.insert("writeConcernError", doc! { "code": self.code, "errmsg": "waiting for replication" });
        Fate::Answer(reply)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_majority_did_not_confirm_is_not_applied_yet() {
    let Some(scratch) = Scratch::new().await else { return };
    let plain = scratch.sink().await;
    plain.prepare(&schema()).await.unwrap();
    let (timed_out, unknown_concern) = (64, 79);
    // The insert; the update of existing documents; the progress; an insert that leads to nothing.
    let cases = [(0, timed_out), (1, timed_out), (2, timed_out), (0, unknown_concern)];
    for (case, (nth, code)) in (1..).zip(cases) {
        let unconfirmed =
            Unconfirmed { nth, code, seen: AtomicUsize::new(0), server: super::server(&scratch) };
        let proxy = Proxy::before(&scratch.url, Arc::new(unconfirmed)).await;
        let sink = MongoSink::connect(&scratch.by_way_of(proxy.address)).await.unwrap();
        let batch = batch("web1", case, &[(60, "c1", 5)]);
        let error = sink.apply(&batch).await.unwrap_err();
        assert_eq!(error.is_transient(), code == timed_out, "{error:?}");
        assert!(super::shown(&error).contains("not confirmed by the majority"), "{error:?}");
        // If the progress has moved, the sink finds that out.
        let applied = if nth == 2 { Applied::Before } else { Applied::Now };
        assert_eq!(sink.apply(&batch).await.unwrap(), applied);
        assert_eq!(totals(&plain).await, [(60, "c1".to_owned(), case.into(), i128::from(case) * 5)]);
    }
}

/// Answers until it is asked to write.
struct Silent;

#[async_trait]
impl Judge for Silent {
    async fn judge(&self, command: &Document) -> Fate {
        if written(command).is_some() { Fate::Silence } else { Fate::Forward }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_server_that_falls_silent_may_be_dropped() {
    let Some(scratch) = Scratch::new().await else { return };
    scratch.sink().await.prepare(&schema()).await.unwrap();
    let proxy = Proxy::before(&scratch.url, Arc::new(Silent)).await;
    let url = scratch.by_way_of(proxy.address);
    let sink = MongoSink::builder(url).connect().await.unwrap();
    let batch = batch("web1", 1, &[(60, "c1", 5)]);
    // The delivery does the same after its `sink_timeout`. The sink itself would wait on.
    tokio::time::timeout(Duration::from_secs(2), sink.apply(&batch)).await.unwrap_err();
    let plain = scratch.sink().await;
    assert_eq!(plain.apply(&batch).await.unwrap(), Applied::Now);
    assert_eq!(totals(&plain).await, [(60, "c1".to_owned(), 1, 5)]);
}

#[tokio::test]
async fn a_server_that_accepts_and_never_answers_is_given_up_after_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mongodb://{}/stats", listener.local_addr().unwrap());
    // The connections are held, so that none is closed.
    let accepting = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let sink = MongoSink::builder(url).timeout(Duration::from_millis(500)).connect().await.unwrap();
    unavailable(sink.apply(&batch("web1", 1, &[(60, "c1", 5)])).await);
    unavailable(sink.progress("web1").await);
    unavailable(sink.totals(&schema(), 0..60).await);
    accepting.abort();
}
