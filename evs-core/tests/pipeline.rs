//! Whole pipelines into sinks in memory: outages, lost state, and what else may happen between runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    future::pending,
    io,
    ops::Range,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use evs_core::{
    Applied, Batch, Error, Limits, LogFormat, LostState, MemorySink, Pipeline, PipelineBuilder, Progress,
    Rows, Schema, Sink, SinkError, SinkStart, SinkState, Statistic, Writer, count, sum,
};

/// A sink whose store outlives the pipeline, and which can be away, or refuse.
#[derive(Clone, Debug, Default)]
struct TestSink {
    store: Arc<Mutex<MemorySink>>,
    is_down: Arc<AtomicBool>,
    refuses: Arc<AtomicBool>,
    applied: Arc<AtomicU64>,
    /// Down for batches of the statistic `many` with a higher sequence, if set.
    down_after: Arc<Mutex<Option<u64>>>,
    /// How long it takes to apply a batch.
    takes: Arc<Mutex<Duration>>,
}

impl TestSink {
    fn store(&self) -> MemorySink {
        self.store.lock().unwrap().clone()
    }

    /// Its tables are emptied, while it runs.
    fn forget(&self) {
        *self.store.lock().unwrap() = MemorySink::new();
    }

    fn check(&self) -> Result<(), SinkError> {
        if self.refuses.load(SeqCst) {
            return Err(SinkError::refused("no"));
        }
        if self.is_down.load(SeqCst) {
            return Err(SinkError::unavailable("connecting", "refused"));
        }
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Sink for TestSink {
    fn limits(&self) -> Limits {
        self.store().limits()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        self.check()?;
        self.store().prepare(schema).await
    }
    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        self.check()?;
        self.store().progress(source).await
    }
    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        self.check()?;
        self.store().begin(progress).await
    }
    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        self.check()?;
        self.store().writer(source).await
    }
    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        self.check()?;
        self.store().claim(writer, last).await
    }
    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        self.check()?;
        let down_after = *self.down_after.lock().unwrap();
        if batch.statistic() == "many" && down_after.is_some_and(|last| batch.sequence > last) {
            return Err(SinkError::unavailable("applying", "refused"));
        }
        let takes = *self.takes.lock().unwrap();
        tokio::time::sleep(takes).await;
        let applied = self.store().apply(batch).await?;
        self.applied.fetch_add(u64::from(applied == Applied::Now), SeqCst);
        Ok(applied)
    }
    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        self.store().sweep(schema, before).await
    }

    async fn close(&self) -> Result<(), SinkError> {
        self.store().close().await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        self.store().totals(schema, windows).await
    }
}

/// A directory with a log and a state directory.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn log(&self) -> PathBuf {
        self.0.path().join("access.log")
    }
    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }
    fn append(&self, lines: &str) {
        use std::io::Write;
        let mut log = fs::OpenOptions::new().append(true).create(true).open(self.log()).unwrap();
        log.write_all(lines.as_bytes()).unwrap();
    }
    fn pipeline(&self) -> PipelineBuilder {
        Pipeline::builder("web1")
            .tail(self.log())
            .format(LogFormat::common())
            .statistic(by_status("requests"))
            .state_dir(self.state())
            .drain_timeout(Duration::from_millis(300))
    }
}

fn by_status(name: &str) -> Statistic {
    let statistic = Statistic::named(name).group_by(["status"]).flush_every(Duration::from_millis(20));
    statistic.measure(count()).measure(sum("body_bytes_sent"))
}

