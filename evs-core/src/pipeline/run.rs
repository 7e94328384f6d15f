//! One run of a pipeline: it starts the threads and tasks, and ends them in the direction of the data, so that
//! nothing is lost on the way. The reader and the workers end first. When everything is committed, the deliveries
//! end. The committer is last, since it records their acknowledgements.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    convert::Infallible,
    future::{Future, pending},
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{self, channel},
    },
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    task::{self, JoinError, JoinSet},
    time::Instant,
};

use super::{
    Config, Pipeline, Summary,
    committer::{Committer, Message},
    control::Control,
    host,
    queue::queues,
    reader::{Reader, ReaderParts, work},
    rejects::RejectsFile,
    reserve::Reserve,
    threads::{Thread, message},
};
use crate::{
    Error,
    aggregate::Worker,
    binlog::{Binlog, BinlogState},
    counters::Counters,
    deliver::{Delivery, Ended, Stop, Stream, Sweep},
    describe,
    position::{Frontier, Inventory},
    sink::{Sink, SinkError},
    status::{Board, Phase},
    tail::{TailError, Wake},
};

/// The maximum number of consecutive restarts because the log was truncated while it was read, without a commit in
/// between.
const RESTARTS_MAX: u32 = 100;
/// The pause before such a restart.
const RESTART_PAUSE: Duration = Duration::from_millis(200);

/// Becomes true when the caller wants the run to end.
type Stopped = watch::Receiver<bool>;

impl Pipeline {
    /// Runs until `shutdown` is ready or, if `to_end` is set, until the end of the log.
    pub(super) async fn run_until(
        &self,
        shutdown: impl Future<Output = ()>,
        to_end: bool,
    ) -> Result<Summary, Error> {
        host::runtime()?;
        self.board.rest().phase = Phase::Running;
        // The phase is set even if this future is dropped.
        let _ended = EndedOnDrop(&self.board);
        let stop = watch::Sender::new(false);
        let watch_shutdown = async {
            shutdown.await;
            stop.send_replace(true);
            pending::<Infallible>().await
        };
        tokio::select! {
            result = self.run_and_restart(stop.subscribe(), to_end) => result,
            never = watch_shutdown => match never {},
        }
    }

    /// Runs the pipeline. If the log is truncated while it is read, the run starts again from the last commit.
    async fn run_and_restart(&self, mut stopped: Stopped, to_end: bool) -> Result<Summary, Error> {
        let mut binlog = Some(self.take_binlog().ok_or(Error::AlreadyRun)?);
        let started = Instant::now();
        let before = binlog.as_ref().map_or_else(Counters::default, |binlog| binlog.state().ledger.totals);
        let (mut lines, mut restarts) = (before.lines, RESTARTS_MAX);
        loop {
            let opened = match binlog.take() {
                Some(opened) => opened,
                None => self.reopen()?,
            };
            let totals = opened.state().ledger.totals;
            if totals.lines > lines {
                (lines, restarts) = (totals.lines, RESTARTS_MAX);
            }
            self.board.go_back(totals - before);
            match self.run_once(opened, &mut stopped, to_end).await {
                Err(Error::Log { source: error @ TailError::Shrunk { .. }, .. }) if restarts > 0 => {
                    let error = describe(&error);
                    tracing::warn!(source = self.config.source, error, "reading again from the last commit");
                    restarts -= 1;
                    tokio::time::sleep(RESTART_PAUSE).await;
                }
                Err(error) => return Err(error),
                Ok(ran) => {
                    if let (true, Some((sink, source))) = (to_end, ran.refused) {
                        let waiting = ran.undelivered;
                        return Err(Error::SinkStopped { sink: sink.to_string(), waiting, source });
                    }
                    let Counters { lines, bytes, rejected, lost_bytes, too_late, ahead } =
                        ran.totals - before;
                    return Ok(Summary {
                        lines,
                        rejected,
                        bytes,
                        lost_bytes,
                        too_late,
                        ahead,
                        batches: self.board.batches.load(Relaxed),
                        undelivered: ran.undelivered,
                        is_complete: ran.is_complete,
                        duration: started.elapsed(),
                    });
                }
            }
        }
    }

