//! Counts the work of reading a line, in tests: the bytes that are looked at, and whatever else a client can cause.
//!
//! Tests assert with it that hostile lines take linear time, without measuring time. Outside of tests it compiles to
//! nothing.

/// Counts bytes that are looked at: nothing outside of tests.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn examine(_bytes: usize) {}

#[cfg(test)]
pub(super) use counted::{examine, steps};

#[cfg(test)]
mod counted {
    use std::cell::Cell;

    thread_local! {
        /// The steps of this thread so far. Tests run on threads of their own, so they do not disturb each other.
        static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    /// Counts bytes that are looked at.
    pub(in crate::format) fn examine(bytes: usize) {
        STEPS.set(STEPS.get() + bytes);
    }

    /// The number of steps that `read` takes.
    pub(in crate::format) fn steps(read: impl FnOnce()) -> usize {
        let before = STEPS.get();
        read();
        STEPS.get() - before
    }
}
