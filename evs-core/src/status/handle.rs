//! The handle by which a service watches a pipeline, and pauses its reading.

use std::sync::Arc;

use super::{board::Board, status::Status};

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
    board: Arc<Board>,
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
}
