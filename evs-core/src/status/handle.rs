//! The handle by which a service watches a pipeline, pauses its reading, and decides about batches that a sink refused.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::oneshot;

use super::{
    board::Board,
    request::Request,
    status::{SinkState, Status},
};
use crate::Error;

/// A handle to the status of a pipeline, for the parts of a service that do not run the pipeline: the handler of a
/// status page, a health check, a command to pause. [`Pipeline::status_handle`](crate::Pipeline::status_handle) makes
/// it.
///
/// A handle can be cloned and sent to any thread or task. It does not keep the pipeline alive and holds no lock of the
/// state directory. When the pipeline is gone, it still shows the last status.
///
/// ```
/// # use evs_core::{LogFormat, MemorySink, Phase, Pipeline, Statistic, count};
/// # let directory = tempfile::tempdir()?;
/// # let build = || Pipeline::builder("web1")
/// #     .tail(directory.path().join("access.log"))
/// #     .format(LogFormat::combined())
/// #     .statistic(Statistic::named("requests").measure(count()))
/// #     .sink("memory", MemorySink::new())
/// #     .state_dir(directory.path().join("state"))
/// #     .build();
/// let pipeline = build()?;
/// let handle = pipeline.status_handle();
/// let page = std::thread::spawn({
///     let handle = handle.clone();
///     move || serde_json::to_string(&handle.status())
/// });
/// println!("{}", page.join().expect("no panic")?);
///
/// drop(pipeline);
/// assert_eq!(handle.status().phase, Phase::Ended);
/// // The state directory is free, although the handle is still there.
/// let next = build()?;
/// # drop(next);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct StatusHandle {
    pub(super) board: Arc<Board>,
}

impl StatusHandle {
    /// Makes a handle to a board.
    pub(crate) fn new(board: Arc<Board>) -> Self {
        Self { board }
    }

    /// Returns the present status. The call is cheap: a caller can make it many times a second.
    pub fn status(&self) -> Status {
        self.board.status()
    }

    /// Pauses reading, and shows the pause with this reason in [`Status::paused`]. Everything that was read before is
    /// still cut, committed and delivered. A second call replaces the reason.
    ///
    /// The pause ends with [`resume`](Self::resume), or with the run: it is not stored, so neither the next run nor
    /// another process knows of it. A pause that is requested between two runs holds the next one from its start. A
    /// paused pipeline can be shut down as usual, while [`run_to_end`](crate::Pipeline::run_to_end) waits for the end
    /// of the pause.
    ///
    /// ```
    /// # use evs_core::{LogFormat, MemorySink, Pipeline, Statistic, count};
    /// # let directory = tempfile::tempdir()?;
    /// # let pipeline = Pipeline::builder("web1")
    /// #     .tail(directory.path().join("access.log"))
    /// #     .format(LogFormat::combined())
    /// #     .statistic(Statistic::named("requests").measure(count()))
    /// #     .sink("memory", MemorySink::new())
    /// #     .state_dir(directory.path().join("state"))
    /// #     .build()?;
    /// let handle = pipeline.status_handle();
    /// handle.pause("the log's disk is checked");
    /// assert_eq!(handle.status().paused.expect("a pause").reason, "the log's disk is checked");
    /// handle.resume();
    /// assert_eq!(handle.status().paused, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pause(&self, reason: impl Into<String>) {
        self.board.request_pause(Some(reason.into()));
    }

    /// Ends a pause that [`pause`](Self::pause) has begun. If the pipeline itself pauses, for example because the
    /// binlog has reached its limit, reading stays paused for that reason.
    pub fn resume(&self) {
        self.board.request_pause(None);
    }

    /// Tries again what a sink has refused of a statistic, when the cause has been removed in the store. The batches that
    /// wait follow. Returns whether the statistic or the whole sink was stopped; if not, there is nothing to do.
    ///
    /// The call does not wait for the outcome: the statistic leaves [`SinkStatus::stopped`](crate::SinkStatus::stopped),
    /// and comes back if the sink refuses again. A sink that is [`Stopped`](SinkState::Stopped) is asked for its progress
    /// first.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSink`], and [`Error::NotRunning`].
    pub fn retry(&self, sink: &str, statistic: &str) -> Result<bool, Error> {
        self.retry_stopped(sink, Some(statistic))
    }

    /// Tries again everything that a sink has refused, as if the pipeline were started again for this sink alone. Returns
    /// whether something was stopped there.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSink`], and [`Error::NotRunning`].
    pub fn retry_sink(&self, sink: &str) -> Result<bool, Error> {
        self.retry_stopped(sink, None)
    }

    /// Gives up the batch that a sink has refused, by its sequence in
    /// [`SinkStatus::stopped`](crate::SinkStatus::stopped): this sink will never have its rows. The next batches follow.
    /// Returns the path of a file with the rows.
    ///
    /// The rows are first written to that file, in the state directory, as JSON lines: each row with its statistic,
    /// sequence, window, keys and measures. Then the decision itself is made durable in the binlog. A crash in between
    /// changes nothing, and the same call can be made again. [`SinkStatus::discarded`](crate::SinkStatus::discarded)
    /// counts the batch for as long as the state directory exists. No other sink is concerned.
    ///
    /// Where a store has transactions, the sink has none of these rows. MongoDB and Cassandra may have added some of them
    /// before they refused the batch.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSink`], [`Error::NotRunning`], [`Error::NotRefused`] if the sink has not refused this batch or has it
    /// after all, and [`Error::StateDir`] or [`Error::Binlog`] if the file or the binlog cannot be written. Nothing was given
    /// up then.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the batch may still be given up. While the sink is down, the call waits.
    pub async fn discard(&self, sink: &str, statistic: &str, sequence: u64) -> Result<PathBuf, Error> {
        let (answer, answered) = oneshot::channel();
        self.board.request(sink, Request::Discard { statistic: statistic.to_owned(), sequence, answer })?;
        answered.await.unwrap_or(Err(Error::NotRunning))
    }

    /// Asks the delivery of a sink for another attempt, if one is needed.
    fn retry_stopped(&self, sink: &str, statistic: Option<&str>) -> Result<bool, Error> {
        let is_stopped = {
            let rest = self.board.rest();
            let known = &rest.sinks[rest.index_of(sink)?];
            let is_named = |name: &str| statistic.is_none_or(|statistic| statistic == name);
            known.state == SinkState::Stopped
                || known.stopped.iter().any(|stopped| is_named(&stopped.statistic))
        };
        self.board.request(sink, Request::Retry { statistic: statistic.map(str::to_owned) })?;
        Ok(is_stopped)
    }
}
