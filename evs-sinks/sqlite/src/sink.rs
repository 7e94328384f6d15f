//! The public sink.

use std::path::Path;

use evs_core::SinkError;
use evs_sql::{SqlSink, forward_sink};
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};

use crate::{
    builder::{SqliteSinkBuilder, Target},
    connection::SqliteConnector,
};

/// A SQLite database as a [`Sink`](evs_core::Sink).
///
/// Needs a tokio runtime with its timer.
///
/// ```
/// # mod evs { pub use evs_core::*; pub use evs_sqlite::{self as sqlite, SqliteSink}; }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), evs::SinkError> {
/// use evs::{Sink, SqliteSink};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let url = format!("sqlite://{}", directory.path().join("reports.db").display());
/// // let url = "sqlite:///var/lib/evs/reports.db";
/// let sink = SqliteSink::builder(url).create(true).connect().await?;
/// assert!(sink.progress("ads-web1").await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SqliteSink(pub(crate) SqlSink<SqliteConnector>);

forward_sink!(SqliteSink);

impl SqliteSink {
    /// Opens the database that `url` names, and creates the file if it is missing: `sqlite://relative.db` or
    /// `sqlite:///absolute.db`.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if `url` is anything else, and the errors of [`SqliteSink::open`].
    pub async fn connect(url: &str) -> Result<Self, SinkError> {
        Self::builder(url).connect().await
    }

    /// Opens the database at `path`, and creates the file if it is missing. Its directory must exist.
    ///
    /// # Errors
    ///
    /// An error if the file cannot be created or opened, or is not a database.
    ///
    /// ```
    /// # mod evs { pub use evs_core::*; pub use evs_sqlite::{self as sqlite, SqliteSink}; }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), evs::SinkError> {
    /// use evs::SqliteSink;
    ///
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path();
    /// let sink = SqliteSink::open(path.join("stats.db")).await?;
    /// assert!(path.join("stats.db").exists());
    /// assert!(SqliteSink::open(path.join("none/stats.db")).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, SinkError> {
        SqliteSinkBuilder::new(Target::Path(path.as_ref().to_owned())).connect().await
    }

    /// A builder for a sink on the database that `url` names, with settings that a URL cannot have.
    pub fn builder(url: impl Into<String>) -> SqliteSinkBuilder {
        SqliteSinkBuilder::new(Target::Url(url.into()))
    }

    /// A builder for a sink on the database of the driver's options.
    ///
    /// The file is created if the options say so (`create_if_missing`). evs overrides what it relies on: the journal
    /// mode (WAL), `synchronous` (FULL), the locking mode, a private cache, and the time for which it waits for
    /// another writer (5 s). Other pragmas and extensions are kept.
    ///
    /// [`connect`](SqliteSinkBuilder::connect) refuses options with which the rows would be lost or could not be
    /// written: a database in memory, read-only or immutable files, another VFS, and pragmas that undo what evs has
    /// set.
    ///
    /// ```
    /// # mod evs { pub use evs_core::*; pub use evs_sqlite::{self as sqlite, SqliteSink}; }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), evs::SinkError> {
    /// use evs::{SqliteSink, sqlite::sqlx::sqlite::SqliteConnectOptions};
    ///
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("reports.db");
    /// let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).page_size(8192);
    /// let sink = SqliteSink::from_options(options).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_options(options: SqliteConnectOptions) -> SqliteSinkBuilder {
        SqliteSinkBuilder::new(Target::Options(Box::new(options)))
    }

    /// A builder for a sink on the database of a pool, as [`from_options`](Self::from_options) with the options that
    /// the pool has now.
    ///
    /// evs makes its own connections, at most two, and takes none from the pool: others may have left anything in a
    /// pooled connection (temporary tables, pragmas, attached databases). So the pool's limits and hooks
    /// (`max_connections`, `after_connect`) do not apply to evs. The file itself gets a write-ahead log (WAL), and keeps
    /// it: that is a property of the file.
    ///
    /// ```
    /// # mod evs { pub use evs_core::*; pub use evs_sqlite::{self as sqlite, SqliteSink}; }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use evs::{SqliteSink, sqlite::sqlx::SqlitePool};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("reports.db");
    /// let pool = SqlitePool::connect(&format!("sqlite://{}?mode=rwc", path.display())).await?;
    /// let sink = SqliteSink::from_pool(&pool).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_pool(pool: &SqlitePool) -> SqliteSinkBuilder {
        Self::from_options((*pool.connect_options()).clone())
    }
}
