//! Following the status: a watcher waits until something changes, and gets the status of that moment.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch::Receiver,
    time::{Instant, sleep_until},
};

use super::{board::Board, handle::StatusHandle, status::Status};

/// The least time between two statuses of one watcher, so that it gets at most ten a second.
const WATCH_EVERY: Duration = Duration::from_millis(100);

/// A watcher of a pipeline's status. [`StatusHandle::watch`] makes it.
#[derive(Debug)]
pub struct StatusWatch {
    board: Arc<Board>,
    /// Changes with the board. Its value is true when the pipeline is gone.
    changes: Receiver<bool>,
    /// The time of the next status; `None` before the first one.
    next: Option<Instant>,
    /// True after the last status of a pipeline that is gone.
    is_over: bool,
}

impl StatusWatch {
    /// Waits until the status has changed since the last call, and returns it. The first call returns the present
    /// status at once. `None` when the pipeline is gone and its last status was returned; between two runs, the
    /// watcher waits for the next one.
    ///
    /// Changes that follow each other within a tenth of a second are seen as one, with the latest status. A caller
    /// that wants fewer waits between two calls. The counters of lines are compared whenever the pipeline looks for new
    /// lines, ten times a second or after [`poll_every`](crate::PipelineBuilder::poll_every), so the loop over lines
    /// does not pay for it.
    ///
    /// A duration that only grows with time is no change: [`lag`](crate::SinkStatus::lag) while a sink is away, or
    /// [`behind`](Status::behind) while reading is paused. A page that shows such an age asks for the
    /// [`status`](StatusHandle::status) again, for example after a `tokio::time::timeout` of a second.
    ///
    /// # Panics
    ///
    /// If the caller is not in a tokio runtime with its timer enabled.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no change is lost.
    pub async fn changed(&mut self) -> Option<Status> {
        if self.is_over {
            return None;
        }
        if let Some(next) = self.next {
            // In this order a call that is dropped has not marked any change as seen.
            sleep_until(next).await;
            // The sender is on the board.
            let _ = self.changes.changed().await;
        }
        self.is_over = *self.changes.borrow_and_update();
        self.next = Some(Instant::now() + WATCH_EVERY);
        Some(self.board.status())
    }
}

impl StatusHandle {
    /// Returns a watcher, which waits for changes of the status: for a page, a websocket or a health check that does
    /// not want to poll.
    ///
    /// ```
    /// # use evs_core::{LogFormat, MemorySink, Phase, Pipeline, Statistic, count};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let log = directory.path().join("access.log");
    /// # std::fs::write(&log, "::1 - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" 200 5\n")?;
    /// # let pipeline = Pipeline::builder("web1")
    /// #     .tail(&log)
    /// #     .format(LogFormat::common())
    /// #     .statistic(Statistic::named("requests").measure(count()))
    /// #     .sink("memory", MemorySink::new())
    /// #     .state_dir(directory.path().join("state"))
    /// #     .build()?;
    /// let mut watch = pipeline.status_handle().watch();
    /// let page = tokio::spawn(async move {
    ///     let mut last = None;
    ///     while let Some(status) = watch.changed().await {
    ///         println!("{} lines", status.lines);
    ///         last = Some(status);
    ///     }
    ///     last
    /// });
    /// pipeline.run_to_end(std::future::pending()).await?;
    /// drop(pipeline);
    /// let last = page.await?.expect("at least one status");
    /// assert_eq!((last.lines, last.phase), (1, Phase::Ended));
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self) -> StatusWatch {
        let board = Arc::clone(&self.board);
        let changes = board.changes();
        StatusWatch { board, changes, next: None, is_over: false }
    }
}
