//! The disk of a state directory: a small trait, so that tests can use a simulated disk.

mod disk;
#[cfg(feature = "inspect")]
mod read_only;
mod real;
#[cfg(any(test, feature = "internals"))]
mod sim;
#[cfg(any(test, feature = "internals"))]
mod sim_file;

pub(crate) use disk::is_full;
pub use disk::{DirectoryLock, Disk, DiskFile};
#[cfg(feature = "inspect")]
pub(crate) use read_only::ReadOnlyDisk;
pub use real::RealDisk;
pub(crate) use real::user;
#[cfg(any(test, feature = "internals"))]
pub use sim::{DiskCall, DiskFault, SimDisk};
