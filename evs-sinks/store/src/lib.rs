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
pub use words::{CATALOGUE, PROGRESS, WRITERS, Words};
