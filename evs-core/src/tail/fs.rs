//! The file system that holds the log: a small trait, so that a simulated one can stand in for tests.

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

use super::names::directory_of;

/// What the tailer asks of the file system. Any two calls may see different directories.
pub trait LogFs: fmt::Debug + Send + Sync + 'static {
    /// The names in a directory, in no order.
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>>;

    /// What `path` stands for, symbolic links followed; `None` if it does not exist.
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>>;

    /// The path that the symbolic link `path` leads to, whether there is a file or not; `None` if `path` is no
    /// link.
    fn link_target(&self, path: &Path) -> io::Result<Option<PathBuf>>;

    /// Opens a file for reading, without waiting for a writer if it is a pipe.
    fn open(&self, path: &Path) -> io::Result<Box<dyn LogRead>>;
}

/// An open file of a [`LogFs`]. It stays the same file whatever becomes of its name.
pub trait LogRead: fmt::Debug + Send + Sync + 'static {
    /// What the open file is.
    fn stat(&self) -> io::Result<Stat>;

    /// Reads some bytes at `offset`; 0 only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Makes the file's contents durable.
    fn sync(&self) -> io::Result<()>;
}

/// Which file it is, for as long as it is open: an inode is given to another file as soon as its own is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

/// What `stat` says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Which file it is.
    pub id: FileId,
    /// Its length in bytes.
    pub size: u64,
    /// When it was last written to, by a clock that may step and be coarse.
    pub modified: SystemTime,
    /// When it was last written to, renamed or linked.
    pub changed: SystemTime,
    /// Whether it is a regular file.
    pub is_regular: bool,
}

/// How many symbolic links are followed, one after the other.
const LINKS_MAX: usize = 40;

/// The file system of the machine.
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
                // Between two files of a rotation, a link leads nowhere.
                Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Err(error);
                }
                _ => return Ok(target),
            }
            at = directory_of(&at).join(at.read_link()?);
            target = Some(at.clone());
        }
        // A circle leads nowhere.
        Ok(None)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogRead>> {
        let flags = OFlags::NONBLOCK.bits() as i32;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        Ok(Box::new(RealFile(file)))
    }
}

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