fn line(status: u16, bytes: u64) -> String {
    format!("::1 - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" {status} {bytes}\n")
}

/// Runs to the end of the log.
async fn count_all(builder: PipelineBuilder) -> Result<evs_core::Summary, Error> {
    builder.build()?.run_to_end(pending()).await
}

/// By status: lines and bytes.
async fn totals(sink: &TestSink, statistic: &str) -> BTreeMap<String, (i128, i128)> {
    let place = Place::new();
    let pipeline = place.pipeline().sink("none", MemorySink::new()).build().unwrap();
    let schema = Schema::clone(pipeline.schemas().next().unwrap());
    let mut schema = schema;
    schema.statistic = statistic.to_owned();
    let rows = sink.totals(&schema, i64::MIN..i64::MAX).await.unwrap();
    let mut totals = BTreeMap::<_, (i128, i128)>::new();
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        let key = String::from_utf8(row.keys[0].to_vec()).unwrap();
        let total = totals.entry(key).or_insert((0, 0));
        *total = (total.0 + row.values[0].unwrap(), total.1 + row.values[1].unwrap());
    }
    totals
}

fn of<const N: usize>(rows: [(&str, i128, i128); N]) -> BTreeMap<String, (i128, i128)> {
    rows.into_iter().map(|(status, lines, bytes)| (status.to_owned(), (lines, bytes))).collect()
}

