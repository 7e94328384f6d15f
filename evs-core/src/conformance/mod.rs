//! The tests that every sink must pass, for authors of sinks. This module is not covered by semantic versioning.
//!
//! The test of a sink is a [`Fixture`] and one call of [`run`]. For each promise of [`Sink`](crate::Sink) there is also
//! a function with the promise as its name, which can be called alone to search for a fault.
//!
//! | module | promise |
//! | --- | --- |
//! | [`once`] | a batch counts once, whatever fails and whoever offers it again |
//! | [`twins`] | copies of a state directory, and several processes under one source name, add nothing twice |
//! | [`schemas`] | a table takes rows of its own definition and no others |
//! | [`redefined`] | a table can get more measures, and takes rows of all definitions that it was prepared for |
//! | [`keys`] | keys are bytes: no two are equal unless all their bytes are |
//! | [`numbers`] | values and totals are exact or refused |
//! | [`retention`] | old windows are removed, and nothing else |
//! | [`scale`] | large batches and several writers at once |
//!
//! The suite compares a store with a simple model, a map from window and keys to values, after each step. It looks at
//! a store only through [`Sink`](crate::Sink), mostly by [`Sink::totals`](crate::Sink::totals), so it needs to know
//! nothing about tables or drivers.
//!
//! ```
//! # extern crate evs_core as evs;
//! use std::sync::Arc;
//!
//! use evs::{
//!     MemorySink, Sink, async_trait,
//!     conformance::{self, Fixture, Store},
//! };
//!
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
//! // The whole suite is `conformance::run(&Memories).await`; this is one of its tests.
//! conformance::once::the_same_batch_again_changes_nothing(&Memories).await;
//! # });
//! ```
//!
//! A whole sink with its fixture is `examples/custom_sink.rs` in the repository.
//!
//! # Panics
//!
//! The functions panic when a promise is broken. They need a tokio runtime with its timer.
//!
//! # Adding a promise
//!
//! A promise is a sentence in the contract of [`Sink`](crate::Sink) and a function here whose name says it. Write it against
//! [`MemorySink`](crate::MemorySink), which follows the contract step by step, add it to [`run`], and see it fail for
//! a sink that breaks it.

mod fixture;
pub mod keys;
pub mod numbers;
pub mod once;
pub mod redefined;
pub mod retention;
pub mod scale;
pub mod schemas;
mod suite;
mod support;
pub mod twins;

pub use fixture::{Fixture, Limits, Overflow, Store};
pub use suite::run;
pub use support::chained;
