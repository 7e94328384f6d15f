//! What a pipeline holds of its state directory: the lock and the binlog. It holds them from `build`, or from the start
//! of a later run, to the end of the run. Then the directory is free for others, and the pipeline can be run again.

use std::{
    mem,
    panic::resume_unwind,
    sync::{Arc, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{task::spawn_blocking, time::Instant};

use super::{assembly::check_definitions, host::Pipeline, lock::Lock, settings::Settings};
use crate::{
    Error,
    binlog::Binlog,
    disk::{Disk, RealDisk},
    statistic::Schema,
    writer::Writer,
};

/// The time for which a run waits for the last write of an earlier run that was dropped.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval of looking whether that write has ended.
const LAST_WRITE_PAUSE: Duration = Duration::from_millis(5);

/// Whether a pipeline runs, and what it holds of its state directory.
#[derive(Debug)]
pub(super) enum Session {
    /// The pipeline was built and has not been run.
    Built(Box<Opened>),
    /// A run has taken the state directory.
    Running,
    /// The last run has ended, and the state directory is free.
    Ended(Released),
}

/// The lock on the state directory, and the binlog in it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) binlog: Binlog,
    /// A run shares the lock with the thread that writes: after a run is dropped, that thread may still finish its
    /// last write.
    pub(super) lock: Arc<Lock>,
}

/// A lock that was released.
#[derive(Clone, Debug)]
pub(super) struct Released {
    /// The mark that the lock left in the state directory.
    mark: String,
    /// The lock, if the last thread of a run that was dropped still has it.
    lock: Weak<Lock>,
}

impl Released {
    /// Describes a lock that will be released.
    fn of(lock: &Arc<Lock>) -> Self {
        Self { mark: lock.mark().to_owned(), lock: Arc::downgrade(lock) }
    }
}

/// A run of a pipeline. When it is dropped, the run has ended, no matter how, and the pipeline can be run again.
pub(super) struct Run<'p> {
    pipeline: &'p Pipeline,
    /// What the run found: the opened directory of the first run, or the lock of the run before.
    found: Session,
    /// The lock that the run leaves behind.
    released: Released,
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
        Ok(Self { pipeline, found, released })
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
        self.pipeline.board.end();
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
        let (state_dir, settings) = (self.state_dir.clone(), Arc::clone(&self.settings));
        let schemas = self.schemas.clone();
        let opened = blocking(move || open(&state_dir, &settings, &schemas)).await?;
        let epoch = opened.binlog.state().epoch;
        let is_followed = opened.lock.previous().is_some_and(|previous| previous != released.mark);
        if is_followed || epoch != self.claims.epoch() {
            self.claims.start_over(Writer::this_process(&self.settings.source, epoch));
        }
        Ok(opened)
    }
}

/// Locks the state directory and opens its binlog, as for a pipeline with these statistics.
fn open(state_dir: &RealDisk, settings: &Settings, schemas: &[Arc<Schema>]) -> Result<Opened, Error> {
    let lock = Lock::acquire(state_dir)?;
    let disk: Arc<dyn Disk> = Arc::new(state_dir.clone());
    let (binlog, _) = Binlog::open(disk, &settings.source, settings.binlog)?;
    check_definitions(&settings.statistics, schemas, &binlog)?;
    settings.check_sinks(&binlog)?;
    Ok(Opened { binlog, lock: Arc::new(lock) })
}

/// Runs code that blocks on a thread where it may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The task was cancelled, since the runtime shuts down.
            Err(_) => Err(Error::NoRuntime),
        },
    }
}
