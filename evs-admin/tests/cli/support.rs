//! A machine with a log and a state directory, and the program `evs` run in this process.

use std::{
    fs,
    future::pending,
    io::Write,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use evs_admin::cli::{Exit, run};
use evs_core::{
    Applied, Batch, Limits, LogFormat, MemorySink, Pipeline, PipelineBuilder, Progress, Rows, Schema, Sink,
    SinkError, Statistic, Writer, async_trait, count, field, sum,
};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const FORMAT: &str = "$remote_addr [$time_iso8601] $status $body_bytes_sent $uri";

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The lines of standard output, as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Checks the exit code, and returns the standard output.
    #[track_caller]
    pub(crate) fn expect(self, exit: Exit) -> String {
        assert_eq!(self.exit, exit, "{self:?}");
        self.out
    }
}

/// Runs `evs` with these arguments.
pub(crate) fn evs<S: AsRef<str>>(arguments: &[S]) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = ["evs"].into_iter().chain(arguments.iter().map(AsRef::as_ref));
    let exit = run(arguments, &mut out, &mut err);
    Ran { exit, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

/// A machine with a log.
pub(crate) struct Machine {
    _scratch: TempDir,
    pub(crate) root: PathBuf,
    pub(crate) sink: TestSink,
}

/// A sink that can be away.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestSink {
    store: MemorySink,
    pub(crate) is_away: Arc<AtomicBool>,
}

#[async_trait]
impl Sink for TestSink {
    fn limits(&self) -> Limits {
        self.store.limits()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        self.store.prepare(schema).await
    }

    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        self.store.progress(source).await
    }

    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        self.store.begin(progress).await
    }

    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        self.store.writer(source).await
    }

    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        self.store.claim(writer, last).await
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        if self.is_away.load(SeqCst) {
            return Err(SinkError::unavailable("connecting", "refused"));
        }
        self.store.apply(batch).await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        self.store.totals(schema, windows).await
    }
}

/// A line of the log. Every tenth has the status 500.
pub(crate) fn line(number: u64, uri: &str) -> String {
    let status = if number % 10 == 9 { 500 } else { 200 };
    format!("::1 [2026-11-21T13:25:{:02}Z] {status} {number} {uri}", number % 60)
}

impl Machine {
    pub(crate) fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        Self { _scratch: scratch, root, sink: TestSink::default() }
    }

    /// A machine that has counted 30 lines in three runs, which makes three batches.
    pub(crate) fn counted() -> Self {
        let machine = Self::new();
        for part in 0..3 {
            machine.log(part * 10..(part + 1) * 10);
            machine.count();
        }
        machine
    }

    /// The path of the log.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.root.join("access.log")
    }

    pub(crate) fn state(&self) -> String {
        self.root.join("state").display().to_string()
    }

    /// Appends a line.
    pub(crate) fn append(&self, line: &str) {
        let mut log = fs::OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        writeln!(log, "{line}").unwrap();
    }

    /// Appends lines with these numbers, one a second. Every tenth has the status 500.
    pub(crate) fn log(&self, numbers: Range<u64>) {
        for number in numbers {
            self.append(&line(number, "/"));
        }
    }

    pub(crate) fn builder(&self) -> PipelineBuilder {
        let by_status = Statistic::named("requests")
            .group_by(["status"])
            .measure(count())
            .measure(sum("body_bytes_sent").named("bytes"));
        let errors =
            Statistic::named("errors").only(field("status").ge(500)).group_by(["uri"]).measure(count());
        self.empty_builder().statistic(by_status).statistic(errors)
    }

    /// The builder of a pipeline without statistics.
    pub(crate) fn empty_builder(&self) -> PipelineBuilder {
        Pipeline::builder("web1")
            .tail(self.log_path())
            .format(LogFormat::nginx(FORMAT).unwrap())
            .sink("memory", self.sink.clone())
            .state_dir(self.root.join("state"))
            .keep_acknowledged(Duration::from_secs(3600))
    }

    /// Counts what there is.
    pub(crate) fn count(&self) {
        self.count_with(self.builder());
    }

    /// Counts what there is, while the sink is away.
    pub(crate) fn count_undelivered(&self) {
        self.sink.is_away.store(true, SeqCst);
        self.count_with(self.builder().end_timeout(Duration::from_millis(200)));
        self.sink.is_away.store(false, SeqCst);
    }

    pub(crate) fn count_with(&self, builder: PipelineBuilder) {
        let pipeline = builder.build().unwrap();
        runtime().block_on(pipeline.run_to_end(pending())).unwrap();
    }

    pub(crate) fn segment(&self) -> PathBuf {
        self.root.join("state/binlog-0000000000000001.evs")
    }

    /// Runs a command on the state directory.
    pub(crate) fn evs(&self, command: &str, more: &[&str]) -> Ran {
        let state = self.state();
        evs(&[&[command, &*state], more].concat())
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Returns the names and the bytes of the files of a directory.
pub(crate) fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| (path.clone(), fs::read(&path).unwrap_or_default())).collect();
    files.sort();
    files
}
