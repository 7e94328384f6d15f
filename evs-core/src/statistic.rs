//! What to compute: statistics, and the schema that their batches carry.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::sink::Limits;

/// A field of a record, by the name that nginx gives it.
///
/// Made by [`field`] and [`arg`]; a plain string serves wherever a field is asked for.
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
    /// Names the column that the field goes into. Without it, the field's own name is taken.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// nginx's name of the field.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The column's name.
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

/// How the values of one measure become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeasureKind {
    /// The number of lines.
    Count,
    /// The sum of a field; lines without a value add nothing.
    Sum,
    /// The smallest value of a field; absent when no line had one.
    Min,
    /// The largest value of a field; absent when no line had one.
    Max,
}

impl MeasureKind {
    /// Adds `other` to `value`, as a sink does with what it already holds.
    ///
    /// `None` means that the result does not fit: overflow is an error, never a wrap.
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

/// One number that a statistic keeps per row. Made by [`count`], [`sum`], [`min`] and [`max`].
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

    /// How many digits behind the point the values have: 0 (the default) to 18.
    ///
    /// A value with more digits than that is refused, not rounded. In a sink without exact decimals
    /// the column holds the value times 10^scale.
    #[must_use]
    pub fn scale(mut self, digits: u8) -> Self {
        self.scale = digits;
        self
    }

    /// What a line may carry, in whole units (for seconds with three digits behind the point, in seconds). A line with
    /// another value is rejected, in all statistics.
    ///
    /// Without it, a minimum or maximum may be any number of 64 bits, and so may what is added to a sum: all of evs's own
    /// sinks hold the totals. A sink whose [`limits`](crate::Sink::limits) have narrow totals is the exception: a line may
    /// then add an eight thousandth of the largest total, so that so many lines with the largest value fit into a row.
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

    /// The range of its values times 10^scale; `None` if a line may carry any.
    pub(crate) fn range(&self, limits: &Limits) -> Option<RangeInclusive<i64>> {
        if let Some(within) = &self.within {
            let power = 10_i64.checked_pow(self.scale.into()).unwrap_or(i64::MAX);
            return Some(within.start().saturating_mul(power)..=within.end().saturating_mul(power));
        }
        (self.kind == MeasureKind::Sum).then(|| limits.summands())
    }

    /// Names the measure's column. Without it, the column is `count` or `FIELD_sum`, `FIELD_min`,
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
pub struct KeyColumn {
    /// The column's name.
    pub name: String,
    /// nginx's name of the field.
    pub field: String,
}

/// A measure column of a statistic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MeasureColumn {
    /// The column's name.
    pub name: String,
    /// How values are combined.
    pub kind: MeasureKind,
    /// nginx's name of the field; empty for a count.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// Digits behind the point: values are held as integers times 10^scale.
    #[serde(default)]
    pub scale: u8,
}

/// A statistic's definition as its batches carry it: what a row means, and how long it is kept.
///
/// Rows of one may be added to rows of another when they have no [`difference`](Schema::difference).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Schema {
    /// The statistic's name, which sinks use as the name of its table.
    pub statistic: String,
    /// The window's length in seconds.
    pub window_seconds: u32,
    /// The key columns, in order.
    pub keys: Vec<KeyColumn>,
    /// The measure columns, in order.
    pub measures: Vec<MeasureColumn>,
    /// How long a window is kept after its start, in seconds; for ever if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_seconds: Option<u64>,
}

impl Schema {
    /// What differs from `other` in what a row means, in words; `None` if nothing does.
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

/// What to compute: a window, group-by keys, measures, and when to deliver.
///
/// Setters store; [`PipelineBuilder::build`](crate::PipelineBuilder::build) judges.
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

    /// A statistic of that name: 1 to 63 of `a-z`, `0-9` and `_`, beginning with a letter. Sinks use
    /// it as the name of the table.
    ///
    /// Without further calls it has windows of 60 s, no keys, no measures and is flushed every 5 s.
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
    /// So a window of 86 400 s is a day of UTC. There are no windows of a named time zone's days, of which one in spring
    /// has 23 hours and one in autumn 25. Windows of 15 minutes add up to the days of any zone in use: whoever reads them
    /// groups them by `window_start` in that zone. The offset that a line's own time has decides what window it is in, also
    /// in the hour that is repeated when clocks are set back.
    #[must_use]
    pub fn window(mut self, length: Duration) -> Self {
        self.window = length;
        self
    }

    /// The fields whose values make a row, in order. Replaces the ones set before.
    #[must_use]
    pub fn group_by<F: Into<Field>>(mut self, keys: impl IntoIterator<Item = F>) -> Self {
        self.keys = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a measure.
    #[must_use]
    pub fn measure(mut self, measure: Measure) -> Self {
        self.measures.push(measure);
        self
    }

    /// How often the rows gathered so far are cut and delivered: 10 ms or more, 5 s by default.
    #[must_use]
    pub fn flush_every(mut self, interval: Duration) -> Self {
        self.flush_every = interval;
        self
    }

    /// How many rows are held in memory before they are cut early. It bounds memory: about 100 bytes
    /// a row, plus its keys, for each worker and for each of two cuts under way. The rows of what the workers have been
    /// given by then come on top: up to 1.5 MiB of the log for each worker.
    #[must_use]
    pub fn rows_max(mut self, rows: usize) -> Self {
        self.rows_max = rows;
        self
    }

    /// How long the sinks keep a window after its start, by their clocks: whole seconds, the window's length
    /// or more. Without it they keep it for ever.
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
    /// From the next cut on, batches have the new definition; those cut before are delivered as they
    /// are. Whether the sink's table can take both is for the sink to say.
    #[must_use]
    pub fn redefine(mut self, accept: bool) -> Self {
        self.redefine = accept;
        self
    }

    /// The schema of this definition, without judging it.
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

    /// Reads what [`Schema::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// If `json` is anything else.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }
}
