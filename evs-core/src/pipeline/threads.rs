use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio::sync::oneshot;

use super::control::Control;
use crate::Error;

/// A thread of a pipeline, to be waited for. Its error or panic stops the pipeline.
#[derive(Debug)]
pub(super) struct Thread(oneshot::Receiver<()>);

impl Thread {
    /// Starts a thread.
    ///
    /// # Panics
    ///
    /// If the operating system has no thread to give.
    pub(super) fn start(
        name: impl Into<String>,
        control: &Arc<Control>,
        work: impl FnOnce() -> Result<(), Error> + Send + 'static,
    ) -> Self {
        let (ended, has_ended) = oneshot::channel();
        let (name, control) = (name.into(), Arc::clone(control));
        let body = {
            let name = name.clone();
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
        std::thread::Builder::new().name(name).spawn(body).expect("the operating system starts a thread");
        Self(has_ended)
    }

    /// Waits for the thread's end.
    pub(super) async fn ended(&mut self) {
        // An error means that it has ended long ago.
        let _ = (&mut self.0).await;
    }
}

/// What a panic said.
pub(super) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
