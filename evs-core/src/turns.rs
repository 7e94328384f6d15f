//! The way in which the threads of a run take turns: the system decides, or a simulation does.
//!
//! The bodies of the threads are async functions that wait in a few places only: for work, for room in a queue, for a
//! message, for time to pass. On a thread of the system such a wait blocks, so the whole body is done when it is polled
//! once, and there is no executor. In a simulation each body is a task of the caller's runtime. All tasks are on one
//! thread, and one runs until it waits; a seed decides who is next. With tokio's paused clock no time passes in vain, and
//! the same seed always gives the same run.
//!
//! ```text
//! threads   reader  --- send: blocks until a worker has room -------------
//! tasks     reader  --- send: no room, awaits a change ... a worker takes something: change --- send
//! ```

mod announced;
mod mailbox;

use std::{
    fmt, io,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::{JoinError, spawn_blocking, yield_now},
    time::{Instant, sleep_until},
};

pub(crate) use announced::Announced;
pub(crate) use mailbox::{Inbox, Outbox, Received, mailbox};

/// Who takes turns, and how.
#[derive(Clone, Debug, Default)]
pub struct Turns(Option<Arc<Tasks>>);

/// The tasks of a simulation.
struct Tasks {
    /// Told after each change that a task may wait for.
    changed: Notify,
    /// Returns how many turns a task lets pass before it goes on after a change.
    passed: Box<dyn Fn() -> u32 + Send + Sync>,
}

impl Turns {
    /// Threads of the system.
    pub fn threads() -> Self {
        Self(None)
    }

    /// Tasks of the caller's runtime. `passed` decides for a task that can go on how many turns it lets others have
    /// before.
    pub fn tasks(passed: impl Fn() -> u32 + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(Tasks { changed: Notify::new(), passed: Box::new(passed) })))
    }

    /// Returns whether a wait blocks the thread. If not, it has to end with [`Self::change`].
    pub(crate) fn may_block(&self) -> bool {
        self.0.is_none()
    }

    /// Tells tasks that something has changed that they may wait for.
    pub(crate) fn changed(&self) {
        if let Self(Some(tasks)) = self {
            tasks.changed.notify_waiters();
        }
    }

    /// Waits for a change. A thread never comes here, since it has blocked before.
    pub(crate) async fn change(&self) {
        if let Self(Some(tasks)) = self {
            tasks.changed.notified().await;
            tasks.pass().await;
        }
    }

    /// Waits for a change, but not after `until`. Returns whether the time is not over.
    pub(crate) async fn change_before(&self, until: Instant) -> bool {
        let Self(Some(tasks)) = self else { return true };
        let is_early = tokio::select! {
            biased;
            () = tasks.changed.notified() => true,
            () = sleep_until(until) => false,
        };
        tasks.pass().await;
        is_early
    }

    /// Lets others have their turns, if they are tasks: between any two steps of a thread another one may run.
    pub(crate) async fn pass(&self) {
        if let Self(Some(tasks)) = self {
            tasks.pass().await;
        }
    }

    /// Runs code that blocks on a thread where it may.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        match self {
            Self(None) => spawn_blocking(work).await,
            // A task of its own reports a panic as the thread would.
            Self(Some(_)) => tokio::spawn(async move { work() }).await,
        }
    }

    /// Starts a thread with this body, or a task.
    pub(crate) fn start(
        &self,
        name: &str,
        body: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        match self {
            Self(None) => drop(thread::Builder::new().name(name.to_owned()).spawn(|| run_blocking(body))?),
            Self(Some(_)) => drop(tokio::spawn(body)),
        }
        Ok(())
    }
}

impl Tasks {
    async fn pass(&self) {
        for _ in 0..(self.passed)() {
            yield_now().await;
        }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tasks")
    }
}

/// Runs a body of a thread to its end. Its own waits block, so it is done when it is polled once. If it waits for something
/// else, the thread is parked until then.
pub(crate) fn run_blocking<T>(body: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut body = pin!(body);
    loop {
        if let Poll::Ready(output) = body.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The time after which a wait of `timeout` is over.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    Instant::now() + timeout
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn a_body_that_waits_without_blocking_goes_on_when_it_is_woken() {
        let ((answer, question), (begun, has_begun)) = (oneshot::channel(), mpsc::channel());
        let other = thread::spawn(move || {
            has_begun.recv().unwrap();
            answer.send(7).unwrap();
        });
        let body = async {
            begun.send(()).unwrap();
            question.await.unwrap()
        };
        assert_eq!(run_blocking(body), 7);
        other.join().unwrap();
    }
}
