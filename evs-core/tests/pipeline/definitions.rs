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
    let error = changed(false).build().unwrap_err();
    assert!(error.to_string().contains("window 60s -> 3600s"), "{error}");
    machine.append(&line(200, 1));
    // The pipeline takes it; the sink has a table for the old definition, and says so.
    let error = run_to_end(changed(true)).await.unwrap_err();
    assert!(matches!(error, Error::SinkStopped { .. }), "{error:?}");
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
