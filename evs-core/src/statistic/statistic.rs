//! The definition of a statistic, as a pipeline takes it.

use std::{sync::Arc, time::Duration};

use super::{
    keys::IntoKeys,
    measure::{Measure, max},
    schema::{KeyColumn, MeasureColumn, Sample, Schema},
};
use crate::{
    clock::bounded,
    derive::{Condition, Field},
    tail::Begin,
};

/// A statistic to compute: its window, group-by keys and measures, and the interval of delivery.
///
/// Each line of the log falls into one window of event time, by its own time. Per window there is one row for each
/// combination of key values, and each measure of the row summarises the lines that fell into it. A sink keeps the
/// rows of a statistic in a table of the same name, which has the column `window_start`, a column per key and a column
/// per measure.
///
/// A line counts in all statistics of a pipeline or in none: if any measure of any statistic cannot use it, the line
/// is [rejected](crate::Rejection) for all of them. Only a line that is too late for a [retention](Self::retain)
/// counts in some statistics and not in others.
///
/// Setters only store their values. [`PipelineBuilder::build`](crate::PipelineBuilder::build) checks them.
///
/// # Examples
///
/// ```
/// # extern crate evs_core as evs;
/// use std::time::Duration;
///
/// use evs::{Statistic, arg, count, max, sum};
///
/// let statistic = Statistic::named("ad_events")
///     .window(Duration::from_secs(60))
///     .group_by([arg("c").named("campaign"), arg("t").named("type")])
///     .measure(count())
///     .measure(sum(arg("v")).scale(2).named("revenue"))
///     .measure(max("request_time").scale(3))
///     .flush_every(Duration::from_secs(5))
///     .retain(Duration::from_secs(90 * 86_400));
/// ```
///
/// From three lines to two rows:
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{LogFormat, MemorySink, Pipeline, Sink, Statistic, arg, count, sum};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let (log, state) = (directory.path().join("access.log"), directory.path().join("state"));
/// let lines = [
///     r#"::1 [21/Nov/2026:13:25:22 +0000] "GET /e?c=7&v=1.50 HTTP/1.1""#,
///     r#"::1 [21/Nov/2026:13:25:59 +0000] "GET /e?c=7&v=0.25 HTTP/1.1""#,
///     r#"::1 [21/Nov/2026:13:26:00 +0000] "GET /e?c=7&v=3 HTTP/1.1""#,
/// ];
/// std::fs::write(&log, lines.map(|line| format!("{line}\n")).concat())?;
///
/// let sales = Statistic::named("sales")
///     .group_by([arg("c").named("campaign")])
///     .measure(count())
///     .measure(sum(arg("v")).scale(2).named("revenue"));
/// let sink = MemorySink::new();
/// let pipeline = Pipeline::builder("web1")
///     .tail(&log)
///     .format(LogFormat::nginx(r#"$remote_addr [$time_local] "$request""#)?)
///     .statistic(sales)
///     .sink("memory", sink.clone())
///     .state_dir(&state)
///     .build()?;
/// pipeline.run_to_end(std::future::pending()).await?;
///
/// let schema = pipeline.schemas().next().expect("one statistic");
/// let rows = sink.totals(schema, i64::MIN..i64::MAX).await?;
/// let rows: Vec<_> = rows.iter().map(|row| (row.window_start, row.keys, row.values)).collect();
/// // The scale of the revenue is 2, so a store without decimals holds it in hundredths.
/// assert_eq!(rows[0], (1_795_267_500, vec![&b"7"[..]], vec![Some(2), Some(175)]));
/// assert_eq!(rows[1], (1_795_267_560, vec![&b"7"[..]], vec![Some(1), Some(300)]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Statistic {
    pub(crate) name: String,
    /// The lines that are counted. `None` counts all.
    pub(crate) only: Option<Condition>,
    /// Of how many lines one is counted, and the field by whose values; without a field by position.
    pub(crate) sample: Option<(u32, Option<Field>)>,
    /// The number of keys that a window shows. `None` shows all.
    pub(crate) top: Option<u32>,
    /// The names of the sinks that get the rows. `None` is all of them.
    pub(crate) to: Option<Vec<String>>,
    /// The length of a window.
    pub(crate) window: Duration,
    pub(crate) keys: Vec<Field>,
    /// The registers of distinct counts, which are keys after the user's own.
    pub(crate) slots: Vec<Field>,
    pub(crate) measures: Vec<Measure>,
    pub(crate) flush_every: Duration,
    pub(crate) rows_max: usize,
    /// The time for which sinks keep a window after its start. `None` keeps it for ever.
    pub(crate) retain: Option<Duration>,
    /// True if another definition than that of the last start is accepted.
    pub(crate) redefine: bool,
    /// The place in the log at which the statistic begins when it is new.
    pub(crate) begin: Begin,
}

