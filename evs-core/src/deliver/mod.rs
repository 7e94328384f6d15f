//! One task per sink: batches in order, retried while the error is one that can pass.

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
    binlog::{BinlogError, BinlogReader, SinkMark, Totals},
    describe,
    pipeline::message,
    sink::{Sink, SinkError},
    statistic::Schema,
    status::{Board, SinkState},
};

/// The first pause after an error; each further one is twice as long, with jitter, up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// A call that got no answer in time gets twice as long at the next attempt, up to so many times the `sink_timeout`:
/// what a slow store cannot do in time must not be tried in vain for ever.
const TIMEOUT_FACTOR_MAX: u32 = 16;

/// How often in a row a source is claimed without a batch being applied in between. A store that forgets a claim
/// again and again keeps nothing.
const CLAIMS_MAX: u32 = 10;

/// How often windows that are past their retention are looked for, when the last look found no more of them.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// A log whose last line is older removes no windows by the clock.
const QUIET_SECONDS: i64 = 86_400;

/// What the pipeline asks of its deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing: go on.
    No,
    /// Deliver what is there, until the deadline if there is one, and end.
    Drain(Option<Instant>),
    /// End at once.
    Now,
}

/// How far a sink has a statistic's batches: for the binlog to remember.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    pub(crate) sink: Arc<str>,
    pub(crate) statistic: Arc<str>,
    pub(crate) sequence: u64,
    /// It had more than that, and lost it: the batches behind `sequence` are needed again.
    pub(crate) went_back: bool,
}

/// How a delivery ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It was asked to.
    Asked,
    /// The sink refused something for good.
    Refused(SinkError),
    /// Nothing more may be committed.
    Fatal(Box<Error>),
}

impl From<BinlogError> for Ended {
    fn from(error: BinlogError) -> Self {
        Self::Fatal(Box::new(error.into()))
    }
}

/// A call of a sink's, as `async_trait` makes it.
type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, SinkError>> + Send + 'a>>;

/// One statistic's batches on their way to one sink.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) statistic: Arc<str>,
    /// The sequence behind which the sink began.
    begin: u64,
    /// The last sequence that the sink has acknowledged.
    acknowledged: u64,
    /// The schema that the store was made ready for last.
    prepared: Option<Arc<Schema>>,
}

impl Stream {
    pub(crate) fn new(statistic: Arc<str>, mark: SinkMark) -> Self {
        let SinkMark { begin, acknowledged } = mark;
        Self { statistic, begin, acknowledged, prepared: None }
    }
}

/// When old windows of one statistic are to be removed.
#[derive(Debug)]
pub(crate) struct Sweep {
    schema: Arc<Schema>,
    due: Instant,
}

impl Sweep {
    pub(crate) fn new(schema: Arc<Schema>) -> Self {
        Self { schema, due: Instant::now() }
    }
}

/// Delivers the batches of all statistics to one sink.
#[derive(Debug)]
pub(crate) struct Delivery<M> {
    pub(crate) source: Arc<str>,
    pub(crate) epoch: Epoch,
    pub(crate) predecessors: Vec<Epoch>,
    /// This process, as it has claimed the source in each sink.
    pub(crate) claims: Arc<Claims>,
    /// How often the source was claimed since the last batch was applied.
    pub(crate) claimed: u32,
    pub(crate) name: Arc<str>,
    /// The sink's place on the board.
    pub(crate) index: usize,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) streams: Vec<Stream>,
    /// Of the statistics with a retention, as they are configured now.
    pub(crate) sweeps: Vec<Sweep>,
    pub(crate) binlog: BinlogReader,
    /// A call that takes longer counts as unavailable.
    pub(crate) timeout: Duration,
    pub(crate) committer: mpsc::Sender<M>,
    /// Changes with every commit.
    pub(crate) commits: watch::Receiver<Totals>,
    pub(crate) stop: watch::Receiver<Stop>,
    pub(crate) board: Arc<Board>,
}

impl<M: From<Acknowledged> + Send> Delivery<M> {
    /// Delivers until asked to stop, or until the sink refuses.
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

    /// Tells the sink that nothing more comes, if there is time left. Everything is in it already, so an error is no
    /// reason to fail.
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

