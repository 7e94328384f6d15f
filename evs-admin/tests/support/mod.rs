//! A machine with a log, a sink that can fail, and a client that speaks HTTP with its own words.

#![allow(dead_code, unreachable_pub, reason = "shared by several tests")]

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use evs_admin::{
    Cockpit,
    http::{Options, serve_on},
};
use evs_core::{
    Applied, Batch, Limits, LogFormat, MemorySink, Pipeline, PipelineBuilder, Progress, Rows, Schema, Sink,
    SinkError, Statistic, Status, Writer, async_trait, count, sum,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A sink in memory that can be away, or refuse what it gets.
#[derive(Clone, Debug, Default)]
pub struct TestSink {
    pub store: MemorySink,
    pub is_down: Arc<AtomicBool>,
    pub refuses: Arc<AtomicBool>,
    /// The questions for totals that are under way, and the most that were at a time. Each takes a moment.
    pub questions: Arc<(AtomicU64, AtomicU64)>,
}

impl TestSink {
    fn check(&self) -> Result<(), SinkError> {
        match self.is_down.load(SeqCst) {
            true => Err(SinkError::unavailable("connecting", std::io::Error::other("refused by a test"))),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Sink for TestSink {
    fn limits(&self) -> Limits {
        self.store.limits()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        self.check()?;
        self.store.prepare(schema).await
    }

    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        self.check()?;
        self.store.progress(source).await
    }

    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        self.check()?;
        self.store.begin(progress).await
    }

    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        self.check()?;
        self.store.writer(source).await
    }

    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        self.check()?;
        self.store.claim(writer, last).await
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        self.check()?;
        if self.refuses.load(SeqCst) && !batch.rows.is_empty() {
            return Err(SinkError::refused("a test says no"));
        }
        self.store.apply(batch).await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        self.check()?;
        let (now, most) = &*self.questions;
        most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        // All others come meanwhile, unless they have to wait.
        tokio::time::sleep(Duration::from_millis(50)).await;
        now.fetch_sub(1, SeqCst);
        self.store.totals(schema, windows).await
    }
}

/// A directory with a log and a state directory.
pub struct Machine(pub tempfile::TempDir);

impl Machine {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn log(&self) -> PathBuf {
        self.0.path().join("access.log")
    }

    pub fn append(&self, lines: &str) {
        let mut log = fs::OpenOptions::new().append(true).create(true).open(self.log()).unwrap();
        log.write_all(lines.as_bytes()).unwrap();
    }

    pub fn pipeline(&self) -> PipelineBuilder {
        Pipeline::builder("web1")
            .tail(self.log())
            .format(LogFormat::common())
            .statistic(
                Statistic::named("requests")
                    .group_by(["status", "request"])
                    .flush_every(Duration::from_millis(20))
                    .measure(count())
                    .measure(sum("body_bytes_sent")),
            )
            .state_dir(self.0.path().join("state"))
            .drain_timeout(Duration::from_millis(300))
    }
}

/// A line of 13:25 on 2026-11-21, whose minute begins at 1795267500.
pub fn line(request: &str, status: u16) -> String {
    format!("::1 - - [21/Nov/2026:13:25:22 +0000] \"{request}\" {status} 10\n")
}

/// The start of the window of [`line`].
pub const WINDOW: i64 = 1_795_267_500;

/// Waits until the pipeline's status is as expected; fails if it never is.
pub async fn until(pipeline: &Pipeline, what: &str, is_so: impl Fn(&Status) -> bool) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        if is_so(&pipeline.status()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never {what}: {:#?}", pipeline.status());
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let of =
            |line: &'_ &str| line.split_once(": ").is_some_and(|(known, _)| known.eq_ignore_ascii_case(name));
        self.head.lines().find(of).and_then(|line| line.split_once(": ")).map(|(_, value)| value)
    }
}

/// Sends requests to a server.
#[derive(Clone, Copy, Debug)]
pub struct Client(pub SocketAddr);

impl Client {
    /// Sends a request with further lines in its head.
    pub async fn ask(self, method: &str, path: &str, head: &[(&str, &str)]) -> Answer {
        let mut stream = TcpStream::connect(self.0).await.unwrap();
        let has_host = head.iter().any(|(name, _)| *name == "Host");
        let host = if has_host { String::new() } else { format!("Host: {}\r\n", self.0) };
        let head: String = head.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!("{method} {path} HTTP/1.1\r\n{host}{head}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {answer:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
        Answer { status: status.unwrap(), head: head.to_owned(), body: body.to_owned() }
    }
}

/// Asks for a path.
pub async fn get(client: Client, path: &str) -> Answer {
    client.ask("GET", path, &[]).await
}

/// Serves a cockpit on a free port.
pub async fn serve(cockpit: &Cockpit, options: Options) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cockpit = cockpit.clone();
    tokio::spawn(async move {
        match serve_on(listener, &cockpit, options).await {
            Ok(never) => match never {},
            Err(error) => panic!("{error}"),
        }
    });
    Client(address)
}
