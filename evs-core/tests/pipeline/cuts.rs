//! Cuts: when they come, how large they are, and what of them a dead process has done.

use super::*;

#[tokio::test]
async fn a_second_run_goes_on_where_the_first_ended() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&(line(200, 10) + &line(404, 1) + "::1 - - [21/Nov/2026"));
    let summary = run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    assert_eq!((summary.lines, summary.rejected, summary.is_complete), (2, 0, true));
    machine.append(&(":13:25:23 +0000] \"GET / HTTP/1.1\" 200 5\n\nnonsense\n".to_owned() + &line(200, 7)));
    let summary = run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    assert_eq!((summary.lines, summary.rejected), (4, 2));
    assert_eq!(totals(&sink, "requests").await, of([("200", 3, 22), ("404", 1, 1)]));
    let summary = run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    assert_eq!((summary.lines, summary.batches), (0, 0), "nothing new, nothing cut");
}

#[tokio::test]
async fn positions_never_go_back_when_one_statistic_is_behind_another() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&(line(200, 1) + "nonsense\n" + &line(200, 2)));
    let build = || {
        let seldom = by_status("seldom").flush_every(Duration::from_secs(3600));
        machine.pipeline().statistic(seldom).sink("memory", sink.clone()).build().unwrap()
    };
    // Each run cuts what it finds at once, and dies when `requests` is cut again and `seldom` is not; so from the
    // second on, `requests` is ahead at the start.
    for run in 0..4_u64 {
        let pipeline = build();
        let drive = async {
            let found = if run == 0 { 2 } else { 1 };
            until(&pipeline, "caught up", |status| status.sinks[0].batches == found).await;
            machine.append(&line(200, 4));
            until(&pipeline, "cut", |status| status.sinks[0].batches == found + 1).await;
        };
        tokio::select! {
            () = drive => {}
            ended = pipeline.run(pending()) => panic!("{ended:?}"),
        }
        drop(pipeline);
        // The thread that writes holds the lock until it has ended.
        while matches!(machine.pipeline().sink("memory", sink.clone()).build(), Err(Error::Locked { .. })) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let summary = build().run_to_end(pending()).await.unwrap();
    assert_eq!((summary.lines, summary.rejected), (0, 0), "all of it was counted before");
    assert_eq!(totals(&sink, "requests").await, of([("200", 6, 19)]));
    assert_eq!(totals(&sink, "seldom").await, of([("200", 6, 19)]));
    let rejected = fs::read_to_string(machine.state().join("rejected-0.jsonl")).unwrap();
    assert_eq!(rejected.lines().count(), 1, "{rejected}");
}

#[tokio::test]
async fn a_run_that_dies_before_its_statistics_are_due_has_counted_what_was_there() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 3));
    let build = || {
        let seldom = by_status("seldom").flush_every(Duration::from_secs(3600));
        machine.pipeline().statistic(seldom).sink("memory", sink.clone()).build().unwrap()
    };
    let pipeline = build();
    tokio::select! {
        () = until(&pipeline, "cut", |status| status.sinks[0].batches == 2) => {}
        ended = pipeline.run(pending()) => panic!("{ended:?}"),
    }
    drop(pipeline);
    while matches!(machine.pipeline().sink("memory", sink.clone()).build(), Err(Error::Locked { .. })) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let summary = build().run_to_end(pending()).await.unwrap();
    assert_eq!(summary.lines, 0, "it was counted by the run that died");
    assert_eq!(totals(&sink, "seldom").await, of([("200", 1, 3)]));
}

#[tokio::test]
async fn a_statistic_is_cut_after_so_many_bytes_of_the_log() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let lines = line(200, 1).repeat(1000);
    let count = (4 << 20) / lines.len();
    (0..count).for_each(|_| machine.append(&lines));
    let seldom = by_status("seldom").flush_every(Duration::from_secs(3600));
    let builder = machine.pipeline().statistic(seldom).cut_bytes_max(1 << 20).sink("memory", sink.clone());
    let summary = run_to_end(builder).await.unwrap();
    // Two statistics; a cut waits for the one before the last.
    assert!(summary.batches >= 4, "{summary:?}");
    assert_eq!(totals(&sink, "seldom").await["200"].0, count as i128 * 1000);
}

