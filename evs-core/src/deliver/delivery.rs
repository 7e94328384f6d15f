//! The delivery of the batches of all statistics to one sink.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{mpsc::UnboundedReceiver, watch},
    time::Instant,
};

use super::{
    claims::Claims,
    message::{Acknowledged, Ended, Report},
    stop::{Stop, drained, out_of_time},
    stream::{Stream, Sweep},
};
use crate::{
    batch::{Batch, Epoch, Rows},
    binlog::{BinlogReader, ClonedBatches, FormerName, name_at},
    counters::Counters,
    describe::{describe, panic_message},
    error::Error,
    sink::{Sink, SinkError},
    status::{Board, Request, SinkState},
    turns::{Outbox, Turns},
};

/// The maximum number of consecutive claims of a source without a batch being applied in between. A store that
/// forgets a claim again and again does not keep its data.
const CLAIMS_MAX: u32 = 10;

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
    /// The names that the sink had when batches were cut that may wait for it.
    pub(crate) former_names: Vec<FormerName>,
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
    /// How a thread is found for reading them.
    pub(crate) turns: Turns,
    /// The deadline of a call. A call that takes longer counts as unavailable.
    pub(crate) timeout: Duration,
    /// The committer, which records acknowledgements.
    pub(crate) committer: Outbox<M>,
    /// The totals of the last commit; they change with every commit.
    pub(crate) commits: watch::Receiver<Counters>,
    /// The request of the pipeline to its deliveries.
    pub(crate) stop: watch::Receiver<Stop>,
    /// The requests of the service for this sink.
    pub(crate) requests: UnboundedReceiver<Request>,
    /// The board on which the delivery shows its progress.
    pub(crate) board: Arc<Board>,
    /// The time that the last successful call took.
    pub(crate) call_time: Duration,
}

impl<M: From<Report> + Send> Delivery<M> {
    /// Delivers until the pipeline asks it to end, or something is wrong for good. If the sink refused something and
    /// nobody removed the cause, that is the result.
    pub(crate) async fn run(mut self) -> Ended {
        loop {
            let ended = match self.deliver().await {
                Err(ended) => ended,
                Ok(never) => match never {},
            };
            match ended {
                Ended::Asked => {
                    self.close().await;
                    let refused = self.streams.iter_mut().find_map(|stream| stream.refused.take());
                    return refused.map_or(Ended::Asked, Ended::Refused);
                }
                Ended::Refused(error) => {
                    self.stop_sink(&error);
                    if !self.is_retried().await {
                        return Ended::Refused(error);
                    }
                }
                Ended::Fatal(_) => return ended,
            }
        }
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
        self.show_up();
        loop {
            // The present commit is marked as seen before the check, so that a commit during the check is not missed.
            self.commits.mark_unchanged();
            let mut delivered = false;
            for at in 0..self.streams.len() {
                let next = self.deliver_next(at).await;
                delivered |= self.stop_if_refused(at, next)?.unwrap_or(false);
            }
            while let Ok(request) = self.requests.try_recv() {
                self.serve(request).await?;
                delivered = true;
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
                Some(request) = self.requests.recv() => self.serve(request).await?,
                () = sleep_until(next_sweep) => {}
            }
        }
    }

    /// Reads the progress of the sink and then claims the source in it. The order matters: a copy of the state
    /// directory that is not up to date finds that out before it disturbs the process that is.
    pub(super) async fn begin_delivering(&mut self) -> Result<(), Ended> {
        let (sink, source) = (Arc::clone(&self.sink), Arc::clone(&self.source));
        let remembered = self.attempt(|| sink.progress(&source)).await?;
        let skipped = self.skip_what_the_original_delivered(&remembered).await?;
        self.reconcile(remembered).await?;
        for at in skipped {
            self.move_to(at, self.streams[at].acknowledged, false);
        }
        // A store that has nothing to apply is left as it is, so that it can be restored.
        if self.is_stopped() { Ok(()) } else { self.claim().await }
    }

