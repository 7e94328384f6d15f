//! Creates tables, and checks existing ones.
//!
//! Three questions are asked in this order, and the first wrong answer is the error:
//!
//! - Does the catalogue `evs_statistics` know the statistic, and with the same meaning? If not, rows of two meanings
//!   would be added up.
//! - Does the table exist? If the catalogue knows it and it is gone, evs does not make an empty one in its place: the
//!   rows that it had would be missing, and nobody would notice.
//! - Has it the columns, types and primary key of the schema? If its key had more columns, the upserts would insert
//!   instead of add.
//!
//! Nothing is ever altered. A statement that would repair a table is in the error message, for the operator to judge.

use std::sync::Arc;

use evs_core::{Schema, SinkError};
use evs_store::{CATALOGUE, Failure, PROGRESS, Words};

use crate::{
    connection::Connection,
    dialect::Dialect,
    extend, names, progress,
    table::{Shape, with_placeholders},
    value::{ColumnType, Value},
    writers,
};

fn catalogue() -> Shape {
    let others = [("definition", ColumnType::Text), ("since", ColumnType::Time)];
    Shape::new(CATALOGUE, &[("statistic", ColumnType::Key)], &others)
}

/// Creates the table of a statistic if that is allowed, or else checks it. This happens within a transaction if the
/// store has transactions for `CREATE TABLE`.
///
/// If it has none, the row in the catalogue is written last: a table without a row there is empty, and the next
/// attempt uses it.
pub(crate) async fn statistic(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    schema: &Schema,
    may_create: bool,
) -> Result<(), Failure> {
    names::check(schema, dialect)?;
    let mut missing = Vec::new();
    for shape in [progress::shape(), writers::shape()] {
        if !check(connection, dialect, &shape).await? {
            missing.push(shape);
        }
    }
    let has_catalogue = check(connection, dialect, &catalogue()).await?;
    if !has_catalogue {
        missing.push(catalogue());
    }
    let known =
        if has_catalogue { definition(connection, dialect, &schema.statistic, "").await? } else { None };
    if let Some(known) = &known {
        if Words::TABLES.extension(known, schema)?.is_some() {
            create(connection, dialect, &missing, may_create).await?;
            return extend::table(connection, dialect, schema, may_create).await;
        }
        check_exists(connection, dialect, schema).await?;
    } else {
        let table = Shape::of_statistic(schema, dialect);
        if check(connection, dialect, &table).await? {
            refuse_rows(connection, dialect, &table).await?;
        } else {
            missing.push(table);
        }
    }
    create(connection, dialect, &missing, may_create).await?;
    if known.is_some() {
        return Ok(());
    }
    let insert = format!("INSERT INTO {CATALOGUE} (statistic, definition, since) VALUES (?, ?, ?)");
    let row = vec![schema.statistic.as_str().into(), Value::Text(schema.to_json()), progress::now()];
    connection.execute(&with_placeholders(&insert, dialect), row).await?;
    Ok(())
}

/// Creates one of evs's own tables, or checks it.
pub(crate) async fn bookkeeping(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    shape: Shape,
    may_create: bool,
) -> Result<(), Failure> {
    if check(connection, dialect, &shape).await? {
        return Ok(());
    }
    create(connection, dialect, &[shape], may_create).await
}

/// All missing tables are in one message, so that an operator who creates them by hand does so once, and not one
/// after each start.
async fn create(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    missing: &[Shape],
    may_create: bool,
) -> Result<(), Failure> {
    let statements = missing.iter().map(|shape| shape.create(dialect)).collect::<Vec<_>>();
    if !may_create && !missing.is_empty() {
        let tables = missing.iter().map(|shape| shape.table.as_str()).collect::<Vec<_>>();
        return Err(SinkError::refused(format!(
            "evs was told not to create tables, and these are missing: {}; create them with: {};",
            tables.join(", "),
            statements.join("; ")
        ))
        .into());
    }
    for statement in &statements {
        connection.execute(statement, Vec::new()).await?;
    }
    Ok(())
}

