//! The tests that every sink must pass, for authors of sinks. This module is not covered by semantic versioning.
//!
//! The test of a sink is a [`Fixture`] and one call of [`run`]. For each promise of [`Sink`](crate::Sink) there is also
//! a function with the promise as its name, which can be called alone in the search for a fault.
//!
//! ```
//! # use std::sync::Arc;
//! # use async_trait::async_trait;
//! # use evs_core::{MemorySink, Sink, conformance::{self, Fixture, Store}};
//! struct Memory(MemorySink);
//!
//! #[async_trait]
//! impl Store for Memory {
//!     async fn open(&self) -> Arc<dyn Sink> {
//!         Arc::new(self.0.clone())
//!     }
//! }
//!
//! struct Memories;
//!
//! #[async_trait]
//! impl Fixture for Memories {
//!     type Store = Memory;
//!
//!     async fn fresh(&self) -> Memory {
//!         Memory(MemorySink::new())
//!     }
//! }
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! conformance::once::the_same_batch_again_changes_nothing(&Memories).await;
//! # });
//! ```
//!
//! The functions panic when a promise is broken. They need a tokio runtime with its timer.

mod fixture;
pub mod keys;
pub mod numbers;
pub mod once;
pub mod retention;
pub mod scale;
pub mod schemas;
mod suite;
mod support;
pub mod twins;

pub use fixture::{Fixture, Limits, Overflow, Store};
pub use suite::run;
pub use support::chained;
