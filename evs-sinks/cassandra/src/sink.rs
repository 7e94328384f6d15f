//! The sink: the order of writes that makes a batch count exactly once.

use std::{collections::HashMap, fmt, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use evs_core::{Applied, Batch, Limits, Progress, Rows, Schema, SinkError, Writer, judge};
use evs_store::{Failure, Kind, Store, StoreError, Stored, Tables, Words, forward_sink};

use crate::{
    builder::{CassandraSinkBuilder, Target},
    config::{self, Config, Consistency},
    driver::{Connector, Session},
    prepare::{self, Storage},
    progress::{self, ProgressTable, now},
    retention, rows,
    shape::Shape,
    table::Table,
    totals,
    writers::WritersTable,
};

/// Apache Cassandra as a [`Sink`](evs_core::Sink).
///
/// It connects when it is first used, and again after the cluster was down. It needs a tokio runtime with its timer.
///
/// ```no_run
/// # mod evs { pub use evs_core::*; pub use evs_cassandra::{self as cassandra, CassandraSink}; }
/// # async fn example() -> Result<(), evs::SinkError> {
/// use std::time::Duration;
///
/// use evs::CassandraSink;
///
/// let sink = CassandraSink::builder("cassandra://evs:secret@db1,db2/stats?dc=dc1")
///     .create(false)                          // somebody else creates the tables
///     .timeout(Duration::from_secs(10))       // for making a connection
///     .pool(16)                               // requests at once
///     .buckets_of("clicks_by_url", 16)
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
pub struct CassandraSink(Stored<CassandraStore>);

forward_sink!(CassandraSink);

/// The implementation of a store for Cassandra.
pub(crate) struct CassandraStore {
    connector: Box<dyn Connector>,
    config: Config,
    storage: Storage,
    buckets: Buckets,
    session: tokio::sync::Mutex<Option<Arc<dyn Session>>>,
    /// The statistics whose tables have been checked.
    tables: Tables<Table>,
    progress: ProgressTable,
    writers: WritersTable,
    /// The password, if there is one.
    secrets: Vec<String>,
}

/// The number of buckets of new tables.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    pub(crate) default: i32,
    pub(crate) of: HashMap<String, i32>,
}

impl CassandraSink {
    /// The default of [`CassandraSinkBuilder::timeout`].
    pub const TIMEOUT: Duration = config::TIMEOUT;

    /// A sink on the keyspace that `url` names, with the defaults of [`CassandraSinkBuilder`]:
    /// `cassandra://user:password@host:port,host:port/keyspace?consistency=local_quorum&dc=name`.
    ///
    /// # Errors
    ///
    /// The errors of [`CassandraSinkBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self, SinkError> {
        Self::builder(url).connect().await
    }

    /// A builder for a sink on the keyspace that `url` names, with settings that a URL cannot have.
    pub fn builder(url: impl Into<String>) -> CassandraSinkBuilder {
        CassandraSinkBuilder::new(Target::Url(url.into()))
    }

    /// A builder for a sink on a keyspace of a session of the Rust driver, whose connections the sink shares with the
    /// host: a session is the driver's pool.
    ///
    /// evs sends each statement with an execution profile of its own, whatever the session's default is: the
    /// consistency and the datacenter of the builder, serial consistency for lightweight transactions, and a time
    /// limit of 15 s. The session's own profile stays as it is for other users. Statements name the keyspace, so the
    /// session may use another one.
    ///
    /// ```no_run
    /// # mod evs { pub use evs_core::*; pub use evs_cassandra::{self as cassandra, CassandraSink}; }
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::sync::Arc;
    ///
    /// use evs::{CassandraSink, cassandra::scylla::client::session_builder::SessionBuilder};
    ///
    /// let session = Arc::new(SessionBuilder::new().known_node("db1:9042").build().await?);
    /// let sink = CassandraSink::from_session(&session, "stats").datacenter("dc1").connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "scylla")]
    pub fn from_session(
        session: &Arc<scylla::client::session::Session>,
        keyspace: impl Into<String>,
    ) -> CassandraSinkBuilder {
        CassandraSinkBuilder::new(Target::Session(Arc::clone(session), keyspace.into()))
    }

    /// A store that connects when it is first used.
    pub(crate) fn new(connector: Box<dyn Connector>, config: Config, create: bool, buckets: Buckets) -> Self {
        Self(Stored::new(CassandraStore {
            connector,
            storage: Storage::new(&config.keyspace, create),
            progress: ProgressTable::new(&config.keyspace),
            writers: WritersTable::new(&config.keyspace),
            secrets: config.secret().map(str::to_owned).into_iter().collect(),
            config,
            buckets,
            session: tokio::sync::Mutex::new(None),
            tables: Tables::new(),
        }))
    }

    /// Connects, to find out now whether that is possible.
    pub(crate) async fn check(&self) -> Result<(), SinkError> {
        let store = self.0.store();
        let connect = async { store.session().await.map(drop) };
        self.0.attempt(|| format!("cannot use the keyspace {}", store.config.keyspace), connect).await
    }
}

