//! `/health/live` and `/health/ready`.

use std::sync::{Condvar, Mutex, atomic::Ordering::SeqCst};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_down_is_noted_and_makes_nothing_unhealthy() {
    let running = Running::new().await;
    running.deliver(&line("GET / HTTP/1.1", 200)).await;
    for path in ["/health/live", "/health/ready"] {
        let health = get(running.client, path).await;
        assert_eq!((health.status, &health.json()["notes"]), (200, &serde_json::json!([])), "{health:?}");
    }
    running.sink.is_down.store(true, SeqCst);
    running.machine.append(&line("GET / HTTP/1.1", 200));
    until(&running.pipeline, "down", |status| status.sinks[0].state == SinkState::Down).await;
    for path in ["/health/live", "/health/ready"] {
        let health = get(running.client, path).await;
        assert_eq!(health.status, 200);
        let notes = &health.json()["notes"];
        assert!(
            notes[0].as_str().unwrap().starts_with("web1: the sink reports is down: connecting"),
            "{notes}"
        );
    }
    running.pipeline.status_handle().pause("a test");
    let health = get(running.client, "/health/ready").await;
    assert_eq!((health.status, &health.json()["notes"][0]), (200, &"web1: reading is paused: a test".into()));
    running.sink.is_down.store(false, SeqCst);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_is_ready_while_it_runs_and_alive_unless_it_ends_with_an_error() {
    let (machine, cockpit) = (Machine::new(), Cockpit::new());
    let builder = machine.pipeline().sink("reports", TestSink::default());
    let pipeline = cockpit.build("web1", builder).await.unwrap();
    let client = serve(&cockpit, Options::new()).await;
    let both = async || (get(client, "/health/live").await.status, get(client, "/health/ready").await.status);
    assert_eq!(both().await, (200, 503), "built");
    machine.append(&line("GET / HTTP/1.1", 200));
    pipeline.run_to_end(pending()).await.unwrap();
    assert_eq!(both().await, (200, 503), "it has ended well");
    // The log is a directory by now.
    std::fs::remove_file(machine.log()).unwrap();
    std::fs::create_dir(machine.log()).unwrap();
    pipeline.run_to_end(pending()).await.unwrap_err();
    assert_eq!(both().await, (503, 503), "it has ended with an error");
    let failures = get(client, "/health/live").await.json()["failures"].clone();
    assert!(failures[0].as_str().unwrap().starts_with("web1: the run has ended: "), "{failures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_makes_no_step_although_it_has_work_is_seen() {
    let (machine, cockpit) = (Machine::new(), Cockpit::new().stuck_after(Duration::from_millis(300)));
    let gate = Arc::new((Mutex::new(true), Condvar::new()));
    let is_open = {
        let gate = Arc::clone(&gate);
        move |_: &[&[u8]]| {
            let closed = gate.0.lock().unwrap();
            drop(gate.1.wait_while(closed, |closed| *closed).unwrap());
            true
        }
    };
    let check = evs_core::Condition::code("gate", 1, ["request"], is_open);
    let builder = machine.pipeline().require("gate", check).sink("reports", TestSink::default());
    let pipeline = Arc::new(cockpit.build("web1", builder).await.unwrap());
    let client = serve(&cockpit, Options::new()).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let run = pipeline.spawn(async { drop(stopped.await) }).unwrap();
    until(&pipeline, "running", |status| status.threads.len() >= 3).await;
    assert_eq!(get(client, "/health/live").await.status, 200);
    machine.append(&line("GET / HTTP/1.1", 200));
    let live = loop {
        let live = get(client, "/health/live").await;
        if live.status == 503 {
            break live.json();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let failure = live["failures"][0].as_str().unwrap();
    assert!(
        failure.starts_with("web1: the worker ") && failure.contains("has made no step for"),
        "{failure}"
    );
    // It is a worker that is stuck, so nothing was lost, and the run goes on when it can.
    *gate.0.lock().unwrap() = false;
    gate.1.notify_all();
    until(&pipeline, "delivered", |status| status.sinks[0].batches == 1).await;
    assert_eq!(get(client, "/health/live").await.status, 200);
    drop(stop);
    run.await.unwrap().unwrap();
}
