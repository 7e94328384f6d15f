//! Positions that a new state directory adopts from a sink while another process may live.

use super::*;

#[tokio::test]
async fn adopting_stops_a_process_that_still_lives() {
    let (sink, machine) = (TestSink::default(), Machine::new());
    machine.log_request(200);
    let running = machine.start(&sink);
    running.until_delivered(1).await;
    let adopting = machine.builder("web1").state_dir(machine.0.path().join("other"));
    let adopting = adopting.sink("stats", sink.clone()).on_lost_state(LostState::Adopt);
    assert_eq!(run_to_end(adopting).await.unwrap().lines, 0);
    machine.log_request(404);
    assert_says(&running.until_sink_stopped().await, &["was taken over by", &this_process()]);
    running.stop().await.unwrap();
    let other = machine.builder("web1").state_dir(machine.0.path().join("other")).sink("stats", sink.clone());
    assert_eq!(run_to_end(other).await.unwrap().lines, 1);
    assert_eq!(sink.totals().await, of([("200", 1), ("404", 1)]));
    let error = machine.run_to_end(&sink).await.unwrap_err();
    assert!(matches!(error, Error::ForeignState { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_under_way_while_a_position_is_adopted_is_not_counted_twice() {
    let (sink, machine) = (TestSink::default(), Machine::new());
    let running = machine.start(&sink);
    machine.log_request(200);
    running.until_delivered(1).await;
    let before = sink.store().backup();
    machine.log_request(404);
    running.until_delivered(2).await;
    running.stop().await.unwrap();
    // The second batch comes when the adopting process has asked where the sink is, and not yet claimed the source.
    let under_way = sink.applied.lock().unwrap().pop();
    *sink.under_way.lock().unwrap() = under_way;
    sink.replace(before);
    fs::remove_dir_all(machine.state()).unwrap();
    let adopting = machine.builder("web1").sink("stats", sink.clone()).on_lost_state(LostState::Adopt);
    assert_eq!(run_to_end(adopting).await.unwrap().lines, 0);
    assert!(sink.under_way.lock().unwrap().is_none(), "it was applied");
    assert_eq!(sink.totals().await, of([("200", 1), ("404", 1)]));
}

#[tokio::test]
async fn a_source_that_was_claimed_and_never_counted_can_be_started_over() {
    let (sink, machine) = (TestSink::default(), Machine::new());
    let running = machine.start(&sink);
    until_claimed(&sink, 1).await;
    running.stop().await.unwrap();
    fs::remove_dir_all(machine.state()).unwrap();
    machine.log_request(200);
    let error = machine.run_to_end(&sink).await.unwrap_err();
    assert!(matches!(error, Error::ForeignState { position: None, .. }), "{error:?}");
    let over = machine.builder("web1").sink("stats", sink.clone()).on_lost_state(LostState::StartOver);
    run_to_end(over).await.unwrap();
    machine.count(&sink, 200).await;
    assert_eq!(sink.totals().await, of([("200", 2)]));
}
