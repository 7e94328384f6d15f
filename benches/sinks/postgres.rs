//! PostgreSQL fed by hand: upserts of many rows, as durable as the sink's.

use sqlx::{Connection, PgConnection};

use crate::HandRow;

/// Rows in a statement; more are no faster.
const STATEMENT_ROWS_MAX: usize = 8192;

pub(crate) struct ByHand {
    connection: PgConnection,
}

impl ByHand {
    /// Connects to the database that `url` names.
    pub(crate) async fn open(url: &str) -> Self {
        Self { connection: PgConnection::connect(url).await.expect("a PostgreSQL server") }
    }

    /// Makes an empty table.
    pub(crate) async fn fresh(&mut self) {
        let table = "DROP TABLE IF EXISTS by_hand; CREATE TABLE by_hand (window_start timestamptz NOT NULL, \
             campaign text NOT NULL, kind text NOT NULL, hits bigint, revenue numeric(38,2), \
             PRIMARY KEY (window_start, campaign, kind))";
        sqlx::raw_sql(table).execute(&mut self.connection).await.expect("a table");
    }

    /// Adds rows to those that are there.
    pub(crate) async fn insert(&mut self, rows: &[HandRow]) {
        let mut transaction = self.connection.begin().await.expect("begun");
        for rows in rows.chunks(STATEMENT_ROWS_MAX) {
            let revenue = |row: &HandRow| format!("{}e-2", row.revenue);
            sqlx::query(
                "INSERT INTO by_hand SELECT to_timestamp(w), c, k, n, r::numeric \
                 FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[]) AS r (w, c, k, n, r) \
                 ON CONFLICT (window_start, campaign, kind) DO UPDATE SET \
                 hits = by_hand.hits + excluded.hits, revenue = by_hand.revenue + excluded.revenue",
            )
            .bind(rows.iter().map(|row| row.window_start).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| &*row.campaign).collect::<Vec<&str>>())
            .bind(rows.iter().map(|row| &*row.kind).collect::<Vec<&str>>())
            .bind(rows.iter().map(|row| row.count).collect::<Vec<_>>())
            .bind(rows.iter().map(revenue).collect::<Vec<_>>())
            .execute(&mut *transaction)
            .await
            .expect("inserted");
        }
        transaction.commit().await.expect("committed");
    }
}
