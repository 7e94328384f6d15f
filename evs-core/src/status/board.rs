//! The board: the numbers that the threads and tasks of a pipeline keep up to date.

use std::{
    iter,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::{mpsc::UnboundedSender, watch};

use super::{
    change::Change,
    events::{EventKind, Sender},
    request::Request,
    rest::Rest,
    status::{Pause, Phase, SinkStatus, StatisticStatus, Status, StoppedStatistic},
    steps::Steps,
    timing::Timing,
};
use crate::{
    Error,
    batch::Epoch,
    clock::{Clock, unix_now},
    counters::{AtomicCounters, Counters},
    tail::Backlog,
};

/// The period over which rates are measured.
const RATE_SPAN: Duration = Duration::from_secs(10);
/// The time by which a poll of the log may be late before what it found no longer counts as the present.
const POLL_LATE_MAX: Duration = Duration::from_secs(1);

/// The limits that a status shows beside its values.
#[derive(Debug)]
pub(crate) struct Limits {
    /// The name of each statistic, and its row limit.
    pub(crate) statistics: Vec<(String, u64)>,
    /// The limit of the binlog's size.
    pub(crate) spool_bytes_max: u64,
    /// The interval of polling an idle log.
    pub(crate) poll_every: Duration,
}

/// The batches that wait for a sink.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overdue {
    pub(crate) batches: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// The time of the oldest commit among theirs, in seconds since 1970; `None` if it is not known.
    pub(crate) since: Option<i64>,
    /// The batches that were given up for the sink, and their rows.
    pub(crate) discarded: (u64, u64),
}

/// The numbers from which a [`Status`] is made. The pipeline's threads and tasks keep them up to date: the counters
/// once per chunk, the rest when something changes.
#[derive(Debug)]
pub(crate) struct Board {
    source: String,
    epoch: Epoch,
    /// The clock by which windows are removed and lines are too late.
    pub(crate) clock: Clock,
    pub(crate) counters: AtomicCounters,
    /// Lines that were read, including those that are read once more for some statistics.
    pub(crate) lines_read: AtomicU64,
    /// The event time of the last line; `i64::MIN` before the first line.
    pub(crate) last_seconds: AtomicI64,
    pub(crate) batches: AtomicU64,
    pub(crate) binlog_bytes: AtomicU64,
    pub(crate) steps: Steps,
    /// By worker, the number of rows in memory by statistic.
    rows: Vec<Box<[AtomicU64]>>,
    limits: Limits,
    /// True while the service has paused reading.
    is_pause_requested: AtomicBool,
    rest: Mutex<Rest>,
    /// Wakes the watchers after a change. Its value is true when the pipeline is gone.
    changes: watch::Sender<bool>,
}

impl Board {
    /// Makes the board of a pipeline that was built and is not running.
    pub(crate) fn new(
        source: String,
        epoch: Epoch,
        clock: Clock,
        workers: usize,
        sinks: impl Iterator<Item = String>,
        limits: Limits,
    ) -> Self {
        let sinks: Vec<_> = sinks.map(SinkStatus::new).collect();
        let statistic = |(name, rows_max): &(String, u64)| StatisticStatus {
            name: name.clone(),
            rows: 0,
            rows_max: *rows_max,
            selected: 0,
            too_late: 0,
            older_files: 0,
            batches: 0,
            batch_rows: 0,
            last_cut: None,
        };
        let statistics = limits.statistics.iter().map(statistic).collect();
        let rows = || limits.statistics.iter().map(|_| AtomicU64::new(0)).collect();
        Self {
            source,
            epoch,
            clock,
            counters: AtomicCounters::default(),
            lines_read: AtomicU64::new(0),
            last_seconds: AtomicI64::new(i64::MIN),
            batches: AtomicU64::new(0),
            binlog_bytes: AtomicU64::new(0),
            steps: Steps::new(workers),
            rows: iter::repeat_with(rows).take(workers).collect(),
            is_pause_requested: AtomicBool::new(false),
            changes: watch::Sender::new(false),
            rest: Mutex::new(Rest::new(sinks, statistics)),
            limits,
        }
    }

