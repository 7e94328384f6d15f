//! The competitor of evs's sink: prepared INSERTs, many at a time.

use std::sync::Arc;

use scylla::{
    client::{session::Session, session_builder::SessionBuilder},
    statement::{Consistency, prepared::PreparedStatement, unprepared::Statement},
    value::{CqlDecimal, CqlTimestamp},
};
use tokio::task::JoinSet;

use super::HandRow;

/// The number of INSERTs in flight: the best of 16 to 512.
const AT_ONCE: usize = 128;

/// A table with a row for each window and keys, which is written over.
pub(crate) struct ByHand {
    session: Arc<Session>,
    insert: PreparedStatement,
    table: String,
}

impl ByHand {
    /// Connects to the keyspace of `cassandra://HOST:PORT/KEYSPACE`.
    pub(crate) async fn open(url: &str) -> Self {
        let place = url.strip_prefix("cassandra://").expect("a URL of Cassandra");
        let (host, keyspace) = place.split_once('/').expect("a keyspace");
        let keyspace = keyspace.split('?').next().unwrap_or_default();
        let session = SessionBuilder::new().known_node(host).build().await.expect("the server answers");
        let table = format!("{keyspace}.by_hand");
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {table} (window_start timestamp, campaign text, kind text, count bigint, \
             revenue decimal, PRIMARY KEY ((window_start), campaign, kind))"
        );
        session.query_unpaged(create, ()).await.expect("the table is made");
        let mut insert = Statement::new(format!(
            "INSERT INTO {table} (window_start, campaign, kind, count, revenue) VALUES (?, ?, ?, ?, ?)"
        ));
        insert.set_consistency(Consistency::LocalQuorum);
        let insert = session.prepare(insert).await.expect("the statement is right");
        Self { session: Arc::new(session), insert, table }
    }
}

impl super::ByHand for ByHand {
    /// Empties the table.
    async fn fresh(&mut self) {
        let truncate = format!("TRUNCATE {}", self.table);
        self.session.query_unpaged(truncate, ()).await.expect("the table is emptied");
    }

    async fn insert(&mut self, rows: &[HandRow]) {
        let mut running = JoinSet::new();
        for row in rows {
            if running.len() == AT_ONCE {
                running.join_next().await.expect("one is running").expect("no panic");
            }
            let (session, insert) = (Arc::clone(&self.session), self.insert.clone());
            let revenue = CqlDecimal::from_signed_be_bytes_slice_and_exponent(&row.revenue.to_be_bytes(), 2);
            let window = CqlTimestamp(row.window_start * 1000);
            let values = (window, row.campaign.clone(), row.kind.clone(), row.count, revenue);
            running.spawn(async move {
                session.execute_unpaged(&insert, values).await.expect("the row is inserted");
            });
        }
        while let Some(done) = running.join_next().await {
            done.expect("no panic");
        }
    }
}
