//! The columns of tables, and the statements on them.
//!
//! For the statistic `requests` with the key `status` and the measures `count` and `bytes`, in SQLite:
//!
//! ```text
//! CREATE TABLE IF NOT EXISTS "requests" ("window_start" ..., "status" ..., "count" ..., "bytes" ...,
//!     PRIMARY KEY ("window_start", "status"))
//! INSERT INTO "requests" ("window_start", "status", "count", "bytes") VALUES (?,?,?,?),(?,?,?,?)
//!     ON CONFLICT ("window_start", "status") DO UPDATE SET
//!     "count" = coalesce("requests"."count" + excluded."count", "requests"."count", excluded."count"), ...
//! ```
//!
//! Names are the only part of a statement that comes from the configuration, and they were checked to be letters,
//! digits and `_`. Keys and values are always bound parameters, since clients choose them.

use std::sync::Arc;

use evs_core::{MeasureColumn, MeasureKind, Schema, SinkError};

use crate::{
    dialect::Dialect,
    names::{KEY_HASH, WINDOW_START},
    value::{ColumnType, Value},
};

/// The columns of a table. The first ones are its primary key.
///
/// The same value serves to create the table and to check one that exists, so the two cannot disagree.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) table: String,
    pub(crate) columns: Vec<(String, ColumnType)>,
    pub(crate) key_columns: usize,
}

/// The type of a measure's column.
///
/// A count fits into 64 bits in every store. A sum has a type of its own, because some stores hold more digits than
/// they can add.
pub(crate) fn type_of(measure: &MeasureColumn) -> ColumnType {
    match measure.kind {
        MeasureKind::Count => ColumnType::Count,
        MeasureKind::Sum => ColumnType::Sum(measure.scale),
        _ => ColumnType::Decimal(measure.scale),
    }
}

impl Shape {
    /// A table with the given primary key and other columns.
    pub(crate) fn new(table: &str, key: &[(&str, ColumnType)], others: &[(&str, ColumnType)]) -> Self {
        let columns = key.iter().chain(others).map(|&(name, kind)| (name.to_owned(), kind)).collect();
        Self { table: table.to_owned(), columns, key_columns: key.len() }
    }

    /// The shape of a statistic's table.
    pub(crate) fn of_statistic(schema: &Schema, dialect: &dyn Dialect) -> Self {
        let keys = |kind| schema.keys.iter().map(move |key| (key.name.as_str(), kind));
        let (mut key, mut others) = (vec![(WINDOW_START, ColumnType::Time)], Vec::new());
        if !dialect.hashes_keys() {
            key.extend(keys(ColumnType::Key));
        } else if !schema.keys.is_empty() {
            key.push((KEY_HASH, ColumnType::KeyHash));
            others.extend(keys(ColumnType::KeyText));
        }
        others.extend(schema.measures.iter().map(|measure| (measure.name.as_str(), type_of(measure))));
        Self::new(&schema.statistic, &key, &others)
    }

    /// The `CREATE TABLE` statement.
    pub(crate) fn create(&self, dialect: &dyn Dialect) -> Arc<str> {
        let declare = |(at, (name, kind)): (usize, &(String, ColumnType))| {
            let is_key = at < self.key_columns || *kind == ColumnType::KeyText;
            let not_null = if is_key { " NOT NULL" } else { "" };
            format!("{} {}{not_null}", dialect.quote(name), dialect.column_type(*kind))
        };
        let columns = self.columns.iter().enumerate().map(declare).collect::<Vec<_>>().join(", ");
        let (table, options) = (dialect.quote(&self.table), dialect.table_options());
        let key = self.key(dialect).join(", ");
        format!("CREATE TABLE IF NOT EXISTS {table} ({columns}, PRIMARY KEY ({key})){options}").into()
    }