    /// Locks the part that changes seldom. Watchers and receivers of events learn of a change as soon as the guard is
    /// dropped. A panic in another thread cannot leave this part inconsistent, so a poisoned lock is used.
    pub(crate) fn rest(&self) -> Change<'_> {
        Change::new(&self.changes, self.rest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows how many older files each statistic still has to read.
    pub(crate) fn show_older(&self, left: &[u64]) {
        let mut rest = self.rest();
        rest.statistics.iter_mut().zip(left).for_each(|(statistic, left)| statistic.older_files = *left);
    }

    /// Subscribes to changes. The value is true when the pipeline is gone.
    pub(super) fn changes(&self) -> watch::Receiver<bool> {
        self.changes.subscribe()
    }

    /// Sets the counters back to the committed totals: everything after them is read again and would be counted
    /// twice.
    pub(crate) fn go_back(&self, totals: Counters) {
        self.counters.store(totals);
        self.rows.iter().flatten().for_each(|rows| rows.store(0, Relaxed));
    }

    /// Returns the number of workers.
    pub(crate) fn workers(&self) -> usize {
        self.rows.len()
    }

    /// Shows how many rows a worker holds, by statistic.
    pub(crate) fn show_rows(&self, worker: usize, rows: impl Iterator<Item = usize>) {
        self.rows[worker].iter().zip(rows).for_each(|(shown, rows)| shown.store(rows as u64, Relaxed));
    }

    /// Shows what a poll of the log has found.
    pub(crate) fn show_backlog(&self, backlog: Backlog) {
        let counters = self.counters.load();
        let mut change = self.rest();
        // Polls are frequent, and most of them find nothing new.
        if change.backlog != backlog || change.watched != counters {
            change.note();
        }
        let rest = change.quietly();
        if backlog.bytes == 0 {
            rest.caught_up = Some(Instant::now());
        }
        (rest.backlog, rest.watched) = (backlog, counters);
    }

    /// Shows the batches that wait for each sink.
    pub(crate) fn show_waiting(&self, overdue: impl Fn(&str) -> Overdue) {
        let mut change = self.rest();
        let Rest { sinks, waiting_since, .. } = change.quietly();
        let mut has_changed = false;
        for (sink, waiting_since) in sinks.iter_mut().zip(waiting_since) {
            let Overdue { batches, rows, bytes, since, discarded } = overdue(&sink.name);
            has_changed |= (sink.waiting, *waiting_since) != (batches, since);
            has_changed |= (sink.discarded, sink.discarded_rows) != discarded;
            (sink.waiting, sink.waiting_rows, sink.waiting_bytes) = (batches, rows, bytes);
            (sink.discarded, sink.discarded_rows) = discarded;
            *waiting_since = since;
        }
        if has_changed {
            change.note();
        }
    }

    /// Shows a statistic that has stopped in the sink with that index.
    pub(crate) fn show_stopped(&self, sink: usize, stopped: StoppedStatistic) {
        let sink = &mut self.rest().sinks[sink];
        sink.last_error = Some(stopped.error.clone());
        sink.stopped.retain(|other| other.statistic != stopped.statistic);
        sink.stopped.push(stopped);
    }

    /// Shows that a statistic of the sink with that index is tried again.
    pub(crate) fn show_retried(&self, sink: usize, statistic: &str) {
        self.rest().sinks[sink].stopped.retain(|stopped| stopped.statistic != statistic);
    }

    /// Sets where the requests to the sink with that index go.
    pub(crate) fn take_requests(&self, sink: usize, requests: UnboundedSender<Request>) {
        self.rest().requests[sink] = Some(requests);
    }

    /// Sends a request to the delivery of a sink.
    pub(crate) fn request(&self, sink: &str, request: Request) -> Result<(), Error> {
        let rest = self.rest();
        let at = rest.index_of(sink)?;
        let sent = rest.requests[at].as_ref().and_then(|requests| requests.send(request).ok());
        sent.ok_or(Error::NotRunning)
    }

    /// Sets the pipeline's own reason for a pause in reading, or `None` when it has none.
    pub(crate) fn pause(&self, reason: Option<String>) {
        let mut rest = self.rest();
        if rest.paused.as_ref().map(|pause| &pause.reason) != reason.as_ref() {
            self.change_pause(&mut rest.paused, reason);
        }
    }

    /// Sets the service's reason for a pause in reading, or `None` when it has none.
    pub(crate) fn request_pause(&self, reason: Option<String>) {
        let mut rest = self.rest();
        // Set under the lock, so that of two calls the last one counts for both.
        self.is_pause_requested.store(reason.is_some(), Relaxed);
        if rest.requested.as_ref().map(|pause| &pause.reason) != reason.as_ref() {
            self.change_pause(&mut rest.requested, reason);
        }
    }

    /// Returns whether the service has paused reading.
    pub(crate) fn is_pause_requested(&self) -> bool {
        self.is_pause_requested.load(Relaxed)
    }

    /// Begins a pause, gives it another reason, or ends it.
    fn change_pause(&self, pause: &mut Option<Pause>, reason: Option<String>) {
        match &reason {
            Some(reason) => tracing::warn!(source = self.source, reason, "reading waits"),
            None => tracing::info!(source = self.source, "reading goes on"),
        }
        *pause = reason.map(|reason| Pause { reason, since: SystemTime::now() });
    }

    /// Shows that a run begins. Its numbers begin with zero.
    pub(crate) fn begin(&self) {
        self.go_back(Counters::default());
        self.last_seconds.store(i64::MIN, Relaxed);
        self.batches.store(0, Relaxed);
        let mut rest = self.rest();
        rest.phase = Phase::Running;
        rest.started = Some(SystemTime::now());
        rest.paused = None;
        rest.rates.clear();
        rest.error = None;
        (rest.backlog, rest.caught_up) = (Backlog::default(), None);
        rest.waiting_since.fill(None);
        for statistic in &mut rest.statistics {
            (statistic.selected, statistic.too_late, statistic.last_cut) = (0, 0, None);
            (statistic.batches, statistic.batch_rows) = (0, 0);
        }
        rest.rejections.clear();
        rest.rejected_samples.clear();
        (rest.cut_time, rest.commit_time) = (Timing::default(), Timing::default());
        for sink in &mut rest.sinks {
            *sink = SinkStatus::new(std::mem::take(&mut sink.name));
        }
    }

    /// Shows that the run has ended, and with it a pause that the service requested. `error` is the reason, if it was
    /// not asked to end.
    pub(crate) fn end(&self, error: Option<String>) {
        let mut rest = self.rest();
        rest.phase = Phase::Ended;
        rest.requested = None;
        rest.requests.fill(None);
        rest.error = error;
        self.is_pause_requested.store(false, Relaxed);
        self.steps.end_all();
    }

    /// Shows that the run reads again from its last commit.
    pub(crate) fn restart(&self, error: String) {
        let mut rest = self.rest();
        rest.phase = Phase::Running;
        rest.events.send(|| EventKind::RunRestarted { error });
    }

    /// Shows that the pipeline is gone: there will be no more changes and events.
    pub(crate) fn close(&self) {
        self.end(None);
        let mut rest = self.rest();
        rest.is_gone = true;
        rest.events = Sender::Closed;
    }

    /// Records the counters for the rates. The caller does this about once a second.
    pub(crate) fn sample_rates(&self, now: Instant) {
        let sample = (now, self.counters.load());
        let mut change = self.rest();
        if change.rates.front().is_some_and(|first| first.1 != sample.1) {
            change.note();
        }
        let rates = &mut change.quietly().rates;
        debug_assert!(rates.back().is_none_or(|last| last.0 <= now), "samples are in order of time");
        rates.push_back(sample);
        while rates.len() > 2 && now.duration_since(rates[1].0) >= RATE_SPAN {
            rates.pop_front();
        }
    }

    /// Copies the numbers into a status, and works out the rates and ages.
    pub(crate) fn status(&self) -> Status {
        let now = self.counters.load();
        let Counters { lines, bytes, rejected, lost_bytes, too_late, ahead, bad_values } = now;
        let rest = self.rest();
        let rate = |of: fn(&Counters) -> u64| {
            rest.rates.front().map_or(0.0, |(at, then)| {
                // A run that starts again from its last commit counts less than before.
                of(&now).saturating_sub(of(then)) as f64 / at.elapsed().as_secs_f64().max(0.001)
            })
        };
        let rows_of = |at: usize| self.rows.iter().map(|rows| rows[at].load(Relaxed)).sum();
        let statistics = rest.statistics.iter().enumerate();
        let statistics = statistics.map(|(at, known)| StatisticStatus { rows: rows_of(at), ..known.clone() });
        let statistics: Vec<_> = statistics.collect();
        let lag = |sink: &SinkStatus, since: Option<i64>| match sink.waiting {
            0 => Some(Duration::ZERO),
            _ => since.map(|since| age(since, self.clock.now())),
        };
        let sinks = rest.sinks.iter().zip(&rest.waiting_since);
        let sinks =
            sinks.map(|(sink, since)| SinkStatus { lag: lag(sink, *since), ..sink.clone() }).collect();
        Status {
            source: self.source.clone(),
            epoch: self.epoch,
            phase: rest.phase,
            error: rest.error.clone(),
            started: rest.started,
            lines,
            bytes,
            rejected,
            rejected_by_reason: rest.rejected_by_reason(),
            rejected_samples: rest.rejected_samples.iter().cloned().collect(),
            lost_bytes,
            too_late,
            ahead,
            bad_values,
            lines_per_second: rate(|counters| counters.lines),
            bytes_per_second: rate(|counters| counters.bytes),
            position: rest.position.clone(),
            behind_bytes: rest.backlog.bytes,
            behind_files: rest.backlog.files,
            is_behind_estimated: rest.backlog.is_estimated,
            behind: self.behind(&rest),
            clock_ahead: self.clock.ahead(),
            rows: statistics.iter().map(|statistic| statistic.rows).sum(),
            batches: self.batches.load(Relaxed),
            binlog_bytes: self.binlog_bytes.load(Relaxed),
            cut_time: rest.cut_time,
            commit_time: rest.commit_time,
            threads: self.steps.threads(),
            paused: rest.pause().cloned(),
            last_event: rest.last_event.clone(),
            spool_bytes_max: self.limits.spool_bytes_max,
            statistics,
            sinks,
        }
    }

    /// Works out the lag of reading, as [`Status::behind`] describes it.
    fn behind(&self, rest: &Rest) -> Option<Duration> {
        let idle = rest.caught_up.map(|at| at.elapsed());
        if rest.backlog.bytes == 0 && idle.is_some_and(|idle| idle <= self.limits.poll_every + POLL_LATE_MAX)
        {
            return Some(Duration::ZERO);
        }
        let last_line = self.last_seconds.load(Relaxed);
        let last_line = (last_line != i64::MIN).then(|| age(last_line, unix_now()));
        last_line.into_iter().chain(idle).min()
    }
}

/// Returns the time from one moment to a later one, both in seconds since 1970; 0 if the first is the later one.
fn age(then: i64, now: i64) -> Duration {
    Duration::from_secs(now.saturating_sub(then).max(0).unsigned_abs())
}
