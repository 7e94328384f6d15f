//! The status of a pipeline: a snapshot that is cheap to take.
//!
//! Threads and tasks count into a [`Board`] (`board`); a [`Status`] (`status`) is a copy of it with the rates and ages
//! worked out, and `waiting` says in words what waits for its sinks. A [`StatusHandle`] (`handle`) gives a service access to
//! the board.

mod board;
mod handle;
mod request;
mod status;
mod waiting;

pub(crate) use board::{Board, Limits, Overdue};
pub use handle::StatusHandle;
pub(crate) use request::Request;
pub use status::{Pause, Phase, SinkState, SinkStatus, StatisticStatus, Status, StoppedStatistic};
