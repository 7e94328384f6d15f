//! What a pipeline holds of its state directory: the lock and the binlog. It holds them from `build`, or from the start
//! of a later run, to the end of the run. Then the directory is free for others, and the pipeline can be run again.

use std::{
    panic::resume_unwind,
    sync::{Arc, Weak},
};

use super::{lock::Lock, settings::Settings};
use crate::{
    Error,
    binlog::Binlog,
    disk::Disk,
    statistic::{Schema, Statistic},
    turns::Turns,
};

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
    pub(super) mark: String,
    /// The lock, if the last thread of a run that was dropped still has it.
    pub(super) lock: Weak<Lock>,
}

impl Released {
    /// Describes a lock that will be released.
    pub(super) fn of(lock: &Arc<Lock>) -> Self {
        Self { mark: lock.mark().to_owned(), lock: Arc::downgrade(lock) }
    }
}

/// Locks the state directory and opens its binlog, as for a pipeline with these statistics.
pub(super) fn open(
    state_dir: &Arc<dyn Disk>,
    settings: &Settings,
    schemas: &[Arc<Schema>],
) -> Result<Opened, Error> {
    let lock = Lock::acquire(state_dir)?;
    let (binlog, _) = Binlog::open(Arc::clone(state_dir), &settings.source, settings.binlog)?;
    check_definitions(&settings.statistics, schemas, &binlog)?;
    settings.check_sinks(&binlog)?;
    Ok(Opened { binlog, lock: Arc::new(lock) })
}

/// Runs code that blocks on a thread where it may.
pub(super) async fn blocking<T: Send + 'static>(
    turns: &Turns,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match turns.blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The task was cancelled, since the runtime shuts down.
            Err(_) => Err(Error::NoRuntime),
        },
    }
}

/// Compares the definitions of the statistics with the ones that the state directory knows.
pub(super) fn check_definitions(
    statistics: &[Statistic],
    schemas: &[Arc<Schema>],
    binlog: &Binlog,
) -> Result<(), Error> {
    for (statistic, schema) in statistics.iter().zip(schemas) {
        let name = &statistic.name;
        let Some(known) = binlog.state().statistics.get(name) else {
            continue;
        };
        let Some(difference) = known.schema.difference(schema) else { continue };
        let obstacle = known.schema.obstacle(schema);
        if !statistic.redefine || obstacle.is_some() {
            return Err(Error::Redefined { statistic: name.clone(), difference, obstacle });
        }
        tracing::warn!(statistic = name, difference, "the statistic is defined anew");
    }
    Ok(())
}
