//! Tails, parses, aggregates and delivers access logs exactly once.
//!
//! This crate knows no database and no HTTP. The crate `evs` adds the sinks to it, and its documentation explains the
//! model. Use `evs`; this crate is for crates that implement a [`Sink`].

#![cfg_attr(docsrs, feature(doc_cfg))]
// Without `internals`, some items that only tests and fuzz targets call can be reached by nobody.
#![cfg_attr(
    not(feature = "internals"),
    allow(dead_code, unreachable_pub, unused_imports, reason = "the feature `internals` publishes them")
)]

// In the order of the data.
mod position;
mod tail;

mod counters;
mod format;
mod number;
mod record;

mod derive;

mod aggregate;
mod statistic;

mod batch;
mod binlog;
mod codec;
mod disk;

mod deliver;
mod sink;
mod writer;

mod sketch;

mod clock;
mod describe;
mod error;
mod pipeline;
mod seconds;
mod status;
mod turns;

#[cfg(any(test, feature = "internals"))]
mod bench;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(feature = "inspect")]
pub mod inspect;

#[doc(no_inline)]
pub use async_trait::async_trait;

pub use batch::{
    Batch, Epoch, InvalidEpoch, InvalidRows, Row, RowCursor, RowIter, RowRef, Rows, escape, unescape,
};
pub use binlog::{BinlogError, Contradiction, Damage};
pub use codec::InvalidJson;
pub use derive::{
    Condition, Field, Lookup, LookupError, Operand, SyntaxError, arg, combine, concat, constant, event_time,
    event_time_at, field, histogram, log_path, parse_address,
};
pub use describe::describe;
pub use error::Error;
pub use format::{CheckName, FormatError, LineParser, LogFormat, Reason, Rejection};
pub use number::{Elements, NumberError, Rounding};
pub use pipeline::{LostState, Pipeline, PipelineBuilder, SinkStart, Summary, Undelivered};
pub use position::{Digest, FileMark, Frontier};
pub use record::Record;
pub use sink::{Applied, Cause, Fault, Limits, MemorySink, Progress, Sink, SinkError, judge};
pub use sketch::{Decimal, Distinct, Group, Quantile, Totals, TotalsError};
pub use statistic::{
    IntoKeys, KeyColumn, Measure, MeasureColumn, MeasureKind, Sample, Schema, Statistic, count, max, min, sum,
};
pub use status::{
    Event, EventKind, Events, Pause, Phase, RejectedLines, RejectedSample, SinkState, SinkStatus,
    StatisticStatus, Status, StatusHandle, StatusWatch, StoppedStatistic, ThreadStatus, Timing,
};
pub use tail::{Begin, OnChanged, OnGone, OnUnreadable, TailError};
pub use writer::Writer;

/// For the tests, benches and fuzz targets of evs itself. Outside semver: anything here may change in any release.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    pub use crate::bench::{Aggregation, Gathered, Parsing, assert_agreement};

    /// The binlog: the append-only file of batches and acknowledgements.
    pub mod binlog {
        pub use crate::binlog::*;
    }

    /// The clocks by which a pipeline acts.
    pub mod clock {
        pub use crate::clock::Wall;
    }

    /// The files of a state directory, real or simulated.
    pub mod disk {
        pub use crate::disk::*;
    }

    /// Numbers as logs print them.
    pub mod number {
        pub use crate::number::*;
    }

    /// The surroundings of a pipeline, for tests that replace them.
    pub mod pipeline {
        pub use crate::{pipeline::Environment, turns::Turns};
    }

    /// The positions in the files of a log up to which a source was read.
    pub mod position {
        pub use crate::position::*;
    }

    /// The files of a log, and the ranges of them to read next.
    pub mod tail {
        pub use crate::tail::*;
    }
}
