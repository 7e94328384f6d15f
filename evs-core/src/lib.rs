//! Tail, parse, aggregate and deliver access logs exactly once.
//!
//! This crate knows no database and no HTTP; the crate `evs` puts it together with its sinks. The modules
//! stand in the order in which data flows through them.

mod aggregate;
pub mod batch;
#[cfg(any(test, feature = "bench"))]
pub mod bench;
pub mod binlog;
mod clock;
mod codec;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod deliver;
pub mod disk;
mod error;
pub mod format;
pub mod number;
pub mod pipeline;
pub mod record;
pub mod sink;
pub mod statistic;
pub mod status;
pub mod tail;

pub use batch::{Batch, Epoch, Rows};
pub use error::{Error, describe};
pub use format::{FormatError, LogFormat};
pub use pipeline::{LostState, Pipeline, PipelineBuilder, SinkStart, Summary, Undelivered};
pub use sink::{Applied, MemorySink, Progress, Sink, SinkError, Writer};
pub use statistic::{Field, Measure, MeasureKind, Schema, Statistic, arg, count, field, max, min, sum};
pub use status::Status;
pub use tail::Frontier;
