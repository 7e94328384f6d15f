//! The events of a pipeline: each of them, as a whole pipeline sends it.

use evs_core::{EventKind, Events, OnGone};

use super::*;

/// Waits for an event of a kind. Returns it with all events before it, of which the receiver missed none.
pub(super) async fn next_of(
    events: &mut Events,
    what: &str,
    is_it: impl Fn(&EventKind) -> bool,
) -> Vec<EventKind> {
    let mut before = Vec::new();
    let search = async {
        loop {
            let event = events.next().await.expect("the pipeline is there");
            before.push(event.kind);
            if is_it(&before[before.len() - 1]) {
                return;
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), search).await.is_ok();
    assert!(found, "never {what}: {before:#?}");
    before
}

/// Returns all events that were sent, up to now.
async fn sent(events: &mut Events) -> Vec<EventKind> {
    let mut sent = Vec::new();
    // tokio would make a task that receives many events wait for others, which looks like the end of them.
    let mut next = async || {
        tokio::time::timeout(Duration::ZERO, tokio::task::unconstrained(events.next())).await.ok().flatten()
    };
    while let Some(event) = next().await {
        sent.push(event.kind);
    }
    sent
}

fn path_of(machine: &Machine) -> String {
    machine.log().display().to_string()
}

fn has(events: &[EventKind], event: &EventKind) -> bool {
    events.contains(event)
}

#[tokio::test]
async fn a_run_tells_its_beginning_its_commits_and_its_end_in_this_order() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&(line(200, 1) + &line(404, 1) + "no request\n"));
    let pipeline = machine.pipeline().sink("memory", sink).build().unwrap();
    let handle = pipeline.status_handle();
    let (mut events, mut again) = (handle.events(), handle.events());
    let before = std::time::SystemTime::now();
    pipeline.run_to_end(pending()).await.unwrap();
    let first = again.next().await.unwrap();
    assert_eq!(first.kind, EventKind::RunBegun);
    assert!(first.time >= before && first.time <= std::time::SystemTime::now());
    drop(pipeline);
    let sent = sent(&mut events).await;
    assert!(events.next().await.is_none(), "the pipeline is gone");
    assert!(handle.events().next().await.is_none(), "there is nothing to come");

    let at = |event: &EventKind| {
        sent.iter().position(|sent| sent == event).unwrap_or_else(|| panic!("no {event:?}: {sent:#?}"))
    };
    let statistics = vec!["requests".to_owned()];
    let committed = EventKind::Committed { statistics, batches: 1, rows: 2 };
    let order = [
        at(&EventKind::RunBegun),
        at(&EventKind::FileOpened { path: path_of(&machine), offset: 0 }),
        at(&EventKind::LinesRejected { lines: 1 }),
        at(&committed),
        at(&EventKind::RunEnded { error: None }),
    ];
    assert!(order.is_sorted() && order[0] == 0 && order[4] == 6, "{sent:#?}");
    // They may come before or after the commit.
    at(&EventKind::SinkUp { sink: "memory".to_owned() });
    at(&EventKind::RunDraining);
    assert_eq!(sent.len(), 7, "nothing is told twice: {sent:#?}");
}

#[tokio::test]
async fn a_sink_that_goes_down_comes_up_and_stops_is_told_each_time_once() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    sink.is_down.store(true, SeqCst);
    let pipeline = machine.pipeline().sink("memory", sink.clone()).build().unwrap();
    let mut events = pipeline.status_handle().events();
    let name = || "memory".to_owned();
    let drive = async {
        let error = "connecting: refused".to_owned();
        let down = EventKind::SinkDown { sink: name(), error };
        next_of(&mut events, "down", |event| *event == down).await;
        until(&pipeline, "tried again", |status| status.sinks[0].retries >= 3).await;
        sink.is_down.store(false, SeqCst);
        let up = EventKind::SinkUp { sink: name() };
        let before = next_of(&mut events, "up", |event| *event == up).await;
        assert!(!has(&before, &down), "{before:#?}");
        sink.refuses.store(true, SeqCst);
        machine.append(&line(200, 1));
        let stopped = EventKind::SinkStopped { sink: name(), error: "no".to_owned() };
        let is_stopped = |event: &EventKind| matches!(event, EventKind::SinkStopped { .. });
        let before = next_of(&mut events, "stopped", is_stopped).await;
        assert!(has(&before, &stopped) && !has(&before, &up), "{before:#?}");
        let (statistic, error) = ("requests".to_owned(), "no".to_owned());
        let stopped = EventKind::StatisticStopped { sink: name(), statistic, sequence: 1, error };
        assert!(has(&before, &stopped), "{before:#?}");
    };
    pipeline.run(drive).await.unwrap();
}

