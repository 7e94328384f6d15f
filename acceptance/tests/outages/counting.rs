//! A pipeline at work within the test, and its status.
//!
//! Scenarios wait for a state of the pipeline instead of for a time: [`Counting::until`] looks at the status every 5
//! ms, and fails with all of it if the state does not come.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use evs::{Error, PipelineBuilder, SinkState, SinkStatus, Status, StatusHandle, Summary, prelude::*};
use evs_testkit::{Kind, Proxy, log_format};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    PATIENCE,
    store::Database,
    support::{process::Place, statistic},
    watched::{Account, Watched},
};

/// The log that is counted unless a scenario has one of its own: it has keys of all sorts.
pub(crate) const KIND: Kind = Kind::Ads;
const STATISTIC: &str = "totals";

/// A pipeline with many small batches.
pub(crate) fn builder(place: &Place) -> PipelineBuilder {
    builder_for(place, statistic(KIND, STATISTIC), log_format(KIND))
}

/// A pipeline with many small batches, for that statistic and format.
pub(crate) fn builder_for(place: &Place, statistic: Statistic, format: &str) -> PipelineBuilder {
    Pipeline::builder("outages")
        .tail(place.log())
        .format(format.parse().unwrap())
        .statistic(statistic.flush_every(Duration::from_millis(10)))
        .state_dir(place.state())
        .poll_every(Duration::from_millis(5))
        .drain_timeout(PATIENCE)
}

/// A pipeline that runs.
pub(crate) struct Counting {
    pipeline: Arc<Pipeline>,
    /// The run, as a task.
    run: JoinHandle<Result<Summary, Error>>,
    /// Ends the run in good order when something is sent, or when it is dropped.
    stop: oneshot::Sender<()>,
    /// The accounts of the sinks.
    accounts: Vec<Arc<Account>>,
}

impl Counting {
    /// Counts `place` into one sink.
    pub(crate) fn start(place: &Place, sink: Arc<dyn Sink>) -> (Self, Arc<Account>) {
        let (sink, account) = Watched::new(sink);
        (Self::run(builder(place).sink("store", sink), &[&account]), account)
    }

    /// Counts into the sinks of these accounts.
    pub(crate) fn run(builder: PipelineBuilder, accounts: &[&Arc<Account>]) -> Self {
        let pipeline = Arc::new(builder.build().unwrap());
        let (stop, stopped) = oneshot::channel();
        let running = Arc::clone(&pipeline);
        let run = tokio::spawn(async move {
            running
                .run(async {
                    let _ = stopped.await;
                })
                .await
        });
        let accounts = accounts.iter().copied().cloned().collect();
        Self { pipeline, run, stop, accounts }
    }

    pub(crate) fn status(&self) -> Status {
        self.pipeline.status()
    }

    pub(crate) fn handle(&self) -> StatusHandle {
        self.pipeline.status_handle()
    }

    /// The first sink.
    pub(crate) fn sink(&self) -> SinkStatus {
        self.status().sinks[0].clone()
    }

    /// Waits until `is_so` holds for the status. `what` names the state in the message of a failure.
    ///
    /// # Panics
    ///
    /// Panics if the pipeline ends before, or if it takes longer than [`PATIENCE`].
    pub(crate) async fn until(&self, what: &str, mut is_so: impl FnMut(&Status) -> bool) -> Status {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if is_so(&status) {
                return status;
            }
            assert!(!self.run.is_finished(), "ended before {what}: {status:#?}");
            assert!(Instant::now() < deadline, "never {what}: {status:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the first sink is down, and says so with a reason in which there is no password.
    pub(crate) async fn until_down(&self) {
        let status = self.until("down", |status| status.sinks[0].state == SinkState::Down).await;
        let sink = &status.sinks[0];
        let error = sink.last_error.as_deref().unwrap_or_default();
        assert!(!error.is_empty() && sink.retries > 0, "{sink:?}");
        assert!(!error.contains("evs:evs"), "a password: {error}");
    }

    /// Waits until the log has been cut into batches up to its end, whether the sinks have them or not.
    pub(crate) async fn until_cut(&self, place: &Place) -> Status {
        let bytes = std::fs::metadata(place.log()).unwrap().len();
        let is_cut = |status: &Status| status.position.files.last().is_some_and(|file| file.offset == bytes);
        self.until("all was cut", is_cut).await
    }

    /// Waits until every line of the log is in the sinks, and the status says so too.
    pub(crate) async fn until_delivered(&self, place: &Place) {
        let (lines, rejected) = place.generator.counts();
        let is_delivered = |status: &Status| {
            let done = |sink: &SinkStatus| {
                // A run before this one may have left batches over.
                sink.state == SinkState::Up && sink.waiting == 0 && sink.batches >= status.batches
            };
            self.accounts.iter().all(|account| account.lines() == lines - rejected)
                && status.sinks.iter().all(done)
        };
        self.until("all was delivered", is_delivered).await;
    }

    /// Logs `lines` again and again, until so many faults have happened at the proxy.
    pub(crate) async fn until_happened(&self, place: &mut Place, lines: u64, proxy: &Proxy, faults: u64) {
        let deadline = Instant::now() + PATIENCE;
        while proxy.happened() < faults {
            assert!(Instant::now() < deadline, "fault {faults} did not happen: {:#?}", self.status());
            place.write(lines);
            self.until_cut(place).await;
        }
    }

    /// Stops in good order, with nothing left over.
    pub(crate) async fn stop(self) -> Arc<Pipeline> {
        let _ = self.stop.send(());
        let summary = self.run.await.unwrap().unwrap();
        assert!(summary.is_complete, "{summary:?}");
        self.pipeline
    }

    /// Stops with batches that the sink does not take.
    pub(crate) async fn stop_with_a_rest(self) {
        let _ = self.stop.send(());
        let summary = self.run.await.unwrap().unwrap();
        assert!(!summary.is_complete, "{summary:?}");
    }

    /// Stops, and holds what is in the database against what was written to the log.
    pub(crate) async fn assert_exact(self, place: &Place, database: &Database) {
        self.stop().await;
        place.assert_exact_in(&*database.sink().await, "in the end").await;
    }
}