    /// Opens the binlog again, to read the state after the last commit.
    fn reopen(&self) -> Result<Binlog, Error> {
        let disk = Arc::new(self.config.state_dir.clone());
        let (binlog, _) = Binlog::open(disk, &self.config.source, self.config.binlog)?;
        Ok(binlog)
    }

    /// Runs without a restart, from the last commit on.
    async fn run_once(&self, mut binlog: Binlog, stopped: &mut Stopped, to_end: bool) -> Result<Ran, Error> {
        // The directory may have been locked long ago.
        self.lock.verify()?;
        tokio::select! {
            checked = self.check_state(&mut binlog) => checked?,
            () = asked_to_stop(stopped) => return Ok(Ran::nothing(&binlog)),
        }
        self.prepare_state(&mut binlog)?;

        // A run to the end does not wait for new lines.
        let wake = if to_end { Wake::new() } else { Wake::watching(&self.config.tail.path) };
        let control = Arc::new(Control::new(wake, self.config.statistics.len()));
        // If this future is dropped, its threads end as after a failure.
        let _abort = AbortOnDrop(&control);
        let commits = watch::Sender::new(binlog.state().ledger.totals);
        let committed = commits.subscribe();
        let (committer, messages) = channel();
        let mut deliveries = Deliveries::default();
        for delivery in self.deliveries(&binlog, &committer, &commits, &control) {
            deliveries.start(delivery);
        }
        let counted = counted(&self.config, binlog.state());
        let inventory = binlog.state().files.clone();
        let mut committing = self.start_committing(binlog, commits, messages, &control)?;
        let mut reading = self.start_reading((counted, inventory), &committer, &control, to_end);

        deliveries.watch_while(reading.ended(stopped, &control), &control).await;

        self.board.rest().phase = Phase::Draining;
        // A run to the end delivers everything, however long it takes, unless it is told to stop.
        let until = (!to_end || *stopped.borrow()).then(|| Instant::now() + self.config.drain_timeout);
        let hurry = hurry(stopped.clone(), until, self.config.drain_timeout);
        tokio::pin!(hurry);
        let (flush, flushed) = oneshot::channel();
        // Here and below: the committer ends only after it has failed and reported the error.
        let _ = committer.send(Message::Flush(flush));
        let is_flushed = tokio::select! {
            flushed = flushed => flushed.is_ok(),
            // The disk is full. The next start reads again everything that was not committed.
            () = &mut hurry => false,
        };
        if is_flushed {
            control.stop_delivering(Stop::Drain(until));
            tokio::select! {
                () = deliveries.all_ended(&control) => {}
                () = &mut hurry => control.stop_delivering(Stop::Now),
            }
        } else {
            control.abort();
        }
        deliveries.all_ended(&control).await;
        let _ = committer.send(Message::Finish);
        committing.ended().await;
        if let Some(error) = control.take_error() {
            return Err(error);
        }
        let undelivered = self.board.rest().sinks.iter().map(|sink| sink.waiting).sum();
        let totals = *committed.borrow();
        let is_complete = is_flushed && undelivered == 0 && !(to_end && *stopped.borrow());
        Ok(Ran { totals, undelivered, is_complete, refused: deliveries.refused })
    }

    /// Starts the threads that read, parse and aggregate.
    fn start_reading(
        &self,
        (counted, inventory): (Vec<Frontier>, Option<Inventory>),
        committer: &mpsc::Sender<Message>,
        control: &Arc<Control>,
        to_end: bool,
    ) -> Reading {
        let config = &self.config;
        let (sender, receivers) = queues(config.workers);
        let mut workers = Vec::new();
        for (index, works) in receivers.into_iter().enumerate() {
            let worker = Worker::new(config.plan.clone(), config.parser.clone(), config.keep_samples);
            let (committer, board) = (committer.clone(), Arc::clone(&self.board));
            let (source, shared) = (config.source.clone(), Arc::clone(control));
            workers.push(Thread::start(format!("evs-worker-{index}"), control, move || {
                work(index, worker, &works, &committer, &shared, &board)
                    .map_err(|error| Error::Log { name: source, source: error })
            }));
        }
        let flush_every: Vec<_> = config.statistics.iter().map(|statistic| statistic.flush_every).collect();
        let parts = ReaderParts {
            source: config.source.clone(),
            control: Arc::clone(control),
            board: Arc::clone(&self.board),
            poll_every: config.poll_every,
            lines_per_second_max: config.lines_per_second_max,
            to_end,
            workers: sender,
            committer: committer.clone(),
            flush_every,
            counted,
            inventory,
            cut_bytes_max: config.cut_bytes_max,
            was_killed: self.lock.was_killed(),
        };
        let tail = config.tail.clone();
        let reader = Thread::start("evs-reader", control, move || match Reader::open(parts, &tail)? {
            Some(reader) => reader.run(),
            None => Ok(()),
        });
        Reading { reader, workers }
    }

