//! Sinks that are renamed, forgotten, taken out and added again, and statistics that are taken out.

use proptest::prelude::*;

use super::*;

/// Runs until a batch waits for a sink that is down.
async fn leave_waiting(builder: PipelineBuilder, sink: &TestSink) {
    sink.is_down.store(true, SeqCst);
    let pipeline = builder.build().unwrap();
    let cut = async { until(&pipeline, "cut", |status| status.batches > 0).await };
    let summary = pipeline.run(cut).await.unwrap();
    assert_eq!((summary.undelivered, summary.is_complete), (1, false));
    sink.is_down.store(false, SeqCst);
}

/// Returns the bytes of the binlog.
fn binlog(machine: &Machine) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(machine.state()).unwrap().map(|entry| entry.unwrap());
    let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
    let segments = entries.filter(|entry| name(entry).ends_with(".evs"));
    segments.map(|entry| (name(&entry), fs::read(entry.path()).unwrap())).collect()
}

/// A machine with one line that waits for the sink `reports`, and that sink.
async fn waiting() -> (Machine, TestSink) {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    leave_waiting(machine.pipeline().sink("reports", sink.clone()), &sink).await;
    (machine, sink)
}

#[tokio::test]
async fn a_sink_with_waiting_batches_that_is_not_configured_is_refused_and_nothing_is_changed() {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let begun = now();
    let (machine, sink) = waiting().await;
    let before = binlog(&machine);
    let error = machine.pipeline().sink("pg", sink.clone()).build().unwrap_err();
    let Error::UndeliveredSink { sink: name, renamed_to, batches, rows, since } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((name.as_str(), renamed_to, *batches, *rows), ("reports", &None, 1, 1));
    let since = u64::try_from(since.unwrap()).unwrap();
    assert!((begun..=now()).contains(&since), "{since}");
    for text in [
        "1 batches with 1 rows wait for sink reports since 20",
        r#".sink("pg", s).formerly("reports")"#,
        r#".forget_sink("reports")"#,
    ] {
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(binlog(&machine), before);
    let error = machine.pipeline().sink("pg", sink.clone()).build_async().await.unwrap_err();
    assert!(matches!(error, Error::UndeliveredSink { .. }), "{error:?}");
    // The old name gets them.
    let summary = run_to_end(machine.pipeline().sink("reports", sink.clone())).await.unwrap();
    assert_eq!((summary.undelivered, summary.is_complete), (0, true));
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 1)]));
}

#[tokio::test]
async fn a_renamed_sink_gets_what_waits_for_its_former_name_once() {
    let (machine, sink) = waiting().await;
    let renamed = || machine.pipeline().sink("pg", sink.clone()).formerly("reports");
    machine.append(&line(200, 2));
    assert!(run_to_end(renamed()).await.unwrap().is_complete);
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 3)]));
    // The line may stay, and go.
    machine.append(&line(200, 4));
    assert!(run_to_end(renamed()).await.unwrap().is_complete);
    machine.append(&line(200, 8));
    assert!(run_to_end(machine.pipeline().sink("pg", sink.clone())).await.unwrap().is_complete);
    // The same in the other direction, while a batch waits.
    machine.append(&line(200, 16));
    leave_waiting(renamed(), &sink).await;
    let back = machine.pipeline().sink("reports", sink.clone()).formerly("oldest").formerly("pg");
    assert!(run_to_end(back).await.unwrap().is_complete);
    assert_eq!(totals(&sink, "requests").await, of([("200", 5, 31)]));
}

#[tokio::test]
async fn a_new_sink_may_have_a_former_name_that_nobody_knows() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    let builder = machine.pipeline().sink("pg", sink.clone()).formerly("reports").forget_sink("archive");
    assert!(run_to_end(builder).await.unwrap().is_complete);
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 1)]));
}

#[tokio::test]
async fn the_batches_of_a_sink_are_given_up_by_its_name() {
    let (machine, sink) = waiting().await;
    let other = TestSink::default();
    let forget = || machine.pipeline().sink("pg", other.clone()).forget_sink("reports");
    machine.append(&line(200, 2));
    for _ in 0..2 {
        let summary = run_to_end(forget()).await.unwrap();
        assert_eq!((summary.undelivered, summary.is_complete), (0, true));
    }
    assert_eq!(totals(&other, "requests").await, of([("200", 1, 2)]));
    assert!(sink.applied().is_empty());
}