/// Waits until the pipeline's status is as expected; fails if it never is.
async fn until(pipeline: &Pipeline, what: &str, is_so: impl Fn(&evs_core::Status) -> bool) {
    let started = std::time::Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        if is_so(&pipeline.status()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never {what}: {:#?}", pipeline.status());
}

#[tokio::test]
async fn a_second_run_goes_on_where_the_first_ended() {
    let (place, sink) = (Place::new(), TestSink::default());
    place.append(&(line(200, 10) + &line(404, 1) + "::1 - - [21/Nov/2026"));
    let summary = count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    assert_eq!((summary.lines, summary.rejected, summary.is_complete), (2, 0, true));
    place.append(&(":13:25:23 +0000] \"GET / HTTP/1.1\" 200 5\n\nnonsense\n".to_owned() + &line(200, 7)));
    let summary = count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    assert_eq!((summary.lines, summary.rejected), (4, 2));
    assert_eq!(totals(&sink, "requests").await, of([("200", 3, 22), ("404", 1, 1)]));
    let summary = count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    assert_eq!((summary.lines, summary.batches), (0, 0), "nothing new, nothing cut");
}

#[tokio::test]
async fn rejected_lines_are_kept_with_their_place_and_reason() {
    let (place, sink) = (Place::new(), TestSink::default());
    place.append(&(line(200, 10) + "nonsense \u{1}\n" + &line(200, 10).replace("21/Nov", "31/Feb")));
    count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    let rejected = fs::read_to_string(place.state().join("rejected-0.jsonl")).unwrap();
    let rejected: Vec<serde_json::Value> =
        rejected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rejected.len(), 2);
    assert_eq!(rejected[0]["line"], "nonsense \u{1}");
    assert_eq!(rejected[0]["offset"], line(200, 10).len());
    assert!(rejected[0]["file"].as_str().unwrap().ends_with("access.log"));
    assert_eq!(rejected[1]["column"], 10);
}

#[tokio::test]
async fn positions_never_go_back_when_one_statistic_is_behind_another() {
    let (place, sink) = (Place::new(), TestSink::default());
    place.append(&(line(200, 1) + "nonsense\n" + &line(200, 2)));
    let build = || {
        let seldom = by_status("seldom").flush_every(Duration::from_secs(3600));
        place.pipeline().statistic(seldom).sink("memory", sink.clone()).build().unwrap()
    };
    // Each run cuts what it finds at once, and dies when `requests` is cut again and `seldom` is not; so from the
    // second on, `requests` is ahead at the start.
    for run in 0..4_u64 {
        let pipeline = build();
        let drive = async {
            let found = if run == 0 { 2 } else { 1 };
            until(&pipeline, "caught up", |status| status.sinks[0].batches == found).await;
            place.append(&line(200, 4));
            until(&pipeline, "cut", |status| status.sinks[0].batches == found + 1).await;
        };
        tokio::select! {
            () = drive => {}
            ended = pipeline.run(pending()) => panic!("{ended:?}"),
        }
        drop(pipeline);
        // The thread that writes holds the lock until it has ended.
        while matches!(place.pipeline().sink("memory", sink.clone()).build(), Err(Error::Locked { .. })) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let summary = build().run_to_end(pending()).await.unwrap();
    assert_eq!((summary.lines, summary.rejected), (0, 0), "all of it was counted before");
    assert_eq!(totals(&sink, "requests").await, of([("200", 6, 19)]));
    assert_eq!(totals(&sink, "seldom").await, of([("200", 6, 19)]));
    let rejected = fs::read_to_string(place.state().join("rejected-0.jsonl")).unwrap();
    assert_eq!(rejected.lines().count(), 1, "{rejected}");
}

#[tokio::test]
async fn a_run_that_dies_before_its_statistics_are_due_has_counted_what_was_there() {
    let (place, sink) = (Place::new(), TestSink::default());
    place.append(&line(200, 3));
    let build = || {
        let seldom = by_status("seldom").flush_every(Duration::from_secs(3600));
        place.pipeline().statistic(seldom).sink("memory", sink.clone()).build().unwrap()
    };
    let pipeline = build();
    tokio::select! {
        () = until(&pipeline, "cut", |status| status.sinks[0].batches == 2) => {}
        ended = pipeline.run(pending()) => panic!("{ended:?}"),
    }
    drop(pipeline);
    while matches!(place.pipeline().sink("memory", sink.clone()).build(), Err(Error::Locked { .. })) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let summary = build().run_to_end(pending()).await.unwrap();
    assert_eq!(summary.lines, 0, "it was counted by the run that died");
    assert_eq!(totals(&sink, "seldom").await, of([("200", 1, 3)]));
}

#[tokio::test]
async fn a_statistic_is_cut_after_so_many_bytes_of_the_log() {
    let (place, sink) = (Place::new(), TestSink::default());
    let lines = line(200, 1).repeat(1000);
    let count = (4 << 20) / lines.len();
    (0..count).for_each(|_| place.append(&lines));
    let seldom = by_status("seldom").flush_every(Duration::from_secs(3600));
    let builder = place.pipeline().statistic(seldom).cut_bytes_max(1 << 20).sink("memory", sink.clone());
    let summary = count_all(builder).await.unwrap();
    // Two statistics; a cut waits for the one before the last.
    assert!(summary.batches >= 4, "{summary:?}");
    assert_eq!(totals(&sink, "seldom").await["200"].0, count as i128 * 1000);
}

#[tokio::test]
async fn after_a_process_that_was_killed_the_first_cut_comes_early() {
    let place = Place::new();
    let long = format!("{}{}", "x".repeat(8000), line(200, 1));
    (0..10).for_each(|_| place.append(&long.repeat(900)));
    let seldom = || by_status("seldom").flush_every(Duration::from_secs(3600));
    let batches = async |state: &str| {
        let sink = TestSink::default();
        let builder = place.pipeline().statistic(seldom()).state_dir(place.0.path().join(state));
        count_all(builder.sink("memory", sink.clone())).await.unwrap();
        assert_eq!(totals(&sink, "seldom").await, of([("200", 9000, 9000)]));
        let progress = sink.progress("web1").await.unwrap();
        progress.iter().find(|progress| progress.statistic == "seldom").unwrap().sequence
    };
    fs::create_dir(place.0.path().join("killed")).unwrap();
    fs::write(place.0.path().join("killed/lock"), "process 1 on host web1\n").unwrap();
    assert_eq!((batches("undisturbed").await, batches("killed").await), (1, 2));
}

/// A place whose pipeline was ended when the sink had the first of two batches of one cut, and that statistic.
async fn within_a_cut(sink: &TestSink) -> (Place, Statistic) {
    let place = Place::new();
    place.append(&(0..140_000).map(|bytes| line(200, bytes)).collect::<String>());
    let many = Statistic::named("many").group_by(["body_bytes_sent"]);
    let many = many.measure(count()).measure(sum("body_bytes_sent")).flush_every(Duration::from_secs(3600));
    *sink.down_after.lock().unwrap() = Some(1);
    let pipeline = place.pipeline().statistic(many.clone()).sink("memory", sink.clone()).build().unwrap();
    let down = async || until(&pipeline, "down", |status| status.sinks[0].retries > 0).await;
    let summary = pipeline.run_to_end(down()).await.unwrap();
    assert_eq!((summary.lines, summary.undelivered), (140_000, 1), "{summary:?}");
    *sink.down_after.lock().unwrap() = None;
    (place, many)
}

#[tokio::test]
async fn a_cut_of_many_rows_is_delivered_in_pieces_and_each_of_them_once() {
    let sink = TestSink::default();
    let (place, many) = within_a_cut(&sink).await;
    let pipeline = place.pipeline().statistic(many).sink("memory", sink.clone()).build().unwrap();
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
    let (place, many) = within_a_cut(&sink).await;
    fs::remove_dir_all(place.state()).unwrap();
    let adopt = |many| place.pipeline().statistic(many).sink("memory", sink.clone());
    let error = count_all(adopt(many.clone())).await.unwrap_err();
    assert!(error.to_string().contains("counted up to a place within a cut"), "{error}");
    let error = count_all(adopt(many.clone()).on_lost_state(LostState::Adopt)).await.unwrap_err();
    assert!(error.to_string().contains("has a part of the last cut"), "{error}");
    // Nor after another process has claimed the source and delivered nothing.
    let last = sink.writer("web1").await.unwrap();
    let claimed = Writer::this_process("web1", evs_core::Epoch::from_bytes([7; 16]));
    let claimed = Writer { fence: last.as_ref().map_or(0, |last| last.fence) + 1, ..claimed };
    assert!(sink.claim(&claimed, last.as_ref()).await.unwrap());
    fs::remove_dir_all(place.state()).unwrap();
    let error = count_all(adopt(many.clone()).on_lost_state(LostState::Adopt)).await.unwrap_err();
    assert!(error.to_string().contains("has a part of the last cut"), "{error}");
    // The way out where the state is gone for good: to count again.
    fs::remove_dir_all(place.state()).unwrap();
    let summary = count_all(adopt(many).on_lost_state(LostState::StartOver)).await.unwrap();
    assert_eq!(summary.lines, 140_000);
}

#[tokio::test]
async fn a_call_that_takes_too_long_gets_more_time_when_it_is_made_again() {
    let (place, sink) = (Place::new(), TestSink::default());
    place.append(&line(200, 1));
    *sink.takes.lock().unwrap() = Duration::from_millis(300);
    let builder = place.pipeline().sink("memory", sink.clone()).sink_timeout(Duration::from_millis(100));
    // Ends the test if it never comes to that.
    let deadline = tokio::time::sleep(Duration::from_secs(60));
    let summary = builder.build().unwrap().run_to_end(deadline).await.unwrap();
    assert_eq!((summary.undelivered, sink.applied.load(SeqCst)), (0, 1));
}

#[tokio::test]
async fn a_sink_that_is_away_gets_everything_when_it_returns() {
    let (place, sink) = (Place::new(), TestSink::default());
    sink.is_down.store(true, SeqCst);
    let other = TestSink::default();
    let pipeline = place.pipeline().sink("away", sink.clone()).sink("there", other.clone()).build().unwrap();
    let drive = async {
        for written in 1..=20 {
            place.append(&line(200, 1));
            until(&pipeline, "delivered", |status| status.sinks[1].batches >= written).await;
        }
        until(&pipeline, "down", |status| status.sinks[0].state == SinkState::Down).await;
        let status = pipeline.status();
        assert!(status.sinks[0].waiting >= 19 && status.sinks[0].retries > 0, "{status:#?}");
        assert_eq!(status.sinks[0].last_error.as_deref(), Some("connecting: refused"));
        sink.is_down.store(false, SeqCst);
        until(&pipeline, "caught up", |status| status.sinks[0].waiting == 0 && status.sinks[0].batches >= 20)
            .await;
    };
    let summary = pipeline.run(drive).await.unwrap();
    assert_eq!((summary.lines, summary.is_complete), (20, true));
    for sink in [&sink, &other] {
        assert_eq!(totals(sink, "requests").await, of([("200", 20, 20)]));
    }
}

#[tokio::test]
async fn what_is_not_delivered_at_shutdown_is_delivered_at_the_next_start() {
    let (place, sink) = (Place::new(), TestSink::default());
    sink.is_down.store(true, SeqCst);
    place.append(&line(200, 1));
    let pipeline = place.pipeline().sink("memory", sink.clone()).build().unwrap();
    let drive = async { until(&pipeline, "cut", |status| status.batches > 0).await };
    let summary = pipeline.run(drive).await.unwrap();
    assert_eq!((summary.lines, summary.undelivered, summary.is_complete), (1, 1, false));
    drop(pipeline);
    sink.is_down.store(false, SeqCst);
    let summary = count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    assert_eq!((summary.lines, summary.is_complete), (0, true));
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 1)]));
}

