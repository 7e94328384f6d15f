//! The competitor of evs's sink: prepared upserts of some rows, with a transaction for each batch.

use std::path::Path;

use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

/// Rows in a statement.
const ROWS: usize = 250;

super::sql::sql_by_hand!(
    SqliteConnection,
    |row| row.window_start,
    i64::try_from(row.revenue).expect("64 bits")
);

impl ByHand {
    pub(crate) async fn open(path: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        Self::over(options.connect().await.expect("a database")).await
    }
}

const CREATE: &str = "CREATE TABLE by_hand (window_start INTEGER NOT NULL, campaign TEXT NOT NULL, \
    kind TEXT NOT NULL, count INTEGER, revenue INTEGER, PRIMARY KEY (window_start, campaign, kind)) \
    STRICT, WITHOUT ROWID";

fn upsert(rows: usize) -> String {
    let values = vec!["(?, ?, ?, ?, ?)"; rows].join(", ");
    format!(
        "INSERT INTO by_hand VALUES {values} ON CONFLICT (window_start, campaign, kind) \
         DO UPDATE SET count = by_hand.count + excluded.count, revenue = by_hand.revenue + excluded.revenue"
    )
}
