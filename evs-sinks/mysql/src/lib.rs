//! Delivers the batches of evs to MySQL and MariaDB, exactly once.
//!
//! ```no_run
//! # mod evs { pub use evs_core::*; pub use evs_mysql::{self as mysql, MySqlSink}; }
//! # async fn example() -> Result<(), evs::SinkError> {
//! use evs::MySqlSink;
//!
//! let sink = MySqlSink::connect("mysql://evs:secret@db.example/stats?ssl-mode=VERIFY_IDENTITY").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Each statistic has a table of its name: `window_start` as a DATETIME in UTC, the keys as text, counts as BIGINT,
//! other measures as exact DECIMAL(38, scale). Its primary key is (`window_start`, `key_hash`), because MySQL has no
//! index for keys of any length. `evs-sql` describes evs's own tables.
//!
//! The sink works with MySQL from 5.7 on and MariaDB from 10.2 on. Sessions are strict, whatever the server's
//! settings: a value that does not fit is an error, and is never clipped. The server decides whether acknowledged
//! batches survive a power cut: they do with `innodb_flush_log_at_trx_commit = 1`, the default.

mod connection;
mod connector;
mod dialect;
mod errors;
mod sink;

pub use sink::{MySqlSink, MySqlSinkBuilder};
/// The driver, for its options and pools.
pub use sqlx;

#[cfg(test)]
mod tests;
