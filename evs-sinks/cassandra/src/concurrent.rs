//! Concurrent requests, as many as are good for the server.

use tokio::task::JoinSet;

/// The number of requests of one call that are sent concurrently. Measured: with fewer, a node is idle at times; more
/// are no faster, and an overloaded node answers them too late.
const AT_ONCE: usize = 32;

/// Concurrent tasks. When this is dropped, they are aborted.
pub(crate) struct Tasks<T, E> {
    running: JoinSet<Result<T, E>>,
    done: Vec<T>,
}

impl<T: Send + 'static, E: Send + 'static> Tasks<T, E> {
    /// No tasks.
    pub(crate) fn new() -> Self {
        Self { running: JoinSet::new(), done: Vec::new() }
    }

    /// Starts a task as soon as there is room for it.
    ///
    /// # Errors
    ///
    /// The error of a task that was started before.
    pub(crate) async fn run(
        &mut self,
        task: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<(), E> {
        while self.running.len() >= AT_ONCE {
            self.join().await?;
        }
        self.running.spawn(task);
        Ok(())
    }

    /// Waits for the tasks and returns their results, in no particular order.
    pub(crate) async fn finish(mut self) -> Result<Vec<T>, E> {
        while !self.running.is_empty() {
            self.join().await?;
        }
        Ok(self.done)
    }

    async fn join(&mut self) -> Result<(), E> {
        match self.running.join_next().await {
            Some(Ok(answer)) => self.done.push(answer?),
            // Tasks are only aborted together with the set.
            Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
            None => {}
        }
        Ok(())
    }
}
