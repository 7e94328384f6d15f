//! The beginning and the end of a run: it takes the state directory and leaves it free.

use std::{
    mem,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    host::Pipeline,
    session::{Opened, Released, Session, blocking, open},
};
use crate::{Error, describe, writer::Writer};

/// The time for which a run waits for the last write of an earlier run that was dropped.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval of looking whether that write has ended.
const LAST_WRITE_PAUSE: Duration = Duration::from_millis(5);

/// A run of a pipeline. When it is dropped, the run has ended, no matter how, and the pipeline can be run again.
pub(super) struct Run<'p> {
    pipeline: &'p Pipeline,
    /// What the run found: the opened directory of the first run, or the lock of the run before.
    found: Session,
    /// The lock that the run leaves behind.
    released: Released,
    /// The error that ends the run, unless it ends well.
    error: Option<String>,
}

impl<'p> Run<'p> {
    /// Begins a run, unless another one has not ended.
    pub(super) fn begin(pipeline: &'p Pipeline) -> Result<Self, Error> {
        let mut session = pipeline.session();
        let found = mem::replace(&mut *session, Session::Running);
        let released = match &found {
            Session::Built(opened) => Released::of(&opened.lock),
            Session::Running => return Err(Error::AlreadyRunning),
            Session::Ended(released) => released.clone(),
        };
        drop(session);
        pipeline.board.begin();
        let error = Some("the run was dropped".to_owned());
        Ok(Self { pipeline, found, released, error })
    }

    /// Notes how the run has ended. A run that never comes to this was dropped.
    pub(super) fn note_end(&mut self, error: Option<&Error>) {
        self.error = error.map(|error| describe(error));
    }

    /// Returns the opened state directory. The first run has it from the builder; a later one opens it.
    pub(super) async fn open(&mut self) -> Result<Opened, Error> {
        match mem::replace(&mut self.found, Session::Running) {
            Session::Built(opened) => Ok(*opened),
            Session::Running | Session::Ended(_) => {
                let opened = self.pipeline.open_again(&self.released).await?;
                self.released = Released::of(&opened.lock);
                Ok(opened)
            }
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        *self.pipeline.session() = Session::Ended(self.released.clone());
        self.pipeline.board.end(self.error.take());
    }
}

impl Pipeline {
    /// Locks the session. No code panics while it holds the lock.
    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the state directory again after a run has ended, and opens the binlog in it.
    ///
    /// If another process or pipeline has used the directory since then, this run follows it as the run of a new
    /// process would: it claims the source anew. Otherwise the claims of earlier runs hold. A process that lost the
    /// source to a copy of its state directory therefore does not come back by running again.
    async fn open_again(&self, released: &Released) -> Result<Opened, Error> {
        let deadline = Instant::now() + LAST_WRITE_TIMEOUT;
        while released.lock.strong_count() > 0 && Instant::now() < deadline {
            tokio::time::sleep(LAST_WRITE_PAUSE).await;
        }
        let (state_dir, settings) = (Arc::clone(&self.state_dir), Arc::clone(&self.settings));
        let schemas = self.schemas.clone();
        let turns = &self.settings.environment.turns;
        let opened = blocking(turns, move || open(&state_dir, &settings, &schemas)).await?;
        let epoch = opened.binlog.state().epoch;
        let is_followed = opened.lock.previous().is_some_and(|previous| previous != released.mark);
        if is_followed || epoch != self.claims.epoch() {
            self.claims.start_over(Writer::this_process(&self.settings.source, epoch));
        }
        Ok(opened)
    }
}
