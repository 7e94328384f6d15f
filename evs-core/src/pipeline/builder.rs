//! The builder of a [`Pipeline`]: one setter per setting, with the setting's meaning, unit, default and range.
//!
//! Setters only store a value in [`Settings`]. [`PipelineBuilder::build`] judges all of them and makes the pipeline.

use std::{path::Path, sync::Arc, time::Duration};

#[cfg(any(test, feature = "internals"))]
use super::environment::Environment;
use super::{
    clone::{Cloned, Undelivered},
    host::Pipeline,
    settings::{LostState, Settings, SinkStart},
};
#[cfg(test)]
use crate::clock::Wall;
use crate::{
    clock::bounded,
    derive::Condition,
    format::LogFormat,
    sink::Sink,
    statistic::Statistic,
    tail::{Begin, OnChanged, OnGone, OnUnreadable},
};

/// The settings of a [`Pipeline`]. Setters only store a value; [`build`](Self::build) checks all of them.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{Error, LogFormat, MemorySink, Pipeline, Statistic, count};
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
    pub(super) settings: Settings,
}

impl Pipeline {
    /// Makes the builder of a pipeline for the given source. The name has 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_`
    /// and `-`, and does not begin with a dot. It must be unique among all pipelines that write to the same sinks; a
    /// host name is a good choice.
    pub fn builder(source: impl Into<String>) -> PipelineBuilder {
        PipelineBuilder { settings: Settings::new(source.into()) }
    }
}

#[cfg(any(test, feature = "internals"))]
impl Environment {
    /// Puts a pipeline into these surroundings.
    pub fn surround(self, mut builder: PipelineBuilder) -> PipelineBuilder {
        builder.settings.environment = self;
        builder
    }
}

impl PipelineBuilder {
    /// Sets the log to follow, through all its rotations. The log need not exist yet. Required.
    ///
    /// evs looks for rotated files in the directory of the log. If the log is a symbolic link, it also looks in the
    /// directory of the link's target, and if [`olddir`](Self::olddir) is set, there, too.
    ///
    /// A name that contains times in the letters of `strftime` (`access.%Y-%m-%d.log`) stands for a log without a
    /// live file, as cronolog and rotatelogs write it. Each of its files is followed until the next one has lines.
    ///
    /// A path with the letters `*`, `?` or `[` is a pattern, as in a shell, in its name and in its directories. Every log that
    /// matches is followed through its own rotations, as one source; one that appears later is read from its start. A
    /// name that is that of a rotated file of another name that matches is no log of its own. `docs/log.md` in the
    /// repository has the rules, and what happens to a log that vanishes.
    ///
    /// ```
    /// # use evs_core::{LogFormat, MemorySink, Pipeline, Statistic, count};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// let logs = directory.path().join("nginx");
    /// std::fs::create_dir(&logs)?;
    /// for name in ["shop.access.log", "blog.access.log", "blog.access.log.1"] {
    ///     let line = "::1 - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" 200 5\n";
    ///     std::fs::write(logs.join(name), line.replace("GET /", &format!("GET /{name}")))?;
    /// }
    /// let pipeline = Pipeline::builder("web1")
    ///     .tail(logs.join("*.access.log"))
    ///     .format(LogFormat::common())
    ///     .statistic(Statistic::named("requests").measure(count()))
    ///     .sink("memory", MemorySink::new())
    ///     .state_dir(directory.path().join("state"))
    ///     .build()?;
    /// // The rotated file of the blog is older than the source.
    /// assert_eq!(pipeline.run_to_end(std::future::pending()).await?.lines, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) returns [`Error::Setting`](crate::Error::Setting) for a pattern that is not understood, with the
    /// column of the mistake.
    pub fn tail(mut self, log: impl AsRef<Path>) -> Self {
        self.settings.tail.path = log.as_ref().to_owned();
        self
    }

    /// Sets the format of the log's lines. Required.
    pub fn format(mut self, format: LogFormat) -> Self {
        self.settings.tail.preamble = format.preamble();
        self.settings.format = Some(format);
        self
    }