#[tokio::test]
async fn a_pause_is_told_with_its_reason_and_its_end() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("memory", sink).build().unwrap();
    let handle = pipeline.status_handle();
    let mut events = handle.events();
    let paused = |reason: &str| EventKind::ReadingPaused { reason: reason.to_owned() };
    handle.pause("one");
    handle.pause("one");
    handle.pause("another");
    handle.resume();
    handle.resume();
    assert_eq!(sent(&mut events).await, [paused("one"), paused("another"), EventKind::ReadingResumed]);

    // The end of a run ends its pause.
    handle.pause("to the end");
    pipeline.run(std::future::ready(())).await.unwrap();
    let sent = sent(&mut events).await;
    let ended = [EventKind::ReadingResumed, EventKind::RunEnded { error: None }];
    assert!(sent[0] == paused("to the end") && sent.ends_with(&ended), "{sent:#?}");
}

#[tokio::test]
async fn what_happens_to_the_files_of_a_log_is_told() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("memory", sink).grace(Duration::from_millis(50)).build().unwrap();
    let mut events = pipeline.status_handle().events();
    let (path, rotated) = (path_of(&machine), format!("{}.1", path_of(&machine)));
    let opened = || EventKind::FileOpened { path: path.clone(), offset: 0 };
    let drive = async {
        let is_missing = |event: &EventKind| matches!(event, EventKind::LogUnavailable { .. });
        let before = next_of(&mut events, "missing", is_missing).await;
        let reason = before[before.len() - 1].to_string();
        assert!(reason.contains("does not exist"), "{reason}");
        assert_eq!(pipeline.status().last_event, Some(reason));

        machine.append(&line(200, 1));
        next_of(&mut events, "opened", |event| *event == opened()).await;
        until(&pipeline, "read", |status| status.lines == 1).await;
        fs::rename(machine.log(), &rotated).unwrap();
        machine.append(&line(404, 1));
        let finished = |event: &EventKind| matches!(event, EventKind::FileFinished { .. });
        let before = next_of(&mut events, "finished", finished).await;
        let is_rotation =
            |event: &&EventKind| matches!(event, EventKind::FileRotated { path } if *path == rotated);
        assert_eq!(before.iter().filter(is_rotation).count(), 1, "{before:#?}");
        let bytes = line(200, 1).len() as u64;
        assert!(has(&before, &EventKind::FileFinished { path: rotated.clone(), bytes }), "{before:#?}");

        until(&pipeline, "read", |status| status.lines == 2).await;
        fs::File::options().write(true).open(machine.log()).unwrap().set_len(0).unwrap();
        let truncated = EventKind::FileTruncated { path: path.clone(), lost_bytes: 0 };
        next_of(&mut events, "truncated", |event| *event == truncated).await;
    };
    pipeline.run(drive).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_gone_is_told_with_the_bytes_that_are_lost() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    let build = || machine.pipeline().sink("memory", sink.clone()).on_gone(OnGone::Continue).build().unwrap();
    build().run_to_end(pending()).await.unwrap();
    fs::remove_file(machine.log()).unwrap();
    machine.append(&line(404, 12_345));
    let pipeline = build();
    let mut events = pipeline.status_handle().events();
    pipeline.run_to_end(pending()).await.unwrap();
    let sent = sent(&mut events).await;
    let lost = sent.iter().find_map(|event| match event {
        EventKind::FileLost { path, lost_bytes, reason } => Some((path.clone(), *lost_bytes, reason.clone())),
        _ => None,
    });
    let (path, lost_bytes, reason) = lost.unwrap_or_else(|| panic!("{sent:#?}"));
    assert_eq!((path, lost_bytes), (path_of(&machine), pipeline.status().lost_bytes));
    assert!(reason.contains("is gone"), "{reason}");
}

#[tokio::test]
async fn a_directory_that_nobody_has_named_is_told() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    let directory = machine.0.path().join("old");
    fs::create_dir(&directory).unwrap();
    fs::rename(machine.log(), directory.join("access.log.1")).unwrap();
    machine.append(&line(404, 12_345));
    let pipeline = machine.pipeline().sink("memory", sink).build().unwrap();
    let mut events = pipeline.status_handle().events();
    pipeline.run_to_end(pending()).await.unwrap();
    let sent = sent(&mut events).await;
    let is_it =
        |event: &&EventKind| matches!(event, EventKind::LogWarning { text } if text.contains("olddir"));
    assert_eq!(sent.iter().filter(is_it).count(), 1, "{sent:#?}");
}

#[tokio::test]
async fn lines_that_are_too_late_are_told_by_statistic() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&(line(200, 1) + &line(404, 1).replace("2026", "2001").repeat(2)));
    let kept = by_status("kept").retain(Duration::from_secs(86_400 * 365));
    let pipeline = machine.pipeline().statistic(kept).sink("memory", sink).build().unwrap();
    let mut events = pipeline.status_handle().events();
    pipeline.run_to_end(pending()).await.unwrap();
    let sent = sent(&mut events).await;
    let late = EventKind::LinesTooLate { statistic: "kept".to_owned(), lines: 2 };
    assert!(has(&sent, &late), "{sent:#?}");
}

