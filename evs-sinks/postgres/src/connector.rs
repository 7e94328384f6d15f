//! Connects to a PostgreSQL server, and begins transactions that are strict and durable.

use async_trait::async_trait;
use evs_sql::{Address, Dialect, Driver, Remote, StoreError, Target, provide_cryptography};
use sqlx::{
    ConnectOptions, PgPool, Row,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::{connection::PostgresSession, dialect::PostgresDialect, errors::sort};

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
pub(crate) type PostgresConnector = Remote<PostgresDriver>;

/// The driver for PostgreSQL.
pub(crate) struct PostgresDriver;

#[async_trait]
impl Driver for PostgresDriver {
    type Options = PgConnectOptions;
    type Pool = PgPool;
    type Connection = PostgresSession;

    const DIALECT: &'static dyn Dialect = &PostgresDialect;
    const SCHEMES: &'static [&'static str] = &["postgres", "postgresql"];
    const PARAMETERS: &'static [&'static str] = &[
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
    const FILES: &'static [&'static str] = &["sslrootcert", "sslcert", "sslkey"];

    fn options_of(pool: &PgPool) -> PgConnectOptions {
        (*pool.connect_options()).clone()
    }

    fn address(options: &PgConnectOptions) -> Address<'_> {
        Address {
            user: options.get_username(),
            host: options.get_host(),
            port: options.get_port(),
            socket: options.get_socket().map(AsRef::as_ref),
            database: options.get_database(),
        }
    }

    fn password(options: &PgConnectOptions) -> Option<String> {
        options.to_url_lossy().password().map(str::to_owned)
    }

    fn complete(options: PgConnectOptions) -> PgConnectOptions {
        if matches!(options.get_ssl_mode(), PgSslMode::VerifyCa) {
            provide_cryptography();
        }
        options
            .statement_cache_capacity(PREPARED_MAX)
            // Statements have many values, and the batch's size and duration are logged elsewhere.
            .disable_statement_logging()
    }

    async fn connect(options: &PgConnectOptions) -> Result<PostgresSession, StoreError> {
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
        Ok(PostgresSession::new(connection, BEGIN))
    }
}
