//! A pipeline as the service around it sees it: it runs, and it answers for its status.

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use tokio::{runtime::Handle, task::JoinHandle};

use super::{session::Session, settings::Settings, summary::Summary};
use crate::{
    Error,
    aggregate::Plan,
    deliver::Claims,
    disk::Disk,
    format::LineParser,
    sink::Sink,
    statistic::Schema,
    status::{Board, Status, StatusHandle},
};

/// A pipeline: one source, its statistics and its sinks.
///
/// A pipeline has one run at a time, and can be run again after a run has ended: the next run goes on where the last
/// one stopped. The state directory is locked from [`build`](crate::PipelineBuilder::build) to the end of the first
/// run, and during each later run. Between two runs it is free: another pipeline or process can use it.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{LogFormat, MemorySink, Pipeline, Sink, Statistic, count};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let log = directory.path().join("access.log");
/// let line = "::1 - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" 200 5\n";
/// std::fs::write(&log, line.repeat(3))?;
/// let sink = MemorySink::new();
/// let pipeline = Pipeline::builder("web1")
///     .tail(&log)
///     .format(LogFormat::common())
///     .statistic(Statistic::named("requests").group_by(["status"]).measure(count()))
///     .sink("memory", sink.clone())
///     .state_dir(directory.path().join("state"))
///     .build()?;
/// let summary = pipeline.run_to_end(std::future::pending()).await?;
/// assert_eq!((summary.lines, summary.is_complete), (3, true));
///
/// let schema = pipeline.schemas().next().expect("one statistic");
/// let rows = sink.totals(schema, i64::MIN..i64::MAX).await?;
/// let row = rows.iter().next().expect("one window with one status");
/// assert_eq!((row.keys[0], row.values[0]), (&b"200"[..], Some(3)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Pipeline {
    pub(super) settings: Arc<Settings>,
    /// By statistic of the settings, its schema.
    pub(super) schemas: Vec<Arc<Schema>>,
    /// The plan by which workers count.
    pub(super) plan: Plan,
    pub(super) parser: LineParser,
    pub(super) state_dir: Arc<dyn Disk>,
    pub(super) board: Arc<Board>,
    /// The claims of this process: the writer that it is in each sink.
    pub(super) claims: Arc<Claims>,
    /// The lock and the binlog. The builder opens them, so that damage is found there; a run takes them.
    pub(super) session: Mutex<Session>,
}

/// Returns the caller's tokio runtime.
pub(super) fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|_| Error::NoRuntime)
}

