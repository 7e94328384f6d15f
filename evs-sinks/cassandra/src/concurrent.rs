//! Concurrent requests, at most a given number.
//!
//! `pool` = 16 keeps sixteen requests on their way, which hides the time that each one takes to the node and back.
//! The first error ends the batch: the remaining requests may still be carried out, which is harmless, since each of
//! them can be repeated.

use tokio::task::JoinSet;

/// Concurrent tasks. When this is dropped, they are aborted.
pub(crate) struct Tasks<T, E> {
    running: JoinSet<Result<T, E>>,
    done: Vec<T>,
    at_once: usize,
}

impl<T: Send + 'static, E: Send + 'static> Tasks<T, E> {
    /// No tasks, of which at most `at_once` will run at the same time.
    pub(crate) fn new(at_once: usize) -> Self {
        Self { running: JoinSet::new(), done: Vec::new(), at_once }
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
        while self.running.len() >= self.at_once {
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
