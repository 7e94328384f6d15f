//! Statistics, sinks and settings that change between runs, and settings that are refused.

use super::*;

#[tokio::test]
async fn a_statistic_that_was_taken_out_can_come_back_after_rotations() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let both = || machine.pipeline().statistic(by_status("other")).sink("memory", sink.clone());
    machine.append(&line(200, 1));
    run_to_end(both()).await.unwrap();
    for generation in 1..4 {
        fs::rename(machine.log(), machine.0.path().join(format!("old-{generation}"))).unwrap();
        let rotated = machine.0.path().join("access.log.1");
        fs::rename(machine.0.path().join(format!("old-{generation}")), &rotated).unwrap();
        machine.append(&line(200, 1));
        run_to_end(machine.pipeline().sink("memory", sink.clone()).grace(Duration::ZERO)).await.unwrap();
        fs::remove_file(rotated).unwrap();
    }
    machine.append(&line(200, 1));
    run_to_end(both()).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 5, 5)]));
    let other = totals(&sink, "other").await["200"].0;
    assert!((2..=5).contains(&other), "{other}");
}

#[tokio::test]
async fn a_changed_definition_is_refused_unless_accepted() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    let changed = |redefine| {
        Pipeline::builder("web1")
            .tail(machine.log())
            .format(LogFormat::common())
            .statistic(by_status("requests").window(Duration::from_secs(3600)).redefine(redefine))
            .state_dir(machine.state())
            .sink("memory", sink.clone())
    };
    for redefine in [false, true] {
        let error = changed(redefine).build().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("window 60s -> 3600s") && text.contains("another name"), "{text}");
        assert!(!text.contains("redefine"), "no store can take that, so it is not recommended: {text}");
    }
    // Nothing was changed, so the old definition goes on.
    machine.append(&line(200, 1));
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 2)]));
}

/// The statistic `requests` with one more measure, before the others, and no other.
fn with_smallest(machine: &Machine, redefine: bool) -> PipelineBuilder {
    let statistic = Statistic::named("requests").group_by(["status"]).flush_every(Duration::from_millis(20));
    let statistic =
        statistic.measure(min("body_bytes_sent")).measure(count()).measure(sum("body_bytes_sent"));
    Pipeline::builder("web1")
        .tail(machine.log())
        .format(LogFormat::common())
        .statistic(statistic.redefine(redefine))
        .state_dir(machine.state())
        .drain_timeout(Duration::from_millis(300))
}

/// Makes the sink refuse the definition of [`with_smallest`]: another source has a measure with the same name there.
async fn occupy(sink: &TestSink) {
    let pipeline = Machine::new().pipeline().sink("none", MemorySink::new()).build().unwrap();
    let mut schema = Schema::clone(pipeline.schemas().next().unwrap());
    schema.measures.push(MeasureColumn::new("body_bytes_sent_min", MeasureKind::Min, "request_length", 0));
    sink.store().prepare(&schema).await.unwrap();
}

#[tokio::test]
async fn a_new_measure_is_counted_from_the_next_cut_on() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 7));
    // A batch of the old definition still waits when the new one begins.
    sink.is_down.store(true, SeqCst);
    let pipeline = machine.pipeline().sink("memory", sink.clone()).build().unwrap();
    pipeline.run(async { until(&pipeline, "cut", |status| status.batches > 0).await }).await.unwrap();
    drop(pipeline);
    sink.is_down.store(false, SeqCst);
    let error = with_smallest(&machine, false).sink("memory", sink.clone()).build().unwrap_err();
    assert!(error.to_string().contains("redefine(true)"), "{error}");
    machine.append(&(line(200, 5) + &line(404, 9)));
    let pipeline = with_smallest(&machine, true).sink("memory", sink.clone()).build().unwrap();
    pipeline.run_to_end(pending()).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 12), ("404", 1, 9)]));
    let schema = pipeline.schemas().next().unwrap();
    assert_eq!(
        totals_by_key(&sink, schema).await,
        BTreeMap::from([("200".into(), vec![5, 2, 12]), ("404".into(), vec![9, 1, 9])])
    );
    // It may stay in the code. Without it, the definition is the known one.
    drop(pipeline);
    machine.append(&line(200, 1));
    run_to_end(with_smallest(&machine, false).sink("memory", sink.clone())).await.unwrap();
    assert_eq!(totals(&sink, "requests").await["200"], (3, 13));
    // A measure does not go again.
    let error = machine.pipeline().sink("memory", sink.clone()).build().unwrap_err();
    assert!(error.to_string().contains("removed: body_bytes_sent_min"), "{error}");
}

