//! The skeleton of evs's own stores: everything that does not depend on the database.
//!
//! A store implements [`Store`], which has one `*_once` method per method of [`Sink`](evs_core::Sink). Each tries
//! once and fails with a [`Failure`]. [`Stored`] makes a sink of the store. It
//!
//! - removes secrets from every message of the database,
//! - turns errors into transient and permanent ones, and adds to each what was tried,
//! - forgets a checked table after an attempt that failed or was dropped, so that the next one checks it again.
//!
//! Nothing here has a deadline: the caller of a sink sets one by dropping the call.
//!
//! The crate also has the parts that every store reads and writes in the same way: the row of a writer
//! ([`WriterRow`]), the row of a stream's progress ([`ProgressRow`]), the catalogue of definitions ([`Words`]), and
//! the rules for names ([`Names`]).
//!
//! This crate is for evs's own stores; it is outside semver.
//!
//! # The way of an error
//!
//! ```text
//! driver's error --sort--> StoreError: Lost, Busy or Permanent --+--> SinkError
//! evs's refusal -------------------------------------------------+
//! ```
//!
//! On its way, the store explains the error, secrets are struck out, and the attempt is named. For example, PostgreSQL
//! answers `permission denied for table requests` (42501). The store sorts it as permanent. The sink's error is
//! `statistic requests: batch 7 of source web1 was not applied: permission denied for table requests`, and a password
//! that the driver put into its message is `***`.

#[cfg(feature = "cases")]
pub mod cases;
mod error;
mod forward;
mod names;
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
pub use names::Names;
pub use rows::{ProgressRow, WriterRow, fence, sequence};
pub use secrets::{percent_decoded, strike};
pub use store::{Store, Stored};
pub use tables::Tables;
pub use words::{CATALOGUE, Extension, PROGRESS, WRITERS, Words};