#[tokio::test]
async fn two_known_names_become_one_when_nothing_waits_for_the_former() {
    let (machine, sink) = waiting().await;
    let other = TestSink::default();
    let both = || machine.pipeline().sink("reports", sink.clone()).sink("pg", other.clone());
    machine.append(&line(200, 2));
    sink.is_down.store(true, SeqCst);
    let pipeline = both().build().unwrap();
    let delivered = async { until(&pipeline, "delivered", |status| status.sinks[1].batches > 0).await };
    assert_eq!(pipeline.run(delivered).await.unwrap().undelivered, 2);
    drop(pipeline);
    sink.is_down.store(false, SeqCst);

    let one = || machine.pipeline().sink("pg", other.clone()).formerly("reports");
    let error = one().build().unwrap_err();
    let Error::UndeliveredSink { sink: name, renamed_to, batches: 2, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((name.as_str(), renamed_to.as_deref()), ("reports", Some("pg")));
    assert!(error.to_string().contains("configure reports beside pg"), "{error}");
    assert!(error.to_string().contains(r#".forget_sink("reports")"#), "{error}");
    // The one way out.
    let copy = machine.copy();
    let forget = copy.pipeline().sink("pg", other.clone()).forget_sink("reports");
    assert!(run_to_end(forget).await.unwrap().is_complete);
    // The other one.
    assert!(run_to_end(both()).await.unwrap().is_complete);
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 3)]));
    assert!(run_to_end(one()).await.unwrap().is_complete);
}

#[tokio::test]
async fn names_that_contradict_each_other_are_refused() {
    let machine = Machine::new();
    let sink = MemorySink::new;
    let base = || machine.pipeline();
    for (label, builder, setting) in [
        ("no sink yet", base().formerly("old").sink("a", sink()), "formerly: \"old\""),
        ("its own name", base().sink("a", sink()).formerly("a"), "formerly: \"a\""),
        ("another's", base().sink("a", sink()).formerly("b").sink("b", sink()), "formerly: \"b\""),
        (
            "two sinks",
            base().sink("a", sink()).formerly("old").sink("b", sink()).formerly("old"),
            "formerly: \"old\"",
        ),
        ("no name", base().sink("a", sink()).formerly(""), "formerly: \"\""),
        ("configured", base().sink("a", sink()).forget_sink("a"), "forget_sink: \"a\""),
        ("both", base().sink("a", sink()).formerly("old").forget_sink("old"), "forget_sink: \"old\""),
    ] {
        let error = builder.build().unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{label}: {error:?}");
        assert!(error.to_string().starts_with(setting), "{label}: {error}");
    }
}

#[tokio::test]
async fn a_sink_that_comes_back_goes_on_where_its_store_stands() {
    let (machine, sink, other) = (Machine::new(), TestSink::default(), TestSink::default());
    machine.append(&line(200, 1));
    run_to_end(machine.pipeline().sink("reports", sink.clone())).await.unwrap();
    machine.append(&line(200, 2));
    leave_waiting(machine.pipeline().sink("reports", sink.clone()), &sink).await;
    machine.append(&line(200, 4));
    let without = machine.pipeline().sink("other", other.clone()).forget_sink("reports");
    assert!(run_to_end(without).await.unwrap().is_complete);
    // The batches that it lacks are still there, those that were given up too.
    let back = machine.pipeline().sink("archive", sink.clone()).sink("other", other.clone());
    assert!(run_to_end(back).await.unwrap().is_complete);
    assert_eq!(totals(&sink, "requests").await, of([("200", 3, 7)]));
    assert_eq!(totals(&other, "requests").await, of([("200", 1, 4)]));
}

#[tokio::test]
async fn a_sink_that_comes_back_too_late_goes_on_under_another_source_name() {
    let (machine, sink, other) = (Machine::new(), TestSink::default(), TestSink::default());
    let small = || machine.pipeline().segment_bytes_max(4096).keep_acknowledged(Duration::ZERO);
    machine.append(&line(200, 1));
    run_to_end(small().sink("reports", sink.clone()).sink("other", other.clone())).await.unwrap();
    for _ in 0..20 {
        machine.append(&line(200, 1));
        run_to_end(small().sink("other", other.clone())).await.unwrap();
    }
    assert!(!binlog(&machine).keys().any(|name| name.ends_with("01.evs")), "the first batches are gone");
    let back = || small().sink("reports", sink.clone()).sink("other", other.clone());
    let error = run_to_end(back()).await.unwrap_err();
    let Error::SinkStopped { source: SinkError::TooOld { applied: 1, .. }, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(error.to_string().contains("`cloned_from`"), "{error}");
    machine.append(&line(200, 100));
    let new = Pipeline::builder("web1-2")
        .tail(machine.log())
        .format(LogFormat::common())
        .statistic(by_status("requests"))
        .state_dir(machine.0.path().join("new"))
        .cloned_from(machine.state(), evs_core::Undelivered::Deliver)
        .sink("reports", sink.clone())
        .sink("other", other.clone());
    assert!(run_to_end(new).await.unwrap().is_complete);
    assert_eq!(totals(&other, "requests").await, of([("200", 22, 121)]));
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 101)]), "without the batches that were gone");
}

