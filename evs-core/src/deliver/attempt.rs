//! Calls of a sink: their deadline, and the retry after an error that can pass.

use std::{future::Future, pin::Pin, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;

use super::{
    delivery::Delivery,
    message::{Ended, Report},
    stop::out_of_time,
};
use crate::{describe::describe, sink::SinkError, status::SinkState};

/// The first pause after an error. Each further pause is twice as long, with jitter, up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// A call that got no answer in time gets twice the time at the next attempt, up to this factor times the
/// `sink_timeout`: 5, 10, 20, 40 and then 80 minutes by default. With a fixed deadline, a slow store could be tried
/// forever without success.
const TIMEOUT_FACTOR_MAX: u32 = 16;

/// The future of a call to a sink, as `async_trait` makes it.
type SinkCall<'a, T> = Pin<Box<dyn Future<Output = Result<T, SinkError>> + Send + 'a>>;

impl<M: From<Report> + Send> Delivery<M> {
    /// Makes a call until it succeeds, fails permanently, or the pipeline stops.
    pub(super) async fn attempt<'a, T>(
        &mut self,
        call: impl Fn() -> SinkCall<'a, T> + Send,
    ) -> Result<T, Ended> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(PAUSE_MIN)
            .with_max_delay(PAUSE_MAX)
            .with_jitter()
            .without_max_times()
            .build();
        let mut timeout = self.timeout;
        loop {
            // A request to drain does not interrupt the call: a call that may have an effect is awaited to its end.
            let begun = Instant::now();
            let answer = tokio::select! {
                biased;
                answer = tokio::time::timeout(timeout, call()) => answer,
                () = out_of_time(&mut self.stop) => return Err(Ended::Asked),
            };
            let error = match answer {
                Ok(Ok(value)) => {
                    self.call_time = begun.elapsed();
                    self.show_up();
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
                biased;
                () = tokio::time::sleep(pause) => {}
                () = out_of_time(&mut self.stop) => return Err(Ended::Asked),
            }
        }
    }
}
