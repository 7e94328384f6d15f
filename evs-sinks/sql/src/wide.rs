//! Sums that the store holds, but cannot add up.
//!
//! The whole upsert fails for such a total. Its rows are then upserted one by one. A row that fails again is read,
//! added up in 128 bits, and updated. All this happens in the batch's transaction.
//!
//! Only SQLite needs this. It adds integers of 64 bits, and turns a larger total into floating point, which is not
//! exact. So its sums fail instead (see [`Dialect::sum`]). For example, a column holds 9,223,372,036,854,775,807, and
//! 1 is to be added: the upsert fails, this module reads the row, computes 9,223,372,036,854,775,808 in 128 bits, and
//! stores it as text.
//!
//! That is slow, and happens only to rows whose totals are that large. All other rows of the statement are upserted
//! as usual.

use evs_core::SinkError;

use evs_store::Failure;

use crate::{
    connection::Connection,
    dialect::Dialect,
    rows,
    table::{Shape, Table, Upserts, type_of, with_placeholders},
    value::Value,
};

/// Adds, in order, the rows of an upsert of several rows that failed and changed nothing.
pub(crate) async fn add(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    table: &Table,
    parameters: Vec<Value>,
) -> Result<(), Failure> {
    let Upserts::Rows(upserts) = &table.upserts else {
        unreachable!("a dialect with wide sums has no lists");
    };
    let shape = Shape::of_statistic(&table.schema, dialect);
    for row in parameters.chunks(shape.columns.len()) {
        match connection.execute(&upserts[0], row.to_vec()).await {
            Err(error) if dialect.is_wide_sum(&error) => {
                merge(connection, dialect, table, &shape, row).await?;
            }
            outcome => drop(outcome?),
        }
    }
    Ok(())
}

/// Adds a row to an existing row of the table. The row must exist, because only an existing total can be too large to
/// add to.
async fn merge(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    table: &Table,
    shape: &Shape,
    row: &[Value],
) -> Result<(), Failure> {
    let schema = &table.schema;
    let (others, incoming) = row.split_at(row.len() - schema.measures.len());
    let key = &others[..shape.key_columns];
    let quoted = dialect.quote(&shape.table);
    let matches =
        shape.key(dialect).iter().map(|name| format!("{name} = ?")).collect::<Vec<_>>().join(" AND ");
    let columns = schema.measures.iter().map(|measure| (dialect.quote(&measure.name), type_of(measure)));
    let columns = columns.collect::<Vec<_>>();

    let read =
        columns.iter().map(|(name, kind)| dialect.selected(name, *kind)).collect::<Vec<_>>().join(", ");
    let query = format!("SELECT {read} FROM {quoted} WHERE {matches}{}", dialect.lock_rows());
    let found = connection.query(&with_placeholders(&query, dialect), key.to_vec()).await?;
    let held = found.first().and_then(|held| rows::numbers(held, schema, dialect));
    let (Some(held), Some(incoming)) = (held, rows::numbers(incoming, schema, dialect)) else {
        let what = format!("statistic {}: a row of the table cannot be read: {found:?}", schema.statistic);
        return Err(SinkError::refused(what).into());
    };

    let mut totals = Vec::with_capacity(row.len());
    for (at, measure) in schema.measures.iter().enumerate() {
        let total = measure.kind.merge(held[at], incoming[at]);
        let stored = total.and_then(|total| match total {
            None => Some(Value::Null),
            Some(total) => dialect.number(columns[at].1, total),
        });
        totals.push(stored.ok_or_else(|| {
            let window = if let Value::Time(window) = others[0] { window } else { 0 };
            let keys = others[1..].iter().filter_map(Value::text);
            let place = rows::place(&schema.statistic, &measure.name, window, keys);
            let (held, incoming) = (held[at].unwrap_or_default(), incoming[at].unwrap_or_default());
            SinkError::refused(format!("{place}: the total {held} + {incoming} does not fit into the column"))
        })?);
    }
    totals.extend_from_slice(key);
    let set = columns.iter().map(|(name, _)| format!("{name} = ?")).collect::<Vec<_>>().join(", ");
    let update = format!("UPDATE {quoted} SET {set} WHERE {matches}");
    connection.execute(&with_placeholders(&update, dialect), totals).await?;
    Ok(())
}
