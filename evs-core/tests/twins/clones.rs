//! Sources that begin as a clone of another one.

use super::*;

fn cloned(machine: &Machine, sink: &TestSink, undelivered: Undelivered) -> PipelineBuilder {
    let builder = machine.builder("web2").state_dir(machine.0.path().join("state2"));
    builder.sink("stats", sink.clone()).cloned_from(machine.state(), undelivered)
}

#[tokio::test]
async fn a_cloned_machine_goes_on_under_a_name_of_its_own() {
    let (sink, original) = (TestSink::default(), Machine::new());
    original.count(&sink, 200).await;
    let copy = original.copy();
    // It ran under the old name for a while.
    copy.cut(&sink, 404).await;
    copy.cut(&sink, 404).await;
    original.count(&sink, 200).await;
    assert_says(&refused(copy.run_to_end(&sink).await), &["cloned_from"]);
    copy.log_request(500);
    for lines in [1, 0] {
        // The setting may stay.
        let summary = run_to_end(cloned(&copy, &sink, Undelivered::Deliver)).await.unwrap();
        assert_eq!((summary.lines, summary.is_complete), (lines, true));
    }
    original.count(&sink, 200).await;
    assert_eq!(sink.totals().await, of([("200", 3), ("404", 2), ("500", 1)]));
    assert!(!copy.0.path().join("state2/cloned").exists());
}

#[tokio::test]
async fn a_clone_leaves_to_the_original_what_it_was_copied_with() {
    let (sink, original) = (TestSink::default(), Machine::new());
    original.count(&sink, 200).await;
    original.cut(&sink, 200).await;
    let copy = original.copy();
    copy.log_request(404);
    let summary = run_to_end(cloned(&copy, &sink, Undelivered::Leave)).await.unwrap();
    assert_eq!((summary.lines, summary.is_complete), (1, true));
    original.count(&sink, 200).await;
    assert_eq!(sink.totals().await, of([("200", 3), ("404", 1)]));
}

#[tokio::test]
async fn a_clone_delivers_nothing_that_the_original_has_delivered() {
    let (sink, machine) = (TestSink::default(), Machine::new());
    machine.count(&sink, 200).await;
    machine.cut(&sink, 404).await;
    // As if it had been killed between the batch and its acknowledgement.
    let killed = machine.copy();
    run_to_end(machine.builder("web1").sink("stats", sink.clone())).await.unwrap();
    assert_eq!(sink.totals().await, of([("200", 1), ("404", 1)]));
    killed.log_request(500);
    for lines in [1, 0] {
        let summary = run_to_end(cloned(&killed, &sink, Undelivered::Deliver)).await.unwrap();
        assert_eq!((summary.lines, summary.is_complete), (lines, true));
        assert_eq!(sink.totals().await, of([("200", 1), ("404", 1), ("500", 1)]));
    }
}

#[tokio::test]
async fn each_sink_of_a_clone_gets_what_it_lacks() {
    let (sink, other, original) = (TestSink::default(), TestSink::default(), Machine::new());
    let both = |builder: PipelineBuilder| builder.sink("stats", sink.clone()).sink("other", other.clone());
    original.log_request(200);
    run_to_end(both(original.builder("web1"))).await.unwrap();
    let copy = original.copy();
    // The other sink was away when the copy was told to stop.
    copy.log_request(404);
    other.is_down.store(true, SeqCst);
    let running = Running::new(both(copy.builder("web1")));
    running.until_delivered(1).await;
    running.stop().await.unwrap();
    other.is_down.store(false, SeqCst);
    copy.log_request(500);
    let builder = copy.builder("web2").state_dir(copy.0.path().join("state2"));
    run_to_end(both(builder.cloned_from(copy.state(), Undelivered::Deliver))).await.unwrap();
    for sink in [sink, other] {
        assert_eq!(sink.totals().await, of([("200", 1), ("404", 1), ("500", 1)]));
    }
}

#[tokio::test]
async fn a_clone_that_was_killed_while_it_began_begins_again() {
    let (sink, original) = (TestSink::default(), Machine::new());
    original.count(&sink, 200).await;
    let copy = original.copy();
    let scratch = copy.0.path().join("state2/cloned");
    fs::create_dir_all(&scratch).unwrap();
    fs::write(scratch.join("binlog-0000000000000001.evs"), "EVSBLOG\n").unwrap();
    copy.log_request(404);
    assert_eq!(run_to_end(cloned(&copy, &sink, Undelivered::Deliver)).await.unwrap().lines, 1);
    assert_eq!(sink.totals().await, of([("200", 1), ("404", 1)]));
}

#[tokio::test]
async fn the_copied_directory_gets_the_rejected_lines_that_a_kill_kept_from_it() {
    let (sink, machine) = (TestSink::default(), Machine::new());
    machine.append("not a request\n");
    assert_eq!(machine.run_to_end(&sink).await.unwrap().rejected, 1);
    // As if it had been killed between the commit and the file.
    let rejected = machine.state().join("rejected-0.jsonl");
    fs::remove_file(&rejected).unwrap();
    machine.log_request(500);
    let summary = run_to_end(cloned(&machine, &sink, Undelivered::Deliver)).await.unwrap();
    assert_eq!((summary.lines, summary.rejected), (1, 0));
    assert_says(&fs::read_to_string(rejected).unwrap(), &["not a request"]);
}

#[tokio::test]
async fn what_cannot_be_cloned_is_refused() {
    let (sink, original) = (TestSink::default(), Machine::new());
    original.count(&sink, 200).await;
    let builder = |source: &str| original.builder(source).state_dir(original.0.path().join("new"));
    let build = |source: &str, from: PathBuf| {
        let builder = builder(source).sink("stats", sink.clone());
        builder.cloned_from(from, Undelivered::Leave).build().unwrap_err()
    };
    assert_says(&build("web1", original.state()).to_string(), &["cloned_from", "a source name of its own"]);
    assert_says(&build("web2", original.0.path().join("no")).to_string(), &["the copy of a state directory"]);
    assert_says(&build("web2", original.0.path().to_owned()).to_string(), &["which has a binlog"]);
    let running = original.start(&sink);
    let error = build("web2", original.state());
    assert!(matches!(error, Error::Locked { .. }), "{error:?}");
    running.stop().await.unwrap();
}
