//! The settings of a sink.

use std::{fmt, path::PathBuf};

use evs_core::SinkError;
use evs_sql::SqlStore;
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

use crate::{connection::SqliteConnector, errors::is_busy, sink::SqliteSink};

/// What the database is named by.
#[derive(Clone)]
pub(crate) enum Target {
    Url(String),
    Path(PathBuf),
    Options(Box<SqliteConnectOptions>),
}

/// Settings of a [`SqliteSink`]. The setters only store values; [`connect`](Self::connect) checks them.
///
/// There is no time limit to set: opening a file waits for nobody, and the caller limits the duration of a call (in a
/// pipeline that is `sink_timeout`).
///
/// ```
/// # mod evs { pub use evs_core::*; pub use evs_sqlite::{self as sqlite, SqliteSink}; }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), evs::SinkError> {
/// use evs::{Sink, SqliteSink};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let url = format!("sqlite://{}", directory.path().join("reports.db").display());
/// // Somebody else has to create the tables: an error has the statements.
/// let sink = SqliteSink::builder(url).create(false).connect().await?;
/// # let column = evs::MeasureColumn::new("count", evs::MeasureKind::Count, "", 0);
/// # let schema = evs::Schema::new("requests", 60, Vec::new(), vec![column]);
/// let error = sink.prepare(&schema).await.unwrap_err().to_string();
/// assert!(error.contains("CREATE TABLE"), "{error}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct SqliteSinkBuilder {
    target: Target,
    create: bool,
}

impl SqliteSinkBuilder {
    /// The default settings for a database.
    pub(crate) fn new(target: Target) -> Self {
        Self { target, create: true }
    }

    /// Sets whether evs creates missing tables (the default), or fails with an error that contains the statements to
    /// create them. The file itself is created in any case, unless the driver's options say otherwise.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Makes the sink, and opens the database. A database in which somebody else is writing is no error: the sink opens
    /// it when it is used.
    ///
    /// # Errors
    ///
    /// The errors of [`SqliteSink::connect`] and [`SqliteSink::open`], and [`SinkError::Refused`] for options that
    /// [`SqliteSink::from_options`] refuses.
    pub async fn connect(self) -> Result<SqliteSink, SinkError> {
        let (connector, creates_file) = match self.target {
            Target::Url(url) => (SqliteConnector::new(&path_of(&url)?), true),
            Target::Path(path) => (SqliteConnector::new(&path), true),
            Target::Options(options) => {
                let creates_file = check(&options)?;
                (SqliteConnector::with_options(*options), creates_file)
            }
        };
        let created = connector.create(creates_file).await;
        let store = SqlStore::new(connector).create(self.create);
        match created {
            Ok(()) => Ok(SqliteSink(store.connect().await?)),
            // The file is there and somebody else writes, for now. The sink is like one on a server that is away.
            Err(error) if is_busy(&error) => Ok(SqliteSink(store.into_sink())),
            Err(error) => Err(error.into_sink_error("the database cannot be opened")),
        }
    }
}

/// Refuses options that cannot work, and returns whether they create the file. Only the URL that the driver makes of
/// them shows most of them.
fn check(options: &SqliteConnectOptions) -> Result<bool, SinkError> {
    let refused = |what: &str| Err(SinkError::refused(format!("the options of the database {what}")));
    let path = options.get_filename();
    if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
        return refused("name no file: a database in memory would be gone with its connection");
    }
    // The driver cannot put every name of a file into a URL, and panics.
    let url = options.clone().filename("/file").to_url_lossy();
    let option = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
    if option("mode").is_some_and(|mode| mode == "memory") {
        return refused("are those of a database in memory, which would be gone with its connection");
    }
    if option("mode").is_some_and(|mode| mode == "ro") || option("immutable").is_some() {
        return refused("open it for reading only");
    }
    if option("vfs").is_some() {
        return refused("name a VFS: evs relies on the locks and the fsync of the usual one");
    }
    Ok(option("mode").is_some_and(|mode| mode == "rwc"))
}

/// The path in a URL.
fn path_of(url: &str) -> Result<PathBuf, SinkError> {
    // A URL for another store may have a password, and options may have a key.
    let shown = url.split(['?', '#']).next().unwrap_or_default();
    let shown = if shown.contains('@') { "the URL" } else { shown };
    let refused = |what| Err(SinkError::refused(format!("{shown}: {what}")));
    match url.strip_prefix("sqlite://") {
        None => refused("this is no URL of a SQLite database: sqlite://relative.db or sqlite:///absolute.db"),
        Some("") => refused("it has no path"),
        Some(":memory:") => refused("it would be gone with its connection: a file is needed"),
        Some(path) if path.contains('@') => refused(
            "a SQLite database is a file: it has no user and no host; SqliteSink::open takes any path",
        ),
        // These characters would have another meaning in a URL than in a path.
        Some(path) if path.contains(['?', '#', '%']) => refused(
            "evs reads no options and no escapes: leave `?mode=...` out (the file is created if it is missing), \
                 give other options with SqliteSink::from_options, and a path with ?, # or % to SqliteSink::open",
        ),
        Some(path) => Ok(path.into()),
    }
}

/// Omits the options, which may contain a key.
impl fmt::Debug for SqliteSinkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSinkBuilder").field("create", &self.create).finish_non_exhaustive()
    }
}
