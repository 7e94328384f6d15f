//! Copies of a state directory, and several processes under one source name.

use super::*;

#[tokio::test]
async fn a_copy_that_is_behind_stops_and_the_original_goes_on() {
    let (sink, original) = (TestSink::default(), Machine::new());
    original.count(&sink, 200).await;
    let copy = original.copy();
    let running = original.start(&sink);
    original.log_request(200);
    running.until_delivered(1).await;
    let fence = sink.fence().await;
    let said = refused(copy.run_to_end(&sink).await);
    assert_says(&said, &["sink stats", "statistic requests", "batch 2", "ends at 1"]);
    assert_says(&said, &WAYS_OUT);
    assert_eq!(sink.fence().await, fence, "nobody was disturbed");
    original.log_request(200);
    running.until_delivered(2).await;
    assert!(running.stop().await.unwrap().is_complete);
    assert_eq!(sink.totals().await, of([("200", 3)]));
}

/// All paths and inodes differ there.
#[tokio::test]
async fn a_machine_whose_files_were_moved_goes_on_where_it_was() {
    let (sink, old) = (TestSink::default(), Machine::new());
    old.count(&sink, 200).await;
    old.cut(&sink, 404).await;
    let new = old.copy();
    new.log_request(500);
    let summary = new.run_to_end(&sink).await.unwrap();
    assert_eq!((summary.lines, summary.is_complete), (1, true));
    assert_eq!(sink.totals().await, of([("200", 1), ("404", 1), ("500", 1)]));
}

#[tokio::test]
async fn a_copy_with_batches_of_its_own_stops_at_its_start_and_keeps_them() {
    let (sink, original) = (TestSink::default(), Machine::new());
    original.count(&sink, 200).await;
    let copy = original.copy();
    original.count(&sink, 200).await;
    for cut in 1..=3 {
        // As far as the original, and farther.
        copy.cut(&sink, 404).await;
        let said = refused(copy.run_to_end(&sink).await);
        assert_says(
            &said,
            &["sink stats", "statistic requests", "has batch 2", &format!("with {cut} batches")],
        );
        assert_says(&said, &WAYS_OUT);
    }
    assert_eq!(sink.totals().await, of([("200", 2)]));
}

/// Where the store does not tell processes apart, what batches say of each other does.
#[tokio::test]
async fn a_copy_that_finds_the_store_ahead_while_it_runs_stops() {
    for lines in 1..=2 {
        let (sink, original) = (TestSink::default(), Machine::new());
        sink.ignores_writers.store(true, SeqCst);
        original.count(&sink, 200).await;
        let copy = original.copy();
        let running = copy.start(&sink);
        until_claimed(&sink, 2).await;
        for _ in 0..lines {
            original.count(&sink, 200).await;
        }
        copy.log_request(404);
        let said = running.until_sink_stopped().await;
        // One batch: the same number with another checksum. Two: more than the copy's binlog has.
        assert_says(&said, &["statistic requests", if lines == 1 { "has batch 2" } else { "ends at 2" }]);
        assert_says(&said, &WAYS_OUT);
        let summary = running.stop().await.unwrap();
        assert_eq!((summary.undelivered, summary.is_complete), (1, false));
        assert_eq!(sink.totals().await, of([("200", 1 + lines)]));
    }
}

/// The same with as many batches of its own as the store has.
#[tokio::test]
async fn an_older_batch_of_another_history_is_not_taken_for_applied() {
    let (sink, original) = (TestSink::default(), Machine::new());
    sink.ignores_writers.store(true, SeqCst);
    original.count(&sink, 200).await;
    let copy = original.copy();
    let running = copy.start(&sink);
    until_claimed(&sink, 2).await;
    original.count(&sink, 200).await;
    original.count(&sink, 200).await;
    sink.is_down.store(true, SeqCst);
    for batches in 1..=2 {
        copy.log_request(404);
        running.until("cut", |status| status.batches == batches).await;
    }
    sink.is_down.store(false, SeqCst);
    let said = running.until_sink_stopped().await;
    assert_says(&said, &["statistic requests", "has batch 3 with checksum"]);
    assert_eq!(running.stop().await.unwrap().undelivered, 2);
    assert_eq!(sink.totals().await, of([("200", 3)]));
}

#[tokio::test]
async fn of_two_copies_that_live_the_later_takes_over_and_the_other_stops() {
    let (sink, original) = (TestSink::default(), Machine::new());
    original.count(&sink, 200).await;
    let copy = original.copy();
    let first = original.start(&sink);
    until_claimed(&sink, 2).await;
    let second = copy.start(&sink);
    until_claimed(&sink, 3).await;
    original.log_request(200);
    let said = first.until_sink_stopped().await;
    assert_says(&said, &["source web1 was taken over by", &this_process(), "UTC"]);
    assert_says(&said, &WAYS_OUT);
    copy.log_request(404);
    second.until_delivered(1).await;
    let summary = first.stop().await.unwrap();
    assert_eq!((summary.undelivered, summary.is_complete), (1, false), "nothing vanishes");
    assert!(second.stop().await.unwrap().is_complete);
    assert_eq!(sink.totals().await, of([("200", 1), ("404", 1)]));
    // From now on it is a copy with a batch of its own.
    let said = refused(original.run_to_end(&sink).await);
    assert_says(&said, &["has batch 2 with checksum"]);
}

#[tokio::test]
async fn of_two_state_directories_with_one_name_the_later_stops_whenever_it_starts() {
    for lines in 0..=1 {
        let (sink, first, second) = (TestSink::default(), Machine::new(), Machine::new());
        let running = first.start(&sink);
        // Without lines the store knows who writes, and nothing else.
        for batches in 1..=lines {
            first.log_request(200);
            running.until_delivered(batches).await;
        }
        until_claimed(&sink, 1).await;
        second.log_request(404);
        for _ in 0..2 {
            let error = second.run_to_end(&sink).await.unwrap_err();
            assert!(matches!(error, Error::ForeignState { .. }), "{error:?}");
            assert_says(&error.to_string(), &["sink stats", "source web1", &this_process(), "name"]);
            assert_says(&error.to_string(), &["LostState::Adopt", "LostState::StartOver"]);
        }
        first.log_request(200);
        running.until_delivered(lines + 1).await;
        assert!(running.stop().await.unwrap().is_complete);
        // The first one may start again, the second under a name of its own.
        first.count(&sink, 200).await;
        let second = second.builder("web2").state_dir(second.0.path().join("state2"));
        assert_eq!(run_to_end(second.sink("stats", sink.clone())).await.unwrap().lines, 1);
        assert_eq!(sink.totals().await, of([("200", i128::from(lines) + 2), ("404", 1)]));
    }
}

#[tokio::test]
async fn a_restart_claims_the_source_again() {
    let (sink, machine) = (TestSink::default(), Machine::new());
    for start in 1..=3 {
        machine.count(&sink, 200).await;
        assert_eq!(sink.fence().await, start);
    }
    assert_eq!(sink.totals().await, of([("200", 3)]));
}