    /// Compares the table with the columns that [`Dialect::columns_query`] found.
    ///
    /// `found` has a row for each column: name, type, place in the primary key, a complaint about how it compares,
    /// and 1 if an INSERT can leave it out. Columns that evs does not know are allowed if an INSERT can leave them
    /// out: people add columns of their own.
    pub(crate) fn check(&self, found: &[Vec<Value>], dialect: &dyn Dialect) -> Result<(), SinkError> {
        let table = &self.table;
        let refused = |what: String| Err(SinkError::refused(format!("the table {table} {what}")));
        let same = |column: &[Value], name: &str| is_named(column, name, dialect);
        for (at, (name, kind)) in self.columns.iter().enumerate() {
            let declared = dialect.column_type(*kind);
            let Some(column) = found.iter().find(|column| same(column, name)) else {
                let (table, name) = (dialect.quote(table), dialect.quote(name));
                return refused(format!(
                    "has no column {name}; if its rows can do without, repair it with: \
                     ALTER TABLE {table} ADD COLUMN {name} {declared}"
                ));
            };
            if !dialect.accepts(*kind, text(column, 1)) {
                return refused(format!("has a column {name} of type {:?}, not {declared}", text(column, 1)));
            }
            let place = if at < self.key_columns { at as i64 + 1 } else { 0 };
            if column[2].integer() != Some(place) {
                let key = self.key(dialect).join(", ");
                return refused(format!("has {name} at the wrong place: its primary key must be ({key})"));
            }
            let compares = matches!(kind, ColumnType::Key | ColumnType::KeyText);
            if let (true, Some(wrong)) = (compares || place > 0, column[3].text()) {
                return refused(format!("has a column {name} that {wrong}"));
            }
        }
        for column in found {
            let known = self.columns.iter().any(|(known, _)| same(column, known));
            if !known && (column[2].integer() != Some(0) || column[4].integer() != Some(1)) {
                let name = text(column, 0);
                return refused(format!("has a column {name}, which evs does not know how to fill"));
            }
        }
        Ok(())
    }

    /// The primary key's columns, quoted.
    pub(crate) fn key(&self, dialect: &dyn Dialect) -> Vec<String> {
        self.columns[..self.key_columns].iter().map(|(name, _)| dialect.quote(name)).collect()
    }

    fn all(&self, dialect: &dyn Dialect) -> String {
        list(self.columns.iter().map(|(name, _)| dialect.quote(name)))
    }
}

/// True if a column that [`Dialect::columns_query`] found has that name.
pub(crate) fn is_named(column: &[Value], name: &str, dialect: &dyn Dialect) -> bool {
    match dialect.folds_names() {
        true => text(column, 0).eq_ignore_ascii_case(name),
        false => text(column, 0) == name,
    }
}

/// The statement that adds the column of a measure to the table of a statistic. The column is NULL in the rows that are
/// there: nobody has counted it in them.
pub(crate) fn add_column(statistic: &str, measure: &MeasureColumn, dialect: &dyn Dialect) -> Arc<str> {
    let (table, column) = (dialect.quote(statistic), dialect.quote(&measure.name));
    format!("ALTER TABLE {table} ADD COLUMN {column} {}", dialect.column_type(type_of(measure))).into()
}

fn text(column: &[Value], at: usize) -> &str {
    column[at].text().unwrap_or_default()
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// Appends `(?, ?, ?)`, numbering the placeholders from `first`.
fn push_placeholders(sql: &mut String, dialect: &dyn Dialect, first: usize, count: usize) {
    for number in first..first + count {
        sql.push(if number == first { '(' } else { ',' });
        dialect.placeholder(sql, number);
    }
    sql.push(')');
}

/// The statements that add to a statistic's table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) schema: Schema,
    pub(crate) upserts: Upserts,
}

/// The statements that insert rows into a table.
///
/// A statement of any number of rows would be a new text for each number, and a server parses and plans each new text
/// again. So there are a few sizes, and rows that are left over are padded to the next size. PostgreSQL has a better
/// way: one text with a list for each column, which `unnest` turns into rows.
#[derive(Debug)]
pub(crate) enum Upserts {
    /// Upserts of 1, 2, 4, 8 … rows. There are few different ones, so that each can stay prepared.
    Rows(Vec<Arc<str>>),
    /// One upsert for any number of rows up to `rows_max`, with a list of values per column.
    Lists { sql: Arc<str>, columns: Vec<ColumnType>, rows_max: usize },
}

impl Table {
    /// The statements for a statistic, in a store's dialect.
    pub(crate) fn new(schema: &Schema, dialect: &dyn Dialect) -> Self {
        let shape = Shape::of_statistic(schema, dialect);
        let limits = dialect.limits();
        let columns = shape.columns.iter().map(|(_, kind)| *kind).collect::<Vec<_>>();
        let upserts = if let Some(rows) = dialect.rows_of_lists(&columns) {
            let sql = upsert(&shape, schema, dialect, &rows);
            Upserts::Lists { sql, columns, rows_max: limits.rows_max }
        } else {
            let rows_max = limits.rows_max.min(limits.parameters_max / columns.len()).max(1);
            let upsert = |power| {
                let mut rows = String::from("VALUES ");
                for row in 0..1_usize << power {
                    if row > 0 {
                        rows.push(',');
                    }
                    push_placeholders(&mut rows, dialect, row * columns.len() + 1, columns.len());
                }
                upsert(&shape, schema, dialect, &rows)
            };
            Upserts::Rows((0..=rows_max.ilog2()).map(upsert).collect())
        };
        Self { schema: schema.clone(), upserts }
    }
}

