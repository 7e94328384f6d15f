//! Delivers the batches of evs to Apache Cassandra, exactly once.
//!
//! ```no_run
//! # async fn example() -> Result<(), evs_core::SinkError> {
//! use evs_cassandra::CassandraSink;
//!
//! let sink = CassandraSink::connect("cassandra://evs:secret@db1,db2/stats?dc=dc1").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Counters are not idempotent, and lightweight transactions are slow; neither is used for a batch. Each batch
//! adds rows of its own, keyed by window, keys, source, epoch and sequence: writing one twice is writing it
//! once. A total is the sum over the rows of its window and keys. The progress of a stream is written last,
//! with the sequence as its time, so that no late request can move it back.
//!
//! | table | a row | columns |
//! | --- | --- | --- |
//! | the statistic's name | (window, bucket), keys, source, epoch, sequence | the measures |
//! | `evs_progress` | (source), epoch, statistic | `sequence`, `position`, `checksum`, `updated_at` |
//! | `evs_writers` | (source) | `fence`, `token`, `epoch`, `host`, `process`, `since` |
//! | `evs_statistics` | (statistic) | `definition`, `buckets`, `since` |
//! | `evs_windows` | (statistic, span), window | |
//!
//! Which process writes a source is compared before a batch writes anything. So a batch that is under way while another
//! process claims the source may still be written; the next one is not.
//!
//! Retention is the rows' time to live. `docs/sinks/cassandra.md` in the repository has the tables in full,
//! the queries, and what a cluster should be like.
//!
//! # Features
//!
//! - `scylla` (default): the driver in pure Rust.
//! - `cassandra-cpp`: the C++ driver, which must be installed: `libcassandra` 2.16 or later.
//!
//! With both, [`CassandraBuilder::driver`] chooses.

#[cfg(not(any(feature = "scylla", feature = "cassandra-cpp")))]
compile_error!("evs-cassandra needs a driver: the feature `scylla` or `cassandra-cpp`");

mod builder;
mod concurrent;
mod config;
mod driver;
mod names;
mod prepare;
mod progress;
mod retention;
mod rows;
mod shape;
mod sink;
mod table;
#[cfg(test)]
mod tests;
mod totals;
mod windows;
mod writers;

pub use builder::{CassandraBuilder, Driver};
pub use config::Consistency;
pub use sink::CassandraSink;
