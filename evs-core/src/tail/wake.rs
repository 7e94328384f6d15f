//! The wait between two polls, which ends early when there is something to do.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Lets the tailer's thread wait for the next poll, and wakes it earlier if there is a reason.
///
/// Correctness rests on polling alone. If a hint of the file system is missed, lines are only read later.
#[derive(Clone)]
pub struct Wake {
    state: Arc<WakeState>,
    /// The watcher lives as long as the last clone.
    #[cfg(feature = "notify")]
    watcher: Option<Arc<notify::RecommendedWatcher>>,
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
}

impl Wake {
    /// The shortest time between two hints that end a wait: a busy log changes thousands of times a second.
    const HINT_INTERVAL: Duration = Duration::from_millis(20);

    /// Creates one that only [`Wake::wake`] wakes.
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            #[cfg(feature = "notify")]
            watcher: None,
        }
    }

    /// Creates one that also wakes when something changes in the directory of the log at `path`, if the system
    /// can tell.
    pub fn watching(path: &Path) -> Self {
        #[allow(unused_mut, reason = "it is changed with the feature `notify`")]
        let mut wake = Self::new();
        #[cfg(feature = "notify")]
        match watch(path, &wake.state) {
            Ok(watcher) => wake.watcher = Some(Arc::new(watcher)),
            Err(error) => tracing::debug!(path = %path.display(), %error, "not watched, only polled"),
        }
        #[cfg(not(feature = "notify"))]
        tracing::debug!(path = %path.display(), "only polled");
        wake
    }

    /// Ends a wait at once: the current one or, if there is none, the next one.
    pub fn wake(&self) {
        self.state.lock().is_woken = true;
        self.state.changed.notify_all();
    }

    /// Waits until woken, but no longer than `timeout`.
    pub fn wait(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut flags = self.state.lock();
        loop {
            let now = Instant::now();
            if std::mem::take(&mut flags.is_woken) || now >= deadline {
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

    /// Records that the file system has reported a change, and wakes the waiting thread for the first one.
    #[cfg(any(test, feature = "notify"))]
    fn hint(&self) {
        let was_hinted = std::mem::replace(&mut self.lock().is_hinted, true);
        if !was_hinted {
            self.changed.notify_all();
        }
    }
}

/// Returns true if something may have changed. An access is not a change: the tailer's own reads are accesses.
/// An overflow of the queue or an error may hide a change, so it counts as one.
#[cfg(feature = "notify")]
fn is_hint(event: notify::Result<notify::Event>) -> bool {
    !event.is_ok_and(|event| event.kind.is_access())
}

/// Watches the directory of the log and, if the log is a link, the directory that it leads to.
#[cfg(feature = "notify")]
fn watch(path: &Path, state: &Arc<WakeState>) -> notify::Result<notify::RecommendedWatcher> {
    use notify::Watcher;

    let state = Arc::clone(state);
    let mut watcher = notify::recommended_watcher(move |event| {
        if is_hint(event) {
            state.hint();
        }
    })?;
    let directory = |path: &Path| match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => ".".into(),
    };
    watcher.watch(&directory(path), notify::RecursiveMode::NonRecursive)?;
    if let Ok(target) = path.canonicalize() {
        watcher.watch(&directory(&target), notify::RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
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
            wake.state.hint();
            wake.wait(Duration::from_secs(600));
        }
        assert!(start.elapsed() >= Wake::HINT_INTERVAL * 3);
    }

    #[test]
    fn a_wake_does_not_wait_for_the_interval() {
        let wake = Wake::new();
        wake.state.hint();
        wake.wait(Duration::from_secs(600));
        wake.wake();
        wake.wait(Duration::from_secs(600));
        assert!(!wake.state.lock().is_woken);
    }

    #[cfg(feature = "notify")]
    #[test]
    fn a_queue_that_overflowed_and_a_failed_watch_are_hints() {
        use notify::{
            Error, Event, EventKind,
            event::{AccessKind, Flag, ModifyKind},
        };

        let overflowed = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(is_hint(Ok(overflowed)));
        assert!(is_hint(Err(Error::generic("the watch failed"))));
        assert!(is_hint(Ok(Event::new(EventKind::Modify(ModifyKind::Any)))));
        assert!(!is_hint(Ok(Event::new(EventKind::Access(AccessKind::Any)))), "reading is no change");
    }

    #[cfg(feature = "notify")]
    #[test]
    fn a_write_to_the_log_wakes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let wake = Wake::watching(&path);
        if wake.watcher.is_none() {
            eprintln!("skipped: this system cannot watch");
            return;
        }
        std::fs::write(&path, "line\n").unwrap();
        let start = Instant::now();
        wake.wait(Duration::from_secs(60));
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}
