//! The status of a pipeline: a snapshot that is cheap to take.
//!
//! Threads and tasks count into a [`Board`] of atomics; a [`Status`] is a copy of it with the rates and ages worked
//! out. A [`StatusHandle`] (`handle`) gives a service access to the board.

mod handle;

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
    clock::{Clock, unix_now},
    counters::{AtomicCounters, Counters},
    position::Frontier,
    seconds,
};

pub use handle::StatusHandle;

/// The period over which rates are measured.
const RATE_SPAN: Duration = Duration::from_secs(10);

/// The status of a pipeline at one moment. [`Pipeline::status`](crate::Pipeline::status) makes it.
///
/// In a healthy pipeline every sink is [`Up`](SinkState::Up) and `behind_bytes` stays small. If `behind_bytes` grows,
/// either reading is paused, and `paused` gives the reason, or lines arrive faster than they are read. If
/// [`waiting`](SinkStatus::waiting) of a sink grows, that sink is away or too slow.
///
/// When it is serialized, a duration is a number of seconds and a time is in seconds since 1970:
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
    /// The phase of the pipeline.
    pub phase: Phase,
    /// Lines read since the run was started, including rejected ones.
    pub lines: u64,
    /// Bytes of those lines.
    pub bytes: u64,
    /// Lines that were not counted, since the run was started.
    pub rejected: u64,
    /// Bytes of the log that vanished before they were read, since the run was started.
    pub lost_bytes: u64,
    /// Lines left out of a statistic because their window was past its retention, since the run was
    /// started; a line counts once for each such statistic.
    pub too_late: u64,
    /// Lines that were counted although their time was more than a day ahead of the clock, since the run was
    /// started. Either this clock or the web server's is wrong, or a client controls the times in the log.
    pub ahead: u64,
    /// Lines per second, over the last ten seconds.
    pub lines_per_second: f64,
    /// Bytes per second, over the last ten seconds.
    pub bytes_per_second: f64,
    /// The position in the log at the last cut: everything before it is committed.
    pub position: Frontier,
    /// Bytes in the log that have not been read, over all its files.
    pub behind_bytes: u64,
    /// The number of files with unread bytes, including rotated ones.
    pub behind_files: u64,
    /// True if `behind_bytes` is an estimate because some of these files are compressed.
    pub is_behind_estimated: bool,
    /// The age of the last line that was read, by the time in the line; `None` before the first line.
    #[serde(serialize_with = "seconds::of_option")]
    pub behind: Option<Duration>,
    /// The jump of the system's clock, if it jumped ahead within the last hour. While the clock is not trusted, no
    /// windows are removed by it and no lines are too late.
    #[serde(serialize_with = "seconds::of_option")]
    pub clock_ahead: Option<Duration>,
    /// Rows held in memory, over all statistics and workers.
    pub rows: u64,
    /// Batches cut since the run was started.
    pub batches: u64,
    /// The size of the binlog on disk, in bytes.
    pub binlog_bytes: u64,
    /// The reason for a pause in reading, if there is one: the pipeline's own (the binlog has reached its limit, or
    /// its disk is full), or else the one that was given to [`StatusHandle::pause`].
    pub paused: Option<Pause>,
    /// The last event of the log that an operator may want to know.
    pub last_event: Option<String>,
    /// The sinks, in the order in which they were added.
    pub sinks: Vec<SinkStatus>,
}

/// The phase of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Phase {
    /// It was built and has not been run yet.
    Built,
    /// It reads the log and delivers batches.
    Running,
    /// It has stopped reading and delivers the batches that are left.
    Draining,
    /// It has ended.
    Ended,
}

/// A pause in reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pause {
    /// The reason, in words.
    pub reason: String,
    /// The start of the pause.
    #[serde(serialize_with = "seconds::since_1970")]
    pub since: SystemTime,
}

