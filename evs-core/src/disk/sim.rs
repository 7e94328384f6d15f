//! A disk in memory that loses unsynced writes in a power cut, and fails on request.
//!
//! A real disk keeps most unsynced writes in a power cut. So a program that forgets an fsync works for years, and
//! loses data once. Here every subset of the unsynced sectors is possible, and a test tries many. For example, a
//! program writes a header and then a length to two sectors, and syncs once: after a power cut in between there may
//! be both, one of them, or none.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    mem,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::{
    disk::{DirectoryLock, Disk, DiskFile},
    sim_file::{Chance, SimFile},
};

/// A simulated directory. Clones are the same directory.
///
/// A program sees its writes at once, as with a page cache. After a [`power_cut`](SimDisk::power_cut), synced
/// writes are there, and chance decides about all others. Each call of [`Disk`] and [`DiskFile`] is counted,
/// and one of them can be made to [fail](SimDisk::fail_call).
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    inner: Arc<Mutex<Inner>>,
    /// What all names in it begin with, if it is a directory in another one.
    prefix: String,
}

/// The way in which a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// The call has no effect and returns the error. After a failed sync, the file forgets which of its bytes
    /// are not on the disk, as Linux does.
    Error(ErrorKind),
    /// A write writes the first half of its bytes and returns the error. Any other call fails as with
    /// [`DiskFault::Error`].
    Short(ErrorKind),
    /// The process ends. A write writes the first half of its bytes, and any other call has no effect. After
    /// that, all calls fail until [`SimDisk::restart`] or [`SimDisk::power_cut`].
    Crash,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskCall {
    /// The name of the operation.
    pub op: &'static str,
    /// The name of the file, or the empty string for the directory.
    pub name: String,
}

/// The state that all clones share.
#[derive(Debug, Default)]
struct Inner {
    /// The directory as programs see it: the index of each file.
    names: BTreeMap<String, usize>,
    /// The directory as it is on the disk.
    durable_names: BTreeMap<String, usize>,
    /// Changes of names since the directory was last synced. `None` is a removal.
    changes: Vec<(String, Option<usize>)>,
    files: Vec<SimFile>,
    /// All calls so far.
    log: Vec<DiskCall>,
    /// The number of the call that is to fail, and how.
    fault: Option<(usize, DiskFault)>,
    is_crashed: bool,
    /// The most bytes that all files may have together.
    room: Option<u64>,
    /// True while somebody has the directory locked.
    is_locked: bool,
}

impl SimDisk {
    /// Creates an empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes one call fail: the one that comes after `calls` further calls.
    pub fn fail_call(&self, calls: usize, fault: DiskFault) {
        let mut inner = self.lock();
        inner.fault = Some((inner.log.len() + calls, fault));
    }

