//! A pipeline: built once, run once, asked for its status at any time.

mod builder;
mod clone;
mod committer;
mod control;
mod host;
mod lock;
mod pace;
#[cfg(test)]
mod panics;
mod queue;
mod reader;
mod rejects;
mod reserve;
mod run;
mod signals;
mod state;
mod threads;

#[cfg(test)]
mod tests;

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;

pub use builder::{LostState, PipelineBuilder, SinkStart};
pub use clone::Undelivered;
pub(crate) use threads::message;

use crate::{
    Error,
    aggregate::Plan,
    binlog::{Binlog, BinlogOptions},
    deliver::Claims,
    disk::RealDisk,
    format::LineParser,
    seconds,
    sink::Sink,
    statistic::Schema,
    status::{Board, Status},
    tail::TailOptions,
};

/// One source on its way to its sinks.
///
/// Holds its state directory locked for as long as it lives.
///
/// ```
/// use evs_core::{LogFormat, MemorySink, Pipeline, Sink, Statistic, count};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let log = directory.path().join("access.log");
/// let line = "::1 - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" 200 5\n";
/// std::fs::write(&log, line.repeat(3))?;
/// let sink = MemorySink::new();
/// let pipeline = Pipeline::builder("web1")
///     .tail(&log)
///     .format(LogFormat::common())
///     .statistic(Statistic::named("requests").group_by(["status"]).measure(count()))
///     .sink("memory", sink.clone())
///     .state_dir(directory.path().join("state"))
///     .build()?;
/// let summary = pipeline.run_to_end(std::future::pending()).await?;
/// assert_eq!((summary.lines, summary.is_complete), (3, true));
///
/// let schema = pipeline.schemas().next().expect("one statistic");
/// let rows = sink.totals(schema, i64::MIN..i64::MAX).await?;
/// let row = rows.iter().next().expect("one window with one status");
/// assert_eq!((row.keys[0], row.values[0]), (&b"200"[..], Some(3)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Pipeline {
    config: Config,
    board: Arc<Board>,
    /// Who this process is to its sinks.
    claims: Arc<Claims>,
    /// Opened by the builder, so that damage is found there; taken by the run.
    binlog: Mutex<Option<Binlog>>,
    /// Shared with the thread that writes: a run that is dropped may still be at its last write.
    lock: Arc<lock::Lock>,
}

/// What a run has done.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Lines read, rejected ones too. A line that was read before a crash and is read again is counted once.
    pub lines: u64,
    /// Lines that were not counted, empty ones too.
    pub rejected: u64,
    /// Bytes of all those lines.
    pub bytes: u64,
    /// Bytes of the log that vanished before they were read.
    pub lost_bytes: u64,
    /// Lines left out of a statistic because their window was past its retention, once for each such statistic.
    pub too_late: u64,
    /// Lines that were counted although their time was more than a day ahead of the clock.
    pub ahead: u64,
    /// Batches cut.
    pub batches: u64,
    /// Batches that were left in the binlog for the next start, over all sinks.
    pub undelivered: u64,
    /// Whether everything that was read is in every sink; for a run to the end, also whether it came there.
    pub is_complete: bool,
    /// How long the run took.
    #[serde(rename = "seconds", serialize_with = "seconds::of")]
    pub duration: Duration,
}

/// The builder's settings, judged.
#[derive(Debug)]
struct Config {
    source: String,
    tail: TailOptions,
    state_dir: RealDisk,
    binlog: BinlogOptions,
    statistics: Vec<StatisticConfig>,
    sinks: Vec<(Arc<str>, Arc<dyn Sink>)>,
    plan: Plan,
    parser: LineParser,
    workers: usize,
    lines_per_second_max: Option<u64>,
    poll_every: Duration,
    drain_timeout: Duration,
    sink_timeout: Duration,
    spool_bytes_max: u64,
    rejected_bytes_max: u64,
    cut_bytes_max: u64,
    keep_samples: bool,
    lost_state: LostState,
    new_sinks: SinkStart,
}

#[derive(Debug)]
struct StatisticConfig {
    schema: Arc<Schema>,
    flush_every: Duration,
    redefine: bool,
}

impl Pipeline {
    /// Begins a pipeline for a source of that name: 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`, the first not a
    /// dot; unique among all that write to the same sinks. A host's name is one.
    pub fn builder(source: impl Into<String>) -> PipelineBuilder {
        PipelineBuilder::new(source.into())
    }

    /// Follows the log until `shutdown` is ready; then stops reading, cuts what was read, delivers for up to
    /// the drain timeout and returns. What is not delivered by then stays in the binlog.
    ///
    /// # Errors
    ///
    /// If something happened after which nothing more may be counted. Everything committed until then is kept,
    /// and the next start goes on from there. [`Error::NoRuntime`] outside of tokio, [`Error::AlreadyRun`] for a second
    /// run.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the run ends as if the process had been killed: nothing is lost, and what was in memory is
    /// read again by the next one.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) -> Result<Summary, Error> {
        self.run_until(shutdown, false).await
    }

    /// Reads from where the source stands through everything there is, delivers it all, and returns; earlier
    /// if `shutdown` is ready, as [`run`](Self::run) does.
    ///
    /// A last line without its newline is not read, unless its file is a rotated one.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), and [`Error::SinkStopped`] if a sink refused something for good.
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    pub async fn run_to_end(&self, shutdown: impl Future<Output = ()>) -> Result<Summary, Error> {
        self.run_until(shutdown, true).await
    }

    /// What the pipeline is doing. Cheap: it can be asked many times a second.
    pub fn status(&self) -> Status {
        self.board.status()
    }

    /// The schemas of the pipeline's statistics, as its sinks know them.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.config.statistics.iter().map(|statistic| &statistic.schema)
    }

    fn take_binlog(&self) -> Option<Binlog> {
        self.binlog.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
