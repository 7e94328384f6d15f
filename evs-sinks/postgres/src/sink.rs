use std::{fmt, time::Duration};

use evs_core::SinkError;
use evs_sql::{SqlSink, SqlStore, forward_sink};

use crate::connector::PostgresConnector;

/// A database of a PostgreSQL server as a [`Sink`](evs_core::Sink).
///
/// Uses two connections at most: one writes, one reads and sweeps old windows away. Needs a tokio runtime with its
/// timer.
#[derive(Debug)]
pub struct PostgresSink(SqlSink<PostgresConnector>);

forward_sink!(PostgresSink);

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
        PostgresSinkBuilder { url: url.to_owned(), may_create: true, timeout: None }
    }
}

/// Settings of a [`PostgresSink`].
#[derive(Clone)]
pub struct PostgresSinkBuilder {
    url: String,
    may_create: bool,
    timeout: Option<Duration>,
}

impl PostgresSinkBuilder {
    /// Whether tables that are missing are made, as they are by default, or refused with the statements that
    /// would make them.
    #[must_use]
    pub fn create(mut self, may_create: bool) -> Self {
        self.may_create = may_create;
        self
    }

    /// How long making a connection may take, here and whenever a new one is needed: half a minute by default. How long
    /// a call may take is for its caller to say, and in a pipeline for `sink_timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// As [`PostgresSink::connect`].
    pub async fn connect(self) -> Result<PostgresSink, SinkError> {
        let mut store = SqlStore::new(PostgresConnector::new(&self.url)?).create(self.may_create);
        if let Some(timeout) = self.timeout {
            store = store.connect_timeout(timeout);
        }
        Ok(PostgresSink(store.connect().await?))
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
