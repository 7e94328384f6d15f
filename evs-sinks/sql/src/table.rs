//! Tables: what they look like, and the statements on them.

use std::sync::Arc;

use evs_core::{
    SinkError,
    statistic::{MeasureKind, Schema},
};

use crate::{
    connection::Value,
    dialect::{ColumnType, Dialect},
    names::WINDOW_START,
};

/// A table's columns; the first of them are its primary key.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) table: String,
    pub(crate) columns: Vec<(String, ColumnType)>,
    pub(crate) key_columns: usize,
}

impl Shape {
    pub(crate) fn new(table: &str, key: &[(&str, ColumnType)], others: &[(&str, ColumnType)]) -> Self {
        let columns = key.iter().chain(others).map(|&(name, kind)| (name.to_owned(), kind)).collect();
        Self { table: table.to_owned(), columns, key_columns: key.len() }
    }

    pub(crate) fn of_statistic(schema: &Schema) -> Self {
        let keys = schema.keys.iter().map(|key| (key.name.as_str(), ColumnType::Key));
        let key = [(WINDOW_START, ColumnType::Integer)].into_iter().chain(keys).collect::<Vec<_>>();
        let measures = schema.measures.iter().map(|measure| (measure.name.as_str(), ColumnType::Number));
        Self::new(&schema.statistic, &key, &measures.collect::<Vec<_>>())
    }

    pub(crate) fn create(&self, dialect: &dyn Dialect) -> Arc<str> {
        let declare = |(at, (name, kind)): (usize, &(String, ColumnType))| {
            let not_null = if at < self.key_columns { " NOT NULL" } else { "" };
            format!("{} {}{not_null}", dialect.quote(name), dialect.column_type(*kind))
        };
        let columns = self.columns.iter().enumerate().map(declare).collect::<Vec<_>>().join(", ");
        let (table, key, options) = (dialect.quote(&self.table), self.key(dialect), dialect.table_options());
        format!("CREATE TABLE IF NOT EXISTS {table} ({columns}, PRIMARY KEY ({key})){options}").into()
    }

    /// Compares with the columns that [`Dialect::columns_query`] found.
    pub(crate) fn check(&self, found: &[Vec<Value>], dialect: &dyn Dialect) -> Result<(), SinkError> {
        let table = &self.table;
        let refused = |what: String| Err(SinkError::refused(format!("the table {table} {what}")));
        for (at, (name, kind)) in self.columns.iter().enumerate() {
            let declared = dialect.column_type(*kind);
            let same = |column: &&Vec<Value>| text(column, 0).eq_ignore_ascii_case(name);
            let Some(column) = found.iter().find(same) else {
                let (table, name) = (dialect.quote(table), dialect.quote(name));
                return refused(format!(
                    "has no column {name}; if its rows can do without, repair it with: \
                     ALTER TABLE {table} ADD COLUMN {name} {declared}"
                ));
            };
            if text(column, 1) != declared {
                return refused(format!("has a column {name} of type {:?}, not {declared}", text(column, 1)));
            }
            let place = if at < self.key_columns { at as i128 + 1 } else { 0 };
            if column[2].number() != Some(place) {
                let key = self.key(dialect);
                return refused(format!("has {name} at the wrong place: its primary key must be ({key})"));
            }
            if let (true, Some(wrong)) = (place > 0, column[3].text()) {
                return refused(format!("has a column {name} that {wrong}"));
            }
        }
        for column in found {
            let name = text(column, 0);
            let known = self.columns.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
            if !known && (column[2].number() != Some(0) || column[4].number() != Some(1)) {
                return refused(format!("has a column {name}, which evs does not know how to fill"));
            }
        }
        Ok(())
    }

    /// The primary key's columns, quoted.
    fn key(&self, dialect: &dyn Dialect) -> String {
        list(self.columns[..self.key_columns].iter().map(|(name, _)| dialect.quote(name)))
    }

    fn all(&self, dialect: &dyn Dialect) -> String {
        list(self.columns.iter().map(|(name, _)| dialect.quote(name)))
    }
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
    /// The upserts of 1, 2, 4, 8 … rows. Few different ones, so that each can stay prepared.
    pub(crate) upserts: Vec<Arc<str>>,
}

impl Table {
    pub(crate) fn new(schema: &Schema, dialect: &dyn Dialect) -> Self {
        let shape = Shape::of_statistic(schema);
        let limits = dialect.limits();
        let rows_max = limits.rows_max.min(limits.parameters_max / shape.columns.len()).max(1);
        let upserts = (0..=rows_max.ilog2()).map(|power| upsert(&shape, schema, dialect, 1 << power));
        Self { schema: schema.clone(), upserts: upserts.collect() }
    }
}

fn upsert(shape: &Shape, schema: &Schema, dialect: &dyn Dialect, rows: usize) -> Arc<str> {
    let columns = shape.columns.len();
    let mut sql = format!("INSERT INTO {} ({}) VALUES ", dialect.quote(&shape.table), shape.all(dialect));
    for row in 0..rows {
        if row > 0 {
            sql.push(',');
        }
        push_placeholders(&mut sql, dialect, row * columns + 1, columns);
    }
    sql.push_str(&dialect.on_conflict(&shape.key(dialect)));
    let table = dialect.quote(&shape.table);
    let assign = |name: &str, kind| {
        let column = dialect.quote(name);
        let (held, incoming) = (format!("{table}.{column}"), dialect.incoming(&column));
        let merged = match kind {
            MeasureKind::Count | MeasureKind::Sum => format!("{held} + {incoming}"),
            MeasureKind::Min => format!("{}({held}, {incoming})", dialect.least()),
            MeasureKind::Max => format!("{}({held}, {incoming})", dialect.greatest()),
        };
        // NULL, unless both are there. PostgreSQL's least and greatest skip NULLs, with the same result.
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

/// The query for the rows whose windows start from the first parameter on, before the second.
pub(crate) fn totals(schema: &Schema, dialect: &dyn Dialect) -> Arc<str> {
    let shape = Shape::of_statistic(schema);
    let window = dialect.quote(WINDOW_START);
    let mut sql = format!("SELECT {} FROM {}", shape.all(dialect), dialect.quote(&shape.table));
    sql.push_str(&format!(" WHERE {window} >= "));
    dialect.placeholder(&mut sql, 1);
    sql.push_str(&format!(" AND {window} < "));
    dialect.placeholder(&mut sql, 2);
    sql.into()
}

/// How many rows are swept away at a time: some ten milliseconds' worth of locks.
pub(crate) const SWEEP_ROWS: usize = 5000;

/// The statement that deletes at most [`SWEEP_ROWS`] rows whose windows start before its parameter.
pub(crate) fn sweep(schema: &Schema, dialect: &dyn Dialect) -> Arc<str> {
    let shape = Shape::of_statistic(schema);
    let mut old = format!("{} < ", dialect.quote(WINDOW_START));
    dialect.placeholder(&mut old, 1);
    dialect.delete_some(&dialect.quote(&shape.table), &shape.key(dialect), &old, SWEEP_ROWS).into()
}

/// Fills in the placeholders of a statement that is written with `?`. It has no other question marks.
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
