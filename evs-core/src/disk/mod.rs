//! How the binlog reaches the disk: a small trait, so that a simulated disk can stand in for tests.

use std::{fmt, io, path::PathBuf, sync::Arc};

mod real;
#[cfg(any(test, feature = "internals"))]
mod sim;

pub use real::RealDisk;
pub(crate) use real::user;
#[cfg(any(test, feature = "internals"))]
pub use sim::{Call, Fault, SimDisk};

/// Whether an error says that there is no room: on the disk, in a quota, or below a file size limit.
pub(crate) fn is_full(error: io::ErrorKind) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error, StorageFull | QuotaExceeded | FileTooLarge)
}

/// One directory of files. Names have no separators.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Where the directory is, for messages.
    fn path(&self) -> PathBuf;

    /// The names of the files in it, in no order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates a file for reading and writing; it is an error if it exists.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes created and removed names durable.
    fn sync(&self) -> io::Result<()>;
}

/// An open file of a [`Disk`].
pub trait DiskFile: fmt::Debug + Send + Sync + 'static {
    /// The file's length in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Reads at `offset` until `buffer` is full.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`. After an error any part of them may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Makes the file's contents and length durable. After an error they may never become so, whatever is
    /// called next.
    fn sync(&self) -> io::Result<()>;
}
