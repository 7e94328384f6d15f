//! The traits of a disk: one directory and its files.
//!
//! The binlog knows only these two traits. That is what makes its crashes testable: `SimDisk` loses, fails or fills
//! up at any call, and the same tests can be run for each call that the code makes.

use std::{fmt, io, path::PathBuf, sync::Arc};

/// Returns true if an error says that there is no room: on the disk, in a quota, or because of a limit of the
/// file size.
pub(crate) fn is_full(error: io::ErrorKind) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error, StorageFull | QuotaExceeded | FileTooLarge)
}

/// One directory of files. Names contain no separators.
///
/// # Contract
///
/// * A write may be in any state after a power cut until the file is synced, and so may a name until the
///   directory is synced.
/// * After a failed sync, nothing is certain: the bytes may never become durable, even if a later sync
///   succeeds.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Returns the path of the directory, for messages.
    fn path(&self) -> PathBuf;

    /// Lists the names of the files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates a file for reading and writing. Returns an error if it exists.
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

    /// Fills `buffer` with the bytes at `offset`. Returns an error if the file ends before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`. After an error, any part of them may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Shortens the file to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Makes the contents and the length of the file durable. After an error they may never become durable,
    /// whatever is called next.
    fn sync(&self) -> io::Result<()>;
}
