//! Which rows are likely to be the first of their documents.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};

/// For how many batches nothing is inserted, after most documents of one were there already.
const PAUSE: u32 = 16;

/// How far the windows of a statistic have come, as far as this process knows.
///
/// A document that is not there is made fastest by an insert: no plan, no guard, nothing looked for. As a rule a
/// batch begins a window, so its documents are not there, unless another source was here first. This is a guess
/// and need be no more: what an insert finds is there gets the guarded update, as if nothing had been tried.
#[derive(Debug)]
pub(crate) struct Novelty {
    /// The start of the newest window that rows were added to.
    newest: AtomicI64,
    /// How many batches are still to come without inserts.
    pause: AtomicU32,
}

impl Novelty {
    pub(crate) fn new() -> Self {
        Self { newest: AtomicI64::new(i64::MIN), pause: AtomicU32::new(0) }
    }

    /// For one batch: rows of windows that start after this are inserted.
    pub(crate) fn new_after(&self) -> i64 {
        if self.pause.fetch_update(Relaxed, Relaxed, |batches| batches.checked_sub(1)).is_ok() {
            return i64::MAX;
        }
        self.newest.load(Relaxed)
    }

    /// Documents of windows up to this are there.
    pub(crate) fn reached(&self, window_start: i64) {
        self.newest.fetch_max(window_start, Relaxed);
    }

    /// Most documents that were new here were there: other sources count the same, and come first.
    pub(crate) fn disappointed(&self) {
        self.pause.store(PAUSE, Relaxed);
    }
}
