//! Creates tables, and checks existing ones.
//!
//! Cassandra's schema changes are not transactional, and two of them at the same time can disagree for a while. So
//! evs creates tables only with IF NOT EXISTS, waits until all nodes agree on the schema, and takes the row in the
//! catalogue as the one truth: whichever sink wrote it first has decided the definition and the number of buckets.

use std::sync::Arc;

use evs_core::{MeasureColumn, Schema, SinkError};
use evs_store::{CATALOGUE, Failure, Words};

use crate::{
    driver::{Kind, Session, StoreError, Value, query},
    names::{self, qualified},
    progress::now,
    shape::{Shape, add_column},
};

/// The number of times that other sinks may change the same definition at the same moment before this gives up.
const ROUNDS_MAX: usize = 5;

/// A keyspace, and the permission to create tables in it.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) keyspace: String,
    /// True if missing tables may be created.
    pub(crate) create: bool,
    columns: Arc<str>,
    definition: Arc<str>,
    define: Arc<str>,
    redefine: Arc<str>,
}

impl Storage {
    /// The statements for a keyspace.
    pub(crate) fn new(keyspace: &str, create: bool) -> Self {
        let catalogue = qualified(keyspace, CATALOGUE);
        Self {
            keyspace: keyspace.to_owned(),
            create,
            columns: "SELECT column_name, type, kind, position, clustering_order FROM system_schema.columns \
                      WHERE keyspace_name = ? AND table_name = ?"
                .into(),
            definition: format!("SELECT definition, buckets FROM {catalogue} WHERE statistic = ?").into(),
            // This is a lightweight transaction, once per table: if two sinks create it at the same time with
            // different numbers of buckets, one must see the other's.
            define: format!(
                "INSERT INTO {catalogue} (statistic, definition, buckets, since) VALUES (?, ?, ?, ?) \
                 IF NOT EXISTS"
            )
            .into(),
            // For the same reason: each of several sinks adds its measures to those of the others.
            redefine: format!("UPDATE {catalogue} SET definition = ? WHERE statistic = ? IF definition = ?")
                .into(),
        }
    }

    /// Creates the table of a statistic, or checks it.
    ///
    /// The row in the catalogue is written last: a table without one is empty, and the next attempt uses it.
    pub(crate) async fn prepare(
        &self,
        session: &dyn Session,
        schema: &Schema,
        buckets: i32,
    ) -> Result<(), Failure> {
        names::check(schema)?;
        let shape = Shape::of_statistic(schema);
        let mut missing = self.missing(session).await?;
        let catalogued = !missing.iter().any(|shape| shape.table == CATALOGUE);
        if catalogued {
            self.extend(session, schema).await?;
            if self.is_known(session, schema).await?.is_some() && missing.is_empty() {
                return Ok(());
            }
        }
        if self.check(session, &shape).await? {
            self.refuse_rows(session, &shape).await?;
        } else {
            missing.push(shape);
        }
        self.create(session, &missing).await?;
        let row = [
            schema.statistic.as_str().into(),
            schema.to_json().as_str().into(),
            Value::Int(buckets),
            Value::Timestamp(now().saturating_mul(1000)),
        ];
        query(session, &self.define, &row).await?;
        // Another sink may have been first, with other measures.
        self.extend(session, schema).await?;
        if self.is_known(session, schema).await?.is_none() {
            let what = format!("{CATALOGUE} does not have what was just written to it");
            return Err(StoreError::new(Kind::Busy, what).into());
        }
        Ok(())
    }

    /// Creates evs's own tables, or checks them.
    pub(crate) async fn bookkeeping(&self, session: &dyn Session) -> Result<(), Failure> {
        let missing = self.missing(session).await?;
        self.create(session, &missing).await
    }

    /// The tables of evs's own that do not exist yet.
    async fn missing(&self, session: &dyn Session) -> Result<Vec<Shape>, Failure> {
        let mut missing = Vec::new();
        for shape in [Shape::progress(), Shape::writers(), Shape::catalogue(), Shape::windows()] {
            if !self.check(session, &shape).await? {
                missing.push(shape);
            }
        }
        Ok(missing)
    }

    /// Checks that the statistic was prepared, and returns its number of buckets. It changes nothing.
    pub(crate) async fn check_known(&self, session: &dyn Session, schema: &Schema) -> Result<i32, Failure> {
        names::check(schema)?;
        if self.check(session, &Shape::catalogue()).await?
            && let Some(buckets) = self.is_known(session, schema).await?
        {
            return Ok(buckets);
        }
        Err(Words::TABLES.not_prepared(&schema.statistic).into())
    }

