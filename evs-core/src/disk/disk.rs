//! The traits of a disk: one directory and its files.
//!
//! Everything that a pipeline keeps in its state directory goes through these two traits. That is what makes its crashes
//! testable: `SimDisk` loses, fails or fills up at any call, and the same tests can be run for each call that the code
//! makes.

use std::{
    fmt,
    io::{self, ErrorKind},
    path::PathBuf,
    sync::Arc,
};

/// Returns true if an error says that there is no room: on the disk, in a quota, or because of a limit of the
/// file size.
pub(crate) fn is_full(error: ErrorKind) -> bool {
    use ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error, StorageFull | QuotaExceeded | FileTooLarge)
}

/// One directory of files, and of directories for what is not complete yet. Names contain no separators.
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

    /// Creates an empty directory in this one, and removes what was there under its name before.
    fn create_directory(&self, name: &str) -> io::Result<Arc<dyn Disk>>;

    /// Moves all files of a directory in this one into this one, durably, and removes that directory.
    fn empty_directory(&self, name: &str) -> io::Result<()>;

    /// Makes created and removed names durable.
    fn sync(&self) -> io::Result<()>;

    /// Locks the directory against other processes, and against other locks of this one. Returns `None` if it is locked
    /// already.
    fn try_lock(&self) -> io::Result<Option<Box<dyn DirectoryLock>>>;

    /// Returns true if the path still leads to this directory.
    ///
    /// An open handle stays valid if its directory is renamed. evs would go on writing to it, while another process
    /// finds a new directory at the path, and counts the same lines.
    fn is_at_its_path(&self) -> io::Result<bool>;
}

impl dyn Disk {
    /// Opens a file; returns `None` if it does not exist.
    pub(crate) fn existing(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>> {
        match self.open(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Opens a file, and creates it if it does not exist.
    pub(crate) fn open_or_create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.existing(name)? {
            return Ok(file);
        }
        match self.create(name) {
            // Another process has created it in the meantime.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.open(name),
            created => created,
        }
    }

    /// Removes a file if it exists.
    pub(crate) fn remove_existing(&self, name: &str) -> io::Result<()> {
        match self.remove(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

/// A lock on the directory of a [`Disk`]. It ends when the value is dropped, or with the process.
pub trait DirectoryLock: fmt::Debug + Send + Sync + 'static {}

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

    /// Locks the file, until this handle is closed or the process ends. Returns false if another handle has it locked.
    fn try_lock(&self) -> io::Result<bool>;
}
