//! Connects to a MySQL or MariaDB server, with strict and durable sessions.

use std::fmt;

use async_trait::async_trait;
use evs_core::SinkError;
use evs_sql::{
    Connector, Dialect, StoreError, Target, check_files, check_url, passwords, passwords_of_options,
    provide_cryptography, strike,
};
use sqlx::{
    ConnectOptions, MySqlConnection, MySqlPool, Row,
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

/// What a sink is made of.
pub(crate) type Server = Target<MySqlConnectOptions, MySqlPool>;

/// Connects to a server.
pub(crate) struct MySqlConnector {
    options: Options,
    secrets: Vec<String>,
}

/// The options of the next connection.
enum Options {
    Fixed(Box<MySqlConnectOptions>),
    /// Those of a pool, which its owner may change at any time.
    Pool(MySqlPool),
}

impl MySqlConnector {
    /// Checks a URL or options. It does not connect.
    pub(crate) fn of(server: Server) -> Result<Self, SinkError> {
        match server {
            Target::Url(url) => Self::new(&url),
            Target::Options(options) => {
                let secrets = secrets(&options);
                Ok(Self { options: Options::Fixed(Box::new(checked(OPTIONS, options)?)), secrets })
            }
            Target::Pool(pool) => {
                let options = pool.connect_options();
                checked(OPTIONS, (*options).clone())?;
                Ok(Self { secrets: secrets(&options), options: Options::Pool(pool) })
            }
        }
    }

    /// Parses and checks a URL. It does not connect.
    pub(crate) fn new(url: &str) -> Result<Self, SinkError> {
        check_url(url, &["mysql", "mariadb"], &PARAMETERS)?;
        check_files(url, &FILES)?;
        let options = url
            .parse::<MySqlConnectOptions>()
            .map_err(|error| SinkError::refused_by("the URL of the server cannot be used", error))?;
        let secrets = passwords(url, options.to_url_lossy().password());
        Ok(Self { options: Options::Fixed(Box::new(checked(URL, options)?)), secrets })
    }

    /// The options of the next connection, with what evs needs.
    fn options(&self) -> Result<MySqlConnectOptions, SinkError> {
        match &self.options {
            Options::Fixed(options) => Ok((**options).clone()),
            Options::Pool(pool) => checked(OPTIONS, (*pool.connect_options()).clone()),
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
}

const URL: &str = "URL of the server names";
const OPTIONS: &str = "options of the server name";

/// Refuses options without a database, and adds what evs needs. `names` says whose they are.
fn checked(names: &str, options: MySqlConnectOptions) -> Result<MySqlConnectOptions, SinkError> {
    if options.get_database().is_none() {
        return Err(SinkError::refused(format!(
            "the {names} no database; expected mysql://USER:PASSWORD@HOST:PORT/DATABASE"
        )));
    }
    if matches!(options.get_ssl_mode(), MySqlSslMode::VerifyCa) {
        provide_cryptography();
    }
    // A collation of another character set would be refused.
    let has_collation = options.get_collation().is_some();
    let options = if has_collation { options.collation("utf8mb4_bin") } else { options };
    Ok(options
        .charset("utf8mb4")
        .set_names(true)
        .statement_cache_capacity(PREPARED_MAX)
        // All of these options are among the settings, or not wanted.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        // Statements have thousands of parameters, and the batch's size and duration are logged elsewhere.
        .disable_statement_logging())
}

fn secrets(options: &MySqlConnectOptions) -> Vec<String> {
    let password = || options.to_url_lossy().password().map(str::to_owned);
    passwords_of_options(options.get_username(), options.get_host(), password)
}

/// Asks for the session's mode, and for the size of the largest statement.
async fn ask(connection: &mut MySqlConnection) -> Result<(String, i64), sqlx::Error> {
    let row = sqlx::query(CHECK).fetch_one(connection).await?;
    Ok((row.try_get_unchecked(0)?, row.try_get_unchecked(1)?))
}

/// Shows the server and the user, and no password.
impl fmt::Debug for MySqlConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(options) = self.options() else { return f.write_str("a pool without a database") };
        let (user, database) = (options.get_username(), options.get_database().unwrap_or_default());
        match options.get_socket() {
            Some(socket) => write!(f, "{user}@{}/{database}", socket.display()),
            None => write!(f, "{user}@{}:{}/{database}", options.get_host(), options.get_port()),
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
        let options = self.options().map_err(|error| StoreError::permanent(error.to_string()))?;
        let explained = |mut error: StoreError| {
            // The owner of a pool may have changed the password.
            error.message = strike(&format!("{self:?}: {}", error.message), &secrets(&options));
            error
        };
        let session = Self::begin_session(&options).await;
        let session = session.map_err(|error| explained(Self::explain(&options, &error)))?;
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
