//! The delivery of batches: one task per sink applies the batches of all statistics in order, and retries while an
//! error can pass.
//!
//! A delivery first asks the sink for its progress and compares it with the binlog (`progress`). Then it claims the
//! source (`claim`) and applies batches. A sink that is slow or away holds up only its own delivery; its batches wait
//! in the binlog.

mod claim;
mod progress;

pub(crate) use claim::{Claims, next_writer};
pub(crate) use progress::foreign;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed, mpsc},
    time::{Duration, SystemTime},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::{sync::watch, time::Instant};

use crate::{
    Error,
    batch::{Batch, Epoch},
    binlog::{BinlogError, BinlogReader, ClonedBatches, SinkMark, Totals},
    describe,
    pipeline::message,
    sink::{Sink, SinkError},
    statistic::Schema,
    status::{Board, SinkState},
};

/// The first pause after an error. Each further pause is twice as long, with jitter, up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// A call that got no answer in time gets twice the time at the next attempt, up to this factor times the
/// `sink_timeout`: 5, 10, 20, 40 and then 80 minutes by default. With a fixed deadline, a slow store could be tried
/// forever without success.
const TIMEOUT_FACTOR_MAX: u32 = 16;

/// The maximum number of consecutive claims of a source without a batch being applied in between. A store that
/// forgets a claim again and again does not keep its data.
const CLAIMS_MAX: u32 = 10;

/// The interval of sweeps after a sweep that found no more old windows.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The clock removes no windows of a log whose last line is older than this.
const QUIET_SECONDS: i64 = 86_400;

/// The request of the pipeline to its deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Go on.
    No,
    /// Deliver the batches that are there, until the deadline if there is one, and end.
    Drain(Option<Instant>),
    /// End immediately.
    Now,
}

/// The progress of a sink in the batches of one statistic, which the binlog is to remember.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    /// The name of the sink.
    pub(crate) sink: Arc<str>,
    /// The name of the statistic.
    pub(crate) statistic: Arc<str>,
    /// The sequence up to which the sink has the batches.
    pub(crate) sequence: u64,
    /// True if the sink had more batches and lost them: the batches after `sequence` are needed again.
    pub(crate) went_back: bool,
}

/// The reason for the end of a delivery.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The pipeline asked for it.
    Asked,
    /// The sink refused a batch permanently.
    Refused(SinkError),
    /// An error after which the pipeline may commit nothing more.
    Fatal(Box<Error>),
}

impl From<BinlogError> for Ended {
    fn from(error: BinlogError) -> Self {
        Self::Fatal(Box::new(error.into()))
    }
}

/// The future of a call to a sink, as `async_trait` makes it.
type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, SinkError>> + Send + 'a>>;

/// The delivery of one statistic's batches to one sink.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) statistic: Arc<str>,
    /// The sequence after which the sink began.
    begin: u64,
    /// The last sequence that the sink has acknowledged.
    acknowledged: u64,
    /// The schema with which the store was prepared last.
    prepared: Option<Arc<Schema>>,
}

impl Stream {
    /// Makes the stream of a statistic that stands at `mark`.
    pub(crate) fn new(statistic: Arc<str>, mark: SinkMark) -> Self {
        let SinkMark { begin, acknowledged } = mark;
        Self { statistic, begin, acknowledged, prepared: None }
    }
}

/// The time of the next removal of old windows of one statistic.
#[derive(Debug)]
pub(crate) struct Sweep {
    schema: Arc<Schema>,
    due: Instant,
}

impl Sweep {
    /// Makes a sweep of `schema` that is due at once.
    pub(crate) fn new(schema: Arc<Schema>) -> Self {
        Self { schema, due: Instant::now() }
    }
}

/// The delivery of the batches of all statistics to one sink.
#[derive(Debug)]
pub(crate) struct Delivery<M> {
    /// The name of the source.
    pub(crate) source: Arc<str>,
    /// The epoch of the state directory.
    pub(crate) epoch: Epoch,
    /// The epochs that the source has taken over; a sink may know the source under one of them.
    pub(crate) predecessors: Vec<Epoch>,
    /// The copied state directory whose undelivered batches are the first ones here, if there was one.
    pub(crate) cloned: Option<ClonedBatches>,
    /// The claims of this process in all sinks.
    pub(crate) claims: Arc<Claims>,
    /// The number of claims of the source since the last batch was applied.
    pub(crate) claimed: u32,
    /// The name of the sink.
    pub(crate) name: Arc<str>,
    /// The index of the sink on the board.
    pub(crate) index: usize,
    /// The sink itself.
    pub(crate) sink: Arc<dyn Sink>,
    /// One stream per statistic that has or may have batches.
    pub(crate) streams: Vec<Stream>,
    /// One sweep for each statistic with a retention, by the present configuration.
    pub(crate) sweeps: Vec<Sweep>,
    /// The batches.
    pub(crate) binlog: BinlogReader,
    /// The deadline of a call. A call that takes longer counts as unavailable.
    pub(crate) timeout: Duration,
    /// The committer, which records acknowledgements.
    pub(crate) committer: mpsc::Sender<M>,
    /// The totals of the last commit; they change with every commit.
    pub(crate) commits: watch::Receiver<Totals>,
    /// The request of the pipeline to its deliveries.
    pub(crate) stop: watch::Receiver<Stop>,
    /// The board on which the delivery shows its progress.
    pub(crate) board: Arc<Board>,
}

