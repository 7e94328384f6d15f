//! The parts of the outside world that tests replace: the files of the log and of the state directory, the clocks, and
//! the order of the threads.

use std::sync::Arc;

use crate::{clock::Wall, disk::Disk, tail::LogFs, turns::Turns};

/// The surroundings of a pipeline. By default they are those of the system.
///
/// A test that replaces all of them runs whole pipelines in a world of its own: it decides when the disk fails, what a
/// power cut leaves, and how fast time passes.
///
/// ```
/// use std::{path::Path, sync::Arc};
/// use evs_core::{Error, LogFormat, MemorySink, Pipeline, Statistic, count};
/// use evs_core::internals::{disk::SimDisk, pipeline::Environment};
///
/// let builder = Pipeline::builder("web1")
///     .tail("/var/log/nginx/access.log")
///     .format(LogFormat::combined())
///     .statistic(Statistic::named("requests").measure(count()))
///     .sink("memory", MemorySink::new())
///     .state_dir("/sim");
/// let disk = SimDisk::new();
/// let environment = Environment { state: Some(Arc::new(disk.clone())), ..Environment::default() };
/// let pipeline = environment.surround(builder).build()?;
/// assert!(disk.is_locked() && !Path::new("/sim").exists());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The file system of the log.
    pub log: Option<Arc<dyn LogFs>>,
    /// The state directory. The setting `state_dir` must still be there, and is not used.
    pub state: Option<Arc<dyn Disk>>,
    /// The copied state directory of `cloned_from`, whose path is not used either.
    pub copied: Option<Arc<dyn Disk>>,
    /// The clocks.
    pub wall: Wall,
    /// Who decides which thread runs.
    pub turns: Turns,
}
