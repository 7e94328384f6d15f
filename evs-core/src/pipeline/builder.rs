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
    sink::{Limits, Sink, Writer},
    statistic::{MeasureKind, Statistic},
    status::Board,
    tail::{Begin, OnChanged, OnGone, OnUnreadable, TailOptions},
};

/// What to do when a sink has counts of the source that this state directory has not made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LostState {
    /// Stop and say so: going on would count twice, or leave out.
    #[default]
    Refuse,
    /// Go on in the log where the sinks stand. For a state directory that was lost; the new one must be empty,
    /// and all sinks must stand at the same position.
    Adopt,
    /// Begin as a new source does, beside what the sinks have. For when their tables were emptied on purpose.
    StartOver,
}

/// Where a sink begins that is added to a source that has been counted before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkStart {
    /// With the next batch that is cut.
    #[default]
    Now,
    /// With the oldest batch that the binlog still has.
    Oldest,
}

/// The settings of a [`Pipeline`]. Setters store; [`build`](Self::build) judges.
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

    /// The log to follow, through all its rotations. It need not exist yet. Required.
    ///
    /// Rotated files are found beside it and, if it is a symbolic link, beside the file that it leads to; in another
    /// directory, if [`olddir`](Self::olddir) names it. A name with times in it, in the letters of `strftime`
    /// (`access.%Y-%m-%d.log`), stands for a log without a live file, as cronolog and rotatelogs write it: each file is
    /// followed until the next one has lines.
    pub fn tail(mut self, log: impl AsRef<Path>) -> Self {
        self.log = Some(log.as_ref().to_owned());
        self
    }

    /// How the log's lines are written. Required.
    pub fn format(mut self, format: LogFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Adds a statistic. One is required at least.
    ///
    /// A statistic that is added to a source that has been counted before begins where the source stands. One
    /// that was taken out and comes back goes on where it ended, or, if the log was rotated meanwhile, where
    /// the source let go of the last file.
    pub fn statistic(mut self, statistic: Statistic) -> Self {
        self.statistics.push(statistic);
        self
    }

    /// Adds a sink under a name by which the state directory knows it: 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_`
    /// and `-`, the first not a dot. One is required at least.
    pub fn sink(mut self, name: impl Into<String>, sink: impl Sink) -> Self {
        self.sinks.push((name.into(), Arc::new(sink)));
        self
    }

    /// Where positions and batches are kept: a directory on a local disk, of this pipeline's own. Made with mode 0700
    /// if it does not exist. Required.
    ///
    /// It must belong to the user that the process runs as, and nobody else may write to it. That holds for root, too:
    /// what root leaves in the directory of a service, the service could not open. While the pipeline lives, the
    /// directory must stay where it is: a pipeline whose directory was moved or replaced stops before it writes.
    pub fn state_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.state_dir = Some(path.as_ref().to_owned());
        self
    }

    /// Where in its log a new source begins; by default at the start of the live file.
    pub fn begin(mut self, begin: Begin) -> Self {
        self.begin = begin;
        self
    }

    /// Whether to stop or to go on when a file is gone of which bytes had not been read; by default to stop.
    pub fn on_gone(mut self, on_gone: OnGone) -> Self {
        self.on_gone = on_gone;
        self
    }

    /// What to do when a file begins like one that was read, and does not have the bytes that were read of it; by
    /// default to stop.
    pub fn on_changed(mut self, on_changed: OnChanged) -> Self {
        self.on_changed = on_changed;
        self
    }

    /// What to do when a rotated file that may be unread cannot be decompressed; by default to stop.
    pub fn on_unreadable(mut self, on_unreadable: OnUnreadable) -> Self {
        self.on_unreadable = on_unreadable;
        self
    }

    /// A further directory in which rotated files are, as logrotate's `olddir`; relative to that of the log.
    pub fn olddir(mut self, directory: impl AsRef<Path>) -> Self {
        self.olddir = Some(directory.as_ref().to_owned());
        self
    }

    /// How long a rotated file must not have grown before it is closed: 10 s by default. Longer than the
    /// `flush=` of nginx's `access_log`, and than its workers take to reopen.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The longest line that is parsed, in bytes; a longer one is rejected. 1 MiB by default, 1 KiB to 64 MiB.
    pub fn line_bytes_max(mut self, bytes: u64) -> Self {
        self.line_bytes_max = bytes;
        self
    }

    /// How many threads parse and aggregate: 1 by default, at most 256.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// How many lines a second are read at most, so that catching up with a log of hours does not take the processor from
    /// the service around it. Over any second and more; reading goes on in steps of some thousand lines. No limit by
    /// default.
    pub fn lines_per_second_max(mut self, lines: u64) -> Self {
        self.lines_per_second_max = Some(lines);
        self
    }

    /// How often the log is looked at: every 250 ms by default, 1 ms or more. With the feature `notify` new
    /// lines are noticed earlier.
    pub fn poll_every(mut self, interval: Duration) -> Self {
        self.poll_every = interval;
        self
    }

    /// How long a shutdown waits for the sinks to take what is left: 10 s by default.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// How long a call to a sink may take: 5 minutes by default, 1 ms or more. A call that takes longer is given up and
    /// made again, each time with twice as long, up to 16 times this: a store that is too slow for a batch takes it in
    /// the end.
    pub fn sink_timeout(mut self, timeout: Duration) -> Self {
        self.sink_timeout = timeout;
        self
    }

    /// How many bytes of the log are read at most before every statistic is cut, whatever its flush interval: 4 GiB
    /// by default, 1 MiB or more. If the process before was killed, it is 64 MiB at first, so that a process that is
    /// killed again and again gets on.
    pub fn cut_bytes_max(mut self, bytes: u64) -> Self {
        self.cut_bytes_max = bytes;
        self
    }

    /// How large the binlog may become, in bytes, while a sink is away; then reading waits. 1 GiB by default.
    pub fn spool_bytes_max(mut self, bytes: u64) -> Self {
        self.spool_bytes_max = bytes;
        self
    }

    /// How large a file of the binlog becomes before the next one is begun: 64 MiB by default, 4 KiB or more.
    pub fn segment_bytes_max(mut self, bytes: u64) -> Self {
        self.segment_bytes_max = bytes;
        self
    }

    /// How long batches are kept that every sink has acknowledged, for one that comes back older than it was:
    /// 10 minutes by default.
    pub fn keep_acknowledged(mut self, time: Duration) -> Self {
        self.keep_acknowledged = time;
        self
    }

    /// How large a file of rejected lines becomes before the next one is begun, in bytes: 16 MiB by default.
    /// The last two files are kept. Of the lines rejected between two cuts at most 1,000 a worker are written
    /// there, the first KiB of each; all of them are counted.
    pub fn rejected_bytes_max(mut self, bytes: u64) -> Self {
        self.rejected_bytes_max = bytes;
        self
    }

    /// Whether rejected lines are kept with their text, which may hold what is private: yes by default.
    pub fn keep_samples(mut self, keep: bool) -> Self {
        self.keep_samples = keep;
        self
    }

    /// Whether a line is rejected whose time is more than a day ahead of the clock. By default it is counted in the
    /// window of its time, and [`Status::ahead`](crate::Status::ahead) tells.
    ///
    /// Read again after a crash, at another time, such a line may be judged otherwise in a statistic that had not counted
    /// it.
    pub fn reject_ahead(mut self, reject: bool) -> Self {
        self.rejects_ahead = reject;
        self
    }

    /// Whether the system's clock is believed at the start although it is more than ten minutes ahead of where it was
    /// when the state directory was last written: no by default, since a clock that is wrong would remove windows from
    /// the sinks and call lines too late. It is believed without this when it has lasted an hour;
    /// [`Status::clock_ahead`](crate::Status::clock_ahead) tells until then.
    pub fn trust_clock(mut self, trust: bool) -> Self {
        self.trusts_clock = trust;
        self
    }

    /// Goes by another clock than the system's.
    #[cfg(test)]
    pub(crate) fn wall(mut self, wall: Wall) -> Self {
        self.wall = wall;
        self
    }

    /// What to do when a sink has counts that this state directory has not made; by default to stop.
    pub fn on_lost_state(mut self, lost_state: LostState) -> Self {
        self.lost_state = lost_state;
        self
    }

    /// Where a sink begins that is added to a source that has been counted before; by default with the next
    /// batch.
    pub fn new_sinks(mut self, start: SinkStart) -> Self {
        self.new_sinks = start;
        self
    }

    /// Begins a new source where the state directory at `path`, a copy of another source's, stands in its log. For a
    /// machine that was cloned with its state directory, and goes on counting under a name of its own: the new state
    /// directory has a new epoch and counts from the copied positions on. Changes nothing once it was begun.
    ///
    /// Both machines have the lines that were in the log when it was copied. Those that were counted by then are the
    /// original's alone; to have none that were not, stop evs on the original before it is copied, when everything is
    /// delivered. `undelivered` says what becomes of batches in the copy that wait for a sink.
    pub fn cloned_from(mut self, path: impl AsRef<Path>, undelivered: Undelivered) -> Self {
        self.cloned = Some(Cloned { from: path.as_ref().to_owned(), undelivered });
        self
    }

    /// Judges the settings, locks the state directory and opens the binlog in it.
    ///
    /// It blocks: it reads the binlog (up to `spool_bytes_max`) and syncs files. Async code takes
    /// [`build_async`](Self::build_async) where that matters.
    ///
    /// The first call in a process also installs a handler for SIGXFSZ, beside any that is there, which does nothing.
    /// Where the size of files is limited (`ulimit -f`), a write that exceeds the limit then fails like one to a full
    /// disk, and reading waits; otherwise the signal would end the process without a word.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a setting that is missing or impossible, [`Error::Format`] for a field that the
    /// format has not, [`Error::StateDirRights`], [`Error::StateDir`], [`Error::Locked`], [`Error::Redefined`] and
    /// [`Error::Binlog`] for the state directory.
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

    /// Holds lines to what the measures and all sinks allow.
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

    /// The source's and the sinks' names, which become keys of rows in the stores and in the binlog. No file is named by
    /// them, but a service may name one so.
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

fn missing(setting: &str, expected: &'static str) -> Error {
    Error::Setting { setting: setting.to_owned(), value: "not set".to_owned(), expected }
}

/// Whether a name can be a table's or a column's in every store.
fn is_identifier(name: &str, upper_case: bool) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || (upper_case && b.is_ascii_uppercase());
    let allowed = |b: u8| letter(b) || b.is_ascii_digit() || b == b'_';
    (1..=63).contains(&name.len())
        && name.bytes().next().is_some_and(letter)
        && name.bytes().all(allowed)
        && !name.starts_with("evs_")
}

/// The longest time to live that every store knows: Cassandra's.
/// <https://cassandra.apache.org/doc/latest/cassandra/developing/cql/dml.html#time-to-live>
const RETAIN_MAX: Duration = Duration::from_secs(20 * 365 * 86_400);

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
        // Without regard to case, as SQL compares the names of columns.
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

/// Opens the state directory, which must be this user's alone: whoever else may write to it could change the numbers.
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

/// Holds the definitions against those that the state directory knows.
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
