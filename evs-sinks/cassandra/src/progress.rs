//! The table `evs_progress`: the last batch of each stream that was applied.
//!
//! The progress is written after all rows of a batch were confirmed. Rows whose sequence is higher than the progress
//! do not count: they are of a batch that is being written, or that was begun by a process which died. Whoever reads
//! totals has to leave them out, and `docs/sinks/cassandra.md` has the queries.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use evs_core::{Epoch, Progress, SinkError, escape, unescape};
use evs_store::{Failure, PROGRESS, ProgressRow, Words};

use crate::{
    driver::{Session, Value, query},
    names::qualified,
};

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().cast_signed()
}

/// The statements on `evs_progress`.
#[derive(Debug)]
pub(crate) struct ProgressTable {
    of_source: Arc<str>,
    of_stream: Arc<str>,
    sequences: Arc<str>,
    advance: Arc<str>,
}

impl ProgressTable {
    /// The statements for a keyspace.
    pub(crate) fn new(keyspace: &str) -> Self {
        const COLUMNS: &str = "epoch, statistic, sequence, position, checksum";
        let table = qualified(keyspace, PROGRESS);
        let of_source = format!("SELECT {COLUMNS} FROM {table} WHERE source = ?");
        Self {
            of_stream: format!("{of_source} AND epoch = ? AND statistic = ?").into(),
            of_source: of_source.into(),
            sequences: format!("SELECT source, epoch, statistic, sequence FROM {table}").into(),
            // The sequence is the write's timestamp. Of several writes Cassandra keeps the one with the highest
            // timestamp, so a late request of an abandoned attempt cannot move the progress back.
            advance: format!(
                "INSERT INTO {table} (source, epoch, statistic, sequence, position, checksum, updated_at) \
                 VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
            )
            .into(),
        }
    }

    /// Reads the progress of all streams of a source.
    pub(crate) async fn of_source(
        &self,
        session: &dyn Session,
        source: &str,
    ) -> Result<Vec<Progress>, Failure> {
        let rows = query(session, &self.of_source, &[escaped(source)]).await?;
        rows.iter().map(|row| read(source, row)).collect()
    }

    /// Reads the progress of a stream.
    pub(crate) async fn of_stream(
        &self,
        session: &dyn Session,
        source: &str,
        epoch: Epoch,
        statistic: &str,
    ) -> Result<Option<Progress>, Failure> {
        let stream = [escaped(source), epoch_text(epoch), escaped(statistic)];
        let rows = query(session, &self.of_stream, &stream).await?;
        rows.first().map(|row| read(source, row)).transpose()
    }

    /// Reads the last sequence of each stream of a statistic, by source and epoch as the rows have them.
    pub(crate) async fn sequences(
        &self,
        session: &dyn Session,
        statistic: &str,
    ) -> Result<HashMap<(Arc<str>, Arc<str>), i64>, Failure> {
        let statistic = escaped(statistic);
        let mut found = HashMap::new();
        for row in query(session, &self.sequences, &[]).await? {
            if let [Value::Text(source), Value::Text(epoch), of, Value::Bigint(sequence)] = &row[..]
                && *of == statistic
            {
                found.insert((Arc::clone(source), Arc::clone(epoch)), *sequence);
            }
        }
        Ok(found)
    }

    /// Moves a stream whose progress was `last` to `next`.
    ///
    /// After the first write of a stream the row is read again. An operator may have deleted it earlier; Cassandra
    /// then keeps a tombstone with the time of that moment in microseconds, which is higher than any sequence, and
    /// every later write of evs would silently lose against it.
    pub(crate) async fn advance(
        &self,
        session: &dyn Session,
        last: Option<&Progress>,
        next: &Progress,
    ) -> Result<(), Failure> {
        let Progress { source, epoch, statistic, .. } = next;
        let sequence = sequence(next)?;
        let values = vec![
            escaped(source),
            epoch_text(*epoch),
            escaped(statistic),
            Value::Bigint(sequence),
            next.to.to_json().as_str().into(),
            format!("{:016x}", next.checksum).as_str().into(),
            Value::Timestamp(now().saturating_mul(1000)),
            Value::Bigint(sequence),
        ];
        session.write(&self.advance, &[values]).await?;
        // The tombstone of a row that was deleted by hand hides writes with a lower timestamp, and all of evs's are
        // lower.
        if last.is_none() && self.of_stream(session, source, *epoch, statistic).await?.is_none() {
            return Err(SinkError::refused(format!(
                "{PROGRESS} does not take the progress of source {source}, epoch {epoch}, statistic {statistic}: \
                 it was deleted by hand, and what Cassandra notes of that hides it; empty the table with TRUNCATE, \
                 or start over with another state directory"
            ))
            .into());
        }
        Ok(())
    }
}

/// A name, escaped, in the form of a column.
pub(crate) fn escaped(name: &str) -> Value {
    escape(name.as_bytes()).as_ref().into()
}

fn epoch_text(epoch: Epoch) -> Value {
    epoch.to_string().as_str().into()
}

/// A stream's sequence, as the number for its column.
pub(crate) fn sequence(progress: &Progress) -> Result<i64, SinkError> {
    evs_store::sequence(progress.sequence, &progress.statistic)
}

fn read(source: &str, row: &[Value]) -> Result<Progress, Failure> {
    Ok(ProgressRow::read(columns_of(row), source, (Words::TABLES, &format_args!("{row:?}")))?)
}

fn columns_of(row: &[Value]) -> Option<ProgressRow<'_>> {
    let [epoch, statistic, sequence, position, checksum] = row else { return None };
    Some(ProgressRow {
        epoch: epoch.text()?,
        statistic: String::from_utf8(unescape(statistic.text()?)?.into_owned()).ok()?,
        sequence: sequence.bigint()?,
        position: position.text()?,
        checksum: checksum.text()?,
    })
}