impl CassandraStore {
    /// The session. It is made now if there is none.
    async fn session(&self) -> Result<Arc<dyn Session>, Failure> {
        let mut slot = self.session.lock().await;
        if let Some(session) = &*slot {
            return Ok(Arc::clone(session));
        }
        let most = self.config.timeout;
        let session = tokio::time::timeout(most, self.new_session()).await.unwrap_or_else(|_| {
            Err(StoreError::new(Kind::Lost, format!("no connection within {most:?}")).into())
        })?;
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }

    async fn new_session(&self) -> Result<Arc<dyn Session>, Failure> {
        let session = self.connector.connect(&self.config).await?;
        let nodes = session.datacenters().await?;
        let is_local = self.config.consistency == Consistency::LocalQuorum;
        prepare::datacenter(self.config.datacenter.as_deref(), is_local, &nodes)?;
        prepare::keyspace(&*session, &self.config.keyspace, &nodes).await?;
        Ok(session)
    }

    /// Writes the rows of a batch. The order matters: the index that readers use comes before the rows.
    async fn write(
        &self,
        session: &Arc<dyn Session>,
        table: &Table,
        batch: &Batch,
        sequence: i64,
    ) -> Result<(), Failure> {
        let now = match batch.schema.retain_seconds {
            Some(_) => retention::clock(&**session).await?,
            None => now(),
        };
        let windows = rows::windows(&batch.rows, batch.schema.retain_seconds, now);
        table.windows.add(session, &windows, now).await?;
        let writer = rows::Writer::new(Arc::clone(session), Arc::clone(&table.insert), table.pool);
        Ok(writer.write(batch, sequence, table.buckets, now).await?)
    }

    /// The statements of a schema.
    async fn table(&self, session: &dyn Session, schema: &Schema) -> Result<Arc<Table>, Failure> {
        let check = async {
            let buckets = self.storage.check_known(session, schema).await?;
            Ok(Table::new(&self.config, schema, buckets))
        };
        self.tables.checked(schema, check).await
    }
}

/// Shows no password.
impl fmt::Debug for CassandraSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CassandraStore { connector, config, .. } = self.0.store();
        f.debug_struct("CassandraSink")
            .field("driver", connector)
            .field("config", config)
            .finish_non_exhaustive()
    }
}

/// Shows no password.
impl fmt::Debug for CassandraStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CassandraStore").field("config", &self.config).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for CassandraStore {
    const WORDS: Words = Words::TABLES;

    fn limits(&self) -> Limits {
        Limits::default().windows(crate::windows::RANGE).keys_bytes_max(rows::KEYS_BYTES_MAX)
    }

    fn secrets(&self) -> &[String] {
        &self.secrets
    }

    fn forget(&self, statistic: &str) {
        self.tables.forget(statistic);
    }

    /// Drops the session after a lost connection and after a dropped call. The next attempt then resolves the hosts
    /// again, and does not have to wait until the driver tries them again.
    fn failed(&self, failure: Option<&Failure>) {
        let is_lost = failure
            .is_none_or(|failure| matches!(failure, Failure::Store(error) if error.kind == Kind::Lost));
        // If another call has the lock, it is connecting.
        if is_lost && let Ok(mut session) = self.session.try_lock() {
            *session = None;
        }
    }

    async fn prepare_once(&self, schema: &Schema) -> Result<(), Failure> {
        let session = self.session().await?;
        let buckets = self.buckets.of.get(&schema.statistic).copied().unwrap_or(self.buckets.default);
        self.storage.prepare(&*session, schema, buckets).await
    }

    async fn apply_once(&self, batch: &Batch) -> Result<Applied, Failure> {
        rows::check(batch)?;
        let session = self.session().await?;
        // A batch without rows moves the progress alone. It needs no table, which the store may be unable to make.
        let table = if batch.rows.is_empty() {
            self.storage.bookkeeping(&*session).await?;
            None
        } else {
            Some(self.table(&*session, &batch.schema).await?)
        };
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
        let next = Progress::after(batch);
        let sequence = progress::sequence(&next)?;
        if let Some(table) = &table {
            self.write(&session, table, batch, sequence).await?;
        }
        // The progress comes last: everything that was written before an error is written again, to the same place.
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
        let table = Arc::new(Table::new(&self.config, schema, buckets));
        // The sequences are read before the rows: then the rows of all batches that are complete by now are found.
        let sequences = self.progress.sequences(&*session, &schema.statistic).await?;
        totals::read(&session, &table, sequences, windows).await
    }
}