#[tokio::test]
async fn a_run_that_reads_again_after_a_truncation_is_told() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1).repeat(400_000));
    let builder = machine.pipeline().sink("memory", sink).on_gone(OnGone::Continue);
    let pipeline = builder.build().unwrap();
    let mut events = pipeline.status_handle().events();
    let drive = async {
        until(&pipeline, "reading", |status| status.lines > 0).await;
        // The reader has handed out ranges that the worker has not read yet.
        fs::File::options().write(true).open(machine.log()).unwrap().set_len(0).unwrap();
        let is_it = |event: &EventKind| matches!(event, EventKind::RunRestarted { .. });
        let before = next_of(&mut events, "restarted", is_it).await;
        assert!(before[before.len() - 1].to_string().contains(&path_of(&machine)), "{before:#?}");
        assert_eq!(pipeline.status().phase, evs_core::Phase::Running);
    };
    pipeline.run(drive).await.unwrap();
    let sent = sent(&mut events).await;
    assert!(!has(&sent, &EventKind::RunBegun), "it is the same run: {sent:#?}");
}

#[tokio::test]
async fn the_end_of_a_run_is_told_with_its_error() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("memory", sink).build().unwrap();
    let mut events = pipeline.status_handle().events();
    let error = pipeline.run_to_end(pending()).await.unwrap_err();
    let error = EventKind::RunEnded { error: Some(evs_core::describe(&error)) };
    let events_so_far = sent(&mut events).await;
    assert!(events_so_far.ends_with(&[error]), "{events_so_far:#?}");
    tokio::select! {
        ended = pipeline.run(pending()) => panic!("{ended:?}"),
        () = until(&pipeline, "running", |status| status.phase == evs_core::Phase::Running) => {}
    }
    let sent = sent(&mut events).await;
    let dropped = EventKind::RunEnded { error: Some("the run was dropped".to_owned()) };
    assert!(sent.starts_with(&[EventKind::RunBegun]) && has(&sent, &dropped), "{sent:#?}");
}

#[tokio::test]
async fn a_receiver_that_is_too_slow_does_not_hold_up_the_pipeline_and_is_told_what_it_missed() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("memory", sink).build().unwrap();
    let handle = pipeline.status_handle();
    let mut events = handle.events();
    for _ in 0..1000 {
        handle.pause("for a moment");
        handle.resume();
    }
    let sent = sent(&mut events).await;
    let EventKind::Missed { events: missed } = sent[0] else { panic!("{:?}", sent[0]) };
    assert_eq!((missed, sent.len()), (2000 - 1024, 1 + 1024));
    assert_eq!(sent[1024], EventKind::ReadingResumed);
}

#[tokio::test]
async fn an_event_as_json_has_its_time_its_kind_and_its_facts() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("memory", sink).build().unwrap();
    let handle = pipeline.status_handle();
    let mut events = handle.events();
    handle.pause("a check");
    let event = events.next().await.unwrap();
    let json = serde_json::to_value(&event).unwrap();
    assert_eq!((&json["event"], &json["reason"]), (&"reading_paused".into(), &"a check".into()));
    assert!(json["time"].as_f64().unwrap() > 1.7e9, "{json}");
    assert_eq!(event.to_string(), "reading waits: a check");
}

#[tokio::test]
async fn a_run_that_rejects_every_line_warns_of_the_format() {
    for (lines, warns) in
        [("no request\n".repeat(3), true), (line(200, 1) + "no request\n", false), (String::new(), false)]
    {
        let machine = Machine::new();
        machine.append(&lines);
        let pipeline = machine.pipeline().sink("memory", TestSink::default()).build().unwrap();
        let mut events = pipeline.status_handle().events();
        pipeline.run_to_end(pending()).await.unwrap();
        let is_warning = |event: &&EventKind| matches!(event, EventKind::LogWarning { text } if text.starts_with("3 of 3 lines were rejected") && text.contains("no request"));
        assert_eq!(sent(&mut events).await.iter().filter(is_warning).count(), usize::from(warns), "{lines}");
    }
}

#[tokio::test]
async fn a_field_that_no_line_has_is_told_once_whatever_worker_read_the_lines() {
    let named = |field: &str| Statistic::named("clicks").group_by([field]).measure(count());
    for (field, of_others, warns) in
        [("hots", "host", true), ("host", "host", false), ("arg_c", "host", false)]
    {
        let machine = Machine::new();
        let line = |host: &str| format!("{{\"time\":1795246822,\"{host}\":\"a\",\"status\":200}}\n");
        machine.append(&(line(of_others) + &line("other").repeat(40_000)));
        let pipeline = Pipeline::builder("web1")
            .tail(machine.log())
            .format(LogFormat::json())
            .state_dir(machine.state())
            .workers(2)
            .statistic(named(field))
            .sink("memory", TestSink::default())
            .build()
            .unwrap();
        let mut events = pipeline.status_handle().events();
        pipeline.run_to_end(pending()).await.unwrap();
        let is_warning = |event: &&EventKind| matches!(event, EventKind::LogWarning { text } if text.contains(&format!("has the field {field},")));
        assert_eq!(sent(&mut events).await.iter().filter(is_warning).count(), usize::from(warns), "{field}");
    }
}