impl Statistic {
    /// The default of [`Statistic::rows_max`]: about 50 MB of rows per worker, plus their keys.
    pub const ROWS_MAX: usize = 500_000;

    /// A statistic with that name: 1 to 63 of `a-z`, `0-9` and `_`, beginning with a letter and not with `evs_`. Sinks
    /// use it as the name of the table.
    ///
    /// By default it has windows of 60 s and no keys, is flushed every 5 s, and is kept for ever. It needs at least
    /// one [`measure`](Self::measure).
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            only: None,
            sample: None,
            top: None,
            to: None,
            window: Duration::from_secs(60),
            keys: Vec::new(),
            slots: Vec::new(),
            measures: Vec::new(),
            flush_every: Duration::from_secs(5),
            rows_max: Self::ROWS_MAX,
            retain: None,
            redefine: false,
            begin: Begin::End,
        }
    }

    /// The length of a window of event time: whole seconds, from 1 s (60 s by default) to 366 days. Windows are
    /// aligned to 1970-01-01T00:00:00Z.
    ///
    /// So a window of 86 400 s is a day of UTC. A window cannot be a day of a time zone, since such a day may have 23
    /// or 25 hours. But windows of 15 minutes add up to the days of any zone in use: a query can group them by
    /// `window_start` in that zone. A line's own time has an offset, which decides its window even in the hour that is
    /// repeated when clocks are set back.
    ///
    /// A line that comes late is added to the window of its own time: there is no point after which a window is
    /// closed, except its [retention](Self::retain).
    #[must_use]
    pub fn window(mut self, length: Duration) -> Self {
        self.window = length;
        self
    }

    /// Counts only the lines for which the condition is true. Of several conditions, all must be.
    ///
    /// A line that is not selected is counted by other statistics, or by none: a condition rejects nothing. For that, see
    /// [`PipelineBuilder::require`](crate::PipelineBuilder::require). It is part of the definition: a statistic cannot change
    /// it.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # use evs::{Statistic, count, field};
    /// let slow_errors = Statistic::named("slow_errors")
    ///     .only(field("status").ge(500) & field("request_time").gt(0.5))
    ///     .group_by(["uri"])
    ///     .measure(count());
    /// ```
    #[must_use]
    pub fn only(mut self, condition: Condition) -> Self {
        self.only = Some(match self.only {
            Some(known) => known & condition,
            None => condition,
        });
        self
    }

    /// Counts one line in `one_in`, chosen by a hash of the line's position in its file: 1 to 4,294,967,295.
    ///
    /// The choice is the same when a line is read again after a crash. The numbers are those of the sample: nothing is
    /// multiplied. The rate is part of the definition ([`Schema::sample`](crate::Schema::sample)): a statistic cannot change it.
    #[must_use]
    pub fn sample(mut self, one_in: u32) -> Self {
        self.sample = Some((one_in, None));
        self
    }

    /// Counts the lines of one value in `one_in` of a field, chosen by a hash of the value: all lines of a visitor, for example,
    /// or none. See [`sample`](Self::sample).
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # use evs::{Statistic, count};
    /// let paths = Statistic::named("paths").sample_by(100, "remote_addr").group_by(["remote_addr", "uri"]).measure(count());
    /// ```
    #[must_use]
    pub fn sample_by(mut self, one_in: u32, field: impl Into<Field>) -> Self {
        self.sample = Some((one_in, Some(field.into())));
        self
    }

    /// Shows at most `keys` rows of each window in a batch: those whose first measure, a count or a sum, is highest. One further
    /// row, whose keys are `(other)`, has the rest, so all totals stay exact. 1 to 1,000,000.
    ///
    /// Memory and rows are bounded by the list, however many keys clients choose. A row that is shown is a lower bound: the
    /// lines of its keys may be in the row of the others for the batches in which they were not among the best. Of a window with
    /// `N` lines, at most `1.75 N / keys` of any key's lines are there. (With a sum, `N` is the window's sum, and values are not
    /// negative.) A batch is one flush interval, so with
    /// [`flush_every`](Self::flush_every) of a window's length each window has one list. With a shorter one, a window has the
    /// keys of several lists.
    ///
    /// A key that is `(other)` itself is always in the row of the others.
    ///
    /// It is part of the definition: a statistic cannot change it.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # use std::time::Duration;
    /// # use evs::{Statistic, count};
    /// let pages = Statistic::named("top_pages")
    ///     .window(Duration::from_secs(3600))
    ///     .flush_every(Duration::from_secs(3600))
    ///     .group_by(["uri"])
    ///     .measure(count())
    ///     .top(100);
    /// ```
    #[must_use]
    pub fn top(mut self, keys: u32) -> Self {
        self.top = Some(keys);
        self
    }

    /// Sets the fields whose values make a row, in order: a list of names or fields, or a tuple of both. It replaces
    /// those set before.
    ///
    /// Without keys there is one row per window. A key is a sequence of bytes, and rows are different if one byte of
    /// one key differs; a line that lacks the field has the key `-`, as nginx prints it.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # use evs::{Statistic, arg};
    /// let statistic = Statistic::named("ad_events").group_by(("status", arg("c").named("campaign")));
    /// ```
    #[must_use]
    pub fn group_by<Form>(mut self, keys: impl IntoKeys<Form>) -> Self {
        self.keys = keys.into_keys();
        self
    }

    /// Counts the distinct values of a field, by a HyperLogLog sketch of 4,096 registers: with an error of 1.6 % (one sigma),
    /// however many values there are. A value that is absent is not counted.
    ///
    /// It adds two columns: the key `FIELD_slot`, a register, and the measure `FIELD_rank`, its highest rank. So each row that
    /// the other keys make becomes up to 4,096, and any store merges them exactly: over windows, keys and sources.
    /// [`Totals`](crate::Totals) reads the number of distinct values, also as a sketch of Apache DataSketches. Other measures of
    /// the statistic are divided among these rows, and add up to the same totals.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # use std::time::Duration;
    /// # use evs::Statistic;
    /// let visitors = Statistic::named("visitors")
    ///     .window(Duration::from_secs(86_400))
    ///     .group_by(["host"])
    ///     .distinct("remote_addr");
    /// ```
    #[must_use]
    pub fn distinct(mut self, field: impl Into<Field>) -> Self {
        let (slot, rank) = field.into().register();
        let name = rank.name();
        self.slots.push(slot);
        self.measures.push(max(rank).named(name));
        self
    }

    /// The keys: the user's own, and after them the registers of distinct counts.
    pub(crate) fn all_keys(&self) -> impl Iterator<Item = &Field> {
        self.keys.iter().chain(&self.slots)
    }

    /// Adds a measure, and so a column of the table. The columns have the order of the calls.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # use evs::{Statistic, count, max, sum};
    /// // The columns are `count`, `body_bytes_sent_sum` and `slowest`.
    /// let traffic = Statistic::named("traffic")
    ///     .measure(count())
    ///     .measure(sum("body_bytes_sent"))
    ///     .measure(max("request_time").scale(3).named("slowest"));
    /// ```
    #[must_use]
    pub fn measure(mut self, measure: Measure) -> Self {
        self.measures.push(measure);
        self
    }

    /// The interval at which the rows gathered so far are cut and delivered: 10 ms or more, 5 s by default.
    ///
    /// A short interval makes the numbers in the stores fresher. A long one makes fewer batches: rows of the same
    /// window and keys are added up in memory instead of in the store.
    #[must_use]
    pub fn flush_every(mut self, interval: Duration) -> Self {
        self.flush_every = bounded(interval);
        self
    }

    /// The number of rows that are held in memory before they are cut early: 1 to 50 million, 500,000 by default.
    ///
    /// It bounds memory: about 100 bytes a row, plus its keys, for each worker and for each of two cuts under way. In
    /// addition there are the rows of lines that the workers were given by then: up to 1.5 MiB of the log for each
    /// worker.
    ///
    /// Clients choose keys such as query arguments, so the number of rows is theirs to choose as well. The limit
    /// changes no number: a row that is cut early is added to in a later batch.
    #[must_use]
    pub fn rows_max(mut self, rows: usize) -> Self {
        self.rows_max = rows;
        self
    }

    /// The time for which sinks keep a window after its start, by their clocks: whole seconds, from the window's
    /// length to 20 years. By default they keep it for ever.
    ///
    /// A line whose window is past its retention is too late: it is not counted in this statistic, and
    /// [`Status::too_late`](crate::Status::too_late) counts it. Otherwise it would bring back a window that was
    /// removed, with a wrong total.
    ///
    /// It may be changed at any time. Stores that expire rows by themselves (Cassandra) apply a new value to the rows
    /// that are written from then on.
    #[must_use]
    pub fn retain(mut self, time: Duration) -> Self {
        self.retain = Some(time);
        self
    }

    /// Delivers the rows to the sinks of these names only. By default all sinks get them.
    ///
    /// It may be changed at any time, and holds for the batches that are cut from then on: those that were cut before still go to
    /// the sinks that they were cut for. A sink that is added here gets no rows of earlier batches, and one that is left out keeps
    /// its table. Every sink keeps the sequence of all statistics, so the others get the batches without their rows.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # use evs::{Statistic, count};
    /// let billing = Statistic::named("billing").group_by(["host"]).measure(count()).to(["postgres"]);
    /// ```
    #[must_use]
    pub fn to<N: Into<String>>(mut self, sinks: impl IntoIterator<Item = N>) -> Self {
        self.to = Some(sinks.into_iter().map(Into::into).collect());
        self
    }

    /// Accepts new measures, and another order of measures, beside those that the state directory knows. Without it,
    /// [`build`](crate::PipelineBuilder::build) returns [`Error::Redefined`](crate::Error::Redefined).
    ///
    /// From the next cut on, batches have the new definition, and batches that were cut before are delivered as they
    /// are. The sinks add columns for the new measures. These are absent from the rows that were not counted with them,
    /// and cover a part of the window in which the definition changes.
    ///
    /// Another window, other keys, and measures that are changed or removed are refused in any case, since no table can
    /// have rows of both definitions: give the statistic another name, or the definition it had. The flush interval,
    /// the row limit and the retention may change without this.
    ///
    /// The sinks are asked at the start. If one cannot take the definition, the run returns
    /// [`Error::SinkRefuses`](crate::Error::SinkRefuses) before anything is cut under it, and the old definition still
    /// works.
    #[must_use]
    pub fn redefine(mut self, accept: bool) -> Self {
        self.redefine = accept;
        self
    }

    /// Sets the place in the log at which a statistic begins that is added to a source: by default where the source
    /// stands then, which is [`Begin::End`].
    ///
    /// With [`Begin::Oldest`] the statistic also counts all files of the log that are still there, compressed ones
    /// included, and with [`Begin::Start`] the live file from its start. They are read for this statistic alone, while
    /// nothing else is to be read, and within [`lines_per_second_max`](crate::PipelineBuilder::lines_per_second_max). The
    /// other statistics go on meanwhile. Each line is counted once, also after a crash and when files are rotated
    /// meanwhile. [`StatisticStatus::older_files`](crate::StatisticStatus::older_files) says how many files are left.
    ///
    /// A file that is removed before its turn comes is counted in [`Status::lost_bytes`](crate::Status::lost_bytes).
    /// Lines of these files are not counted in [`Status::lines`](crate::Status::lines) and
    /// [`rejected`](crate::Status::rejected), which are about what the source reads.
    ///
    /// It has no effect on a statistic that the state directory knows, so it may stay in the code.
    #[must_use]
    pub fn begin(mut self, begin: Begin) -> Self {
        self.begin = begin;
        self
    }

    /// The schema of this definition, which is not checked.
    ///
    /// A window that does not fit 32 bits of seconds becomes the largest that does, since `build` refuses it anyway
    /// and names the user's own value.
    pub(crate) fn schema(&self) -> Arc<Schema> {
        Arc::new(Schema {
            statistic: self.name.clone(),
            only: self.only.as_ref().map(Condition::to_string),
            sample: self.sample.as_ref().map(|(one_in, by)| Sample {
                one_in: *one_in,
                by: by.as_ref().map(|field| field.expr.definition()).unwrap_or_default(),
            }),
            top: self.top,
            window_seconds: u32::try_from(self.window.as_secs()).unwrap_or(u32::MAX),
            keys: self
                .all_keys()
                .map(|key| KeyColumn { name: key.name(), field: key.expr.definition() })
                .collect(),
            measures: self
                .measures
                .iter()
                .map(|measure| MeasureColumn {
                    name: measure.column_name(),
                    kind: measure.kind,
                    field: measure.field.as_ref().map(|field| field.expr.definition()).unwrap_or_default(),
                    scale: measure.scale,
                    rounding: measure.rounding,
                    is_list: measure.is_list,
                    elements: measure.elements,
                    is_lenient: measure.is_lenient,
                })
                .collect(),
            retain_seconds: self.retain.map(|time| time.as_secs()),
            to: self.to.clone(),
        })
    }
}
