//! The table `evs_progress`: the last batch of each stream that was applied.
//!
//! A row for each stream, where a stream is a source, an epoch and a statistic:
//!
//! | source | epoch | statistic | sequence | position | checksum | updated_at |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | web1 | 5f0c… | requests | 7 | `{"files":[…]}` | 00c2… | 1795860005 |
//!
//! This row is what makes a batch count once: it changes in the transaction that adds the batch's rows. Nobody else
//! may change it. A row that is deleted by hand makes the sink stop with `Emptied`, because evs would otherwise count
//! from the first batch again.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use evs_core::{Epoch, Progress, Writer, unescape};
use evs_store::{Failure, PROGRESS as TABLE, ProgressRow, StoreError, Words};

use crate::{
    connection::Connection,
    dialect::Dialect,
    table::{Shape, source_key, with_placeholders},
    value::{ColumnType, Value},
    writers::is_writer,
};

/// The shape of the table.
pub(crate) fn shape() -> Shape {
    let key = [("source", ColumnType::Key), ("epoch", ColumnType::Key), ("statistic", ColumnType::Key)];
    let others = [
        ("sequence", ColumnType::Integer),
        ("position", ColumnType::Text),
        ("checksum", ColumnType::Text),
        ("updated_at", ColumnType::Time),
    ];
    Shape::new(TABLE, &key, &others)
}

/// The current time. It is only for people who look at the table.
pub(crate) fn now() -> Value {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Value::Time(since.as_secs().cast_signed())
}

/// The statements on `evs_progress`.
///
/// They are made once for each store, as text with the store's placeholders, so that a driver finds each of them
/// prepared.
#[derive(Debug)]
pub(crate) struct ProgressTable {
    hold: Option<Arc<str>>,
    all: Arc<str>,
    locked: Arc<str>,
    insert: Arc<str>,
    advance: Arc<str>,
    follow: Arc<str>,
    follow_as_writer: Arc<str>,
}

impl ProgressTable {
    /// The statements in a store's dialect.
    pub(crate) fn new(dialect: &dyn Dialect) -> Self {
        const COLUMNS: &str = "epoch, statistic, sequence, position, checksum";
        let lock = dialect.lock_rows();
        let filled = |sql: &str| with_placeholders(sql, dialect);
        let advance = format!(
            "UPDATE {TABLE} SET sequence = ?, position = ?, checksum = ?, updated_at = ? \
             WHERE source = ? AND epoch = ? AND statistic = ? AND sequence = ?"
        );
        let follow = format!("{advance} AND checksum = ?");
        Self {
            hold: dialect.hold_source().map(Arc::from),
            // The rows are locked, so that this waits for the outcome of an attempt that is still running.
            all: filled(&format!("SELECT {COLUMNS} FROM {TABLE} WHERE source = ?{lock}")),
            locked: filled(&format!(
                "SELECT {COLUMNS} FROM {TABLE} WHERE source = ? AND epoch = ? AND statistic = ?{lock}"
            )),
            insert: filled(&format!(
                "INSERT INTO {TABLE} (sequence, position, checksum, updated_at, source, epoch, statistic) \
                 VALUES (?, ?, ?, ?, ?, ?, ?)"
            )),
            advance: filled(&advance),
            follow: filled(&follow),
            follow_as_writer: filled(&format!("{follow} AND {}", is_writer(dialect))),
        }
    }

    /// Reads the progress of all streams of a source.
    pub(crate) async fn of_source(
        &self,
        connection: &mut impl Connection,
        dialect: &dyn Dialect,
        source: &str,
    ) -> Result<Vec<Progress>, Failure> {
        self.hold(connection, dialect, source).await?;
        let rows = connection.query(&self.all, vec![source_key(source, dialect)]).await?;
        rows.iter().map(|row| read(source, row)).collect()
    }

    /// Reads the stream's progress and locks it, so that nobody else moves it until the transaction ends.
    pub(crate) async fn lock(
        &self,
        connection: &mut impl Connection,
        dialect: &dyn Dialect,
        source: &str,
        epoch: Epoch,
        statistic: &str,
    ) -> Result<Option<Progress>, Failure> {
        let stream = vec![source_key(source, dialect), Value::Text(epoch.to_string()), statistic.into()];
        let mut rows = connection.query(&self.locked, stream.clone()).await?;
        if rows.is_empty() && self.hold(connection, dialect, source).await? {
            // A transaction that was about to insert the row has done so by now, or has failed.
            rows = connection.query(&self.locked, stream).await?;
        }
        rows.first().map(|row| read(source, row)).transpose()
    }

