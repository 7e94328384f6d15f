//! The status of a pipeline: a snapshot that is cheap to take.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::Serialize;

use super::timing::Timing;
use crate::{batch::Epoch, position::Frontier, seconds};

/// The status of a pipeline at one moment. [`Pipeline::status`](crate::Pipeline::status) makes it.
///
/// In a healthy pipeline every sink is [`Up`](SinkState::Up) and `behind_bytes` stays small. If `behind_bytes` grows,
/// either reading is paused, and `paused` gives the reason, or lines arrive faster than they are read. If
/// [`lag`](SinkStatus::lag) of a sink grows, that sink is away or too slow.
///
/// When it is serialized, a duration is a number of seconds and a time is in seconds since 1970:
///
/// ```
/// # use evs_core::{LogFormat, MemorySink, Pipeline, Statistic, count};
/// # let directory = tempfile::tempdir()?;
/// # let pipeline = Pipeline::builder("web1")
/// #     .tail(directory.path().join("access.log"))
/// #     .format(LogFormat::combined())
/// #     .statistic(Statistic::named("requests").measure(count()))
/// #     .sink("memory", MemorySink::new())
/// #     .state_dir(directory.path().join("state"))
/// #     .build()?;
/// let status = pipeline.status();
/// println!("{} lines, {:?} behind, {} bytes unread", status.lines, status.behind, status.behind_bytes);
/// for sink in &status.sinks {
///     println!("{} is {}: {} batches wait", sink.name, sink.state, sink.waiting);
/// }
/// let json = serde_json::to_value(&status)?;
/// assert_eq!(json["sinks"][0]["state"], "connecting");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The source's name.
    pub source: String,
    /// The epoch of the state directory.
    pub epoch: Epoch,
    /// The phase of the pipeline.
    pub phase: Phase,
    /// The error that ended the last run, in words with its causes; `None` while it runs, and if it ended well.
    pub error: Option<String>,
    /// The start of the present run, or of the last one; `None` before the first run.
    #[serde(serialize_with = "seconds::since_1970_option")]
    pub started: Option<SystemTime>,
    /// Lines read since the run was started, including rejected ones.
    pub lines: u64,
    /// Bytes of those lines.
    pub bytes: u64,
    /// Lines that were not counted, since the run was started.
    pub rejected: u64,
    /// Those of them that are committed, by reason, most first.
    pub rejected_by_reason: Vec<RejectedLines>,
    /// The last rejected lines that are committed, newest last, at most [`RejectedSample::MAX`].
    pub rejected_samples: Vec<RejectedSample>,
    /// Bytes of the log that vanished before they were read, since the run was started.
    pub lost_bytes: u64,
    /// Lines left out of a statistic because their window was past its retention, since the run was
    /// started; a line counts once for each such statistic.
    pub too_late: u64,
    /// Lines that were counted although their time was more than a day ahead of the clock, since the run was
    /// started. Either this clock or the web server's is wrong, or a client controls the times in the log.
    pub ahead: u64,
    /// Values that were left out of [lenient](crate::Measure::lenient) measures, since they are no numbers or out of range,
    /// since the run was started. A value counts once for each way of reading its field.
    pub bad_values: u64,
    /// Lines per second, over the last ten seconds.
    pub lines_per_second: f64,
    /// Bytes per second, over the last ten seconds.
    pub bytes_per_second: f64,
    /// The position in the log at the last cut: everything before it is committed.
    pub position: Frontier,
    /// Bytes in the log that have not been read, over all its files.
    pub behind_bytes: u64,
    /// The number of files with unread bytes, including rotated ones.
    pub behind_files: u64,
    /// True if `behind_bytes` is an estimate because some of these files are compressed.
    pub is_behind_estimated: bool,
    /// The lag of reading: at most this long ago, the oldest unread line was written. It is 0 while nothing is unread,
    /// however old the last line is. While something is, it is the age of the last line that was read, by the time in
    /// the line, or the time since nothing was unread, whichever is less. `None` before the first line, unless nothing
    /// is unread. After the run it grows, since nobody looks at the log any more.
    #[serde(serialize_with = "seconds::of_option")]
    pub behind: Option<Duration>,
    /// The jump of the system's clock, if it jumped ahead within the last hour. While the clock is not trusted, no
    /// windows are removed by it and no lines are too late.
    #[serde(serialize_with = "seconds::of_option")]
    pub clock_ahead: Option<Duration>,
    /// Rows held in memory, over all statistics and workers.
    pub rows: u64,
    /// Batches cut since the run was started.
    pub batches: u64,
    /// The size of the binlog on disk, in bytes.
    pub binlog_bytes: u64,
    /// The limit of `binlog_bytes`, above which reading pauses.
    pub spool_bytes_max: u64,
    /// How long cuts took, from their beginning until they were durable.
    pub cut_time: Timing,
    /// How long the binlog took to write and sync them.
    pub commit_time: Timing,
    /// The threads of the run: the reader, the committer and the workers.
    pub threads: Vec<ThreadStatus>,
    /// The reason for a pause in reading, if there is one: the pipeline's own (the binlog has reached its limit, or
    /// its disk is full), or else the one that was given to [`StatusHandle::pause`](crate::StatusHandle::pause).
    pub paused: Option<Pause>,
    /// The last event of the log that an operator may want to know, in words.
    /// [`StatusHandle::events`](crate::StatusHandle::events) gives all events, with their facts.
    pub last_event: Option<String>,
    /// The statistics, in the order in which they were added.
    pub statistics: Vec<StatisticStatus>,
    /// The sinks, in the order in which they were added.
    pub sinks: Vec<SinkStatus>,
}

