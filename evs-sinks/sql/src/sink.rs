//! [`SqlStore`]: the transaction that makes a batch count exactly once.
//!
//! Two connections are enough. Batches must be applied in order, so there is one writer, and more would only wait for
//! each other. The other connection answers questions and removes old windows, so that neither holds up a batch for
//! long.
//!
//! A connection is returned (`give_back`) only after the work on it has succeeded. Every other end, an error, a panic
//! or a dropped future, leaves it in a state that nobody knows (perhaps within a transaction), so it is closed, and
//! the next attempt makes a new one. No code path has to remember to roll back.

use std::{
    fmt,
    ops::{Range, RangeInclusive},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use evs_core::{Applied, Batch, Limits, Progress, Rows, Schema, SinkError, Writer, judge};
use evs_store::{Failure, Store, StoreError, Stored, Tables, Words};

use crate::{
    connection::{Connection, Connector},
    dialect::Dialect,
    lease::{CONNECT_MAX, Slot},
    prepare,
    progress::{self, ProgressTable},
    rows::{self, Statements},
    table::{SWEEP_ROWS, Table, sweep, totals},
    value::Value,
    wide,
    writers::{self, WritersTable},
};

/// The number of seconds by which the store's clock may lag behind the clock by which old windows are removed.
///
/// A clock that is wrong by more than that would remove windows that are still wanted. Then nothing is removed, which
/// can be made up for later, while a removed row cannot be brought back.
const CLOCKS_DIFFER_MAX: i64 = 600;

/// A SQL store as a [`Sink`](evs_core::Sink).
pub type SqlSink<C> = Stored<SqlStore<C>>;

/// The common implementation of SQL stores.
///
/// Writes go through one connection, one after the other. Queries for totals and the removal of old windows go
/// through another. Each connection is made when it is first needed, and made again after an error. Needs a tokio
/// runtime with its timer.
///
/// For example, a store for MySQL is `SqlStore::new(Remote::new(...))` with the driver and the dialect of MySQL; the
/// crate `evs-mysql` hides that behind its builder.
pub struct SqlStore<C: Connector> {
    connector: C,
    writer: Slot<C>,
    reader: Slot<C>,
    tables: Tables<Table>,
    progress: ProgressTable,
    writers: WritersTable,
    may_create: bool,
}

impl<C: Connector> SqlStore<C> {
    /// Makes a store that connects when it is first used.
    pub fn new(connector: C) -> Self {
        let progress = ProgressTable::new(connector.dialect());
        let writers = WritersTable::new(connector.dialect());
        Self {
            connector,
            writer: Slot::empty(CONNECT_MAX),
            reader: Slot::empty(CONNECT_MAX),
            tables: Tables::new(),
            progress,
            writers,
            may_create: true,
        }
    }

    /// Sets the time limit for making a connection, after which the sink is [`SinkError::Unavailable`]: 30 seconds by
    /// default.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        (self.writer, self.reader) = (Slot::empty(timeout), Slot::empty(timeout));
        self
    }

    /// Sets whether evs creates missing tables (the default), or fails with an error that contains the statements to
    /// create them.
    #[must_use]
    pub fn create(mut self, may_create: bool) -> Self {
        self.may_create = may_create;
        self
    }

    /// The sink of this store.
    pub fn into_sink(self) -> SqlSink<C> {
        Stored::new(self)
    }

    /// The sink of this store, after connecting once to find out now whether that is possible. A remote store that is
    /// down is no error: it may be back before it is needed.
    ///
    /// # Errors
    ///
    /// The store's error.
    pub async fn connect(self) -> Result<SqlSink<C>, SinkError> {
        let sink = self.into_sink();
        let store = sink.store();
        let connect = async {
            store.writer.lease(&store.connector).await?.give_back();
            Ok(())
        };
        match sink.attempt(|| "cannot connect".to_owned(), connect).await {
            Err(error) if !error.is_transient() || !store.connector.is_remote() => Err(error),
            _ => Ok(sink),
        }
    }

    fn dialect(&self) -> &dyn Dialect {
        self.connector.dialect()
    }

    /// The part of the range `asked` that the store can hold, both ends included. `None` if it is empty.
    fn windows(&self, asked: Range<i64>) -> Option<RangeInclusive<i64>> {
        let held = self.dialect().limits().windows;
        let last = asked.end.checked_sub(1)?.min(*held.end());
        let found = asked.start.max(*held.start())..=last;
        (!found.is_empty()).then_some(found)
    }

    /// Moves the progress for a batch without rows. No table is needed for that: the store may be unable to make one, and
    /// the batch be one that was given up for that reason.
    async fn apply_no_rows(&self, batch: &Batch) -> Result<Applied, Failure> {
        let mut lease = self.writer.begin(&self.connector).await?;
        let connection = &mut lease.connection;
        let (dialect, source) = (self.dialect(), &batch.source);
        prepare::bookkeeping(connection, dialect, progress::shape(), self.may_create).await?;
        if let Some(writer) = batch.writer.as_deref() {
            self.writers.check(connection, dialect, writer).await?;
        }
        let last = self.progress.lock(connection, dialect, source, batch.epoch, batch.statistic()).await?;
        let applied = judge(last.as_ref(), batch)?;
        if applied.is_none() {
            self.progress.advance(connection, dialect, last.as_ref(), &Progress::after(batch)).await?;
        }
        connection.commit().await?;
        lease.give_back();
        Ok(applied.unwrap_or(Applied::Now))
    }

    /// The statements of a schema.
    ///
    /// The check reads the catalogue and the columns, which takes a few queries. So it is done once for each schema,
    /// and again after any error: an operator may have changed the table, and that may be the reason for the error.
    async fn table(&self, connection: &mut C::Connection, schema: &Schema) -> Result<Arc<Table>, Failure> {
        let check = async {
            prepare::check_known(connection, self.dialect(), schema).await?;
            Ok(Table::new(schema, self.dialect()))
        };
        self.tables.checked(schema, check).await
    }
}

