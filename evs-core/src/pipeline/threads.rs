use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::sync::oneshot;

use super::control::Control;
use crate::Error;

/// A thread of a pipeline, to be waited for. Its error or panic stops the pipeline.
#[derive(Debug)]
pub(super) struct Thread(oneshot::Receiver<()>);

impl Thread {
    /// Starts a thread. Without one to be had, the pipeline stops.
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
                    Err(panic) => control.fail(Error::Panicked { thread: name, message: message(&*panic) }),
                }
                // Nobody waits any more if the run was dropped.
                let _ = ended.send(());
            }
        };
        if let Err(source) = std::thread::Builder::new().name(name.clone()).spawn(body) {
            control.fail(Error::Thread { thread: name, source });
        }
        Self(has_ended)
    }

    /// Waits for the thread's end.
    pub(super) async fn ended(&mut self) {
        // An error means that it has ended long ago.
        let _ = (&mut self.0).await;
    }
}

/// Awaits something that may panic, on the thread of whoever runs the pipeline.
pub(super) async fn catch<F: Future>(name: impl FnOnce() -> String, future: F) -> Result<F::Output, Error> {
    let mut future = pin!(future);
    let caught = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    caught.await.map_err(|panic| Error::Panicked { thread: name(), message: message(&*panic) })
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
