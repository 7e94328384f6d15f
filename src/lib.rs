//! Turns web-server access logs into exact numbers in a database, exactly once.
//!
//! evs follows a log through all its rotations, parses each line, aggregates in memory per time window and key, and
//! delivers batches of rows to its sinks. Every complete line is in the numbers of every sink exactly once: through
//! crashes, power cuts and outages.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use evs::prelude::*;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), evs::Error> {
//!     let pipeline = Pipeline::builder("ads-web1")
//!         .tail("/var/log/nginx/access.log")
//!         .format(LogFormat::nginx(
//!             r#"$remote_addr [$time_local] "$request" $status $request_time"#,
//!         )?)
//!         .statistic(
//!             Statistic::named("ad_events")
//!                 .window(Duration::from_secs(60))
//!                 .group_by(("status", arg("c").named("campaign")))
//!                 .measure(count())
//!                 .measure(sum(arg("v")).scale(2).named("revenue"))
//!                 .measure(max(field("request_time")).scale(3))
//!                 .flush_every(Duration::from_secs(5)),
//!         )
//!         .sink(
//!             "reports",
//!             evs::sink_from_url("mysql://evs:secret@localhost/reports").await?,
//!         )
//!         .state_dir("/var/lib/evs/ads-web1")
//!         .build()?;
//!     // Ctrl-C ends it in good order.
//!     pipeline.run(async { tokio::signal::ctrl_c().await.unwrap() }).await?;
//!     Ok(())
//! }
//! ```
//!
//! A few seconds after its lines, a minute has its rows in the table `ad_events`:
//!
//! | window_start | status | campaign | count | revenue | request_time_max |
//! | --- | --- | --- | ---: | ---: | ---: |
//! | 2026-11-21 13:25:00 | 200 | spring sale | 1712 | 2043.50 | 0.301 |
//! | 2026-11-21 13:25:00 | 404 | - | 3 | 0.00 | 0.002 |
//!
//! # The model
//!
//! ```text
//!   access.log, access.log.1, ...
//!       |
//! +-----|----- your service --------+
//! |     v                           |
//! |  tail       chunks of lines     |
//! |     v                           |
//! |  parse      time and fields     |
//! |     v                           |
//! |  aggregate  rows, in memory     |
//! |     v                           |
//! |  binlog     batches, on disk    |
//! |     v                           |
//! |  deliver    a task per sink     |
//! |     |                           |
//! +-----|---------------------------+
//!       v
//!   SQLite, MySQL, PostgreSQL,
//!   MongoDB, Cassandra, your own
//! ```
//!
//! - A **source** is one log with all the files it was rotated through: [`PipelineBuilder::tail`]. Its name is unique
//!   among all that write to the same sinks. [`LogFormat`] describes its lines. [`Begin`], [`OnGone`], [`OnChanged`]
//!   and [`OnUnreadable`] decide about its files.
//! - A **[`Statistic`]** defines a computation: a window of event time, the [`Field`]s to group by, and [`Measure`]s
//!   ([`count`], [`sum`], [`min`], [`max`]). Its [`Schema`] defines the meaning of a row.
//! - A **[`Batch`]** has the [`Rows`] that one statistic has gathered over a part of the log, from one [`Frontier`] to
//!   another. Batches are numbered 1, 2, 3, ... per source, [`Epoch`] and statistic, and never change.
//! - A **[`Sink`]** applies batches to a store, in order, and remembers its [`Progress`] there.
//! - **Exactly once** follows: a batch is cut, made durable in the binlog, and only then delivered. A sink moves its
//!   progress from one batch to the next in the transaction that adds the rows. After a crash, evs reads the log on from
//!   the last batch in the binlog, and offers again every batch that a sink has not acknowledged. A sink skips a batch
//!   that it already has.
//!
//! # Finding your way
//!
//! | to | see |
//! | --- | --- |
//! | build a pipeline | [`Pipeline`], [`PipelineBuilder`], [`prelude`] |
//! | define a statistic | [`Statistic`], [`Field`], [`arg`], [`Measure`], [`MeasureKind`], [`IntoKeys`] |
//! | select lines, derive fields | [`Condition`], [`Field`], [`Lookup`], [`concat()`], [`constant`], [`combine`], [`event_time`], [`log_path`], [`histogram`], [`parse_address`] |
//! | tell countries and browsers apart | [`GeoIp`], [`GeoIpError`], [`user_agent`], [`UserAgent`] |
//! | run it | [`Pipeline::run`], [`Pipeline::spawn`], [`Pipeline::run_to_end`], [`Summary`] |
//! | see how it is doing | [`Pipeline::status`], [`StatusHandle`], [`Status`], [`StatisticStatus`], [`SinkStatus`], [`SinkState`], [`StoppedStatistic`], [`Phase`], [`Pause`], [`RejectedLines`], [`RejectedSample`], [`ThreadStatus`], [`Timing`] |
//! | be told of changes | [`StatusHandle::watch`], [`StatusWatch`], [`StatusHandle::events`], [`Events`], [`Event`], [`EventKind`] |
//! | try out a format | [`LogFormat::parser`], [`LineParser`], [`Record`], [`Rejection`], [`Reason`] |
//! | set up a store | `builder` of each sink, with `create`, `timeout` and `pool`; `from_options`, `from_pool`, `from_client`, `from_session` for the driver's own |
//! | choose a store | [`sink_from_url`], [`SqliteSink`], [`MySqlSink`], [`PostgresSink`], [`MongoSink`], [`CassandraSink`], [`MemorySink`] |
//! | read numbers back | [`Sink::totals`], [`Pipeline::schemas`], [`Pipeline::sinks`], [`Schema`], [`Rows`], [`Row`], [`RowRef`] |
//! | compute averages, rates, quantiles, distinct counts | [`Totals`], [`Group`], [`Decimal`], [`Quantile`], [`Distinct`], [`TotalsError`] |
//! | handle an error | [`Error`], [`SinkError`], [`FormatError`], [`TailError`], [`BinlogError`], [`describe`] |
//! | bring back lost state, clone a machine, add a sink | [`LostState`], [`Undelivered`], [`SinkStart`] |
//! | write a sink | [`Sink`], [`judge`], [`Limits`], [`Writer`], [`escape`], [`conformance`] |
//!
//! # Features
//!
//! - `sqlite` (default): [`SqliteSink`], with SQLite built in.
//! - `notify` (default): file system events announce new lines, in addition to polling.
//! - `cassandra`: [`CassandraSink`], for Apache Cassandra, with a driver in pure Rust.
//! - `cassandra-cpp`: the same with the C++ driver, which must be installed.
//! - `mongo`: [`MongoSink`], for MongoDB.
//! - `mysql`: [`MySqlSink`], for MySQL and MariaDB.
//! - `postgres`: [`PostgresSink`], for PostgreSQL.
//! - `geoip`: [`GeoIp`], fields such as the country of an address, from a database in MaxMind's format.
//! - `user_agent`: [`user_agent`], fields such as the browser of a user agent.
//! - `conformance`: the suite that every sink must pass, for authors of sinks. Outside semver.
//! - `full`: all of these but `cassandra-cpp`.
//!
#![cfg_attr(
    not(feature = "sqlite"),
    doc = "[`SqliteSink`]: https://docs.rs/evs/latest/evs/struct.SqliteSink.html"
)]
#![cfg_attr(
    not(feature = "mysql"),
    doc = "[`MySqlSink`]: https://docs.rs/evs/latest/evs/struct.MySqlSink.html"
)]
#![cfg_attr(
    not(feature = "postgres"),
    doc = "[`PostgresSink`]: https://docs.rs/evs/latest/evs/struct.PostgresSink.html"
)]
#![cfg_attr(
    not(feature = "mongo"),
    doc = "[`MongoSink`]: https://docs.rs/evs/latest/evs/struct.MongoSink.html"
)]
#![cfg_attr(
    not(any(feature = "cassandra", feature = "cassandra-cpp")),
    doc = "[`CassandraSink`]: https://docs.rs/evs/latest/evs/struct.CassandraSink.html"
)]
#![cfg_attr(
    not(feature = "conformance"),
    doc = "[`conformance`]: https://docs.rs/evs/latest/evs/conformance/index.html"
)]
#![cfg_attr(not(feature = "geoip"), doc = "[`GeoIp`]: https://docs.rs/evs/latest/evs/struct.GeoIp.html")]
#![cfg_attr(
    not(feature = "geoip"),
    doc = "[`GeoIpError`]: https://docs.rs/evs/latest/evs/enum.GeoIpError.html"
)]
#![cfg_attr(
    not(feature = "user_agent"),
    doc = "[`user_agent`]: https://docs.rs/evs/latest/evs/fn.user_agent.html"
)]
#![cfg_attr(
    not(feature = "user_agent"),
    doc = "[`UserAgent`]: https://docs.rs/evs/latest/evs/struct.UserAgent.html"
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "geoip", feature = "user_agent"))]
mod enrich;
mod url;

