//! The part of a pipeline that all threads of a run share.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{control::Control, settings::Settings};
use crate::status::Board;

/// The settings, the signals and the status of a run. A clone shares them.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) settings: Arc<Settings>,
    pub(super) control: Arc<Control>,
    pub(super) board: Arc<Board>,
}

impl Shared {
    /// Reads the monotonic clock.
    pub(super) fn now(&self) -> Instant {
        self.settings.environment.wall.instant()
    }

    /// Lets the reader wait until it is woken, but no longer than `timeout`.
    pub(super) async fn wait(&self, timeout: Duration) {
        self.control.wait(timeout).await;
    }

    /// Lets other threads have their turns, in a simulation.
    pub(super) async fn pass(&self) {
        self.settings.environment.turns.pass().await;
    }
}