    /// Offers the next batch of one statistic. Returns whether there was one.
    async fn deliver_next(&mut self, at: usize) -> Result<bool, Ended> {
        let stream = &self.streams[at];
        let sequence = stream.acknowledged + 1;
        if stream.refused.is_some() || sequence > self.binlog.last_sequence(&stream.statistic) {
            return Ok(false);
        }
        let is_discarded = stream.discarded.contains(sequence);
        let Some(batch) = self.read(at, sequence).await? else {
            return Err(self.too_old(at, sequence - 1));
        };
        let name = name_at(&self.name, &self.former_names, &batch.schema.statistic, sequence);
        let is_given_up = is_discarded || !batch.schema.is_for(name);
        let sink = Arc::clone(&self.sink);
        // A store may be unable to take the rows of a batch that was given up, even to create a table for them. And one that
        // gets no rows of a statistic gets no table for it.
        if !is_given_up && self.streams[at].prepared.as_ref() != Some(&batch.schema) {
            self.attempt(|| sink.prepare(&batch.schema)).await?;
            self.streams[at].prepared = Some(Arc::clone(&batch.schema));
        }
        debug_assert_eq!(
            (batch.sequence, &*batch.schema.statistic),
            (sequence, &*self.streams[at].statistic)
        );
        let mut batch = Batch { writer: Some(self.claims.writer(&self.name)), ..batch };
        if is_given_up {
            let none = Rows::new(batch.schema.keys.len(), batch.schema.measures.len());
            batch = batch.with_rows(Arc::clone(&batch.schema), none);
        }
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
    pub(super) async fn read(&self, at: usize, sequence: u64) -> Result<Option<Batch>, Ended> {
        let (binlog, statistic) = (self.binlog.clone(), Arc::clone(&self.streams[at].statistic));
        let read = self.turns.blocking(move || binlog.batch(&statistic, sequence)).await;
        // The task is cancelled only when the runtime shuts down.
        Ok(read.map_err(|error| match error.try_into_panic() {
            Ok(panic) => Ended::Fatal(Box::new(Error::Panicked {
                thread: format!("delivery to {}", self.name),
                message: panic_message(&*panic),
            })),
            Err(_) => Ended::Asked,
        })??)
    }

    /// Handles a sink that lost batches, or was away under another name or none while batches were cut: these are
    /// offered if the binlog still has them.
    pub(super) fn go_back(&mut self, at: usize, applied: u64) -> Result<(), Ended> {
        let Stream { statistic, acknowledged, .. } = &self.streams[at];
        if applied == 0 {
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
        let stream = &mut self.streams[at];
        stream.begin = stream.begin.min(applied);
        Ok(())
    }

    /// The end of a delivery whose sink needs batches that the binlog no longer has.
    fn too_old(&self, at: usize, applied: u64) -> Ended {
        Ended::Refused(SinkError::TooOld { statistic: self.streams[at].statistic.to_string(), applied })
    }

    /// The end of a delivery whose sink does not know batches that it has acknowledged.
    pub(super) fn emptied(&self, at: usize) -> Ended {
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
    pub(super) fn move_to(&mut self, at: usize, sequence: u64, went_back: bool) {
        let stream = &mut self.streams[at];
        debug_assert_eq!(went_back, sequence < stream.acknowledged, "to {sequence}: {stream:?}");
        stream.acknowledged = sequence;
        let (sink, statistic) = (Arc::clone(&self.name), Arc::clone(&stream.statistic));
        // If the committer has failed, the next start asks the sink again.
        self.committer.send(Report::Acknowledged(Acknowledged { sink, statistic, sequence, went_back }));
    }

    /// Records that the sink has applied a batch.
    fn acknowledge(&mut self, at: usize, sequence: u64, rows: u64) {
        self.claimed = 0;
        debug_assert_eq!(self.streams[at].acknowledged + 1, sequence, "batches are applied without gaps");
        self.move_to(at, sequence, false);
        let status = &mut self.board.rest().sinks[self.index];
        status.batches += 1;
        status.rows += rows;
        status.apply_time.add(self.call_time);
        status.last_acknowledged = Some(SystemTime::now());
    }

    /// Shows the state of the sink on the board.
    pub(super) fn set_state(&self, state: SinkState, error: Option<String>) {
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
