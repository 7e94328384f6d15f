//! Delivers the batches of evs to PostgreSQL, exactly once.
//!
//! ```no_run
//! # mod evs { pub use evs_core::*; pub use evs_postgres::{self as postgres, PostgresSink}; }
//! # async fn example() -> Result<(), evs::SinkError> {
//! use evs::PostgresSink;
//!
//! let sink = PostgresSink::connect("postgres://evs:secret@db.example/stats?sslmode=verify-full").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Each statistic has a table of its name: `window_start` as a TIMESTAMPTZ, the keys as TEXT, counts as BIGINT, other
//! measures as exact NUMERIC(38, scale). Its primary key is (`window_start`, `key_hash`), because PostgreSQL has no
//! index for keys of any length. `evs-sql` describes evs's own tables.
//!
//! The sink works with PostgreSQL from 12 on, in a database with the encoding UTF8. Acknowledged batches survive a
//! power cut whatever the server's `synchronous_commit` is, but not with `fsync = off`.

mod connection;
mod connector;
mod dialect;
mod errors;
mod numeric;
mod sink;

pub use sink::{PostgresSink, PostgresSinkBuilder};
/// The driver, for its options and pools.
pub use sqlx;

#[cfg(test)]
mod tests;
