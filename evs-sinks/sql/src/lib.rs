//! The common part of evs's SQL sinks: it builds the statements, and has the exactly-once transaction.
//!
//! A store is a [`Connector`], its [`Connection`]s and a [`Dialect`]. The connector of a server is [`Remote`] with the
//! [`Driver`] of that server. [`SqlStore`] makes a [`Sink`](evs_core::Sink) of them. Each batch is one transaction. It
//! moves the stream's row in `evs_progress` from sequence n-1 to n and adds the rows to the statistic's table:
//!
//! | table | a row | columns |
//! | --- | --- | --- |
//! | the statistic's name | (window, keys) | `window_start`, the keys, the measures (times 10^scale) |
//! | `evs_progress` | (source, epoch, statistic) | `sequence`, `position`, `checksum`, `updated_at` |
//! | `evs_statistics` | statistic | `definition`, `since` |
//!
//! Times are seconds since 1970. Keys and the names of sources are escaped by [`escape`](evs_core::escape), in a
//! column that compares bytes. The catalogue `evs_statistics` has the meaning of each table's rows, so that rows with
//! another meaning are never added.
//!
//! This crate is for people who write a sink. It is outside semver.
//!
//! # The transaction of a batch
//!
//! With `statistic = requests`, `sequence = 7`:
//!
//! ```text
//! BEGIN
//! UPDATE evs_progress SET sequence = 7, ... WHERE ... AND sequence = 6 AND checksum = '<of batch 6>' AND <is the writer>
//! INSERT INTO requests VALUES (...), (...) ON CONFLICT (...) DO UPDATE SET count = requests.count + excluded.count
//! ... more such statements ...
//! COMMIT
//! ```
//!
//! The UPDATE comes first for two reasons. It decides with one statement whether the batch is the next one, comes
//! from the same history, and from the process that has claimed the source. And it locks the stream's row: an
//! abandoned attempt that still runs in the server is waited for, so its outcome is known before anything is added.
//! If it changes no row, which is rare, the row is read and judged ([`judge`](evs_core::judge)): the batch was
//! applied before, or there is an error.

mod builder;
#[cfg(feature = "cases")]
pub mod cases;
mod connection;
mod decimal;
mod dialect;
mod extend;
#[cfg(feature = "faults")]
mod faults;
mod lease;
mod names;
mod prepare;
mod progress;
mod remote;
mod rows;
mod sink;
mod table;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;
mod url;
mod value;
mod wide;
mod writers;

#[doc(hidden)]
pub use async_trait::async_trait;
pub use builder::Target;
pub use connection::{Connection, Connector};
pub use decimal::decimal;
pub use dialect::{Dialect, Limits};
#[doc(hidden)]
pub use evs_core::SinkError;
pub use evs_store::{StoreError, forward_sink};
#[cfg(feature = "faults")]
pub use faults::{Faulty, Gate, Held};
pub use lease::CONNECT_MAX;
pub use remote::{Address, Driver, Remote};
pub use sink::{SqlSink, SqlStore};
#[cfg(feature = "tls")]
pub use tls::provide_cryptography;
pub use value::{ColumnType, Value};

/// For the fuzz targets of evs itself. Outside semver: anything here may change in any release.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    use super::{SinkError, decimal, url};

    /// The number in `text` times 10^scale, if it can be held exactly.
    pub fn parse_decimal(text: &str, scale: u8) -> Option<i128> {
        decimal::parse(text, scale)
    }

    /// Refuses a URL of another scheme, with another parameter, or with a character that must be percent-encoded.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`].
    pub fn check_url(text: &str, schemes: &[&str], parameters: &[&str]) -> Result<(), SinkError> {
        url::check_url(text, schemes, parameters)
    }

    /// All forms of the passwords in a URL.
    pub fn passwords(text: &str) -> Vec<String> {
        url::passwords(text, None)
    }
}
