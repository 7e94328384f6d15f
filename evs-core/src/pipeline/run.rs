//! One run of a pipeline: it starts the threads and tasks, and ends them in the direction of the data, so that
//! nothing is lost on the way. The reader and the workers end first. When everything is committed, the deliveries
//! end. The committer is last, since it records their acknowledgements.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    future::{Future, pending},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    sync::{mpsc::unbounded_channel, watch},
    task::{self, JoinError, JoinSet},
    time::Instant,
};

use super::{
    committer::Committer,
    control::Control,
    host::{self, Pipeline},
    lock::Lock,
    message::Message,
    queue::queues,
    reader::{Range, Reader},
    session::Opened,
    shared::Shared,
    state::new_and_earlier,
    summary::Summary,
    threads::Thread,
    turn::Run,
    worker::work,
};
use crate::{
    Error,
    aggregate::Worker,
    binlog::{Binlog, BinlogState},
    counters::Counters,
    deliver::{Delivery, Ended, Stream, Sweep},
    describe::{describe, panic_message},
    position::{Frontier, OlderFiles, OlderPosition},
    sink::{Sink, SinkError},
    statistic::Schema,
    tail::{TailError, Wake},
    turns::{Announced, Outbox, mailbox},
};

/// The maximum number of consecutive restarts because the log was truncated while it was read, without a commit in
/// between.
const RESTARTS_MAX: u32 = 100;
/// The pause before such a restart.
const RESTART_PAUSE: Duration = Duration::from_millis(200);

/// Becomes true when the caller wants the run to end.
pub(super) type Stopped = watch::Receiver<bool>;

impl Pipeline {
    /// Runs until `shutdown` is ready or, if `to_end` is set, until the end of the log.
    pub(super) async fn run_until(
        &self,
        shutdown: impl Future<Output = ()>,
        to_end: bool,
    ) -> Result<Summary, Error> {
        host::runtime()?;
        // The run ends with this value, even if the future is dropped.
        let mut run = Run::begin(self)?;
        let stop = watch::Sender::new(false);
        let watch_shutdown = async {
            shutdown.await;
            stop.send_replace(true);
            pending::<Infallible>().await
        };
        let result = tokio::select! {
            biased;
            result = self.run_and_restart(&mut run, stop.subscribe(), to_end) => result,
            never = watch_shutdown => match never {},
        };
        run.note_end(result.as_ref().err());
        result
    }

