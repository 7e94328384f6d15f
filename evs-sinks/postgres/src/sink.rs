use std::{fmt, ops::Range, time::Duration};

use async_trait::async_trait;
use evs_core::{Applied, Batch, Progress, Rows, Sink, SinkError, Writer, sink::Limits, statistic::Schema};
use evs_sql::SqlSink;

use crate::connector::PostgresConnector;

/// The default of [`PostgresSinkBuilder::timeout`].
const DEADLINE: Duration = SqlSink::<PostgresConnector>::DEADLINE;

/// A database of a PostgreSQL server as a [`Sink`].
///
/// Uses two connections at most: one writes, one reads and sweeps old windows away. Needs a tokio runtime with its
/// timer.
#[derive(Debug)]
pub struct PostgresSink(SqlSink<PostgresConnector>);

impl PostgresSink {
    /// Connects to the database that `url` names:
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem`.
    ///
    /// Special characters of the password are percent-encoded. `sslmode` is `disable`, `prefer` (the default: TLS if
    /// the server has it, without looking at its certificate), `require`, `verify-ca` or `verify-full`;
    /// `sslrootcert`, `sslcert` and `sslkey` name PEM files. `host` may be the folder of a Unix domain socket,
    /// `options[search_path]` names the schema for the tables, and `user`, `password`, `dbname`, `port` and
    /// `application_name` are what they are elsewhere. What is not in the URL is taken from where libpq takes it:
    /// `PGPASSWORD`, `~/.pgpass` and so on.
    ///
    /// A server that is away is no error here: the sink connects when it is used.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if the URL is wrong, and if the server says something that will not pass by itself:
    /// access denied, unknown database, a certificate that is not trusted.
    pub async fn connect(url: &str) -> Result<Self, SinkError> {
        Self::builder(url).connect().await
    }

    /// The same, with settings that no URL has.
    pub fn builder(url: &str) -> PostgresSinkBuilder {
        PostgresSinkBuilder { url: url.to_owned(), may_create: true, timeout: DEADLINE }
    }
}

/// Settings of a [`PostgresSink`].
#[derive(Clone)]
pub struct PostgresSinkBuilder {
    url: String,
    may_create: bool,
    timeout: Duration,
}

impl PostgresSinkBuilder {
    /// Whether tables that are missing are made, as they are by default, or refused with the statements that
    /// would make them.
    #[must_use]
    pub fn create(mut self, may_create: bool) -> Self {
        self.may_create = may_create;
        self
    }

    /// How long a call may take before it is given up, to be made again: 5 minutes by default. It must be enough for
    /// the largest batch. Connecting takes half a minute at most in any case.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// As [`PostgresSink::connect`].
    pub async fn connect(self) -> Result<PostgresSink, SinkError> {
        let connector = PostgresConnector::new(&self.url, self.timeout)?;
        let sink = SqlSink::new(connector).create(self.may_create).deadline(self.timeout);
        sink.check().await?;
        Ok(PostgresSink(sink))
    }
}

/// Without the URL: it may hold a password.
impl fmt::Debug for PostgresSinkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, may_create, timeout } = self;
        let mut shown = f.debug_struct("PostgresSinkBuilder");
        shown.field("may_create", may_create).field("timeout", timeout).finish_non_exhaustive()
    }
}

#[async_trait]
impl Sink for PostgresSink {
    fn limits(&self) -> Limits {
        self.0.limits()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        self.0.prepare(schema).await
    }

    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        self.0.progress(source).await
    }

    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        self.0.begin(progress).await
    }

    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        self.0.writer(source).await
    }

    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        self.0.claim(writer, last).await
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        self.0.apply(batch).await
    }

    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        self.0.sweep(schema, before).await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        self.0.totals(schema, windows).await
    }
}
