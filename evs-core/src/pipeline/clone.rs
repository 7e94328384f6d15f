//! The way out for a machine that was cloned on purpose: a new source that begins where a copied state directory
//! stands.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::lock::Lock;
use crate::{
    Error,
    binlog::{Binlog, BinlogOptions, source_of},
    disk::{Disk, RealDisk},
};

/// Where the new binlog is made before it is whole.
const SCRATCH: &str = "cloned";

/// What becomes of the batches in a copied state directory that not all sinks have acknowledged, when
/// [`cloned_from`](super::PipelineBuilder::cloned_from) begins there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undelivered {
    /// They are delivered under the new name. Right if they were cut on this machine, after it was copied.
    Deliver,
    /// They are left to the original, which has them, too. Right if they were there when the copy was made.
    Leave,
}

/// A copied state directory, and what becomes of its batches.
#[derive(Clone, Debug)]
pub(super) struct Cloned {
    pub(super) from: PathBuf,
    pub(super) undelivered: Undelivered,
}

impl Cloned {
    /// Begins a binlog in `state_dir` for `source`. Changes nothing if there is one, so that the setting may stay.
    pub(super) fn begin(&self, state_dir: &RealDisk, source: &str) -> Result<(), Error> {
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
        if !from.is_dir() {
            return refused("the copy of a state directory");
        }
        let copied = RealDisk::open(from).map_err(error("opening", from))?;
        let Some(original) = source_of(&copied).map_err(error("reading", from))? else {
            return refused("the copy of a state directory, which has a binlog");
        };
        if original == source {
            return refused(
                "the state directory of another source: this machine needs a source name of its own",
            );
        }
        let _lock = Lock::acquire(&copied)?;
        let (original, _) = Binlog::open(Arc::new(copied), &original, BinlogOptions::default())?;

        // Begun apart, and moved when it is whole: a crash leaves nothing that could pass for it.
        let state_dir = state_dir.path();
        let scratch = state_dir.join(SCRATCH);
        match fs::remove_dir_all(&scratch) {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(error("removing", &scratch))?,
        }
        let disk = RealDisk::open(&scratch).map_err(error("opening", &scratch))?;
        let disk: Arc<dyn Disk> = Arc::new(disk);
        original.copy_for(source, &disk, self.undelivered == Undelivered::Deliver)?;
        for name in disk.list().map_err(error("reading", &scratch))? {
            let (made, place) = (scratch.join(&name), state_dir.join(&name));
            fs::rename(&made, &place).map_err(error("renaming", &made))?;
        }
        File::open(&state_dir)
            .and_then(|directory| directory.sync_all())
            .map_err(error("syncing", &state_dir))?;
        fs::remove_dir(&scratch).map_err(error("removing", &scratch))
    }
}
