//! Changes of the board: whoever changes it under its lock wakes the watchers and sends the events, without a call of
//! its own.

use std::{
    ops::{Deref, DerefMut},
    sync::MutexGuard,
};

use tokio::sync::watch;

use super::rest::Rest;

/// The locked part of the board that changes seldom. If it is changed, the watchers are woken and the events are sent
/// when this is dropped: in the order of the changes, since the lock is still held.
pub(crate) struct Change<'b> {
    /// Wakes the watchers. The value is true when the pipeline is gone.
    watchers: &'b watch::Sender<bool>,
    rest: MutexGuard<'b, Rest>,
    is_change: bool,
}

impl<'b> Change<'b> {
    /// Makes the guard of a locked board.
    pub(super) fn new(watchers: &'b watch::Sender<bool>, rest: MutexGuard<'b, Rest>) -> Self {
        Self { watchers, rest, is_change: false }
    }

    /// The locked part, for a change that nobody needs to know of.
    pub(super) fn quietly(&mut self) -> &mut Rest {
        &mut self.rest
    }

    /// Wakes the watchers when this is dropped, as after a change.
    pub(super) fn note(&mut self) {
        self.is_change = true;
    }
}

impl Deref for Change<'_> {
    type Target = Rest;

    fn deref(&self) -> &Rest {
        &self.rest
    }
}

impl DerefMut for Change<'_> {
    fn deref_mut(&mut self) -> &mut Rest {
        self.is_change = true;
        &mut self.rest
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if self.is_change {
            self.rest.tell();
            self.watchers.send_replace(self.rest.is_gone);
        }
    }
}
