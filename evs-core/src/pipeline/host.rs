//! Conveniences for the service around a pipeline: building it from async code, and running it beside other tasks.

use std::{future::Future, panic::resume_unwind, sync::Arc};

use tokio::{
    runtime::Handle,
    task::{JoinHandle, spawn_blocking},
};

use super::{Pipeline, PipelineBuilder, Summary};
use crate::Error;

/// Returns the caller's tokio runtime.
pub(super) fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|_| Error::NoRuntime)
}

impl Pipeline {
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
}

impl PipelineBuilder {
    /// Calls [`build`](Self::build) on a thread where it may block. This is for async code.
    ///
    /// # Errors
    ///
    /// The errors of `build`, and [`Error::NoRuntime`] if the caller is not in a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the call may still create the state directory and hold its lock for a moment.
    pub async fn build_async(self) -> Result<Pipeline, Error> {
        runtime()?;
        match spawn_blocking(|| self.build()).await {
            Ok(built) => built,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The task was cancelled, since the runtime shuts down.
                Err(_) => Err(Error::NoRuntime),
            },
        }
    }
}
