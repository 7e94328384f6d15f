//! From chunks of the log to tables of rows: what a worker does, and how a cut merges the workers' tables.
//!
//! Each worker owns its tables; nothing in them is shared and nothing in them locks.

mod dictionary;
mod hash;
mod merge;
#[cfg(test)]
mod oracle;
mod plan;
mod table;
#[cfg(test)]
mod tests;
mod windows;
mod worker;

pub(crate) use merge::merge;
pub(crate) use plan::Plan;
#[cfg(any(test, feature = "bench"))]
pub(crate) use plan::StatisticPlan;
pub(crate) use table::TableRows;
pub(crate) use worker::{Part, RejectedLine, Skip, Tally, Worker};
