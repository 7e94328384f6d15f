//! Retention: removes old windows from a sink from time to time.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    delivery::Delivery,
    message::{Ended, Report},
    stop::out_of_time,
    stream::Sweep,
};
use crate::{describe::describe, statistic::Schema};

/// The interval of sweeps after a sweep that found no more old windows.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The clock removes no windows of a log whose last line is older than this.
const QUIET_SECONDS: i64 = 86_400;

impl<M: From<Report> + Send> Delivery<M> {
    /// Returns the time of the next sweep; `None` if the store was not prepared for any statistic with a retention, and before
    /// the first line. Both change with a commit only, which is waited for anyway.
    pub(super) fn next_sweep(&self) -> Option<Instant> {
        self.retention_time()?;
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
    pub(super) async fn sweep(&mut self) -> Result<(), Ended> {
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
                biased;
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
}