    /// Adds a statistic. At least one is required.
    ///
    /// A statistic that is added to a source which has been counted before begins at the source's position. A
    /// statistic that was removed and comes back continues where it ended; if the log was rotated meanwhile, it
    /// continues where the source closed the last file. The batches of a statistic that was removed are still delivered,
    /// with the definition under which they were cut.
    pub fn statistic(mut self, statistic: Statistic) -> Self {
        self.settings.statistics.push(statistic);
        self
    }

    /// Rejects each line for which the condition is false, before any statistic counts it. The line is counted in
    /// [`Status::rejected`](crate::Status::rejected) and kept in the file of rejected lines under the name of the check
    /// ([`Reason::Check`](crate::Reason::Check)). This is for forged input: a request with a wrong signature is a request, but
    /// no event that a customer pays for.
    ///
    /// Several checks are made in their order, and the first that fails gives the reason. A check is part of what the log means,
    /// like its format: changing it changes no definition.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # use evs::{Condition, LogFormat, Pipeline, arg};
    /// # fn is_signed(args: &[u8]) -> bool { !args.is_empty() }
    /// // It runs once per distinct query string.
    /// let signed = Condition::code("is_signed", 1, ["args"], |values| is_signed(values[0]));
    /// let builder = Pipeline::builder("web1").format(LogFormat::combined()).require("signature", signed);
    /// ```
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) returns [`Error::Setting`](crate::Error::Setting) if the name is not 1 to 63 of `a-z`, `0-9` and
    /// `_`, beginning with a letter, if it is the name of another check or the [code](crate::Reason::code) of another reason,
    /// or if the condition has a mistake.
    pub fn require(mut self, name: impl Into<String>, condition: Condition) -> Self {
        self.settings.checks.push((name.into(), condition));
        self
    }

    /// Adds a sink. The state directory knows it by `name`: 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`, the
    /// first not a dot. At least one sink is required.
    ///
    /// Give the sink a name for what it is for, such as `reports`, and keep it when its address changes: batches that
    /// wait are delivered to the sink with their name. To change a name, use [`formerly`](Self::formerly). To take a
    /// sink out for which batches wait, use [`forget_sink`](Self::forget_sink).
    pub fn sink(mut self, name: impl Into<String>, sink: impl Sink) -> Self {
        self.settings.sinks.push((name.into().into(), Arc::new(sink)));
        self
    }

    /// Says that the sink which was added last had another name: the sink goes on where that name stands, and gets the
    /// batches that wait for it. The call may stay in the code for as long as you like: it has an effect at the first
    /// run only, or none if the state directory does not know `name`. A sink may have several former names.
    ///
    /// ```
    /// use evs_core::{Error, LogFormat, MemorySink, Pipeline, PipelineBuilder, Statistic, count};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let log = directory.path().join("access.log");
    /// # std::fs::write(&log, "::1 - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" 200 5\n")?;
    /// # let builder = || Pipeline::builder("web1")
    /// #     .tail(&log)
    /// #     .format(LogFormat::common())
    /// #     .statistic(Statistic::named("requests").measure(count()))
    /// #     .state_dir(directory.path().join("state"));
    /// let sink = MemorySink::new();
    /// let pipeline = builder().sink("reports", sink.clone()).build()?;
    /// pipeline.run_to_end(std::future::pending()).await?;
    /// drop(pipeline);
    ///
    /// let pipeline = builder().sink("pg", sink).formerly("reports").build()?;
    /// let summary = pipeline.run_to_end(std::future::pending()).await?;
    /// assert_eq!((summary.lines, summary.is_complete), (0, true));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) returns [`Error::Setting`](crate::Error::Setting) if no sink was added before this call,
    /// or if a sink that is configured has that name, and
    /// [`Error::UndeliveredSink`](crate::Error::UndeliveredSink) if the state directory knows both names and batches
    /// wait for the former one.
    pub fn formerly(mut self, name: impl Into<String>) -> Self {
        let sink = self.settings.sinks.last().map(|(sink, _)| Arc::clone(sink));
        self.settings.names.former.push((sink, name.into()));
        self
    }

    /// Gives up the batches that wait for a sink which is no longer configured: this sink never gets their rows. A
    /// warning has their number. If the state directory does not know the name, nothing happens, so the call may stay
    /// in the code.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) returns [`Error::Setting`](crate::Error::Setting) if a sink with that name is configured.
    pub fn forget_sink(mut self, name: impl Into<String>) -> Self {
        self.settings.names.forgotten.push(name.into());
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
        self.settings.state_dir = Some(path.as_ref().to_owned());
        self
    }

    /// Sets the position in the log at which a new source begins; by default the start of the live file.
    pub fn begin(mut self, begin: Begin) -> Self {
        self.settings.tail.begin = begin;
        self
    }

    /// Sets the reaction to a file that is gone before all its bytes were read: stop, which is the default, or go on.
    pub fn on_gone(mut self, on_gone: OnGone) -> Self {
        self.settings.tail.on_gone = on_gone;
        self
    }

    /// Sets the reaction to a file that begins like one that was read before, but no longer has the bytes that were
    /// read; by default the pipeline stops.
    pub fn on_changed(mut self, on_changed: OnChanged) -> Self {
        self.settings.tail.on_changed = on_changed;
        self
    }

    /// Sets the reaction to a rotated file that may be unread and cannot be decompressed; by default the pipeline
    /// stops.
    pub fn on_unreadable(mut self, on_unreadable: OnUnreadable) -> Self {
        self.settings.tail.on_unreadable = on_unreadable;
        self
    }

    /// Adds a directory with rotated files, like logrotate's `olddir`. A relative path starts at the directory of the
    /// log.
    pub fn olddir(mut self, directory: impl AsRef<Path>) -> Self {
        self.settings.tail.olddir = Some(directory.as_ref().to_owned());
        self
    }

    /// Sets the time for which a rotated file must not grow before it is closed: 10 s by default. It should be longer
    /// than the `flush=` of nginx's `access_log`, and longer than nginx's workers take to reopen the log.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.tail.grace = bounded(grace);
        self
    }

    /// Sets the length of the longest line that is parsed, in bytes: 1 MiB by default, and 1 KiB to 64 MiB. A longer
    /// line is rejected.
    pub fn line_bytes_max(mut self, bytes: u64) -> Self {
        self.settings.tail.line_bytes_max = bytes;
        self
    }

    /// Sets the number of threads that parse and aggregate: 1 by default, at most 256. A run has two threads more: one
    /// decides what is read, and one writes the binlog. Between runs a pipeline has no threads.
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = workers;
        self
    }

    /// Limits the number of lines read per second, so that catching up with hours of a log leaves the processor to
    /// the service around it. The limit holds over any period of a second or more; within it, lines are read in
    /// chunks of some thousands. No limit by default.
    pub fn lines_per_second_max(mut self, lines: u64) -> Self {
        self.settings.lines_per_second_max = Some(lines);
        self
    }

    /// Sets the interval at which the log is checked for new lines: 250 ms by default, 1 ms or more. With the feature
    /// `notify` new lines are noticed earlier.
    pub fn poll_every(mut self, interval: Duration) -> Self {
        self.settings.poll_every = bounded(interval);
        self
    }

    /// Sets the time that a shutdown waits for the sinks to apply the batches that are left: 10 s by default.
    /// `Duration::MAX` waits for all of them, however long it takes.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.settings.drain_timeout = bounded(timeout);
        self
    }

    /// Sets the time that [`run_to_end`](super::Pipeline::run_to_end) waits for the sinks after it has read everything.
    /// Then it returns, and the batches that are left wait in the binlog for the next run. There is no limit by
    /// default: a run to the end delivers everything, however long it takes. If it is told to stop, at most the
    /// [`drain_timeout`](Self::drain_timeout) remains.
    pub fn end_timeout(mut self, timeout: Duration) -> Self {
        self.settings.end_timeout = Some(bounded(timeout));
        self
    }

    /// Sets the deadline of a call to a sink: 5 minutes by default, 1 ms or more. A call that takes longer is
    /// abandoned and made again. Each attempt gets twice the time of the one before, up to 16 times this setting, so
    /// that a slow store can apply a large batch in the end.
    pub fn sink_timeout(mut self, timeout: Duration) -> Self {
        self.settings.sink_timeout = bounded(timeout);
        self
    }

    /// Sets the number of bytes of the log after which every statistic is cut, whatever its flush interval: 4 GiB by
    /// default, 1 MiB or more. If the previous process was killed, the first cut comes after 64 MiB, so that a
    /// process that is killed again and again still makes progress.
    pub fn cut_bytes_max(mut self, bytes: u64) -> Self {
        self.settings.cut_bytes_max = bytes;
        self
    }

    /// Sets the size of the binlog, in bytes, at which reading pauses until the sinks have caught up: 1 GiB by
    /// default. It is the space for batches that wait while a sink is away.
    pub fn spool_bytes_max(mut self, bytes: u64) -> Self {
        self.settings.spool_bytes_max = bytes;
        self
    }

    /// Sets the size of a binlog segment, in bytes, after which the next segment begins: 64 MiB by default, 4 KiB or
    /// more.
    pub fn segment_bytes_max(mut self, bytes: u64) -> Self {
        self.settings.binlog.segment_bytes_max = bytes;
        self
    }

    /// Sets the time for which a batch is kept after every sink has acknowledged it: 10 minutes by default. A store
    /// that loses its latest changes, for example in a failover, gets these batches again.
    pub fn keep_acknowledged(mut self, time: Duration) -> Self {
        self.settings.binlog.keep_acknowledged = time;
        self
    }

    /// Sets the size of a file of rejected lines, in bytes, after which the next file begins: 16 MiB by default. The
    /// last two files are kept. Between two cuts each worker writes at most 1,000 rejected lines there, and the first
    /// KiB of each; all of them are counted.
    pub fn rejected_bytes_max(mut self, bytes: u64) -> Self {
        self.settings.rejected_bytes_max = bytes;
        self
    }

    /// Decides whether rejected lines are kept with their text, which may contain private data: yes by default.
    pub fn keep_samples(mut self, keep: bool) -> Self {
        self.settings.keep_samples = keep;
        self
    }

    /// Decides whether a line is rejected if its time is more than a day ahead of the clock. By default such a line
    /// is counted in the window of its time, and [`Status::ahead`](crate::Status::ahead) counts it.
    ///
    /// A line that is read again after a crash is judged by the clock of that later moment. The result may then be
    /// different in a statistic that had not counted the line yet.
    pub fn reject_ahead(mut self, reject: bool) -> Self {
        self.settings.rejects_ahead = reject;
        self
    }

    /// Decides whether the system's clock is trusted at the start even if it is more than ten minutes ahead of the
    /// last time in the state directory. No by default: a wrong clock would remove windows from the sinks and make
    /// lines too late. A process that was down for longer looks the same; it can do without this setting, since such
    /// a clock is trusted after an hour. Until then [`Status::clock_ahead`](crate::Status::clock_ahead) shows the
    /// difference.
    pub fn trust_clock(mut self, trust: bool) -> Self {
        self.settings.trusts_clock = trust;
        self
    }

    /// Sets the clock; by default the system's. Tests pass a clock of their own.
    #[cfg(test)]
    pub(crate) fn wall(mut self, wall: Wall) -> Self {
        self.settings.environment.wall = wall;
        self
    }

    /// Sets the reaction to a sink with counts that this state directory did not make; by default the pipeline stops.
    pub fn on_lost_state(mut self, lost_state: LostState) -> Self {
        self.settings.lost_state = lost_state;
        self
    }

    /// Sets the first batch of a sink that is added to a source which has been counted before; by default the next
    /// batch.
    pub fn new_sinks(mut self, start: SinkStart) -> Self {
        self.settings.new_sinks = start;
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
        self.settings.cloned = Some(Cloned { from: path.as_ref().to_owned(), undelivered });
        self
    }
}