/// A measure is NULL in a row that had no value, such as the largest `bytes` of lines that all had `-`. The sum or
/// the smaller of NULL and 5 is NULL in SQL, but here it must be 5. So every assignment is `coalesce(merged, held,
/// incoming)`: the merged value if both are there, and otherwise the one that is.
fn upsert(shape: &Shape, schema: &Schema, dialect: &dyn Dialect, rows: &str) -> Arc<str> {
    let table = dialect.quote(&shape.table);
    let mut sql = format!("INSERT INTO {table} ({}) {rows}", shape.all(dialect));
    sql.push_str(&dialect.on_conflict(&shape.key(dialect).join(", ")));
    let assign = |name: &str, kind| {
        let column = dialect.quote(name);
        let (held, incoming) = (format!("{table}.{column}"), dialect.incoming(&column));
        let merged = match kind {
            MeasureKind::Count => format!("{held} + {incoming}"),
            MeasureKind::Sum => dialect.sum(&held, &incoming),
            MeasureKind::Min => format!("{}({held}, {incoming})", dialect.least()),
            MeasureKind::Max => format!("{}({held}, {incoming})", dialect.greatest()),
            kind => unreachable!("`names::check` refuses {kind:?}"),
        };
        // `merged` is NULL unless both values are present. (PostgreSQL's `least` and `greatest` skip NULLs, with the
        // same result.)
        format!("{column} = coalesce({merged}, {held}, {incoming})")
    };
    if schema.measures.is_empty() {
        // An assignment is needed, and this one changes nothing.
        let window = dialect.quote(WINDOW_START);
        sql.push_str(&format!("{window} = {table}.{window}"));
    }
    sql.push_str(&list(schema.measures.iter().map(|measure| assign(&measure.name, measure.kind))));
    sql.into()
}

/// The query for the windows, keys and measures of the rows whose windows start from the first parameter on, and
/// not after the second.
pub(crate) fn totals(schema: &Schema, dialect: &dyn Dialect) -> Arc<str> {
    let shape = Shape::of_statistic(schema, dialect);
    let read = shape.columns.iter().filter(|(_, kind)| *kind != ColumnType::KeyHash);
    let read = list(read.map(|(name, kind)| dialect.selected(&dialect.quote(name), *kind)));
    let (table, window) = (dialect.quote(&shape.table), dialect.quote(WINDOW_START));
    let query = format!("SELECT {read} FROM {table} WHERE {window} >= ? AND {window} <= ?");
    with_placeholders(&query, dialect)
}

/// The number of rows that are deleted at a time. Their locks are held for some ten milliseconds.
///
/// A DELETE of all old rows at once could lock millions of rows for minutes, and batches would wait.
pub(crate) const SWEEP_ROWS: usize = 5000;

/// The statement that deletes at most [`SWEEP_ROWS`] rows whose windows start at its parameter or before.
pub(crate) fn sweep(schema: &Schema, dialect: &dyn Dialect) -> Arc<str> {
    let shape = Shape::of_statistic(schema, dialect);
    let mut old = format!("{} <= ", dialect.quote(WINDOW_START));
    dialect.placeholder(&mut old, 1);
    dialect.delete_some(&dialect.quote(&shape.table), &shape.key(dialect), &old, SWEEP_ROWS).into()
}

/// A source's name, in the form of its column.
pub(crate) fn source_key(source: &str, dialect: &dyn Dialect) -> Value {
    Value::Text(dialect.key_text(source.as_bytes()).into_owned())
}

/// Replaces each `?` of a statement by the store's placeholder. The statement has no other question marks.
pub(crate) fn with_placeholders(sql: &str, dialect: &dyn Dialect) -> Arc<str> {
    let mut filled = String::with_capacity(sql.len());
    for (number, part) in sql.split('?').enumerate() {
        if number > 0 {
            dialect.placeholder(&mut filled, number);
        }
        filled.push_str(part);
    }
    filled.into()
}
