//! The definition of a statistic: from the builder that a user fills in to the schema that a store keeps.
//!
//! - [`Statistic`], [`Field`] and [`Measure`] are the user's side. Setters only store; `PipelineBuilder::build` checks
//!   everything at once, so that an error can name the setting, its value and the accepted range.
//! - [`Schema`] is the other side. Every batch carries it, the binlog keeps it, and a sink compares it with the table
//!   that it has. Its JSON is part of the binlog's file format.
//!
//! A definition has two kinds of settings. Window length, keys and measures give a row its *meaning*: if one of them
//! changes, [`Schema::difference`] says so. A table can take rows with more measures ([`Schema::union`]), but rows that
//! differ otherwise must not be added to each other. Flush interval, row
//! limit and retention only affect *operation*, so they may change from one start to the next.

mod keys;
mod measure;
mod schema;
mod statistic;

pub use keys::IntoKeys;
pub use measure::{Measure, count, max, min, sum};
pub use schema::{KeyColumn, MeasureColumn, MeasureKind, Sample, Schema};
pub use statistic::Statistic;
