//! What evs's sink is compared with: prepared upserts of some rows, a transaction for each batch.

use std::path::Path;

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{ByHand as _, HandRow};

/// Rows in a statement.
const ROWS: usize = 250;

/// A table with a row for each window and keys.
pub(crate) struct ByHand {
    connection: SqliteConnection,
}

impl ByHand {
    pub(crate) async fn open(path: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let mut by_hand = Self { connection: options.connect().await.expect("a database") };
        by_hand.fresh().await;
        by_hand
    }
}

impl super::ByHand for ByHand {
    async fn fresh(&mut self) {
        for sql in ["DROP TABLE IF EXISTS by_hand", CREATE] {
            sqlx::raw_sql(sql).execute(&mut self.connection).await.expect("an empty table");
        }
    }

    async fn insert(&mut self, rows: &[HandRow]) {
        let mut transaction = self.connection.begin().await.expect("a transaction");
        for rows in rows.chunks(ROWS) {
            let mut query = sqlx::query(AssertSqlSafe(upsert(rows.len())));
            for row in rows {
                query = query
                    .bind(row.window_start)
                    .bind(&row.campaign)
                    .bind(&row.kind)
                    .bind(row.count)
                    .bind(i64::try_from(row.revenue).expect("64 bits"));
            }
            query.execute(&mut *transaction).await.expect("the rows are added");
        }
        transaction.commit().await.expect("the rows are durable");
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
