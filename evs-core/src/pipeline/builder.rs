//! The builder of a [`Pipeline`]: its settings, their defaults, and the checks before a pipeline exists.
//!
//! [`PipelineBuilder::build`] is the one place that judges settings, so that an error names the setting, its value and
//! the accepted range. It also opens the state directory, its lock and the binlog: an error of these is found before a
//! run begins.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    Config, Pipeline, StatisticConfig,
    clone::{Cloned, Undelivered},
    lock::Lock,
    signals,
};
use crate::{
    Error,
    aggregate::Plan,
    binlog::{Binlog, BinlogOptions},
    clock::{Clock, Wall},
    deliver::Claims,
    disk::{self, Disk, RealDisk},
    format::LogFormat,
    sink::{Limits, Sink},
    statistic::{MeasureKind, Statistic},
    status::Board,
    tail::{Begin, OnChanged, OnGone, OnUnreadable, TailOptions},
    writer::Writer,
};

/// The choice when a sink has counts of the source that this state directory did not make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LostState {
    /// Stop with an error, since going on could count lines twice or leave lines out.
    #[default]
    Refuse,
    /// Continue in the log at the position that the sinks remember. This is for a state directory that was lost: the
    /// new one must be empty, and all sinks must stand at the same position.
    Adopt,
    /// Begin like a new source, and add to the counts that the sinks have. This is for sinks whose tables were
    /// emptied on purpose.
    StartOver,
}

/// The first batch of a sink that is added to a source which has been counted before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkStart {
    /// The sink begins with the next batch that is cut.
    #[default]
    Now,
    /// The sink begins with the oldest batch that the binlog still has.
    Oldest,
}

/// The settings of a [`Pipeline`]. Setters only store a value; [`build`](Self::build) checks all of them.
///
/// ```
/// use evs_core::{Error, LogFormat, MemorySink, Pipeline, Statistic, count};
///
/// let built = Pipeline::builder("web1")
///     .tail("/var/log/nginx/access.log")
///     .format(LogFormat::combined())
///     .statistic(Statistic::named("requests").measure(count()))
///     .sink("memory", MemorySink::new())
///     .state_dir("/var/lib/evs/web1")
///     .workers(1_000)
///     .build();
/// assert_eq!(built.unwrap_err().to_string(), "workers: 1000, expected 1 to 256");
/// ```
#[derive(Debug)]
#[must_use]
pub struct PipelineBuilder {
    source: String,
    log: Option<PathBuf>,
    format: Option<LogFormat>,
    statistics: Vec<Statistic>,
    sinks: Vec<(String, Arc<dyn Sink>)>,
    state_dir: Option<PathBuf>,
    begin: Begin,
    on_gone: OnGone,
    on_changed: OnChanged,
    on_unreadable: OnUnreadable,
    olddir: Option<PathBuf>,
    grace: Duration,
    line_bytes_max: u64,
    workers: usize,
    lines_per_second_max: Option<u64>,
    poll_every: Duration,
    drain_timeout: Duration,
    sink_timeout: Duration,
    cut_bytes_max: u64,
    spool_bytes_max: u64,
    segment_bytes_max: u64,
    keep_acknowledged: Duration,
    rejected_bytes_max: u64,
    keep_samples: bool,
    rejects_ahead: bool,
    trusts_clock: bool,
    wall: Wall,
    lost_state: LostState,
    new_sinks: SinkStart,
    #[cfg(test)]
    pub(super) seams: super::panics::Seams,
    cloned: Option<Cloned>,
}