/// The status of one statistic.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StatisticStatus {
    /// The name of the statistic.
    pub name: String,
    /// Rows held in memory, over all workers. A row that several workers hold counts for each of them.
    pub rows: u64,
    /// The limit of `rows` ([`Statistic::rows_max`](crate::Statistic::rows_max)), at which the statistic is cut early.
    pub rows_max: u64,
    /// Lines that the statistic's [condition](crate::Statistic::only) selected, up to the last commit of the run. 0 for a
    /// statistic without a condition, which counts all lines.
    pub selected: u64,
    /// Lines left out because their window was past the statistic's retention, up to the last commit of the run.
    pub too_late: u64,
    /// Files that the statistic still has to read because it began at an older one
    /// ([`Statistic::begin`](crate::Statistic::begin)). `Status::behind_bytes` does not count them.
    pub older_files: u64,
    /// Batches of the statistic that were cut in this run.
    pub batches: u64,
    /// Rows of those batches.
    pub batch_rows: u64,
    /// The time at which the last batch of the statistic was committed in this run.
    #[serde(serialize_with = "seconds::since_1970_option")]
    pub last_cut: Option<SystemTime>,
}

/// How many lines were rejected for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RejectedLines {
    /// The [code](crate::Reason::code) of the reason.
    pub reason: &'static str,
    /// The number of lines.
    pub lines: u64,
}

/// A line that was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RejectedSample {
    /// The path of its file when it was read; `None` if that is not known.
    pub path: Option<String>,
    /// The offset in the file at which the line begins.
    pub offset: u64,
    /// The offset in the line at which reading failed, in bytes.
    pub column: u64,
    /// The reason, in words.
    pub reason: String,
    /// The first bytes of the line, at most [`BYTES_MAX`](Self::BYTES_MAX), [escaped](crate::escape()). Empty if the pipeline
    /// does not [keep](crate::PipelineBuilder::keep_samples) rejected lines. A client may have written them: escape them again
    /// for wherever they are shown.
    pub line: String,
}

impl RejectedSample {
    /// The most samples that a status has.
    pub const MAX: usize = 10;
    /// The most bytes of a line that a sample has.
    pub const BYTES_MAX: usize = 256;
}

/// A thread of a run.
///
/// One that does not wait and has made no step for a long time is stuck: in a call to a disk that does not answer, for example.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ThreadStatus {
    /// The name: `reader`, `committer` or `worker 0`.
    pub name: String,
    /// True if it waits for work.
    pub is_waiting: bool,
    /// The time since its last step: since it began the piece of work that it does, or to wait.
    #[serde(serialize_with = "seconds::of")]
    pub since: Duration,
}

