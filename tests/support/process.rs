//! The example as a process, with a log, a state directory and a database of its own.
//!
//! A [`Place`] has the files and the generator of the log, a [`Running`] is a process that can be killed, and an
//! [`Outcome`] is the end of one.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use evs_testkit::{Generator, Kind, Mix, Totals};

use super::{access_log, schema_of, spec, sqlite_totals, statistic, totals_of};

/// Longer than anything here takes, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// A log that grows, and the directory around it.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    kind: Kind,
    /// The number of rotations so far, for the names of rotated files.
    rotations: u32,
    /// The writer of the log's lines. It has their exact totals.
    pub(crate) generator: Generator,
}

impl Place {
    /// A place without a log. Some lines will be malformed, and some odd.
    pub(crate) fn new(kind: Kind, seed: u64) -> Self {
        let mix = Mix { malformed_every: 97, odd_every: 101 };
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("database")).unwrap();
        Self { dir, kind, rotations: 0, generator: Generator::new(kind, mix, seed) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path("access.log")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// The path of the database, in a directory of its own.
    pub(crate) fn database(&self) -> PathBuf {
        self.path("database").join("stats.db")
    }

    /// Appends that many lines to the log.
    pub(crate) fn write(&mut self, lines: u64) {
        let mut bytes = Vec::new();
        self.generator.lines(lines, &mut bytes);
        let mut log = OpenOptions::new().append(true).create(true).open(self.log()).unwrap();
        log.write_all(&bytes).unwrap();
    }

    /// Renames the log, as a rotation with `dateext` does.
    pub(crate) fn rotate(&mut self) {
        self.rotations += 1;
        std::fs::rename(self.log(), self.path(&format!("access.log-20261121-{}", self.rotations))).unwrap();
        File::create(self.log()).unwrap();
    }

    /// The example with all that it needs to count this log, run by `wrapper` if that is not empty.
    pub(crate) fn command(&self, wrapper: &[&str]) -> Command {
        let example = access_log();
        let mut command = match wrapper.split_first() {
            None => Command::new(example),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(example);
                command
            }
        };
        self.arguments(&mut command, &format!("sqlite://{}", self.database().display()), "flush=50ms");
        command
    }

    /// The same into another database, in many small batches.
    pub(crate) fn command_to(&self, url: &str) -> Command {
        let mut command = Command::new(access_log());
        self.arguments(&mut command, url, "flush=10ms");
        command
    }

    fn arguments(&self, command: &mut Command, url: &str, settings: &str) {
        command.arg("--log").arg(self.log()).arg("--state").arg(self.state()).args(["--sink", url]);
        command.args(["--format", evs_testkit::log_format(self.kind)]);
        command.args(["--stat", &spec(self.kind, "totals", settings)]);
    }

    /// Counts everything that is left, without any fault.
    pub(crate) fn run_clean(&self) -> Outcome {
        let outcome = Running::start(self.command(&[]).arg("--once")).outcome();
        outcome.assert_complete();
        outcome
    }

    /// The totals in the database.
    pub(crate) async fn counted(&self) -> Totals {
        sqlite_totals(&self.database(), self.kind, "totals").await
    }

    /// Checks that the totals in the database are those of the log, row by row.
    pub(crate) async fn assert_exact(&self, when: &str) {
        self.assert_counted(&self.counted().await, when);
    }

    /// Checks the same in the database of another sink.
    pub(crate) async fn assert_exact_in(&self, sink: &dyn evs::Sink, when: &str) {
        let schema = schema_of(evs_testkit::log_format(self.kind), statistic(self.kind, "totals"));
        self.assert_counted(&totals_of(sink, &schema).await, when);
    }

    /// Compares totals with those of the generator. `when` begins the message.
    fn assert_counted(&self, counted: &Totals, when: &str) {
        let lines = |totals: &Totals| totals.values().map(|total| total.0).sum::<u64>();
        let expected = self.generator.totals();
        assert_eq!(lines(counted), lines(expected), "{when}: lines lost or counted twice");
        assert!(counted == expected, "{when}: the totals differ");
    }

    /// True if the database has the totals of the log by now.
    pub(crate) async fn has_counted_all(&self) -> bool {
        if !self.database().exists() {
            return false;
        }
        let schema = schema_of(evs_testkit::log_format(self.kind), statistic(self.kind, "totals"));
        let Ok(sink) = evs::SqliteSink::open(self.database()).await else { return false };
        // There is no table before the first batch.
        match evs::Sink::totals(&sink, &schema, i64::MIN..i64::MAX).await {
            Ok(_) => totals_of(&sink, &schema).await == *self.generator.totals(),
            Err(_) => false,
        }
    }