#[tokio::test]
async fn a_sink_that_refuses_stops_alone() {
    let (place, sink, other) = (Place::new(), TestSink::default(), TestSink::default());
    place.append(&line(200, 1));
    sink.refuses.store(true, SeqCst);
    let build = || place.pipeline().sink("refuses", sink.clone()).sink("there", other.clone());
    let error = count_all(build()).await.unwrap_err();
    assert!(matches!(&error, Error::SinkStopped { sink, waiting: 1, .. } if sink == "refuses"), "{error:?}");
    assert_eq!(totals(&other, "requests").await, of([("200", 1, 1)]));
    sink.refuses.store(false, SeqCst);
    count_all(build()).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 1)]));
}

#[tokio::test]
async fn a_lost_state_directory_is_noticed_and_can_be_adopted() {
    let (place, sink) = (Place::new(), TestSink::default());
    place.append(&line(200, 1));
    count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    fs::remove_dir_all(place.state()).unwrap();
    place.append(&line(200, 2));

    let error = count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap_err();
    assert!(matches!(error, Error::ForeignState { .. }), "{error:?}");
    assert!(error.to_string().contains("LostState::Adopt"), "{error}");

    let adopt = || place.pipeline().sink("memory", sink.clone()).on_lost_state(LostState::Adopt);
    let summary = count_all(adopt()).await.unwrap();
    assert_eq!(summary.lines, 1);
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 3)]));
    // From now on the state directory knows whose place it has taken.
    place.append(&line(200, 4));
    count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 3, 7)]));
}

