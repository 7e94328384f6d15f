//! The status of a pipeline: a snapshot that is cheap to take.
//!
//! Threads and tasks count into a [`Board`] (`board`); a [`Status`] (`status`) is a copy of it with the rates and ages
//! worked out, and `waiting` says in words what waits for its sinks. A [`StatusHandle`] (`handle`) gives a service access to
//! the board, and with it what changes (`watch`) and happens (`events`, `subscribe`). Both follow from changes of the board (`change`)
//! and from reports to it (`report`).

mod board;
mod change;
mod events;
mod handle;
mod report;
mod request;
mod rest;
mod status;
mod steps;
mod subscribe;
mod timing;
mod waiting;
mod watch;

pub(crate) use board::{Board, Limits, Overdue};
pub use events::{Event, EventKind, Events};
pub use handle::StatusHandle;
pub(crate) use report::Committed;
pub(crate) use request::Request;
pub use status::{
    Pause, Phase, RejectedLines, RejectedSample, SinkState, SinkStatus, StatisticStatus, Status,
    StoppedStatistic, ThreadStatus,
};
pub(crate) use steps::Stepping;
pub use timing::Timing;
pub use watch::StatusWatch;