impl PipelineBuilder {
    /// Makes a builder with the default of every setting.
    pub(super) fn new(source: String) -> Self {
        Self {
            source,
            log: None,
            format: None,
            statistics: Vec::new(),
            sinks: Vec::new(),
            state_dir: None,
            begin: Begin::Start,
            on_gone: OnGone::Stop,
            on_changed: OnChanged::Stop,
            on_unreadable: OnUnreadable::Stop,
            olddir: None,
            grace: Duration::from_secs(10),
            line_bytes_max: 1 << 20,
            workers: 1,
            lines_per_second_max: None,
            poll_every: Duration::from_millis(250),
            drain_timeout: Duration::from_secs(10),
            sink_timeout: Duration::from_secs(300),
            cut_bytes_max: 4 << 30,
            spool_bytes_max: 1 << 30,
            segment_bytes_max: 64 << 20,
            keep_acknowledged: Duration::from_secs(600),
            rejected_bytes_max: 16 << 20,
            keep_samples: true,
            rejects_ahead: false,
            trusts_clock: false,
            wall: Wall::system(),
            lost_state: LostState::Refuse,
            new_sinks: SinkStart::Now,
            #[cfg(test)]
            seams: Default::default(),
            cloned: None,
        }
    }

    /// Sets the log to follow, through all its rotations. The log need not exist yet. Required.
    ///
    /// evs looks for rotated files in the directory of the log. If the log is a symbolic link, it also looks in the
    /// directory of the link's target, and if [`olddir`](Self::olddir) is set, there, too.
    ///
    /// A name that contains times in the letters of `strftime` (`access.%Y-%m-%d.log`) stands for a log without a
    /// live file, as cronolog and rotatelogs write it. Each of its files is followed until the next one has lines.
    pub fn tail(mut self, log: impl AsRef<Path>) -> Self {
        self.log = Some(log.as_ref().to_owned());
        self
    }

    /// Sets the format of the log's lines. Required.
    pub fn format(mut self, format: LogFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Adds a statistic. At least one is required.
    ///
    /// A statistic that is added to a source which has been counted before begins at the source's position. A
    /// statistic that was removed and comes back continues where it ended; if the log was rotated meanwhile, it
    /// continues where the source closed the last file.
    pub fn statistic(mut self, statistic: Statistic) -> Self {
        self.statistics.push(statistic);
        self
    }

    /// Adds a sink. The state directory knows it by `name`: 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`, the
    /// first not a dot. At least one sink is required.
    pub fn sink(mut self, name: impl Into<String>, sink: impl Sink) -> Self {
        self.sinks.push((name.into(), Arc::new(sink)));
        self
    }

    /// Sets the directory for positions and batches. It must be on a local disk and belong to this pipeline alone; it
    /// is created with mode 0700 if it does not exist. Required.
    ///
    /// It must belong to the user that the process runs as, and nobody else may write to it. That holds for root,
    /// too: if root ran evs in the directory of a service, the service could not open the files that root left. The
    /// directory must stay in its place while the pipeline lives: a pipeline whose directory was moved or replaced
    /// stops before it writes again.
    pub fn state_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.state_dir = Some(path.as_ref().to_owned());
        self
    }

    /// Sets the position in the log at which a new source begins; by default the start of the live file.
    pub fn begin(mut self, begin: Begin) -> Self {
        self.begin = begin;
        self
    }

    /// Sets the reaction to a file that is gone before all its bytes were read: stop, which is the default, or go on.
    pub fn on_gone(mut self, on_gone: OnGone) -> Self {
        self.on_gone = on_gone;
        self
    }

    /// Sets the reaction to a file that begins like one that was read before, but no longer has the bytes that were
    /// read; by default the pipeline stops.
    pub fn on_changed(mut self, on_changed: OnChanged) -> Self {
        self.on_changed = on_changed;
        self
    }

    /// Sets the reaction to a rotated file that may be unread and cannot be decompressed; by default the pipeline
    /// stops.
    pub fn on_unreadable(mut self, on_unreadable: OnUnreadable) -> Self {
        self.on_unreadable = on_unreadable;
        self
    }

