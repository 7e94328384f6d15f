//! Delivers the batches of evs to MySQL and MariaDB, exactly once.
//!
//! ```no_run
//! # async fn example() -> Result<(), evs_core::SinkError> {
//! use evs_mysql::MySqlSink;
//!
//! let sink = MySqlSink::connect("mysql://evs:secret@db.example/stats?ssl-mode=VERIFY_IDENTITY").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Each statistic has a table of its name: `window_start` as a DATETIME in UTC, the keys as text, counts as
//! BIGINT, other measures as exact DECIMAL(38, scale). Its primary key is (`window_start`, `key_hash`), for no
//! index of MySQL's holds keys of any length. `evs-sql` describes the tables beside them.
//!
//! Everything works on MySQL from 5.7 on and on MariaDB from 10.2 on. Sessions are strict, whatever the server's
//! settings: a value that does not fit is an error, never clipped. Whether what was acknowledged survives a power cut
//! is the server's to say: by `innodb_flush_log_at_trx_commit = 1`, its default.

mod connection;
mod connector;
mod dialect;
mod errors;
mod sink;

pub use sink::{MySqlSink, MySqlSinkBuilder};

#[cfg(test)]
mod tests;
