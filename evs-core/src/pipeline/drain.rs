//! The drain: the part of a run after reading has ended. It commits what was read, delivers the batches that are left,
//! and says in the log which sinks it waits for.

use std::{convert::Infallible, future::pending, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

use super::{
    control::Control,
    host::Pipeline,
    message::Message,
    run::{Deliveries, Stopped, asked_to_stop},
};
use crate::{deliver::Stop, status::Phase, turns::Outbox};

/// The interval at which a drain says in the log what it still waits for.
const REPORT_EVERY: Duration = Duration::from_secs(10);

impl Pipeline {
    /// Commits what was read, and delivers until nothing is left or the time is over. Returns whether everything was
    /// committed.
    pub(super) async fn drain(
        &self,
        deliveries: &mut Deliveries,
        committer: &Outbox<Message>,
        control: &Control,
        stopped: &Stopped,
        to_end: bool,
    ) -> bool {
        if !control.has_failed() {
            self.board.rest().phase = Phase::Draining;
        }
        let settings = &self.settings;
        let limit = match to_end && !*stopped.borrow() {
            true => settings.end_timeout,
            false => Some(settings.drain_timeout),
        };
        let until = limit.map(|limit| Instant::now() + limit);
        let hurry = hurry(stopped.clone(), until, settings.drain_timeout);
        tokio::pin!(hurry);
        let report = self.report_waiting();
        tokio::pin!(report);
        let (flush, flushed) = oneshot::channel();
        committer.send(Message::Flush(flush));
        let is_flushed = tokio::select! {
            biased;
            flushed = flushed => flushed.is_ok(),
            // The disk is full. The next start reads again everything that was not committed.
            () = &mut hurry => false,
            never = &mut report => match never {},
        };
        if is_flushed {
            if let Some(waiting) = self.board.status().waiting() {
                tracing::info!(source = settings.source, waiting, ?limit, "the run waits for its sinks");
            }
            control.stop_delivering(Stop::Drain(until));
            tokio::select! {
                biased;
                () = deliveries.all_ended(control) => {}
                () = &mut hurry => control.stop_delivering(Stop::Now),
                never = &mut report => match never {},
            }
        } else {
            control.abort();
        }
        deliveries.all_ended(control).await;
        is_flushed
    }

    /// Says in the log what a drain waits for, from time to time.
    async fn report_waiting(&self) -> Infallible {
        let started = Instant::now();
        loop {
            sleep(REPORT_EVERY).await;
            let (status, source, waited) = (self.board.status(), &self.settings.source, started.elapsed());
            let seconds = waited.as_secs();
            match (status.waiting(), &status.paused) {
                (Some(waiting), _) => {
                    tracing::warn!(source, waiting, seconds, "the run still waits for its sinks");
                }
                (None, Some(pause)) => {
                    tracing::warn!(
                        source,
                        reason = pause.reason,
                        seconds,
                        "the run still waits for its last commit"
                    );
                }
                (None, None) => {}
            }
        }
    }

    /// Says in the log what is left after a drain.
    pub(super) fn report_rest(&self, is_flushed: bool) {
        let source = &self.settings.source;
        if let Some(waiting) = self.board.status().waiting() {
            tracing::warn!(
                source,
                waiting,
                "the run has ended; the rest waits in the binlog for the next one"
            );
        }
        if !is_flushed {
            tracing::warn!(source, "the last cut was not committed; the next run reads its lines again");
        }
    }
}

/// Completes when there is no more time to drain: at `until`, or `drain_timeout` after the run is told to stop,
/// whichever is earlier.
async fn hurry(mut stopped: Stopped, until: Option<Instant>, drain_timeout: Duration) {
    let over = async {
        match until {
            Some(until) => sleep_until(until).await,
            None => pending().await,
        }
    };
    // If the run was told to stop before it began to drain, `until` is not later than this.
    let over_after_stop = async {
        asked_to_stop(&mut stopped).await;
        sleep(drain_timeout).await;
    };
    tokio::select! {
        biased;
        () = over => {}
        () = over_after_stop => {}
    }
}