    /// Adds a directory with rotated files, like logrotate's `olddir`. A relative path starts at the directory of the
    /// log.
    pub fn olddir(mut self, directory: impl AsRef<Path>) -> Self {
        self.olddir = Some(directory.as_ref().to_owned());
        self
    }

    /// Sets the time for which a rotated file must not grow before it is closed: 10 s by default. It should be longer
    /// than the `flush=` of nginx's `access_log`, and longer than nginx's workers take to reopen the log.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets the length of the longest line that is parsed, in bytes: 1 MiB by default, and 1 KiB to 64 MiB. A longer
    /// line is rejected.
    pub fn line_bytes_max(mut self, bytes: u64) -> Self {
        self.line_bytes_max = bytes;
        self
    }

    /// Sets the number of threads that parse and aggregate: 1 by default, at most 256.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Limits the number of lines read per second, so that catching up with hours of a log leaves the processor to
    /// the service around it. The limit holds over any period of a second or more; within it, lines are read in
    /// chunks of some thousands. No limit by default.
    pub fn lines_per_second_max(mut self, lines: u64) -> Self {
        self.lines_per_second_max = Some(lines);
        self
    }

    /// Sets the interval at which the log is checked for new lines: 250 ms by default, 1 ms or more. With the feature
    /// `notify` new lines are noticed earlier.
    pub fn poll_every(mut self, interval: Duration) -> Self {
        self.poll_every = interval;
        self
    }

    /// Sets the time that a shutdown waits for the sinks to apply the batches that are left: 10 s by default.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Sets the deadline of a call to a sink: 5 minutes by default, 1 ms or more. A call that takes longer is
    /// abandoned and made again. Each attempt gets twice the time of the one before, up to 16 times this setting, so
    /// that a slow store can apply a large batch in the end.
    pub fn sink_timeout(mut self, timeout: Duration) -> Self {
        self.sink_timeout = timeout;
        self
    }

    /// Sets the number of bytes of the log after which every statistic is cut, whatever its flush interval: 4 GiB by
    /// default, 1 MiB or more. If the previous process was killed, the first cut comes after 64 MiB, so that a
    /// process that is killed again and again still makes progress.
    pub fn cut_bytes_max(mut self, bytes: u64) -> Self {
        self.cut_bytes_max = bytes;
        self
    }

    /// Sets the size of the binlog, in bytes, at which reading pauses until the sinks have caught up: 1 GiB by
    /// default. It is the space for batches that wait while a sink is away.
    pub fn spool_bytes_max(mut self, bytes: u64) -> Self {
        self.spool_bytes_max = bytes;
        self
    }

    /// Sets the size of a binlog segment, in bytes, after which the next segment begins: 64 MiB by default, 4 KiB or
    /// more.
    pub fn segment_bytes_max(mut self, bytes: u64) -> Self {
        self.segment_bytes_max = bytes;
        self
    }

    /// Sets the time for which a batch is kept after every sink has acknowledged it: 10 minutes by default. A store
    /// that loses its latest changes, for example in a failover, gets these batches again.
    pub fn keep_acknowledged(mut self, time: Duration) -> Self {
        self.keep_acknowledged = time;
        self
    }

    /// Sets the size of a file of rejected lines, in bytes, after which the next file begins: 16 MiB by default. The
    /// last two files are kept. Between two cuts each worker writes at most 1,000 rejected lines there, and the first
    /// KiB of each; all of them are counted.
    pub fn rejected_bytes_max(mut self, bytes: u64) -> Self {
        self.rejected_bytes_max = bytes;
        self
    }

    /// Decides whether rejected lines are kept with their text, which may contain private data: yes by default.
    pub fn keep_samples(mut self, keep: bool) -> Self {
        self.keep_samples = keep;
        self
    }

    /// Decides whether a line is rejected if its time is more than a day ahead of the clock. By default such a line
    /// is counted in the window of its time, and [`Status::ahead`](crate::Status::ahead) counts it.
    ///
    /// A line that is read again after a crash is judged by the clock of that later moment. The result may then be
    /// different in a statistic that had not counted the line yet.
    pub fn reject_ahead(mut self, reject: bool) -> Self {
        self.rejects_ahead = reject;
        self
    }