impl<M: From<Acknowledged> + Send> Delivery<M> {
    /// Delivers until the pipeline asks it to stop or the sink refuses a batch permanently.
    pub(crate) async fn run(mut self) -> Ended {
        let ended = match self.deliver().await {
            Err(ended) => ended,
            Ok(never) => match never {},
        };
        if let Ended::Refused(error) = &ended {
            let text = describe(error);
            tracing::error!(source = &*self.source, sink = &*self.name, error = text, "the sink stopped");
            self.set_state(SinkState::Stopped, Some(text));
        }
        if let Ended::Asked = &ended {
            self.close().await;
        }
        ended
    }

    /// Closes the sink, if there is time left. The sink already has everything, so an error here is not a failure.
    async fn close(&mut self) {
        let closed = tokio::select! {
            biased;
            () = out_of_time(&mut self.stop) => return,
            closed = tokio::time::timeout(self.timeout, self.sink.close()) => closed,
        };
        let error = match closed {
            Ok(Ok(())) => return,
            Ok(Err(error)) => describe(&error),
            Err(_) => format!("no answer within the sink_timeout of {:?}", self.timeout),
        };
        tracing::warn!(source = &*self.source, sink = &*self.name, error, "the sink was not closed");
        self.board.rest().sinks[self.index].last_error = Some(error);
    }

    /// Delivers batch after batch. It returns only with the reason for its end.
    async fn deliver(&mut self) -> Result<std::convert::Infallible, Ended> {
        self.begin_delivering().await?;
        self.set_state(SinkState::Up, None);
        loop {
            // The present commit is marked as seen before the check, so that a commit during the check is not missed.
            self.commits.mark_unchanged();
            let mut delivered = false;
            for at in 0..self.streams.len() {
                delivered |= self.deliver_next(at).await?;
            }
            self.sweep().await?;
            if delivered {
                continue;
            }
            let next_sweep = self.next_sweep();
            tokio::select! {
                // Commits come first: the last commit comes before the request to drain and must be seen.
                biased;
                changed = self.commits.changed() => changed.map_err(|_| Ended::Asked)?,
                () = drained(&mut self.stop) => return Err(Ended::Asked),
                () = sleep_until(next_sweep) => {}
            }
        }
    }

    /// Reads the progress of the sink and then claims the source in it. The order matters: a copy of the state
    /// directory that is not up to date finds that out before it disturbs the process that is.
    async fn begin_delivering(&mut self) -> Result<(), Ended> {
        let (sink, source) = (Arc::clone(&self.sink), Arc::clone(&self.source));
        let remembered = self.attempt(|| sink.progress(&source)).await?;
        let skipped = self.skip_what_the_original_delivered(&remembered).await?;
        self.reconcile(remembered).await?;
        for at in skipped {
            self.move_to(at, self.streams[at].acknowledged, false);
        }
        self.claim().await
    }

    /// Returns the time of the next sweep; `None` if the store was not prepared for any statistic with a retention.
    fn next_sweep(&self) -> Option<Instant> {
        self.sweeps.iter().filter(|sweep| self.is_prepared(&sweep.schema)).map(|sweep| sweep.due).min()
    }

    /// Returns whether the store was prepared for this schema and not only for an earlier definition.
    fn is_prepared(&self, schema: &Arc<Schema>) -> bool {
        self.streams.iter().any(|stream| stream.prepared.as_ref() == Some(schema))
    }

    /// Returns the time by which windows are removed; `None` before the first line. It is at most a day after the
    /// last line, so that a wrong clock alone cannot remove windows.
    fn retention_time(&self) -> Option<i64> {
        let last_line = self.board.last_seconds.load(Relaxed);
        (last_line != i64::MIN).then(|| self.board.clock.now().min(last_line.saturating_add(QUIET_SECONDS)))
    }

