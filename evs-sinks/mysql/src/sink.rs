//! The public sink.

use evs_core::SinkError;
use evs_sql::{SqlSink, Target, forward_sink};
use sqlx::{MySqlPool, mysql::MySqlConnectOptions};

use crate::connector::{MySqlConnector, Server};

/// A database of a MySQL or MariaDB server as a [`Sink`](evs_core::Sink).
///
/// It uses at most two connections: one writes, the other reads and deletes old windows. It needs a tokio runtime
/// with its timer.
///
/// ```no_run
/// # mod evs { pub use evs_core::*; pub use evs_mysql::{self as mysql, MySqlSink}; }
/// # async fn example() -> Result<(), evs::SinkError> {
/// use std::time::Duration;
///
/// use evs::MySqlSink;
///
/// let sink = MySqlSink::builder("mysql://evs:secret@db.example/stats")
///     .create(false)                          // somebody else creates the tables
///     .timeout(Duration::from_secs(10))       // for making a connection
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
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

    /// A builder for a sink on the server that `url` names, with settings that a URL cannot have.
    pub fn builder(url: impl Into<String>) -> MySqlSinkBuilder {
        MySqlSinkBuilder::new(Target::Url(url.into()))
    }

    /// A builder for a sink on the server of the driver's options, which must name a database.
    ///
    /// evs overrides what it relies on, in its own sessions only: the character set (utf8mb4), `sql_mode`, the time
    /// zone, the isolation level and the limits of waiting; and the number of prepared statements. Everything else is
    /// as the options say: hosts, TLS, the user.
    ///
    /// ```no_run
    /// # mod evs { pub use evs_core::*; pub use evs_mysql::{self as mysql, MySqlSink}; }
    /// # async fn example() -> Result<(), evs::SinkError> {
    /// use evs::{MySqlSink, mysql::sqlx::mysql::MySqlConnectOptions};
    ///
    /// let options = MySqlConnectOptions::new().host("db.example").username("evs").password("secret").database("stats");
    /// let sink = MySqlSink::from_options(options).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_options(options: MySqlConnectOptions) -> MySqlSinkBuilder {
        MySqlSinkBuilder::new(Target::Options(options))
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
    /// # mod evs { pub use evs_core::*; pub use evs_mysql::{self as mysql, MySqlSink}; }
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use evs::{MySqlSink, mysql::sqlx::MySqlPool};
    ///
    /// let pool = MySqlPool::connect("mysql://evs:secret@db.example/stats").await?;
    /// let sink = MySqlSink::from_pool(&pool).create(false).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_pool(pool: &MySqlPool) -> MySqlSinkBuilder {
        MySqlSinkBuilder::new(Target::Pool(pool.clone()))
    }
}

evs_sql::remote_builder! { MySqlSink, MySqlSinkBuilder, MySqlConnector, Server }