#[tokio::test]
async fn starting_over_counts_again_beside_what_is_there() {
    let (place, sink) = (Place::new(), TestSink::default());
    place.append(&line(200, 1));
    count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    fs::remove_dir_all(place.state()).unwrap();
    let builder = place.pipeline().sink("memory", sink.clone()).on_lost_state(LostState::StartOver);
    count_all(builder).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 2)]));
}

#[tokio::test]
async fn a_sink_that_comes_up_with_a_foreign_state_stops_the_pipeline() {
    let (place, sink) = (Place::new(), TestSink::default());
    place.append(&line(200, 1));
    count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    fs::remove_dir_all(place.state()).unwrap();
    sink.is_down.store(true, SeqCst);
    let pipeline = place.pipeline().sink("memory", sink.clone()).build().unwrap();
    let drive = async {
        until(&pipeline, "down", |status| status.sinks[0].state == SinkState::Down).await;
        sink.is_down.store(false, SeqCst);
        pending::<()>().await;
    };
    let error = pipeline.run(drive).await.unwrap_err();
    assert!(matches!(error, Error::ForeignState { .. }), "{error:?}");
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 1)]));
}

#[tokio::test]
async fn a_sink_that_forgot_what_it_had_stops() {
    let (place, sink) = (Place::new(), TestSink::default());
    place.append(&line(200, 1));
    count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    place.append(&line(200, 1));
    let emptied = TestSink::default();
    let error = count_all(place.pipeline().sink("memory", emptied.clone())).await.unwrap_err();
    let Error::SinkStopped { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(source, SinkError::Emptied { acknowledged: 1, .. }), "{error:?}");
    assert_eq!(emptied.applied.load(SeqCst), 0);
}

