//! Delivers the batches of evs to Apache Cassandra, exactly once.
//!
//! ```no_run
//! # mod evs { pub use evs_core::*; pub use evs_cassandra::{self as cassandra, CassandraSink}; }
//! # async fn example() -> Result<(), evs::SinkError> {
//! use evs::CassandraSink;
//!
//! let sink = CassandraSink::connect("cassandra://evs:secret@db1,db2/stats?dc=dc1").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Counters are not idempotent, and lightweight transactions are slow; a batch uses neither. Each batch adds separate
//! rows, whose key has the window, the keys, the source, the epoch and the sequence. So writing a row twice has the
//! effect of writing it once. A total is the sum over the rows of its window and keys. The progress of a stream is
//! written last, with the sequence as its timestamp, so that no late request can move it back.
//!
//! | table | a row | columns |
//! | --- | --- | --- |
//! | the statistic's name | (window, bucket), keys, source, epoch, sequence | the measures |
//! | `evs_progress` | (source), epoch, statistic | `sequence`, `position`, `checksum`, `updated_at` |
//! | `evs_writers` | (source) | `fence`, `token`, `epoch`, `host`, `process`, `since` |
//! | `evs_statistics` | (statistic) | `definition`, `buckets`, `since` |
//! | `evs_windows` | (statistic, span), window | |
//!
//! The sink checks which process writes a source before a batch writes anything. So if another process claims the
//! source while a batch is being applied, the batch may still be written. The next batch is not.
//!
//! Retention is the rows' time to live. `docs/sinks/cassandra.md` in the repository has the complete tables, the
//! queries, and the requirements for a cluster.
//!
//! # Features
//!
//! - `scylla` (default): the driver in pure Rust.
//! - `cassandra-cpp`: the C++ driver, which must be installed: `libcassandra` 2.16 or later.
//!
//! If both are on, [`CassandraSinkBuilder::driver`] chooses.
//!
//! # Why no counters
//!
//! A request to Cassandra that times out may or may not have taken effect, and may even take effect minutes later.
//! Repeating `c = c + 5` would then count twice, and not repeating it would count nothing. Repeating an INSERT of the
//! row (window, keys, source, epoch, 7) with the value 5 is harmless: it is the same row. So a batch of sequence 7
//! consists of rows that only it can write, and whoever reads adds up the rows of all batches.
//!
//! The price is paid in rows: a key that occurs in each of 60 batches of an hour has 60 rows. Windows that are older
//! can be read with one query each, and the rows expire with the retention.

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

pub use builder::{CassandraSinkBuilder, Driver};
pub use config::Consistency;
/// The driver, for its sessions.
#[cfg(feature = "scylla")]
pub use scylla;
pub use sink::CassandraSink;
