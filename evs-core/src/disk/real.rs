//! A real directory, in which only the user of this process may write.
//!
//! The binlog is trusted when it is read back, so nobody else may be able to plant or change its files. All files are
//! opened relative to the open directory and never through a symbolic link, so that nobody can redirect evs to
//! another file.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, openat, unlinkat},
    io::{Errno, retry_on_intr},
    process::geteuid,
};

use super::disk::{DirectoryLock, Disk, DiskFile};

/// A directory of the operating system, which is held open. Its files are always those of this directory, even if its
/// path is renamed or replaced.
///
/// A file is never opened through a symbolic link. It is created with mode 0600, and refused if it belongs to another
/// user or if others may write to it.
///
/// ```text
/// /var/lib/evs/web1        drwx------ evs     opened once, and held
///     lock                 -rw------- evs     opened relative to it
///     binlog-…0001.evs     -rw------- evs
///     reserve -> /etc/x    refused: a symbolic link
/// ```
#[derive(Debug, Clone)]
pub struct RealDisk {
    path: PathBuf,
    directory: Arc<File>,
}

/// The owner and the permissions of a directory or a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    /// The permission bits.
    pub(crate) mode: u32,
    /// The user id of the owner.
    pub(crate) owner: u32,
}

impl Rights {
    /// Reads the rights of an open file.
    fn of(file: &File) -> io::Result<Self> {
        let found = file.metadata()?;
        Ok(Self { mode: found.mode() & 0o7777, owner: found.uid() })
    }

    /// Returns true if it belongs to `user` and nobody else may write to it.
    ///
    /// There is no exception for root. A file that root writes into the directory of a service cannot be opened by
    /// that service. And in a directory that belongs to somebody else, root would have to trust that user.
    pub(crate) fn are_exclusive_to(self, user: u32) -> bool {
        self.owner == user && self.mode & 0o022 == 0
    }
}

/// Returns the user id that this process runs as.
pub(crate) fn user() -> u32 {
    geteuid().as_raw()
}

impl RealDisk {
    /// Opens the directory at `path`. Missing directories, those above it included, are created durably and with mode
    /// 0700.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        make(path.as_ref())?;
        let path = path.as_ref().canonicalize()?;
        let directory = Arc::new(open_directory(rustix::fs::CWD, &path)?);
        Ok(Self { path, directory })
    }

    /// Returns the rights of the directory.
    pub(crate) fn rights(&self) -> io::Result<Rights> {
        Rights::of(&self.directory)
    }

    /// Opens a file with `flags`, and checks that it is a regular file and that nobody else may change it.
    fn file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file: File = match retry_on_intr(|| openat(&self.directory, name, flags, mode)) {
            Err(Errno::LOOP) => {
                let what = "it is a symbolic link, which evs does not make and does not follow: remove it";
                return Err(io::Error::new(ErrorKind::PermissionDenied, what));
            }
            opened => opened?.into(),
        };
        if !file.metadata()?.is_file() {
            let what = "it is not a regular file: evs has not made it";
            return Err(io::Error::new(ErrorKind::InvalidInput, what));
        }
        let (rights, user) = (Rights::of(&file)?, user());
        if !rights.are_exclusive_to(user) {
            let Rights { mode, owner } = rights;
            let what = format!(
                "it belongs to user {owner} and has mode {mode:04o}, so that others than user {user} could change it; \
                 if its contents are to be trusted: `chown {user}` and `chmod 600`"
            );
            return Err(io::Error::new(ErrorKind::PermissionDenied, what));
        }
        Ok(file)
    }
}

/// Opens a directory that is not a symbolic link.
fn open_directory(at: impl std::os::fd::AsFd, path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = retry_on_intr(|| openat(&at, path, flags, Mode::empty()))?;
    Ok(opened.into())
}

/// Creates a directory and those above it, where they are missing. Each one is synced in its parent: otherwise a
/// power cut could remove them, with all files in them that were synced.
fn make(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    make(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        // Another process has created it in the meantime.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made?,
    }
    File::open(parent)?.sync_all()
}

