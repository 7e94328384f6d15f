//! Refusals: what a sink refuses stops one statistic there, and no more. An error that is about the whole sink stops all of
//! them.

use std::time::SystemTime;

use super::{
    delivery::Delivery,
    message::{Ended, Report},
    stop::drained,
};
use crate::{
    describe::describe,
    sink::SinkError,
    status::{Request, SinkState, StoppedStatistic},
};

impl<M: From<Report> + Send> Delivery<M> {
    /// Stops the statistic if the sink has refused something of it. Returns the result of the work, or `None` if the
    /// statistic is stopped now.
    pub(super) fn stop_if_refused<T>(
        &mut self,
        at: usize,
        result: Result<T, Ended>,
    ) -> Result<Option<T>, Ended> {
        match result {
            Ok(result) => Ok(Some(result)),
            Err(Ended::Refused(error)) if !is_about_all_statistics(&error) => {
                self.stop_statistic(at, error);
                Ok(None)
            }
            Err(ended) => Err(ended),
        }
    }

    /// Stops one statistic. Its batches wait in the binlog until somebody asks for another attempt.
    fn stop_statistic(&mut self, at: usize, error: SinkError) {
        let stream = &mut self.streams[at];
        let (statistic, sequence, text) = (&*stream.statistic, stream.acknowledged + 1, describe(&error));
        tracing::error!(
            source = &*self.source,
            sink = &*self.name,
            statistic,
            sequence,
            error = text,
            "the statistic stopped in this sink; the others go on"
        );
        let stopped = StoppedStatistic {
            statistic: statistic.to_owned(),
            sequence,
            error: text,
            since: SystemTime::now(),
        };
        self.board.show_stopped(self.index, stopped);
        stream.refused = Some(error);
        if self.is_stopped() {
            self.set_state(SinkState::Stopped, None);
        }
    }

    /// Returns whether the sink has refused every statistic.
    pub(super) fn is_stopped(&self) -> bool {
        !self.streams.is_empty() && self.streams.iter().all(|stream| stream.refused.is_some())
    }

    /// Shows that the sink has answered.
    pub(super) fn show_up(&mut self) {
        if !self.is_stopped() {
            self.set_state(SinkState::Up, None);
        }
    }

    /// Shows that the sink gets nothing more until somebody asks for another attempt.
    pub(super) fn stop_sink(&mut self, error: &SinkError) {
        let text = describe(error);
        tracing::error!(source = &*self.source, sink = &*self.name, error = text, "the sink stopped");
        self.set_state(SinkState::Stopped, Some(text));
    }

    /// Waits until somebody asks for another attempt with the stopped sink. Returns `false` if the pipeline asks the
    /// delivery to end before that.
    pub(super) async fn is_retried(&mut self) -> bool {
        loop {
            let request = tokio::select! {
                biased;
                () = drained(&mut self.stop) => return false,
                request = self.requests.recv() => request,
            };
            match request {
                None => return false,
                Some(Request::Retry { statistic }) => {
                    self.forget_refusals(statistic.as_deref());
                    self.set_state(SinkState::Connecting, None);
                    return true;
                }
                Some(Request::Discard { statistic, sequence, answer }) => {
                    // The service may have given up waiting.
                    let _ = answer.send(Err(self.not_refused(&statistic, sequence)));
                }
            }
        }
    }

    /// Forgets why a statistic was stopped, or all statistics if none is named, so that it is tried again.
    pub(super) fn forget_refusals(&mut self, statistic: Option<&str>) {
        self.claimed = 0;
        for stream in &mut self.streams {
            if statistic.is_none_or(|statistic| *stream.statistic == *statistic) {
                // The store may have been changed by hand.
                (stream.refused, stream.prepared) = (None, None);
                self.board.show_retried(self.index, &stream.statistic);
            }
        }
    }
}

/// Returns whether an error concerns all statistics of a sink. Then this process or its state directory is not the one
/// that may write there, and none of its batches may be offered.
fn is_about_all_statistics(error: &SinkError) -> bool {
    match error {
        SinkError::Foreign { .. }
        | SinkError::AheadOfBinlog { .. }
        | SinkError::TakenOver { .. }
        | SinkError::Unclaimed { .. }
        | SinkError::Forgetful { .. } => true,
        SinkError::Unavailable { .. }
        | SinkError::Refused { .. }
        | SinkError::Gap { .. }
        | SinkError::Ahead { .. }
        | SinkError::TooOld { .. }
        | SinkError::Emptied { .. } => false,
    }
}
