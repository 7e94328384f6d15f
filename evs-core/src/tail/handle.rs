use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::fs::OFlags;

use super::TailError;

/// An open file of a log.
#[derive(Debug)]
pub struct LogHandle {
    file: File,
    path: PathBuf,
    id: FileId,
}

/// Which file it is, for as long as it is open: an inode is given to another file as soon as its own is
/// gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// What `stat` says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) id: FileId,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
    /// When it was last modified or renamed.
    pub(super) changed: SystemTime,
    pub(super) is_regular: bool,
}

/// How a file's bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl LogHandle {
    /// Opens the regular file at `path`.
    pub(super) fn open(path: &Path) -> Result<Self, TailError> {
        // Not blocking: the name may stand for a pipe by now.
        let flags = OFlags::NONBLOCK.bits() as i32;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)
            .map_err(TailError::io("open", path))?;
        let stat = Stat::of(&file.metadata().map_err(TailError::io("fstat", path))?);
        if !stat.is_regular {
            return Err(TailError::NotRegular { path: path.to_owned() });
        }
        Ok(Self { file, path: path.to_owned(), id: stat.id })
    }

    /// Makes everything durable that has been written to the file by now.
    ///
    /// # Errors
    ///
    /// Not to be tried again: the kernel may have dropped what it could not write.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// The path by which it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn id(&self) -> FileId {
        self.id
    }

    pub(super) fn packing(&self) -> Packing {
        Packing::of(&self.path)
    }

    pub(super) fn stat(&self) -> Result<Stat, TailError> {
        let metadata = self.file.metadata().map_err(TailError::io("fstat", &self.path))?;
        Ok(Stat::of(&metadata))
    }

    /// Reads at `offset` until `buffer` is full or the file ends; how much that was.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// The bytes from `start` to `end`, or to the end of the file.
    pub(super) fn read_range(&self, start: u64, end: u64) -> Result<Vec<u8>, TailError> {
        let mut bytes = vec![0; (end - start) as usize];
        let count = self.read_at(&mut bytes, start).map_err(TailError::io("read", &self.path))?;
        bytes.truncate(count);
        Ok(bytes)
    }
}

impl Stat {
    /// What `path` stands for, symbolic links followed; `None` if it does not exist.
    pub(super) fn at(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self::of(&metadata))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let changed = Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or(0));
        Self {
            id: FileId { device: metadata.dev(), inode: metadata.ino() },
            size: metadata.len(),
            modified,
            changed: modified.max(SystemTime::UNIX_EPOCH + changed),
            is_regular: metadata.is_file(),
        }
    }
}

impl Packing {
    pub(super) fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// Whole seconds since 1970, rounded down.
pub(super) fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_secs() as i64,
        Err(before) => -((before.duration() + Duration::from_nanos(999_999_999)).as_secs() as i64),
    }
}