impl<C: Connector> fmt::Debug for SqlStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("connector", &self.connector).finish_non_exhaustive()
    }
}

#[async_trait]
impl<C: Connector> Store for SqlStore<C> {
    const WORDS: Words = Words::TABLES;

    fn limits(&self) -> Limits {
        let limits = self.dialect().limits();
        Limits::default()
            .windows(limits.windows)
            .sums(limits.sums)
            .key_bytes_max(limits.key_bytes_max)
            .keys_bytes_max(limits.keys_bytes_max)
    }

    fn secrets(&self) -> &[String] {
        self.connector.secrets()
    }

    fn forget(&self, statistic: &str) {
        self.tables.forget(statistic);
    }

    async fn prepare_once(&self, schema: &Schema) -> Result<(), Failure> {
        let mut lease = self.writer.begin(&self.connector).await?;
        let connection = &mut lease.connection;
        prepare::statistic(connection, self.dialect(), schema, self.may_create).await?;
        connection.commit().await?;
        lease.give_back();
        Ok(())
    }

    async fn apply_once(&self, batch: &Batch) -> Result<Applied, Failure> {
        if batch.rows.is_empty() {
            return self.apply_no_rows(batch).await;
        }
        rows::check(&batch.schema, &batch.rows, self.dialect())?;
        let mut lease = self.writer.begin(&self.connector).await?;
        let connection = &mut lease.connection;
        let table = self.table(connection, &batch.schema).await?;
        let (dialect, source) = (self.dialect(), &batch.source);
        let bytes_max = connection.statement_bytes_max();
        let mut statements = Statements::new(&table, dialect, &batch.rows, bytes_max);
        // This comes first, so that a second attempt waits here for the outcome of the first.
        let (next, writer) = (Progress::after(batch), batch.writer.as_deref());
        // While the store executes one statement, the next one is made.
        let follow = self.progress.follow(connection, dialect, (batch.predecessor, &next), writer);
        let (follows, made) = tokio::join!(follow, async { statements.next_statement() });
        if !follows? {
            if let Some(writer) = writer {
                self.writers.check(connection, dialect, writer).await?;
            }
            let last =
                self.progress.lock(connection, dialect, source, batch.epoch, batch.statistic()).await?;
            if let Some(applied) = judge(last.as_ref(), batch)? {
                connection.rollback().await?;
                lease.give_back();
                return Ok(applied);
            }
            self.progress.advance(connection, dialect, last.as_ref(), &next).await?;
        }
        let mut statement = made?;
        // Executing consumes the parameters. They are copied from the first statement on whose sum the store cannot
        // add up.
        let (mut copies, mut executed) = (false, 0);
        while let Some((sql, parameters)) = statement {
            let copy = copies.then(|| parameters.clone());
            let (outcome, made) =
                tokio::join!(connection.execute(sql, parameters), async { statements.next_statement() });
            match outcome {
                Err(error) if dialect.is_wide_sum(&error) => {
                    let parameters = match copy {
                        Some(parameters) => parameters,
                        None => Statements::new(&table, dialect, &batch.rows, bytes_max).nth(executed)?,
                    };
                    copies = true;
                    wide::add(connection, dialect, &table, parameters).await?;
                }
                outcome => drop(outcome?),
            }
            executed += 1;
            statement = made?;
        }
        connection.commit().await?;
        lease.give_back();
        Ok(Applied::Now)
    }