/// The code of the guide, which documentation tests compile.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide/answers.md")]
#[cfg_attr(all(feature = "geoip", feature = "user_agent"), doc = include_str!("../docs/guide/selecting.md"))]
mod guide {}

// A pipeline, from its log to its sinks.
pub use evs_core::{
    Begin, Error, FileMark, Frontier, LostState, OnChanged, OnGone, OnUnreadable, Pipeline, PipelineBuilder,
    SinkStart, Summary, TailError, Undelivered, describe,
};

// The formats of lines, and the statistics that are computed from them.
pub use evs_core::{
    CheckName, Condition, Lookup, LookupError, Operand, SyntaxError, combine, concat, constant, event_time,
    event_time_at, histogram, log_path, parse_address,
};
pub use evs_core::{
    Elements, Field, FormatError, IntoKeys, LineParser, LogFormat, Measure, MeasureKind, NumberError, Reason,
    Record, Rejection, Rounding, Statistic, arg, count, field, max, min, sum,
};

// Fields that are derived with knowledge of the world.
#[cfg(feature = "geoip")]
pub use enrich::{GeoIp, GeoIpError};
#[cfg(feature = "user_agent")]
pub use enrich::{UserAgent, user_agent};

// The status of a running pipeline.
pub use evs_core::{
    Event, EventKind, Events, Pause, Phase, RejectedLines, RejectedSample, SinkState, SinkStatus,
    StatisticStatus, Status, StatusHandle, StatusWatch, StoppedStatistic, ThreadStatus, Timing,
};