/// The status of one sink.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SinkStatus {
    /// The sink's name.
    pub name: String,
    /// The state of the sink.
    pub state: SinkState,
    /// The time at which the sink entered that state.
    #[serde(serialize_with = "seconds::since_1970")]
    pub since: SystemTime,
    /// The last error, in words, with its causes.
    pub last_error: Option<String>,
    /// The number of calls that failed and were made again or will be.
    pub retries: u64,
    /// Batches acknowledged since the run was started.
    pub batches: u64,
    /// Rows of those batches.
    pub rows: u64,
    /// Batches that wait for this sink.
    pub waiting: u64,
    /// The time at which the last batch was acknowledged.
    #[serde(serialize_with = "seconds::since_1970_option")]
    pub last_acknowledged: Option<SystemTime>,
}

impl SinkStatus {
    /// Makes the status of a sink that has not answered yet.
    fn new(name: String) -> Self {
        Self {
            name,
            state: SinkState::Connecting,
            since: SystemTime::now(),
            last_error: None,
            retries: 0,
            batches: 0,
            rows: 0,
            waiting: 0,
            last_acknowledged: None,
        }
    }
}

/// The state of a sink: whether it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SinkState {
    /// It has not answered yet.
    Connecting,
    /// It applies batches.
    Up,
    /// Its last call failed with an error that passes; the pipeline tries again.
    Down,
    /// It refused a batch permanently. It gets no more batches until the pipeline is started again.
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

/// The numbers from which a [`Status`] is made. The pipeline's threads and tasks keep them up to date: the counters
/// once per chunk, the rest when something changes.
#[derive(Debug)]
pub(crate) struct Board {
    source: String,
    /// The clock by which windows are removed and lines are too late.
    pub(crate) clock: Clock,
    pub(crate) counters: AtomicCounters,
    pub(crate) behind_bytes: AtomicU64,
    pub(crate) behind_files: AtomicU64,
    pub(crate) is_behind_estimated: AtomicBool,
    /// The event time of the last line; `i64::MIN` before the first line.
    pub(crate) last_seconds: AtomicI64,
    pub(crate) batches: AtomicU64,
    pub(crate) binlog_bytes: AtomicU64,
    /// The number of rows in memory, by worker.
    pub(crate) rows: Vec<AtomicU64>,
    /// True while the service has paused reading.
    is_pause_requested: AtomicBool,
    rest: Mutex<Rest>,
}

/// The part of the board that changes seldom; a mutex protects it.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) phase: Phase,
    pub(crate) position: Frontier,
    pub(crate) paused: Option<Pause>,
    /// The pause that the service has requested.
    requested: Option<Pause>,
    pub(crate) last_event: Option<String>,
    pub(crate) sinks: Vec<SinkStatus>,
    rates: VecDeque<(Instant, Counters)>,
}

impl Board {
    /// Makes the board of a pipeline that was built and is not running.
    pub(crate) fn new(
        source: String,
        clock: Clock,
        workers: usize,
        sinks: impl Iterator<Item = String>,
    ) -> Self {
        let sinks = sinks.map(SinkStatus::new).collect();
        Self {
            source,
            clock,
            counters: AtomicCounters::default(),
            behind_bytes: AtomicU64::new(0),
            behind_files: AtomicU64::new(0),
            is_behind_estimated: AtomicBool::new(false),
            last_seconds: AtomicI64::new(i64::MIN),
            batches: AtomicU64::new(0),
            binlog_bytes: AtomicU64::new(0),
            rows: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            is_pause_requested: AtomicBool::new(false),
            rest: Mutex::new(Rest {
                phase: Phase::Built,
                position: Frontier::default(),
                paused: None,
                requested: None,
                last_event: None,
                sinks,
                rates: VecDeque::new(),
            }),
        }
    }

    /// Locks the part that changes seldom. A panic in another thread cannot leave it inconsistent, so a poisoned lock
    /// is used.
    pub(crate) fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the counters back to the committed totals: everything after them is read again and would be counted
    /// twice.
    pub(crate) fn go_back(&self, totals: Counters) {
        self.counters.store(totals);
        self.rows.iter().for_each(|rows| rows.store(0, Relaxed));
    }

    /// Sets the pipeline's own reason for a pause in reading, or `None` when it has none.
    pub(crate) fn pause(&self, reason: Option<String>) {
        self.change_pause(&mut self.rest().paused, reason);
    }

