//! The life of a service beside its pipeline: it spawns it, shows its status, and names things as it likes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    future::{Future, pending},
    os::unix::fs::PermissionsExt,
    path::Path,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use evs_core::{
    Batch, Epoch, Error, KeyColumn, LogFormat, MeasureColumn, MeasureKind, MemorySink, Pipeline,
    PipelineBuilder, Progress, Rows, Schema, Sink, Statistic, arg, count,
};
use serde_json::json;
use tokio::sync::oneshot;

const LINE: &str = "::1 - - [21/Nov/2026:13:25:22 +0000] \"GET /ad?c=spring HTTP/1.1\" 200 5\n";

fn builder(directory: &Path, source: &str, sink: &str, store: &MemorySink) -> PipelineBuilder {
    let statistic = Statistic::named("ad_events")
        .group_by(("status", arg("c").named("campaign")))
        .measure(count())
        .flush_every(Duration::from_millis(10));
    Pipeline::builder(source)
        .tail(directory.join("access.log"))
        .format(LogFormat::common())
        .statistic(statistic)
        .sink(sink, store.clone())
        .state_dir(directory.join("state"))
}

/// The answer of a future that nothing drives but this.
fn poll_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn outside_of_tokio_there_is_an_error_and_no_panic() {
    let directory = tempfile::tempdir().unwrap();
    let store = MemorySink::new();
    let build = || builder(directory.path(), "web1", "memory", &store);
    assert!(matches!(poll_once(build().build_async()), Err(Error::NoRuntime)));
    let pipeline = Arc::new(build().build().unwrap());
    assert!(matches!(pipeline.spawn(pending()), Err(Error::NoRuntime)));
    assert!(matches!(poll_once(pipeline.run(pending())), Err(Error::NoRuntime)));
    assert!(matches!(poll_once(pipeline.run_to_end(pending())), Err(Error::NoRuntime)));
    // It was not run: it still can be.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    fs::write(directory.path().join("access.log"), LINE).unwrap();
    assert_eq!(runtime.block_on(pipeline.run_to_end(pending())).unwrap().lines, 1);
}

#[tokio::test]
async fn a_spawned_pipeline_runs_beside_its_service_until_it_is_told_to_stop() {
    let directory = tempfile::tempdir().unwrap();
    let store = MemorySink::new();
    fs::write(directory.path().join("access.log"), LINE.repeat(3)).unwrap();
    let pipeline = builder(directory.path(), "web1", "memory", &store).build_async().await.unwrap();
    let (pipeline, (stop, stopped)) = (Arc::new(pipeline), oneshot::channel::<()>());
    let run = pipeline.spawn(async { drop(stopped.await) }).unwrap();
    while pipeline.status().sinks[0].rows == 0 {
        tokio::task::yield_now().await;
    }
    drop(stop);
    let summary = run.await.unwrap().unwrap();
    assert_eq!((summary.lines, summary.is_complete), (3, true));
    let schema = Arc::clone(pipeline.schemas().next().unwrap());
    let rows = store.totals(&schema, i64::MIN..i64::MAX).await.unwrap();
    let rows: Vec<_> = rows.iter().map(|row| (row.keys, row.values)).collect();
    assert_eq!(rows, [(vec![&b"200"[..], b"spring"], vec![Some(3)])]);
}

#[test]
fn sources_and_sinks_may_be_named_like_hosts() {
    for (source, sink, is_good) in [
        ("Web1.example.org", "reports.EU", true),
        ("_web", "-", true),
        (".hidden", "memory", false),
        ("web1", "..", false),
        ("web 1", "memory", false),
        ("web1", "a/b", false),
        ("wéb1", "memory", false),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let built = builder(directory.path(), source, sink, &MemorySink::new()).build();
        assert_eq!(built.is_ok(), is_good, "{source} {sink}: {built:?}");
    }
}