    /// Locks the source against transactions that begin one of its streams. Returns false if the store needs no such
    /// lock.
    ///
    /// A lock on rows cannot lock a row that does not exist yet. Two processes that begin the same stream would both
    /// find no row, and both insert one. The primary key then lets only one of them succeed, but in some stores the
    /// other one gets an error that looks like a defect. Such stores name a lock that exists without a row, for
    /// example PostgreSQL an advisory lock.
    async fn hold(
        &self,
        connection: &mut impl Connection,
        dialect: &dyn Dialect,
        source: &str,
    ) -> Result<bool, Failure> {
        let Some(hold) = &self.hold else { return Ok(false) };
        connection.query(hold, vec![source_key(source, dialect)]).await?;
        Ok(true)
    }

    /// Moves the stream to `next`, if it is at the batch before, which has the checksum `predecessor`, and if
    /// `writer` has claimed the source. That is nearly always so. Returns false if one of these conditions does not
    /// hold, or if there is no such stream.
    ///
    /// The WHERE clause has all conditions, so one statement both decides and locks. Example: the row is at sequence
    /// 6 with checksum c6. To follow with batch 7, whose predecessor is c6, changes one row. To follow with batch 7
    /// of another history (predecessor x6), with batch 8, or with batch 7 a second time changes none, and the caller
    /// reads the row to see which of these it is.
    ///
    /// The first batch of a stream has no row to update. It takes the path that reads and inserts.
    pub(crate) async fn follow(
        &self,
        connection: &mut impl Connection,
        dialect: &dyn Dialect,
        (predecessor, next): (u64, &Progress),
        writer: Option<&Writer>,
    ) -> Result<bool, Failure> {
        // No stream can be at a sequence that the column cannot hold.
        if next.sequence < 2 || i64::try_from(next.sequence).is_err() {
            return Ok(false);
        }
        let mut values = columns(next, dialect)?;
        values.push(sequence(next.sequence - 1, &next.statistic)?);
        values.push(checksum(predecessor));
        let statement = match writer {
            None => &self.follow,
            Some(writer) => {
                values.push(source_key(&writer.source, dialect));
                values.push(Value::Text(writer.token_text()));
                &self.follow_as_writer
            }
        };
        Ok(connection.execute(statement, values).await? == 1)
    }

    /// Moves the stream from `last`, which was read in this transaction, to `next`.
    ///
    /// The statement repeats the sequence of `last` in its WHERE clause. If the store counts another number of
    /// changed rows than one, then its lock does not do what [`Dialect::lock_rows`] promises, and the transaction
    /// must not commit.
    pub(crate) async fn advance(
        &self,
        connection: &mut impl Connection,
        dialect: &dyn Dialect,
        last: Option<&Progress>,
        next: &Progress,
    ) -> Result<(), Failure> {
        let changed = match last {
            Some(last) => {
                let mut values = columns(next, dialect)?;
                values.push(sequence(last.sequence, &next.statistic)?);
                connection.execute(&self.advance, values).await?
            }
            None => connection.execute(&self.insert, columns(next, dialect)?).await?,
        };
        if changed != 1 {
            let message = format!("{changed} rows of {TABLE} were changed, not one");
            return Err(StoreError::transient(message).into());
        }
        Ok(())
    }
}

/// The values of a stream's row, in the order of the statements' parameters.
fn columns(progress: &Progress, dialect: &dyn Dialect) -> Result<Vec<Value>, Failure> {
    Ok(vec![
        sequence(progress.sequence, &progress.statistic)?,
        Value::Text(progress.to.to_json()),
        checksum(progress.checksum),
        now(),
        source_key(&progress.source, dialect),
        Value::Text(progress.epoch.to_string()),
        Value::Text(progress.statistic.clone()),
    ])
}

fn checksum(checksum: u64) -> Value {
    Value::Text(format!("{checksum:016x}"))
}

fn sequence(sequence: u64, statistic: &str) -> Result<Value, Failure> {
    Ok(Value::Integer(evs_store::sequence(sequence, statistic)?))
}

/// Reads a row of `COLUMNS`.
fn read(source: &str, row: &[Value]) -> Result<Progress, Failure> {
    Ok(ProgressRow::read(columns_of(row), source, (Words::TABLES, &format_args!("{row:?}")))?)
}

fn columns_of(row: &[Value]) -> Option<ProgressRow<'_>> {
    let [epoch, statistic, sequence, position, checksum] = row else { return None };
    Some(ProgressRow {
        epoch: epoch.text()?,
        statistic: String::from_utf8(unescape(statistic.text()?)?.into_owned()).ok()?,
        sequence: sequence.integer()?,
        position: position.text()?,
        checksum: checksum.text()?,
    })
}