    /// Starts the committer, which first writes again the rejected lines of the last commit.
    fn start_committing(
        &self,
        binlog: Binlog,
        commits: watch::Sender<Counters>,
        messages: mpsc::Receiver<Message>,
        control: &Arc<Control>,
    ) -> Result<Thread, Error> {
        let config = &self.config;
        let BinlogState { ledger, rejected, .. } = binlog.state();
        let (rejected, frontier) = (Arc::clone(rejected), Arc::clone(&ledger.frontier));
        let rejects = RejectsFile::open(config.state_dir.clone(), config.rejected_bytes_max, ledger.rejects)?;
        let committer = Committer {
            binlog,
            statistics: self.schemas().cloned().collect(),
            workers: config.workers,
            spool_bytes_max: config.spool_bytes_max,
            rejects,
            reserve: Reserve::new(config.state_dir.clone()),
            control: Arc::clone(control),
            board: Arc::clone(&self.board),
            commits,
            gathering: VecDeque::new(),
            waiting: VecDeque::new(),
            commit: None,
            rejected: Some((rejected, Arc::clone(&frontier))),
            names: frontier,
            acknowledged: VecDeque::new(),
            retry_at: None,
            lock: Arc::clone(&self.lock),
        };
        Ok(Thread::start("evs-committer", control, move || committer.run(&messages)))
    }

    /// Makes the delivery of each sink.
    fn deliveries(
        &self,
        binlog: &Binlog,
        committer: &mpsc::Sender<Message>,
        commits: &watch::Sender<Counters>,
        control: &Control,
    ) -> Vec<Delivery<Message>> {
        let state = binlog.state();
        let retained = || self.schemas().filter(|schema| schema.retain_seconds.is_some());
        let delivery = |(index, (name, sink)): (usize, &(Arc<str>, Arc<dyn Sink>))| Delivery {
            source: self.config.source.as_str().into(),
            epoch: state.epoch,
            predecessors: state.predecessors.clone(),
            cloned: state.cloned.clone(),
            claims: Arc::clone(&self.claims),
            claimed: 0,
            name: Arc::clone(name),
            index,
            sink: Arc::clone(sink),
            streams: streams(&self.config, state, name),
            sweeps: retained().cloned().map(Sweep::new).collect(),
            binlog: binlog.reader(),
            timeout: self.config.sink_timeout,
            committer: committer.clone(),
            commits: commits.subscribe(),
            stop: control.stop(),
            board: Arc::clone(&self.board),
        };
        self.config.sinks.iter().enumerate().map(delivery).collect()
    }
}

/// The outcome of a run.
struct Ran {
    totals: Counters,
    undelivered: u64,
    is_complete: bool,
    refused: Option<(Arc<str>, SinkError)>,
}

impl Ran {
    /// The outcome of a run that was told to stop before it read anything.
    fn nothing(binlog: &Binlog) -> Self {
        Self { totals: binlog.state().ledger.totals, undelivered: 0, is_complete: false, refused: None }
    }
}

/// The threads that read, parse and aggregate.
struct Reading {
    reader: Thread,
    workers: Vec<Thread>,
}

