//! Pipelines that are run again after a run has ended, and handles that watch and pause them.

use evs_core::Phase;

use super::*;

/// Adds lines and runs to the end of the log. Returns the number of lines that the run has read.
async fn count_on(machine: &Machine, pipeline: &Pipeline, lines: u64) -> u64 {
    machine.append(&line(200, 1).repeat(usize::try_from(lines).unwrap()));
    let summary = pipeline.run_to_end(pending()).await.unwrap();
    assert!(summary.is_complete, "{summary:?}");
    assert_eq!((pipeline.status().lines, pipeline.status().phase), (summary.lines, Phase::Ended));
    assert_eq!((pipeline.status().batches, pipeline.status().sinks[0].batches), (summary.batches, 1));
    summary.lines
}

#[tokio::test]
async fn a_pipeline_is_run_again_and_shares_its_directory_with_others_between_its_runs() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let build = || machine.pipeline().sink("memory", sink.clone()).build();
    let first = build().unwrap();
    let handle = first.status_handle();
    assert!(matches!(build(), Err(Error::Locked { .. })), "it was built and not run");
    assert_eq!(count_on(&machine, &first, 1).await, 1);
    assert_eq!(count_on(&machine, &first, 2).await, 2);

    // The first pipeline and the handle are still there.
    let second = build().unwrap();
    assert!(matches!(first.run_to_end(pending()).await, Err(Error::Locked { .. })));
    assert_eq!(handle.status().phase, Phase::Ended);
    assert_eq!(count_on(&machine, &second, 3).await, 3);
    assert_eq!(count_on(&machine, &second, 4).await, 4);
    assert_eq!(handle.status().lines, 0, "the refused run has read nothing");

    assert_eq!(count_on(&machine, &first, 5).await, 5);
    drop(first);
    assert_eq!(handle.status().lines, 5);
    assert_eq!(count_on(&machine, &second, 6).await, 6);
    assert_eq!(totals(&sink, "requests").await, of([("200", 21, 21)]));
}

#[tokio::test]
async fn a_run_while_another_one_runs_is_refused_and_does_not_disturb_it() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("memory", sink.clone()).build().unwrap();
    let drive = async {
        machine.append(&line(200, 1));
        until(&pipeline, "delivered", |status| status.sinks[0].batches == 1).await;
        assert!(matches!(pipeline.run(pending()).await, Err(Error::AlreadyRunning)));
        assert_eq!((pipeline.status().lines, pipeline.status().phase), (1, Phase::Running));
        machine.append(&line(200, 1));
        until(&pipeline, "delivered", |status| status.sinks[0].batches == 2).await;
    };
    let summary = pipeline.run(drive).await.unwrap();
    assert_eq!((summary.lines, summary.is_complete), (2, true));
}

#[tokio::test]
async fn a_run_that_was_dropped_is_followed_by_another_one() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("memory", sink.clone()).build().unwrap();
    for _ in 0..5 {
        machine.append(&line(200, 1));
        tokio::select! {
            ended = pipeline.run(pending()) => panic!("{ended:?}"),
            () = until(&pipeline, "read", |status| status.lines > 0) => {}
        }
    }
    assert_eq!(pipeline.status().phase, Phase::Ended);
    machine.append(&line(404, 1));
    pipeline.run_to_end(pending()).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 5, 5), ("404", 1, 1)]));
}

#[tokio::test]
async fn a_pipeline_that_lost_its_source_to_a_copy_does_not_come_back_by_running_again() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("memory", sink.clone()).build().unwrap();
    assert_eq!(count_on(&machine, &pipeline, 1).await, 1);
    run_to_end(machine.copy().pipeline().sink("memory", sink.clone())).await.unwrap();
    for _ in 0..2 {
        machine.append(&line(500, 1));
        let error = pipeline.run_to_end(pending()).await.unwrap_err();
        assert!(matches!(error, Error::SinkStopped { source: SinkError::TakenOver { .. }, .. }), "{error}");
    }
    // A new pipeline is a new start, by somebody who has decided it.
    assert!(run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap().is_complete);
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 1), ("500", 2, 2)]));
}

#[tokio::test]
async fn a_handle_pauses_reading_while_delivery_goes_on() {
    const REASON: &str = "the log's disk is checked";
    let (machine, sink) = (Machine::new(), TestSink::default());
    sink.is_down.store(true, SeqCst);
    let pipeline = machine.pipeline().sink("memory", sink.clone()).build().unwrap();
    let handle = pipeline.status_handle();
    machine.append(&line(200, 1));
    let drive = async {
        until(&pipeline, "cut", |status| status.sinks[0].waiting == 1).await;
        assert_eq!(handle.status().paused, None);
        handle.pause(REASON);
        machine.append(&line(200, 1));
        until(&pipeline, "seen", |status| status.behind_bytes > 0).await;
        sink.is_down.store(false, SeqCst);
        until(&pipeline, "delivered", |status| status.sinks[0].batches == 1).await;
        let status = handle.status();
        assert_eq!((status.lines, status.paused.map(|pause| pause.reason)), (1, Some(REASON.to_owned())));
        handle.resume();
        assert_eq!(handle.status().paused, None);
        until(&pipeline, "delivered", |status| status.sinks[0].batches == 2).await;
        handle.pause(REASON);
        machine.append(&line(200, 1));
        until(&pipeline, "seen", |status| status.behind_bytes > 0).await;
    };
    // A paused pipeline can be stopped, and the next run is not paused.
    assert_eq!(pipeline.run(drive).await.unwrap().lines, 2);
    assert_eq!(handle.status().paused, None);
    assert_eq!(pipeline.run_to_end(pending()).await.unwrap().lines, 1);

    // A pause before a run holds it from the start.
    handle.pause(REASON);
    machine.append(&line(200, 1));
    let drive = async {
        until(&pipeline, "seen", |status| status.behind_bytes > 0).await;
        assert_eq!(handle.status().lines, 0);
    };
    assert_eq!(pipeline.run(drive).await.unwrap().lines, 0);
    assert_eq!(pipeline.run_to_end(pending()).await.unwrap().lines, 1);
    assert_eq!(totals(&sink, "requests").await, of([("200", 4, 4)]));
}
