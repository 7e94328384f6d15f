//! Copied and restored state directories, several processes under one source name, and stores that come back older:
//! whole pipelines into a store in memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeMap,
    fs,
    future::pending,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use evs_core::{
    Applied, Batch, Error, Limits, LogFormat, LostState, MemorySink, Pipeline, PipelineBuilder, Progress,
    Rows, Schema, Sink, SinkError, SinkState, Statistic, Status, Summary, Undelivered, Writer, count,
    describe,
};
use tokio::{sync::oneshot, task::JoinHandle};

/// A store that all machines of a test write to.
#[derive(Clone, Debug, Default)]
struct Shared {
    store: Arc<Mutex<MemorySink>>,
    is_down: Arc<AtomicBool>,
    /// Compares no writers: what is left is what batches say of each other.
    ignores_writers: Arc<AtomicBool>,
    /// So many calls of `apply` find that the claim was forgotten.
    forgets: Arc<AtomicU64>,
    /// After the batch with that sequence, the store is replaced.
    failover: Arc<Mutex<Option<(u64, MemorySink)>>>,
    /// What another process has under way when the source is claimed the next time.
    under_way: Arc<Mutex<Option<Batch>>>,
    /// What was applied.
    applied: Arc<Mutex<Vec<Batch>>>,
}

impl Shared {
    fn store(&self) -> MemorySink {
        self.store.lock().unwrap().clone()
    }

    fn replace(&self, store: MemorySink) {
        *self.store.lock().unwrap() = store;
    }

    fn check(&self) -> Result<(), SinkError> {
        match self.is_down.load(SeqCst) {
            true => Err(SinkError::unavailable("connecting", "refused")),
            false => Ok(()),
        }
    }

    fn applied(&self) -> Vec<u64> {
        self.applied.lock().unwrap().iter().map(|batch| batch.sequence).collect()
    }

    async fn fence(&self) -> u64 {
        self.store().writer("web1").await.unwrap().map_or(0, |writer| writer.fence)
    }

