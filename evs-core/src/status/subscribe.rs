//! The subscription to events.

use super::{events::Events, handle::StatusHandle};

impl StatusHandle {
    /// Returns the events of the pipeline from now on, over all its runs. Each call makes a receiver of its own.
    ///
    /// The pipeline never waits for a receiver. Without a receiver, events cost nothing.
    ///
    /// A service that wants callbacks calls them from a task:
    ///
    /// ```
    /// # use evs_core::{EventKind, LogFormat, MemorySink, Pipeline, Statistic, count};
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
    /// let mut events = pipeline.status_handle().events();
    /// let alarms = tokio::spawn(async move {
    ///     let mut committed = 0;
    ///     while let Some(event) = events.next().await {
    ///         match &event.kind {
    ///             EventKind::SinkDown { sink, error } => eprintln!("{sink} is down: {error}"),
    ///             EventKind::FileLost { .. } | EventKind::Missed { .. } => eprintln!("{event}"),
    ///             EventKind::Committed { rows, .. } => committed += rows,
    ///             _ => {}
    ///         }
    ///     }
    ///     committed
    /// });
    /// pipeline.run_to_end(std::future::pending()).await?;
    /// drop(pipeline);
    /// assert_eq!(alarms.await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self) -> Events {
        self.board.rest().quietly().events.subscribe()
    }
}
