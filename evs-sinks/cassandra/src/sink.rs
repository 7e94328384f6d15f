//! The order of writes that makes it exactly once.

use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use evs_core::{
    Applied, Batch, Progress, Rows, Sink, SinkError, Writer,
    sink::{self, judge},
    statistic::Schema,
};

use crate::{
    builder::CassandraBuilder,
    config::{Config, Consistency},
    driver::{Connector, Kind, Session, StoreError},
    prepare::{self, Storage},
    progress::{self, ProgressTable, now},
    retention, rows,
    shape::Shape,
    table::Table,
    totals,
    writers::WritersTable,
};

/// Apache Cassandra as a [`Sink`].
///
/// Connects when it is first used, and anew after the cluster was away. Needs a tokio runtime with its timer.
pub struct CassandraSink {
    connector: Box<dyn Connector>,
    config: Config,
    storage: Storage,
    buckets: Buckets,
    session: tokio::sync::Mutex<Option<Arc<dyn Session>>>,
    /// The statistics whose tables have been checked.
    tables: Mutex<HashMap<String, Arc<Table>>>,
    progress: ProgressTable,
    writers: WritersTable,
    pub(crate) timeout: Duration,
}

/// How many buckets new tables get.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    pub(crate) default: i32,
    pub(crate) of: HashMap<String, i32>,
}

/// Why an attempt came to nothing.
#[derive(Debug)]
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

impl CassandraSink {
    /// The default of [`CassandraBuilder::timeout`].
    pub const TIMEOUT: Duration = Duration::from_secs(300);

    /// A sink on the keyspace that `url` names, with the defaults of [`CassandraBuilder`]:
    /// `cassandra://user:password@host:port,host:port/keyspace?consistency=local_quorum&dc=name`.
    ///
    /// # Errors
    ///
    /// What [`CassandraBuilder::connect`] returns.
    pub async fn connect(url: &str) -> Result<Self, SinkError> {
        Self::builder(url).connect().await
    }

    /// A sink that is yet to be set up.
    pub fn builder(url: impl Into<String>) -> CassandraBuilder {
        CassandraBuilder::new(url.into())
    }

    pub(crate) fn new(
        connector: Box<dyn Connector>,
        config: Config,
        create: bool,
        buckets: Buckets,
        timeout: Duration,
    ) -> Self {
        Self {
            connector,
            storage: Storage::new(&config.keyspace, create),
            progress: ProgressTable::new(&config.keyspace),
            writers: WritersTable::new(&config.keyspace),
            config,
            buckets,
            session: tokio::sync::Mutex::new(None),
            tables: Mutex::default(),
            timeout,
        }
    }

    /// Connects, to find out now whether that is possible.
    pub(crate) async fn check(&self) -> Result<(), SinkError> {
        let keyspace = &self.config.keyspace;
        self.attempt(|| format!("cannot use the keyspace {keyspace}"), async {
            self.session().await?;
            Ok(())
        })
        .await
    }

