//! The interface between a pipeline and a store: the trait [`Sink`], its contract and its errors.
//!
//! A pipeline cuts batches and writes them to its binlog. Then it offers them to each sink, one at a time per
//! statistic, until the sink has acknowledged them. The store keeps a [`Progress`] for each stream of batches, in the
//! same transaction as the rows where it can. By it, a batch that is offered twice is applied once.

mod error;
mod fence;
mod judge;
mod limits;
mod memory;
mod progress;
mod sink;
#[cfg(test)]
mod tests;

pub use error::{Cause, SinkError};
pub use judge::judge;
pub use limits::Limits;
pub use memory::{Fault, MemorySink};
pub use progress::{Applied, Progress};
pub use sink::Sink;
