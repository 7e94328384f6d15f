//! Delivers the batches of evs to MongoDB, exactly once: 4.4 to 8, standalone, replica set or sharded.
//!
//! ```no_run
//! # async fn example() -> Result<(), evs_core::SinkError> {
//! use evs_mongo::MongoSink;
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
//! Three collections beside it belong to evs: `evs_progress` has how far each stream was applied, `evs_writers` which
//! process writes each source, and `evs_statistics` what the rows of a collection mean.
//!
//! There are no transactions, which not all servers have. A document remembers in `_evs`, for each source
//! and epoch, the sequence of the last batch that was added to it, and is updated only if that is lower:
//! each row is added once, however often its batch is offered. When all rows are added, `evs_progress` is
//! moved. Readers can see a batch half applied until then. Everything is written with the confirmation of
//! the majority and its journals.
//!
//! Who writes the source is compared before a batch adds anything. So a batch that is under way while another process
//! claims the source may still be added, or in part; the next one is not.
//!
//! `docs/sinks/mongo.md` has queries, rights, retention and errors.

mod bulk;
mod decimal;
mod errors;
mod fields;
mod identity;
mod monitor;
mod names;
mod novelty;
mod prepare;
mod progress;
mod rows;
mod server;
mod sink;
mod url;
mod writers;

pub use sink::{MongoSink, MongoSinkBuilder};

#[cfg(test)]
mod tests;
