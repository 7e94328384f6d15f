//! The public sink.

use evs_core::SinkError;
use evs_sql::{SqlSink, Target, forward_sink};
use sqlx::{PgPool, postgres::PgConnectOptions};

use crate::connector::{PostgresConnector, Server};

/// A database of a PostgreSQL server as a [`Sink`](evs_core::Sink).
///
/// It uses at most two connections: one writes, the other reads and deletes old windows. It needs a tokio runtime
/// with its timer.
///
/// ```no_run
/// # mod evs { pub use evs_core::*; pub use evs_postgres::{self as postgres, PostgresSink}; }
/// # async fn example() -> Result<(), evs::SinkError> {
/// use std::time::Duration;
///
/// use evs::PostgresSink;
///
/// let sink = PostgresSink::builder("postgres://evs:secret@db.example/stats")
///     .create(false)                          // somebody else creates the tables
///     .timeout(Duration::from_secs(10))       // for making a connection
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
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

    /// A builder for a sink on the server that `url` names, with settings that a URL cannot have.
    pub fn builder(url: impl Into<String>) -> PostgresSinkBuilder {
        PostgresSinkBuilder::new(Target::Url(url.into()))
    }

    /// A builder for a sink on the server of the driver's options, which must name a database.
    ///
    /// evs overrides what it relies on, in its own transactions only: the isolation level, `synchronous_commit` and the
    /// limits of waiting; and the number of prepared statements. The driver sets the encoding and the time zone.
    /// Everything else is as the options say: hosts, TLS, the user, the search path.
    ///
    /// ```no_run
    /// # mod evs { pub use evs_core::*; pub use evs_postgres::{self as postgres, PostgresSink}; }
    /// # async fn example() -> Result<(), evs::SinkError> {
    /// use evs::{PostgresSink, postgres::sqlx::postgres::PgConnectOptions};
    ///
    /// let options = PgConnectOptions::new().host("db.example").username("evs").password("secret").database("stats");
    /// let sink = PostgresSink::from_options(options).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_options(options: PgConnectOptions) -> PostgresSinkBuilder {
        PostgresSinkBuilder::new(Target::Options(options))
    }

    /// A builder for a sink on the server of a pool, as [`from_options`](Self::from_options) with the options of the
    /// pool.
    ///
    /// evs makes its own connections, at most two, and takes none from the pool: other users may have left anything in
    /// the session of a pooled connection (temporary tables, settings, locks), and would find evs's settings there. So
    /// the pool's limits and hooks (`max_connections`, `after_connect`) do not apply to evs. Each new connection uses
    /// the options that the pool has by then, so a password that the host changes with `set_connect_options` is followed.
    ///
    /// ```no_run
    /// # mod evs { pub use evs_core::*; pub use evs_postgres::{self as postgres, PostgresSink}; }
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use evs::{PostgresSink, postgres::sqlx::PgPool};
    ///
    /// let pool = PgPool::connect("postgres://evs:secret@db.example/stats").await?;
    /// let sink = PostgresSink::from_pool(&pool).create(false).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_pool(pool: &PgPool) -> PostgresSinkBuilder {
        PostgresSinkBuilder::new(Target::Pool(pool.clone()))
    }
}

evs_sql::remote_builder! { PostgresSink, PostgresSinkBuilder, PostgresConnector, Server }
