//! A pipeline with its status page, to look at: it writes lines into a log of its own, counts them into two sinks in memory, and
//! serves the page on <http://127.0.0.1:9180>.
//!
//!     cargo run -p evs-admin --example cockpit -- [--state STATE] [--sources N] [--address ADDRESS] [--token TOKEN] [--log LOG]
//!
//! The states are those of [`State`]: `healthy`, `sink-down`, `backlog`, `rejects`, `refused` and `paused`. A line on standard input
//! with the name of a state changes to it. With `--log`, it counts that log (format `combined`) and writes no lines.
//!
//! The log has what clients really send, too: keys and user agents that are markup, turn the direction of text, or have control
//! characters.

use std::{
    error::Error,
    fs::{File, OpenOptions},
    io::Write,
    net::SocketAddr,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use evs_admin::{
    Cockpit,
    http::{Options, serve_on},
};
use evs_core::{
    Applied, Batch, Begin, Limits, LogFormat, MemorySink, Pipeline, Progress, Rows, Schema, Sink, SinkError,
    Statistic, StatusHandle, Writer, count, field, histogram, max, sum,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The times of the lines that are in the log at the start, so that there is something to plot.
const PAST: Duration = Duration::from_secs(2 * 3600);

/// The user agents. nginx writes a quote as `\x22`, and bytes above 126 as they are if it was told so (`escape=none` or `json`).
const AGENTS: [&str; 7] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Mobile/15E148 Safari/604.1",
    "curl/8.14.1",
    "<script>alert(1)</script>",
    r"\x22><img src=x onerror=alert(2)>",
    "\u{202e}txt.exe\u{2066} \u{1b}[31mred\u{7f}",
    "'-->\u{feff}</style></script><svg onload=alert(3)>",
];
const PATHS: [&str; 9] = [
    "/",
    "/search",
    "/api/v2/orders",
    "/api/v2/customers",
    "/login",
    "/static/app.js",
    "/größe/ü",
    "/<script>alert(1)</script>",
    r"/a\x22><img/src=x/onerror=alert(4)>",
];

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    /// Nothing.
    Healthy,
    /// The sink `warehouse` does not answer.
    SinkDown,
    /// It does not answer, and the batches that wait for it fill the binlog until reading pauses.
    Backlog,
    /// Many lines are rejected.
    Rejects,
    /// The sink `warehouse` refuses the rows of one statistic.
    Refused,
    /// Somebody has paused reading.
    Paused,
}

const STATES: [(&str, State); 6] = [
    ("healthy", State::Healthy),
    ("sink-down", State::SinkDown),
    ("backlog", State::Backlog),
    ("rejects", State::Rejects),
    ("refused", State::Refused),
    ("paused", State::Paused),
];

impl State {
    fn named(name: &str) -> Option<Self> {
        STATES.iter().find(|(known, _)| *known == name).map(|(_, state)| *state)
    }
}

/// The present state, which all parts of the example look at.
#[derive(Clone, Debug)]
struct Now(Arc<AtomicU8>);

impl Now {
    fn get(&self) -> State {
        let number = self.0.load(Relaxed);
        STATES.iter().find(|(_, state)| *state as u8 == number).map_or(State::Healthy, |(_, state)| *state)
    }

    fn set(&self, state: State) {
        self.0.store(state as u8, Relaxed);
    }
}

#[derive(Debug)]
struct Arguments {
    state: State,
    sources: usize,
    address: SocketAddr,
    token: Option<String>,
    log: Option<PathBuf>,
}

