//! The schema of a statistic: the part of its definition that its batches carry to the sinks.

use serde::{Deserialize, Serialize};

use crate::codec::InvalidJson;

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
