//! Tests on database files in temporary directories. Most cases are those of `evs_sql::cases`.

mod kill;
mod pools;
mod store;
mod suite;
mod tables;
mod wide;

use std::path::PathBuf;

use async_trait::async_trait;
use evs_core::{Sink, SinkError};
use evs_sql::cases::{Database, Settings};
use sqlx::SqliteConnection;

use crate::{SqliteSink, connection::SqliteConnector};

/// A directory for a database.
struct File {
    directory: tempfile::TempDir,
}

impl File {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("stats.db")
    }
}

#[async_trait]
impl Database for File {
    type Connector = SqliteConnector;
    type Plain = Plain;

    async fn fresh() -> Option<Self> {
        Some(Self::new())
    }

    async fn connect(url: &str, settings: Settings) -> Result<Box<dyn Sink>, SinkError> {
        Ok(Box::new(SqliteSink::builder(url).create(settings.create).connect().await?))
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.path().display())
    }

    fn connector(&self) -> SqliteConnector {
        SqliteConnector::new(&self.path())
    }

    async fn plain(&self) -> Plain {
        Plain::open(&format!("{}?mode=rwc", self.url())).await
    }
}

evs_sql::plain! { SqliteConnection }