    async fn begin_once(&self, progress: &Progress) -> Result<(), Failure> {
        let mut lease = self.writer.begin(&self.connector).await?;
        let connection = &mut lease.connection;
        let dialect = self.dialect();
        prepare::bookkeeping(connection, dialect, progress::shape(), self.may_create).await?;
        let Progress { source, epoch, statistic, .. } = progress;
        if self.progress.lock(connection, dialect, source, *epoch, statistic).await?.is_none() {
            self.progress.advance(connection, dialect, None, progress).await?;
        }
        connection.commit().await?;
        lease.give_back();
        Ok(())
    }

    async fn progress_once(&self, source: &str) -> Result<Vec<Progress>, Failure> {
        // On the writer's connection, with its locks: the answer must include an attempt that is still running.
        let mut lease = self.writer.begin(&self.connector).await?;
        let connection = &mut lease.connection;
        let mut found = Vec::new();
        if prepare::check(connection, self.dialect(), &progress::shape()).await? {
            found = self.progress.of_source(connection, self.dialect(), source).await?;
        }
        connection.rollback().await?;
        lease.give_back();
        Ok(found)
    }

    async fn writer_once(&self, source: &str) -> Result<Option<Writer>, Failure> {
        let mut lease = self.writer.begin(&self.connector).await?;
        let connection = &mut lease.connection;
        let mut found = None;
        if prepare::check(connection, self.dialect(), &writers::shape()).await? {
            found = self.writers.of_source(connection, self.dialect(), source).await?;
        }
        connection.rollback().await?;
        lease.give_back();
        Ok(found)
    }

    async fn claim_once(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, Failure> {
        let mut lease = self.writer.begin(&self.connector).await?;
        let connection = &mut lease.connection;
        prepare::bookkeeping(connection, self.dialect(), writers::shape(), self.may_create).await?;
        let is_writer = self.writers.claim(connection, self.dialect(), writer, last).await?;
        connection.commit().await?;
        lease.give_back();
        Ok(is_writer)
    }

    async fn sweep_once(&self, schema: &Schema, before: i64) -> Result<bool, Failure> {
        let Some(old) = self.windows(i64::MIN..before) else { return Ok(false) };
        // In parallel with the batches, if the store allows two writers.
        let slot = if self.dialect().has_one_writer() { &self.writer } else { &self.reader };
        let mut lease = slot.begin(&self.connector).await?;
        let connection = &mut lease.connection;
        prepare::check_known(connection, self.dialect(), schema).await?;
        if let (Some(retain), Some(query)) = (schema.retain_seconds, self.dialect().clock_query()) {
            let found = connection.query(&Arc::from(query), Vec::new()).await?;
            let theirs = found.first().and_then(|row| row[0].integer());
            let behind = theirs.map(|theirs| before.saturating_add_unsigned(retain).saturating_sub(theirs));
            if behind.is_none_or(|seconds| seconds > CLOCKS_DIFFER_MAX) {
                let what = format!(
                    "the store's clock says {theirs:?}, {behind:?} s less than evs's: nothing is removed until they agree"
                );
                return Err(StoreError::transient(what).into());
            }
        }
        let last = vec![Value::Time(*old.end())];
        let swept = connection.execute(&sweep(schema, self.dialect()), last).await?;
        connection.commit().await?;
        lease.give_back();
        Ok(swept >= SWEEP_ROWS as u64)
    }

    async fn close_once(&self) -> Result<(), Failure> {
        // The writer is closed last: closing it tidies up what the other connection leaves (SQLite's write-ahead
        // log).
        self.reader.close().await?;
        self.writer.close().await?;
        Ok(())
    }

    async fn totals_once(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, Failure> {
        // No transaction is begun just for reading if it would lock the whole database.
        let begins = !self.dialect().has_one_writer();
        let (slot, connector) = (&self.reader, &self.connector);
        let mut lease = if begins { slot.begin(connector).await? } else { slot.lease(connector).await? };
        let connection = &mut lease.connection;
        prepare::check_known(connection, self.dialect(), schema).await?;
        let mut found = Vec::new();
        if let Some(windows) = self.windows(windows) {
            let (first, last) = windows.into_inner();
            let range = vec![Value::Time(first), Value::Time(last)];
            found = connection.query(&totals(schema, self.dialect()), range).await?;
        }
        if begins {
            connection.rollback().await?;
        }
        lease.give_back();
        Ok(rows::read(schema, &found, self.dialect())?)
    }
}
