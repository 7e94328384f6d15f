//! Tests with panics in every place where a pipeline runs code: the pipeline stops, reports where and why, and the
//! next start counts every line once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    ffi::OsString,
    fs,
    future::pending,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::environment::Environment;
use crate::{
    Applied, Batch, Error, LogFormat, MemorySink, Pipeline, PipelineBuilder, Progress, Rows, Schema, Sink,
    SinkError, Statistic, count,
    disk::{DirectoryLock, Disk, DiskFile, RealDisk},
    sink::Limits,
    tail::{LogFs, LogRead, RealFs, Stat},
    writer::Writer,
};

/// Panics in the n-th call of the thread with the given name.
#[derive(Debug)]
struct Mine {
    thread: &'static str,
    calls: AtomicUsize,
    nth: usize,
}

impl Mine {
    fn new(thread: &'static str, nth: usize) -> Arc<Self> {
        Arc::new(Self { thread, calls: AtomicUsize::new(0), nth })
    }

    fn step(&self) {
        if std::thread::current().name() == Some(self.thread)
            && self.calls.fetch_add(1, SeqCst) + 1 == self.nth
        {
            panic!("stepped on a mine");
        }
    }

    fn has_gone_off(&self) -> bool {
        self.calls.load(SeqCst) >= self.nth
    }
}

/// A file system, or one of its files, with a mine in it.
#[derive(Debug)]
struct Mined<T>(T, Arc<Mine>);

impl LogFs for Mined<RealFs> {
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.1.step();
        self.0.list(directory)
    }
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        self.1.step();
        self.0.stat(path)
    }
    fn link_target(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        self.1.step();
        self.0.link_target(path)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn LogRead>> {
        self.1.step();
        Ok(Box::new(Mined(self.0.open(path)?, Arc::clone(&self.1))))
    }
}

impl LogRead for Mined<Box<dyn LogRead>> {
    fn stat(&self) -> io::Result<Stat> {
        self.1.step();
        self.0.stat()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.1.step();
        self.0.read_at(buffer, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.1.step();
        self.0.sync()
    }
}

impl Disk for Mined<RealDisk> {
    fn path(&self) -> PathBuf {
        self.0.path()
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.1.step();
        Ok(Arc::new(Mined(self.0.create(name)?, Arc::clone(&self.1))))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.1.step();
        Ok(Arc::new(Mined(self.0.open(name)?, Arc::clone(&self.1))))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.1.step();
        self.0.remove(name)
    }
    fn create_directory(&self, name: &str) -> io::Result<Arc<dyn Disk>> {
        self.0.create_directory(name)
    }
    fn empty_directory(&self, name: &str) -> io::Result<()> {
        self.0.empty_directory(name)
    }
    fn sync(&self) -> io::Result<()> {
        self.1.step();
        Disk::sync(&self.0)
    }
    fn try_lock(&self) -> io::Result<Option<Box<dyn DirectoryLock>>> {
        Disk::try_lock(&self.0)
    }
    fn is_at_its_path(&self) -> io::Result<bool> {
        self.0.is_at_its_path()
    }
}

impl DiskFile for Mined<Arc<dyn DiskFile>> {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.1.step();
        self.0.read_exact_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.1.step();
        self.0.write_all_at(bytes, offset)
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.1.step();
        self.0.truncate(len)
    }
    fn sync(&self) -> io::Result<()> {
        self.1.step();
        self.0.sync()
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.0.try_lock()
    }
}

/// A sink that panics in one of its calls.
#[derive(Clone, Debug)]
struct Defective(MemorySink, &'static str);

impl Defective {
    fn step(&self, call: &str) {
        if self.1 == call {
            panic!("a defect in {call}");
        }
    }
}

#[async_trait]
impl Sink for Defective {
    fn limits(&self) -> Limits {
        self.0.limits()
    }
    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        self.step("prepare");
        self.0.prepare(schema).await
    }
    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        self.step("progress");
        self.0.progress(source).await
    }
    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        self.0.begin(progress).await
    }
    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        self.step("writer");
        self.0.writer(source).await
    }
    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        self.step("claim");
        self.0.claim(writer, last).await
    }
    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        self.step("apply");
        let applied = self.0.apply(batch).await;
        self.step("the answer of apply");
        applied
    }
    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        self.step("sweep");
        self.0.sweep(schema, before).await
    }
    async fn close(&self) -> Result<(), SinkError> {
        self.step("close");
        self.0.close().await
    }
    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        self.0.totals(schema, windows).await
    }
}

const LINES: u64 = 4_000;

/// A log with one more line in each window, a state directory, and a store that outlives the pipelines.
struct Place {
    dir: tempfile::TempDir,
    store: MemorySink,
    /// The store of the sink that has defects.
    other: MemorySink,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Self { dir, store: MemorySink::new(), other: MemorySink::new() };
        let line =
            |n| format!("::1 - - [21/Nov/2026:13:{:02}:22 +0000] \"GET /{n} HTTP/1.1\" 200 {n}\n", n % 60);
        fs::write(place.dir.path().join("access.log"), (0..LINES).map(line).collect::<String>()).unwrap();
        place
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn builder(&self, defect: &'static str) -> PipelineBuilder {
        let statistic =
            Statistic::named("requests").measure(count()).retain(Duration::from_secs(86_400 * 3_650));
        Pipeline::builder("web1")
            .tail(self.dir.path().join("access.log"))
            .format(LogFormat::common())
            .statistic(statistic.flush_every(Duration::from_millis(10)))
            .workers(2)
            .state_dir(self.state())
            .sink("good", self.store.clone())
            .sink("defective", Defective(self.other.clone(), defect))
    }

