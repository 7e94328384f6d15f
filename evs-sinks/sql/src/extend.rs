//! Adds columns to the table of a statistic whose definition got more measures.
//!
//! The columns come first and the definition in the catalogue last. In a store without transactions for `ALTER TABLE`,
//! a process that is killed in between leaves columns without values, which nobody uses; the next attempt finds and
//! takes them. The row in the catalogue is locked meanwhile as far as the store allows, and replaced only if it still is
//! the one that was read. So of several processes with different measures, each adds its own to those of the others.

use evs_core::{MeasureColumn, Schema, SinkError};
use evs_store::{CATALOGUE, Extension, Failure, StoreError, Words};

use crate::{
    connection::Connection,
    dialect::Dialect,
    names, prepare,
    table::{add_column, is_named, with_placeholders},
    value::Value,
};

/// Gives the table of a statistic, which the catalogue knows, the measures that it lacks for `schema`.
pub(crate) async fn table(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    schema: &Schema,
    may_alter: bool,
) -> Result<(), Failure> {
    let statistic = &schema.statistic;
    let held = prepare::definition(connection, dialect, statistic, dialect.lock_rows()).await?;
    let Some(held) = held else { return Err(changed(statistic).into()) };
    let Some(extension) = Words::TABLES.extension(&held, schema)? else {
        // Another process was faster.
        return prepare::check_exists(connection, dialect, schema).await;
    };
    names::check(&extension.schema, dialect)?;
    let found = prepare::columns(connection, dialect, statistic).await?;
    let is_missing =
        |measure: &MeasureColumn| !found.iter().any(|column| is_named(column, &measure.name, dialect));
    prepare::check_exists(connection, dialect, &extension.without(is_missing)).await?;
    let (missing, there): (Vec<_>, Vec<_>) = extension.added.iter().partition(|measure| is_missing(measure));
    refuse_values(connection, dialect, statistic, &there).await?;
    add(connection, dialect, statistic, &missing, may_alter).await?;
    enter(connection, dialect, &extension, held).await
}

/// Refuses columns that have values: evs has not written them, so they may mean anything.
async fn refuse_values(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    statistic: &str,
    measures: &[&MeasureColumn],
) -> Result<(), Failure> {
    for measure in measures {
        let (table, column) = (dialect.quote(statistic), dialect.quote(&measure.name));
        let query = format!("SELECT 1 FROM {table} WHERE {column} IS NOT NULL LIMIT 1");
        if !connection.query(&query.into(), Vec::new()).await?.is_empty() {
            return Err(SinkError::refused(format!(
                "the table {statistic} has a column {} with values that evs has not written: give the measure another \
                 name",
                measure.name
            ))
            .into());
        }
    }
    Ok(())
}

async fn add(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    statistic: &str,
    measures: &[&MeasureColumn],
    may_alter: bool,
) -> Result<(), Failure> {
    let statements: Vec<_> = measures.iter().map(|measure| add_column(statistic, measure, dialect)).collect();
    let all = statements.join("; ");
    if !may_alter && !statements.is_empty() {
        return Err(SinkError::refused(format!(
            "evs was told not to change tables, and the table {statistic} lacks columns for the new definition; add \
             them with: {all};"
        ))
        .into());
    }
    for statement in &statements {
        match connection.execute(statement, Vec::new()).await {
            Err(error) if !error.is_transient() => {
                let what = format!(
                    "the table {statistic} cannot get columns for the new definition; grant the right to alter it, or \
                     have somebody run: {all};"
                );
                return Err(SinkError::refused_by(what, error).into());
            }
            outcome => drop(outcome?),
        }
    }
    Ok(())
}

/// Replaces the definition in the catalogue, if it still is `held`.
async fn enter(
    connection: &mut impl Connection,
    dialect: &dyn Dialect,
    extension: &Extension,
    held: String,
) -> Result<(), Failure> {
    let Extension { schema, .. } = extension;
    let update = format!("UPDATE {CATALOGUE} SET definition = ? WHERE statistic = ? AND definition = ?");
    let row = vec![Value::Text(schema.to_json()), schema.statistic.as_str().into(), Value::Text(held)];
    match connection.execute(&with_placeholders(&update, dialect), row).await? {
        0 => Err(changed(&schema.statistic).into()),
        _ => Ok(()),
    }
}

/// The error if another process has changed the catalogue. The next attempt finds what it has done.
fn changed(statistic: &str) -> StoreError {
    StoreError::transient(format!(
        "the definition of {statistic} in {CATALOGUE} is changed by another process"
    ))
}