    /// Removes some old windows of each statistic whose sweep is due. An error does not hold up the batches: the
    /// status shows it, and the next sweep tries again.
    async fn sweep(&mut self) -> Result<(), Ended> {
        for at in 0..self.sweeps.len() {
            let Sweep { schema, due } = &self.sweeps[at];
            let (sink, schema) = (Arc::clone(&self.sink), Arc::clone(schema));
            let Some(retain) = schema.retain_seconds else { continue };
            if *due > Instant::now() || !self.is_prepared(&schema) {
                continue;
            }
            let Some(now) = self.retention_time() else { continue };
            let before = now.saturating_sub_unsigned(retain);
            let swept = tokio::select! {
                swept = tokio::time::timeout(self.timeout, sink.sweep(&schema, before)) => swept,
                () = out_of_time(&mut self.stop) => return Err(Ended::Asked),
            };
            let error = match swept {
                // There are more old windows: the next part is removed after the next batches.
                Ok(Ok(true)) => continue,
                Ok(Ok(false)) => None,
                Ok(Err(error)) => Some(describe(&error)),
                Err(_) => Some(format!("no answer within the sink_timeout of {:?}", self.timeout)),
            };
            self.sweeps[at].due = Instant::now() + SWEEP_EVERY;
            if let Some(error) = error {
                let error = format!("statistic {}: old windows were not removed: {error}", schema.statistic);
                tracing::warn!(source = &*self.source, sink = &*self.name, error, "retention");
                self.board.rest().sinks[self.index].last_error = Some(error);
            }
        }
        Ok(())
    }

    /// Offers the next batch of one statistic. Returns whether there was one.
    async fn deliver_next(&mut self, at: usize) -> Result<bool, Ended> {
        let stream = &self.streams[at];
        let sequence = stream.acknowledged + 1;
        if sequence > self.binlog.last_sequence(&stream.statistic) {
            return Ok(false);
        }
        let Some(batch) = self.read(at, sequence).await? else {
            return Err(self.too_old(at, sequence - 1));
        };
        let sink = Arc::clone(&self.sink);
        if self.streams[at].prepared.as_ref() != Some(&batch.schema) {
            self.attempt(|| sink.prepare(&batch.schema)).await?;
            self.streams[at].prepared = Some(Arc::clone(&batch.schema));
        }
        let batch = Batch { writer: Some(self.claims.writer(&self.name)), ..batch };
        match self.attempt(|| sink.apply(&batch)).await {
            Ok(_) => self.acknowledge(at, sequence, batch.rows.len() as u64),
            // The sink lost batches, by a failover or a restored backup: they are offered again.
            Err(Ended::Refused(SinkError::Gap { applied, .. })) if applied + 1 < sequence => {
                self.go_back(at, applied)?;
            }
            // The sink has batches that it had lost: a failover was undone. Or a copy of this state directory was
            // here.
            Err(Ended::Refused(SinkError::Ahead { applied, checksum, .. })) => {
                self.go_forward(at, applied, checksum)?;
            }
            // The sink lost the claim together with other data.
            Err(Ended::Refused(SinkError::Unclaimed { .. })) => {
                if self.claimed == CLAIMS_MAX {
                    return Err(self.forgetful());
                }
                self.begin_delivering().await?;
            }
            Err(ended) => return Err(ended),
        }
        Ok(true)
    }

    /// Reads a batch from the binlog, on a thread where it may block.
    async fn read(&self, at: usize, sequence: u64) -> Result<Option<Batch>, Ended> {
        let (binlog, statistic) = (self.binlog.clone(), Arc::clone(&self.streams[at].statistic));
        let read = tokio::task::spawn_blocking(move || binlog.batch(&statistic, sequence)).await;
        // The task is cancelled only when the runtime shuts down.
        Ok(read.map_err(|error| match error.try_into_panic() {
            Ok(panic) => Ended::Fatal(Box::new(Error::Panicked {
                thread: format!("delivery to {}", self.name),
                message: message(&*panic),
            })),
            Err(_) => Ended::Asked,
        })??)
    }

    /// Handles a sink that lost batches: they are offered again if the binlog still has them.
    fn go_back(&mut self, at: usize, applied: u64) -> Result<(), Ended> {
        let Stream { statistic, acknowledged, begin, .. } = &self.streams[at];
        if applied == 0 || applied < *begin {
            return Err(self.emptied(at));
        }
        if self.binlog.first_sequence(statistic).is_none_or(|first| first > applied + 1) {
            return Err(self.too_old(at, applied));
        }
        tracing::warn!(
            sink = &*self.name,
            statistic = &**statistic,
            applied,
            acknowledged,
            "the sink went back"
        );
        self.move_to(at, applied, true);
        Ok(())
    }