/// Checks that the statistic was prepared. It changes nothing.
pub(crate) async fn check_known(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    schema: &Schema,
) -> Result<(), Failure> {
    names::check(schema, dialect)?;
    if check(connection, dialect, &catalogue()).await? && is_known(connection, dialect, schema).await? {
        return Ok(());
    }
    Err(Words::TABLES.not_prepared(&schema.statistic).into())
}

/// Returns true if the catalogue, which exists, knows the statistic. It is an error if the definition or the table
/// does not fit.
async fn is_known(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    schema: &Schema,
) -> Result<bool, Failure> {
    let known = definition(connection, dialect, &schema.statistic, "").await?;
    let Some(definition) = known else { return Ok(false) };
    Words::TABLES.compare(&definition, schema)?;
    check_exists(connection, dialect, schema).await?;
    Ok(true)
}

/// Checks the table of a statistic that the catalogue knows.
pub(crate) async fn check_exists(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    schema: &Schema,
) -> Result<(), Failure> {
    let shape = Shape::of_statistic(schema, dialect);
    let mut checked = check(connection, dialect, &shape).await;
    if matches!(checked, Ok(false) | Err(Failure::Sink(_))) {
        // MySQL hides a table while another process adds a column to it. A query waits for the end of that, and then
        // nobody alters the table until the transaction ends.
        let nothing = format!("SELECT 1 FROM {} WHERE 1 = 0", dialect.quote(&shape.table));
        match connection.query(&nothing.into(), Vec::new()).await {
            Ok(_) => checked = check(connection, dialect, &shape).await,
            Err(error) if error.is_transient() => return Err(error.into()),
            // There is no such table, or it cannot be read.
            Err(_) => {}
        }
    }
    if checked? {
        return Ok(());
    }
    let statistic = &schema.statistic;
    let how = format!("deleting the rows of {statistic} from {CATALOGUE} and {PROGRESS}");
    Err(Words::TABLES.gone(statistic, &how).into())
}

/// Returns true if the table exists. It is an error if the table has another shape.
pub(crate) async fn check(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    shape: &Shape,
) -> Result<bool, Failure> {
    let table = vec![Value::Text(shape.table.clone())];
    let found = connection.query(&Arc::from(dialect.table_query()), table).await?;
    let Some(row) = found.first() else { return Ok(false) };
    if let Some(wrong) = row.first().and_then(Value::text) {
        return Err(SinkError::refused(format!("the table {} {wrong}", shape.table)).into());
    }
    shape.check(&columns(connection, dialect, &shape.table).await?, dialect)?;
    Ok(true)
}

/// Reads the columns of a table, as [`Dialect::columns_query`] describes them.
pub(crate) async fn columns(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    table: &str,
) -> Result<Vec<Vec<Value>>, Failure> {
    Ok(connection.query(&Arc::from(dialect.columns_query()), vec![Value::Text(table.to_owned())]).await?)
}

/// Reads the catalogue's definition of a statistic, as JSON. `lock` is the clause that locks its row.
pub(crate) async fn definition(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    statistic: &str,
    lock: &str,
) -> Result<Option<String>, Failure> {
    let query = format!("SELECT definition FROM {CATALOGUE} WHERE statistic = ?{lock}");
    let rows = connection.query(&with_placeholders(&query, dialect), vec![statistic.into()]).await?;
    Ok(rows.first().map(|row| row[0].text().unwrap_or_default().to_owned()))
}

/// Refuses a table that has rows but no definition in the catalogue: they may mean anything.
async fn refuse_rows(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    shape: &Shape,
) -> Result<(), Failure> {
    let query = format!("SELECT 1 FROM {} LIMIT 1", dialect.quote(&shape.table));
    if connection.query(&query.into(), Vec::new()).await?.is_empty() {
        return Ok(());
    }
    Err(Words::TABLES.not_ours(&shape.table).into())
}