    async fn deliver(&mut self) -> Result<std::convert::Infallible, Ended> {
        self.begin_delivering().await?;
        self.set_state(SinkState::Up, None);
        loop {
            // Marks the present commit as seen before looking, so that none is missed while looking.
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
                // First the commits: the last one comes before the request to drain, and is to be seen.
                biased;
                changed = self.commits.changed() => changed.map_err(|_| Ended::Asked)?,
                () = drained(&mut self.stop) => return Err(Ended::Asked),
                () = sleep_until(next_sweep) => {}
            }
        }
    }

    /// Learns where the sink stands, and claims the source in it. First the one and then the other: a copy of the
    /// state directory that is not up to date finds that out without disturbing the process that is.
    async fn begin_delivering(&mut self) -> Result<(), Ended> {
        let (sink, source) = (Arc::clone(&self.sink), Arc::clone(&self.source));
        let remembered = self.attempt(|| sink.progress(&source)).await?;
        self.reconcile(remembered).await?;
        self.claim().await
    }

    /// When the next sweep is due; `None` if no store was made ready for a statistic with a retention.
    fn next_sweep(&self) -> Option<Instant> {
        self.sweeps.iter().filter(|sweep| self.is_prepared(&sweep.schema)).map(|sweep| sweep.due).min()
    }

    /// Whether the store was made ready for that schema, not for an earlier definition.
    fn is_prepared(&self, schema: &Arc<Schema>) -> bool {
        self.streams.iter().any(|stream| stream.prepared.as_ref() == Some(schema))
    }

    /// The time that windows are removed by: a day behind the last line at most, so that no clock alone can remove them.
    /// `None` before the first line.
    fn retention_time(&self) -> Option<i64> {
        let last_line = self.board.last_seconds.load(Relaxed);
        (last_line != i64::MIN).then(|| self.board.clock.now().min(last_line.saturating_add(QUIET_SECONDS)))
    }

    /// Removes a piece of what is past its retention, of each statistic for which that is due. An error does not
    /// hold up the batches: it is shown, and the next sweep tries again.
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
                // There is more: the next piece after the next batches.
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

    /// Offers the next batch of one statistic, if there is one.
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
            // It lost what it had, by a failover or a backup: offer that again.
            Err(Ended::Refused(SinkError::Gap { applied, .. })) if applied + 1 < sequence => {
                self.go_back(at, applied)?;
            }
            // It has what it had lost: the failover was undone. Or a copy of this state directory was here.
            Err(Ended::Refused(SinkError::Ahead { applied, checksum, .. })) => {
                self.go_forward(at, applied, checksum)?;
            }
            // It lost the claim with what else it lost.
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

    /// Reads a batch from the binlog, away from the threads that async tasks share.
    async fn read(&self, at: usize, sequence: u64) -> Result<Option<Batch>, Ended> {
        let (binlog, statistic) = (self.binlog.clone(), Arc::clone(&self.streams[at].statistic));
        let read = tokio::task::spawn_blocking(move || binlog.batch(&statistic, sequence)).await;
        // Cancelled only when the runtime shuts down.
        Ok(read.map_err(|error| match error.try_into_panic() {
            Ok(panic) => Ended::Fatal(Box::new(Error::Panicked {
                thread: format!("delivery to {}", self.name),
                message: message(&*panic),
            })),
            Err(_) => Ended::Asked,
        })??)
    }

    /// The sink has lost batches that it had: they are offered again, if they are still there.
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

    fn too_old(&self, at: usize, applied: u64) -> Ended {
        Ended::Refused(SinkError::TooOld { statistic: self.streams[at].statistic.to_string(), applied })
    }

    fn emptied(&self, at: usize) -> Ended {
        let Stream { statistic, acknowledged, .. } = &self.streams[at];
        Ended::Refused(SinkError::Emptied {
            source_name: self.source.to_string(),
            statistic: statistic.to_string(),
            acknowledged: *acknowledged,
        })
    }

    fn forgetful(&self) -> Ended {
        Ended::Refused(SinkError::Forgetful { source_name: self.source.to_string(), claims: CLAIMS_MAX })
    }

    /// Notes how far the sink is, here and in the binlog.
    fn move_to(&mut self, at: usize, sequence: u64, went_back: bool) {
        let stream = &mut self.streams[at];
        stream.acknowledged = sequence;
        let (sink, statistic) = (Arc::clone(&self.name), Arc::clone(&stream.statistic));
        // The committer lives as long as deliveries do; if it failed, the next start asks the sink again.
        let _ = self.committer.send(Acknowledged { sink, statistic, sequence, went_back }.into());
    }

    fn acknowledge(&mut self, at: usize, sequence: u64, rows: u64) {
        self.claimed = 0;
        self.move_to(at, sequence, false);
        let status = &mut self.board.rest().sinks[self.index];
        status.batches += 1;
        status.rows += rows;
        status.last_acknowledged = Some(SystemTime::now());
    }

    /// Makes a call until it succeeds, fails for good, or the pipeline stops.
    async fn attempt<'a, T>(&mut self, call: impl Fn() -> Call<'a, T> + Send) -> Result<T, Ended> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(PAUSE_MIN)
            .with_max_delay(PAUSE_MAX)
            .with_jitter()
            .without_max_times()
            .build();
        let mut timeout = self.timeout;
        loop {
            // Not raced with a request to drain: a call that may have an effect is seen to its end.
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

/// Waits until then, or for ever.
async fn sleep_until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// Waits until the pipeline wants deliveries to end when there is nothing left.
async fn drained(stop: &mut watch::Receiver<Stop>) {
    // The sender lives as long as the run; without it there is nothing to wait for.
    let _ = stop.wait_for(|stop| *stop != Stop::No).await;
}

/// Waits until the pipeline wants deliveries to end, whatever is left.
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
