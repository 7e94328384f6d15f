//! The wait between two polls, which ends early when there is something to do.
//!
//! ```text
//! poll -- nothing new --> wait 250 ms --> poll
//!                           ^ the file system reports a write: poll now
//!                           ^ the pipeline is told to stop: poll now
//! ```

use std::{
    collections::HashSet,
    fmt, mem,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::globs::Glob;
#[cfg(feature = "notify")]
use super::watch::{Listener, Watch};

/// Lets the tailer's thread wait for the next poll, and wakes it earlier if there is a reason.
///
/// Correctness rests on polling alone. If a hint of the file system is missed, lines are only read later.
#[derive(Clone)]
pub struct Wake {
    state: Arc<WakeState>,
    /// The watch lives as long as the last clone.
    #[cfg(feature = "notify")]
    watch: Option<Arc<Watch>>,
    /// The watches of the directories of several logs.
    #[cfg(feature = "notify")]
    directories: Arc<Mutex<Vec<Watch>>>,
}

/// What the file system has reported.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// True if anything may have changed.
    pub(super) all: bool,
    /// The files and directories that have changed, by their real paths.
    pub(super) paths: HashSet<PathBuf>,
}

/// The state that all clones share.
#[derive(Default)]
struct WakeState {
    flags: Mutex<Flags>,
    changed: Condvar,
}

/// The reasons to end a wait.
#[derive(Default)]
struct Flags {
    /// Somebody has called [`Wake::wake`].
    is_woken: bool,
    /// The file system has reported a change.
    is_hinted: bool,
    /// The time at which a hint last ended a wait.
    followed: Option<Instant>,
    /// What has changed, if that is to be collected: there are several logs.
    changed: Option<Changed>,
}

impl Wake {
    /// The shortest time between two hints that end a wait: a busy log changes thousands of times a second.
    const HINT_INTERVAL: Duration = Duration::from_millis(20);

    /// The most paths that are collected. If there are more, all logs are polled.
    #[cfg(any(test, feature = "notify"))]
    const PATHS_MAX: usize = 10_000;

    /// Creates one that only [`Wake::wake`] wakes.
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            #[cfg(feature = "notify")]
            watch: None,
            #[cfg(feature = "notify")]
            directories: Arc::default(),
        }
    }

    /// Creates one that also wakes when something changes in the directory of the log at `path`, if the system
    /// can tell. The directories of a pattern are [added](Self::watch_directory) when they are found.
    pub fn watching(path: &Path) -> Self {
        #[allow(unused_mut, reason = "it is changed with the feature `notify`")]
        let mut wake = Self::new();
        if Glob::parse(path).is_ok_and(|glob| glob.is_some()) {
            wake.state.lock().changed = Some(Changed { all: true, paths: HashSet::new() });
            return wake;
        }
        #[cfg(feature = "notify")]
        {
            wake.watch = Watch::new(path, &wake.state).map(Arc::new);
        }
        #[cfg(not(feature = "notify"))]
        tracing::debug!(path = %path.display(), "only polled");
        wake
    }

    /// Returns whether changes of single logs are collected.
    pub(super) fn is_collecting(&self) -> bool {
        self.state.lock().changed.is_some()
    }

    /// Also wakes when something changes in a directory. Returns whether the system can tell.
    pub(super) fn watch_directory(&self, path: &Path) -> bool {
        #[cfg(feature = "notify")]
        if let Some(watch) = Watch::directory(path, &self.state) {
            self.directories.lock().unwrap_or_else(PoisonError::into_inner).push(watch);
            return true;
        }
        tracing::debug!(path = %path.display(), "only polled");
        false
    }

    /// Returns what has changed since the last call.
    pub(super) fn take_changed(&self) -> Changed {
        self.state.lock().changed.as_mut().map(mem::take).unwrap_or_default()
    }

    /// Ends a wait at once: the current one or, if there is none, the next one.
    pub fn wake(&self) {
        self.state.lock().is_woken = true;
        self.state.changed.notify_all();
    }

    /// Returns whether [`Self::wake`] was called since the last wait.
    pub(crate) fn take(&self) -> bool {
        mem::take(&mut self.state.lock().is_woken)
    }

    /// Waits until woken, but no longer than `timeout`.
    pub fn wait(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut flags = self.state.lock();
        loop {
            let now = Instant::now();
            if mem::take(&mut flags.is_woken) || now >= deadline {
                return;
            }
            let mut until = deadline;
            if flags.is_hinted {
                let due = flags.followed.map_or(now, |last| last + Self::HINT_INTERVAL);
                if now >= due {
                    flags.is_hinted = false;
                    flags.followed = Some(now);
                    return;
                }
                until = until.min(due);
            }
            let waited = self.state.changed.wait_timeout(flags, until - now);
            flags = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Default for Wake {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wake").finish_non_exhaustive()
    }
}

impl WakeState {
    /// Locks the flags. A thread that panicked cannot leave them in a wrong state, so a poisoned lock is used.
    fn lock(&self) -> MutexGuard<'_, Flags> {
        self.flags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(any(test, feature = "notify"))]
impl WakeState {
    /// Records that the file system has reported a change, and wakes the waiting thread for the first one.
    fn hint(&self, path: Option<&Path>) {
        let mut flags = self.lock();
        if let Some(changed) = &mut flags.changed {
            match path {
                Some(path) if changed.paths.len() < Wake::PATHS_MAX => {
                    changed.paths.insert(path.to_owned());
                }
                _ => changed.all = true,
            }
        }
        let was_hinted = mem::replace(&mut flags.is_hinted, true);
        drop(flags);
        if !was_hinted {
            self.changed.notify_all();
        }
    }
}

#[cfg(feature = "notify")]
impl Listener for WakeState {
    fn changed(&self, path: Option<&Path>) {
        self.hint(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_before_the_wait_is_not_lost() {
        let wake = Wake::new();
        wake.wake();
        let start = Instant::now();
        wake.wait(Duration::from_secs(600));
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_wait_ends_at_its_timeout() {
        let start = Instant::now();
        Wake::new().wait(Duration::from_millis(5));
        assert!(start.elapsed() >= Duration::from_millis(5));
    }

    #[test]
    fn hints_wake_no_more_often_than_the_interval() {
        let wake = Wake::new();
        let start = Instant::now();
        for _ in 0..4 {
            wake.state.hint(None);
            wake.wait(Duration::from_secs(600));
        }
        assert!(start.elapsed() >= Wake::HINT_INTERVAL * 3);
    }

    #[test]
    fn a_wake_does_not_wait_for_the_interval() {
        let wake = Wake::new();
        wake.state.hint(None);
        wake.wait(Duration::from_secs(600));
        wake.wake();
        wake.wait(Duration::from_secs(600));
        assert!(!wake.state.lock().is_woken);
    }

    #[cfg(feature = "notify")]
    #[test]
    fn a_write_to_the_log_wakes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let wake = Wake::watching(&path);
        if wake.watch.is_none() {
            eprintln!("skipped: this system cannot watch");
            return;
        }
        std::fs::write(&path, "line\n").unwrap();
        let start = Instant::now();
        wake.wait(Duration::from_secs(60));
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}
