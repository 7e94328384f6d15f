//! State directories that were lost, and positions that are adopted from a sink.

use super::*;

#[tokio::test]
async fn a_lost_state_directory_is_noticed_and_can_be_adopted() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    fs::remove_dir_all(machine.state()).unwrap();
    machine.append(&line(200, 2));

    let error = run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap_err();
    assert!(matches!(error, Error::ForeignState { .. }), "{error:?}");
    assert!(error.to_string().contains("LostState::Adopt"), "{error}");

    let adopt = || machine.pipeline().sink("memory", sink.clone()).on_lost_state(LostState::Adopt);
    let summary = run_to_end(adopt()).await.unwrap();
    assert_eq!(summary.lines, 1);
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 3)]));
    // From now on the state directory knows whose place it has taken.
    machine.append(&line(200, 4));
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 3, 7)]));
}

#[tokio::test]
async fn starting_over_counts_again_beside_what_is_there() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    fs::remove_dir_all(machine.state()).unwrap();
    let builder = machine.pipeline().sink("memory", sink.clone()).on_lost_state(LostState::StartOver);
    run_to_end(builder).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 2)]));
}

#[tokio::test]
async fn a_sink_that_comes_up_with_a_foreign_state_stops_the_pipeline() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    fs::remove_dir_all(machine.state()).unwrap();
    sink.is_down.store(true, SeqCst);
    let pipeline = machine.pipeline().sink("memory", sink.clone()).build().unwrap();
    let drive = async {
        until(&pipeline, "down", |status| status.sinks[0].state == SinkState::Down).await;
        sink.is_down.store(false, SeqCst);
        pending::<()>().await;
    };
    let error = pipeline.run(drive).await.unwrap_err();
    assert!(matches!(error, Error::ForeignState { .. }), "{error:?}");
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 1)]));
}

#[tokio::test]
async fn adopting_needs_a_position_for_every_statistic() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    fs::remove_dir_all(machine.state()).unwrap();
    let adopt = || machine.pipeline().sink("memory", sink.clone()).on_lost_state(LostState::Adopt);
    let error = run_to_end(adopt().statistic(by_status("other"))).await.unwrap_err().to_string();
    assert!(error.contains("no sink remembers statistic other"), "{error}");
    let error = run_to_end(adopt().sink("empty", TestSink::default())).await.unwrap_err().to_string();
    assert!(error.contains("nowhere in empty"), "{error}");
    assert_eq!(run_to_end(adopt()).await.unwrap().lines, 0);
}
