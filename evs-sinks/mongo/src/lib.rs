//! Delivers the batches of evs to MongoDB, exactly once: 4.4 to 8, standalone, replica set or sharded.
//!
//! ```no_run
//! # mod evs { pub use evs_core::*; pub use evs_mongo::{self as mongo, MongoSink}; }
//! # async fn example() -> Result<(), evs::SinkError> {
//! use evs::MongoSink;
//!
//! let sink = MongoSink::connect("mongodb://evs:password@localhost:27017/stats?authSource=admin").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Each statistic has a collection of its name, and each (window, keys) a document in it:
//!
//! | field | type | |
//! | --- | --- | --- |
//! | `_id` | string | window and keys; what is long is hashed |
//! | `window_start` | date | |
//! | the keys | string | as [`escape`](evs_core::escape) has them |
//! | the measures | long, decimal | counts are longs, all others decimals of the declared scale |
//! | `_evs` | document | per stream, the last batch that was added to the document |
//!
//! Three more collections belong to evs: `evs_progress` has the last batch of each stream that was applied,
//! `evs_writers` the process that writes each source, and `evs_statistics` the meaning of each collection's
//! documents.
//!
//! The sink uses no transactions, because not all servers have them. Instead, a document has in `_evs`, for each
//! source and epoch, the sequence of the last batch that was added to it. It is only updated if that sequence is
//! lower, so each row is added once, however often its batch is offered. After all rows are added, `evs_progress` is
//! moved. Until then readers can see a part of a batch. All writes wait until a majority has them in its journals.
//!
//! The sink checks which process writes the source before a batch adds anything. So if another process claims the
//! source while a batch is being applied, the batch may still be added, or a part of it. The next batch is not.
//!
//! `docs/sinks/mongo.md` has queries, rights, retention and errors.
//!
//! # A document
//!
//! The row (13:25:00, campaign = spring, 1,712 lines, 2,043.50) of the statistic `ad_events`, after batch 7 of web1
//! and batch 31 of web2:
//!
//! ```text
//! { _id: "1795872300|spring", window_start: ISODate("2026-11-28T13:25:00Z"), campaign: "spring",
//!   count: 1712, revenue: NumberDecimal("2043.50"),
//!   _evs: { m5a1c…: 7, m90fe…: 31 } }
//! ```
//!
//! If web1 offers batch 7 again, the filter `_evs.m5a1c… not >= 7` does not match, so nothing is added. An upsert
//! that finds no match tries to insert the document, and fails because its `_id` exists; that is how the sink
//! notices.

mod builder;
mod bulk;
mod checkpoint;
mod decimal;
mod errors;
mod fields;
mod identity;
mod known;
mod monitor;
mod names;
mod novelty;
mod prepare;
mod progress;
mod rows;
mod server;
mod sink;
mod target;
mod url;
mod writers;

pub use builder::MongoSinkBuilder;
/// The driver, for its options and clients.
pub use mongodb;
pub use sink::MongoSink;

#[cfg(test)]
mod tests;