    /// Returns true if the table exists. It is an error if the table has another shape.
    pub(crate) async fn check(&self, session: &dyn Session, shape: &Shape) -> Result<bool, Failure> {
        let table = [self.keyspace.as_str().into(), shape.table.as_str().into()];
        let found = query(session, &self.columns, &table).await?;
        if found.is_empty() {
            return Ok(false);
        }
        shape.check(&found, &self.keyspace)?;
        Ok(true)
    }

    async fn create(&self, session: &dyn Session, missing: &[Shape]) -> Result<(), Failure> {
        if missing.is_empty() {
            return Ok(());
        }
        let statements = missing.iter().map(|shape| shape.create(&self.keyspace)).collect::<Vec<_>>();
        if !self.create {
            return Err(SinkError::refused(format!(
                "the keyspace {} has not all tables, and evs was told not to make any; make them with: {};",
                self.keyspace,
                statements.join("; ")
            ))
            .into());
        }
        for (statement, shape) in statements.iter().zip(missing) {
            session.define(statement).await?;
            // Another evs may have created it, for another definition.
            if !self.check(session, shape).await? {
                let what = format!("the table {} was made, but cannot be seen yet", shape.table);
                return Err(StoreError::new(Kind::Busy, what).into());
            }
        }
        Ok(())
    }

