//! The watch over the directories of logs: one for the whole process.
//!
//! The system allows a user few watchers (`fs.inotify.max_user_instances` is 128 by default), and each costs a thread.
//! So all logs of a process share one watcher: it is made with the first log, and goes with the last one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// Something that wants to know of changes in directories.
pub(super) trait Listener: Send + Sync {
    /// Something may have changed: this file or directory, by its real path, or anything.
    fn changed(&self, path: Option<&Path>);
}

/// The watcher of this process, while a log needs it.
///
/// Its calls wait for its thread, which calls [`tell`]: whoever holds this lock must not hold that of [`LISTENERS`].
static WATCHER: Mutex<Option<RecommendedWatcher>> = Mutex::new(None);

/// The listeners of each watched directory, by its real path. No list is empty.
static LISTENERS: Mutex<BTreeMap<PathBuf, Vec<Weak<dyn Listener>>>> = Mutex::new(BTreeMap::new());

/// Set after the first warning that a log is only polled.
static IS_WARNED: AtomicBool = AtomicBool::new(false);

/// Tells a listener of changes until it is dropped.
pub(super) struct Watch {
    directories: Vec<PathBuf>,
    listener: Weak<dyn Listener>,
}

impl Watch {
    /// Watches the directory of the log at `path` and, if the log is a link, the directory that it leads to.
    ///
    /// Returns `None` if the system watches no more directories, or this one is not there. The first time, that is a
    /// warning, which says what to do.
    pub(super) fn new(path: &Path, listener: &Arc<impl Listener + 'static>) -> Option<Self> {
        let listener: Arc<dyn Listener> = Arc::clone(listener) as _;
        let mut watch = Self { directories: Vec::new(), listener: Arc::downgrade(&listener) };
        match watch.add_all(path) {
            Ok(()) => Some(watch),
            Err(error) => {
                warn(path, &error);
                None
            }
        }
    }

    /// Watches one directory. Returns `None` if the system watches no more, or the directory is not there.
    pub(super) fn directory(path: &Path, listener: &Arc<impl Listener + 'static>) -> Option<Self> {
        let listener: Arc<dyn Listener> = Arc::clone(listener) as _;
        let mut watch = Self { directories: Vec::new(), listener: Arc::downgrade(&listener) };
        match watch.add(path) {
            Ok(()) => Some(watch),
            Err(error) => {
                warn(path, &error);
                None
            }
        }
    }

    /// Adds the directories of the log at `path`.
    fn add_all(&mut self, path: &Path) -> notify::Result<()> {
        self.add(parent(path))?;
        match path.canonicalize() {
            Ok(target) => self.add(parent(&target)),
            // The log is not there yet.
            Err(_) => Ok(()),
        }
    }

    /// Adds a directory.
    ///
    /// The system knows a directory once, under the path with which it was added last. Its real path is the same for
    /// all logs.
    fn add(&mut self, directory: &Path) -> notify::Result<()> {
        let directory = directory.canonicalize().map_err(notify::Error::io)?;
        if self.directories.contains(&directory) {
            return Ok(());
        }
        let mut watcher = lock(&WATCHER);
        let watcher = match &mut *watcher {
            Some(watcher) => watcher,
            none => none.insert(notify::recommended_watcher(|event| tell(&event))?),
        };
        // A known directory is added again: the one that was watched under this path may have been replaced.
        watcher.watch(&directory, RecursiveMode::NonRecursive)?;
        lock(&LISTENERS).entry(directory.clone()).or_default().push(Weak::clone(&self.listener));
        self.directories.push(directory);
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watcher = lock(&WATCHER);
        for directory in &self.directories {
            let mut listeners = lock(&LISTENERS);
            let Some(of_directory) = listeners.get_mut(directory) else { continue };
            of_directory.retain(|listener| !listener.ptr_eq(&self.listener));
            if !of_directory.is_empty() {
                continue;
            }
            listeners.remove(directory);
            drop(listeners);
            if let Some(watcher) = &mut *watcher {
                // It fails if the directory is gone; then the system has ended the watch.
                let _ = watcher.unwatch(directory);
            }
        }
        if lock(&LISTENERS).is_empty() {
            *watcher = None;
        }
    }
}

/// Reports, the first time as a warning, that logs are only polled.
fn warn(path: &Path, error: &notify::Error) {
    let path = path.display();
    if IS_WARNED.swap(true, Relaxed) {
        tracing::debug!(%path, %error, "the log is not watched, only polled");
    } else {
        tracing::warn!(
            %path, %error,
            "the log is not watched, only polled: new lines are seen later. If the system watches no more, \
             raise fs.inotify.max_user_watches or max_user_instances. Further logs are not reported"
        );
    }
}

