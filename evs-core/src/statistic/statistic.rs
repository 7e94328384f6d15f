//! The definition of a statistic, as a pipeline takes it.

use std::{sync::Arc, time::Duration};

use super::{
    field::Field,
    keys::IntoKeys,
    measure::Measure,
    schema::{KeyColumn, MeasureColumn, Schema},
};

/// A statistic to compute: its window, group-by keys and measures, and the interval of delivery.
///
/// Setters only store their values. [`PipelineBuilder::build`](crate::PipelineBuilder::build) checks them.
///
/// ```
/// use std::time::Duration;
///
/// use evs_core::{Statistic, arg, count, max, sum};
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
#[derive(Clone, Debug)]
pub struct Statistic {
    pub(crate) name: String,
    pub(crate) window: Duration,
    pub(crate) keys: Vec<Field>,
    pub(crate) measures: Vec<Measure>,
    pub(crate) flush_every: Duration,
    pub(crate) rows_max: usize,
    pub(crate) retain: Option<Duration>,
    pub(crate) redefine: bool,
}

impl Statistic {
    /// The default of [`Statistic::rows_max`].
    pub const ROWS_MAX: usize = 500_000;

    /// A statistic with that name: 1 to 63 of `a-z`, `0-9` and `_`, beginning with a letter. Sinks use
    /// it as the name of the table.
    ///
    /// By default it has windows of 60 s, no keys and no measures, and is flushed every 5 s.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            window: Duration::from_secs(60),
            keys: Vec::new(),
            measures: Vec::new(),
            flush_every: Duration::from_secs(5),
            rows_max: Self::ROWS_MAX,
            retain: None,
            redefine: false,
        }
    }

    /// The length of a window of event time: whole seconds, 1 s or more. Windows are aligned to
    /// 1970-01-01T00:00:00Z.
    ///
    /// So a window of 86 400 s is a day of UTC. A window cannot be a day of a time zone, since such a day may have 23 or 25
    /// hours. But windows of 15 minutes add up to the days of any zone in use: a query can group them by `window_start` in
    /// that zone. A line's own time has an offset, which decides its window even in the hour that is repeated when clocks
    /// are set back.
    #[must_use]
    pub fn window(mut self, length: Duration) -> Self {
        self.window = length;
        self
    }

    /// Sets the fields whose values make a row, in order: a list of names or fields, or a tuple of both. It replaces those
    /// set before.
    ///
    /// ```
    /// # use evs_core::{Statistic, arg};
    /// let statistic = Statistic::named("ad_events").group_by(("status", arg("c").named("campaign")));
    /// ```
    #[must_use]
    pub fn group_by<Form>(mut self, keys: impl IntoKeys<Form>) -> Self {
        self.keys = keys.into_keys();
        self
    }

    /// Adds a measure.
    #[must_use]
    pub fn measure(mut self, measure: Measure) -> Self {
        self.measures.push(measure);
        self
    }

    /// The interval at which the rows gathered so far are cut and delivered: 10 ms or more, 5 s by default.
    #[must_use]
    pub fn flush_every(mut self, interval: Duration) -> Self {
        self.flush_every = interval;
        self
    }

    /// The number of rows that are held in memory before they are cut early.
    ///
    /// It bounds memory: about 100 bytes a row, plus its keys, for each worker and for each of two cuts under way. In
    /// addition there are the rows of lines that the workers were given by then: up to 1.5 MiB of the log for each worker.
    #[must_use]
    pub fn rows_max(mut self, rows: usize) -> Self {
        self.rows_max = rows;
        self
    }

    /// The time for which sinks keep a window after its start, by their clocks: whole seconds, the window's length
    /// or more. By default they keep it for ever.
    ///
    /// It may be changed at any time. Stores that expire rows by themselves (Cassandra) apply a new value
    /// to the rows that are written from then on.
    #[must_use]
    pub fn retain(mut self, time: Duration) -> Self {
        self.retain = Some(time);
        self
    }

    /// Accepts that the definition differs from the one the state directory knows.
    ///
    /// From the next cut on, batches have the new definition. Batches that were cut before are delivered as they
    /// are. The sink decides if its table can take both.
    #[must_use]
    pub fn redefine(mut self, accept: bool) -> Self {
        self.redefine = accept;
        self
    }

    /// The schema of this definition, which is not checked.
    pub(crate) fn schema(&self) -> Arc<Schema> {
        Arc::new(Schema {
            statistic: self.name.clone(),
            window_seconds: u32::try_from(self.window.as_secs()).unwrap_or(u32::MAX),
            keys: self
                .keys
                .iter()
                .map(|key| KeyColumn { name: key.name().to_owned(), field: key.variable().to_owned() })
                .collect(),
            measures: self
                .measures
                .iter()
                .map(|measure| MeasureColumn {
                    name: measure.column_name(),
                    kind: measure.kind,
                    field: measure.field.as_ref().map_or_else(String::new, |f| f.variable().to_owned()),
                    scale: measure.scale,
                })
                .collect(),
            retain_seconds: self.retain.map(|time| time.as_secs()),
        })
    }
}
