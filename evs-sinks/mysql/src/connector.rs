//! Connects to a MySQL or MariaDB server, with strict and durable sessions.

use std::fmt;

use async_trait::async_trait;
use evs_core::SinkError;
use evs_sql::{Connector, Dialect, StoreError, check_files, check_url, passwords, provide_cryptography};
use sqlx::{
    ConnectOptions, MySqlConnection, Row,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};

use crate::{connection::MySqlSession, dialect::MySqlDialect, errors::sort};

/// The parameters that a URL may have after its question mark.
const PARAMETERS: [&str; 9] =
    ["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "sslmode", "sslca", "sslcert", "sslkey", "socket"];
/// The parameters that name files.
const FILES: [&str; 6] = ["ssl-ca", "ssl-cert", "ssl-key", "sslca", "sslcert", "sslkey"];

/// The settings of a session. Some of these are the defaults, but the server's administrator may have changed them:
/// - values that do not fit are refused, in tables of all engines;
/// - each statement is a transaction unless one was begun, and a COMMIT ends a transaction without beginning another;
/// - no wait for a lock is longer than half a minute, and the server closes the connection of a client that has been
///   silent for two minutes: a transaction whose client is gone must not lock its rows for hours.
const SETTINGS: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,\
    ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', autocommit = 1, completion_type = 'NO_CHAIN', \
    time_zone = '+00:00', innodb_lock_wait_timeout = 30, lock_wait_timeout = 30, wait_timeout = 120";

/// Each statement sees everything that was committed before it, so nothing is decided on an old view. No gaps are
/// locked, so writers of different rows do not wait for each other.
const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

const CHECK: &str = "SELECT @@session.sql_mode, CAST(@@session.max_allowed_packet AS SIGNED)";

/// The SQLSTATE of a login that failed.
const DENIED: &str = "28000";

/// The number of statements that stay prepared per connection: those of some forty statistics.
const PREPARED_MAX: usize = 512;

/// Connects to a server.
pub(crate) struct MySqlConnector {
    options: MySqlConnectOptions,
    secrets: Vec<String>,
}

impl MySqlConnector {
    /// Parses and checks a URL. It does not connect.
    pub(crate) fn new(url: &str) -> Result<Self, SinkError> {
        check_url(url, &["mysql", "mariadb"], &PARAMETERS)?;
        check_files(url, &FILES)?;
        let options = url
            .parse::<MySqlConnectOptions>()
            .map_err(|error| SinkError::refused_by("the URL of the server cannot be used", error))?;
        if options.get_database().is_none() {
            return Err(SinkError::refused(
                "the URL of the server names no database; expected mysql://USER:PASSWORD@HOST:PORT/DATABASE",
            ));
        }
        if matches!(options.get_ssl_mode(), MySqlSslMode::VerifyCa) {
            provide_cryptography();
        }
        let options = options
            .statement_cache_capacity(PREPARED_MAX)
            // All of these options are among the settings, or not wanted.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            // Statements have thousands of parameters, and the batch's size and duration are logged elsewhere.
            .disable_statement_logging();
        let secrets = passwords(url, options.to_url_lossy().password());
        Ok(Self { options, secrets })
    }

    /// Adds a hint: a MariaDB server that requires TLS gives a client without TLS the same error as for a wrong
    /// password.
    fn explain(&self, error: &sqlx::Error) -> StoreError {
        let mut explained = sort(error);
        let is_denied = error.as_database_error().is_some_and(|said| said.code().as_deref() == Some(DENIED));
        if is_denied && matches!(self.options.get_ssl_mode(), MySqlSslMode::Disabled) {
            explained.message += "; or the server asks for TLS, which ssl-mode=DISABLED turns off";
        }
        explained
    }

    async fn begin_session(&self) -> Result<MySqlSession, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        for settings in [SETTINGS, ISOLATION] {
            sqlx::raw_sql(settings).execute(&mut connection).await?;
        }
        let (mode, packet_bytes_max) = ask(&mut connection).await?;
        Ok(MySqlSession::new(connection, &mode, packet_bytes_max))
    }
}

/// Asks for the session's mode, and for the size of the largest statement.
async fn ask(connection: &mut MySqlConnection) -> Result<(String, i64), sqlx::Error> {
    let row = sqlx::query(CHECK).fetch_one(connection).await?;
    Ok((row.try_get_unchecked(0)?, row.try_get_unchecked(1)?))
}

/// Shows the server and the user, and no password.
impl fmt::Debug for MySqlConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, database) = (self.options.get_username(), self.options.get_database().unwrap_or_default());
        match self.options.get_socket() {
            Some(socket) => write!(f, "{user}@{}/{database}", socket.display()),
            None => write!(f, "{user}@{}:{}/{database}", self.options.get_host(), self.options.get_port()),
        }
    }
}

#[async_trait]
impl Connector for MySqlConnector {
    type Connection = MySqlSession;

    fn dialect(&self) -> &dyn Dialect {
        &MySqlDialect
    }

    async fn connect(&self) -> Result<MySqlSession, StoreError> {
        let explained = |mut error: StoreError| {
            error.message = format!("{self:?}: {}", error.message);
            error
        };
        let session = self.begin_session().await.map_err(|error| explained(self.explain(&error)))?;
        session.check().map_err(explained)?;
        Ok(session)
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn secrets(&self) -> &[String] {
        &self.secrets
    }
}