/// The phase of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Phase {
    /// It was built and has not been run yet.
    Built,
    /// It reads the log and delivers batches.
    Running,
    /// It has stopped reading and delivers the batches that are left.
    Draining,
    /// It has ended.
    Ended,
}

/// A pause in reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pause {
    /// The reason, in words.
    pub reason: String,
    /// The start of the pause.
    #[serde(serialize_with = "seconds::since_1970")]
    pub since: SystemTime,
}

/// The status of one sink.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SinkStatus {
    /// The sink's name.
    pub name: String,
    /// The state of the sink.
    pub state: SinkState,
    /// The time at which the sink entered that state.
    #[serde(serialize_with = "seconds::since_1970")]
    pub since: SystemTime,
    /// The last error, in words, with its causes.
    pub last_error: Option<String>,
    /// The number of calls that failed and were made again or will be.
    pub retries: u64,
    /// Batches acknowledged since the run was started.
    pub batches: u64,
    /// Rows of those batches.
    pub rows: u64,
    /// Batches that wait for this sink.
    pub waiting: u64,
    /// Rows of the waiting batches.
    pub waiting_rows: u64,
    /// Bytes that the waiting batches take in the binlog.
    pub waiting_bytes: u64,
    /// The sink's lag: the age of the oldest waiting batch since its commit, in whole seconds; 0 if none waits. `None`
    /// if the batch was committed by an early version, which did not note the time.
    #[serde(serialize_with = "seconds::of_option")]
    pub lag: Option<Duration>,
    /// The statistics that have stopped in this sink, since it refused a batch of theirs. The others go on.
    pub stopped: Vec<StoppedStatistic>,
    /// Batches that were given up for this sink with [`StatusHandle::discard`](crate::StatusHandle::discard), since the
    /// state directory was created.
    pub discarded: u64,
    /// Rows of those batches.
    pub discarded_rows: u64,
    /// How long it took to apply a batch, for calls that succeeded.
    pub apply_time: Timing,
    /// The time at which the last batch was acknowledged.
    #[serde(serialize_with = "seconds::since_1970_option")]
    pub last_acknowledged: Option<SystemTime>,
}

impl SinkStatus {
    /// Makes the status of a sink that has not answered yet.
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            state: SinkState::Connecting,
            since: SystemTime::now(),
            last_error: None,
            retries: 0,
            batches: 0,
            rows: 0,
            waiting: 0,
            waiting_rows: 0,
            waiting_bytes: 0,
            lag: Some(Duration::ZERO),
            stopped: Vec::new(),
            discarded: 0,
            discarded_rows: 0,
            apply_time: Timing::default(),
            last_acknowledged: None,
        }
    }
}

/// A statistic that has stopped in one sink, since the sink refused one of its batches for good. The batch and those after
/// it wait in the binlog.
///
/// Remove the cause in the store, and call [`StatusHandle::retry`](crate::StatusHandle::retry); a restart does the same.
/// If the store can never take the batch, give it up by name with [`StatusHandle::discard`](crate::StatusHandle::discard).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoppedStatistic {
    /// The name of the statistic.
    pub statistic: String,
    /// The sequence of the batch that was refused.
    pub sequence: u64,
    /// The error of the sink, in words, with its causes.
    pub error: String,
    /// The time of the refusal.
    #[serde(serialize_with = "seconds::since_1970")]
    pub since: SystemTime,
}

/// The state of a sink: whether it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SinkState {
    /// It has not answered yet.
    Connecting,
    /// It applies batches.
    Up,
    /// Its last call failed with an error that passes; the pipeline tries again.
    Down,
    /// It gets no more batches until [`StatusHandle::retry_sink`](crate::StatusHandle::retry_sink) or a restart: it has
    /// refused all statistics, or it has a history that is not the one of this state directory.
    Stopped,
}

impl fmt::Display for SinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Down => "down",
            Self::Stopped => "stopped",
        })
    }
}