    /// Returns the number of bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.lock().bytes()
    }

    /// Limits the number of bytes of all files together; `None` removes the limit.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.lock().room = bytes;
    }

    /// Returns all calls so far.
    pub fn calls(&self) -> Vec<DiskCall> {
        self.lock().log.clone()
    }

    /// Returns true if a call has failed since the last [`SimDisk::fail_call`], so that the fault is used up.
    pub fn has_failed(&self) -> bool {
        self.lock().fault.is_none()
    }

    /// Ends the process now: all calls fail until [`SimDisk::restart`] or [`SimDisk::power_cut`].
    pub fn crash(&self) {
        self.lock().is_crashed = true;
    }

    /// Returns true if the process has ended, by [`SimDisk::crash`] or by a fault.
    pub fn has_crashed(&self) -> bool {
        self.lock().is_crashed
    }

    /// Returns true while the directory is locked. A process that has crashed keeps its lock until the last of its
    /// threads has let go of it.
    pub fn is_locked(&self) -> bool {
        self.lock().is_locked
    }

    /// Restarts the process. It finds everything that was written, synced or not.
    pub fn restart(&self) {
        let mut inner = self.lock();
        inner.fault = None;
        inner.is_crashed = false;
    }

    /// Restarts the machine after a power cut.
    ///
    /// Of a file with unsynced writes, any subset of the sectors is there, each with any contents that it had
    /// since the last sync, and the file has any length that it may have had. Of the unsynced changes of
    /// names, any subset was made. `seed` decides.
    pub fn power_cut(&self, seed: u64) {
        let mut inner = self.lock();
        let mut chance = Chance(seed);
        for (name, file) in mem::take(&mut inner.changes) {
            if chance.below(2) == 0 {
                continue;
            }
            match file {
                Some(file) => inner.durable_names.insert(name, file),
                None => inner.durable_names.remove(&name),
            };
        }
        inner.names = inner.durable_names.clone();
        inner.files.iter_mut().for_each(|file| file.power_cut(&mut chance));
        inner.fault = None;
        inner.is_crashed = false;
    }

    /// Returns the names of all files as programs see them.
    pub fn names(&self) -> Vec<String> {
        self.lock().names.keys().cloned().collect()
    }

    /// Returns the bytes of a file as programs see them.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let inner = self.lock();
        inner.names.get(name).map(|file| inner.files[*file].visible.clone())
    }

    /// Creates a file with these bytes, durably.
    pub fn set_contents(&self, name: &str, bytes: Vec<u8>) {
        let mut inner = self.lock();
        let number = inner.files.len();
        inner.files.push(SimFile::with_contents(bytes));
        inner.names.insert(name.to_owned(), number);
        inner.durable_names.insert(name.to_owned(), number);
    }

    /// Removes a file, durably and without the knowledge of the program that uses it.
    pub fn lose(&self, name: &str) {
        let mut inner = self.lock();
        inner.names.remove(name);
        inner.durable_names.remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a call. `Err` is the error of a call without effect. With `Ok(Some(error))`, the call does half
    /// of its work and then returns the error.
    fn call(&self, op: &'static str, name: &str) -> io::Result<(MutexGuard<'_, Inner>, Option<io::Error>)> {
        let mut inner = self.lock();
        if inner.is_crashed {
            return Err(crashed());
        }
        let at = inner.log.len();
        inner.log.push(DiskCall { op, name: name.to_owned() });
        let Some((_, fault)) = inner.fault.filter(|(call, _)| *call == at) else {
            return Ok((inner, None));
        };
        inner.fault = None;
        inner.is_crashed = fault == DiskFault::Crash;
        match fault {
            DiskFault::Error(kind) => Err(kind.into()),
            DiskFault::Short(kind) => Ok((inner, Some(kind.into()))),
            DiskFault::Crash => Ok((inner, Some(crashed()))),
        }
    }

    /// Starts a call that does all of its work or none.
    fn whole_call(&self, op: &'static str, name: &str) -> io::Result<MutexGuard<'_, Inner>> {
        match self.call(op, name)? {
            (inner, None) => Ok(inner),
            (_, Some(error)) => Err(error),
        }
    }

    fn handle(&self, name: &str, file: usize) -> Arc<dyn DiskFile> {
        Arc::new(SimHandle {
            disk: self.clone(),
            name: name.to_owned(),
            file,
            has_lock: AtomicBool::new(false),
        })
    }
}

impl Inner {
    /// Returns the number of bytes of all files that have a name.
    fn bytes(&self) -> u64 {
        self.names.values().map(|file| self.files[*file].visible.len() as u64).sum()
    }

    /// Returns the files of a directory in this one.
    fn files_in(&self, prefix: &str) -> Vec<(String, usize)> {
        let files = self.names.iter().filter(|(name, _)| name.starts_with(prefix));
        files.map(|(name, file)| (name.clone(), *file)).collect()
    }

    /// Removes a name and adds another one, until the directory is synced as two changes of their own.
    fn rename(&mut self, from: Option<&str>, to: Option<(&str, usize)>) {
        for (name, file) in
            to.map(|(name, file)| (name, Some(file))).into_iter().chain(from.map(|name| (name, None)))
        {
            match file {
                Some(file) => self.names.insert(name.to_owned(), file),
                None => self.names.remove(name),
            };
            self.changes.push((name.to_owned(), file));
        }
    }
}

/// Returns the error of every call after a crash.
fn crashed() -> io::Error {
    io::Error::other("the process has crashed")
}

impl Disk for SimDisk {
    fn path(&self) -> PathBuf {
        PathBuf::from("/sim").join(&self.prefix)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let inner = self.whole_call("list", "")?;
        let names = inner.names.keys().filter_map(|name| name.strip_prefix(&*self.prefix));
        Ok(names.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let name = format!("{}{name}", self.prefix);
        let mut inner = self.whole_call("create", &name)?;
        if inner.names.contains_key(&name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let file = inner.files.len();
        inner.files.push(SimFile::default());
        inner.rename(None, Some((&name, file)));
        Ok(self.handle(&name, file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let name = format!("{}{name}", self.prefix);
        let inner = self.whole_call("open", &name)?;
        let file = *inner.names.get(&name).ok_or(ErrorKind::NotFound)?;
        Ok(self.handle(&name, file))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let name = format!("{}{name}", self.prefix);
        let mut inner = self.whole_call("remove", &name)?;
        if !inner.names.contains_key(&name) {
            return Err(ErrorKind::NotFound.into());
        }
        inner.rename(Some(&name), None);
        Ok(())
    }

    fn create_directory(&self, name: &str) -> io::Result<Arc<dyn Disk>> {
        let mut inner = self.whole_call("create directory", name)?;
        let prefix = format!("{name}/");
        for (old, _) in inner.files_in(&prefix) {
            inner.rename(Some(&old), None);
        }
        Ok(Arc::new(Self { inner: Arc::clone(&self.inner), prefix }))
    }

    fn empty_directory(&self, name: &str) -> io::Result<()> {
        let prefix = format!("{name}/");
        let files = self.whole_call("move", name)?.files_in(&prefix);
        for (from, file) in files {
            self.lock().rename(Some(&from), Some((&from[prefix.len()..], file)));
        }
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.whole_call("sync", "")?;
        inner.changes.clear();
        inner.durable_names = inner.names.clone();
        Ok(())
    }

    fn try_lock(&self) -> io::Result<Option<Box<dyn DirectoryLock>>> {
        let mut inner = self.whole_call("lock", "")?;
        let was_locked = mem::replace(&mut inner.is_locked, true);
        Ok((!was_locked).then(|| Box::new(SimLock(self.clone())) as _))
    }

    fn is_at_its_path(&self) -> io::Result<bool> {
        self.whole_call("look", "").map(|_| true)
    }
}

/// The lock on a [`SimDisk`].
#[derive(Debug)]
struct SimLock(SimDisk);

impl DirectoryLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.lock().is_locked = false;
    }
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
struct SimHandle {
    disk: SimDisk,
    name: String,
    file: usize,
    /// True if this handle has the file locked.
    has_lock: AtomicBool,
}

impl Drop for SimHandle {
    fn drop(&mut self) {
        if *self.has_lock.get_mut() {
            self.disk.lock().files[self.file].is_locked = false;
        }
    }
}

impl DiskFile for SimHandle {
    fn size(&self) -> io::Result<u64> {
        let inner = self.disk.whole_call("size", &self.name)?;
        Ok(inner.files[self.file].visible.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let inner = self.disk.whole_call("read", &self.name)?;
        let from = usize::try_from(offset).map_err(|_| ErrorKind::UnexpectedEof)?;
        let bytes = inner.files[self.file].visible.get(from..).unwrap_or_default();
        buffer.copy_from_slice(bytes.get(..buffer.len()).ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut inner, mut error) = self.disk.call("write", &self.name)?;
        let mut written = if error.is_some() { bytes.len() / 2 } else { bytes.len() };
        if let Some(room) = inner.room {
            let others = inner.bytes();
            let own = inner.files[self.file].visible.len() as u64;
            let end_max = (room + own).saturating_sub(others).max(own);
            if offset + written as u64 > end_max {
                written = end_max.saturating_sub(offset) as usize;
                error = Some(ErrorKind::StorageFull.into());
            }
        }
        inner.files[self.file].write(&bytes[..written], offset as usize);
        error.map_or(Ok(()), Err)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut inner = self.disk.whole_call("truncate", &self.name)?;
        inner.files[self.file].truncate(len as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        match self.disk.whole_call("sync", &self.name) {
            Ok(mut inner) => {
                inner.files[self.file].sync();
                Ok(())
            }
            Err(error) => {
                self.disk.lock().files[self.file].dirty.clear();
                Err(error)
            }
        }
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut inner = self.disk.whole_call("lock", &self.name)?;
        let was_locked = mem::replace(&mut inner.files[self.file].is_locked, true);
        self.has_lock.fetch_or(!was_locked, Relaxed);
        Ok(!was_locked)
    }
}

#[cfg(test)]
mod tests;
