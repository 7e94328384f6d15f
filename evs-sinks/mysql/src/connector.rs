//! Connects to a MySQL or MariaDB server, with strict and durable sessions.

use async_trait::async_trait;
use evs_sql::{Address, Dialect, Driver, Remote, StoreError, Target, provide_cryptography};
use sqlx::{
    ConnectOptions, MySqlConnection, MySqlPool, Row,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};

use crate::{connection::MySqlSession, dialect::MySqlDialect, errors::sort};

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

/// What a sink is made of.
pub(crate) type Server = Target<MySqlConnectOptions, MySqlPool>;

/// Connects to a server.
pub(crate) type MySqlConnector = Remote<MySqlDriver>;

/// The driver for MySQL and MariaDB.
pub(crate) struct MySqlDriver;

#[async_trait]
impl Driver for MySqlDriver {
    type Options = MySqlConnectOptions;
    type Pool = MySqlPool;
    type Connection = MySqlSession;

    const DIALECT: &'static dyn Dialect = &MySqlDialect;
    const SCHEMES: &'static [&'static str] = &["mysql", "mariadb"];
    const PARAMETERS: &'static [&'static str] =
        &["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "sslmode", "sslca", "sslcert", "sslkey", "socket"];
    const FILES: &'static [&'static str] = &["ssl-ca", "ssl-cert", "ssl-key", "sslca", "sslcert", "sslkey"];

    fn options_of(pool: &MySqlPool) -> MySqlConnectOptions {
        (*pool.connect_options()).clone()
    }

    fn address(options: &MySqlConnectOptions) -> Address<'_> {
        Address {
            user: options.get_username(),
            host: options.get_host(),
            port: options.get_port(),
            socket: options.get_socket().map(AsRef::as_ref),
            database: options.get_database(),
        }
    }

    fn password(options: &MySqlConnectOptions) -> Option<String> {
        options.to_url_lossy().password().map(str::to_owned)
    }

    fn complete(options: MySqlConnectOptions) -> MySqlConnectOptions {
        if matches!(options.get_ssl_mode(), MySqlSslMode::VerifyCa) {
            provide_cryptography();
        }
        // A collation of another character set would be refused.
        let has_collation = options.get_collation().is_some();
        let options = if has_collation { options.collation("utf8mb4_bin") } else { options };
        options
            .charset("utf8mb4")
            .set_names(true)
            .statement_cache_capacity(PREPARED_MAX)
            // All of these options are among the settings, or not wanted.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            // Statements have thousands of parameters, and the batch's size and duration are logged elsewhere.
            .disable_statement_logging()
    }

    async fn connect(options: &MySqlConnectOptions) -> Result<MySqlSession, StoreError> {
        let session = begin_session(options).await.map_err(|error| explain(options, &error))?;
        session.check()?;
        Ok(session)
    }
}

/// Adds a hint: a MariaDB server that requires TLS gives a client without TLS the same error as for a wrong
/// password.
fn explain(options: &MySqlConnectOptions, error: &sqlx::Error) -> StoreError {
    let mut explained = sort(error);
    let is_denied = error.as_database_error().is_some_and(|said| said.code().as_deref() == Some(DENIED));
    if is_denied && matches!(options.get_ssl_mode(), MySqlSslMode::Disabled) {
        explained.message += "; or the server asks for TLS, which ssl-mode=DISABLED turns off";
    }
    explained
}

async fn begin_session(options: &MySqlConnectOptions) -> Result<MySqlSession, sqlx::Error> {
    let mut connection = options.connect().await?;
    for settings in [SETTINGS, ISOLATION] {
        sqlx::raw_sql(settings).execute(&mut connection).await?;
    }
    let (mode, packet_bytes_max) = ask(&mut connection).await?;
    Ok(MySqlSession::new(connection, &mode, packet_bytes_max))
}

/// Asks for the session's mode, and for the size of the largest statement.
async fn ask(connection: &mut MySqlConnection) -> Result<(String, i64), sqlx::Error> {
    let row = sqlx::query(CHECK).fetch_one(connection).await?;
    Ok((row.try_get_unchecked(0)?, row.try_get_unchecked(1)?))
}
