//! The binlog: an append-only file of batches and acknowledgements, split into segments.
//!
//! A batch is cut, made durable here, and delivered only then. From that moment its sequence always stands for its
//! rows. `docs/binlog-format.md` specifies the files and their state after each possible crash.
//!
//! # Crashes
//!
//! A commit for which [`Binlog::commit`] has returned `Ok` survives a power cut. A commit is written as a whole or
//! not at all. If it was interrupted, or returned an error other than [`is_disk_full`](BinlogError::is_disk_full),
//! the next start finds either all of it or nothing, and makes durable what it finds before [`Binlog::open`] returns.
//! A power cut may lose acknowledgements, but not the ones because of which a segment was removed.

mod apply;
mod binlog;
mod commit;
mod copy;
mod discarded;
mod error;
mod event;
mod frame;
mod ledger;
mod options;
mod reader;
mod recover;
mod retain;
mod segment;
mod state;
#[cfg(test)]
mod tests;
mod writer;

pub use binlog::Binlog;
pub use commit::{Commit, Cut};
pub(crate) use copy::source_of;
pub use discarded::Discarded;
pub use error::{BinlogError, Contradiction, Damage, Recovery, Torn};
pub use ledger::{Ledger, RejectedLine, RejectsMark};
pub use options::BinlogOptions;
pub use reader::{BinlogReader, Waiting};
#[cfg(any(test, feature = "internals"))]
pub use segment::reseal;
pub use state::{BinlogState, ClonedBatches, SinkProgress, StatisticState};

pub use crate::counters::Counters;
