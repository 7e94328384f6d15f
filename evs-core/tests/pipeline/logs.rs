//! A pipeline that follows many logs.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use evs_core::{
    Begin, Error, LogFormat, LostState, Pipeline, PipelineBuilder, Schema, Statistic, count, log_path, sum,
};

use crate::pipeline_support::{Machine, TestSink, run_to_end, totals_by_key, until};

/// The number of logs: more than those whose positions are written as a whole.
const LOGS: usize = 40;

fn path(machine: &Machine, log: usize) -> PathBuf {
    machine.0.path().join(format!("logs/{log:02}.access.log"))
}

fn append(path: &Path, lines: std::ops::Range<usize>, name: &str) {
    let mut log = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    for line in lines {
        writeln!(log, "::1 - - [21/Nov/2026:13:25:22 +0000] \"GET /{name} HTTP/1.1\" 200 {line}").unwrap();
    }
}

fn statistic(name: &str, flush: Duration) -> Statistic {
    Statistic::named(name)
        .window(Duration::from_secs(3600))
        .flush_every(flush)
        .group_by(["request_uri"])
        .measure(count())
        .measure(sum("body_bytes_sent"))
}

fn builder(machine: &Machine, sink: &TestSink) -> PipelineBuilder {
    Pipeline::builder("web1")
        .tail(machine.0.path().join("logs/*.access.log"))
        .format(LogFormat::common())
        .statistic(statistic("often", Duration::from_millis(20)))
        .statistic(statistic("seldom", Duration::from_secs(60)))
        .sink("memory", sink.clone())
        .state_dir(machine.state())
        .poll_every(Duration::from_millis(10))
}

fn schema() -> Schema {
    let built = builder(&Machine::new(), &TestSink::default()).build().unwrap();
    built.schemas().next().unwrap().as_ref().clone()
}

/// The totals that each log's lines make: their number, and the sum of their sizes.
fn expected(lines: usize) -> BTreeMap<String, Vec<i128>> {
    let total = vec![lines as i128, (lines * (lines - 1) / 2) as i128];
    (0..LOGS).map(|log| (format!("/{log:02}"), total.clone())).collect()
}

#[tokio::test]
async fn many_logs_are_counted_exactly_by_one_pipeline_while_they_rotate_and_it_restarts() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    fs::create_dir(machine.0.path().join("logs")).unwrap();
    let names: Vec<String> = (0..LOGS).map(|log| format!("{log:02}")).collect();
    // Some logs appear later.
    (0..LOGS / 2).for_each(|log| append(&path(&machine, log), 0..50, &names[log]));
    run_to_end(builder(&machine, &sink)).await.unwrap();
    (LOGS / 2..LOGS).for_each(|log| append(&path(&machine, log), 0..50, &names[log]));
    run_to_end(builder(&machine, &sink)).await.unwrap();
    let pipeline = builder(&machine, &sink).build().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = pipeline.run(async {
        let _ = stopped.await;
    });
    let writing = async {
        for (log, name) in names.iter().enumerate() {
            append(&path(&machine, log), 50..80, name);
            if log % 2 == 0 {
                let rotated = machine.0.path().join(format!("logs/{log:02}.access.log.1"));
                fs::rename(path(&machine, log), rotated).unwrap();
            }
            append(&path(&machine, log), 80..100, name);
        }
        until(&pipeline, "everything was read", |status| status.lines == LOGS as u64 * 50).await;
        stop.send(()).unwrap();
    };
    let (ran, ()) = tokio::join!(running, writing);
    assert!(ran.unwrap().is_complete);
    assert_eq!(totals_by_key(&sink.store(), &schema()).await, expected(100));
    // Nothing is left, and nothing is counted again.
    let summary = run_to_end(builder(&machine, &sink)).await.unwrap();
    assert_eq!(summary.lines, 0);
    let batches = sink.applied.lock().unwrap();
    assert!(batches.last().unwrap().to.is_number(), "a batch has the number of its position");
}

#[tokio::test]
async fn the_position_in_few_logs_is_adopted_and_that_in_many_is_refused() {
    for (logs, is_adopted) in [(3, true), (LOGS, false)] {
        let (machine, sink) = (Machine::new(), TestSink::default());
        fs::create_dir(machine.0.path().join("logs")).unwrap();
        (0..logs).for_each(|log| append(&path(&machine, log), 0..10, "a"));
        run_to_end(builder(&machine, &sink)).await.unwrap();
        fs::remove_dir_all(machine.state()).unwrap();
        append(&path(&machine, 0), 10..20, "a");
        let adopted = run_to_end(builder(&machine, &sink).on_lost_state(LostState::Adopt)).await;
        match adopted {
            Ok(summary) => assert_eq!((is_adopted, summary.lines), (true, 10)),
            Err(Error::Adopt { reason }) => {
                assert!(!is_adopted && reason.contains("in the state directory alone"), "{reason}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_statistic_that_is_added_reads_the_older_files_of_every_log() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    fs::create_dir(machine.0.path().join("logs")).unwrap();
    for log in 0..3 {
        let name = format!("{log:02}");
        append(&machine.0.path().join(format!("logs/{name}.access.log.1")), 0..5, &name);
        append(&path(&machine, log), 5..10, &name);
    }
    run_to_end(builder(&machine, &sink)).await.unwrap();
    (0..3).for_each(|log| append(&path(&machine, log), 10..12, &format!("{log:02}")));
    let added = statistic("added", Duration::from_secs(1)).begin(Begin::Oldest);
    run_to_end(builder(&machine, &sink).statistic(added)).await.unwrap();
    let mut schema = schema();
    schema.statistic = "added".to_owned();
    let total = vec![12, 66];
    let expected: BTreeMap<_, _> = (0..3).map(|log| (format!("/{log:02}"), total.clone())).collect();
    assert_eq!(totals_by_key(&sink.store(), &schema).await, expected);
}

#[test]
fn a_bad_pattern_is_refused_at_build_with_its_place() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let error = builder(&machine, &sink).tail("/var/log/nginx/[a.log").build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "tail: \"/var/log/nginx/[a.log\", column 16: invalid range pattern, expected the path of a log, or a pattern \
         such as /var/log/nginx/*.access.log"
    );
}

#[tokio::test]
async fn the_path_of_the_log_is_a_key_and_older_files_have_that_of_their_log() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    for log in 0..3 {
        fs::create_dir_all(path(&machine, log).parent().unwrap()).unwrap();
        append(&path(&machine, log), 0..10, "old");
        fs::rename(path(&machine, log), path(&machine, log).with_extension("log.1")).unwrap();
        append(&path(&machine, log), 10..15, "new");
    }
    let site = || log_path().replace(r"^.*/(.*)\.access\.log$", "$1").named("site");
    let build = |begin| {
        let sites = Statistic::named("sites").group_by([site()]).measure(count()).begin(Begin::Oldest);
        let builder = builder(&machine, &sink).begin(Begin::Oldest);
        if begin { builder.statistic(sites) } else { builder }
    };
    assert_eq!(run_to_end(build(false)).await.unwrap().lines, 45);
    // The new statistic reads the older files by itself.
    append(&path(&machine, 1), 15..17, "newest");
    assert!(run_to_end(build(true)).await.unwrap().is_complete);
    let built = build(true).build().unwrap();
    let schema = built.schemas().find(|schema| schema.statistic == "sites").unwrap();
    let totals = totals_by_key(&sink, schema).await;
    let expected = [("00", 15), ("01", 17), ("02", 15)].map(|(site, count)| (site.to_owned(), vec![count]));
    assert_eq!(totals, BTreeMap::from(expected));
}
