//! Statistics define what is computed, and a schema is the definition that their batches carry.

mod field;
mod keys;
mod measure;
mod schema;
mod statistic;

pub use field::{Field, arg, field};
pub use keys::IntoKeys;
pub use measure::{Measure, count, max, min, sum};
pub use schema::{KeyColumn, MeasureColumn, MeasureKind, Schema};
pub use statistic::Statistic;
