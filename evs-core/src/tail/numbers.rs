//! The numbers that the files of a source get.
//!
//! A source of several logs has one sequence of numbers. So its position is still a list of files by number, in which a
//! file that is missing is finished if its number is lower than the last one, and unread otherwise; and nothing outside
//! of `tail` needs to know of which log a file is.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// The next numbers of a source. All clones share them.
#[derive(Clone, Debug)]
pub(super) struct Numbers(Arc<Next>);

/// The next numbers.
#[derive(Debug)]
struct Next {
    /// The number of the next file of which something is read.
    file: AtomicU64,
    /// The id of the next known file.
    id: AtomicU64,
}

impl Numbers {
    /// Begins with these numbers.
    pub(super) fn new(file: u64, id: u64) -> Self {
        Self(Arc::new(Next { file: AtomicU64::new(file), id: AtomicU64::new(id) }))
    }

    /// Returns the next number of a file, which no other file gets.
    pub(super) fn take_file(&self) -> u64 {
        self.0.file.fetch_add(1, Relaxed)
    }

    /// Returns the number that [`Self::take_file`] would return.
    pub(super) fn next_file(&self) -> u64 {
        self.0.file.load(Relaxed)
    }

    /// Goes back to a number: the later ones were given to files that are not open any more, and no position has them.
    ///
    /// A number that is in no position must not stay unused: a statistic that lags behind would look for its file.
    pub(super) fn go_back_to(&self, file: u64) {
        debug_assert!(file <= self.next_file());
        self.0.file.store(file, Relaxed);
    }

    /// Returns the next id of a known file.
    pub(super) fn take_id(&self) -> u64 {
        self.0.id.fetch_add(1, Relaxed)
    }
}
