//! The transaction that makes it exactly once.

use std::{
    collections::HashMap,
    fmt,
    ops::{Range, RangeInclusive},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use evs_core::{
    Applied, Batch, Progress, Rows, Sink, SinkError, Writer,
    sink::{Limits, judge},
    statistic::Schema,
};

use crate::{
    connection::{Connection, Connector, StoreError, Value},
    dialect::Dialect,
    lease::Slot,
    prepare,
    progress::{self, ProgressTable},
    rows::{self, Statements},
    table::{SWEEP_ROWS, Table, sweep, totals},
    wide,
    writers::{self, WritersTable},
};

/// By how many seconds the store's clock may be behind the time that old windows are removed by.
const CLOCKS_DIFFER_MAX: i64 = 600;

/// A SQL store as a [`Sink`].
///
/// Writes go through one connection, one after the other; totals, and the sweeping away of old windows, through
/// another. Both are made when they are needed, and made anew after an error. Needs a tokio runtime with its
/// timer.
pub struct SqlSink<C: Connector> {
    connector: C,
    writer: Slot<C>,
    reader: Slot<C>,
    /// The statistics whose tables have been checked.
    tables: Mutex<HashMap<String, Arc<Table>>>,
    progress: ProgressTable,
    writers: WritersTable,
    deadline: Duration,
    may_create: bool,
}

/// Why an attempt came to nothing.
pub(crate) enum Failure {
    /// evs will not, and the message is complete.
    Sink(SinkError),
    /// The store does not, in its own words.
    Store(StoreError),
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<C: Connector> SqlSink<C> {
    /// The default of [`SqlSink::deadline`].
    pub const DEADLINE: Duration = Duration::from_secs(300);

    /// A sink that connects when it is first used.
    pub fn new(connector: C) -> Self {
        let progress = ProgressTable::new(connector.dialect());
        let writers = WritersTable::new(connector.dialect());
        Self {
            connector,
            writer: Slot::empty(),
            reader: Slot::empty(),
            tables: Mutex::default(),
            progress,
            writers,
            deadline: Self::DEADLINE,
            may_create: true,
        }
    }

    /// How long a call may take before it is given up as [`SinkError::Unavailable`], connecting and waiting
    /// for other calls included. It must be enough for the largest batch.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Whether tables that are missing are made, as they are by default, or an error that says how to make
    /// them.
    #[must_use]
    pub fn create(mut self, may_create: bool) -> Self {
        self.may_create = may_create;
        self
    }

    /// Connects, to find out now whether that is possible. A store that is away is no error if it is remote: it
    /// may come back before it is needed.
    ///
    /// # Errors
    ///
    /// As the store says.
    pub async fn check(&self) -> Result<(), SinkError> {
        let connect = async {
            self.writer.lease(&self.connector).await?.give_back();
            Ok(())
        };
        match self.attempt(|| "cannot connect".to_owned(), connect).await {
            Err(error) if error.is_transient() && self.connector.is_remote() => Ok(()),
            answer => answer,
        }
    }

    fn dialect(&self) -> &dyn Dialect {
        self.connector.dialect()
    }

    /// Runs `work` within the deadline. Every error of the store passes through here.
    async fn attempt<T>(
        &self,
        what: impl FnOnce() -> String + Send,
        work: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, SinkError> {
        let done = tokio::time::timeout(self.deadline, work).await.unwrap_or_else(|_| {
            let message = format!("no answer within {:?}", self.deadline);
            Err(StoreError::transient(message).into())
        });
        done.map_err(|failure| match failure {
            Failure::Sink(error) => error,
            Failure::Store(mut error) => {
                for secret in self.connector.secrets().iter().filter(|secret| !secret.is_empty()) {
                    error.message = error.message.replace(secret, "***");
                }
                if error.is_transient {
                    SinkError::unavailable(what(), error)
                } else {
                    SinkError::refused_by(what(), error)
                }
            }
        })
    }

    /// Those of the windows that the store can hold, both ends included; `None` if there are none.
    fn windows(&self, asked: Range<i64>) -> Option<RangeInclusive<i64>> {
        let held = self.dialect().limits().windows;
        let last = asked.end.checked_sub(1)?.min(*held.end());
        let found = asked.start.max(*held.start())..=last;
        (!found.is_empty()).then_some(found)
    }

    async fn prepare_once(&self, schema: &Schema) -> Result<(), Failure> {
        let mut lease = self.writer.begin(&self.connector).await?;
        let connection = &mut lease.connection;
        prepare::statistic(connection, self.dialect(), schema, self.may_create).await?;
        connection.commit().await?;
        lease.give_back();
        Ok(())
    }

    /// The statements of a schema. When it is first seen, its table is checked: rows must not be added to
    /// a table that was made for another definition, whoever forgot to ask.
    async fn table(&self, connection: &mut C::Connection, schema: &Schema) -> Result<Arc<Table>, Failure> {
        let known = self.tables().get(&schema.statistic).filter(|table| table.schema == *schema).cloned();
        if let Some(table) = known {
            return Ok(table);
        }
        prepare::check_known(connection, self.dialect(), schema).await?;
        let table = Arc::new(Table::new(schema, self.dialect()));
        self.tables().insert(schema.statistic.clone(), Arc::clone(&table));
        Ok(table)
    }

    fn tables(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Table>>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn apply_once(&self, batch: &Batch) -> Result<Applied, Failure> {
        rows::check(&batch.schema, &batch.rows, self.dialect())?;
        let mut lease = self.writer.begin(&self.connector).await?;
        let connection = &mut lease.connection;
        let table = self.table(connection, &batch.schema).await?;
        let (dialect, source) = (self.dialect(), &batch.source);
        let bytes_max = connection.statement_bytes_max();
        let mut statements = Statements::new(&table, dialect, &batch.rows, bytes_max);
        // First, so that a second attempt waits here for the outcome of the first.
        let (next, writer) = (Progress::after(batch), batch.writer.as_deref());
        // While the store is at one statement, the next one is made.
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
        // Executing takes the parameters. They are copied from the first sum on that the store cannot add up.
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
        // Through the writer: the store must not answer from before an attempt that is still under way.
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
        // Beside the batches, where both can write.
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

    async fn totals_once(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, Failure> {
        // A transaction that would lock the database is not begun to read.
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

impl<C: Connector> fmt::Debug for SqlSink<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlSink").field("connector", &self.connector).finish_non_exhaustive()
    }
}

#[async_trait]
impl<C: Connector> Sink for SqlSink<C> {
    fn limits(&self) -> Limits {
        let limits = self.dialect().limits();
        Limits::default()
            .windows(limits.windows)
            .sums(limits.sums)
            .key_bytes_max(limits.key_bytes_max)
            .keys_bytes_max(limits.keys_bytes_max)
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        let what = || format!("statistic {}: the table cannot be made ready", schema.statistic);
        self.attempt(what, self.prepare_once(schema)).await
    }

    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        let what = || format!("the progress of source {source} cannot be read");
        self.attempt(what, self.progress_once(source)).await
    }

    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        let Progress { source, statistic, .. } = progress;
        let what = || format!("statistic {statistic}: the progress of source {source} cannot be set");
        self.attempt(what, self.begin_once(progress)).await
    }

    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        let what = || format!("who writes source {source} cannot be read");
        self.attempt(what, self.writer_once(source)).await
    }

    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        let what = || format!("source {} cannot be claimed", writer.source);
        self.attempt(what, self.claim_once(writer, last)).await
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        let what = || {
            let Batch { source, sequence, .. } = batch;
            format!("statistic {}: batch {sequence} of source {source} was not applied", batch.statistic())
        };
        let answer = self.attempt(what, self.apply_once(batch)).await;
        if answer.is_err() {
            // The table may have been changed by hand: the next attempt looks at it again, and says so.
            self.tables().remove(batch.statistic());
        }
        answer
    }

    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        let what = || format!("statistic {}: old windows were not swept away", schema.statistic);
        self.attempt(what, self.sweep_once(schema, before)).await
    }

    async fn close(&self) -> Result<(), SinkError> {
        self.attempt(|| "the database cannot be closed".to_owned(), async {
            // The writer last: it puts in order what the others leave.
            self.reader.close().await?;
            self.writer.close().await?;
            Ok(())
        })
        .await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        let what = || format!("statistic {}: the totals cannot be read", schema.statistic);
        self.attempt(what, self.totals_once(schema, windows)).await
    }
}