#[tokio::test]
async fn after_a_process_that_was_killed_the_first_cut_comes_early() {
    let machine = Machine::new();
    let long = format!("{}{}", "x".repeat(8000), line(200, 1));
    (0..10).for_each(|_| machine.append(&long.repeat(900)));
    let seldom = || by_status("seldom").flush_every(Duration::from_secs(3600));
    let batches = async |state: &str| {
        let sink = TestSink::default();
        // Without another statistic: its cuts could be in progress when this one is due, and put it off on a slow machine.
        let builder = Pipeline::builder("web1").tail(machine.log()).format(LogFormat::common());
        let builder = builder.statistic(seldom()).state_dir(machine.0.path().join(state));
        run_to_end(builder.sink("memory", sink.clone())).await.unwrap();
        assert_eq!(totals(&sink, "seldom").await, of([("200", 9000, 9000)]));
        let progress = sink.progress("web1").await.unwrap();
        progress.iter().find(|progress| progress.statistic == "seldom").unwrap().sequence
    };
    fs::create_dir(machine.0.path().join("killed")).unwrap();
    fs::write(machine.0.path().join("killed/lock"), "process 1 on host web1\n").unwrap();
    assert_eq!((batches("undisturbed").await, batches("killed").await), (1, 2));
}

/// A machine whose pipeline was ended when the sink had the first of two batches of one cut, and that statistic.
async fn within_a_cut(sink: &TestSink) -> (Machine, Statistic) {
    let machine = Machine::new();
    machine.append(&(0..140_000).map(|bytes| line(200, bytes)).collect::<String>());
    let many = Statistic::named("many").group_by(["body_bytes_sent"]);
    let many = many.measure(count()).measure(sum("body_bytes_sent")).flush_every(Duration::from_secs(3600));
    *sink.down_after.lock().unwrap() = Some(1);
    let pipeline = machine.pipeline().statistic(many.clone()).sink("memory", sink.clone()).build().unwrap();
    let down = async || until(&pipeline, "down", |status| status.sinks[0].retries > 0).await;
    let summary = pipeline.run_to_end(down()).await.unwrap();
    assert_eq!((summary.lines, summary.undelivered), (140_000, 1), "{summary:?}");
    *sink.down_after.lock().unwrap() = None;
    (machine, many)
}

#[tokio::test]
async fn a_cut_of_many_rows_is_delivered_in_pieces_and_each_of_them_once() {
    let sink = TestSink::default();
    let (machine, many) = within_a_cut(&sink).await;
    let pipeline = machine.pipeline().statistic(many).sink("memory", sink.clone()).build().unwrap();
    let schema = Schema::clone(pipeline.schemas().last().unwrap());
    let summary = pipeline.run_to_end(pending()).await.unwrap();
    assert_eq!(summary.lines, 0, "all of them are in the binlog");
    let rows = sink.totals(&schema, i64::MIN..i64::MAX).await.unwrap();
    assert_eq!(rows.len(), 140_000);
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        let bytes = str::from_utf8(row.keys[0]).unwrap().parse().unwrap();
        assert_eq!(row.values, [Some(1), Some(bytes)]);
    }
}

#[tokio::test]
async fn a_position_within_a_cut_is_not_adopted() {
    let sink = TestSink::default();
    let (machine, many) = within_a_cut(&sink).await;
    fs::remove_dir_all(machine.state()).unwrap();
    let adopt = |many| machine.pipeline().statistic(many).sink("memory", sink.clone());
    let error = run_to_end(adopt(many.clone())).await.unwrap_err();
    assert!(error.to_string().contains("counted up to a place within a cut"), "{error}");
    let error = run_to_end(adopt(many.clone()).on_lost_state(LostState::Adopt)).await.unwrap_err();
    assert!(error.to_string().contains("has a part of the last cut"), "{error}");
    // Nor after another process has claimed the source and delivered nothing.
    let last = sink.writer("web1").await.unwrap();
    let claimed = Writer::this_process("web1", evs_core::Epoch::from_bytes([7; 16]));
    let claimed = Writer { fence: last.as_ref().map_or(0, |last| last.fence) + 1, ..claimed };
    assert!(sink.claim(&claimed, last.as_ref()).await.unwrap());
    fs::remove_dir_all(machine.state()).unwrap();
    let error = run_to_end(adopt(many.clone()).on_lost_state(LostState::Adopt)).await.unwrap_err();
    assert!(error.to_string().contains("has a part of the last cut"), "{error}");
    // The way out where the state is gone for good: to count again.
    fs::remove_dir_all(machine.state()).unwrap();
    let summary = run_to_end(adopt(many).on_lost_state(LostState::StartOver)).await.unwrap();
    assert_eq!(summary.lines, 140_000);
}