/// Locks a static. A thread that panicked leaves at worst an entry too many, so a poisoned lock is used.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the directory of the file at `path`.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Tells the listeners of the directories that an event concerns.
fn tell(event: &notify::Result<notify::Event>) {
    let Some(paths) = changed_paths(event) else { return };
    let listeners = lock(&LISTENERS);
    if paths.is_empty() {
        listeners.values().flatten().filter_map(Weak::upgrade).for_each(|listener| listener.changed(None));
    }
    // An event names a file of a directory or, if it concerns the directory, the directory.
    for path in paths {
        for directory in path.parent().into_iter().chain([path.as_path()]) {
            let of_directory = listeners.get(directory).into_iter().flatten();
            of_directory.filter_map(Weak::upgrade).for_each(|listener| listener.changed(Some(path)));
        }
    }
}

/// Returns the paths that may have changed; an empty list stands for any path. Returns `None` if nothing changed.
///
/// An access is not a change: the tailer's own reads are accesses. An overflow of the queue or an error may hide any
/// change.
fn changed_paths(event: &notify::Result<notify::Event>) -> Option<&[PathBuf]> {
    match event {
        Ok(event) if event.kind.is_access() => None,
        Ok(event) if event.need_rescan() => Some(&[]),
        Ok(event) => Some(&event.paths),
        Err(error) => Some(&error.paths),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::mpsc::{Sender, channel},
        time::Duration,
    };

    use notify::{
        Error, Event, EventKind,
        event::{AccessKind, Flag, ModifyKind},
    };

    use super::*;

    /// Reports each change to a channel.
    struct Reporter(Sender<()>);

    impl Listener for Reporter {
        fn changed(&self, _: Option<&Path>) {
            let _ = self.0.send(());
        }
    }

    fn inotify_instances() -> usize {
        let files = fs::read_dir("/proc/self/fd").unwrap().map(Result::unwrap);
        files
            .filter(|file| fs::read_link(file.path()).is_ok_and(|to| to == Path::new("anon_inode:inotify")))
            .count()
    }

    #[test]
    fn an_overflow_and_an_error_concern_any_path_and_an_access_none() {
        let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan).add_path("/a".into());
        assert_eq!(changed_paths(&Ok(overflow)), Some(&[][..]));
        assert_eq!(changed_paths(&Err(Error::generic("the watch failed"))), Some(&[][..]));
        let change = Event::new(EventKind::Modify(ModifyKind::Any)).add_path("/a".into());
        assert_eq!(changed_paths(&Ok(change)), Some(&[PathBuf::from("/a")][..]));
        let access = Event::new(EventKind::Access(AccessKind::Any)).add_path("/a".into());
        assert_eq!(changed_paths(&Ok(access)), None, "reading is no change");
    }

    #[test]
    fn three_hundred_logs_share_one_watcher_and_each_hears_of_its_own_directory() {
        let root = tempfile::tempdir().unwrap();
        let mut watched = Vec::new();
        for number in 0..300 {
            let directory = root.path().join(number.to_string());
            fs::create_dir(&directory).unwrap();
            let (sender, changes) = channel();
            let listener = Arc::new(Reporter(sender));
            let Some(watch) = Watch::new(&directory.join("access.log"), &listener) else {
                // A machine may watch nothing at all, but not stop at the 128th.
                assert_eq!(number, 0, "the first {number} directories are watched, and no more");
                eprintln!("skipped: this system cannot watch");
                return;
            };
            watched.push((directory, listener, changes, watch));
        }
        assert_eq!(inotify_instances(), 1);
        fs::write(watched[7].0.join("access.log"), "line\n").unwrap();
        watched[7].2.recv_timeout(Duration::from_secs(60)).expect("the change is reported");
        // The events of one watcher come in order: by now the change of number 7 would have reached the others.
        fs::write(watched[8].0.join("access.log"), "line\n").unwrap();
        watched[8].2.recv_timeout(Duration::from_secs(60)).expect("the change is reported");
        assert!(watched[9].2.try_recv().is_err(), "nothing has changed there");
        drop(watched);
        let listeners = lock(&LISTENERS);
        assert!(!listeners.keys().any(|directory| directory.starts_with(root.path())), "all are forgotten");
    }

    #[test]
    fn logs_of_one_directory_hear_of_it_by_any_path_until_they_are_dropped() {
        let root = tempfile::tempdir().unwrap();
        let (real, link) = (root.path().join("real"), root.path().join("link"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let [(first, of_first), (second, of_second)] = [(); 2].map(|()| channel());
        let (first, second) = (Arc::new(Reporter(first)), Arc::new(Reporter(second)));
        let watch = Watch::new(&real.join("a.log"), &first);
        let other = Watch::new(&link.join("b.log"), &second);
        if watch.is_none() || other.is_none() {
            eprintln!("skipped: this system cannot watch");
            return;
        }
        fs::write(real.join("a.log"), "line\n").unwrap();
        of_first.recv_timeout(Duration::from_secs(60)).expect("the first is told");
        of_second.recv_timeout(Duration::from_secs(60)).expect("the second is told, too");
        drop(watch);
        while of_second.try_recv().is_ok() {}
        fs::write(real.join("c.log"), "line\n").unwrap();
        of_second.recv_timeout(Duration::from_secs(60)).expect("the second is still told");
    }
}
