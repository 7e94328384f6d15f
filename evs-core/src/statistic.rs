//! Statistics define what is computed, and a schema is the definition that their batches carry.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{codec::InvalidJson, keys::IntoKeys, sink::Limits};

/// A field of a record, by the name that nginx gives it.
///
/// [`field`] and [`arg`] make one. A plain string can be used wherever a field is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    source: String,
    name: Option<String>,
}

/// The field that nginx calls `$name`, for example `status` or `request_time`.
pub fn field(name: impl Into<String>) -> Field {
    Field { source: name.into(), name: None }
}

/// The query argument that nginx calls `$arg_name`, percent-decoded.
pub fn arg(name: impl AsRef<str>) -> Field {
    field(format!("arg_{}", name.as_ref()))
}

impl Field {
    /// Names the column of the field. By default, the column has the name of the field.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name that nginx gives the field.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The name of the field's column.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.source)
    }
}

impl From<&str> for Field {
    fn from(name: &str) -> Self {
        field(name)
    }
}

impl From<String> for Field {
    fn from(name: String) -> Self {
        field(name)
    }
}

/// The way in which the values of a measure become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MeasureKind {
    /// The number of lines.
    Count,
    /// The sum of a field. Lines without a value add nothing.
    Sum,
    /// The smallest value of a field. It is absent if no line had a value.
    Min,
    /// The largest value of a field. It is absent if no line had a value.
    Max,
}

impl MeasureKind {
    /// Merges `other` into `value`, as a sink does with a value that it already holds.
    ///
    /// `None` means that the result does not fit. An overflow is an error: it never wraps.
    pub fn merge(self, value: Option<i128>, other: Option<i128>) -> Option<Option<i128>> {
        let (Some(a), Some(b)) = (value, other) else {
            return Some(value.or(other));
        };
        Some(Some(match self {
            Self::Count | Self::Sum => a.checked_add(b)?,
            Self::Min => a.min(b),
            Self::Max => a.max(b),
        }))
    }
}

/// A number that a statistic keeps per row. [`count`], [`sum`], [`min`] and [`max`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    pub(crate) kind: MeasureKind,
    pub(crate) field: Option<Field>,
    pub(crate) scale: u8,
    pub(crate) within: Option<RangeInclusive<i64>>,
    pub(crate) name: Option<String>,
}

/// The number of lines.
pub fn count() -> Measure {
    Measure { kind: MeasureKind::Count, field: None, scale: 0, within: None, name: None }
}

/// The exact sum of `field`.
pub fn sum(field: impl Into<Field>) -> Measure {
    Measure::of(MeasureKind::Sum, field.into())
}

/// The smallest value of `field`.
pub fn min(field: impl Into<Field>) -> Measure {
    Measure::of(MeasureKind::Min, field.into())
}

/// The largest value of `field`.
pub fn max(field: impl Into<Field>) -> Measure {
    Measure::of(MeasureKind::Max, field.into())
}

impl Measure {
    fn of(kind: MeasureKind, field: Field) -> Self {
        Self { kind, field: Some(field), scale: 0, within: None, name: None }
    }

    /// The number of decimal places of the values: 0 (the default) to 18.
    ///
    /// A line with a value of more decimal places is rejected. The value is never rounded. In a sink without exact decimals
    /// the column holds the value times 10^scale.
    #[must_use]
    pub fn scale(mut self, digits: u8) -> Self {
        self.scale = digits;
        self
    }

    /// The values that a line may have, in whole units (seconds, for a time with three decimal places). A line with any
    /// other value is rejected, in all statistics.
    ///
    /// By default, a value may be any number of 64 bits, since all of evs's own sinks can hold the totals. The exception is
    /// a sink whose [`limits`](crate::Sink::limits) have narrow totals. A line may then add at most an eight thousandth of
    /// the largest total, so that eight thousand lines with that value fit into a row.
    ///
    /// ```
    /// # use evs_core::{arg, sum};
    /// let price = sum(arg("price")).scale(2).within(0..=100_000);
    /// ```
    #[must_use]
    pub fn within(mut self, values: RangeInclusive<i64>) -> Self {
        self.within = Some(values);
        self
    }

    /// The range of its values times 10^scale. `None` if a line may have any value.
    pub(crate) fn range(&self, limits: &Limits) -> Option<RangeInclusive<i64>> {
        if let Some(within) = &self.within {
            let power = 10_i64.checked_pow(self.scale.into()).unwrap_or(i64::MAX);
            return Some(within.start().saturating_mul(power)..=within.end().saturating_mul(power));
        }
        (self.kind == MeasureKind::Sum).then(|| limits.summands())
    }

    /// Names the column of the measure. By default, the column is `count` or `FIELD_sum`, `FIELD_min`,
    /// `FIELD_max`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    pub(crate) fn column_name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let field = self.field.as_ref().map_or("", Field::name);
        match self.kind {
            MeasureKind::Count => "count".to_owned(),
            MeasureKind::Sum => format!("{field}_sum"),
            MeasureKind::Min => format!("{field}_min"),
            MeasureKind::Max => format!("{field}_max"),
        }
    }
}