    /// Returns a statistic's number of buckets, if the catalogue, which exists, knows it. It is an error if the
    /// definition or the table does not fit.
    async fn is_known(&self, session: &dyn Session, schema: &Schema) -> Result<Option<i32>, Failure> {
        let statistic = &schema.statistic;
        let rows = query(session, &self.definition, &[statistic.as_str().into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Words::TABLES.compare(row[0].text().unwrap_or_default(), schema)?;
        let buckets = row[1].int().filter(|buckets| *buckets > 0).ok_or_else(|| {
            SinkError::refused(format!("the number of buckets of {statistic} in {CATALOGUE} cannot be read"))
        })?;
        if self.check(session, &Shape::of_statistic(schema)).await? {
            return Ok(Some(buckets));
        }
        Err(gone(statistic).into())
    }

    /// Gives the table of a statistic the measures that it lacks for `schema`, if the catalogue knows it.
    ///
    /// The columns come first and the definition last: a process that is killed in between leaves columns without
    /// values, which the next attempt finds.
    async fn extend(&self, session: &dyn Session, schema: &Schema) -> Result<(), Failure> {
        let statistic = &schema.statistic;
        for _ in 0..ROUNDS_MAX {
            let rows = query(session, &self.definition, &[statistic.as_str().into()]).await?;
            let Some(row) = rows.first() else { return Ok(()) };
            let definition = row[0].text().unwrap_or_default();
            let Some(extension) = Words::TABLES.extension(definition, schema)? else { return Ok(()) };
            names::check(&extension.schema)?;
            let found = self.names_of(session, statistic).await?;
            if found.is_empty() {
                return Err(gone(statistic).into());
            }
            let is_missing = |measure: &MeasureColumn| !found.contains(&measure.name);
            self.check(session, &Shape::of_statistic(&extension.without(is_missing))).await?;
            let missing: Vec<_> = extension.added.iter().filter(|measure| is_missing(measure)).collect();
            self.add(session, &extension.schema, &missing).await?;
            let row =
                [extension.schema.to_json().as_str().into(), statistic.as_str().into(), definition.into()];
            query(session, &self.redefine, &row).await?;
        }
        let what = format!("the definition of {statistic} in {CATALOGUE} is changed by others, too");
        Err(StoreError::new(Kind::Busy, what).into())
    }

    /// The names of a table's columns; none if there is no such table.
    async fn names_of(&self, session: &dyn Session, table: &str) -> Result<Vec<String>, Failure> {
        let table = [self.keyspace.as_str().into(), table.into()];
        let found = query(session, &self.columns, &table).await?;
        Ok(found.iter().filter_map(|column| Some(column[0].text()?.to_owned())).collect())
    }

    /// Adds the columns of measures to the table of a statistic, which then has all columns of `schema`.
    async fn add(
        &self,
        session: &dyn Session,
        schema: &Schema,
        measures: &[&MeasureColumn],
    ) -> Result<(), Failure> {
        let statistic = &schema.statistic;
        let statements: Vec<_> =
            measures.iter().map(|measure| add_column(&self.keyspace, statistic, measure)).collect();
        let all = statements.join("; ");
        if !self.create && !statements.is_empty() {
            return Err(SinkError::refused(format!(
                "evs was told not to change tables, and the table {statistic} lacks columns for the new definition; \
                 add them with: {all};"
            ))
            .into());
        }
        for (statement, measure) in statements.iter().zip(measures) {
            let Err(error) = session.define(statement).await else { continue };
            if error.is_transient() {
                return Err(error.into());
            }
            // Another sink may have added it at the same moment.
            if !self.names_of(session, statistic).await?.contains(&measure.name) {
                let what = format!(
                    "the table {statistic} cannot get columns for the new definition; grant the right to alter it, or \
                     have somebody run: {all};"
                );
                return Err(SinkError::refused_by(what, error).into());
            }
        }
        if !statements.is_empty() {
            // A column of another type is found here.
            self.check(session, &Shape::of_statistic(schema)).await?;
        }
        Ok(())
    }

    /// Refuses a table that has rows but no definition in the catalogue: they may mean anything.
    async fn refuse_rows(&self, session: &dyn Session, shape: &Shape) -> Result<(), Failure> {
        let first = format!("SELECT evs_sequence FROM {} LIMIT 1", qualified(&self.keyspace, &shape.table));
        if query(session, &first.into(), &[]).await?.is_empty() {
            return Ok(());
        }
        Err(Words::TABLES.not_ours(&shape.table).into())
    }
}

/// The error for a table that the catalogue knows, and that is missing.
fn gone(statistic: &str) -> SinkError {
    let how = format!("emptying evs_progress and deleting {statistic} from {CATALOGUE}");
    Words::TABLES.gone(statistic, &how)
}

/// Checks that the keyspace exists, and that writes to it are durable.
pub(crate) async fn keyspace(
    session: &dyn Session,
    keyspace: &str,
    nodes: &[(String, usize)],
) -> Result<(), Failure> {
    let durable: Arc<str> =
        "SELECT durable_writes FROM system_schema.keyspaces WHERE keyspace_name = ?".into();
    let found = query(session, &durable, &[keyspace.into()]).await?;
    match found.first().map(Vec::as_slice) {
        Some([Value::Boolean(false)]) => Err(SinkError::refused(format!(
            "the keyspace {keyspace} has durable_writes = false: what was applied would be lost with its nodes; \
             change it with: ALTER KEYSPACE {} WITH durable_writes = true",
            names::quote(keyspace)
        ))
        .into()),
        Some(_) => Ok(()),
        None => {
            // The owner of the cluster decides how many replicas there are, and where.
            let replicas = nodes.iter().map(|(name, nodes)| format!(", '{name}': {}", nodes.clamp(&1, &3)));
            Err(SinkError::refused(format!(
                "the keyspace {keyspace} is missing; make it, with as many replicas as you want, for example: \
                 CREATE KEYSPACE {} WITH replication = {{'class': 'NetworkTopologyStrategy'{}}}",
                names::quote(keyspace),
                replicas.collect::<String>()
            ))
            .into())
        }
    }
}

/// Checks that the datacenter exists in the cluster, and that one is named if that matters.
pub(crate) fn datacenter(
    wanted: Option<&str>,
    is_local: bool,
    nodes: &[(String, usize)],
) -> Result<(), SinkError> {
    let names = nodes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    match wanted {
        Some(wanted) if !nodes.iter().any(|(name, _)| name == wanted) => {
            Err(SinkError::refused(format!("the cluster has no datacenter {wanted:?}; it has: {names}")))
        }
        // Another datacenter may not have yet what one datacenter's quorum has written.
        None if is_local && nodes.len() > 1 => Err(SinkError::refused(format!(
            "the cluster has several datacenters ({names}), and the consistency local_quorum holds within one: \
             say which with dc=, or use consistency=quorum"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_datacenters_must_be_named_for_a_local_quorum() {
        let nodes = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 3)).collect::<Vec<_>>();
        let (one, two) = (nodes(&["dc1"]), nodes(&["dc1", "dc2"]));
        for (wanted, is_local, nodes, says) in [
            (None, true, &one, None),
            (None, false, &two, None),
            (Some("dc2"), true, &two, None),
            (None, true, &two, Some("dc=")),
            (Some("dc3"), false, &two, Some("dc1, dc2")),
            (Some("DC1"), true, &one, Some("no datacenter \"DC1\"")),
        ] {
            let answer = datacenter(wanted, is_local, nodes);
            let said = answer.as_ref().err().map(ToString::to_string);
            let expected = says.is_none_or(|says| said.as_ref().is_some_and(|said| said.contains(says)));
            assert!(said.is_some() == says.is_some() && expected, "{wanted:?} {is_local}: {said:?}");
        }
    }
}
