//! Begins a new source from a copied state directory, for a machine that was cloned on purpose.
//!
//! The copy has the epoch of the original. If both machines used it, each would continue the other's sequences with
//! other batches, and sinks would refuse them. So the new source takes over the positions and begins an epoch of its
//! own.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{lock::Lock, rejects::RejectsFile, settings::Settings};
use crate::{
    Error,
    binlog::{Binlog, BinlogOptions, BinlogState, source_of},
    disk::{Disk, RealDisk},
};

/// The directory in which the new binlog is made until it is complete.
const SCRATCH: &str = "cloned";

/// The choice for batches in a copied state directory that not all sinks have acknowledged, when
/// [`cloned_from`](super::PipelineBuilder::cloned_from) begins a source there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undelivered {
    /// Deliver them under the new name. This is right if this machine cut them after it was copied.
    Deliver,
    /// Leave them to the original, which has them, too. This is right if they existed when the copy was made.
    Leave,
}

/// A copied state directory, and the choice for its undelivered batches.
#[derive(Clone, Debug)]
pub(super) struct Cloned {
    /// The copied state directory.
    pub(super) from: PathBuf,
    /// The choice for batches in it that still wait for a sink.
    pub(super) undelivered: Undelivered,
}

impl Cloned {
    /// Begins a binlog in `state_dir` for the source of the settings. Changes nothing if a binlog exists, so that the setting
    /// may stay in a program.
    pub(super) fn begin(&self, state_dir: &dyn Disk, settings: &Settings) -> Result<(), Error> {
        let source = &settings.source;
        let from = &self.from;
        let error = |op, path: &Path| {
            let path = path.to_owned();
            move |source| Error::StateDir { op, path, source }
        };
        let found = source_of(state_dir).map_err(error("reading", &state_dir.path()))?;
        if found.is_some() {
            return Ok(());
        }
        let refused = |expected| {
            let (setting, value) = ("cloned_from".to_owned(), from.display().to_string());
            Err(Error::Setting { setting, value, expected })
        };
        let copied = match &settings.environment.copied {
            Some(copied) => Arc::clone(copied),
            None if !from.is_dir() => return refused("the copy of a state directory"),
            None => Arc::new(RealDisk::open(from).map_err(error("opening", from))?),
        };
        let Some(original) = source_of(&*copied).map_err(error("reading", from))? else {
            return refused("the copy of a state directory, which has a binlog");
        };
        if original == *source {
            return refused(
                "the state directory of another source: this machine needs a source name of its own",
            );
        }
        let _lock = Lock::acquire(&copied)?;
        let (original, _) = Binlog::open(Arc::clone(&copied), &original, BinlogOptions::default())?;
        // The rejected lines of the last commit may not be in their file yet. The new source goes on after them.
        let BinlogState { ledger, rejected, .. } = original.state();
        let mut file = RejectsFile::open(copied, settings.rejected_bytes_max, ledger.rejects)?;
        file.write(rejected, &ledger.frontier)?;

        // The new binlog is made in a directory apart and moved when it is complete: a crash leaves nothing that
        // could be taken for a binlog.
        let scratch = state_dir.path().join(SCRATCH);
        let disk = state_dir.create_directory(SCRATCH).map_err(error("creating", &scratch))?;
        original.copy_for(source, &disk, self.undelivered == Undelivered::Deliver)?;
        state_dir.empty_directory(SCRATCH).map_err(error("moving the files of", &scratch))
    }
}
