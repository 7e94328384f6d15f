//! Sinks that are away, slow or refuse, and sinks that forget.

use super::*;

#[tokio::test]
async fn a_call_that_takes_too_long_gets_more_time_when_it_is_made_again() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    *sink.takes.lock().unwrap() = Duration::from_millis(300);
    let builder = machine.pipeline().sink("memory", sink.clone()).sink_timeout(Duration::from_millis(100));
    // Ends the test if it never comes to that.
    let deadline = tokio::time::sleep(Duration::from_secs(60));
    let summary = builder.build().unwrap().run_to_end(deadline).await.unwrap();
    assert_eq!((summary.undelivered, sink.applied().len()), (0, 1));
}

#[tokio::test]
async fn a_sink_that_is_away_gets_everything_when_it_returns() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    sink.is_down.store(true, SeqCst);
    let other = TestSink::default();
    let pipeline =
        machine.pipeline().sink("away", sink.clone()).sink("there", other.clone()).build().unwrap();
    let drive = async {
        for written in 1..=20 {
            machine.append(&line(200, 1));
            until(&pipeline, "delivered", |status| status.sinks[1].batches >= written).await;
        }
        until(&pipeline, "down", |status| status.sinks[0].state == SinkState::Down).await;
        let status = pipeline.status();
        assert!(status.sinks[0].waiting >= 19 && status.sinks[0].retries > 0, "{status:#?}");
        assert_eq!(status.sinks[0].last_error.as_deref(), Some("connecting: refused"));
        sink.is_down.store(false, SeqCst);
        until(&pipeline, "caught up", |status| status.sinks[0].waiting == 0 && status.sinks[0].batches >= 20)
            .await;
    };
    let summary = pipeline.run(drive).await.unwrap();
    assert_eq!((summary.lines, summary.is_complete), (20, true));
    for sink in [&sink, &other] {
        assert_eq!(totals(sink, "requests").await, of([("200", 20, 20)]));
    }
}

#[tokio::test]
async fn what_is_not_delivered_at_shutdown_is_delivered_at_the_next_start() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    sink.is_down.store(true, SeqCst);
    machine.append(&line(200, 1));
    let pipeline = machine.pipeline().sink("memory", sink.clone()).build().unwrap();
    let drive = async { until(&pipeline, "cut", |status| status.batches > 0).await };
    let summary = pipeline.run(drive).await.unwrap();
    assert_eq!((summary.lines, summary.undelivered, summary.is_complete), (1, 1, false));
    drop(pipeline);
    sink.is_down.store(false, SeqCst);
    let summary = run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    assert_eq!((summary.lines, summary.is_complete), (0, true));
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 1)]));
}

#[tokio::test]
async fn a_sink_that_refuses_stops_alone() {
    let (machine, sink, other) = (Machine::new(), TestSink::default(), TestSink::default());
    machine.append(&line(200, 1));
    let build = || machine.pipeline().sink("refuses", sink.clone()).sink("there", other.clone());
    run_to_end(build()).await.unwrap();
    machine.append(&line(200, 1));
    sink.refuses.store(true, SeqCst);
    let error = run_to_end(build()).await.unwrap_err();
    assert!(matches!(&error, Error::SinkStopped { sink, waiting: 1, .. } if sink == "refuses"), "{error:?}");
    assert_eq!(totals(&other, "requests").await, of([("200", 2, 2)]));
    sink.refuses.store(false, SeqCst);
    run_to_end(build()).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 2)]));
}

#[tokio::test]
async fn a_sink_that_forgot_what_it_had_stops() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    machine.append(&line(200, 1));
    let emptied = TestSink::default();
    let error = run_to_end(machine.pipeline().sink("memory", emptied.clone())).await.unwrap_err();
    let Error::SinkStopped { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(source, SinkError::Emptied { acknowledged: 1, .. }), "{error:?}");
    assert_eq!(emptied.applied().len(), 0);
}

#[tokio::test]
async fn a_sink_that_forgets_what_it_had_while_it_runs_stops_and_gets_nothing_again() {
    let (machine, sink, other) = (Machine::new(), TestSink::default(), TestSink::default());
    let pipeline =
        machine.pipeline().sink("forgets", sink.clone()).sink("there", other.clone()).build().unwrap();
    let drive = async {
        machine.append(&line(200, 1));
        until(&pipeline, "delivered", |status| status.sinks[0].batches == 1).await;
        sink.replace(MemorySink::new());
        machine.append(&line(200, 1));
        until(&pipeline, "stopped", |status| status.sinks[0].state == SinkState::Stopped).await;
        until(&pipeline, "delivered", |status| status.sinks[1].batches == 2).await;
    };
    let summary = pipeline.run(drive).await.unwrap();
    assert_eq!((summary.undelivered, summary.is_complete), (1, false));
    assert_eq!(sink.applied().len(), 1);
    assert_eq!(totals(&other, "requests").await, of([("200", 2, 2)]));
}

/// The least that a segment may have, and the binlog.
const SEGMENT_BYTES_MIN: u64 = 4096;

/// Nothing would ever make room: what takes the room is the positions of the statistics, and no sink waits for them.
#[tokio::test]
async fn positions_that_are_larger_than_the_limit_of_the_binlog_hold_up_nothing() {
    const STATISTICS: u64 = 50;
    let (machine, sink) = (Machine::new(), TestSink::default());
    let builder = machine.pipeline().sink("memory", sink.clone());
    let builder = (1..STATISTICS)
        .fold(builder, |builder, number| builder.statistic(by_status(&format!("statistic_{number}"))));
    // However slow the machine is, the last batches are acknowledged.
    let builder = builder.drain_timeout(Duration::from_secs(60));
    let builder = builder.segment_bytes_max(SEGMENT_BYTES_MIN).spool_bytes_max(SEGMENT_BYTES_MIN);
    let pipeline = builder.build().unwrap();
    let drive = async {
        for lines in 1..=3 {
            machine.append(&line(200, 1));
            until(&pipeline, "delivered", |status| status.sinks[0].batches == lines * STATISTICS).await;
        }
    };
    assert!(pipeline.run(drive).await.unwrap().is_complete);
    assert!(pipeline.status().binlog_bytes > SEGMENT_BYTES_MIN, "{:#?}", pipeline.status());
}
