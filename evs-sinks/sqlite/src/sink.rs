//! The public sink.

use std::path::{Path, PathBuf};

use evs_core::SinkError;
use evs_sql::{SqlSink, SqlStore, forward_sink};

use crate::connection::SqliteConnector;

/// A SQLite database as a [`Sink`](evs_core::Sink).
///
/// Needs a tokio runtime with its timer.
#[derive(Debug)]
pub struct SqliteSink(SqlSink<SqliteConnector>);

forward_sink!(SqliteSink);

impl SqliteSink {
    /// Opens the database that `url` names, and creates the file if it is missing: `sqlite://relative.db` or
    /// `sqlite:///absolute.db`.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if `url` is anything else, and the errors of [`SqliteSink::open`].
    pub async fn connect(url: &str) -> Result<Self, SinkError> {
        Self::open(path_of(url)?).await
    }

    /// Opens the database at `path`, and creates the file if it is missing. Its directory must exist.
    ///
    /// # Errors
    ///
    /// An error if the file cannot be created or opened, or is not a database.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, SinkError> {
        let connector = SqliteConnector::new(path.as_ref().to_owned());
        connector.create().await.map_err(|error| error.into_sink_error("the database cannot be opened"))?;
        Ok(Self(SqlStore::new(connector).connect().await?))
    }

    /// Sets whether evs creates missing tables (the default), or fails with an error that contains the statements to
    /// create them.
    #[must_use]
    pub fn create(self, may_create: bool) -> Self {
        Self(self.0.into_store().create(may_create).into_sink())
    }
}

fn path_of(url: &str) -> Result<PathBuf, SinkError> {
    let refused = |what| Err(SinkError::refused(format!("{url:?} {what}")));
    match url.strip_prefix("sqlite://") {
        None => refused("is no URL of a SQLite database: sqlite://relative.db or sqlite:///absolute.db"),
        Some("") => refused("has no path"),
        Some(":memory:") => refused("would be gone with its connection: a file is needed"),
        // These characters would have another meaning in a URL than in a path.
        Some(path) if path.contains(['?', '#', '%']) => {
            refused("has options or escapes, which evs does not read: use SqliteSink::open for such paths")
        }
        Some(path) => Ok(path.into()),
    }
}
