//! The public sink and its builder.

use std::{fmt, time::Duration};

use evs_core::SinkError;
use evs_sql::{SqlSink, SqlStore, forward_sink};

use crate::connector::MySqlConnector;

/// A database of a MySQL or MariaDB server as a [`Sink`](evs_core::Sink).
///
/// It uses at most two connections: one writes, the other reads and deletes old windows. It needs a tokio runtime
/// with its timer.
#[derive(Debug)]
pub struct MySqlSink(SqlSink<MySqlConnector>);

forward_sink!(MySqlSink);

impl MySqlSink {
    /// Connects to the database that `url` names:
    /// `mysql://USER:PASSWORD@HOST:PORT/DATABASE?ssl-mode=VERIFY_IDENTITY&ssl-ca=/etc/ssl/db.pem`.
    ///
    /// Special characters of the password are percent-encoded. `ssl-mode` is `DISABLED`, `PREFERRED` (the default:
    /// TLS if the server has it, without looking at its certificate), `REQUIRED`, `VERIFY_CA` or `VERIFY_IDENTITY`;
    /// `ssl-ca`, `ssl-cert` and `ssl-key` name PEM files, `socket` a Unix domain socket.
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
    pub fn builder(url: &str) -> MySqlSinkBuilder {
        MySqlSinkBuilder { url: url.to_owned(), may_create: true, timeout: None }
    }
}

/// Settings of a [`MySqlSink`].
#[derive(Clone)]
pub struct MySqlSinkBuilder {
    url: String,
    may_create: bool,
    timeout: Option<Duration>,
}

impl MySqlSinkBuilder {
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
    /// The errors of [`MySqlSink::connect`].
    pub async fn connect(self) -> Result<MySqlSink, SinkError> {
        let mut store = SqlStore::new(MySqlConnector::new(&self.url)?).create(self.may_create);
        if let Some(timeout) = self.timeout {
            store = store.connect_timeout(timeout);
        }
        Ok(MySqlSink(store.connect().await?))
    }
}

/// Omits the URL, which may contain a password.
impl fmt::Debug for MySqlSinkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, may_create, timeout } = self;
        let mut shown = f.debug_struct("MySqlSinkBuilder");
        shown.field("may_create", may_create).field("timeout", timeout).finish_non_exhaustive()
    }
}
