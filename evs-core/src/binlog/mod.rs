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
//!
//! # Example
//!
//! A log with two statistics and one sink. Each line is a frame, and a commit ends with a *settle* frame:
//!
//! ```text
//! binlog-0000000000000001.evs
//!   snapshot    nothing defined, nothing counted
//!   define      requests from the start of the log
//!   batch       requests 1, up to byte 4096       \ one commit: both batches,
//!   batch       errors 1, up to byte 4096         | or neither
//!   settle      40 lines                          /
//!   acknowledge requests 1 by reports
//!   batch       requests 2, up to byte 8192
//!                                                 <- a crash here: batch 2 is cut off, and its lines are read again
//! ```
//!
//! Acknowledgements lie between commits, and are not synced. To lose one only means that the batch is offered again,
//! and the sink answers that it has it.
//!
//! # Files
//!
//! | file | has |
//! | --- | --- |
//! | `binlog`, `commit`, `retain` | what a caller does: open, commit, acknowledge, remove old segments |
//! | `state`, `apply` | the state, and the one function that changes it |
//! | `event`, `frame`, `segment` | the encoding, without any I/O |
//! | `writer`, `recover`, `reader` | the I/O: append, read everything at a start, read one batch |
//! | `inspect` | reads everything beside a running pipeline, and goes on after damage |

mod apply;
mod binlog;
mod commit;
mod copy;
mod discarded;
mod error;
mod event;
mod frame;
#[cfg(feature = "inspect")]
pub(crate) mod inspect;
mod ledger;
mod options;
mod positions;
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
pub(crate) use state::name_at;
pub use state::{BinlogState, ClonedBatches, FormerName, SinkProgress, StatisticState};

pub use crate::counters::Counters;
