//! The competitor of evs's sink: prepared upserts of many rows, with a transaction for each batch.

use sqlx::{Connection, MySqlConnection};

/// Rows in a statement.
const ROWS: usize = 1000;

super::sql::sql_by_hand!(MySqlConnection, |row| row.window_start, row.decimal());

impl ByHand {
    pub(crate) async fn open(url: &str) -> Self {
        Self::over(MySqlConnection::connect(url).await.expect("a server")).await
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
