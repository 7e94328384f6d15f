//! The shapes of tables: their columns and types.
//!
//! Columns that begin with `evs_` are evs's own. No key or measure can have such a name, which the configuration's
//! check makes sure of.

use evs_core::{MeasureColumn, MeasureKind, Schema, SinkError};
use evs_store::{CATALOGUE, PROGRESS, WRITERS};

use crate::{
    driver::Value,
    names::{WINDOW_START, qualified, quote},
};

// The names of evs's own columns in the table of a statistic.

/// The bucket, a part of the partition key.
pub(crate) const BUCKET: &str = "evs_bucket";
/// The hash of keys that are cut; empty for others.
pub(crate) const KEY_HASH: &str = "evs_key_hash";
/// The source's name.
pub(crate) const SOURCE: &str = "evs_source";
/// The source's epoch.
pub(crate) const EPOCH: &str = "evs_epoch";
/// The batch's sequence.
pub(crate) const SEQUENCE: &str = "evs_sequence";
/// The complete keys, if they are cut.
pub(crate) const LONG_KEYS: &str = "evs_long_keys";

/// The name of the table that is the index of windows.
pub(crate) const WINDOWS: &str = "evs_windows";

/// A table: its partition key, clustering columns and other columns, each a name and a type.
///
/// The order within `clustering` is the order of rows on disk. The keys come first, then the stream, so that all rows
/// that make up one total are neighbours, and a reader adds them up in one pass.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) table: String,
    partition: Vec<Column>,
    clustering: Vec<Column>,
    others: Vec<Column>,
}

