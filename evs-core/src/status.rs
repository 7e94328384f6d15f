//! What a pipeline is doing: a snapshot that is cheap to take.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use serde::Serialize;

use crate::{
    binlog::Totals,
    clock::{Clock, unix_now},
    seconds,
    tail::Frontier,
};

/// Over how long rates are taken.
const RATE_SPAN: Duration = Duration::from_secs(10);

/// What a pipeline was doing at one moment. Made by [`Pipeline::status`](crate::Pipeline::status).
///
/// Serialized, a duration is a number of seconds, and a time is in seconds since 1970:
///
/// ```
/// # use evs_core::{LogFormat, MemorySink, Pipeline, Statistic, count};
/// # let directory = tempfile::tempdir()?;
/// # let pipeline = Pipeline::builder("web1")
/// #     .tail(directory.path().join("access.log"))
/// #     .format(LogFormat::combined())
/// #     .statistic(Statistic::named("requests").measure(count()))
/// #     .sink("memory", MemorySink::new())
/// #     .state_dir(directory.path().join("state"))
/// #     .build()?;
/// let status = pipeline.status();
/// println!("{} lines, {:?} behind, {} bytes unread", status.lines, status.behind, status.behind_bytes);
/// for sink in &status.sinks {
///     println!("{} is {}: {} batches wait", sink.name, sink.state, sink.waiting);
/// }
/// let json = serde_json::to_value(&status)?;
/// assert_eq!(json["sinks"][0]["state"], "connecting");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The source's name.
    pub source: String,
    /// What the pipeline is at.
    pub phase: Phase,
    /// Lines read since the pipeline was started, rejected ones too.
    pub lines: u64,
    /// Bytes of those lines.
    pub bytes: u64,
    /// Lines that were not counted, since the pipeline was started.
    pub rejected: u64,
    /// Bytes of the log that vanished before they were read, since the pipeline was started.
    pub lost_bytes: u64,
    /// Lines left out of a statistic because their window was past its retention, since the pipeline was
    /// started; a line counts once for each such statistic.
    pub too_late: u64,
    /// Lines that were counted although their time was more than a day ahead of the clock, since the pipeline was
    /// started: that clock or the web server's is wrong, or a client writes times.
    pub ahead: u64,
    /// Lines per second, over the last ten seconds.
    pub lines_per_second: f64,
    /// Bytes per second, over the last ten seconds.
    pub bytes_per_second: f64,
    /// Up to where the log had been read at the last cut.
    pub position: Frontier,
    /// Bytes that are there and have not been read, over all files of the log.
    pub behind_bytes: u64,
    /// Files that have such bytes, rotated ones included.
    pub behind_files: u64,
    /// Whether `behind_bytes` is an estimate, since some of these files are compressed.
    pub is_behind_estimated: bool,
    /// How old the last line is that was read, by its own time; `None` before the first one.
    #[serde(serialize_with = "seconds::of_option")]
    pub behind: Option<Duration>,
    /// By how much the system's clock has jumped ahead, if it has within the last hour: as long as it is not believed, no
    /// windows are removed by it, and no lines are too late.
    #[serde(serialize_with = "seconds::of_option")]
    pub clock_ahead: Option<Duration>,
    /// Rows held in memory, over all statistics and workers.
    pub rows: u64,
    /// Batches cut since the pipeline was started.
    pub batches: u64,
    /// Bytes that the binlog takes up on disk.
    pub binlog_bytes: u64,
    /// Why reading waits, if it does.
    pub paused: Option<Pause>,
    /// The last thing that happened to the log that an operator may want to know.
    pub last_event: Option<String>,
    /// The sinks, in the order in which they were given.
    pub sinks: Vec<SinkStatus>,
}

/// What a pipeline is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Phase {
    /// It was built, and not yet run.
    Built,
    /// It reads the log and delivers.
    Running,
    /// It reads no more, and delivers what was read.
    Draining,
    /// It has ended.
    Ended,
}

/// Why reading waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pause {
    /// The reason, in words.
    pub reason: String,
    /// Since when.
    #[serde(serialize_with = "seconds::since_1970")]
    pub since: SystemTime,
}

/// How one sink is doing.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SinkStatus {
    /// The sink's name.
    pub name: String,
    /// Whether it answers.
    pub state: SinkState,
    /// Since when it has been in that state.
    #[serde(serialize_with = "seconds::since_1970")]
    pub since: SystemTime,
    /// The last error, in words, with its causes.
    pub last_error: Option<String>,
    /// Calls that failed and were or will be made again.
    pub retries: u64,
    /// Batches acknowledged since the pipeline was started.
    pub batches: u64,
    /// Rows of those batches.
    pub rows: u64,
    /// Batches that wait for the sink.
    pub waiting: u64,
    /// When the last batch was acknowledged.
    #[serde(serialize_with = "seconds::since_1970_option")]
    pub last_acknowledged: Option<SystemTime>,
}

/// Whether a sink answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SinkState {
    /// It has not answered yet.
    Connecting,
    /// It takes batches.
    Up,
    /// Its last call failed with an error that will pass; it is tried again.
    Down,
    /// It refused something for good. It gets no more batches until the pipeline is started again.
    Stopped,
}

impl fmt::Display for SinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Down => "down",
            Self::Stopped => "stopped",
        })
    }
}

