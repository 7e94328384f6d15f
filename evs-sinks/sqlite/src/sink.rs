use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use evs_core::{Applied, Batch, Progress, Rows, Sink, SinkError, Writer, sink::Limits, statistic::Schema};
use evs_sql::SqlSink;

use crate::connection::SqliteConnector;

/// A SQLite database as a [`Sink`].
///
/// Needs a tokio runtime with its timer.
#[derive(Debug)]
pub struct SqliteSink(SqlSink<SqliteConnector>);

impl SqliteSink {
    /// Opens the database that `url` names, and makes the file if it is missing: `sqlite://relative.db` or
    /// `sqlite:///absolute.db`.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if `url` is anything else, and what [`SqliteSink::open`] returns.
    pub async fn connect(url: &str) -> Result<Self, SinkError> {
        Self::open(path_of(url)?).await
    }

    /// Opens the database at `path`, and makes the file if it is missing. Its directory must be there.
    ///
    /// # Errors
    ///
    /// If the file cannot be made or opened, or is no database.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, SinkError> {
        let connector = SqliteConnector::new(path.as_ref().to_owned());
        if let Err(error) = connector.create().await {
            let what = "the database cannot be opened";
            return Err(if error.is_transient {
                SinkError::unavailable(what, error)
            } else {
                SinkError::refused_by(what, error)
            });
        }
        let sink = SqlSink::new(connector);
        sink.check().await?;
        Ok(Self(sink))
    }

    /// Whether tables that are missing are made, as they are by default, or refused with the statements that
    /// would make them.
    #[must_use]
    pub fn create(self, may_create: bool) -> Self {
        Self(self.0.create(may_create))
    }
}

fn path_of(url: &str) -> Result<PathBuf, SinkError> {
    let refused = |what| Err(SinkError::refused(format!("{url:?} {what}")));
    match url.strip_prefix("sqlite://") {
        None => refused("is no URL of a SQLite database: sqlite://relative.db or sqlite:///absolute.db"),
        Some("") => refused("has no path"),
        Some(":memory:") => refused("would be gone with its connection: a file is needed"),
        // They would mean something else in a URL than in a path.
        Some(path) if path.contains(['?', '#', '%']) => {
            refused("has options or escapes, which evs does not read: use SqliteSink::open for such paths")
        }
        Some(path) => Ok(path.into()),
    }
}

#[async_trait]
impl Sink for SqliteSink {
    fn limits(&self) -> Limits {
        self.0.limits()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        self.0.prepare(schema).await
    }

    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        self.0.progress(source).await
    }

    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        self.0.begin(progress).await
    }

    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        self.0.writer(source).await
    }

    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        self.0.claim(writer, last).await
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        self.0.apply(batch).await
    }

    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        self.0.sweep(schema, before).await
    }

    async fn close(&self) -> Result<(), SinkError> {
        self.0.close().await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        self.0.totals(schema, windows).await
    }
}