    /// Decides whether the system's clock is trusted at the start even if it is more than ten minutes ahead of the
    /// last time in the state directory. No by default: a wrong clock would remove windows from the sinks and make
    /// lines too late. A process that was down for longer looks the same; it can do without this setting, since such
    /// a clock is trusted after an hour. Until then [`Status::clock_ahead`](crate::Status::clock_ahead) shows the
    /// difference.
    pub fn trust_clock(mut self, trust: bool) -> Self {
        self.trusts_clock = trust;
        self
    }

    /// Sets the clock; by default the system's. Tests pass a clock of their own.
    #[cfg(test)]
    pub(crate) fn wall(mut self, wall: Wall) -> Self {
        self.wall = wall;
        self
    }

    /// Sets the reaction to a sink with counts that this state directory did not make; by default the pipeline stops.
    pub fn on_lost_state(mut self, lost_state: LostState) -> Self {
        self.lost_state = lost_state;
        self
    }

    /// Sets the first batch of a sink that is added to a source which has been counted before; by default the next
    /// batch.
    pub fn new_sinks(mut self, start: SinkStart) -> Self {
        self.new_sinks = start;
        self
    }

    /// Begins a new source at the position of another source, whose state directory was copied to `path`. This is for
    /// a machine that was cloned with its state directory and shall count under its own name. The new state directory
    /// has a new epoch and counts from the copied positions on. Once the new source has begun, this setting has no
    /// effect.
    ///
    /// Both machines have the lines that were in the log when it was copied. The original alone delivers the lines
    /// that it had counted by then. Lines that were in the log and not counted yet would be counted by both machines;
    /// to have none, stop evs on the original when everything is delivered, and then copy. `undelivered` decides
    /// about batches in the copy that still wait for a sink.
    pub fn cloned_from(mut self, path: impl AsRef<Path>, undelivered: Undelivered) -> Self {
        self.cloned = Some(Cloned { from: path.as_ref().to_owned(), undelivered });
        self
    }