#[tokio::test]
async fn the_longest_durations_are_as_good_as_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("access.log"), LINE.repeat(3)).unwrap();
    let statistic = Statistic::named("seldom").measure(count()).flush_every(Duration::MAX);
    let pipeline = builder(directory.path(), "web1", "memory", &MemorySink::new())
        .statistic(statistic)
        .grace(Duration::MAX)
        .poll_every(Duration::MAX)
        .sink_timeout(Duration::MAX)
        .drain_timeout(Duration::MAX)
        .build()
        .unwrap();
    let pipeline = Arc::new(pipeline);
    let (stop, stopped) = oneshot::channel::<()>();
    let run = pipeline.spawn(async { drop(stopped.await) }).unwrap();
    while pipeline.status().lines < 3 {
        tokio::task::yield_now().await;
    }
    drop(stop);
    let summary = run.await.unwrap().unwrap();
    assert_eq!((summary.lines, summary.is_complete), (3, true));
}

#[test]
fn impossible_statistics_and_directories_are_named_with_what_they_may_be() {
    let error = |statistic: Statistic| {
        let directory = tempfile::tempdir().unwrap();
        let store = MemorySink::new();
        let built = builder(directory.path(), "web1", "memory", &store).statistic(statistic).build();
        built.unwrap_err().to_string()
    };
    let named = || Statistic::named("requests");
    for (statistic, words) in [
        (named().measure(count().scale(3)), "scale: 3 of a count, expected 0"),
        (named().measure(count().within(0..=1)), "within: on a count, expected sum, min or max"),
        (named().measure(count()).measure(count()), "column: \"count\", expected a name that no other"),
        (
            Statistic::named("ad_events").measure(count()),
            "statistic: \"ad_events\", expected a name that no other",
        ),
    ] {
        let text = error(statistic);
        assert!(text.contains(words), "{text}");
    }
    let directory = tempfile::tempdir().unwrap();
    let root = builder(directory.path(), "web1", "memory", &MemorySink::new()).state_dir("/").build();
    assert!(
        root.unwrap_err().to_string().starts_with("state_dir: \"/\", expected a directory for evs alone")
    );
    let shared = directory.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    let built = builder(directory.path(), "web1", "memory", &MemorySink::new()).state_dir(&shared).build();
    let text = built.unwrap_err().to_string();
    assert!(text.contains("a directory of its own") && !text.contains("chmod"), "{text}");
}

#[tokio::test]
async fn a_status_and_a_summary_are_json_with_seconds() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("access.log"), LINE).unwrap();
    let pipeline = builder(directory.path(), "web1", "memory", &MemorySink::new()).build().unwrap();
    let status = serde_json::to_value(pipeline.status()).unwrap();
    assert_eq!((&status["phase"], &status["behind"]), (&json!("built"), &json!(null)));
    assert_eq!(status["sinks"][0]["last_acknowledged"], json!(null));
    let summary = serde_json::to_value(pipeline.run_to_end(pending()).await.unwrap()).unwrap();
    assert_eq!((&summary["lines"], summary["seconds"].is_f64()), (&json!(1), true));
    let status = serde_json::to_value(pipeline.status()).unwrap();
    assert_eq!((&status["phase"], &status["sinks"][0]["state"]), (&json!("ended"), &json!("up")));
    // The line is of November 2026.
    assert!(status["behind"].is_f64(), "{status}");
    assert!(status["sinks"][0]["last_acknowledged"].as_f64().unwrap() > 1.7e9, "{status}");
}

#[test]
fn a_batch_and_its_progress_are_json_to_the_last_digit() {
    let keys = vec![KeyColumn::new("campaign", "arg_c")];
    let measures = vec![MeasureColumn::new("revenue", MeasureKind::Sum, "arg_v", 2)];
    let mut rows = Rows::new(1, 1);
    rows.push(60, [&b"a\xff"[..]], &[Some(i128::MAX)]);
    rows.push(120, [&b"b"[..]], &[None]);
    let epoch = Epoch::from_bytes([7; 16]);
    let batch = Batch::new("web1", epoch, Schema::new("ad_events", 60, keys, measures), 1, rows);
    let text = serde_json::to_string(&batch).unwrap();
    let rows = concat!(
        r#""rows":[{"window_start":60,"keys":["a\\xFF"],"values":[170141183460469231731687303715884105727]},"#,
        r#"{"window_start":120,"keys":["b"],"values":[null]}]"#
    );
    assert!(text.contains(rows), "{text}");
    let progress = serde_json::to_value(Progress::after(&batch)).unwrap();
    assert_eq!(progress["epoch"], json!("07".repeat(16)));
    assert_eq!((&progress["statistic"], &progress["sequence"]), (&json!("ad_events"), &json!(1)));
}