    /// Runs the pipeline. If the log is truncated while it is read, the run starts again from the last commit.
    async fn run_and_restart(
        &self,
        run: &mut Run<'_>,
        mut stopped: Stopped,
        to_end: bool,
    ) -> Result<Summary, Error> {
        let started = Instant::now();
        let Opened { binlog, lock } = run.open().await?;
        let before = binlog.state().ledger.totals;
        let mut binlog = Some(binlog);
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
            match self.run_once(opened, &lock, &mut stopped, to_end).await {
                Err(Error::Log { source: error @ TailError::Shrunk { .. }, .. }) if restarts > 0 => {
                    let error = describe(&error);
                    tracing::warn!(
                        source = self.settings.source,
                        error,
                        "reading again from the last commit"
                    );
                    self.board.restart(error);
                    restarts -= 1;
                    tokio::time::sleep(RESTART_PAUSE).await;
                }
                Err(error) => return Err(error),
                Ok(ran) => {
                    if let (true, Some((sink, source))) = (to_end, ran.refused) {
                        let waiting = ran.undelivered;
                        return Err(Error::SinkStopped { sink: sink.to_string(), waiting, source });
                    }
                    let Counters { lines, bytes, rejected, lost_bytes, too_late, ahead, bad_values } =
                        ran.totals - before;
                    return Ok(Summary {
                        lines,
                        rejected,
                        bytes,
                        lost_bytes,
                        too_late,
                        ahead,
                        bad_values,
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
        let (binlog, _) =
            Binlog::open(Arc::clone(&self.state_dir), &self.settings.source, self.settings.binlog)?;
        Ok(binlog)
    }

    /// Runs without a restart, from the last commit on.
    async fn run_once(
        &self,
        mut binlog: Binlog,
        lock: &Arc<Lock>,
        stopped: &mut Stopped,
        to_end: bool,
    ) -> Result<Ran, Error> {
        // The directory may have been locked long ago.
        lock.verify()?;
        tokio::select! {
            biased;
            checked = async {
                self.check_state(&mut binlog).await?;
                self.offer_definitions(binlog.state()).await
            } => checked?,
            () = asked_to_stop(stopped) => return Ok(Ran::nothing(&binlog)),
        }
        self.prepare_state(&mut binlog)?;

        // A run to the end does not wait for new lines, and the system does not watch the log of a test.
        let is_polled = to_end || self.settings.environment.log.is_some();
        let wake = if is_polled { Wake::new() } else { Wake::watching(&self.settings.tail.path) };
        let turns = &self.settings.environment.turns;
        let control = Arc::new(Control::new(wake, turns, self.schemas.len()));
        let shared = Shared {
            settings: Arc::clone(&self.settings),
            control: Arc::clone(&control),
            board: Arc::clone(&self.board),
        };
        // If this future is dropped, its threads end as after a failure.
        let _abort = AbortOnDrop(&control);
        let commits = Announced::new(binlog.state().ledger.totals);
        let committed = commits.subscribe();
        let (committer, messages) = mailbox(turns);
        let mut deliveries = Deliveries::default();
        for delivery in self.deliveries(&binlog, &committer, &commits, &control) {
            deliveries.start(delivery);
        }
        let range = Range {
            counted: counted(&self.schemas, binlog.state()),
            older: older(&self.schemas, binlog.state()),
            new: new_and_earlier(&self.settings.statistics, binlog.state()),
            inventory: binlog.state().files.clone(),
            was_killed: lock.was_killed(),
            to_end,
        };
        let (state_dir, lock) = (Arc::clone(&self.state_dir), Arc::clone(lock));
        let doubtful = self.plan.doubtful(&self.parser).into_iter();
        let doubtful = doubtful.map(|field| (field, self.plan.fields[field].clone())).collect();
        let committing = Committer::open(
            binlog,
            self.schemas.clone(),
            doubtful,
            state_dir,
            lock,
            commits,
            shared.clone(),
        )?;
        let mut committing = Thread::start("evs-committer", turns, &control, committing.run(messages));
        let mut reading = self.start_reading(range, &committer, &shared);

        deliveries.watch_while(reading.ended(stopped, &control), &control).await;

        let is_flushed = self.drain(&mut deliveries, &committer, &control, stopped, to_end).await;
        committer.send(Message::Finish);
        committing.ended().await;
        if let Some(error) = control.take_error() {
            return Err(error);
        }
        self.report_rest(is_flushed);
        let undelivered = self.board.rest().sinks.iter().map(|sink| sink.waiting).sum();
        let totals = *committed.borrow();
        let is_complete = is_flushed && undelivered == 0 && !(to_end && *stopped.borrow());
        Ok(Ran { totals, undelivered, is_complete, refused: deliveries.refused })
    }

    /// Starts the threads that read, parse and aggregate.
    fn start_reading(&self, range: Range, committer: &Outbox<Message>, shared: &Shared) -> Reading {
        let Shared { settings, control, .. } = shared;
        let turns = &settings.environment.turns;
        let (sender, receivers) = queues(settings.workers, turns);
        let mut workers = Vec::new();
        for (index, works) in receivers.into_iter().enumerate() {
            let worker = Worker::new(self.plan.clone(), self.parser.clone(), settings.keep_samples);
            let (committer, shared) = (committer.clone(), shared.clone());
            let work = work(index, worker, works, committer, shared);
            workers.push(Thread::start(format!("evs-worker-{index}"), turns, control, work));
        }
        let (committer, reading) = (committer.clone(), shared.clone());
        let reader = Thread::start("evs-reader", turns, control, async {
            match Reader::open(reading, range, sender, committer).await? {
                Some(reader) => reader.run().await,
                None => Ok(()),
            }
        });
        Reading { reader, workers }
    }

    /// Makes the delivery of each sink.
    fn deliveries(
        &self,
        binlog: &Binlog,
        committer: &Outbox<Message>,
        commits: &Announced<Counters>,
        control: &Control,
    ) -> Vec<Delivery<Message>> {
        let state = binlog.state();
        let retained = || self.schemas().filter(|schema| schema.retain_seconds.is_some());
        let listen = |index| {
            let (sender, requests) = unbounded_channel();
            self.board.take_requests(index, sender);
            requests
        };
        let delivery = |(index, (name, sink)): (usize, &(Arc<str>, Arc<dyn Sink>))| Delivery {
            source: self.settings.source.as_str().into(),
            epoch: state.epoch,
            predecessors: state.predecessors.clone(),
            cloned: state.cloned.clone(),
            claims: Arc::clone(&self.claims),
            claimed: 0,
            name: Arc::clone(name),
            former_names: state.former_names.get(&**name).cloned().unwrap_or_default(),
            index,
            sink: Arc::clone(sink),
            streams: streams(&self.schemas, state, name),
            sweeps: retained().cloned().map(Sweep::new).collect(),
            binlog: binlog.reader(),
            turns: self.settings.environment.turns.clone(),
            timeout: self.settings.sink_timeout,
            committer: committer.clone(),
            commits: commits.subscribe(),
            stop: control.stop(),
            requests: listen(index),
            board: Arc::clone(&self.board),
            call_time: Duration::ZERO,
        };
        self.settings.sinks.iter().enumerate().map(delivery).collect()
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
            biased;
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
pub(super) struct Deliveries {
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
                biased;
                () = &mut work => return,
                Some(ended) = self.tasks.join_next_with_id() => self.note(ended, control),
            }
        }
    }

    /// Waits until every delivery has ended.
    pub(super) async fn all_ended(&mut self, control: &Control) {
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
                let caught = error.try_into_panic();
                let message = caught.map_or_else(|error| error.to_string(), |caught| panic_message(&*caught));
                control.fail(Error::Panicked { thread: format!("delivery to {name}"), message });
            }
        }
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
pub(super) async fn asked_to_stop(stopped: &mut Stopped) {
    // The sender lives as long as the run.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Returns the position of each statistic, and at the end of the list the position of the totals.
fn counted(schemas: &[Arc<Schema>], state: &BinlogState) -> Vec<Frontier> {
    let ledger = &state.ledger.frontier;
    // A statistic that is not known yet begins where reading does, so it needs nothing of its own.
    let of =
        |name: &String| Frontier::clone(state.statistics.get(name).map_or(ledger, |statistic| &statistic.to));
    let statistics = schemas.iter().map(|schema| of(&schema.statistic).with_older(None));
    statistics.chain([Frontier::clone(ledger)]).collect()
}

/// Returns the older files of each statistic, and its position in them.
fn older(schemas: &[Arc<Schema>], state: &BinlogState) -> Vec<(OlderFiles, OlderPosition)> {
    let of = |schema: &Arc<Schema>| {
        let statistic = state.statistics.get(&schema.statistic)?;
        Some((Arc::clone(&statistic.older), statistic.to.older?))
    };
    schemas.iter().map(|schema| of(schema).unwrap_or_default()).collect()
}

/// Returns every statistic that has or may have batches, with the progress of the sink in it.
fn streams(schemas: &[Arc<Schema>], state: &BinlogState, sink: &str) -> Vec<Stream> {
    let marks = state.sinks.get(sink);
    let configured = schemas.iter().map(|schema| &schema.statistic);
    // Statistics that are no longer configured may still have batches to deliver.
    let names: BTreeSet<&String> = state.statistics.keys().chain(configured).collect();
    let stream = |statistic: &String| {
        let mark = marks.and_then(|marks| marks.get(statistic)).cloned().unwrap_or_default();
        Stream::new(statistic.as_str().into(), mark)
    };
    names.into_iter().map(stream).collect()
}