#[tokio::test]
async fn a_sink_that_forgets_what_it_had_while_it_runs_stops_and_gets_nothing_again() {
    let (place, sink, other) = (Place::new(), TestSink::default(), TestSink::default());
    let pipeline =
        place.pipeline().sink("forgets", sink.clone()).sink("there", other.clone()).build().unwrap();
    let drive = async {
        place.append(&line(200, 1));
        until(&pipeline, "delivered", |status| status.sinks[0].batches == 1).await;
        sink.forget();
        place.append(&line(200, 1));
        until(&pipeline, "stopped", |status| status.sinks[0].state == SinkState::Stopped).await;
        until(&pipeline, "delivered", |status| status.sinks[1].batches == 2).await;
    };
    let summary = pipeline.run(drive).await.unwrap();
    assert_eq!((summary.undelivered, summary.is_complete), (1, false));
    assert_eq!(sink.applied.load(SeqCst), 1);
    assert_eq!(totals(&other, "requests").await, of([("200", 2, 2)]));
}

#[tokio::test]
async fn adopting_needs_a_position_for_every_statistic() {
    let (place, sink) = (Place::new(), TestSink::default());
    place.append(&line(200, 1));
    count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    fs::remove_dir_all(place.state()).unwrap();
    let adopt = || place.pipeline().sink("memory", sink.clone()).on_lost_state(LostState::Adopt);
    let error = count_all(adopt().statistic(by_status("other"))).await.unwrap_err().to_string();
    assert!(error.contains("no sink remembers statistic other"), "{error}");
    let error = count_all(adopt().sink("empty", TestSink::default())).await.unwrap_err().to_string();
    assert!(error.contains("nowhere in empty"), "{error}");
    assert_eq!(count_all(adopt()).await.unwrap().lines, 0);
}

#[tokio::test]
async fn a_statistic_that_was_taken_out_can_come_back_after_rotations() {
    let (place, sink) = (Place::new(), TestSink::default());
    let both = || place.pipeline().statistic(by_status("other")).sink("memory", sink.clone());
    place.append(&line(200, 1));
    count_all(both()).await.unwrap();
    for generation in 1..4 {
        fs::rename(place.log(), place.0.path().join(format!("old-{generation}"))).unwrap();
        let rotated = place.0.path().join("access.log.1");
        fs::rename(place.0.path().join(format!("old-{generation}")), &rotated).unwrap();
        place.append(&line(200, 1));
        count_all(place.pipeline().sink("memory", sink.clone()).grace(Duration::ZERO)).await.unwrap();
        fs::remove_file(rotated).unwrap();
    }
    place.append(&line(200, 1));
    count_all(both()).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 5, 5)]));
    let other = totals(&sink, "other").await["200"].0;
    assert!((2..=5).contains(&other), "{other}");
}

/// Long enough for lines of 2099, and too short for those of 2001.
const RETAIN: Duration = Duration::from_secs(20 * 365 * 86_400);

fn line_of(year: &str, status: u16) -> String {
    line(status, 1).replace("2026", year)
}

