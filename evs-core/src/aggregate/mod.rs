//! Counts chunks of the log into tables of rows, and merges the tables of all workers at a cut.
//!
//! A [`Worker`] parses a block of lines into columns, turns the values of each key into small numbers (ids, by a
//! dictionary), finds the row of each line by its window and ids, and adds the measures. At a cut, [`merge()`] joins the
//! rows of all workers.
//!
//! Each worker owns its tables. Nothing in them is shared, and nothing in them locks.

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
#[cfg(any(test, feature = "internals"))]
pub(crate) use plan::StatisticPlan;
pub(crate) use table::TableRows;
pub(crate) use worker::{Part, RejectedLine, Skip, Tally, Worker};