    /// Lines by status.
    async fn totals(&self) -> BTreeMap<String, i128> {
        let schema = Machine::new().builder("web1").sink("none", MemorySink::new()).build().unwrap();
        let schema = Schema::clone(schema.schemas().next().unwrap());
        let rows = self.store().totals(&schema, i64::MIN..i64::MAX).await.unwrap();
        let (mut totals, mut cursor) = (BTreeMap::new(), rows.cursor());
        while let Some(row) = cursor.next_row() {
            let status = String::from_utf8(row.keys[0].to_vec()).unwrap();
            *totals.entry(status).or_default() += row.values[0].unwrap();
        }
        totals
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Sink for Shared {
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
        let under_way = self.under_way.lock().unwrap().take();
        if let Some(batch) = under_way {
            assert_eq!(self.store().apply(&batch).await?, Applied::Now);
        }
        self.store().claim(writer, last).await
    }
    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        self.check()?;
        if self.forgets.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(SinkError::Unclaimed { source_name: batch.source.to_string() });
        }
        let mut batch = batch.clone();
        batch.writer = batch.writer.filter(|_| !self.ignores_writers.load(SeqCst));
        let applied = self.store().apply(&batch).await?;
        if applied == Applied::Now {
            self.applied.lock().unwrap().push(batch.clone());
        }
        if let Some((_, store)) = self.failover.lock().unwrap().take_if(|(after, _)| *after == batch.sequence)
        {
            self.replace(store);
        }
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

/// A machine: a log and a state directory.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A copy of its disk.
    fn copy(&self) -> Self {
        let copy = Self::new();
        copy_all(self.0.path(), copy.0.path());
        copy
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("access.log")
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn append(&self, status: u16) {
        use std::io::Write;
        let mut log = fs::OpenOptions::new().append(true).create(true).open(self.log()).unwrap();
        writeln!(log, "::1 - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" {status} 1").unwrap();
    }

    fn builder(&self, source: &str) -> PipelineBuilder {
        let requests = Statistic::named("requests").group_by(["status"]).measure(count());
        Pipeline::builder(source)
            .tail(self.log())
            .format(LogFormat::common())
            .statistic(requests.flush_every(Duration::from_millis(10)))
            .state_dir(self.state())
            .poll_every(Duration::from_millis(5))
            .drain_timeout(Duration::from_millis(300))
    }

    fn start(&self, sink: &Shared) -> Running {
        Running::new(self.builder("web1").sink("stats", sink.clone()))
    }

    async fn run_to_end(&self, sink: &Shared) -> Result<Summary, Error> {
        run_to_end(self.builder("web1").sink("stats", sink.clone())).await
    }

    /// Counts one line, and delivers it.
    async fn count(&self, sink: &Shared, status: u16) {
        self.append(status);
        let summary = self.run_to_end(sink).await.unwrap();
        assert_eq!((summary.lines, summary.is_complete), (1, true));
    }

    /// Cuts a batch of one line, while the sink is away.
    async fn cut(&self, sink: &Shared, status: u16) {
        self.append(status);
        sink.is_down.store(true, SeqCst);
        let running = self.start(sink);
        running.until("cut", |status| status.batches == 1).await;
        assert_eq!(running.stop().await.unwrap().batches, 1);
        sink.is_down.store(false, SeqCst);
    }
}

async fn run_to_end(builder: PipelineBuilder) -> Result<Summary, Error> {
    builder.build()?.run_to_end(pending()).await
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.as_ref().unwrap(), to.join(entry.as_ref().unwrap().file_name()));
        match entry.file_type().unwrap().is_dir() {
            true => copy_all(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// A pipeline that runs.
struct Running {
    pipeline: Arc<Pipeline>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<Summary, Error>>,
}

impl Running {
    fn new(builder: PipelineBuilder) -> Self {
        let pipeline = Arc::new(builder.build().unwrap());
        let (stop, stopped) = oneshot::channel();
        let running = Arc::clone(&pipeline);
        let ended = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            running.run(stopped).await
        });
        Self { pipeline, stop, ended }
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Status) -> bool) {
        let started = Instant::now();
        while !is_so(&self.pipeline.status()) {
            let in_time = started.elapsed() < Duration::from_secs(60);
            assert!(in_time, "never {what}: {:#?}", self.pipeline.status());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn until_delivered(&self, batches: u64) {
        self.until("delivered", |status| status.sinks[0].batches == batches).await;
    }

    /// Waits until its sink has stopped, and returns why.
    async fn until_sink_stopped(&self) -> String {
        self.until("stopped", |status| status.sinks[0].state == SinkState::Stopped).await;
        self.pipeline.status().sinks[0].last_error.clone().unwrap()
    }

    async fn stop(self) -> Result<Summary, Error> {
        let _ = self.stop.send(());
        self.ended.await.unwrap()
    }
}

async fn until_claimed(sink: &Shared, fence: u64) {
    let started = Instant::now();
    while sink.fence().await != fence {
        assert!(started.elapsed() < Duration::from_secs(60), "never claimed {fence}: {}", sink.fence().await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn of<const N: usize>(totals: [(&str, i128); N]) -> BTreeMap<String, i128> {
    totals.into_iter().map(|(status, lines)| (status.to_owned(), lines)).collect()
}

/// Who this process is to its sinks.
fn this_process() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("process {} on host {host}", std::process::id())
}

#[track_caller]
fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

/// The sink's error of a run to the end.
#[track_caller]
fn refused(ended: Result<Summary, Error>) -> String {
    match ended {
        Err(error @ Error::SinkStopped { .. }) => describe(&error),
        other => panic!("{other:?}"),
    }
}

const WAYS_OUT: [&str; 3] = ["cloned_from", "LostState::Adopt", "stop the other process"];

#[tokio::test]
async fn a_copy_that_is_behind_stops_and_the_original_goes_on() {
    let (sink, original) = (Shared::default(), Machine::new());
    original.count(&sink, 200).await;
    let copy = original.copy();
    let running = original.start(&sink);
    original.append(200);
    running.until_delivered(1).await;
    let fence = sink.fence().await;
    let said = refused(copy.run_to_end(&sink).await);
    assert_says(&said, &["sink stats", "statistic requests", "batch 2", "ends at 1"]);
    assert_says(&said, &WAYS_OUT);
    assert_eq!(sink.fence().await, fence, "nobody was disturbed");
    original.append(200);
    running.until_delivered(2).await;
    assert!(running.stop().await.unwrap().is_complete);
    assert_eq!(sink.totals().await, of([("200", 3)]));
}

#[tokio::test]
async fn a_copy_with_batches_of_its_own_stops_at_its_start_and_keeps_them() {
    let (sink, original) = (Shared::default(), Machine::new());
    original.count(&sink, 200).await;
    let copy = original.copy();
    original.count(&sink, 200).await;
    for cut in 1..=3 {
        // As far as the original, and farther.
        copy.cut(&sink, 404).await;
        let said = refused(copy.run_to_end(&sink).await);
        assert_says(
            &said,
            &["sink stats", "statistic requests", "has batch 2", &format!("with {cut} batches")],
        );
        assert_says(&said, &WAYS_OUT);
    }
    assert_eq!(sink.totals().await, of([("200", 2)]));
}

/// Where the store does not tell processes apart, what batches say of each other does.
#[tokio::test]
async fn a_copy_that_finds_the_store_ahead_while_it_runs_stops() {
    for lines in 1..=2 {
        let (sink, original) = (Shared::default(), Machine::new());
        sink.ignores_writers.store(true, SeqCst);
        original.count(&sink, 200).await;
        let copy = original.copy();
        let running = copy.start(&sink);
        until_claimed(&sink, 2).await;
        for _ in 0..lines {
            original.count(&sink, 200).await;
        }
        copy.append(404);
        let said = running.until_sink_stopped().await;
        // One batch: the same number with another checksum. Two: more than the copy's binlog has.
        assert_says(&said, &["statistic requests", if lines == 1 { "has batch 2" } else { "ends at 2" }]);
        assert_says(&said, &WAYS_OUT);
        let summary = running.stop().await.unwrap();
        assert_eq!((summary.undelivered, summary.is_complete), (1, false));
        assert_eq!(sink.totals().await, of([("200", 1 + lines)]));
    }
}

/// The same with as many batches of its own as the store has.
#[tokio::test]
async fn an_older_batch_of_another_history_is_not_taken_for_applied() {
    let (sink, original) = (Shared::default(), Machine::new());
    sink.ignores_writers.store(true, SeqCst);
    original.count(&sink, 200).await;
    let copy = original.copy();
    let running = copy.start(&sink);
    until_claimed(&sink, 2).await;
    original.count(&sink, 200).await;
    original.count(&sink, 200).await;
    sink.is_down.store(true, SeqCst);
    for batches in 1..=2 {
        copy.append(404);
        running.until("cut", |status| status.batches == batches).await;
    }
    sink.is_down.store(false, SeqCst);
    let said = running.until_sink_stopped().await;
    assert_says(&said, &["statistic requests", "has batch 3 with checksum"]);
    assert_eq!(running.stop().await.unwrap().undelivered, 2);
    assert_eq!(sink.totals().await, of([("200", 3)]));
}

#[tokio::test]
async fn of_two_copies_that_live_the_later_takes_over_and_the_other_stops() {
    let (sink, original) = (Shared::default(), Machine::new());
    original.count(&sink, 200).await;
    let copy = original.copy();
    let first = original.start(&sink);
    until_claimed(&sink, 2).await;
    let second = copy.start(&sink);
    until_claimed(&sink, 3).await;
    original.append(200);
    let said = first.until_sink_stopped().await;
    assert_says(&said, &["source web1 was taken over by", &this_process(), "UTC"]);
    assert_says(&said, &WAYS_OUT);
    copy.append(404);
    second.until_delivered(1).await;
    let summary = first.stop().await.unwrap();
    assert_eq!((summary.undelivered, summary.is_complete), (1, false), "nothing vanishes");
    assert!(second.stop().await.unwrap().is_complete);
    assert_eq!(sink.totals().await, of([("200", 1), ("404", 1)]));
    // From now on it is a copy with a batch of its own.
    let said = refused(original.run_to_end(&sink).await);
    assert_says(&said, &["has batch 2 with checksum"]);
}

#[tokio::test]
async fn of_two_state_directories_with_one_name_the_later_stops_whenever_it_starts() {
    for lines in 0..=1 {
        let (sink, first, second) = (Shared::default(), Machine::new(), Machine::new());
        let running = first.start(&sink);
        // Without lines the store knows who writes, and nothing else.
        for batches in 1..=lines {
            first.append(200);
            running.until_delivered(batches).await;
        }
        until_claimed(&sink, 1).await;
        second.append(404);
        for _ in 0..2 {
            let error = second.run_to_end(&sink).await.unwrap_err();
            assert!(matches!(error, Error::ForeignState { .. }), "{error:?}");
            assert_says(&error.to_string(), &["sink stats", "source web1", &this_process(), "name"]);
            assert_says(&error.to_string(), &["LostState::Adopt", "LostState::StartOver"]);
        }
        first.append(200);
        running.until_delivered(lines + 1).await;
        assert!(running.stop().await.unwrap().is_complete);
        // The first one may start again, the second under a name of its own.
        first.count(&sink, 200).await;
        let second = second.builder("web2").state_dir(second.0.path().join("state2"));
        assert_eq!(run_to_end(second.sink("stats", sink.clone())).await.unwrap().lines, 1);
        assert_eq!(sink.totals().await, of([("200", i128::from(lines) + 2), ("404", 1)]));
    }
}

#[tokio::test]
async fn a_restart_claims_the_source_again() {
    let (sink, machine) = (Shared::default(), Machine::new());
    for start in 1..=3 {
        machine.count(&sink, 200).await;
        assert_eq!(sink.fence().await, start);
    }
    assert_eq!(sink.totals().await, of([("200", 3)]));
}

#[tokio::test]
async fn a_state_directory_restored_from_a_backup_stops() {
    let (sink, machine) = (Shared::default(), Machine::new());
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
    machine.append(404);
    let adopting = machine.builder("web1").sink("stats", sink.clone()).on_lost_state(LostState::Adopt);
    assert_eq!(run_to_end(adopting).await.unwrap().lines, 1);
    assert_eq!(sink.totals().await, of([("200", 2), ("404", 1)]));
}

#[tokio::test]
async fn a_backup_of_the_store_and_then_of_the_state_directory_loses_nothing() {
    let (sink, machine) = (Shared::default(), Machine::new());
    let running = machine.start(&sink);
    let mut batches = 0;
    let mut count = async |status| {
        machine.append(status);
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
    let (sink, machine) = (Shared::default(), Machine::new());
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
        let (sink, machine) = (Shared::default(), Machine::new());
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
            machine.append(404);
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
    let (sink, machine) = (Shared::default(), Machine::new());
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
    machine.append(404);
    running.until("caught up", |status| status.sinks[0].waiting == 0 && status.batches == 1).await;
    assert!(running.stop().await.unwrap().is_complete);
    assert_eq!(sink.applied(), [1, 2, 3, 4, 2, 5]);
    assert_eq!(sink.totals().await, of([("200", 4), ("404", 1)]));
}

#[tokio::test]
async fn a_claim_that_the_store_forgot_is_made_again() {
    let (sink, machine) = (Shared::default(), Machine::new());
    let running = machine.start(&sink);
    for batches in 1..=3 {
        sink.forgets.store(3, SeqCst);
        machine.append(200);
        running.until_delivered(batches).await;
    }
    assert!(running.stop().await.unwrap().is_complete);
    assert_eq!(sink.totals().await, of([("200", 3)]));
    sink.forgets.store(u64::MAX, SeqCst);
    machine.append(200);
    assert_says(
        &refused(machine.run_to_end(&sink).await),
        &["source web1 was claimed 10 times", "evs_writers"],
    );
}

#[tokio::test]
async fn adopting_stops_a_process_that_still_lives() {
    let (sink, machine) = (Shared::default(), Machine::new());
    machine.append(200);
    let running = machine.start(&sink);
    running.until_delivered(1).await;
    let adopting = machine.builder("web1").state_dir(machine.0.path().join("other"));
    let adopting = adopting.sink("stats", sink.clone()).on_lost_state(LostState::Adopt);
    assert_eq!(run_to_end(adopting).await.unwrap().lines, 0);
    machine.append(404);
    assert_says(&running.until_sink_stopped().await, &["was taken over by", &this_process()]);
    running.stop().await.unwrap();
    let other = machine.builder("web1").state_dir(machine.0.path().join("other")).sink("stats", sink.clone());
    assert_eq!(run_to_end(other).await.unwrap().lines, 1);
    assert_eq!(sink.totals().await, of([("200", 1), ("404", 1)]));
    let error = machine.run_to_end(&sink).await.unwrap_err();
    assert!(matches!(error, Error::ForeignState { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_under_way_while_a_position_is_adopted_is_not_counted_twice() {
    let (sink, machine) = (Shared::default(), Machine::new());
    let running = machine.start(&sink);
    machine.append(200);
    running.until_delivered(1).await;
    let before = sink.store().backup();
    machine.append(404);
    running.until_delivered(2).await;
    running.stop().await.unwrap();
    // The second batch comes when the adopting process has asked where the sink is, and not yet claimed the source.
    let under_way = sink.applied.lock().unwrap().pop();
    *sink.under_way.lock().unwrap() = under_way;
    sink.replace(before);
    fs::remove_dir_all(machine.state()).unwrap();
    let adopting = machine.builder("web1").sink("stats", sink.clone()).on_lost_state(LostState::Adopt);
    assert_eq!(run_to_end(adopting).await.unwrap().lines, 0);
    assert!(sink.under_way.lock().unwrap().is_none(), "it was applied");
    assert_eq!(sink.totals().await, of([("200", 1), ("404", 1)]));
}

#[tokio::test]
async fn a_source_that_was_claimed_and_never_counted_can_be_started_over() {
    let (sink, machine) = (Shared::default(), Machine::new());
    let running = machine.start(&sink);
    until_claimed(&sink, 1).await;
    running.stop().await.unwrap();
    fs::remove_dir_all(machine.state()).unwrap();
    machine.append(200);
    let error = machine.run_to_end(&sink).await.unwrap_err();
    assert!(matches!(error, Error::ForeignState { position: None, .. }), "{error:?}");
    let over = machine.builder("web1").sink("stats", sink.clone()).on_lost_state(LostState::StartOver);
    run_to_end(over).await.unwrap();
    machine.count(&sink, 200).await;
    assert_eq!(sink.totals().await, of([("200", 2)]));
}

fn cloned(machine: &Machine, sink: &Shared, undelivered: Undelivered) -> PipelineBuilder {
    let builder = machine.builder("web2").state_dir(machine.0.path().join("state2"));
    builder.sink("stats", sink.clone()).cloned_from(machine.state(), undelivered)
}

#[tokio::test]
async fn a_cloned_machine_goes_on_under_a_name_of_its_own() {
    let (sink, original) = (Shared::default(), Machine::new());
    original.count(&sink, 200).await;
    let copy = original.copy();
    // It ran under the old name for a while.
    copy.cut(&sink, 404).await;
    copy.cut(&sink, 404).await;
    original.count(&sink, 200).await;
    assert_says(&refused(copy.run_to_end(&sink).await), &["cloned_from"]);
    copy.append(500);
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
    let (sink, original) = (Shared::default(), Machine::new());
    original.count(&sink, 200).await;
    original.cut(&sink, 200).await;
    let copy = original.copy();
    copy.append(404);
    let summary = run_to_end(cloned(&copy, &sink, Undelivered::Leave)).await.unwrap();
    assert_eq!((summary.lines, summary.is_complete), (1, true));
    original.count(&sink, 200).await;
    assert_eq!(sink.totals().await, of([("200", 3), ("404", 1)]));
}

#[tokio::test]
async fn a_clone_delivers_nothing_that_the_original_has_delivered() {
    let (sink, machine) = (Shared::default(), Machine::new());
    machine.count(&sink, 200).await;
    machine.cut(&sink, 404).await;
    // As if it had been killed between the batch and its acknowledgement.
    let killed = machine.copy();
    run_to_end(machine.builder("web1").sink("stats", sink.clone())).await.unwrap();
    assert_eq!(sink.totals().await, of([("200", 1), ("404", 1)]));
    killed.append(500);
    for lines in [1, 0] {
        let summary = run_to_end(cloned(&killed, &sink, Undelivered::Deliver)).await.unwrap();
        assert_eq!((summary.lines, summary.is_complete), (lines, true));
        assert_eq!(sink.totals().await, of([("200", 1), ("404", 1), ("500", 1)]));
    }
}

#[tokio::test]
async fn each_sink_of_a_clone_gets_what_it_lacks() {
    let (sink, other, original) = (Shared::default(), Shared::default(), Machine::new());
    let both = |builder: PipelineBuilder| builder.sink("stats", sink.clone()).sink("other", other.clone());
    original.append(200);
    run_to_end(both(original.builder("web1"))).await.unwrap();
    let copy = original.copy();
    // The other sink was away when the copy was told to stop.
    copy.append(404);
    other.is_down.store(true, SeqCst);
    let running = Running::new(both(copy.builder("web1")));
    running.until_delivered(1).await;
    running.stop().await.unwrap();
    other.is_down.store(false, SeqCst);
    copy.append(500);
    let builder = copy.builder("web2").state_dir(copy.0.path().join("state2"));
    run_to_end(both(builder.cloned_from(copy.state(), Undelivered::Deliver))).await.unwrap();
    for sink in [sink, other] {
        assert_eq!(sink.totals().await, of([("200", 1), ("404", 1), ("500", 1)]));
    }
}

#[tokio::test]
async fn a_clone_that_was_killed_while_it_began_begins_again() {
    let (sink, original) = (Shared::default(), Machine::new());
    original.count(&sink, 200).await;
    let copy = original.copy();
    let scratch = copy.0.path().join("state2/cloned");
    fs::create_dir_all(&scratch).unwrap();
    fs::write(scratch.join("binlog-0000000000000001.evs"), "EVSBLOG\n").unwrap();
    copy.append(404);
    assert_eq!(run_to_end(cloned(&copy, &sink, Undelivered::Deliver)).await.unwrap().lines, 1);
    assert_eq!(sink.totals().await, of([("200", 1), ("404", 1)]));
}

#[tokio::test]
async fn what_cannot_be_cloned_is_refused() {
    let (sink, original) = (Shared::default(), Machine::new());
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