    /// Checks that each line of the log is in the store once.
    async fn assert_exact(&self, when: &str) {
        let pipeline = self.builder("").build().unwrap();
        let summary =
            pipeline.run_to_end(pending()).await.unwrap_or_else(|error| panic!("{when}: {error:?}"));
        assert!(summary.is_complete, "{when}: {summary:?}");
        for store in [&self.store, &self.other] {
            let rows = store.totals(pipeline.schemas().next().unwrap(), i64::MIN..i64::MAX).await.unwrap();
            let (mut lines, mut cursor) = (0, rows.cursor());
            while let Some(row) = cursor.next_row() {
                lines += row.values[0].unwrap();
            }
            assert_eq!(lines, i128::from(LINES), "{when}");
        }
    }
}

/// The name of the threads that run tasks and blocking work.
const TOKIO: &str = "evs-test-tokio";
/// No run takes this long: one that is not over by then hangs.
const PATIENCE: Duration = Duration::from_secs(120);

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).thread_name(TOKIO).enable_all().build().unwrap()
}

async fn run(builder: PipelineBuilder) -> Result<crate::Summary, Error> {
    let pipeline = builder.build()?;
    tokio::time::timeout(PATIENCE, pipeline.run_to_end(pending())).await.expect("the run ends")
}

/// Runs with a mine in the n-th call of a thread, for several n up to its last call, and once without a mine.
fn step_on_mines(
    thread: &'static str,
    lay: impl Fn(&Place, Arc<Mine>) -> Environment,
    is_named: impl Fn(&str) -> bool,
) {
    let runtime = runtime();
    let mut stepped = 0;
    for nth in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89] {
        let (place, mine) = (Place::new(), Mine::new(thread, nth));
        let mut builder = place.builder("");
        builder.settings.environment = lay(&place, Arc::clone(&mine));
        let result = runtime.block_on(run(builder));
        let when = format!("call {nth} of {thread}");
        if mine.has_gone_off() {
            stepped += 1;
            let error = result.expect_err(&when);
            let Error::Panicked { thread, message } = &error else { panic!("{when}: {error:?}") };
            assert!(is_named(thread) && message == "stepped on a mine", "{when}: {error}");
        } else {
            assert!(result.unwrap().is_complete, "{when}");
        }
        runtime.block_on(place.assert_exact(&when));
    }
    assert!(stepped >= 2, "{thread} made too few calls");
}

fn in_the_log(_: &Place, mine: Arc<Mine>) -> Environment {
    Environment { log: Some(Arc::new(Mined(RealFs, mine))), ..Environment::default() }
}

fn in_the_binlog(place: &Place, mine: Arc<Mine>) -> Environment {
    let disk = Mined(RealDisk::open(place.state()).unwrap(), mine);
    Environment { state: Some(Arc::new(disk)), ..Environment::default() }
}

#[test]
fn a_panic_of_the_reader_stops_the_pipeline_and_loses_nothing() {
    step_on_mines("evs-reader", in_the_log, |thread| thread == "evs-reader");
}

#[test]
fn a_panic_of_a_worker_stops_the_pipeline_and_loses_nothing() {
    let runtime = runtime();
    // A worker only reads its chunks, each in one call.
    let (place, mine) = (Place::new(), Mine::new("evs-worker-0", 1));
    let mut builder = place.builder("");
    builder.settings.environment = in_the_log(&place, mine);
    let error = runtime.block_on(run(builder)).unwrap_err();
    let expected = "thread evs-worker-0 panicked: stepped on a mine";
    assert_eq!(error.to_string(), expected);
    runtime.block_on(place.assert_exact(expected));
}

#[test]
fn a_panic_of_the_committer_stops_the_pipeline_and_loses_nothing() {
    step_on_mines("evs-committer", in_the_binlog, |thread| thread == "evs-committer");
}

#[test]
fn a_panic_of_the_task_that_reads_batches_stops_the_pipeline_and_loses_nothing() {
    step_on_mines(TOKIO, in_the_binlog, |thread| thread.starts_with("delivery to "));
}

#[test]
fn a_panic_of_a_sink_stops_the_pipeline_and_loses_nothing() {
    let runtime = runtime();
    for defect in ["progress", "claim", "prepare", "apply", "the answer of apply", "sweep", "close"] {
        let place = Place::new();
        let error = runtime.block_on(run(place.builder(defect))).expect_err(defect);
        let expected = format!("thread delivery to defective panicked: a defect in {defect}");
        assert_eq!(error.to_string(), expected);
        runtime.block_on(place.assert_exact(defect));
    }
}
