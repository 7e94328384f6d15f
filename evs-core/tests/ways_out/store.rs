//! Errors between a source and its sinks.

use super::*;

#[tokio::test]
async fn a_position_is_adopted_before_a_statistic_and_a_sink_are_added() {
    let (machine, sink, other) = (Machine::new(), TestSink::default(), TestSink::default());
    machine.log_requests(200, 1);
    machine.count(&sink).await;
    fs::remove_dir_all(machine.state()).unwrap();
    machine.log_requests(200, 2);
    let one = || machine.pipeline().sink("stats", sink.clone());
    let more = || one().statistic(by_status("others")).sink("more", other.clone());
    let adopting = more().on_lost_state(LostState::Adopt);
    assert_is!(run_to_end(adopting).await.unwrap_err(), Error::Adopt { .. });
    run_to_end(one().on_lost_state(LostState::Adopt)).await.unwrap();
    machine.log_requests(404, 1);
    run_to_end(more()).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 3), ("404", 1)]));
    assert_eq!(totals(&sink, "others").await, of([("404", 1)]));
    assert_eq!(totals(&other, "requests").await, of([("404", 1)]));
}

#[tokio::test]
async fn a_sink_that_breaks_its_contract_or_forgets_claims_is_mended() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.log_requests(200, 1);
    sink.claims_gaps.store(true, SeqCst);
    let stopped = machine.error(&sink).await;
    assert_is!(stopped, Error::SinkStopped { waiting: 1, source: SinkError::Gap { .. }, .. });
    sink.claims_gaps.store(false, SeqCst);
    machine.count(&sink).await;

    machine.log_requests(200, 1);
    sink.forgets.store(u64::MAX, SeqCst);
    let stopped = machine.error(&sink).await;
    assert_is!(stopped, Error::SinkStopped { waiting: 1, source: SinkError::Forgetful { .. }, .. });
    sink.forgets.store(0, SeqCst);
    machine.count(&sink).await;
    assert_eq!(totals(&sink, "requests").await, of([("200", 2)]));
}
