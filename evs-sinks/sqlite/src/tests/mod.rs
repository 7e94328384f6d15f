//! Tests on database files in temporary directories.

mod kill;
mod pools;
mod store;
mod suite;
mod tables;
mod wide;

use std::path::PathBuf;

use evs_core::{Batch, Epoch, KeyColumn, MeasureColumn, MeasureKind, Rows, Schema, conformance::chained};
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};

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

    fn url(&self) -> String {
        format!("sqlite://{}", self.path().display())
    }

    /// Opens the database as any other program would.
    async fn plain(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.path()).create_if_missing(true).connect().await.unwrap()
    }
}

async fn run(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

fn schema() -> Schema {
    let measure = |name: &str, kind, scale| MeasureColumn::new(name, kind, "", scale);
    Schema::new(
        "ads",
        60,
        vec![KeyColumn::new("campaign", "arg_c")],
        vec![measure("hits", MeasureKind::Count, 0), measure("revenue", MeasureKind::Sum, 2)],
    )
}

fn batch(sequence: u64, rows: &[(i64, &[u8], i128)]) -> Batch {
    let mut encoded = Rows::new(1, 2);
    for (window, key, value) in rows {
        encoded.push(*window, [*key], &[Some(1), Some(*value)]);
    }
    let (schema, epoch) = (schema(), Epoch::from_bytes([7; 16]));
    chained(Batch::new("web1", epoch, schema, sequence, encoded))
}
