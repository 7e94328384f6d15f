//! The table `evs_writers`: the process that has claimed each source last.
//!
//! Cassandra has no transaction over several partitions, so a batch cannot check the writer and write its rows in one
//! step. It checks first. Therefore a batch that is being written during a claim may still be written as a whole; its
//! rows and its progress are those of one history, and the next batch of that process is refused.

use std::sync::Arc;

use evs_core::Writer;
use evs_store::{Failure, WRITERS, Words, WriterRow, fence};

use crate::{
    driver::{Session, Value, query},
    names::qualified,
    progress::escaped,
};

/// The statements on `evs_writers`.
#[derive(Debug)]
pub(crate) struct WritersTable {
    of_source: Arc<str>,
    insert: Arc<str>,
    replace: Arc<str>,
}

impl WritersTable {
    /// The statements for a keyspace.
    pub(crate) fn new(keyspace: &str) -> Self {
        let table = qualified(keyspace, WRITERS);
        Self {
            // The name is quoted, because TOKEN is a function in CQL.
            of_source: format!(
                "SELECT fence, \"token\", epoch, host, process, since FROM {table} WHERE source = ?"
            )
            .into(),
            // These are lightweight transactions, one per start of a process: if two processes claim a source at the
            // same time, one must see the other.
            insert: format!(
                "INSERT INTO {table} (fence, \"token\", epoch, host, process, since, source) \
                 VALUES (?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"
            )
            .into(),
            replace: format!(
                "UPDATE {table} SET fence = ?, \"token\" = ?, epoch = ?, host = ?, process = ?, since = ? \
                 WHERE source = ? IF \"token\" = ?"
            )
            .into(),
        }
    }

    /// Reads the process that has claimed the source last.
    pub(crate) async fn of_source(
        &self,
        session: &dyn Session,
        source: &str,
    ) -> Result<Option<Writer>, Failure> {
        let rows = query(session, &self.of_source, &[escaped(source)]).await?;
        rows.first().map(|row| read(source, row)).transpose()
    }

    /// Claims the source, and returns true if `writer` has it now.
    pub(crate) async fn claim(
        &self,
        session: &dyn Session,
        writer: &Writer,
        last: Option<&Writer>,
    ) -> Result<bool, Failure> {
        let mut values = vec![
            Value::Bigint(fence(writer)?),
            writer.token_text().as_str().into(),
            writer.epoch.to_string().as_str().into(),
            writer.host.as_str().into(),
            Value::Bigint(writer.process.into()),
            Value::Timestamp(writer.since.saturating_mul(1000)),
            escaped(&writer.source),
        ];
        let statement = match last {
            None => &self.insert,
            Some(last) => {
                values.push(last.token_text().as_str().into());
                &self.replace
            }
        };
        query(session, statement, &values).await?;
        // The form of the answer differs, so the row is read: it has the process that was first.
        let found = self.of_source(session, &writer.source).await?;
        Ok(found.is_some_and(|found| found.token == writer.token))
    }
}

fn read(source: &str, row: &[Value]) -> Result<Writer, Failure> {
    let how = " with DELETE ... IF EXISTS";
    Ok(WriterRow::read(columns_of(row), source, (Words::TABLES, &format_args!("{row:?}"), how))?)
}

fn columns_of(row: &[Value]) -> Option<WriterRow<'_>> {
    let [fence, token, epoch, host, process, since] = row else { return None };
    Some(WriterRow {
        fence: fence.bigint()?,
        token: token.text()?,
        epoch: epoch.text()?,
        host: host.text()?,
        process: process.bigint()?,
        since: since.timestamp()?.div_euclid(1000),
    })
}