impl Pipeline {
    /// Follows the log until `shutdown` is ready. Then it stops reading, cuts the rows that it has, delivers batches
    /// for up to the drain timeout, and returns. Batches that are not delivered by then stay in the binlog for the
    /// next start.
    ///
    /// A batch that a sink refuses for good stops one statistic of this sink; the run goes on and does not fail. The
    /// statistic is in [`SinkStatus::stopped`](crate::SinkStatus::stopped), with the error, and its batches are in
    /// [`Summary::undelivered`]. A host that bills on the numbers watches that. [`StatusHandle`] has the ways out.
    ///
    /// # Errors
    ///
    /// An error ends the run if nothing more can be counted correctly after it. Everything that was committed until
    /// then is kept, and the next start continues from there. [`Error::NoRuntime`] if the caller is not in a tokio
    /// runtime; [`Error::AlreadyRunning`] while another run has not ended. After the first run, also the errors of
    /// [`build`](crate::PipelineBuilder::build) about the state directory, such as [`Error::Locked`] if it is in use.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the run ends as if the process had been killed. Nothing is lost: the next run reads
    /// again the lines that were only in memory. A thread may still finish its last write; until then the state
    /// directory is locked, and the next run of this pipeline waits for it.
    ///
    /// # Running again
    ///
    /// The next run goes on where this one ended. If a copy of the state directory has taken the source over
    /// ([`SinkError::TakenOver`](crate::SinkError::TakenOver)), running again does not take it back; a pipeline that is
    /// built again does.
    ///
    /// ```
    /// # use evs_core::{LogFormat, MemorySink, Pipeline, Statistic, count};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let log = directory.path().join("access.log");
    /// # let pipeline = Pipeline::builder("web1")
    /// #     .tail(&log)
    /// #     .format(LogFormat::common())
    /// #     .statistic(Statistic::named("requests").measure(count()))
    /// #     .sink("memory", MemorySink::new())
    /// #     .state_dir(directory.path().join("state"))
    /// #     .build()?;
    /// let line = "::1 - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" 200 5\n";
    /// std::fs::write(&log, line)?;
    /// assert_eq!(pipeline.run_to_end(std::future::pending()).await?.lines, 1);
    /// std::fs::write(&log, line.repeat(3))?;
    /// assert_eq!(pipeline.run_to_end(std::future::pending()).await?.lines, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run(&self, shutdown: impl Future<Output = ()>) -> Result<Summary, Error> {
        self.run_until(shutdown, false).await
    }

    /// Reads everything from the source's position to the end of the log, delivers it all, and returns. If `shutdown`
    /// is ready earlier, it ends as [`run`](Self::run) does.
    ///
    /// It waits for a sink that is away for as long as [`end_timeout`](crate::PipelineBuilder::end_timeout) says, which
    /// is without limit by default. What it waits for is in the program's log, and at any time in
    /// [`status`](Self::status). After the timeout the rest waits in the binlog for the next run, and
    /// [`Summary::is_complete`] is false.
    ///
    /// A last line without its newline is not read, unless its file is a rotated one.
    ///
    /// # Errors
    ///
    /// The errors of [`run`](Self::run), and [`Error::SinkStopped`] if a sink refused a batch permanently.
    ///
    /// # Cancel safety
    ///
    /// The same as for [`run`](Self::run).
    pub async fn run_to_end(&self, shutdown: impl Future<Output = ()>) -> Result<Summary, Error> {
        self.run_until(shutdown, true).await
    }

    /// Starts [`run`](Self::run) as a task of the caller's tokio runtime. The pipeline can still be asked for its
    /// status.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use evs_core::{Error, LogFormat, MemorySink, Pipeline, Statistic, count};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let builder = Pipeline::builder("web1")
    /// #     .tail(directory.path().join("access.log"))
    /// #     .format(LogFormat::combined())
    /// #     .statistic(Statistic::named("requests").measure(count()))
    /// #     .sink("memory", MemorySink::new())
    /// #     .state_dir(directory.path().join("state"));
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let pipeline = Arc::new(builder.build_async().await?);
    /// let run = pipeline.spawn(async { drop(stopped.await) })?;
    /// println!("{} lines so far", pipeline.status().lines);
    /// drop(stop);
    /// let summary = run.await.expect("not cancelled")?;
    /// assert_eq!(summary.lines, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoRuntime`] if the caller is not in a tokio runtime. The task returns the result of `run`.
    ///
    /// # Cancel safety
    ///
    /// If the task is aborted, the same holds as for [`run`](Self::run). If only the handle is dropped, the run
    /// continues.
    pub fn spawn(
        self: &Arc<Self>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<JoinHandle<Result<Summary, Error>>, Error> {
        let pipeline = Arc::clone(self);
        Ok(runtime()?.spawn(async move { pipeline.run(shutdown).await }))
    }

    /// Returns the present status. The call is cheap: a caller can make it many times a second.
    pub fn status(&self) -> Status {
        self.board.status()
    }

    /// Returns a handle to the status for other parts of the service. It does not keep the pipeline alive, and holds no
    /// lock of the state directory.
    pub fn status_handle(&self) -> StatusHandle {
        StatusHandle::new(Arc::clone(&self.board))
    }

    /// Returns the schemas of the pipeline's statistics, as its sinks know them.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.schemas.iter()
    }

    /// Returns the pipeline's sinks with their names, for whoever reads numbers back with [`Sink::totals`].
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
    /// let names: Vec<_> = pipeline.sinks().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["memory"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sinks(&self) -> impl Iterator<Item = (&str, &Arc<dyn Sink>)> {
        self.settings.sinks.iter().map(|(name, sink)| (&**name, sink))
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.board.close();
    }
}