// The batches that sinks are offered, and their answers.
#[doc(no_inline)]
pub use evs_core::async_trait;
#[cfg(feature = "conformance")]
pub use evs_core::conformance;
pub use evs_core::{
    Applied, Batch, BinlogError, Cause, Contradiction, Damage, Digest, Epoch, Fault, InvalidEpoch,
    InvalidJson, InvalidRows, KeyColumn, Limits, MeasureColumn, MemorySink, Progress, Row, RowCursor,
    RowIter, RowRef, Rows, Schema, Sink, SinkError, Writer, escape, judge, unescape,
};

// The answers that the rows of a store give.
pub use evs_core::{Decimal, Distinct, Group, Quantile, Totals, TotalsError};

// The stores.
#[cfg(any(feature = "cassandra", feature = "cassandra-cpp"))]
pub use evs_cassandra::{self as cassandra, CassandraSink, CassandraSinkBuilder};
#[cfg(feature = "mongo")]
pub use evs_mongo::{self as mongo, MongoSink, MongoSinkBuilder};
#[cfg(feature = "mysql")]
pub use evs_mysql::{self as mysql, MySqlSink, MySqlSinkBuilder};
#[cfg(feature = "postgres")]
pub use evs_postgres::{self as postgres, PostgresSink, PostgresSinkBuilder};
#[cfg(feature = "sqlite")]
pub use evs_sqlite::{self as sqlite, SqliteSink, SqliteSinkBuilder};
pub use url::sink_from_url;

/// The names that nearly every service needs to count a log: `use evs::prelude::*`.
///
/// It has the [`Pipeline`] and its [`LogFormat`], [`Statistic`] with the functions that make fields and measures, and
/// the sinks of the enabled features. Names that only some services need, such as [`Error`] or [`MemorySink`], are at
/// the root of the crate.
///
/// ```
/// use evs::prelude::*;
///
/// let requests = Statistic::named("requests").group_by(["status"]).measure(count());
/// ```
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
