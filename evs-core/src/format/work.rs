//! How much work reading a line takes, counted in tests: bytes that are looked at, and what else is done by a client's
//! choice. Elsewhere counting is nothing.

/// Counts bytes that are looked at.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn examine(_bytes: usize) {}

#[cfg(test)]
pub(super) use counted::{examine, steps};

#[cfg(test)]
mod counted {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    pub(in crate::format) fn examine(bytes: usize) {
        STEPS.set(STEPS.get() + bytes);
    }

    /// How many steps `read` takes.
    pub(in crate::format) fn steps(read: impl FnOnce()) -> usize {
        let before = STEPS.get();
        read();
        STEPS.get() - before
    }
}
