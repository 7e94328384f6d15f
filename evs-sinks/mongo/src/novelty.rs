//! A guess at which rows are the first of their documents.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};

/// The number of batches for which nothing is inserted, after a batch most of whose documents existed already.
const PAUSE: u32 = 16;

/// The newest window of a statistic that this process knows of.
///
/// An insert is the fastest way to make a new document: the server needs no plan, no guard and no search. Usually a
/// batch begins a window, so its documents do not exist yet, unless another source was faster. This is only a guess,
/// and need not be more: a row whose document exists gets the guarded update, as if nothing had been tried.
#[derive(Debug)]
pub(crate) struct Novelty {
    /// The start of the newest window that rows were added to.
    newest: AtomicI64,
    /// The number of batches that are still applied without inserts.
    pause: AtomicU32,
}

impl Novelty {
    /// A guess before the first batch.
    pub(crate) fn new() -> Self {
        Self { newest: AtomicI64::new(i64::MIN), pause: AtomicU32::new(0) }
    }

    /// The limit for one batch: rows of windows that start after it are inserted.
    pub(crate) fn new_after(&self) -> i64 {
        if self.pause.fetch_update(Relaxed, Relaxed, |batches| batches.checked_sub(1)).is_ok() {
            return i64::MAX;
        }
        self.newest.load(Relaxed)
    }

    /// Notes that documents of windows up to this one exist.
    pub(crate) fn reached(&self, window_start: i64) {
        self.newest.fetch_max(window_start, Relaxed);
    }

    /// Notes that most documents that seemed new existed: other sources count the same keys and are faster.
    pub(crate) fn disappointed(&self) {
        self.pause.store(PAUSE, Relaxed);
    }
}
