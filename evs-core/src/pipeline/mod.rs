//! A pipeline follows one log and delivers its numbers to one or more sinks. It is built once and run once, and it
//! answers for its status at any time.
//!
//! The threads and tasks of a run, in the order of the data:
//!
//! * The reader (`reader`) follows the log and hands chunks of whole lines to the workers.
//! * The workers (`reader`, too) parse the lines and add them to tables of their own. At a cut, each worker hands its
//!   rows to the committer.
//! * The committer (`committer`) merges the rows of all workers and writes them to the binlog as batches.
//! * One delivery per sink, a task of tokio (`crate::deliver`), reads batches from the binlog and applies them.

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

/// A pipeline: one source, its statistics and its sinks.
///
/// A pipeline keeps its state directory locked for as long as it lives.
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
    /// The claims of this process: the writer that it is in each sink.
    claims: Arc<Claims>,
    /// The builder opens the binlog, so that damage is found there; the run takes it.
    binlog: Mutex<Option<Binlog>>,
    /// The run shares the lock with the thread that writes: after a run is dropped, that thread may still finish its
    /// last write.
    lock: Arc<lock::Lock>,
}

/// The totals of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Lines read, including rejected ones. A line that was read before a crash and is read again is counted once.
    pub lines: u64,
    /// Lines that were not counted, including empty ones.
    pub rejected: u64,
    /// Bytes of all those lines.
    pub bytes: u64,
    /// Bytes of the log that vanished before they were read.
    pub lost_bytes: u64,
    /// Lines left out of a statistic because their window was past its retention, once for each such statistic.
    pub too_late: u64,
    /// Lines that were counted although their time was more than a day ahead of the clock.
    pub ahead: u64,
    /// Batches that were cut.
    pub batches: u64,
    /// Batches that stayed in the binlog for the next start, over all sinks.
    pub undelivered: u64,
    /// True if every sink has everything that was read. After [`run_to_end`](Pipeline::run_to_end) it also means that
    /// the end of the log was reached.
    pub is_complete: bool,
    /// The duration of the run.
    #[serde(rename = "seconds", serialize_with = "seconds::of")]
    pub duration: Duration,
}

/// The settings of the builder after they were checked.
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
    /// Makes the builder of a pipeline for the given source. The name has 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_`
    /// and `-`, and does not begin with a dot. It must be unique among all pipelines that write to the same sinks; a
    /// host name is a good choice.
    pub fn builder(source: impl Into<String>) -> PipelineBuilder {
        PipelineBuilder::new(source.into())
    }

    /// Follows the log until `shutdown` is ready. Then it stops reading, cuts the rows that it has, delivers batches
    /// for up to the drain timeout, and returns. Batches that are not delivered by then stay in the binlog for the
    /// next start.
    ///
    /// # Errors
    ///
    /// An error ends the run if nothing more can be counted correctly after it. Everything that was committed until
    /// then is kept, and the next start continues from there. [`Error::NoRuntime`] if the caller is not in a tokio
    /// runtime; [`Error::AlreadyRun`] for a second run.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the run ends as if the process had been killed. Nothing is lost: the next run reads
    /// again the lines that were only in memory.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) -> Result<Summary, Error> {
        self.run_until(shutdown, false).await
    }

    /// Reads everything from the source's position to the end of the log, delivers it all, and returns. If `shutdown`
    /// is ready earlier, it ends as [`run`](Self::run) does.
    ///
    /// A last line without its newline is not read, unless its file is a rotated one.
    ///
    /// # Errors
    ///
    /// The errors of [`run`](Self::run), and [`Error::SinkStopped`] if a sink refused a batch permanently.
    ///
    /// # Cancel safety
    ///
    /// The same as for [`run`](Self::run).
    pub async fn run_to_end(&self, shutdown: impl Future<Output = ()>) -> Result<Summary, Error> {
        self.run_until(shutdown, true).await
    }

    /// Returns the present status. The call is cheap: a caller can make it many times a second.
    pub fn status(&self) -> Status {
        self.board.status()
    }

    /// Returns the schemas of the pipeline's statistics, as its sinks know them.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.config.statistics.iter().map(|statistic| &statistic.schema)
    }

    fn take_binlog(&self) -> Option<Binlog> {
        self.binlog.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