    /// Waits until the database has the totals of the log.
    pub(crate) async fn until_counted(&self, running: &mut Running) {
        let deadline = Instant::now() + PATIENCE;
        while !self.has_counted_all().await {
            running.assert_running();
            assert!(Instant::now() < deadline, "never counted: {}", running.stderr());
            look_again_soon();
        }
    }

    /// The bytes of the binlog so far.
    pub(crate) fn binlog_bytes(&self) -> u64 {
        let Ok(entries) = std::fs::read_dir(self.state()) else { return 0 };
        let binlogs = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().ends_with(".evs"));
        binlogs.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
    }
}

/// A process that is running. Dropped, it is killed.
pub(crate) struct Running {
    /// The process.
    child: Child,
    /// Its error output so far.
    stderr: Arc<Mutex<String>>,
    readers: Option<(JoinHandle<String>, JoinHandle<()>)>,
}

/// The end of a process: its exit status and its output.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let stderr = Arc::new(Mutex::new(String::new()));
        let lines = Arc::clone(&stderr);
        let read_out = std::thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).unwrap();
            text
        });
        let read_err = std::thread::spawn(move || {
            for line in BufReader::new(err).split(b'\n') {
                let line = String::from_utf8_lossy(&line.unwrap()).into_owned();
                lines.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { child, stderr, readers: Some((read_out, read_err)) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        send(name, self.id());
    }

    /// Ends the process that traces this one, which then goes on without it.
    pub(crate) fn end_tracing(&self) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).unwrap();
        send("TERM", tracer.trim().parse().unwrap());
    }

    /// Waits until something is so while the process runs.
    pub(crate) fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "never {what}: {}", self.stderr());
            assert!(self.child.try_wait().unwrap().is_none(), "ended before {what}: {}", self.stderr());
            look_again_soon();
        }
    }

    pub(crate) fn assert_running(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "it ended by itself: {}", self.stderr());
    }

    pub(crate) fn until_it_says(&mut self, text: &str) {
        self.until(&format!("said {text:?}"), |running| running.stderr().contains(text));
    }

    /// Waits for the end. `watch` is called again and again until then.
    pub(crate) fn outcome_watched(self, watch: impl FnMut(u32)) -> Outcome {
        let outcome = self.ended_watched(watch);
        assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
        outcome
    }

    /// Waits for the end, which may be any: without memory, some panic.
    pub(crate) fn ended(self) -> Outcome {
        self.ended_watched(|_| ())
    }

    fn ended_watched(mut self, mut watch: impl FnMut(u32)) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.stderr());
            watch(self.id());
            look_again_soon();
        };
        let (read_out, read_err) = self.readers.take().unwrap();
        let stdout = read_out.join().unwrap();
        read_err.join().unwrap();
        Outcome { status, stdout, stderr: self.stderr() }
    }

    pub(crate) fn outcome(self) -> Outcome {
        self.outcome_watched(|_| ())
    }
}

/// Another process gives no other notice of what it has come to; whoever looks has a deadline.
#[expect(clippy::disallowed_methods)]
pub(crate) fn look_again_soon() {
    std::thread::sleep(Duration::from_millis(5));
}

fn send(signal: &str, process: u32) {
    assert!(process > 0, "0 would be all processes of the test's group");
    let kill = format!("kill -{signal} {process}");
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    /// It has delivered everything, and says so.
    pub(crate) fn assert_complete(&self) {
        assert!(self.status.success(), "{self:?}");
        self.summary();
    }

    /// It has stopped, and says why.
    pub(crate) fn assert_stopped(&self, expected: &[&str]) {
        assert!(matches!(self.status.code(), Some(1..=3)), "{self:?}");
        assert!(expected.iter().any(|text| self.stderr.contains(text)), "{expected:?}: {self:?}");
    }

    /// The JSON object that is the last line of the output.
    pub(crate) fn summary(&self) -> serde_json::Value {
        serde_json::from_str(self.stdout.lines().next_back().unwrap_or_default()).unwrap()
    }

    pub(crate) fn lines(&self) -> u64 {
        self.summary()["lines"].as_u64().unwrap()
    }
}
