//! What evs's sink is compared with: prepared upserts of many rows, a transaction for each batch.

use sqlx::{AssertSqlSafe, Connection, MySqlConnection};

use super::{ByHand as _, HandRow};

/// Rows in a statement.
const ROWS: usize = 1000;

/// A table with a row for each window and keys.
pub(crate) struct ByHand {
    connection: MySqlConnection,
}

impl ByHand {
    pub(crate) async fn open(url: &str) -> Self {
        let mut by_hand = Self { connection: MySqlConnection::connect(url).await.expect("a server") };
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
                    .bind(row.decimal());
            }
            query.execute(&mut *transaction).await.expect("the rows are added");
        }
        transaction.commit().await.expect("the rows are durable");
    }
}

const CREATE: &str = "CREATE TABLE by_hand (window_start DATETIME NOT NULL, campaign VARCHAR(100) NOT NULL, \
    kind VARCHAR(100) NOT NULL, count BIGINT, revenue DECIMAL(38,2), PRIMARY KEY (window_start, campaign, kind)) \
    ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

fn upsert(rows: usize) -> String {
    let values = vec!["(TIMESTAMPADD(SECOND, ?, '1970-01-01'), ?, ?, ?, ?)"; rows].join(", ");
    format!(
        "INSERT INTO by_hand VALUES {values} ON DUPLICATE KEY UPDATE count = by_hand.count + VALUES(count), \
         revenue = by_hand.revenue + VALUES(revenue)"
    )
}