impl Reading {
    /// Waits for the end of these threads. They end at the end of the log, when the run is to stop, or after a
    /// failure.
    async fn ended(&mut self, stopped: &mut Stopped, control: &Control) {
        tokio::select! {
            () = self.reader.ended() => {}
            () = asked_to_stop(stopped) => {
                control.stop_reading();
                self.reader.ended().await;
            }
        }
        for worker in &mut self.workers {
            worker.ended().await;
        }
    }
}

/// The tasks that deliver.
#[derive(Default)]
struct Deliveries {
    tasks: JoinSet<Ended>,
    /// The name of the sink that each task serves.
    names: HashMap<task::Id, Arc<str>>,
    /// The first sink that stopped permanently.
    refused: Option<(Arc<str>, SinkError)>,
}

impl Deliveries {
    /// Starts a delivery as a task.
    fn start(&mut self, delivery: Delivery<Message>) {
        let name = Arc::clone(&delivery.name);
        let task = self.tasks.spawn(delivery.run());
        self.names.insert(task.id(), name);
    }

    /// Handles deliveries that end early, until `work` is done.
    async fn watch_while(&mut self, work: impl Future<Output = ()>, control: &Control) {
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = &mut work => return,
                Some(ended) = self.tasks.join_next_with_id() => self.note(ended, control),
            }
        }
    }

    /// Waits until every delivery has ended.
    async fn all_ended(&mut self, control: &Control) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.note(ended, control);
        }
    }

    /// Records the end of a delivery. A fatal error or a panic stops the pipeline.
    fn note(&mut self, ended: Result<(task::Id, Ended), JoinError>, control: &Control) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let name = self.names.get(&id).cloned().unwrap_or_default();
        match ended {
            Ok((_, Ended::Asked)) => {}
            Ok((_, Ended::Refused(error))) => {
                self.refused.get_or_insert((name, error));
            }
            Ok((_, Ended::Fatal(error))) => control.fail(*error),
            Err(error) => {
                let panic = error.try_into_panic();
                let message = panic.map_or_else(|error| error.to_string(), |panic| message(&*panic));
                control.fail(Error::Panicked { thread: format!("delivery to {name}"), message });
            }
        }
    }
}

/// Marks a run as ended, no matter how it ends.
struct EndedOnDrop<'b>(&'b Board);

impl Drop for EndedOnDrop<'_> {
    fn drop(&mut self) {
        self.0.rest().phase = Phase::Ended;
    }
}

/// Ends the threads of a run that is dropped.
struct AbortOnDrop<'c>(&'c Control);

impl Drop for AbortOnDrop<'_> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Completes when the caller wants the run to end. The result of `wait_for` holds a lock and is therefore dropped
/// here: with it, the run could not move to another thread.
async fn asked_to_stop(stopped: &mut Stopped) {
    // The sender lives as long as the run.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Completes when there is no more time to drain: at `until`, or `drain_timeout` after the run is told to stop.
async fn hurry(mut stopped: Stopped, until: Option<Instant>, drain_timeout: Duration) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => {
            asked_to_stop(&mut stopped).await;
            tokio::time::sleep(drain_timeout).await;
        }
    }
}

/// Returns the position of each statistic, and at the end of the list the position of the totals.
fn counted(config: &Config, state: &BinlogState) -> Vec<Frontier> {
    let of = |name: &String| state.statistics.get(name).map(|statistic| Frontier::clone(&statistic.to));
    let statistics = config.statistics.iter().map(|statistic| of(&statistic.schema.statistic));
    let ledger = Frontier::clone(&state.ledger.frontier);
    statistics.map(Option::unwrap_or_default).chain([ledger]).collect()
}

/// Returns every statistic that has or may have batches, with the progress of the sink in it.
fn streams(config: &Config, state: &BinlogState, sink: &str) -> Vec<Stream> {
    let marks = state.sinks.get(sink);
    let configured = config.statistics.iter().map(|statistic| &statistic.schema.statistic);
    // Statistics that are no longer configured may still have batches to deliver.
    let names: BTreeSet<&String> = state.statistics.keys().chain(configured).collect();
    let stream = |statistic: &String| {
        let mark = marks.and_then(|marks| marks.get(statistic)).copied().unwrap_or_default();
        Stream::new(statistic.as_str().into(), mark)
    };
    names.into_iter().map(stream).collect()
}
