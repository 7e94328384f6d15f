mod kill;
mod store;
mod suite;
mod tables;
mod wide;

use std::{path::PathBuf, sync::Arc};

use evs_core::{
    Batch, Epoch, Frontier, KeyColumn, MeasureColumn, MeasureKind, Rows, Schema, conformance::chained,
};
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

    /// The database as anybody else would open it.
    async fn plain(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.path()).create_if_missing(true).connect().await.unwrap()
    }
}

async fn run(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

fn schema() -> Schema {
    let measure =
        |name: &str, kind, scale| MeasureColumn { name: name.to_owned(), kind, field: String::new(), scale };
    Schema {
        statistic: "ads".to_owned(),
        window_seconds: 60,
        keys: vec![KeyColumn { name: "campaign".to_owned(), field: "arg_c".to_owned() }],
        measures: vec![measure("hits", MeasureKind::Count, 0), measure("revenue", MeasureKind::Sum, 2)],
        retain_seconds: None,
    }
}

fn batch(sequence: u64, rows: &[(i64, &[u8], i128)]) -> Batch {
    let mut encoded = Rows::new(1, 2);
    for (window, key, value) in rows {
        encoded.push(*window, [*key], &[Some(1), Some(*value)]);
    }
    let frontier = Arc::new(Frontier::default());
    let (schema, epoch) = (Arc::new(schema()), Epoch::from_bytes([7; 16]));
    chained(Batch {
        source: "web1".into(),
        epoch,
        schema,
        sequence,
        predecessor: 0,
        from: frontier.clone(),
        to: frontier,
        rows: encoded,
        writer: None,
    })
}