#[tokio::test]
async fn a_line_whose_window_is_past_its_retention_is_too_late_for_that_statistic() {
    let (place, sink) = (Place::new(), TestSink::default());
    let builder = || {
        let kept = by_status("kept").retain(RETAIN);
        place.pipeline().statistic(kept).sink("memory", sink.clone())
    };
    place.append(&(line_of("2001", 200) + "nonsense\n" + &line_of("2099", 200)));
    let summary = count_all(builder()).await.unwrap();
    assert_eq!((summary.lines, summary.rejected, summary.too_late), (3, 1, 1));
    place.append(&(line_of("2001", 404) + &line_of("2001", 404) + &line_of("2099", 404)));
    let pipeline = builder().build().unwrap();
    let summary = pipeline.run_to_end(pending()).await.unwrap();
    assert_eq!((summary.lines, summary.too_late, pipeline.status().too_late), (3, 2, 2));
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 2), ("404", 3, 3)]));
    assert_eq!(totals(&sink, "kept").await, of([("200", 1, 1), ("404", 1, 1)]));
}

#[tokio::test]
async fn windows_past_a_retention_that_is_set_later_are_swept_away() {
    let (place, sink) = (Place::new(), TestSink::default());
    place.append(&(line_of("2001", 200) + &line_of("2099", 200)));
    count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 2)]));
    let others = by_status("others");
    let builder = Pipeline::builder("web1").tail(place.log()).format(LogFormat::common());
    let builder = builder.statistic(by_status("requests").retain(RETAIN)).statistic(others);
    let pipeline = builder.sink("memory", sink.clone()).state_dir(place.state()).build().unwrap();
    let drive = async {
        place.append(&line_of("2099", 404));
        let expected = of([("200", 1, 1), ("404", 1, 1)]);
        let started = std::time::Instant::now();
        while totals(&sink, "requests").await != expected {
            assert!(started.elapsed() < Duration::from_secs(60), "not swept: {:#?}", pipeline.status());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let summary = pipeline.run(drive).await.unwrap();
    assert_eq!((summary.lines, summary.too_late, summary.is_complete), (1, 0, true));
}

#[tokio::test]
async fn a_run_to_the_end_of_no_log_is_an_error() {
    let place = Place::new();
    let error = count_all(place.pipeline().sink("memory", MemorySink::new())).await.unwrap_err();
    assert!(matches!(&error, Error::Setting { setting, .. } if setting == "tail"), "{error:?}");
}

#[tokio::test]
async fn a_file_of_rejected_lines_that_was_removed_begins_anew() {
    let (place, sink) = (Place::new(), TestSink::default());
    place.append("nonsense\n");
    count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    fs::remove_file(place.state().join("rejected-0.jsonl")).unwrap();
    place.append("more nonsense\n");
    count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    let rejected = fs::read_to_string(place.state().join("rejected-0.jsonl")).unwrap();
    assert!(rejected.starts_with('{') && rejected.contains("more nonsense"), "{rejected:?}");
}

#[tokio::test]
async fn a_changed_definition_is_refused_unless_accepted() {
    let (place, sink) = (Place::new(), TestSink::default());
    place.append(&line(200, 1));
    count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    let changed = |redefine| {
        Pipeline::builder("web1")
            .tail(place.log())
            .format(LogFormat::common())
            .statistic(by_status("requests").window(Duration::from_secs(3600)).redefine(redefine))
            .state_dir(place.state())
            .sink("memory", sink.clone())
    };
    let error = changed(false).build().unwrap_err();
    assert!(error.to_string().contains("window 60s -> 3600s"), "{error}");
    place.append(&line(200, 1));
    // The pipeline takes it; the sink has a table for the old definition, and says so.
    let error = count_all(changed(true)).await.unwrap_err();
    assert!(matches!(error, Error::SinkStopped { .. }), "{error:?}");
}

#[tokio::test]
async fn a_new_statistic_and_a_new_sink_begin_where_the_source_stands() {
    let (place, sink) = (Place::new(), TestSink::default());
    place.append(&line(200, 1));
    count_all(place.pipeline().sink("memory", sink.clone())).await.unwrap();
    place.append(&line(200, 2));
    let (now, oldest) = (TestSink::default(), TestSink::default());
    let build = || place.pipeline().statistic(by_status("other")).sink("memory", sink.clone());
    count_all(build().sink("now", now.clone())).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 3)]));
    assert_eq!(totals(&sink, "other").await, of([("200", 1, 2)]));
    assert_eq!(totals(&now, "requests").await, of([("200", 1, 2)]));
    let both = build().sink("now", now.clone()).sink("oldest", oldest.clone());
    count_all(both.new_sinks(SinkStart::Oldest)).await.unwrap();
    assert_eq!(totals(&oldest, "requests").await, of([("200", 2, 3)]));
}

