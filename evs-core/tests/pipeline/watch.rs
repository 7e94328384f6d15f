//! Watchers of the status: they see every change in the end, and only so many statuses a second.

use std::time::Instant;

use evs_core::{Phase, Status, StatusWatch};

use super::*;

/// Waits for a status that is as expected, as a page does, and never asks for one.
async fn seen(watch: &mut StatusWatch, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
    let search = async {
        loop {
            let status = watch.changed().await.expect("the pipeline is there");
            if is_so(&status) {
                return status;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), search).await.unwrap_or_else(|_| panic!("never {what}"))
}

#[tokio::test]
async fn a_watcher_sees_every_change_without_asking() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    // Lines are not cut while the test looks, so nothing but the lines themselves can wake the watcher.
    let slow = by_status("slow").flush_every(Duration::from_secs(3600));
    let builder = Pipeline::builder("web1").tail(machine.log()).format(LogFormat::common()).statistic(slow);
    let pipeline = builder.state_dir(machine.state()).sink("memory", sink.clone()).build().unwrap();
    machine.append(&line(200, 1));
    let handle = pipeline.status_handle();
    let mut watch = handle.watch();
    assert_eq!(watch.changed().await.unwrap().phase, Phase::Built, "the first status comes at once");
    let drive = async {
        seen(&mut watch, "running", |status| status.phase == Phase::Running).await;
        // What is there at the start is cut at once.
        seen(&mut watch, "delivered", |status| status.sinks[0].batches == 1).await;
        for lines in 2..5 {
            machine.append(&line(200, 1));
            seen(&mut watch, "counted", |status| status.lines == lines).await;
        }
        handle.pause("a check");
        seen(&mut watch, "paused", |status| status.paused.is_some()).await;
        machine.append(&line(200, 1));
        seen(&mut watch, "behind", |status| status.behind_bytes > 0).await;
        handle.resume();
        seen(&mut watch, "read", |status| status.paused.is_none() && status.lines == 5).await;
    };
    pipeline.run(drive).await.unwrap();
    assert_eq!(seen(&mut watch, "ended", |status| status.phase == Phase::Ended).await.lines, 5);
    // The next run wakes the same watcher.
    pipeline.run_to_end(pending()).await.unwrap();
    seen(&mut watch, "ended again", |status| status.phase == Phase::Ended && status.lines == 0).await;
    drop(pipeline);
    assert!(watch.changed().await.is_some(), "the last status");
    assert!(watch.changed().await.is_none() && watch.changed().await.is_none());
    let mut late = handle.watch();
    assert_eq!(late.changed().await.map(|status| status.phase), Some(Phase::Ended));
    assert!(late.changed().await.is_none());
}

#[tokio::test]
async fn a_watcher_gets_at_most_ten_statuses_a_second_and_the_last_one_is_among_them() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("memory", sink.clone()).build().unwrap();
    let mut watch = pipeline.status_handle().watch();
    let started = Instant::now();
    let write = async {
        for batches in 1..=30 {
            machine.append(&line(200, 1));
            until(&pipeline, "delivered", |status| status.sinks[0].batches >= batches).await;
        }
        pending::<()>().await;
    };
    let mut statuses = 0;
    let look = async {
        while watch.changed().await.unwrap().lines < 30 {
            statuses += 1;
        }
    };
    let drive = async {
        tokio::select! {
            () = look => {}
            () = write => {}
        }
    };
    pipeline.run(drive).await.unwrap();
    let most = started.elapsed().as_millis() / 100 + 2;
    assert!(statuses <= most, "{statuses} of {most}");
}

#[tokio::test]
async fn a_call_that_is_dropped_loses_no_change_and_nothing_new_is_no_change() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("memory", sink).build().unwrap();
    let handle = pipeline.status_handle();
    let mut watch = handle.watch();
    watch.changed().await.unwrap();
    tokio::time::pause();
    let in_vain = tokio::time::timeout(Duration::from_secs(3600), watch.changed()).await;
    assert!(in_vain.is_err(), "nothing has changed");
    handle.resume();
    handle.status();
    let in_vain = tokio::time::timeout(Duration::from_secs(3600), watch.changed()).await;
    assert!(in_vain.is_err(), "it was not paused");
    handle.pause("a check");
    for _ in 0..3 {
        assert!(tokio::time::timeout(Duration::ZERO, handle.watch().changed()).await.is_ok());
    }
    let status = tokio::time::timeout(Duration::ZERO, watch.changed()).await.unwrap().unwrap();
    assert!(status.paused.is_some());
    // Within a tenth of a second of the last status, a call is dropped: the change is seen by the next one.
    handle.resume();
    assert!(tokio::time::timeout(Duration::from_millis(50), watch.changed()).await.is_err());
    let status = tokio::time::timeout(Duration::from_secs(1), watch.changed()).await.unwrap().unwrap();
    assert_eq!(status.paused, None);
}