impl Disk for RealDisk {
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&*self.directory)? {
            names.extend(entry?.file_name().to_str().ok().map(str::to_owned));
        }
        names.retain(|name| name != "." && name != "..");
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(self.file(name, OFlags::CREATE | OFlags::EXCL)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(self.file(name, OFlags::empty())?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.directory, name, AtFlags::empty())?)
    }

    fn create_directory(&self, name: &str) -> io::Result<Arc<dyn Disk>> {
        let path = self.path.join(name);
        match std::fs::remove_dir_all(&path) {
            Err(gone) if gone.kind() == ErrorKind::NotFound => {}
            removed => removed?,
        }
        Ok(Arc::new(Self::open(&path)?))
    }

    fn empty_directory(&self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        for file in Self::open(&path)?.list()? {
            std::fs::rename(path.join(&file), self.path.join(&file))?;
        }
        self.directory.sync_all()?;
        std::fs::remove_dir(&path)
    }

    fn sync(&self) -> io::Result<()> {
        self.directory.sync_all()
    }

    fn try_lock(&self) -> io::Result<Option<Box<dyn DirectoryLock>>> {
        // The lock ends with this handle, and not with the one that the disk holds.
        let directory = open_directory(&self.directory, Path::new("."))?;
        Ok(DiskFile::try_lock(&directory)?.then(|| Box::new(directory) as _))
    }

    fn is_at_its_path(&self) -> io::Result<bool> {
        let held = self.directory.metadata()?;
        match self.path.symlink_metadata() {
            Ok(found) => Ok((found.dev(), found.ino()) == (held.dev(), held.ino())),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl DirectoryLock for File {}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        match Self::try_lock(self) {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    fn mode(path: impl AsRef<Path>) -> u32 {
        path.as_ref().metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn what_is_made_is_the_users_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/b/c");
        let disk = RealDisk::open(&path).unwrap();
        let files: &dyn Disk = &disk;
        files.create("new").unwrap();
        files.open_or_create("other").unwrap();
        for directory in ["a", "a/b", "a/b/c"] {
            assert_eq!(mode(scratch.path().join(directory)), 0o700, "{directory}");
        }
        for file in ["new", "other"] {
            assert_eq!(mode(path.join(file)), 0o600, "{file}");
        }
        let mut names = disk.list().unwrap();
        names.sort();
        assert_eq!(names, ["new", "other"]);
    }

    #[test]
    fn what_others_may_have_put_there_is_not_opened() {
        let scratch = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(scratch.path().join("state")).unwrap();
        let victim = scratch.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, disk.path.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", disk.path.join("dangling")).unwrap();
        std::fs::create_dir(disk.path.join("directory")).unwrap();
        std::fs::write(disk.path.join("open to all"), "").unwrap();
        std::fs::set_permissions(disk.path.join("open to all"), Permissions::from_mode(0o666)).unwrap();
        for (name, why) in [
            ("link", "symbolic link"),
            ("dangling", "symbolic link"),
            ("directory", ""),
            ("open to all", "mode 0666"),
        ] {
            let files: &dyn Disk = &disk;
            let refused = [files.existing(name).map(drop), files.open_or_create(name).map(drop)];
            for error in refused {
                let error = error.unwrap_err().to_string();
                assert!(error.contains(why), "{name}: {error}");
            }
        }
        assert_eq!(std::fs::read_to_string(victim).unwrap(), "precious");
        assert!(!scratch.path().join("state/nowhere").exists());
    }

    #[test]
    fn only_the_user_may_own_it_and_write_to_it() {
        let cases =
            [(0o700, 5, true), (0o755, 5, true), (0o770, 5, false), (0o702, 5, false), (0o700, 6, false)];
        for (mode, owner, expected) in cases {
            assert_eq!(Rights { mode, owner }.are_exclusive_to(5), expected, "{mode:o} {owner}");
        }
        // Root is not trusted either, although it could write to it.
        assert!(!Rights { mode: 0o700, owner: 5 }.are_exclusive_to(0));
    }

    #[test]
    fn a_directory_that_was_moved_or_replaced_is_noticed_and_its_files_stay_its_own() {
        let scratch = tempfile::tempdir().unwrap();
        let (path, moved) = (scratch.path().join("state"), scratch.path().join("moved"));
        let disk = RealDisk::open(&path).unwrap();
        assert!(disk.is_at_its_path().unwrap());
        std::fs::rename(&path, &moved).unwrap();
        assert!(!disk.is_at_its_path().unwrap());
        std::fs::create_dir(&path).unwrap();
        assert!(!disk.is_at_its_path().unwrap());
        disk.create("file").unwrap();
        assert!(moved.join("file").exists() && !path.join("file").exists());
        // A link to the directory does not count as the directory: it may lead to another one the next moment.
        std::fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink(&moved, &path).unwrap();
        assert!(!disk.is_at_its_path().unwrap());
    }
}
