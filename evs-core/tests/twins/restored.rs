//! State directories and stores that come back older, and stores that lose a claim.

use super::*;

#[tokio::test]
async fn a_state_directory_restored_from_a_backup_stops() {
    let (sink, machine) = (TestSink::default(), Machine::new());
    machine.count(&sink, 200).await;
    let backup = machine.copy();
    machine.count(&sink, 200).await;
    fs::remove_dir_all(machine.state()).unwrap();
    copy_all(&backup.state(), &machine.state());
    let said = refused(machine.run_to_end(&sink).await);
    assert_says(&said, &["sink stats", "statistic requests", "has batch 2"]);
    assert_says(&said, &WAYS_OUT);
    assert_eq!(sink.totals().await, of([("200", 2)]));
    // One of the ways out.
    fs::remove_dir_all(machine.state()).unwrap();
    machine.log_request(404);
    let adopting = machine.builder("web1").sink("stats", sink.clone()).on_lost_state(LostState::Adopt);
    assert_eq!(run_to_end(adopting).await.unwrap().lines, 1);
    assert_eq!(sink.totals().await, of([("200", 2), ("404", 1)]));
}

#[tokio::test]
async fn a_backup_of_the_store_and_then_of_the_state_directory_loses_nothing() {
    let (sink, machine) = (TestSink::default(), Machine::new());
    let running = machine.start(&sink);
    let mut batches = 0;
    let mut count = async |status| {
        machine.log_request(status);
        batches += 1;
        running.until_delivered(batches).await;
    };
    count(200).await;
    let store = sink.store().backup();
    count(200).await;
    count(200).await;
    // While it runs.
    let state = machine.copy();
    count(404).await;
    running.stop().await.unwrap();
    fs::remove_dir_all(machine.state()).unwrap();
    copy_all(&state.state(), &machine.state());
    sink.replace(store);
    assert!(machine.run_to_end(&sink).await.unwrap().is_complete);
    assert_eq!(sink.totals().await, of([("200", 3), ("404", 1)]));
}

/// A bit that flips in the last commit cannot be told from a commit that was not finished: both are cut off, and the
/// sinks are what tells.
#[tokio::test]
async fn a_binlog_that_lost_its_last_commit_stops_at_the_sink_that_has_it() {
    let (sink, machine) = (TestSink::default(), Machine::new());
    machine.count(&sink, 200).await;
    let segment = machine.state().join("binlog-0000000000000001.evs");
    let len = fs::metadata(&segment).unwrap().len();
    machine.count(&sink, 200).await;
    // Some bytes of the commit's first frame.
    fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(len + 40).unwrap();
    let said = refused(machine.run_to_end(&sink).await);
    assert_says(&said, &["sink stats", "statistic requests"]);
    assert_says(&said, &WAYS_OUT);
    assert_eq!(sink.totals().await, of([("200", 2)]));
}

#[tokio::test]
async fn a_store_restored_some_batches_behind_gets_them_again() {
    for while_it_runs in [false, true] {
        let (sink, machine) = (TestSink::default(), Machine::new());
        machine.count(&sink, 200).await;
        let backup = sink.store().backup();
        for _ in 0..3 {
            machine.count(&sink, 200).await;
        }
        if while_it_runs {
            let running = machine.start(&sink);
            until_claimed(&sink, 5).await;
            // It has a claim of before, too.
            sink.replace(backup);
            machine.log_request(404);
            running
                .until("caught up", |status| status.sinks[0].waiting == 0 && status.sinks[0].batches == 4)
                .await;
            assert!(running.stop().await.unwrap().is_complete);
        } else {
            sink.replace(backup);
            machine.count(&sink, 404).await;
        }
        assert_eq!(sink.applied(), [1, 2, 3, 4, 2, 3, 4, 5]);
        assert_eq!(sink.totals().await, of([("200", 4), ("404", 1)]));
    }
}

#[tokio::test]
async fn a_failover_that_is_undone_counts_nothing_twice() {
    let (sink, machine) = (TestSink::default(), Machine::new());
    machine.count(&sink, 200).await;
    let replica = sink.store().backup();
    for _ in 0..3 {
        machine.count(&sink, 200).await;
    }
    let running = machine.start(&sink);
    until_claimed(&sink, 5).await;
    // The replica gets one batch of the three that it lacks, and then the other one is back with all four.
    *sink.failover.lock().unwrap() = Some((2, sink.store()));
    sink.replace(replica);
    machine.log_request(404);
    running.until("caught up", |status| status.sinks[0].waiting == 0 && status.batches == 1).await;
    assert!(running.stop().await.unwrap().is_complete);
    assert_eq!(sink.applied(), [1, 2, 3, 4, 2, 5]);
    assert_eq!(sink.totals().await, of([("200", 4), ("404", 1)]));
}

#[tokio::test]
async fn a_claim_that_the_store_forgot_is_made_again() {
    let (sink, machine) = (TestSink::default(), Machine::new());
    let running = machine.start(&sink);
    for batches in 1..=3 {
        sink.forgets.store(3, SeqCst);
        machine.log_request(200);
        running.until_delivered(batches).await;
    }
    assert!(running.stop().await.unwrap().is_complete);
    assert_eq!(sink.totals().await, of([("200", 3)]));
    sink.forgets.store(u64::MAX, SeqCst);
    machine.log_request(200);
    assert_says(
        &refused(machine.run_to_end(&sink).await),
        &["source web1 was claimed 10 times", "evs_writers"],
    );
}
