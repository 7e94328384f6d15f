//! What evs's sink is compared with: prepared upserts of many rows, a transaction for each batch.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{ByHand as _, HandRow};

/// Rows in a statement.
const ROWS: usize = 1000;

/// A table with a row for each window and keys.
pub(crate) struct ByHand {
    connection: PgConnection,
}

impl ByHand {
    pub(crate) async fn open(url: &str) -> Self {
        let mut by_hand = Self { connection: PgConnection::connect(url).await.expect("a server") };
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
                    .bind(row.window_start as f64)
                    .bind(&row.campaign)
                    .bind(&row.kind)
                    .bind(row.count)
                    .bind(row.decimal());
            }
            query.execute(&mut *transaction).await.expect("the rows are added");
        }
        transaction.commit().await.expect("the rows are durable");
    }
}

const CREATE: &str = "CREATE TABLE by_hand (window_start TIMESTAMPTZ NOT NULL, campaign TEXT NOT NULL, \
    kind TEXT NOT NULL, count BIGINT, revenue NUMERIC(38,2), PRIMARY KEY (window_start, campaign, kind))";

fn upsert(rows: usize) -> String {
    let row = |at: usize| {
        let [a, b, c, d, e] = [1, 2, 3, 4, 5].map(|column| at * 5 + column);
        format!("(to_timestamp(${a}), ${b}, ${c}, ${d}, ${e}::numeric)")
    };
    let values = (0..rows).map(row).collect::<Vec<_>>().join(", ");
    format!(
        "INSERT INTO by_hand VALUES {values} ON CONFLICT (window_start, campaign, kind) \
         DO UPDATE SET count = by_hand.count + excluded.count, revenue = by_hand.revenue + excluded.revenue"
    )
}