    /// Checks the settings, locks the state directory and opens the binlog in it.
    ///
    /// This call blocks: it reads the binlog (up to `spool_bytes_max`) and syncs files. Async code uses
    /// [`build_async`](Self::build_async) where that matters.
    ///
    /// The first call in a process also installs a handler for SIGXFSZ, in addition to any that exist. The handler
    /// does nothing, but it keeps the signal from ending the process without a message. Where the size of files is
    /// limited (`ulimit -f`), a write over the limit then fails like a write to a full disk, and reading pauses.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if a setting is missing or impossible, and [`Error::Format`] if the format does not have a
    /// field. [`Error::StateDirRights`], [`Error::StateDir`], [`Error::Locked`], [`Error::Redefined`] and
    /// [`Error::Binlog`] are about the state directory.
    pub fn build(self) -> Result<Pipeline, Error> {
        self.check_limits()?;
        let log = self.log.clone().ok_or_else(|| missing("tail", "the path of a log"))?;
        if log.file_name().is_some_and(|name| name.to_str().is_none()) {
            return Err(Error::Setting {
                setting: "tail".to_owned(),
                value: format!("{log:?}"),
                expected: "a path whose last part is UTF-8, as rotated files are found by their names",
            });
        }
        let format = self.format.clone().ok_or_else(|| missing("format", "a log format"))?;
        let state_dir = self.state_dir.clone().ok_or_else(|| missing("state_dir", "a directory"))?;
        self.check_names()?;
        for statistic in &self.statistics {
            check_statistic(statistic)?;
        }
        let statistics: Vec<_> = self
            .statistics
            .iter()
            .map(|statistic| StatisticConfig {
                schema: statistic.schema(),
                flush_every: statistic.flush_every,
                redefine: statistic.redefine,
            })
            .collect();
        let rows_max = self.statistics.iter().map(|statistic| statistic.rows_max);
        let mut plan = Plan::new(statistics.iter().map(|statistic| &*statistic.schema).zip(rows_max));
        self.limit(&mut plan, &statistics);
        let parser = plan.parser(&format)?;

        if format.is_forgeable() {
            let source = self.source.as_str();
            tracing::warn!(source, "with escape=none, clients can forge lines and fields of this log");
        }
        signals::catch_file_size_limit();
        let state_dir = open_state_dir(state_dir)?;
        let lock = Lock::acquire(&state_dir)?;
        if let Some(cloned) = &self.cloned {
            cloned.begin(&state_dir, &self.source)?;
        }
        let binlog_options = BinlogOptions {
            segment_bytes_max: self.segment_bytes_max,
            keep_acknowledged: self.keep_acknowledged,
        };
        let disk: Arc<dyn Disk> = Arc::new(state_dir.clone());
        #[cfg(test)]
        let disk = self.seams.disk(disk);
        let (binlog, recovery) = Binlog::open(disk, &self.source, binlog_options)?;
        if let Some(torn) = &recovery.torn {
            tracing::warn!(source = self.source, ?torn, "cut off what a crash left unfinished in the binlog");
        }
        check_definitions(&statistics, &binlog)?;

        let names = self.sinks.iter().map(|(name, _)| name.clone());
        let last_time = binlog.state().ledger.time.filter(|_| !self.trusts_clock);
        let clock = Clock::new(self.wall, last_time);
        let board = Board::new(self.source.clone(), clock, self.workers, names);
        let tail = TailOptions {
            begin: self.begin,
            on_gone: self.on_gone,
            on_changed: self.on_changed,
            on_unreadable: self.on_unreadable,
            olddir: self.olddir,
            grace: self.grace,
            line_bytes_max: self.line_bytes_max,
            ..TailOptions::new(log)
        };
        #[cfg(test)]
        let tail = self.seams.tail(tail);
        let config = Config {
            source: self.source,
            tail,
            state_dir,
            binlog: binlog_options,
            statistics,
            sinks: self.sinks.into_iter().map(|(name, sink)| (name.into(), sink)).collect(),
            plan,
            parser,
            workers: self.workers,
            lines_per_second_max: self.lines_per_second_max,
            poll_every: self.poll_every,
            drain_timeout: self.drain_timeout,
            sink_timeout: self.sink_timeout,
            spool_bytes_max: self.spool_bytes_max,
            rejected_bytes_max: self.rejected_bytes_max,
            cut_bytes_max: self.cut_bytes_max,
            keep_samples: self.keep_samples,
            lost_state: self.lost_state,
            new_sinks: self.new_sinks,
        };
        let writer = Writer::this_process(&config.source, binlog.state().epoch);
        Ok(Pipeline {
            config,
            claims: Arc::new(Claims::new(writer)),
            board: Arc::new(board),
            binlog: Mutex::new(Some(binlog)),
            lock: Arc::new(lock),
        })
    }

    /// Narrows the plan to the values that the measures and all sinks accept; a line with another value is rejected.
    fn limit(&self, plan: &mut Plan, statistics: &[StatisticConfig]) {
        let limits =
            self.sinks.iter().fold(Limits::default(), |limits, (_, sink)| limits.and(&sink.limits()));
        plan.limit(&limits);
        plan.rejects_ahead = self.rejects_ahead;
        for (statistic, config) in self.statistics.iter().zip(statistics) {
            for (measure, column) in statistic.measures.iter().zip(&config.schema.measures) {
                if let Some(range) = measure.range(&limits) {
                    plan.narrow(column, &range);
                }
            }
        }
    }

