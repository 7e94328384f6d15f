//! A directory that is only read, for tools that look at a state directory beside a running pipeline.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::OFlags;

use super::disk::{DirectoryLock, Disk, DiskFile};

/// A directory whose files are opened for reading only. So the operating system refuses every change, whatever a caller
/// tries. It creates nothing and locks nothing.
///
/// It reads files that [`RealDisk`](super::RealDisk) refuses because others may write to them: whoever looks at a damaged
/// directory, or at a backup, must see what is there.
#[derive(Clone, Debug)]
pub(crate) struct ReadOnlyDisk {
    path: PathBuf,
}

impl ReadOnlyDisk {
    /// Opens the directory at `path`, which must exist.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        if !path.metadata()?.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(Self { path })
    }

    /// Opens a regular file for reading.
    pub(crate) fn file(&self, name: &str) -> io::Result<File> {
        // Without `NONBLOCK`, opening a pipe would wait for somebody who writes to it.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file =
            OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(self.path.join(name))?;
        if file.metadata()?.is_file() {
            return Ok(file);
        }
        Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file: evs has not made it"))
    }
}

/// Returns the error for a change.
fn refused<T>() -> io::Result<T> {
    Err(ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for ReadOnlyDisk {
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in self.path.read_dir()? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        refused()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(self.file(name)?))
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        refused()
    }

    fn create_directory(&self, _: &str) -> io::Result<Arc<dyn Disk>> {
        refused()
    }

    fn empty_directory(&self, _: &str) -> io::Result<()> {
        refused()
    }

    fn sync(&self) -> io::Result<()> {
        refused()
    }

    fn try_lock(&self) -> io::Result<Option<Box<dyn DirectoryLock>>> {
        refused()
    }

    fn is_at_its_path(&self) -> io::Result<bool> {
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_be_changed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), "text").unwrap();
        let disk = ReadOnlyDisk::open(directory.path()).unwrap();
        assert_eq!(disk.list().unwrap(), ["a"]);
        let file = disk.open("a").unwrap();
        assert!(file.write_all_at(b"x", 0).is_err());
        assert!(file.truncate(0).is_err());
        assert!(disk.create("b").is_err() && disk.remove("a").is_err() && disk.try_lock().is_err());
        assert_eq!(std::fs::read_to_string(directory.path().join("a")).unwrap(), "text");
    }

    #[test]
    fn a_directory_that_is_missing_is_not_made() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        assert_eq!(ReadOnlyDisk::open(&missing).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(!missing.exists());
    }

    #[test]
    fn symbolic_links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/hostname", directory.path().join("link")).unwrap();
        assert!(ReadOnlyDisk::open(directory.path()).unwrap().file("link").is_err());
    }
}