#[tokio::test]
async fn an_emptied_store_begins_again_under_another_name() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    run_to_end(machine.pipeline().sink("reports", sink.clone())).await.unwrap();
    machine.append(&line(200, 2));
    leave_waiting(machine.pipeline().sink("reports", sink.clone()), &sink).await;
    sink.replace(MemorySink::new());
    let error = run_to_end(machine.pipeline().sink("reports", sink.clone())).await.unwrap_err();
    assert!(error.to_string().contains("forget_sink"), "{error}");
    machine.append(&line(200, 4));
    let begin = machine.pipeline().sink("again", sink.clone()).forget_sink("reports");
    assert!(run_to_end(begin).await.unwrap().is_complete);
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 4)]));
}

#[tokio::test]
async fn batches_of_a_statistic_that_was_taken_out_are_delivered() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    sink.is_down.store(true, SeqCst);
    let pipeline =
        machine.pipeline().statistic(by_status("other")).sink("reports", sink.clone()).build().unwrap();
    let cut = async { until(&pipeline, "cut", |status| status.batches >= 2).await };
    assert_eq!(pipeline.run(cut).await.unwrap().undelivered, 2);
    drop(pipeline);
    sink.is_down.store(false, SeqCst);
    machine.append(&line(200, 2));
    // Under another name of the sink, too.
    let without = machine.pipeline().sink("pg", sink.clone()).formerly("reports");
    assert!(run_to_end(without).await.unwrap().is_complete);
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 3)]));
    assert_eq!(totals(&sink, "other").await, of([("200", 1, 1)]));
}

/// A change of the first of two sinks, after which the pipeline runs.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// It has this one of its names, and is up or down.
    Configured { name: usize, is_up: bool },
    /// It is not configured. If batches wait for it, it is to be forgotten.
    Gone,
}

const NAMES: [&str; 3] = ["reports", "pg", "stats"];

/// Makes the changes, with a line before each run. In the end both sinks have every line once: a sink that comes back
/// gets the batches that were given up, since the binlog still has them.
async fn change(changes: &[Change]) {
    let (machine, sink, other) = (Machine::new(), TestSink::default(), TestSink::default());
    let named = |name: usize| {
        let builder = machine.pipeline().drain_timeout(Duration::from_millis(50));
        let former = NAMES.iter().filter(|former| **former != NAMES[name]);
        former.fold(builder.sink(NAMES[name], sink.clone()), |builder, former| builder.formerly(*former))
    };
    machine.append(&line(200, 1));
    run_to_end(named(0).sink("other", other.clone())).await.unwrap();
    let (mut known, mut waits) = (Some(0), false);
    for change in changes {
        machine.append(&line(200, 1));
        let without = match *change {
            Change::Configured { name, is_up } => {
                known = Some(name);
                sink.is_down.store(!is_up, SeqCst);
                let pipeline = named(name).sink("other", other.clone()).build().unwrap();
                let shutdown = async {
                    until(&pipeline, "delivered", |status| status.sinks[1].batches > 0).await;
                    if is_up {
                        pending::<()>().await;
                    }
                };
                let summary = pipeline.run_to_end(shutdown).await.unwrap();
                waits = summary.undelivered > 0;
                assert!(!is_up || !waits);
                continue;
            }
            Change::Gone => machine.pipeline().sink("other", other.clone()),
        };
        let Some(name) = known.take().filter(|_| waits) else {
            run_to_end(without).await.unwrap();
            continue;
        };
        let error = without.build().unwrap_err();
        assert!(
            matches!(&error, Error::UndeliveredSink { sink, .. } if sink == NAMES[name]),
            "{error:?}, {name}"
        );
        waits = false;
        let forget = machine.pipeline().sink("other", other.clone()).forget_sink(NAMES[name]);
        run_to_end(forget).await.unwrap();
    }
    sink.is_down.store(false, SeqCst);
    assert!(run_to_end(named(1).sink("other", other.clone())).await.unwrap().is_complete);
    let all = 1 + changes.len() as i128;
    assert_eq!(totals(&other, "requests").await, of([("200", all, all)]));
    assert_eq!(totals(&sink, "requests").await, of([("200", all, all)]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]

    #[test]
    fn no_change_of_names_loses_or_doubles_a_line(changes in prop::collection::vec(
        prop_oneof![
            3 => (0_usize..3, any::<bool>()).prop_map(|(name, is_up)| Change::Configured { name, is_up }),
            1 => Just(Change::Gone),
        ],
        1..10,
    )) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(change(&changes));
    }
}
