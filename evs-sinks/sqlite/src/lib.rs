//! Delivers the batches of evs to SQLite, exactly once.
//!
//! ```no_run
//! # mod evs { pub use evs_core::*; pub use evs_sqlite::{self as sqlite, SqliteSink}; }
//! # async fn example() -> Result<(), evs::SinkError> {
//! use evs::SqliteSink;
//!
//! let sink = SqliteSink::connect("sqlite:///var/lib/evs/stats.db").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Each statistic has a table of its name: `window_start` in seconds since 1970, the keys as text, and the measures
//! as integers times 10^scale, or as text if a sum is beyond 64 bits. The tables are STRICT and WITHOUT ROWID: SQLite
//! converts and rounds no number, and rows are stored in the order of windows and keys. `evs-sql` describes evs's own
//! tables.
//!
//! The database is in WAL mode and written with `synchronous=FULL`: acknowledged batches survive a power cut, and
//! readers neither wait nor make anybody wait. A writer that holds its lock for more than five seconds makes the sink
//! [`Unavailable`](evs_core::SinkError::Unavailable) for as long.

mod builder;
mod connection;
mod dialect;
mod errors;
mod sink;

pub use builder::SqliteSinkBuilder;
pub use sink::SqliteSink;
/// The driver, for its options and pools.
pub use sqlx;

#[cfg(test)]
mod tests;
