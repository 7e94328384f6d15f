//! Connects to a PostgreSQL server, and begins transactions that are strict and durable.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use evs_core::SinkError;
use evs_sql::{
    Connector, Dialect, StoreError, Target, check_files, check_url, passwords, passwords_of_options,
    provide_cryptography, strike,
};
use sqlx::{
    ConnectOptions, PgPool, Row,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::{connection::PostgresSession, dialect::PostgresDialect, errors::sort};

/// The parameters that a URL may have after its question mark.
const PARAMETERS: [&str; 12] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "application_name",
    "options",
    "options[",
];
/// The parameters that name files.
const FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];

/// The first version with nondeterministic collations, which evs has to tell from others.
const VERSION_MIN: i64 = 120_000;

/// The number of statements that stay prepared per connection: those of some forty statistics.
const PREPARED_MAX: usize = 512;

/// The beginning of a transaction, in one message. Some of these settings are the defaults, but the server's
/// administrator may have changed them. They are set for the transaction, because a pooler may give each transaction
/// another session:
/// - each statement sees everything that was committed before it, so nothing is decided on an old view;
/// - acknowledged batches are on disk; a setting that is stricter than `on` is kept;
/// - no wait for a lock is longer than half a minute, no statement takes longer than an hour, and the server closes
///   the connection of a client that has been silent for a minute: a transaction whose client is gone must not lock
///   its rows for hours. The hour is not a deadline. The caller of the sink sets that, and it may be long if batches
///   are.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = 30000; \
    SET LOCAL statement_timeout = 3600000; SET LOCAL idle_in_transaction_session_timeout = 60000; \
    SELECT set_config('synchronous_commit', 'on', true) \
    WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";

const CHECK: &str = "SELECT current_setting('server_encoding'), current_setting('server_version_num')::bigint, \
    current_setting('server_version')";

/// What a sink is made of.
pub(crate) type Server = Target<PgConnectOptions, PgPool>;

/// Connects to a server.
pub(crate) struct PostgresConnector {
    options: Options,
    begin: Arc<str>,
    secrets: Vec<String>,
}

/// The options of the next connection.
enum Options {
    Fixed(Box<PgConnectOptions>),
    /// Those of a pool, which its owner may change at any time.
    Pool(PgPool),
}

impl PostgresConnector {
    /// Checks a URL or options. It does not connect.
    pub(crate) fn of(server: Server) -> Result<Self, SinkError> {
        let begin = BEGIN.into();
        match server {
            Target::Url(url) => Self::new(&url),
            Target::Options(options) => {
                let secrets = secrets(&options);
                Ok(Self { options: Options::Fixed(Box::new(checked(OPTIONS, options)?)), begin, secrets })
            }
            Target::Pool(pool) => {
                let options = pool.connect_options();
                checked(OPTIONS, (*options).clone())?;
                Ok(Self { secrets: secrets(&options), begin, options: Options::Pool(pool) })
            }
        }
    }

    /// Parses and checks a URL. It does not connect.
    pub(crate) fn new(url: &str) -> Result<Self, SinkError> {
        check_url(url, &["postgres", "postgresql"], &PARAMETERS)?;
        check_files(url, &FILES)?;
        let options = url
            .parse::<PgConnectOptions>()
            .map_err(|error| SinkError::refused_by("the URL of the server cannot be used", error))?;
        let options = checked(URL, options)?;
        let secrets = passwords(url, options.to_url_lossy().password());
        Ok(Self { options: Options::Fixed(Box::new(options)), begin: BEGIN.into(), secrets })
    }

    /// The options of the next connection, with what evs needs.
    fn options(&self) -> Result<PgConnectOptions, SinkError> {
        match &self.options {
            Options::Fixed(options) => Ok((**options).clone()),
            Options::Pool(pool) => checked(OPTIONS, (*pool.connect_options()).clone()),
        }
    }

    async fn begin_session(&self, options: &PgConnectOptions) -> Result<PostgresSession, StoreError> {
        let mut connection = options.connect().await.map_err(|error| sort(&error))?;
        let found = sqlx::query(CHECK).fetch_one(&mut connection).await.map_err(|error| sort(&error))?;
        let text = |at| found.try_get::<String, usize>(at).map_err(|error| sort(&error));
        let (encoding, number) = (text(0)?, found.try_get::<i64, _>(1).map_err(|error| sort(&error))?);
        if number < VERSION_MIN {
            let version = text(2)?;
            return Err(StoreError::permanent(format!("the server is PostgreSQL {version}; 12 is needed")));
        }
        if encoding != "UTF8" {
            return Err(StoreError::permanent(format!(
                "the database's encoding is {encoding}, which cannot hold all keys; create it with ENCODING 'UTF8'"
            )));
        }
        Ok(PostgresSession::new(connection, &self.begin))
    }
}

const URL: &str = "URL of the server names";
const OPTIONS: &str = "options of the server name";

/// Refuses options without a database, and adds what evs needs. `names` says whose they are.
fn checked(names: &str, options: PgConnectOptions) -> Result<PgConnectOptions, SinkError> {
    if options.get_database().is_none() {
        return Err(SinkError::refused(format!(
            "the {names} no database; expected postgres://USER:PASSWORD@HOST:PORT/DATABASE"
        )));
    }
    if matches!(options.get_ssl_mode(), PgSslMode::VerifyCa) {
        provide_cryptography();
    }
    Ok(options
        .statement_cache_capacity(PREPARED_MAX)
        // Statements have many values, and the batch's size and duration are logged elsewhere.
        .disable_statement_logging())
}

fn secrets(options: &PgConnectOptions) -> Vec<String> {
    let password = || options.to_url_lossy().password().map(str::to_owned);
    passwords_of_options(options.get_username(), options.get_host(), password)
}

/// Shows the server and the user, and no password.
impl fmt::Debug for PostgresConnector {
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
impl Connector for PostgresConnector {
    type Connection = PostgresSession;

    fn dialect(&self) -> &dyn Dialect {
        &PostgresDialect
    }

    async fn connect(&self) -> Result<PostgresSession, StoreError> {
        let options = self.options().map_err(|error| StoreError::permanent(error.to_string()))?;
        self.begin_session(&options).await.map_err(|mut error| {
            // The owner of a pool may have changed the password.
            error.message = strike(&format!("{self:?}: {}", error.message), &secrets(&options));
            error
        })
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn secrets(&self) -> &[String] {
        &self.secrets
    }
}
