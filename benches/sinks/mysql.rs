//! What evs's sink is compared with: an INSERT of many rows that adds to those that are there.

use sqlx::{Connection, MySql, MySqlConnection, QueryBuilder};

use super::HandRow;

/// The protocol allows 65,535 parameters, of which a row has five.
const STATEMENT_ROWS_MAX: usize = 10_000;

/// A table with the keys as its primary key.
pub(crate) struct ByHand(MySqlConnection);

impl ByHand {
    /// In the database that the URL names.
    pub(crate) async fn open(url: &str) -> Self {
        Self(MySqlConnection::connect(url).await.expect("the server answers"))
    }

    /// Makes the table anew.
    pub(crate) async fn fresh(&mut self) {
        let sql = "DROP TABLE IF EXISTS by_hand; CREATE TABLE by_hand (window_start DATETIME, campaign VARCHAR(255), \
            kind VARCHAR(64), count BIGINT NOT NULL, revenue DECIMAL(38,2) NOT NULL, \
            PRIMARY KEY (window_start, campaign, kind)) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
        sqlx::raw_sql(sql).execute(&mut self.0).await.expect("the table is made");
    }

    /// Adds the rows, in one transaction.
    pub(crate) async fn insert(&mut self, rows: &[HandRow]) {
        let mut transaction = self.0.begin().await.expect("a transaction");
        for rows in rows.chunks(STATEMENT_ROWS_MAX) {
            let mut query = QueryBuilder::<MySql>::new(
                "INSERT INTO by_hand (window_start, campaign, kind, count, revenue) ",
            );
            query.push_values(rows, |mut values, row| {
                values
                    .push("FROM_UNIXTIME(")
                    .push_bind_unseparated(row.window_start)
                    .push_unseparated(")")
                    .push_bind(&row.campaign)
                    .push_bind(&row.kind)
                    .push_bind(row.count)
                    .push_bind(decimal(row.revenue));
            });
            query.push(
                " ON DUPLICATE KEY UPDATE count = count + VALUES(count), revenue = revenue + VALUES(revenue)",
            );
            query.build().execute(&mut *transaction).await.expect("the rows are inserted");
        }
        transaction.commit().await.expect("committed");
    }
}

/// The number with its point.
fn decimal(revenue: i128) -> String {
    format!("{}.{:02}", revenue / 100, revenue % 100)
}