#[tokio::test]
async fn a_definition_that_a_sink_refuses_is_not_begun() {
    let (machine, sink, other) = (Machine::new(), TestSink::default(), TestSink::default());
    machine.append(&line(200, 1));
    let old = || machine.pipeline().sink("refuses", sink.clone()).sink("there", other.clone());
    run_to_end(old()).await.unwrap();
    occupy(&sink).await;
    machine.append(&line(200, 2));
    let new = with_smallest(&machine, true).sink("refuses", sink.clone()).sink("there", other.clone());
    let error = run_to_end(new).await.unwrap_err();
    let Error::SinkRefuses { sink: name, statistic, .. } = &error else { panic!("{error:?}") };
    assert_eq!((&**name, &**statistic), ("refuses", "requests"));
    assert!(error.to_string().contains("body_bytes_sent_min: min of request_length"), "{error}");
    assert_eq!((sink.applied().len(), other.applied().len()), (1, 1), "nothing was cut");
    // So the old definition simply goes on, without a word about the other one.
    run_to_end(old()).await.unwrap();
    for sink in [&sink, &other] {
        assert_eq!(totals(sink, "requests").await, of([("200", 2, 3)]));
    }
}

#[tokio::test]
async fn a_sink_that_is_away_is_asked_about_a_definition_when_it_returns() {
    let (machine, sink, other) = (Machine::new(), TestSink::default(), TestSink::default());
    machine.append(&line(200, 1));
    run_to_end(machine.pipeline().sink("away", sink.clone()).sink("there", other.clone())).await.unwrap();
    let before = sink.store().backup();
    occupy(&sink).await;
    sink.is_down.store(true, SeqCst);
    machine.append(&line(200, 2));
    let new = with_smallest(&machine, true).sink("away", sink.clone()).sink("there", other.clone());
    let pipeline = new.build().unwrap();
    let drive = async {
        // The others do not wait for it.
        until(&pipeline, "delivered", |status| status.sinks[1].batches == 1).await;
        assert_eq!(pipeline.status().sinks[0].waiting, 1);
        sink.is_down.store(false, SeqCst);
        until(&pipeline, "refused", |status| {
            let error = status.sinks[0].last_error.as_ref();
            error.is_some_and(|error| error.contains("body_bytes_sent_min: min of request_length"))
        })
        .await;
    };
    let summary = pipeline.run(drive).await.unwrap();
    assert_eq!((summary.undelivered, summary.is_complete), (1, false));
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 1)]));
    assert_eq!(totals(&other, "requests").await, of([("200", 2, 3)]));
    // The batch waits until the sink can take it.
    sink.replace(before);
    drop(pipeline);
    let both = with_smallest(&machine, true).sink("away", sink.clone()).sink("there", other.clone());
    run_to_end(both).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 3)]));
}

#[tokio::test]
async fn an_ordinary_start_asks_no_sink_about_definitions() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    run_to_end(machine.pipeline().sink("reports", sink.clone())).await.unwrap();
    // Under another name it is the same sink.
    sink.refuses.store(true, SeqCst);
    let renamed = machine.pipeline().sink("pg", sink.clone()).formerly("reports");
    let pipeline = renamed.build().unwrap();
    let drive = async { until(&pipeline, "stopped", |s| s.sinks[0].state == SinkState::Stopped).await };
    pipeline.run(drive).await.unwrap();
    drop(pipeline);
    // A sink that is new to a statistic is asked.
    let error = run_to_end(machine.pipeline().sink("pg", sink.clone()).sink("new", sink.clone())).await;
    assert!(matches!(&error, Err(Error::SinkRefuses { sink, .. }) if sink == "new"), "{error:?}");
    let error = run_to_end(machine.pipeline().statistic(by_status("more")).sink("pg", sink.clone())).await;
    assert!(matches!(&error, Err(Error::SinkRefuses { statistic, .. }) if statistic == "more"), "{error:?}");
}