#[tokio::test]
async fn impossible_settings_are_refused_with_what_they_may_be() {
    let place = Place::new();
    let sink = MemorySink::new;
    let cases: [(PipelineBuilder, &str); 9] = [
        (place.pipeline().sink("a", sink()).workers(0), "workers: 0, expected 1 to 256"),
        (place.pipeline(), "sink: not set, expected one or more"),
        (place.pipeline().sink("../x", sink()), "sink: \"../x\""),
        (place.pipeline().sink("a", sink()).sink("a", sink()), "sink: \"a\""),
        (Pipeline::builder("a/b").tail("x").format(LogFormat::common()).state_dir("y"), "source: \"a/b\""),
        (Pipeline::builder("a").format(LogFormat::common()).state_dir("y"), "tail: not set"),
        (
            place.pipeline().sink("a", sink()).statistic(Statistic::named("x")),
            "statistic x: measure: not set",
        ),
        (
            place.pipeline().sink("a", sink()).statistic(by_status("x").group_by(["count"])),
            "statistic x: column: \"count\"",
        ),
        (
            place.pipeline().sink("a", sink()).statistic(by_status("x").group_by(["status", "nothing"])),
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
async fn without_samples_nothing_of_a_rejected_line_is_kept_anywhere() {
    for keep in [true, false] {
        let (place, sink) = (Place::new(), TestSink::default());
        place.append(&line(200, 1));
        place.append("::1 - - [no time] \"GET /?token=geheim HTTP/1.1\" 200 1\n");
        let summary = count_all(place.pipeline().keep_samples(keep).sink("memory", sink)).await.unwrap();
        assert_eq!((summary.lines, summary.rejected), (2, 1));
        let rejected = fs::read_to_string(place.state().join("rejected-0.jsonl")).unwrap();
        assert_eq!(rejected.lines().count(), 1, "it is noted where it was, and why: {rejected}");
        assert!(rejected.contains(&format!("\"offset\":{}", line(200, 1).len())), "{rejected}");
        let holds_it = |entry: io::Result<fs::DirEntry>| {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(6).any(|window| window == b"geheim")
        };
        assert_eq!(fs::read_dir(place.state()).unwrap().any(holds_it), keep);
    }
}

#[tokio::test]
async fn a_log_may_be_in_a_directory_of_any_name_and_its_own_name_is_utf8() {
    let place = Place::new();
    let directory = place.0.path().join(OsStr::from_bytes(b"l\xff g\n\xe2\x98\x83"));
    fs::create_dir(&directory).unwrap();
    let (log, sink) = (directory.join("access \n\u{2603}.log"), TestSink::default());
    let build = || place.pipeline().tail(&log).sink("memory", sink.clone());
    fs::write(&log, line(200, 1)).unwrap();
    count_all(build()).await.unwrap();
    fs::write(&log, line(200, 1) + &line(200, 2)).unwrap();
    fs::rename(&log, directory.join("access \n\u{2603}.log.1")).unwrap();
    fs::write(&log, line(404, 3)).unwrap();
    count_all(build()).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 3), ("404", 1, 3)]));

    // Its rotated files could not be told from others.
    let error = build().tail(place.0.path().join(OsStr::from_bytes(b"access-\xff.log"))).build().unwrap_err();
    let expected = r#"tail: ".*access-\xFF.log", expected a path whose last part is UTF-8, as rotated files are found by their names"#;
    let (start, end) = expected.split_once(".*").unwrap();
    let text = error.to_string();
    assert!(text.starts_with(start) && text.ends_with(end), "{text}");
}