    /// Checks the numbers and durations against their ranges.
    fn check_limits(&self) -> Result<(), Error> {
        let check = |ok: bool, setting: &str, value: String, expected| {
            if ok { Ok(()) } else { Err(Error::Setting { setting: setting.to_owned(), value, expected }) }
        };
        let millisecond = Duration::from_millis(1);
        check((1..=256).contains(&self.workers), "workers", self.workers.to_string(), "1 to 256")?;
        check(self.lines_per_second_max != Some(0), "lines_per_second_max", "0".to_owned(), "1 or more")?;
        check(
            (1 << 10..=64 << 20).contains(&self.line_bytes_max),
            "line_bytes_max",
            self.line_bytes_max.to_string(),
            "1 KiB to 64 MiB, in bytes",
        )?;
        check(
            self.cut_bytes_max >= 1 << 20,
            "cut_bytes_max",
            self.cut_bytes_max.to_string(),
            "1 MiB or more, in bytes",
        )?;
        check(
            self.segment_bytes_max >= 4096,
            "segment_bytes_max",
            self.segment_bytes_max.to_string(),
            "4 KiB or more, in bytes",
        )?;
        check(
            self.spool_bytes_max >= self.segment_bytes_max,
            "spool_bytes_max",
            self.spool_bytes_max.to_string(),
            "at least segment_bytes_max, in bytes",
        )?;
        check(
            self.rejected_bytes_max >= 4096,
            "rejected_bytes_max",
            self.rejected_bytes_max.to_string(),
            "4 KiB or more, in bytes",
        )?;
        check(
            self.poll_every >= millisecond,
            "poll_every",
            format!("{:?}", self.poll_every),
            "1 ms or more",
        )?;
        check(
            self.sink_timeout >= millisecond,
            "sink_timeout",
            format!("{:?}", self.sink_timeout),
            "1 ms or more",
        )
    }

    /// Checks the names of the source, the sinks and the statistics. They become keys of rows in the stores and in the
    /// binlog. evs names no file by them, but a service may do so; every accepted name is safe for that, too.
    fn check_names(&self) -> Result<(), Error> {
        const EXPECTED: &str = "1 to 64 of dots, A-Z, a-z, 0-9, _ and -, the first no dot, each name once";
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let good = |name: &str| {
            (1..=64).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('.')
        };
        let error = |setting: &str, value: &str, expected| {
            Err(Error::Setting { setting: setting.to_owned(), value: format!("{value:?}"), expected })
        };
        if !good(&self.source) {
            return error("source", &self.source, EXPECTED);
        }
        let mut seen = HashSet::new();
        for (name, _) in &self.sinks {
            if !good(name) || !seen.insert(name) {
                return error("sink", name, EXPECTED);
            }
        }
        let mut seen = HashSet::new();
        for statistic in &self.statistics {
            if !is_identifier(&statistic.name, false) || !seen.insert(&statistic.name) {
                let expected =
                    "1 to 63 of a-z, 0-9 and _, beginning with a letter and not with evs_, each once";
                return error("statistic", &statistic.name, expected);
            }
        }
        if self.statistics.is_empty() {
            return Err(missing("statistic", "one or more"));
        }
        if self.sinks.is_empty() {
            return Err(missing("sink", "one or more"));
        }
        Ok(())
    }
}

/// Makes the error for a required setting that is missing.
fn missing(setting: &str, expected: &'static str) -> Error {
    Error::Setting { setting: setting.to_owned(), value: "not set".to_owned(), expected }
}

/// Returns whether every store accepts the name for a table or a column.
fn is_identifier(name: &str, upper_case: bool) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || (upper_case && b.is_ascii_uppercase());
    let allowed = |b: u8| letter(b) || b.is_ascii_digit() || b == b'_';
    (1..=63).contains(&name.len())
        && name.bytes().next().is_some_and(letter)
        && name.bytes().all(allowed)
        && !name.starts_with("evs_")
}