impl Arguments {
    fn read() -> Result<Self, Box<dyn Error>> {
        let address = ([127, 0, 0, 1], 9180).into();
        let mut read = Self { state: State::Healthy, sources: 1, address, token: None, log: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(option) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--state" => {
                    read.state = State::named(&value).ok_or_else(|| format!("{value} is not a state"))?;
                }
                "--sources" => read.sources = value.parse()?,
                "--address" => read.address = value.parse()?,
                "--token" => read.token = Some(value),
                "--log" => read.log = Some(value.into()),
                _ => return Err(format!("{option} is not an option").into()),
            }
        }
        Ok(read)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read()?;
    let now = Now(Arc::new(AtomicU8::new(arguments.state as u8)));
    let cockpit = Cockpit::new();
    let scratch = tempfile::tempdir()?;
    let mut runs = tokio::task::JoinSet::new();
    let mut handles = Vec::new();
    for number in 1..=arguments.sources.max(1) {
        let source = format!("web{number}");
        let log = arguments.log.clone().unwrap_or_else(|| scratch.path().join(format!("{source}.log")));
        // Only the first source has something wrong.
        let state = if number == 1 { now.clone() } else { Now(Arc::new(AtomicU8::new(0))) };
        if arguments.log.is_none() {
            let log = write_past(OpenOptions::new().create(true).append(true).open(&log)?)?;
            let state = state.clone();
            tokio::spawn(write_lines(log, state));
        }
        let mut builder = Pipeline::builder(&*source)
            .tail(&log)
            .format(LogFormat::combined())
            .begin(Begin::Start)
            .workers(1)
            .sink("stats", MemorySink::new())
            .sink("warehouse", Store { memory: MemorySink::new(), now: state })
            .spool_bytes_max(4 << 20)
            .segment_bytes_max(1 << 18)
            .state_dir(scratch.path().join(format!("{source}.state")));
        for statistic in statistics() {
            builder = builder.statistic(statistic);
        }
        let pipeline = cockpit.build(&source, builder).await?;
        handles.push(pipeline.status_handle());
        runs.spawn(async move { pipeline.run(std::future::pending()).await });
    }
    tokio::spawn(follow(now.clone(), handles.swap_remove(0)));
    // A thread of its own: a read of standard input cannot be called off.
    std::thread::spawn(move || {
        for state in std::io::stdin().lines().map_while(Result::ok) {
            match State::named(&state) {
                Some(state) => now.set(state),
                None => eprintln!("{state} is not a state"),
            }
        }
    });
    let options = arguments.token.into_iter().fold(Options::new(), Options::token);
    let listener = tokio::net::TcpListener::bind(arguments.address).await?;
    println!("http://{}/", listener.local_addr()?);
    tokio::select! {
        never = serve_on(listener, &cockpit, options) => match never? {},
        Some(ended) = runs.join_next() => ended?.map(|_| ()).map_err(Into::into),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

fn statistics() -> [Statistic; 5] {
    let requests = Statistic::named("requests")
        .window(MINUTE)
        .group_by([field("uri").path().named("page"), field("status")])
        .measure(count())
        .measure(sum("body_bytes_sent").named("bytes"))
        .measure(max("body_bytes_sent").named("largest"));
    let agents =
        Statistic::named("agents").window(MINUTE).group_by(["http_user_agent"]).measure(count()).top(50);
    let sizes = Statistic::named("sizes")
        .window(MINUTE)
        .group_by([field("status").status_class().named("class"), histogram("body_bytes_sent", 0.01)])
        .measure(count());
    let visitors = Statistic::named("visitors").window(HOUR).distinct("remote_addr");
    let errors = Statistic::named("errors")
        .window(MINUTE)
        .only(field("status").ge(500))
        .group_by([field("uri").path().named("page")])
        .measure(count());
    [requests, agents, sizes, visitors, errors].map(|statistic| statistic.flush_every(Duration::from_secs(1)))
}

/// Does to the pipeline what the state says.
async fn follow(now: Now, handle: StatusHandle) {
    let mut last = State::Healthy;
    loop {
        let state = now.get();
        if state != last {
            if state == State::Paused {
                handle.pause("the database is being moved");
            } else if last == State::Paused {
                handle.resume();
            }
            if last == State::Refused {
                // It fails once the pipeline has ended, and then there is nothing to try again.
                let _ = handle.retry_sink("warehouse");
            }
            last = state;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Writes the lines of the hours before the start.
fn write_past(log: File) -> std::io::Result<File> {
    let mut lines = String::new();
    let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let mut random = Random(1);
    for second in now - PAST.as_secs()..now {
        for _ in 0..lines_in(second) {
            line(&mut lines, second, &mut random);
        }
    }
    (&log).write_all(lines.as_bytes())?;
    Ok(log)
}

/// Returns the number of lines in a second. Traffic has its waves.
fn lines_in(second: u64) -> u64 {
    (((second as f64) / 1500.0).sin() * 10.0 + 22.0) as u64
}

/// Writes lines for ever.
async fn write_lines(mut log: File, now: Now) {
    let mut random = Random(2);
    let mut lines = String::new();
    loop {
        lines.clear();
        let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let state = now.get();
        for _ in 0..(lines_in(second) + random.below(10)) / 10 {
            line(&mut lines, second, &mut random);
        }
        if state == State::Backlog {
            for _ in 0..2000 {
                let page = format!("/item/{}", random.below(1 << 40));
                request(&mut lines, second, &page, AGENTS[0], &mut random);
            }
        }
        if state == State::Rejects || random.below(50) == 0 {
            for _ in 0..1 + random.below(5) {
                lines.push_str("GET <b>this</b> \u{202e}is no line of the log\u{1b}[2J\n");
                lines.push_str(
                    "192.0.2.7 - - [99/Foo/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n",
                );
            }
        }
        if log.write_all(lines.as_bytes()).is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Adds a line that any client may have caused.
fn line(lines: &mut String, second: u64, random: &mut Random) {
    let (path, agent) = (random.early(PATHS.len()), random.early(AGENTS.len()));
    let (path, agent) = (PATHS[path], AGENTS[agent]);
    request(lines, second, path, agent, random);
}

fn request(lines: &mut String, second: u64, path: &str, agent: &str, random: &mut Random) {
    let status = [200, 200, 200, 200, 200, 200, 304, 404, 500, 502][random.below(10) as usize];
    let magnitude = 4 + random.below(14);
    let bytes = 200 + random.below(1 << magnitude);
    let (client, time) = (random.below(250), time_of(second));
    let query = random.below(100);
    lines.push_str(&format!(
        "198.51.100.{client} - - [{time}] \"GET {path}?q={query} HTTP/1.1\" {status} {bytes} \"-\" \"{agent}\"\n"
    ));
}

/// Returns a time as the log has it.
fn time_of(second: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (mut day, mut year) = (second / 86_400, 1970);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 0;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    let (day, month) = (day + 1, MONTHS[month % 12]);
    format!("{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02} +0000")
}

/// Numbers that look random and are the same at each start (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }

    /// Returns an index of a list, with the first ones more often.
    fn early(&mut self, length: usize) -> usize {
        let limit = self.below(length as u64) + 1;
        self.below(limit) as usize
    }
}

/// A sink in memory that fails if the state says so.
#[derive(Debug)]
struct Store {
    memory: MemorySink,
    now: Now,
}

impl Store {
    fn check(&self) -> Result<(), SinkError> {
        match self.now.get() {
            State::SinkDown | State::Backlog => {
                let cause = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
                Err(SinkError::unavailable("connecting to warehouse.example.org:5432 failed", cause))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Sink for Store {
    fn limits(&self) -> Limits {
        self.memory.limits()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        self.check()?;
        self.memory.prepare(schema).await
    }

    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        self.check()?;
        self.memory.progress(source).await
    }

    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        self.check()?;
        self.memory.begin(progress).await
    }

    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        self.check()?;
        self.memory.writer(source).await
    }

    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        self.check()?;
        self.memory.claim(writer, last).await
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        self.check()?;
        if self.now.get() == State::Refused && batch.statistic() == "errors" {
            return Err(SinkError::refused("the table web1_errors has no column page"));
        }
        self.memory.apply(batch).await
    }

    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        self.memory.sweep(schema, before).await
    }

    async fn close(&self) -> Result<(), SinkError> {
        self.memory.close().await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        self.check()?;
        self.memory.totals(schema, windows).await
    }
}
