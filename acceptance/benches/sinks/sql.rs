//! The part that SQL stores have in common without evs: prepared upserts of many rows, with a transaction for each
//! batch.

/// Defines a `ByHand` over that type of connection, in a module that has `ROWS`, `CREATE` and `upsert`. The closure
/// gives a row's window and revenue as the statement takes them.
macro_rules! sql_by_hand {
    ($connection:ty, |$row:ident| $window:expr, $revenue:expr) => {
        /// A table with a row for each window and keys.
        pub(crate) struct ByHand {
            connection: $connection,
        }

        impl ByHand {
            async fn over(connection: $connection) -> Self {
                let mut by_hand = Self { connection };
                crate::ByHand::fresh(&mut by_hand).await;
                by_hand
            }
        }

        impl crate::ByHand for ByHand {
            async fn fresh(&mut self) {
                for sql in ["DROP TABLE IF EXISTS by_hand", CREATE] {
                    sqlx::raw_sql(sql).execute(&mut self.connection).await.expect("an empty table");
                }
            }

            async fn insert(&mut self, rows: &[crate::HandRow]) {
                let mut transaction = self.connection.begin().await.expect("a transaction");
                for rows in rows.chunks(ROWS) {
                    let mut query = sqlx::query(sqlx::AssertSqlSafe(upsert(rows.len())));
                    for $row in rows {
                        let (window, revenue) = ($window, $revenue);
                        query = query
                            .bind(window)
                            .bind(&$row.campaign)
                            .bind(&$row.kind)
                            .bind($row.count)
                            .bind(revenue);
                    }
                    query.execute(&mut *transaction).await.expect("the rows are added");
                }
                transaction.commit().await.expect("the rows are durable");
            }
        }
    };
}
pub(crate) use sql_by_hand;