/// The numbers behind a [`Status`], which the pipeline's threads and tasks keep up to date: counters once
/// per chunk, the rest where something changes.
#[derive(Debug)]
pub(crate) struct Board {
    source: String,
    /// The time that retention goes by.
    pub(crate) clock: Clock,
    pub(crate) lines: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) lost_bytes: AtomicU64,
    pub(crate) too_late: AtomicU64,
    pub(crate) ahead: AtomicU64,
    pub(crate) behind_bytes: AtomicU64,
    pub(crate) behind_files: AtomicU64,
    pub(crate) is_behind_estimated: AtomicBool,
    /// The event time of the last line; `i64::MIN` before the first.
    pub(crate) last_seconds: AtomicI64,
    pub(crate) batches: AtomicU64,
    pub(crate) binlog_bytes: AtomicU64,
    /// Rows held, by worker.
    pub(crate) rows: Vec<AtomicU64>,
    rest: Mutex<Rest>,
}

#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) phase: Phase,
    pub(crate) position: Frontier,
    pub(crate) paused: Option<Pause>,
    pub(crate) last_event: Option<String>,
    pub(crate) sinks: Vec<SinkStatus>,
    rates: VecDeque<(Instant, u64, u64)>,
}

impl Board {
    pub(crate) fn new(
        source: String,
        clock: Clock,
        workers: usize,
        sinks: impl Iterator<Item = String>,
    ) -> Self {
        let sinks = sinks
            .map(|name| SinkStatus {
                name,
                state: SinkState::Connecting,
                since: SystemTime::now(),
                last_error: None,
                retries: 0,
                batches: 0,
                rows: 0,
                waiting: 0,
                last_acknowledged: None,
            })
            .collect();
        Self {
            source,
            clock,
            lines: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            lost_bytes: AtomicU64::new(0),
            too_late: AtomicU64::new(0),
            ahead: AtomicU64::new(0),
            behind_bytes: AtomicU64::new(0),
            behind_files: AtomicU64::new(0),
            is_behind_estimated: AtomicBool::new(false),
            last_seconds: AtomicI64::new(i64::MIN),
            batches: AtomicU64::new(0),
            binlog_bytes: AtomicU64::new(0),
            rows: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            rest: Mutex::new(Rest {
                phase: Phase::Built,
                position: Frontier::default(),
                paused: None,
                last_event: None,
                sinks,
                rates: VecDeque::new(),
            }),
        }
    }

    /// The part that changes seldom. A panic elsewhere does not make it wrong.
    pub(crate) fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the counters to what was committed: the rest is read again.
    pub(crate) fn go_back(&self, totals: Totals) {
        self.lines.store(totals.lines, Relaxed);
        self.bytes.store(totals.bytes, Relaxed);
        self.rejected.store(totals.rejected, Relaxed);
        self.lost_bytes.store(totals.lost_bytes, Relaxed);
        self.too_late.store(totals.too_late, Relaxed);
        self.ahead.store(totals.ahead, Relaxed);
        self.rows.iter().for_each(|rows| rows.store(0, Relaxed));
    }

    /// Says why reading waits, or that it goes on.
    pub(crate) fn pause(&self, reason: Option<String>) {
        let paused = &mut self.rest().paused;
        match (&*paused, reason) {
            (Some(pause), Some(reason)) if pause.reason == reason => {}
            (None, None) => {}
            (_, Some(reason)) => {
                tracing::warn!(source = self.source, reason, "reading waits");
                *paused = Some(Pause { reason, since: SystemTime::now() });
            }
            (Some(_), None) => {
                tracing::info!(source = self.source, "reading goes on");
                *paused = None;
            }
        }
    }

    /// Remembers the counters, for rates; to be called about once a second.
    pub(crate) fn sample_rates(&self, now: Instant) {
        let sample = (now, self.lines.load(Relaxed), self.bytes.load(Relaxed));
        let rates = &mut self.rest().rates;
        rates.push_back(sample);
        while rates.len() > 2 && now.duration_since(rates[1].0) >= RATE_SPAN {
            rates.pop_front();
        }
    }

    pub(crate) fn status(&self) -> Status {
        let (lines, bytes) = (self.lines.load(Relaxed), self.bytes.load(Relaxed));
        let rest = self.rest();
        let rate = |now: u64, then: fn(&(Instant, u64, u64)) -> u64| {
            rest.rates.front().map_or(0.0, |oldest| {
                now.saturating_sub(then(oldest)) as f64 / oldest.0.elapsed().as_secs_f64().max(0.001)
            })
        };
        let last_seconds = self.last_seconds.load(Relaxed);
        let behind = unix_now().saturating_sub(last_seconds).max(0) as u64;
        Status {
            source: self.source.clone(),
            phase: rest.phase,
            lines,
            bytes,
            rejected: self.rejected.load(Relaxed),
            lost_bytes: self.lost_bytes.load(Relaxed),
            too_late: self.too_late.load(Relaxed),
            ahead: self.ahead.load(Relaxed),
            lines_per_second: rate(lines, |sample| sample.1),
            bytes_per_second: rate(bytes, |sample| sample.2),
            position: rest.position.clone(),
            behind_bytes: self.behind_bytes.load(Relaxed),
            behind_files: self.behind_files.load(Relaxed),
            is_behind_estimated: self.is_behind_estimated.load(Relaxed),
            behind: (last_seconds != i64::MIN).then(|| Duration::from_secs(behind)),
            clock_ahead: self.clock.ahead(),
            rows: self.rows.iter().map(|rows| rows.load(Relaxed)).sum(),
            batches: self.batches.load(Relaxed),
            binlog_bytes: self.binlog_bytes.load(Relaxed),
            paused: rest.paused.clone(),
            last_event: rest.last_event.clone(),
            sinks: rest.sinks.clone(),
        }
    }
}
