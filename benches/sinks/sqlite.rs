//! What evs's sink is compared with: an INSERT of many rows that adds to those that are there.

use sqlx::{
    ConnectOptions, Connection, QueryBuilder, Sqlite, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::HandRow;

/// SQLite allows 32,766 parameters, of which a row has five.
const STATEMENT_ROWS_MAX: usize = 5_000;

/// A table with the keys as its primary key.
pub(crate) struct ByHand(SqliteConnection);

impl ByHand {
    /// In the file that the URL names.
    pub(crate) async fn open(url: &str) -> Self {
        let options = url.parse::<SqliteConnectOptions>().expect("a URL of SQLite");
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        Self(options.connect().await.expect("the file opens"))
    }

    /// Makes the table anew.
    pub(crate) async fn fresh(&mut self) {
        let sql = "DROP TABLE IF EXISTS by_hand; CREATE TABLE by_hand (window_start INTEGER, campaign TEXT, kind TEXT, \
            count INTEGER NOT NULL, revenue INTEGER NOT NULL, PRIMARY KEY (window_start, campaign, kind)) \
            STRICT, WITHOUT ROWID";
        sqlx::raw_sql(sql).execute(&mut self.0).await.expect("the table is made");
    }

    /// Adds the rows, in one transaction.
    pub(crate) async fn insert(&mut self, rows: &[HandRow]) {
        let mut transaction = self.0.begin().await.expect("a transaction");
        for rows in rows.chunks(STATEMENT_ROWS_MAX) {
            let mut query = QueryBuilder::<Sqlite>::new(
                "INSERT INTO by_hand (window_start, campaign, kind, count, revenue) ",
            );
            query.push_values(rows, |mut values, row| {
                let revenue = i64::try_from(row.revenue).expect("64 bits");
                values.push_bind(row.window_start).push_bind(&row.campaign).push_bind(&row.kind);
                values.push_bind(row.count).push_bind(revenue);
            });
            query.push(
                " ON CONFLICT (window_start, campaign, kind) DO UPDATE SET count = count + excluded.count, \
                 revenue = revenue + excluded.revenue",
            );
            query.build().execute(&mut *transaction).await.expect("the rows are inserted");
        }
        transaction.commit().await.expect("committed");
    }
}
