//! The public sink and its builder.

use std::{fmt, time::Duration};

use evs_core::SinkError;
use evs_sql::{SqlSink, SqlStore, forward_sink};

use crate::connector::PostgresConnector;

/// A database of a PostgreSQL server as a [`Sink`](evs_core::Sink).
///
/// It uses at most two connections: one writes, the other reads and deletes old windows. It needs a tokio runtime
/// with its timer.
#[derive(Debug)]
pub struct PostgresSink(SqlSink<PostgresConnector>);

forward_sink!(PostgresSink);

impl PostgresSink {
    /// Connects to the database that `url` names:
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem`.
    ///
    /// Special characters of the password are percent-encoded. `sslmode` is `disable`, `prefer` (the default: TLS if
    /// the server has it, without looking at its certificate), `require`, `verify-ca` or `verify-full`.
    /// `sslrootcert`, `sslcert` and `sslkey` name PEM files. `host` may be the folder of a Unix domain socket.
    /// `options[search_path]` names the schema for the tables. `user`, `password`, `dbname`, `port` and
    /// `application_name` have their usual meaning. Anything that the URL leaves out comes from libpq's places:
    /// `PGPASSWORD`, `~/.pgpass` and so on.
    ///
    /// A server that is down is no error here: the sink connects when it is used.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if the URL is wrong, or if the server returns a permanent error: access denied, unknown
    /// database, a certificate that is not trusted.
    pub async fn connect(url: &str) -> Result<Self, SinkError> {
        Self::builder(url).connect().await
    }

    /// A builder for a sink, with settings that a URL cannot have.
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
    /// Sets whether evs creates missing tables (the default), or fails with an error that contains the statements to
    /// create them.
    #[must_use]
    pub fn create(mut self, may_create: bool) -> Self {
        self.may_create = may_create;
        self
    }

    /// Sets the time limit for making a connection, here and whenever a new one is needed: 30 seconds by default. The
    /// caller limits the duration of a call; in a pipeline that is `sink_timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// The errors of [`PostgresSink::connect`].
    pub async fn connect(self) -> Result<PostgresSink, SinkError> {
        let mut store = SqlStore::new(PostgresConnector::new(&self.url)?).create(self.may_create);
        if let Some(timeout) = self.timeout {
            store = store.connect_timeout(timeout);
        }
        Ok(PostgresSink(store.connect().await?))
    }
}

/// Omits the URL, which may contain a password.
impl fmt::Debug for PostgresSinkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, may_create, timeout } = self;
        let mut shown = f.debug_struct("PostgresSinkBuilder");
        shown.field("may_create", may_create).field("timeout", timeout).finish_non_exhaustive()
    }
}