type Column = (String, &'static str);

fn columns(columns: &[(&str, &'static str)]) -> Vec<Column> {
    columns.iter().map(|&(name, kind)| (name.to_owned(), kind)).collect()
}

impl Shape {
    /// The table of progress, with a partition per source.
    pub(crate) fn progress() -> Self {
        Self {
            table: PROGRESS.to_owned(),
            partition: columns(&[("source", "text")]),
            clustering: columns(&[("epoch", "text"), ("statistic", "text")]),
            others: columns(&[
                ("sequence", "bigint"),
                ("position", "text"),
                ("checksum", "text"),
                ("updated_at", "timestamp"),
            ]),
        }
    }

    /// The table of the process that writes each source.
    pub(crate) fn writers() -> Self {
        Self {
            table: WRITERS.to_owned(),
            partition: columns(&[("source", "text")]),
            clustering: Vec::new(),
            others: columns(&[
                ("fence", "bigint"),
                ("token", "text"),
                ("epoch", "text"),
                ("host", "text"),
                ("process", "bigint"),
                ("since", "timestamp"),
            ]),
        }
    }

    /// The catalogue: the definitions that the tables of statistics were created for.
    pub(crate) fn catalogue() -> Self {
        Self {
            table: CATALOGUE.to_owned(),
            partition: columns(&[("statistic", "text")]),
            clustering: Vec::new(),
            others: columns(&[("definition", "text"), ("buckets", "int"), ("since", "timestamp")]),
        }
    }

    /// The index of windows that have rows. A partition has a fixed number of windows of a statistic.
    pub(crate) fn windows() -> Self {
        Self {
            table: WINDOWS.to_owned(),
            partition: columns(&[("statistic", "text"), ("span", "bigint")]),
            clustering: columns(&[(WINDOW_START, "timestamp")]),
            others: Vec::new(),
        }
    }

    /// The table of a statistic.
    pub(crate) fn of_statistic(schema: &Schema) -> Self {
        let mut clustering = schema.keys.iter().map(|key| (key.name.clone(), "text")).collect::<Vec<_>>();
        clustering.extend(columns(&[
            (KEY_HASH, "text"),
            (SOURCE, "text"),
            (EPOCH, "text"),
            (SEQUENCE, "bigint"),
        ]));
        let mut others = schema
            .measures
            .iter()
            .map(|measure| (measure.name.clone(), measure_type(measure)))
            .collect::<Vec<_>>();
        others.extend(columns(&[(LONG_KEYS, "frozen<list<text>>")]));
        Self {
            table: schema.statistic.clone(),
            partition: columns(&[(WINDOW_START, "timestamp"), (BUCKET, "int")]),
            clustering,
            others,
        }
    }

    /// All columns: those of the partition key, the clustering columns, and the others.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Column> {
        self.partition.iter().chain(&self.clustering).chain(&self.others)
    }

    /// The `CREATE TABLE` statement.
    pub(crate) fn create(&self, keyspace: &str) -> String {
        let declare = |(name, kind): &Column| format!("{} {kind}", quote(name));
        let declared = self.all().map(declare).collect::<Vec<_>>().join(", ");
        let (table, key) = (qualified(keyspace, &self.table), self.key());
        format!("CREATE TABLE IF NOT EXISTS {table} ({declared}, PRIMARY KEY ({key}))")
    }

    fn key(&self) -> String {
        let list = |columns: &[Column]| columns.iter().map(|(name, _)| quote(name)).collect::<Vec<_>>();
        let mut key = vec![format!("({})", list(&self.partition).join(", "))];
        key.extend(list(&self.clustering));
        key.join(", ")
    }

    /// Compares the shape with the rows of `system_schema.columns`: name, type, kind, position and order.
    pub(crate) fn check(&self, found: &[Vec<Value>], keyspace: &str) -> Result<(), SinkError> {
        let table = &self.table;
        let refused = |what: String| Err(SinkError::refused(format!("the table {table} {what}")));
        let text = |row: &[Value], at: usize| row[at].text().unwrap_or_default().to_owned();
        let places =
            [(&self.partition, "partition_key"), (&self.clustering, "clustering"), (&self.others, "regular")];
        for (columns, kind) in places {
            for (at, (name, declared)) in columns.iter().enumerate() {
                let Some(column) = found.iter().find(|column| column[0].text() == Some(name)) else {
                    let what = format!("has no column {name}");
                    return refused(if kind == "regular" {
                        let (table, name) = (qualified(keyspace, table), quote(name));
                        format!(
                            "{what}; if its rows can do without, repair it with: \
                             ALTER TABLE {table} ADD {name} {declared}"
                        )
                    } else {
                        what
                    });
                };
                if text(column, 1) != *declared {
                    return refused(format!(
                        "has a column {name} of type {}, not {declared}",
                        text(column, 1)
                    ));
                }
                let position = if kind == "regular" { -1 } else { i32::try_from(at).unwrap_or(i32::MAX) };
                let backwards = kind == "clustering" && text(column, 4) != "asc";
                if text(column, 2) != kind || column[3].int() != Some(position) || backwards {
                    return refused(format!(
                        "has {name} at the wrong place: its primary key must be ({}), in ascending order",
                        self.key()
                    ));
                }
            }
        }
        for column in found {
            let name = text(column, 0);
            // Additional columns outside of the key may stay empty.
            let in_key = matches!(text(column, 2).as_str(), "partition_key" | "clustering");
            if in_key && !self.all().any(|(known, _)| *known == name) {
                return refused(format!(
                    "has a column {name} in its key, which evs does not know how to fill"
                ));
            }
        }
        Ok(())
    }
}

/// The statement that adds the column of a measure to the table of a statistic. Rows that are there have no value.
pub(crate) fn add_column(keyspace: &str, statistic: &str, measure: &MeasureColumn) -> String {
    let (table, column) = (qualified(keyspace, statistic), quote(&measure.name));
    format!("ALTER TABLE {table} ADD {column} {}", measure_type(measure))
}

/// A `varint` and a `decimal` have any number of digits. A count is a `bigint`, since no total of lines needs more
/// than 64 bits.
fn measure_type(measure: &MeasureColumn) -> &'static str {
    match (measure.kind, measure.scale) {
        (MeasureKind::Count, _) => "bigint",
        (_, 0) => "varint",
        _ => "decimal",
    }
}

/// A measure's value, as the column holds it. `None` if it does not fit.
pub(crate) fn to_column(measure: &MeasureColumn, value: i128) -> Option<Value> {
    match measure_type(measure) {
        "bigint" => i64::try_from(value).ok().map(Value::Bigint),
        "varint" => Some(Value::Varint(value)),
        _ => Some(Value::Decimal(value, measure.scale.into())),
    }
}

/// The value that [`to_column`] wrote. `None` for any other value.
pub(crate) fn from_column(measure: &MeasureColumn, value: &Value) -> Option<Option<i128>> {
    match value {
        Value::Absent => Some(None),
        Value::Bigint(number) => Some(Some((*number).into())),
        Value::Varint(number) => Some(Some(*number)),
        Value::Decimal(number, scale) if *scale == i32::from(measure.scale) => Some(Some(*number)),
        _ => None,
    }
}
