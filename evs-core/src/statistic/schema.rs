//! [`Schema`]: the definition that batches carry and stores keep.
//!
//! Its JSON ([`Schema::to_json`]) stands in the binlog and in the stores' own tables, so it is a file format: a field
//! that is added later needs a default, and the text of a schema that does not use it must stay as it was.

use serde::{Deserialize, Serialize};

use crate::{
    codec::InvalidJson,
    number::{Elements, Rounding},
};

/// The way in which the values of a measure become one number.
///
/// Every kind is associative and commutative, so the order of lines, workers, batches and sources does not matter.
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
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::MeasureKind;
    ///
    /// assert_eq!(MeasureKind::Sum.merge(Some(2), Some(3)), Some(Some(5)));
    /// assert_eq!(MeasureKind::Min.merge(Some(2), Some(3)), Some(Some(2)));
    /// // A value that is absent changes nothing.
    /// assert_eq!(MeasureKind::Max.merge(None, Some(3)), Some(Some(3)));
    /// assert_eq!(MeasureKind::Sum.merge(Some(i128::MAX), Some(1)), None);
    /// ```
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

/// A key column of a statistic: one of the values that make a row.
///
/// In a [`Row`](crate::Row), the key at the same index of `keys` belongs to this column.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeyColumn {
    /// The column's name.
    pub name: String,
    /// The name that nginx gives the field, or the text of a derived field.
    pub field: String,
}

impl KeyColumn {
    /// A column of that name for a field, by nginx's name.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// let campaign = evs::KeyColumn::new("campaign", "arg_c");
    /// assert_eq!((&*campaign.name, &*campaign.field), ("campaign", "arg_c"));
    /// ```
    pub fn new(name: impl Into<String>, field: impl Into<String>) -> Self {
        Self { name: name.into(), field: field.into() }
    }
}

/// A measure column of a statistic: a number of each row.
///
/// In a [`Row`](crate::Row), the value at the same index of `values` belongs to this column.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MeasureColumn {
    /// The column's name.
    pub name: String,
    /// The way in which values are combined.
    pub kind: MeasureKind,
    /// The name that nginx gives the field, or the text of a derived field. It is empty for a count.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// The number of decimal places. Values are held as integers times 10^scale.
    #[serde(default)]
    pub scale: u8,
    /// What became of further decimal places. The default is left out of the JSON text.
    #[serde(default, skip_serializing_if = "Rounding::is_exact")]
    pub rounding: Rounding,
    /// True if a value may be a list of numbers. `false` is left out of the JSON text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_list: bool,
    /// What became of the numbers of a list. The default is left out of the JSON text.
    #[serde(default, skip_serializing_if = "Elements::is_sum")]
    pub elements: Elements,
    /// True if a value that is no number, or out of range, was absent. Otherwise its line was rejected. `false` is left out
    /// of the JSON text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_lenient: bool,
}

impl MeasureColumn {
    /// A column of that name for a field, by nginx's name, which is empty for a count. `scale` is the number of
    /// decimal places.
    pub fn new(name: impl Into<String>, kind: MeasureKind, field: impl Into<String>, scale: u8) -> Self {
        Self {
            name: name.into(),
            kind,
            field: field.into(),
            scale,
            rounding: Rounding::Exact,
            is_list: false,
            elements: Elements::Sum,
            is_lenient: false,
        }
    }
}

/// The part of the lines that a statistic counts: see [`Statistic::sample`](crate::Statistic::sample).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sample {
    /// Of that many lines or values, one is counted.
    pub one_in: u32,
    /// The text of the field whose values are chosen. Empty if lines are chosen by their position.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// The definition of a statistic, as its batches carry it: the meaning of a row, and the time for which it is kept.
