//! The file system that holds the log: a small trait, so that tests can use a simulated one.
//!
//! The tests replace it by a file system in memory that renames, truncates or removes files between any two calls, as
//! a rotator does. That is where most mistakes in following a log are: each call alone is right, and the state
//! changes in between.

use std::{
    ffi::OsString,
    fmt,
    fs::{File, Metadata, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::fs::OFlags;

/// The calls that the tailer makes to the file system. The directory may change between any two of them.
pub trait LogFs: fmt::Debug + Send + Sync + 'static {
    /// Lists the names in a directory, in any order.
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>>;

    /// Returns the metadata of the file that `path` leads to, through symbolic links; `None` if it does not
    /// exist.
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>>;

    /// Returns the path that the symbolic link `path` leads to, even if there is no file; `None` if `path` is
    /// not a link.
    fn link_target(&self, path: &Path) -> io::Result<Option<PathBuf>>;

    /// Opens a file for reading. If it is a pipe, does not wait for a writer.
    fn open(&self, path: &Path) -> io::Result<Box<dyn LogRead>>;
}

/// An open file of a [`LogFs`]. It stays the same file, whatever happens to its name.
pub trait LogRead: fmt::Debug + Send + Sync + 'static {
    /// Returns the metadata of the open file.
    fn stat(&self) -> io::Result<Stat>;

    /// Reads some bytes at `offset`. Returns 0 only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Makes the contents of the file durable.
    fn sync(&self) -> io::Result<()>;
}

/// Identifies a file for as long as it is open. After a file is removed and closed, its inode is given to
/// another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

/// The metadata of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The device and the inode.
    pub id: FileId,
    /// Its length in bytes.
    pub size: u64,
    /// The time of the last write, by a clock that may be coarse and may be set back.
    pub modified: SystemTime,
    /// The time at which it was last written to, renamed or linked.
    pub changed: SystemTime,
    /// True for a regular file.
    pub is_regular: bool,
}

/// The most consecutive symbolic links that are followed.
const LINKS_MAX: usize = 40;

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

impl LogFs for RealFs {
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        match std::fs::metadata(path) {
            Ok(metadata) => Ok(Some(Stat::of(&metadata))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn link_target(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let mut target = None;
        let mut at = path.to_owned();
        for _ in 0..LINKS_MAX {
            match at.symlink_metadata() {
                Ok(metadata) if metadata.is_symlink() => {}
                // In the middle of a rotation, a link leads nowhere for a moment.
                Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Err(error);
                }
                _ => return Ok(target),
            }
            at = directory_of(&at).join(at.read_link()?);
            target = Some(at.clone());
        }
        // A circle of links leads nowhere.
        Ok(None)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogRead>> {
        let flags = OFlags::NONBLOCK.bits() as i32;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        Ok(Box::new(RealFile(file)))
    }
}

/// An open file of [`RealFs`].
#[derive(Debug)]
struct RealFile(File);

impl LogRead for RealFile {
    fn stat(&self) -> io::Result<Stat> {
        Ok(Stat::of(&self.0.metadata()?))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl Stat {
    /// Converts the metadata of the standard library.
    fn of(metadata: &Metadata) -> Self {
        let changed = Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or(0))
            + Duration::from_nanos(u64::try_from(metadata.ctime_nsec()).unwrap_or(0));
        Self {
            id: FileId { device: metadata.dev(), inode: metadata.ino() },
            size: metadata.len(),
            modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            changed: SystemTime::UNIX_EPOCH + changed,
            is_regular: metadata.is_file(),
        }
    }
}

/// Returns the directory of `path`.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
