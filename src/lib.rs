//! Turns web-server access logs into exact numbers in a database, exactly once.
//!
//! evs tails a log through all its rotations, parses each line, aggregates in memory per time window and key,
//! and delivers batches to its sinks so that every complete line is in every sink's numbers exactly once:
//! through crashes, power cuts and outages.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use evs::prelude::*;
//!
//! # async fn shutdown_signal() {}
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let pipeline = Pipeline::builder("ads-web1")
//!         .tail("/var/log/nginx/access.log")
//!         .format(LogFormat::nginx(
//!             r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent $request_time"#,
//!         )?)
//!         .statistic(
//!             Statistic::named("ad_events")
//!                 .window(Duration::from_secs(60))
//!                 .group_by([arg("c").named("campaign"), arg("t").named("type")])
//!                 .measure(count())
//!                 .measure(sum(arg("v")).scale(2).named("revenue"))
//!                 .measure(max(field("request_time")).scale(3))
//!                 .flush_every(Duration::from_secs(5)),
//!         )
//!         .sink("reports", SqliteSink::connect("sqlite:///var/lib/evs/reports.db").await?)
//!         .state_dir("/var/lib/evs/ads-web1")
//!         .build()?;
//!     pipeline.run(shutdown_signal()).await?;
//!     Ok(())
//! }
//! ```
//!
//! # Features
//!
//! - `sqlite` (default): [`SqliteSink`], with SQLite built in.
//! - `cassandra`: `CassandraSink`, for Apache Cassandra, with a driver in pure Rust.
//! - `cassandra-cpp`: the same with the C++ driver, which must be installed.
//! - `mongo`: `MongoSink`, for MongoDB.
//! - `mysql`: `MySqlSink`, for MySQL and MariaDB.
//! - `postgres`: `PostgresSink`, for PostgreSQL.
//! - `notify` (default): new lines are noticed by file system events, not only by polling.
//! - `conformance`: the suite that every sink must pass, for whoever writes one.

mod url;

// A pipeline, from its log to its sinks.
pub use evs_core::{
    Begin, Error, FileMark, Frontier, LostState, OnChanged, OnGone, OnUnreadable, Pipeline, PipelineBuilder,
    SinkStart, Summary, TailError, Undelivered, describe,
};

// How lines are read, and what is computed from them.
pub use evs_core::{
    Field, FormatError, IntoKeys, LineParser, LogFormat, Measure, MeasureKind, NumberError, Reason, Record,
    Rejection, Statistic, arg, count, field, max, min, sum,
};

// How it is doing.
pub use evs_core::{Pause, Phase, SinkState, SinkStatus, Status};

// What sinks are offered, and what they answer.
#[doc(no_inline)]
pub use evs_core::async_trait;
#[cfg(feature = "conformance")]
pub use evs_core::conformance;
pub use evs_core::{
    Applied, Batch, BinlogError, Cause, Contradiction, Damage, Digest, Epoch, Fault, InvalidEpoch,
    InvalidJson, InvalidRows, KeyColumn, Limits, MeasureColumn, MemorySink, Progress, Row, RowCursor,
    RowIter, RowRef, Rows, Schema, Sink, SinkError, Writer, escape, judge, unescape,
};

// The stores.
#[cfg(any(feature = "cassandra", feature = "cassandra-cpp"))]
pub use evs_cassandra::{self as cassandra, CassandraSink};
#[cfg(feature = "mongo")]
pub use evs_mongo::{self as mongo, MongoSink};
#[cfg(feature = "mysql")]
pub use evs_mysql::{self as mysql, MySqlSink};
#[cfg(feature = "postgres")]
pub use evs_postgres::{self as postgres, PostgresSink};
#[cfg(feature = "sqlite")]
pub use evs_sqlite::SqliteSink;
pub use url::sink_from_url;

/// What a service needs to count a log: `use evs::prelude::*`.
pub mod prelude {
    pub use evs_core::{LogFormat, Pipeline, Sink, Statistic, arg, count, field, max, min, sum};

    #[cfg(any(feature = "cassandra", feature = "cassandra-cpp"))]
    pub use crate::CassandraSink;
    #[cfg(feature = "mongo")]
    pub use crate::MongoSink;
    #[cfg(feature = "mysql")]
    pub use crate::MySqlSink;
    #[cfg(feature = "postgres")]
    pub use crate::PostgresSink;
    #[cfg(feature = "sqlite")]
    pub use crate::SqliteSink;
}