    /// Sets the service's reason for a pause in reading, or `None` when it has none.
    pub(crate) fn request_pause(&self, reason: Option<String>) {
        let mut rest = self.rest();
        // Set under the lock, so that of two calls the last one counts for both.
        self.is_pause_requested.store(reason.is_some(), Relaxed);
        self.change_pause(&mut rest.requested, reason);
    }

    /// Returns whether the service has paused reading.
    pub(crate) fn is_pause_requested(&self) -> bool {
        self.is_pause_requested.load(Relaxed)
    }

    /// Begins a pause, gives it another reason, or ends it.
    fn change_pause(&self, pause: &mut Option<Pause>, reason: Option<String>) {
        match (&*pause, reason) {
            (Some(pause), Some(reason)) if pause.reason == reason => {}
            (None, None) => {}
            (_, Some(reason)) => {
                tracing::warn!(source = self.source, reason, "reading waits");
                *pause = Some(Pause { reason, since: SystemTime::now() });
            }
            (Some(_), None) => {
                tracing::info!(source = self.source, "reading goes on");
                *pause = None;
            }
        }
    }

    /// Shows that a run begins. Its numbers begin with zero.
    pub(crate) fn begin(&self) {
        self.go_back(Counters::default());
        self.last_seconds.store(i64::MIN, Relaxed);
        self.batches.store(0, Relaxed);
        let mut rest = self.rest();
        rest.phase = Phase::Running;
        rest.paused = None;
        rest.rates.clear();
        for sink in &mut rest.sinks {
            *sink = SinkStatus::new(std::mem::take(&mut sink.name));
        }
    }

    /// Shows that the run has ended, and with it a pause that the service requested.
    pub(crate) fn end(&self) {
        let mut rest = self.rest();
        rest.phase = Phase::Ended;
        rest.requested = None;
        self.is_pause_requested.store(false, Relaxed);
    }

    /// Records the counters for the rates. The caller does this about once a second.
    pub(crate) fn sample_rates(&self, now: Instant) {
        let sample = (now, self.counters.load());
        let rates = &mut self.rest().rates;
        debug_assert!(rates.back().is_none_or(|last| last.0 <= now), "samples are in order of time");
        rates.push_back(sample);
        while rates.len() > 2 && now.duration_since(rates[1].0) >= RATE_SPAN {
            rates.pop_front();
        }
    }

    /// Copies the numbers into a status, and works out the rates and ages.
    pub(crate) fn status(&self) -> Status {
        let now = self.counters.load();
        let Counters { lines, bytes, rejected, lost_bytes, too_late, ahead } = now;
        let rest = self.rest();
        let rate = |of: fn(&Counters) -> u64| {
            rest.rates.front().map_or(0.0, |(at, then)| {
                // A run that starts again from its last commit counts less than before.
                of(&now).saturating_sub(of(then)) as f64 / at.elapsed().as_secs_f64().max(0.001)
            })
        };
        let last_seconds = self.last_seconds.load(Relaxed);
        let behind = unix_now().saturating_sub(last_seconds).max(0) as u64;
        Status {
            source: self.source.clone(),
            phase: rest.phase,
            lines,
            bytes,
            rejected,
            lost_bytes,
            too_late,
            ahead,
            lines_per_second: rate(|counters| counters.lines),
            bytes_per_second: rate(|counters| counters.bytes),
            position: rest.position.clone(),
            behind_bytes: self.behind_bytes.load(Relaxed),
            behind_files: self.behind_files.load(Relaxed),
            is_behind_estimated: self.is_behind_estimated.load(Relaxed),
            behind: (last_seconds != i64::MIN).then(|| Duration::from_secs(behind)),
            clock_ahead: self.clock.ahead(),
            rows: self.rows.iter().map(|rows| rows.load(Relaxed)).sum(),
            batches: self.batches.load(Relaxed),
            binlog_bytes: self.binlog_bytes.load(Relaxed),
            paused: rest.paused.as_ref().or(rest.requested.as_ref()).cloned(),
            last_event: rest.last_event.clone(),
            sinks: rest.sinks.clone(),
        }
    }
}