    /// Runs `work` within the timeout. Every error of the store passes through here.
    async fn attempt<T>(
        &self,
        what: impl FnOnce() -> String + Send,
        work: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, SinkError> {
        let failure = match tokio::time::timeout(self.timeout, work).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(failure)) => failure,
            Err(_) => {
                let message = format!("no answer within {:?}", self.timeout);
                StoreError::new(Kind::Lost, message).into()
            }
        };
        let mut error = match failure {
            Failure::Sink(error) => return Err(error),
            Failure::Store(error) => error,
        };
        if let Some(secret) = self.config.secret() {
            error.message = error.message.replace(secret, "***");
        }
        if error.kind == Kind::Lost {
            // The next attempt looks the hosts up again, and waits for no driver to dare another try.
            // If someone else has the lock, then to connect.
            if let Ok(mut session) = self.session.try_lock() {
                *session = None;
            }
        }
        Err(match error.kind {
            Kind::Lost | Kind::Busy => SinkError::unavailable(what(), error),
            Kind::Permanent => SinkError::refused_by(what(), error),
        })
    }

    /// The session, made now if there is none.
    async fn session(&self) -> Result<Arc<dyn Session>, Failure> {
        let mut slot = self.session.lock().await;
        if let Some(session) = &*slot {
            return Ok(Arc::clone(session));
        }
        let session = self.connector.connect(&self.config).await?;
        let nodes = session.datacenters().await?;
        let is_local = self.config.consistency == Consistency::LocalQuorum;
        prepare::datacenter(self.config.datacenter.as_deref(), is_local, &nodes)?;
        prepare::keyspace(&*session, &self.config.keyspace, &nodes).await?;
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }

    /// The statements of a schema. When it is first seen, its table is checked: rows must not be added to
    /// a table that was made for another definition, whoever forgot to ask.
    async fn table(&self, session: &dyn Session, schema: &Schema) -> Result<Arc<Table>, Failure> {
        let known = self.tables().get(&schema.statistic).filter(|table| table.schema == *schema).cloned();
        if let Some(table) = known {
            return Ok(table);
        }
        let buckets = self.storage.check_known(session, schema).await?;
        let table = Arc::new(Table::new(&self.config.keyspace, schema, buckets));
        self.tables().insert(schema.statistic.clone(), Arc::clone(&table));
        Ok(table)
    }

    fn tables(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Table>>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn prepare_once(&self, schema: &Schema) -> Result<(), Failure> {
        let session = self.session().await?;
        let buckets = self.buckets.of.get(&schema.statistic).copied().unwrap_or(self.buckets.default);
        self.storage.prepare(&*session, schema, buckets).await
    }

    async fn apply_once(&self, batch: &Batch) -> Result<Applied, Failure> {
        rows::check(batch)?;
        let session = self.session().await?;
        let table = self.table(&*session, &batch.schema).await?;
        let last = self.progress.of_stream(&*session, &batch.source, batch.epoch, batch.statistic());
        let last = match &batch.writer {
            None => last.await?,
            Some(writer) => {
                let claimed = self.writers.of_source(&*session, &batch.source);
                let (last, claimed) = tokio::try_join!(last, claimed)?;
                writer.check(claimed.as_ref())?;
                last
            }
        };
        if let Some(applied) = judge(last.as_ref(), batch)? {
            return Ok(applied);
        }
        let now = match batch.schema.retain_seconds {
            Some(_) => retention::clock(&*session).await?,
            None => now(),
        };
        let next = Progress::after(batch);
        let sequence = progress::sequence(&next)?;
        // In this order: what readers go by comes before what they find there, and the progress last.
        // Whatever was written before an error is written once more, to the same place.
        let windows = rows::windows(&batch.rows, batch.schema.retain_seconds, now);
        table.windows.add(&session, &windows, now).await?;
        let writer = rows::Writer::new(Arc::clone(&session), Arc::clone(&table.insert));
        writer.write(batch, sequence, table.buckets, now).await?;
        self.progress.advance(&*session, last.as_ref(), &next).await?;
        Ok(Applied::Now)
    }

    async fn begin_once(&self, progress: &Progress) -> Result<(), Failure> {
        let session = self.session().await?;
        self.storage.bookkeeping(&*session).await?;
        let Progress { source, epoch, statistic, .. } = progress;
        if self.progress.of_stream(&*session, source, *epoch, statistic).await?.is_none() {
            self.progress.advance(&*session, None, progress).await?;
        }
        Ok(())
    }

    async fn progress_once(&self, source: &str) -> Result<Vec<Progress>, Failure> {
        let session = self.session().await?;
        if self.storage.check(&*session, &Shape::progress()).await? {
            return self.progress.of_source(&*session, source).await;
        }
        Ok(Vec::new())
    }

    async fn writer_once(&self, source: &str) -> Result<Option<Writer>, Failure> {
        let session = self.session().await?;
        if self.storage.check(&*session, &Shape::writers()).await? {
            return self.writers.of_source(&*session, source).await;
        }
        Ok(None)
    }

    async fn claim_once(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, Failure> {
        let session = self.session().await?;
        self.storage.bookkeeping(&*session).await?;
        self.writers.claim(&*session, writer, last).await
    }

    async fn totals_once(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, Failure> {
        let session = self.session().await?;
        let buckets = self.storage.check_known(&*session, schema).await?;
        let table = Arc::new(Table::new(&self.config.keyspace, schema, buckets));
        // Before the rows: those of all batches that are done by now are there.
        let sequences = self.progress.sequences(&*session, &schema.statistic).await?;
        totals::read(&session, &table, sequences, windows).await
    }
}

/// Shows no password.
impl fmt::Debug for CassandraSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connector, config, .. } = self;
        f.debug_struct("CassandraSink")
            .field("driver", connector)
            .field("config", config)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Sink for CassandraSink {
    fn limits(&self) -> sink::Limits {
        sink::Limits::default().windows(crate::windows::RANGE).keys_bytes_max(rows::KEYS_BYTES_MAX)
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

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        let what = || format!("statistic {}: the totals cannot be read", schema.statistic);
        self.attempt(what, self.totals_once(schema, windows)).await
    }
}