    /// The end of a delivery whose sink needs batches that the binlog no longer has.
    fn too_old(&self, at: usize, applied: u64) -> Ended {
        Ended::Refused(SinkError::TooOld { statistic: self.streams[at].statistic.to_string(), applied })
    }

    /// The end of a delivery whose sink does not know batches that it has acknowledged.
    fn emptied(&self, at: usize) -> Ended {
        let Stream { statistic, acknowledged, .. } = &self.streams[at];
        Ended::Refused(SinkError::Emptied {
            source_name: self.source.to_string(),
            statistic: statistic.to_string(),
            acknowledged: *acknowledged,
        })
    }

    /// The end of a delivery whose sink loses every claim.
    fn forgetful(&self) -> Ended {
        Ended::Refused(SinkError::Forgetful { source_name: self.source.to_string(), claims: CLAIMS_MAX })
    }

    /// Records the progress of the sink, here and in the binlog.
    fn move_to(&mut self, at: usize, sequence: u64, went_back: bool) {
        let stream = &mut self.streams[at];
        stream.acknowledged = sequence;
        let (sink, statistic) = (Arc::clone(&self.name), Arc::clone(&stream.statistic));
        // The committer lives as long as the deliveries do. If it has failed, the next start asks the sink again.
        let _ = self.committer.send(Acknowledged { sink, statistic, sequence, went_back }.into());
    }

    /// Records that the sink has applied a batch.
    fn acknowledge(&mut self, at: usize, sequence: u64, rows: u64) {
        self.claimed = 0;
        self.move_to(at, sequence, false);
        let status = &mut self.board.rest().sinks[self.index];
        status.batches += 1;
        status.rows += rows;
        status.last_acknowledged = Some(SystemTime::now());
    }

    /// Makes a call until it succeeds, fails permanently, or the pipeline stops.
    async fn attempt<'a, T>(&mut self, call: impl Fn() -> Call<'a, T> + Send) -> Result<T, Ended> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(PAUSE_MIN)
            .with_max_delay(PAUSE_MAX)
            .with_jitter()
            .without_max_times()
            .build();
        let mut timeout = self.timeout;
        loop {
            // A request to drain does not interrupt the call: a call that may have an effect is awaited to its end.
            let answer = tokio::select! {
                answer = tokio::time::timeout(timeout, call()) => answer,
                () = out_of_time(&mut self.stop) => return Err(Ended::Asked),
            };
            let error = match answer {
                Ok(Ok(value)) => {
                    self.set_state(SinkState::Up, None);
                    return Ok(value);
                }
                Ok(Err(error)) if !error.is_transient() => return Err(Ended::Refused(error)),
                Ok(Err(error)) => describe(&error),
                Err(_) => {
                    let waited = timeout;
                    timeout = timeout.saturating_mul(2).min(self.timeout.saturating_mul(TIMEOUT_FACTOR_MAX));
                    format!("no answer within {waited:?}; the next attempt has {timeout:?} (sink_timeout)")
                }
            };
            let pause = pauses.next().unwrap_or(PAUSE_MAX);
            tracing::warn!(source = &*self.source, sink = &*self.name, error, ?pause, "the sink is down");
            self.set_state(SinkState::Down, Some(error));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = out_of_time(&mut self.stop) => return Err(Ended::Asked),
            }
        }
    }

    /// Shows the state of the sink on the board.
    fn set_state(&self, state: SinkState, error: Option<String>) {
        let status = &mut self.board.rest().sinks[self.index];
        if status.state != state {
            tracing::info!(source = &*self.source, sink = &*self.name, %state, "the sink's state");
            (status.state, status.since) = (state, SystemTime::now());
        }
        status.retries += u64::from(state == SinkState::Down);
        if error.is_some() {
            status.last_error = error;
        }
    }
}

/// Waits until `then`, or forever if there is no such time.
async fn sleep_until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// Waits until the pipeline asks its deliveries to end when nothing is left.
async fn drained(stop: &mut watch::Receiver<Stop>) {
    // The sender lives as long as the run; without a sender there is nothing to wait for.
    let _ = stop.wait_for(|stop| *stop != Stop::No).await;
}

/// Waits until the pipeline asks its deliveries to end, no matter what is left.
async fn out_of_time(stop: &mut watch::Receiver<Stop>) {
    drained(stop).await;
    let stop_now = *stop.borrow();
    match stop_now {
        Stop::Drain(Some(deadline)) => tokio::select! {
            () = tokio::time::sleep_until(deadline) => {}
            _ = stop.wait_for(|stop| *stop == Stop::Now) => {}
        },
        Stop::Drain(None) => {
            let _ = stop.wait_for(|stop| *stop == Stop::Now).await;
        }
        Stop::No | Stop::Now => {}
    }
}
