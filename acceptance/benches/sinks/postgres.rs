//! The competitor of evs's sink: prepared upserts of many rows, with a transaction for each batch.

use sqlx::{Connection, PgConnection};

/// Rows in a statement.
const ROWS: usize = 1000;

super::sql::sql_by_hand!(PgConnection, |row| row.window_start as f64, row.decimal());

impl ByHand {
    pub(crate) async fn open(url: &str) -> Self {
        Self::over(PgConnection::connect(url).await.expect("a server")).await
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