/// The longest time to live that every store supports; Cassandra has the lowest limit.
/// <https://cassandra.apache.org/doc/latest/cassandra/developing/cql/dml.html#time-to-live>
const RETAIN_MAX: Duration = Duration::from_secs(20 * 365 * 86_400);

/// Checks the settings of one statistic.
fn check_statistic(statistic: &Statistic) -> Result<(), Error> {
    let error = |setting: &str, value: String, expected| {
        Err(Error::Setting { setting: format!("statistic {}: {setting}", statistic.name), value, expected })
    };
    let window = statistic.window;
    if window.subsec_nanos() != 0 || !(1..=366 * 86_400).contains(&window.as_secs()) {
        return error("window", format!("{window:?}"), "whole seconds, from 1 s to 366 days");
    }
    if statistic.flush_every < Duration::from_millis(10) {
        return error("flush_every", format!("{:?}", statistic.flush_every), "10 ms or more");
    }
    if !(1..=50_000_000).contains(&statistic.rows_max) {
        return error("rows_max", statistic.rows_max.to_string(), "1 to 50,000,000");
    }
    if let Some(retain) = statistic.retain
        && (retain.subsec_nanos() != 0 || retain < window || retain > RETAIN_MAX)
    {
        return error("retain", format!("{retain:?}"), "whole seconds, from the window's length to 20 years");
    }
    if statistic.measures.is_empty() {
        return error("measure", "not set".to_owned(), "one or more of count, sum, min and max");
    }
    let schema = statistic.schema();
    let mut seen = HashSet::from(["window_start".to_owned()]);
    let keys = schema.keys.iter().map(|key| &key.name);
    for name in keys.chain(schema.measures.iter().map(|measure| &measure.name)) {
        // The comparison ignores case, since SQL ignores it in the names of columns.
        if !is_identifier(name, true) || !seen.insert(name.to_ascii_lowercase()) {
            let expected = "1 to 63 of letters, digits and _, beginning with a letter, each once and not \
                            window_start (give the key or measure a name with `named`)";
            return error("column", format!("{name:?}"), expected);
        }
    }
    for range in statistic.measures.iter().filter_map(|measure| measure.within.as_ref()) {
        if range.is_empty() {
            return error("within", format!("{range:?}"), "a range from its lowest to its highest value");
        }
    }
    for measure in &schema.measures {
        if measure.scale > 18 {
            return error("scale", measure.scale.to_string(), "0 to 18");
        }
        if measure.kind != MeasureKind::Count && measure.field.is_empty() {
            return error("measure", format!("{:?}", measure.name), "the name of a field");
        }
    }
    Ok(())
}

/// Opens the state directory. It must belong to this user alone: anybody else who can write to it could change the
/// numbers.
fn open_state_dir(path: PathBuf) -> Result<RealDisk, Error> {
    let opened = RealDisk::open(&path).and_then(|disk| Ok((disk.rights()?, disk)));
    let (rights, disk) = opened.map_err(|source| Error::StateDir { op: "opening", path, source })?;
    let user = disk::user();
    if !rights.are_exclusive_to(user) {
        return Err(Error::StateDirRights {
            path: disk.path(),
            mode: rights.mode,
            owner: rights.owner,
            user,
        });
    }
    Ok(disk)
}

/// Compares the definitions of the statistics with the ones that the state directory knows.
fn check_definitions(statistics: &[StatisticConfig], binlog: &Binlog) -> Result<(), Error> {
    for statistic in statistics {
        let name = &statistic.schema.statistic;
        let Some(known) = binlog.state().statistics.get(name) else {
            continue;
        };
        if let Some(difference) = known.schema.difference(&statistic.schema) {
            if !statistic.redefine {
                return Err(Error::Redefined { statistic: name.clone(), difference });
            }
            tracing::warn!(statistic = name, difference, "the statistic is defined anew");
        }
    }
    Ok(())
}