///
/// A pipeline makes the schemas of its statistics, and [`Pipeline::schemas`](crate::Pipeline::schemas) returns them. A
/// sink gets one in [`Sink::prepare`](crate::Sink::prepare), creates a table by it, and keeps it beside the table.
/// Rows of one schema may be added to rows of another if there is no [`difference`](Schema::difference) between the
/// two.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Schema {
    /// The name of the statistic. Sinks use it as the name of the table.
    pub statistic: String,
    /// The length of a window in seconds.
    pub window_seconds: u32,
    /// The condition that selected the lines, as its text. `None` counts all lines, and is left out of the JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// The sample that the lines are, if not all of them were counted. `None` is left out of the JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
    /// The number of keys that a batch shows in each window; a row of the keys `(other)` has the rest. `None` shows all keys,
    /// and is left out of the JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<u32>,
    /// The key columns, in order.
    pub keys: Vec<KeyColumn>,
    /// The measure columns, in order.
    pub measures: Vec<MeasureColumn>,
    /// The time for which a window is kept after its start, in seconds. `None` keeps it for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_seconds: Option<u64>,
    /// The names of the sinks that get the rows. `None` is all of them, and is left out of the JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Vec<String>>,
}

impl Schema {
    /// A schema without a retention, for the tests of sinks: a pipeline makes its own.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::{KeyColumn, MeasureColumn, MeasureKind, Schema};
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
        Self {
            statistic: statistic.into(),
            window_seconds,
            only: None,
            sample: None,
            top: None,
            keys,
            measures,
            retain_seconds: None,
            to: None,
        }
    }

    /// The differences from `other` in the meaning of a row, in words. `None` if there are none.
    ///
    /// The text goes into error messages, and reads from `self` to `other`. The name of the statistic, the retention and the
    /// sinks are not compared: none of them changes the meaning of a row.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::{MeasureColumn, MeasureKind, Schema};
    ///
    /// let hits = vec![MeasureColumn::new("hits", MeasureKind::Count, "", 0)];
    /// let minutes = Schema::new("requests", 60, Vec::new(), hits);
    /// let mut hours = minutes.clone();
    /// hours.window_seconds = 3600;
    /// assert_eq!(minutes.difference(&hours).as_deref(), Some("window 60s -> 3600s"));
    ///
    /// let mut kept = minutes.clone();
    /// kept.retain_seconds = Some(86_400);
    /// assert_eq!(minutes.difference(&kept), None);
    /// ```
    pub fn difference(&self, other: &Self) -> Option<String> {
        let mut found = self.other_rows(other);
        if self.measures != other.measures {
            let (from, to) = (list(&self.measures, show_measure), list(&other.measures, show_measure));
            found.push(format!("measures {from} -> {to}"));
        }
        (!found.is_empty()).then(|| found.join("; "))
    }

    /// The schema of a table that has rows of `self` and takes rows of `other`, too: the measures of `self`, and after
    /// them those that only `other` has. The retention is that of `self`.
    ///
    /// In such a table, a measure is absent from the rows that were not counted with it. If the result is `self`, the
    /// table can take the rows as it is; otherwise it needs more columns.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::{MeasureColumn, MeasureKind, Schema};
    ///
    /// let hits = MeasureColumn::new("hits", MeasureKind::Count, "", 0);
    /// let bytes = MeasureColumn::new("bytes", MeasureKind::Sum, "body_bytes_sent", 0);
    /// let old = Schema::new("requests", 60, Vec::new(), vec![hits.clone()]);
    /// let new = Schema::new("requests", 60, Vec::new(), vec![bytes.clone(), hits.clone()]);
    /// let table = old.union(&new).expect("one table can have both");
    /// assert_eq!(table.measures, [hits, bytes]);
    /// // Rows of the old definition still fit.
    /// assert_eq!(table.union(&old).as_ref(), Ok(&table));
    ///
    /// let mut hours = new.clone();
    /// hours.window_seconds = 3600;
    /// assert_eq!(old.union(&hours), Err("window 60s -> 3600s".to_owned()));
    /// ```
    ///
    /// # Errors
    ///
    /// The differences for which no table can have both, in words: another window, other keys, or another measure
    /// under the same name. Upper and lower case are the same in names, as in SQL.
    pub fn union(&self, other: &Self) -> Result<Self, String> {
        let mut found = self.other_rows(other);
        let mut union = self.clone();
        for measure in &other.measures {
            match self.measures.iter().find(|held| held.name.eq_ignore_ascii_case(&measure.name)) {
                None => union.measures.push(measure.clone()),
                Some(held) if held == measure => {}
                Some(held) => {
                    found.push(format!("measure {} -> {}", show_measure(held), show_measure(measure)));
                }
            }
        }
        if found.is_empty() { Ok(union) } else { Err(found.join("; ")) }
    }

    /// The reason why a statistic with this definition cannot get the definition `new`, in words. `None` if every store
    /// can take the change: new measures, in any place, and another retention.
    ///
    /// A measure cannot be removed: its column would go on with numbers that nobody adds to.
    pub(crate) fn obstacle(&self, new: &Self) -> Option<String> {
        if let Err(differences) = self.union(new) {
            return Some(differences);
        }
        let is_gone = |measure: &&MeasureColumn| !new.measures.contains(measure);
        let gone: Vec<_> =
            self.measures.iter().filter(is_gone).map(|measure| measure.name.as_str()).collect();
        (!gone.is_empty()).then(|| format!("removed: {}", gone.join(", ")))
    }

    /// True if the sink of that name gets the rows.
    pub(crate) fn is_for(&self, sink: &str) -> bool {
        self.to.as_ref().is_none_or(|to| to.iter().any(|to| to == sink))
    }

    /// The differences in what a row is, apart from its measures.
    fn other_rows(&self, other: &Self) -> Vec<String> {
        let key = |k: &KeyColumn| {
            if k.name == k.field { k.name.clone() } else { format!("{} as {}", k.field, k.name) }
        };
        let mut found = Vec::new();
        if self.window_seconds != other.window_seconds {
            found.push(format!("window {}s -> {}s", self.window_seconds, other.window_seconds));
        }
        if self.only != other.only {
            let condition = |schema: &Self| schema.only.clone().unwrap_or_else(|| "none".to_owned());
            found.push(format!("condition {} -> {}", condition(self), condition(other)));
        }
        if self.sample != other.sample {
            let sample = |schema: &Self| match &schema.sample {
                None => "all lines".to_owned(),
                Some(Sample { one_in, by }) if by.is_empty() => format!("one line in {one_in}"),
                Some(Sample { one_in, by }) => format!("one in {one_in} by {by}"),
            };
            found.push(format!("sample {} -> {}", sample(self), sample(other)));
        }
        if self.top != other.top {
            let top =
                |schema: &Self| schema.top.map_or_else(|| "all keys".to_owned(), |keys| keys.to_string());
            found.push(format!("top {} -> {}", top(self), top(other)));
        }
        if self.keys != other.keys {
            found.push(format!("keys {} -> {}", list(&self.keys, key), list(&other.keys, key)));
        }
        found
    }

    /// The schema as JSON, always the same text for the same schema. A store may compare the texts.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::{KeyColumn, MeasureColumn, MeasureKind, Schema};
    ///
    /// let hits = vec![MeasureColumn::new("hits", MeasureKind::Count, "", 0)];
    /// let schema = Schema::new("requests", 60, vec![KeyColumn::new("status", "status")], hits);
    /// assert_eq!(Schema::from_json(&schema.to_json())?, schema);
    /// # Ok::<(), evs::InvalidJson>(())
    /// ```
    // Cannot fail: strings, numbers and lists only.
    #[expect(clippy::missing_panics_doc, clippy::unwrap_used)]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap()
    }

    /// Reads the text that [`Schema::to_json`] wrote.
    ///
    /// Texts of earlier versions are read, too: a part that they do not have gets its default.
    ///
    /// # Errors
    ///
    /// Fails for any other text.
    pub fn from_json(json: &str) -> Result<Self, InvalidJson> {
        serde_json::from_str(json).map_err(|error| InvalidJson::new("a schema", error))
    }
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    format!("({})", items.iter().map(show).collect::<Vec<_>>().join(", "))
}

fn show_measure(measure: &MeasureColumn) -> String {
    let MeasureColumn { name, kind, field, scale, rounding, is_list, elements, is_lenient } = measure;
    let rounded = match rounding {
        Rounding::Exact => "",
        Rounding::HalfEven => " rounded half to even",
        Rounding::Truncate => " truncated",
    };
    match kind {
        MeasureKind::Count => format!("{name}: count"),
        _ => {
            let listed = match (is_list, elements) {
                (false, _) => "",
                (true, Elements::Sum) => " listed",
                (true, Elements::First) => " first of a list",
                (true, Elements::Last) => " last of a list",
                (true, Elements::Max) => " max of a list",
            };
            let lenient = if *is_lenient { " lenient" } else { "" };
            format!("{name}: {kind:?} of {field} scale {scale}{rounded}{listed}{lenient}").to_lowercase()
        }
    }
}

#[cfg(test)]
mod tests;
