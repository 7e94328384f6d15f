//! The delivery of batches: one task per sink applies the batches of all statistics in order, and retries while an
//! error can pass.
//!
//! A refusal stops one statistic of one sink, or the whole sink if it is about all statistics (`refusal`). The service
//! asks for another attempt, or gives a batch up by name (`requests`).
//!
//! A delivery first asks the sink for its progress and compares it with the binlog (`progress`). Then it claims the
//! source (`claim`) and applies batches. A sink that is slow or away holds up only its own delivery; its batches wait
//! in the binlog.

mod attempt;
mod claim;
mod claims;
mod delivery;
mod message;
mod progress;
mod refusal;
mod requests;
mod stop;
mod stream;
mod sweep;

pub(crate) use claims::{Claims, next_writer};
pub(crate) use delivery::Delivery;
pub(crate) use message::{Acknowledged, Discard, Ended, Report};
pub(crate) use progress::foreign;
pub(crate) use stop::Stop;
pub(crate) use stream::{Stream, Sweep};