#[tokio::test]
async fn a_new_statistic_and_a_new_sink_begin_where_the_source_stands() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    machine.append(&line(200, 2));
    let (now, oldest) = (TestSink::default(), TestSink::default());
    let build = || machine.pipeline().statistic(by_status("other")).sink("memory", sink.clone());
    run_to_end(build().sink("now", now.clone())).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 3)]));
    assert_eq!(totals(&sink, "other").await, of([("200", 1, 2)]));
    assert_eq!(totals(&now, "requests").await, of([("200", 1, 2)]));
    let both = build().sink("now", now.clone()).sink("oldest", oldest.clone());
    run_to_end(both.new_sinks(SinkStart::Oldest)).await.unwrap();
    assert_eq!(totals(&oldest, "requests").await, of([("200", 2, 3)]));
}

#[tokio::test]
async fn impossible_settings_are_refused_with_what_they_may_be() {
    let machine = Machine::new();
    let sink = MemorySink::new;
    let cases: [(PipelineBuilder, &str); 9] = [
        (machine.pipeline().sink("a", sink()).workers(0), "workers: 0, expected 1 to 256"),
        (machine.pipeline(), "sink: not set, expected one or more"),
        (machine.pipeline().sink("../x", sink()), "sink: \"../x\""),
        (machine.pipeline().sink("a", sink()).sink("a", sink()), "sink: \"a\""),
        (Pipeline::builder("a/b").tail("x").format(LogFormat::common()).state_dir("y"), "source: \"a/b\""),
        (Pipeline::builder("a").format(LogFormat::common()).state_dir("y"), "tail: not set"),
        (
            machine.pipeline().sink("a", sink()).statistic(Statistic::named("x")),
            "statistic x: measure: not set",
        ),
        (
            machine.pipeline().sink("a", sink()).statistic(by_status("x").group_by(["count"])),
            "statistic x: column: \"count\"",
        ),
        (
            machine.pipeline().sink("a", sink()).statistic(by_status("x").group_by(["status", "nothing"])),
            "the log format",
        ),
    ];
    for (builder, expected) in cases {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} does not contain {expected:?}");
    }
    assert!(!Path::new("y").exists(), "nothing is made before the settings are judged");
}

#[tokio::test]
async fn a_log_may_be_in_a_directory_of_any_name_and_its_own_name_is_utf8() {
    let machine = Machine::new();
    let directory = machine.0.path().join(OsStr::from_bytes(b"l\xff g\n\xe2\x98\x83"));
    fs::create_dir(&directory).unwrap();
    let (log, sink) = (directory.join("access \n\u{2603}.log"), TestSink::default());
    let build = || machine.pipeline().tail(&log).sink("memory", sink.clone());
    fs::write(&log, line(200, 1)).unwrap();
    run_to_end(build()).await.unwrap();
    fs::write(&log, line(200, 1) + &line(200, 2)).unwrap();
    fs::rename(&log, directory.join("access \n\u{2603}.log.1")).unwrap();
    fs::write(&log, line(404, 3)).unwrap();
    run_to_end(build()).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 3), ("404", 1, 3)]));

    // Its rotated files could not be told from others.
    let error =
        build().tail(machine.0.path().join(OsStr::from_bytes(b"access-\xff.log"))).build().unwrap_err();
    let expected = r#"tail: ".*access-\xFF.log", expected a path whose last part is UTF-8, as rotated files are found by their names"#;
    let (start, end) = expected.split_once(".*").unwrap();
    let text = error.to_string();
    assert!(text.starts_with(start) && text.ends_with(end), "{text}");
}
