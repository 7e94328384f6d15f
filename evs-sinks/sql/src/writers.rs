//! The table `evs_writers`: the process that has claimed each source last.
//!
//! One row for each source: `(web1, fence 4, token 9a…, epoch 5f…, web1.example, 4711, 1795860000)`. The host,
//! process and time are for people, who have to find the other process. The token decides: only the process that made
//! it knows it, while a host name and a process id can be those of a clone.

use std::sync::Arc;

use evs_core::Writer;
use evs_store::{Failure, WRITERS as TABLE, Words, WriterRow, fence};

use crate::{
    connection::Connection,
    dialect::Dialect,
    table::{Shape, source_key, with_placeholders},
    value::{ColumnType, Value},
};

/// The shape of the table.
pub(crate) fn shape() -> Shape {
    let others = [
        ("fence", ColumnType::Integer),
        ("token", ColumnType::Text),
        ("epoch", ColumnType::Text),
        ("host", ColumnType::Text),
        ("process", ColumnType::Integer),
        ("since", ColumnType::Time),
    ];
    Shape::new(TABLE, &[("source", ColumnType::Key)], &others)
}

/// A condition (parameters: source and token) that this process has claimed the source last. It keeps others from
/// claiming the source until the transaction ends.
///
/// It is part of the UPDATE that moves the progress, so it costs no round trip. It reads with a shared lock. Without
/// it, another process could claim the source between this check and the COMMIT, and one batch of each would be
/// applied.
pub(crate) fn is_writer(dialect: &dyn Dialect) -> String {
    let share = dialect.share_rows();
    format!("EXISTS (SELECT 1 FROM {TABLE} WHERE source = ? AND token = ?{share})")
}

/// The statements on `evs_writers`.
///
/// `locked` and `shared` read the same row. A claim waits for others (`locked`), a check only keeps claims away
/// (`shared`).
#[derive(Debug)]
pub(crate) struct WritersTable {
    locked: Arc<str>,
    shared: Arc<str>,
    insert: Arc<str>,
    replace: Arc<str>,
}

impl WritersTable {
    /// The statements in a store's dialect.
    pub(crate) fn new(dialect: &dyn Dialect) -> Self {
        let filled = |sql: &str| with_placeholders(sql, dialect);
        let since = dialect.selected("since", ColumnType::Time);
        let select =
            format!("SELECT fence, token, epoch, host, process, {since} FROM {TABLE} WHERE source = ?");
        Self {
            locked: filled(&format!("{select}{}", dialect.lock_rows())),
            shared: filled(&format!("{select}{}", dialect.share_rows())),
            insert: filled(&format!(
                "INSERT INTO {TABLE} (fence, token, epoch, host, process, since, source) \
                 VALUES (?, ?, ?, ?, ?, ?, ?)"
            )),
            replace: filled(&format!(
                "UPDATE {TABLE} SET fence = ?, token = ?, epoch = ?, host = ?, process = ?, since = ? \
                 WHERE source = ? AND token = ?"
            )),
        }
    }

    /// The process that has claimed the source last. Waits for a claim that is being made.
    pub(crate) async fn of_source(
        &self,
        connection: &mut impl Connection,
        dialect: &dyn Dialect,
        source: &str,
    ) -> Result<Option<Writer>, Failure> {
        let rows = connection.query(&self.locked, vec![source_key(source, dialect)]).await?;
        rows.first().map(|row| read(source, row)).transpose()
    }

    /// Checks that `writer` has claimed its source last. Nobody else can claim it until the transaction ends.
    pub(crate) async fn check(
        &self,
        connection: &mut impl Connection,
        dialect: &dyn Dialect,
        writer: &Writer,
    ) -> Result<(), Failure> {
        let rows = connection.query(&self.shared, vec![source_key(&writer.source, dialect)]).await?;
        let stored = rows.first().map(|row| read(&writer.source, row)).transpose()?;
        Ok(writer.check(stored.as_ref())?)
    }

    /// Claims the source, and returns true if `writer` has it now. Each statement by itself is enough to decide
    /// between two claims: in a store where creating a table ends the transaction, there is no transaction.
    pub(crate) async fn claim(
        &self,
        connection: &mut impl Connection,
        dialect: &dyn Dialect,
        writer: &Writer,
        last: Option<&Writer>,
    ) -> Result<bool, Failure> {
        let found = self.of_source(connection, dialect, &writer.source).await?.map(|found| found.token);
        if found != last.map(|last| last.token) {
            return Ok(found == Some(writer.token));
        }
        let mut values = vec![
            Value::Integer(fence(writer)?),
            Value::Text(writer.token_text()),
            Value::Text(writer.epoch.to_string()),
            Value::Text(writer.host.clone()),
            Value::Integer(writer.process.into()),
            Value::Time(writer.since),
            source_key(&writer.source, dialect),
        ];
        let changed = match last {
            None => connection.execute(&self.insert, values).await?,
            Some(last) => {
                values.push(Value::Text(last.token_text()));
                connection.execute(&self.replace, values).await?
            }
        };
        Ok(changed == 1)
    }
}

fn read(source: &str, row: &[Value]) -> Result<Writer, Failure> {
    Ok(WriterRow::read(columns_of(row), source, (Words::TABLES, &format_args!("{row:?}"), ""))?)
}

fn columns_of(row: &[Value]) -> Option<WriterRow<'_>> {
    let [fence, token, epoch, host, process, since] = row else { return None };
    Some(WriterRow {
        fence: fence.integer()?,
        token: token.text()?,
        epoch: epoch.text()?,
        host: host.text()?,
        process: process.integer()?,
        since: since.integer()?,
    })
}
