//! A value that is announced to several tasks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// A value whose changes are announced to several tasks.
///
/// Each has a channel of its own: tokio wakes the receivers of one channel in a random order, and a simulation has to go
/// the same way each time.
#[derive(Debug)]
pub(crate) struct Announced<T>(Mutex<(T, Vec<watch::Sender<T>>)>);

impl<T: Copy> Announced<T> {
    /// Makes a value that nobody watches.
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new((value, Vec::new())))
    }

    /// Returns the value as one more task watches it.
    pub(crate) fn subscribe(&self) -> watch::Receiver<T> {
        let (value, watchers) = &mut *self.lock();
        let (sender, receiver) = watch::channel(*value);
        watchers.push(sender);
        receiver
    }

    /// Returns the value.
    pub(crate) fn get(&self) -> T {
        self.lock().0
    }

    /// Changes the value, if `next` has another one for it.
    pub(crate) fn update(&self, next: impl FnOnce(T) -> Option<T>) {
        let (value, watchers) = &mut *self.lock();
        if let Some(next) = next(*value) {
            *value = next;
            for watcher in watchers {
                watcher.send_replace(next);
            }
        }
    }

    /// Locks the value. No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, (T, Vec<watch::Sender<T>>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
