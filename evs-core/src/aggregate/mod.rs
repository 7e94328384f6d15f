//! From chunks of the log to tables of rows: what a worker does, and how a cut merges the workers' tables.
//!
//! Each worker owns a [`Tables`]; nothing in it is shared and nothing in it locks.

mod plan;
mod table;
mod worker;

pub(crate) use plan::Plan;
pub(crate) use table::Table;
pub(crate) use worker::{Part, RejectedLine, Skip, Tally, Worker};
