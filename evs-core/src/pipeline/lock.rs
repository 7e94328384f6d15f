//! The lock on a state directory, which keeps two processes from counting the same log.
//!
//! Two processes with one state directory would cut different batches under the same numbers, and a sink would refuse
//! one of them at best. The kernel releases the lock when the process ends, however it ends. So there is no lock file
//! that stays after a crash and has to be removed by hand, and removing the file `lock` while a process runs lets
//! nobody in.

use std::{io, sync::Arc};

use crate::{
    Error,
    batch::Epoch,
    disk::{self, DirectoryLock, Disk, DiskFile},
};

/// The file that names the holder of the lock.
const HOLDER: &str = "lock";
/// The end of that file's first line after the holder's run has ended by itself.
const ENDED: &str = ", whose run has ended";
/// The most bytes of that file that are read: it has two short lines.
const HOLDER_BYTES_MAX: u64 = 512;

/// The lock on a state directory. It is held as long as its files are open and ends with the process.
///
/// The lock is on the directory itself: if the directory is removed under a running process, [`verify`](Self::verify)
/// notices. It is also on the file `lock`, since earlier versions lock only that file.
#[derive(Debug)]
pub(super) struct Lock {
    disk: Arc<dyn Disk>,
    _directory: Box<dyn DirectoryLock>,
    holder: Arc<dyn DiskFile>,
    was_killed: bool,
    /// A random text in the file that only this lock has.
    mark: String,
    /// The mark of the last holder, if its file has one.
    previous: Option<String>,
}

impl Lock {
    /// Locks the directory, or returns an error that names the holder.
    pub(super) fn acquire(disk: &Arc<dyn Disk>) -> Result<Self, Error> {
        let error = |op, path, source| Error::StateDir { op, path, source };
        let path = disk.path().join(HOLDER);
        let directory = disk.try_lock().map_err(|source| error("locking", disk.path(), source))?;
        let directory = directory.ok_or_else(|| locked(&**disk))?;
        let holder = disk.open_or_create(HOLDER).map_err(|source| error("opening", path.clone(), source))?;
        if !holder.try_lock().map_err(|source| error("locking", path.clone(), source))? {
            return Err(locked(&**disk));
        }
        // The text is only a hint, so an unreadable file counts as empty.
        let (last, previous) = read_holder(&**disk).unwrap_or_default();
        let was_killed = !last.is_empty() && !last.ends_with(ENDED);
        let mark = Epoch::random().to_string();
        write_holder(&*holder, "", &mark).map_err(|source| error("writing", path, source))?;
        Ok(Self { disk: Arc::clone(disk), _directory: directory, holder, was_killed, mark, previous })
    }

    /// Returns the mark of this lock, by which its holder can find out later whether another one came after it.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// Returns the mark of the last holder. `None` if there was none or its mark could not be written, for lack of room
    /// on the disk.
    pub(super) fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }

    /// Returns whether the previous process was killed, according to its file. A power cut may make the answer wrong,
    /// so only speed may depend on it.
    pub(super) fn was_killed(&self) -> bool {
        self.was_killed
    }

    /// Records that a run has ended by itself.
    pub(super) fn note_end(&self) {
        // Without the record, the next start treats this process as killed. That is harmless.
        let _ = write_holder(&*self.holder, ENDED, &self.mark);
    }

    /// Checks that the directory is still at its path. If it is not, another process may have a directory there and
    /// count the same lines, so this one must not write any more.
    pub(super) fn verify(&self) -> Result<(), Error> {
        let path = self.disk.path();
        match self.disk.is_at_its_path() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::StateDirMoved { path }),
            Err(source) => Err(Error::StateDir { op: "looking at", path, source }),
        }
    }
}

/// Returns the error for a directory that somebody else has locked.
fn locked(disk: &dyn Disk) -> Error {
    let holder = read_holder(disk).map_or_else(|_| "another process".to_owned(), |(holder, _)| holder);
    Error::Locked { path: disk.path(), holder }
}

/// Reads the text that names the last holder, and the holder's mark.
fn read_holder(disk: &dyn Disk) -> io::Result<(String, Option<String>)> {
    let file = disk.existing(HOLDER)?.ok_or(io::ErrorKind::NotFound)?;
    let mut text = vec![0; file.size()?.min(HOLDER_BYTES_MAX) as usize];
    file.read_exact_at(&mut text, 0)?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    let mut lines = text.lines().map(str::to_owned);
    Ok((lines.next().unwrap_or_default(), lines.next()))
}

/// Writes the holder's name and mark for the next process: one that finds the directory locked, or the next start. The
/// kernel holds the lock itself.
fn write_holder(file: &dyn DiskFile, note: &str, mark: &str) -> io::Result<()> {
    let (process, system) = (std::process::id(), rustix::system::uname());
    file.truncate(0)?;
    let host = system.nodename().to_string_lossy();
    match file.write_all_at(format!("process {process} on host {host}{note}\n{mark}\n").as_bytes(), 0) {
        // A full disk must not prevent a process from delivering the batches on it.
        Err(error) if disk::is_full(error.kind()) => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::RealDisk;

    fn open(directory: &Path) -> Arc<dyn Disk> {
        Arc::new(RealDisk::open(directory).unwrap())
    }

    #[test]
    fn a_second_lock_is_refused_and_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path());
        let first = Lock::acquire(&disk).unwrap();
        let error = Lock::acquire(&disk).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        Lock::acquire(&disk).unwrap();
    }

    #[test]
    fn a_process_that_was_killed_is_told_from_one_that_ended() {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path());
        let first = Lock::acquire(&disk).unwrap();
        assert!(!first.was_killed(), "there was none");
        drop(first);
        let second = Lock::acquire(&disk).unwrap();
        assert!(second.was_killed());
        second.note_end();
        let error = Lock::acquire(&disk).unwrap_err().to_string();
        assert!(error.contains("whose run has ended"), "{error}");
        drop(second);
        assert!(!Lock::acquire(&disk).unwrap().was_killed());
    }

    #[test]
    fn a_lock_knows_whether_another_one_came_between() {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path());
        let first = Lock::acquire(&disk).unwrap();
        assert_eq!(first.previous(), None);
        first.note_end();
        let mark = first.mark().to_owned();
        drop(first);
        let second = Lock::acquire(&disk).unwrap();
        assert_eq!(second.previous(), Some(&*mark));
        drop(second);
        let third = Lock::acquire(&disk).unwrap();
        assert!(third.previous().is_some_and(|previous| previous != mark));
    }

    #[test]
    fn a_removed_lock_file_opens_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path());
        let first = Lock::acquire(&disk).unwrap();
        std::fs::remove_file(dir.path().join(HOLDER)).unwrap();
        let error = Lock::acquire(&disk).unwrap_err().to_string();
        assert!(error.contains("in use by another process"), "{error}");
        first.verify().unwrap();
    }

    #[test]
    fn a_version_that_locks_only_the_file_is_respected() {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path());
        let old = disk.open_or_create(HOLDER).unwrap();
        assert!(old.try_lock().unwrap());
        assert!(matches!(Lock::acquire(&disk), Err(Error::Locked { .. })));
        drop(old);
        Lock::acquire(&disk).unwrap();
    }
}
