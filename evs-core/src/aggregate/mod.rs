//! Counts chunks of the log into tables of rows, and merges the tables of all workers at a cut.
//!
//! In go chunks of whole lines, out come the rows of batches, sorted by window and keys.
//!
//! A [`Worker`] parses a block of lines into columns, turns the values of each key into small numbers (ids, by a
//! dictionary), finds the row of each line by its window and ids, and adds the measures. At a cut, [`merge()`] joins
//! the rows of all workers.
//!
//! ```text
//! lines      13:25:22 .. c=7 v=150     13:25:59 .. c=9 v=20      13:26:00 .. c=7 v=300
//! windows    0                         0                         1           starts 13:25, 13:26
//! ids of c   0                         1                         0           texts "7", "9"
//! rows       1                         2                         3           (0,0) (0,1) (1,0)
//! count      1                         1                         1
//! sum of v   150                       20                        300
//! ```
//!
//! Each worker owns its tables. Nothing in them is shared, and nothing in them locks.
//!
//! The obvious way, a hash map from the texts of a row's keys to its totals, hashes every key of every line once per
//! statistic. Ids hash each value once, however many statistics use it; afterwards a row is found by comparing
//! integers, mostly without a hash at all. The tests keep the obvious way (`oracle`) as the definition of the result.
//!
//! Clients choose keys. So hashes are keyed at random, dictionaries and tables are bounded, and reaching a bound never
//! changes a number: rows are cut early, or put aside and merged later.
//!
//! # Adding a kind of measure
//!
//! A kind must be mergeable in any order: [`MeasureKind::merge`](crate::statistic::MeasureKind::merge) defines it. In
//! `table` it needs a first total (`push_row`), a loop that adds a column of values (`add`), and the way back to a
//! value (`value`); in `oracle` the same for single lines. Every store merges by an expression of its own, so each
//! sink needs one, too. The name of the kind goes into the binlog and never changes.

mod dictionary;
mod hash;
mod judge;
mod memo;
mod merge;
#[cfg(test)]
mod oracle;
mod plan;
mod selection;
mod table;
#[cfg(test)]
mod tests;
mod texts;
mod top_list;
mod windows;
mod worker;

pub(crate) use merge::merge;
pub(crate) use plan::Plan;
#[cfg(any(test, feature = "internals"))]
pub(crate) use plan::StatisticPlan;
pub(crate) use table::TableRows;
pub(crate) use worker::{Part, RejectedLine, Skip, Tally, Worker};
