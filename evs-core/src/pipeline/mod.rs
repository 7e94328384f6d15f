//! A pipeline follows one log and delivers its numbers to one or more sinks. It is built once and has one run at a time
//! (`session`, `turn`), and it answers for its status at any time.
//!
//! [`Pipeline`] (`host`) is made by [`PipelineBuilder`] (`builder`) from its settings (`settings`, `check`, `assembly`),
//! among them the surroundings that tests replace (`environment`).
//! Before anything is read, a run agrees with the sinks where the source stands (`state`, `names`, `clone`), and which
//! definitions they take (`definitions`).
//!
//! The threads and tasks of a run (`run`, at its end `drain`), in the order of the data:
//!
//! * The reader (`reader`) follows the log and hands chunks of whole lines to the workers.
//! * The workers (`worker`) parse the lines and add them to tables of their own. At a cut, each worker hands its rows
//!   to the committer.
//! * The committer (`committer`, `gather`) merges the rows of all workers and writes them to the binlog as batches.
//! * One delivery per sink, a task of tokio (`crate::deliver`), reads batches from the binlog and applies them.
//!
//! They send each other messages (`message`, `queue`) and signals (`control`).

mod host;
mod summary;

mod assembly;
mod builder;
mod check;
mod environment;
mod settings;

mod clone;
mod definitions;
mod lock;
mod names;
mod session;
mod signals;
mod state;

mod control;
mod discards;
mod drain;
mod message;
mod queue;
mod run;
mod shared;
mod threads;
mod turn;

mod pace;
mod reader;
mod worker;

mod committer;
mod gather;
mod mismatch;
mod rejects;
mod reserve;

#[cfg(test)]
mod panics;
#[cfg(test)]
mod tests;

pub use builder::PipelineBuilder;
pub use clone::Undelivered;
#[cfg(feature = "internals")]
pub use environment::Environment;
pub use host::Pipeline;
pub use settings::{LostState, SinkStart};
pub use summary::Summary;
