//! The skeleton of evs's own stores: everything that does not depend on the database.
//!
//! A store implements [`Store`]: one `*_once` method per call of [`Sink`](evs_core::Sink), each of which tries once and
//! fails with a [`Failure`]. [`Stored`] makes a sink of it. It
//!
//! - strikes secrets out of everything that a database says,
//! - sorts errors into those that pass and those that do not, and says what was tried,
//! - forgets a checked table after an attempt that failed or was dropped, so that the next one checks it again.
//!
//! Nothing here has a deadline: the caller of a sink sets it by dropping the call.
//!
//! The crate also has what stores read and write in the same way whatever the database is: the row of a writer
//! ([`WriterRow`]), the row of a stream's progress ([`ProgressRow`]), and the catalogue of definitions ([`Words`]).
//!
//! This crate is for evs's own stores; it is outside semver.

mod error;
mod forward;
mod rows;
mod secrets;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod words;

#[doc(hidden)]
pub use async_trait::async_trait;
#[doc(hidden)]
pub use evs_core;

pub use error::{Failure, Kind, StoreError};
pub use rows::{ProgressRow, WriterRow, fence, sequence};
pub use secrets::{percent_decoded, strike};
pub use store::{Store, Stored};
pub use tables::Tables;
pub use words::{CATALOGUE, PROGRESS, WRITERS, Words};
