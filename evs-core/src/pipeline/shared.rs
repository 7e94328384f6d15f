//! The part of a pipeline that all threads of a run share.

use std::sync::Arc;

use super::{control::Control, settings::Settings};
use crate::status::Board;

/// The settings, the signals and the status of a run. A clone shares them.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) settings: Arc<Settings>,
    pub(super) control: Arc<Control>,
    pub(super) board: Arc<Board>,
}
