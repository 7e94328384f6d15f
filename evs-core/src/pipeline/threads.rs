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
use crate::{describe::panic_message, error::Error};

/// A thread of a pipeline that can be awaited. Its error or panic stops the pipeline.
#[derive(Debug)]
pub(super) struct Thread(oneshot::Receiver<()>);

impl Thread {
    /// Starts a thread. If the system has no thread left, the pipeline stops.
    pub(super) fn start(
        name: impl Into<String>,
        control: &Arc<Control>,
        work: impl FnOnce() -> Result<(), Error> + Send + 'static,
    ) -> Self {
        let (ended, has_ended) = oneshot::channel();
        let name = name.into();
        let body = {
            let (name, control) = (name.clone(), Arc::clone(control));
            move || {
                match catch_unwind(AssertUnwindSafe(work)) {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => control.fail(error),
                    Err(panic) => {
                        let message = panic_message(&*panic);
                        control.fail(Error::Panicked { thread: name, message });
                    }
                }
                // If the run was dropped, nobody waits for the end any more.
                let _ = ended.send(());
            }
        };
        if let Err(source) = std::thread::Builder::new().name(name.clone()).spawn(body) {
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
