//! The routes that change something.

use std::sync::atomic::Ordering::SeqCst;

use super::*;

const TOKEN: &[(&str, &str)] = &[("Authorization", "Bearer t")];

async fn running() -> Running {
    Running::with(Options::new().token("t").with_changes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_is_paused_and_resumed() {
    let running = running().await;
    let ask = async |path: &str| running.client.ask("POST", path, TOKEN).await.status;
    assert_eq!(ask("/do/pause?reason=the%20disk%20is%20checked").await, 204);
    let paused = running.pipeline.status().paused.unwrap();
    assert_eq!(paused.reason, "the disk is checked");
    assert_eq!(ask("/do/resume?source=web1").await, 204);
    assert!(running.pipeline.status().paused.is_none());
    assert_eq!(ask("/do/pause?source=web2").await, 404);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sink_refused_is_tried_again_or_given_up() {
    let running = running().await;
    let ask = async |path: &str| running.client.ask("POST", path, TOKEN).await;
    let stopped = async || {
        until(&running.pipeline, "stopped", |status| !status.sinks[0].stopped.is_empty()).await;
        running.pipeline.status().sinks[0].stopped[0].sequence
    };
    running.sink.refuses.store(true, SeqCst);
    running.machine.append(&line("GET / HTTP/1.1", 200));
    assert_eq!(stopped().await, 1);
    running.sink.refuses.store(false, SeqCst);
    let retried = ask("/do/retry?sink=reports&statistic=requests").await;
    assert_eq!((retried.status, &retried.json()["was_stopped"]), (200, &true.into()));
    until(&running.pipeline, "delivered", |status| status.sinks[0].batches == 1).await;
    assert_eq!(ask("/do/retry?sink=reports").await.json()["was_stopped"], false);

    running.sink.refuses.store(true, SeqCst);
    running.machine.append(&line("GET / HTTP/1.1", 200));
    let sequence = stopped().await;
    let wrong = ask(&format!("/do/discard?sink=reports&statistic=requests&sequence={}", sequence + 1)).await;
    assert_eq!(wrong.status, 409, "{wrong:?}");
    assert_eq!(ask("/do/discard?sink=other&statistic=requests&sequence=1").await.status, 404);
    let given_up = ask(&format!("/do/discard?sink=reports&statistic=requests&sequence={sequence}")).await;
    let path = given_up.json()["path"].as_str().unwrap().to_owned();
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 1);
    until(&running.pipeline, "given up", |status| status.sinks[0].discarded == 1).await;
    running.end().await;
}
