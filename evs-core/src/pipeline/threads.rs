//! Threads of a pipeline. An error or a panic in one of them stops the pipeline and is reported.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::sync::oneshot;

use super::control::Control;
use crate::{describe::panic_message, error::Error, turns::Turns};

/// A thread of a pipeline that can be awaited. Its error or panic stops the pipeline.
#[derive(Debug)]
pub(super) struct Thread(oneshot::Receiver<()>);

impl Thread {
    /// Starts a thread. If the system has no thread left, the pipeline stops.
    pub(super) fn start(
        name: impl Into<String>,
        turns: &Turns,
        control: &Arc<Control>,
        work: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Self {
        let (ended, has_ended) = oneshot::channel();
        let name = name.into();
        let body = {
            let (name, control, turns) = (name.clone(), Arc::clone(control), turns.clone());
            async move {
                let result = catch(|| name, work).await;
                if let Err(error) = result.flatten() {
                    control.fail(error);
                }
                // If the run was dropped, nobody waits for the end any more.
                let _ = ended.send(());
                turns.changed();
            }
        };
        if let Err(source) = turns.start(&name, body) {
            control.fail(Error::Thread { thread: name, source });
        }
        Self(has_ended)
    }

    /// Waits for the end of the thread.
    pub(super) async fn ended(&mut self) {
        // An error means that the thread ended before.
        let _ = (&mut self.0).await;
    }
}

/// Awaits a future that may panic, on the thread of the caller, and turns the panic into an error.
pub(super) async fn catch<F: Future>(name: impl FnOnce() -> String, future: F) -> Result<F::Output, Error> {
    let mut future = pin!(future);
    let caught = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    caught.await.map_err(|panic| Error::Panicked { thread: name(), message: panic_message(&*panic) })
}