/// A key column of a statistic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeyColumn {
    /// The column's name.
    pub name: String,
    /// The name that nginx gives the field.
    pub field: String,
}

impl KeyColumn {
    /// A column of that name for a field, by nginx's name.
    pub fn new(name: impl Into<String>, field: impl Into<String>) -> Self {
        Self { name: name.into(), field: field.into() }
    }
}

/// A measure column of a statistic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MeasureColumn {
    /// The column's name.
    pub name: String,
    /// The way in which values are combined.
    pub kind: MeasureKind,
    /// The name that nginx gives the field. It is empty for a count.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// The number of decimal places. Values are held as integers times 10^scale.
    #[serde(default)]
    pub scale: u8,
}

impl MeasureColumn {
    /// A column of that name for a field, by nginx's name, which is empty for a count. `scale` is the number of decimal
    /// places.
    pub fn new(name: impl Into<String>, kind: MeasureKind, field: impl Into<String>, scale: u8) -> Self {
        Self { name: name.into(), kind, field: field.into(), scale }
    }
}

/// The definition of a statistic, as its batches carry it: the meaning of a row, and the time for which it is kept.
///
/// Rows of one schema may be added to rows of another if there is no [`difference`](Schema::difference) between the two.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Schema {
    /// The name of the statistic. Sinks use it as the name of the table.
    pub statistic: String,
    /// The length of a window in seconds.
    pub window_seconds: u32,
    /// The key columns, in order.
    pub keys: Vec<KeyColumn>,
    /// The measure columns, in order.
    pub measures: Vec<MeasureColumn>,
    /// The time for which a window is kept after its start, in seconds. `None` keeps it for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_seconds: Option<u64>,
}

impl Schema {
    /// A schema without a retention, for the tests of sinks: a pipeline makes its own.
    ///
    /// ```
    /// use evs_core::{KeyColumn, MeasureColumn, MeasureKind, Schema};
    ///
    /// let keys = vec![KeyColumn::new("campaign", "arg_c")];
    /// let measures = vec![MeasureColumn::new("revenue", MeasureKind::Sum, "arg_v", 2)];
    /// let mut schema = Schema::new("ad_events", 60, keys, measures);
    /// schema.retain_seconds = Some(86_400);
    /// ```
    pub fn new(
        statistic: impl Into<String>,
        window_seconds: u32,
        keys: Vec<KeyColumn>,
        measures: Vec<MeasureColumn>,
    ) -> Self {
        Self { statistic: statistic.into(), window_seconds, keys, measures, retain_seconds: None }
    }

    /// The differences from `other` in the meaning of a row, in words. `None` if there are none.
    pub fn difference(&self, other: &Self) -> Option<String> {
        fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
            format!("({})", items.iter().map(show).collect::<Vec<_>>().join(", "))
        }
        let key = |k: &KeyColumn| {
            if k.name == k.field { k.name.clone() } else { format!("{} as {}", k.field, k.name) }
        };
        let measure = |m: &MeasureColumn| match m.kind {
            MeasureKind::Count => format!("{}: count", m.name),
            _ => format!("{}: {:?} of {} scale {}", m.name, m.kind, m.field, m.scale).to_lowercase(),
        };
        let mut found = Vec::new();
        if self.window_seconds != other.window_seconds {
            found.push(format!("window {}s -> {}s", self.window_seconds, other.window_seconds));
        }
        if self.keys != other.keys {
            found.push(format!("keys {} -> {}", list(&self.keys, key), list(&other.keys, key)));
        }
        if self.measures != other.measures {
            let (from, to) = (list(&self.measures, measure), list(&other.measures, measure));
            found.push(format!("measures {from} -> {to}"));
        }
        (!found.is_empty()).then(|| found.join("; "))
    }
}

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
                .map(|key| KeyColumn { name: key.name().to_owned(), field: key.source.clone() })
                .collect(),
            measures: self
                .measures
                .iter()
                .map(|measure| MeasureColumn {
                    name: measure.column_name(),
                    kind: measure.kind,
                    field: measure.field.as_ref().map_or_else(String::new, |f| f.source.clone()),
                    scale: measure.scale,
                })
                .collect(),
            retain_seconds: self.retain.map(|time| time.as_secs()),
        })
    }
}

impl Schema {
    /// The schema as JSON, always the same text for the same schema.
    // Cannot fail: strings, numbers and lists only.
    #[expect(clippy::missing_panics_doc, clippy::unwrap_used)]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap()
    }

    /// Reads the text that [`Schema::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// Fails for any other text.
    pub fn from_json(json: &str) -> Result<Self, InvalidJson> {
        serde_json::from_str(json).map_err(|error| InvalidJson::new("a schema", error))
    }
}
