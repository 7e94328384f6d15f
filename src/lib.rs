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
//! - `mongo`: `MongoSink`, for MongoDB 4.4 to 8.
//! - `notify` (default): new lines are noticed by file system events, not only by polling.
//! - `conformance`: the suite that every sink must pass, for whoever writes one.

pub use evs_core::*;
#[cfg(feature = "mongo")]
pub use evs_mongo::MongoSink;
#[cfg(feature = "sqlite")]
pub use evs_sqlite::SqliteSink;

/// What a service needs to count a log: `use evs::prelude::*`.
pub mod prelude {
    pub use evs_core::{
        LogFormat, Pipeline, Sink, Statistic,
        statistic::{arg, count, field, max, min, sum},
    };

    #[cfg(feature = "mongo")]
    pub use crate::MongoSink;
    #[cfg(feature = "sqlite")]
    pub use crate::SqliteSink;
}
