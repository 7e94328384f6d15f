//! Tests of tables that have another shape, change while in use, or are created twice.

use std::sync::Arc;

use async_trait::async_trait;
use evs_core::{Epoch, Schema, Sink, SinkError};

use super::support::{Server, batch, plain, schema};
use crate::{
    CassandraSink, Driver,
    driver::{Page, Paged, Session, StoreError, Value},
    prepare::Storage,
};

fn refused(answer: Result<(), SinkError>) -> String {
    match answer {
        Err(SinkError::Refused { what, .. }) => what,
        other => panic!("expected to be refused, got {other:?}"),
    }
}

pub(super) async fn tables_that_may_not_be_made_are_named(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let schema = schema(&["campaign"]);
    let sink = keyspace.builder().create(false).connect().await.unwrap();
    let said = refused(sink.prepare(&schema).await);
    let statements = said.split_once("make them with: ").expect("the statements").1;
    let statements = statements.split_inclusive(';').map(|statement| statement.trim_end_matches(';').trim());
    let statements = statements.collect::<Vec<_>>();
    assert_eq!(statements.len(), 5, "{said}");
    for statement in &statements[1..] {
        server.session.define(statement).await.expect("the statements are right");
    }
    let said = refused(sink.prepare(&schema).await);
    assert!(
        said.contains("evs_progress") && !said.contains("ad_events"),
        "what is there is not named: {said}"
    );
    server.session.define(statements[0]).await.unwrap();
    sink.prepare(&schema).await.unwrap();
    sink.apply(&batch(Epoch::random(), &schema, 1, &[(60, &[b"c1"], [Some(1); 5])])).await.unwrap();
    assert_eq!(plain(&sink.totals(&schema, 0..120).await.unwrap()).len(), 1);
    server.clean().await;
}

pub(super) async fn a_table_of_another_shape_is_refused_by_its_column(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let schema = schema(&["campaign"]);
    let key = "PRIMARY KEY ((window_start, evs_bucket), campaign, evs_key_hash, evs_source, evs_epoch, evs_sequence)";
    let columns = "window_start timestamp, evs_bucket int, campaign text, evs_key_hash text, evs_source text, \
                   evs_epoch text, evs_sequence bigint, hits bigint, revenue decimal, bytes varint, \
                   time_min decimal, time_max decimal, evs_long_keys frozen<list<text>>";
    let right = format!("CREATE TABLE KS.ad_events ({columns}, {key})");
    for (change, to, column, word) in [
        ("hits bigint", "hits int", "hits", "type int, not bigint"),
        ("revenue decimal", "revenue double", "revenue", "type double, not decimal"),
        ("bytes varint", "bytes bigint", "bytes", "type bigint, not varint"),
        ("campaign text", "campaign blob", "campaign", "type blob, not text"),
        ("time_max decimal, ", "", "time_max", "ADD \"time_max\" decimal"),
        ("evs_epoch text", "evs_epoch uuid", "evs_epoch", "type uuid, not text"),
        ("evs_epoch, evs_sequence)", "evs_sequence, evs_epoch)", "evs_epoch", "wrong place"),
        (
            "((window_start, evs_bucket), campaign",
            "(window_start, evs_bucket, campaign",
            "evs_bucket",
            "wrong place",
        ),
        ("campaign text", "campaign text, kind text", "kind", "in its key"),
    ] {
        let mut wrong = right.replacen(change, to, 1);
        if column == "kind" {
            wrong = wrong.replace("evs_sequence)", "evs_sequence, kind)");
        }
        let keyspace = server.keyspace().await;
        keyspace.execute(&wrong).await;
        let said = refused(keyspace.sink().await.prepare(&schema).await);
        assert!(
            said.contains("ad_events") && said.contains(column) && said.contains(word),
            "{change}: {said}"
        );
    }
    let keyspace = server.keyspace().await;
    let backwards = " WITH CLUSTERING ORDER BY (campaign DESC, evs_key_hash ASC, evs_source ASC, evs_epoch ASC, evs_sequence ASC)";
    keyspace.execute(&format!("{right}{backwards}")).await;
    let said = refused(keyspace.sink().await.prepare(&schema).await);
    assert!(said.contains("campaign") && said.contains("ascending"), "{said}");
    // The right table with an additional column.
    let keyspace = server.keyspace().await;
    keyspace.execute(&right.replace("hits bigint", "hits bigint, note text")).await;
    keyspace.sink().await.prepare(&schema).await.unwrap();
    // The table is changed while it is in use.
    let sink = keyspace.sink().await;
    sink.apply(&batch(Epoch::random(), &schema, 1, &[(60, &[b"c1"], [Some(1); 5])])).await.unwrap();
    keyspace.execute("ALTER TABLE KS.ad_events DROP hits").await;
    let next = batch(Epoch::random(), &schema, 1, &[(60, &[b"c1"], [Some(1); 5])]);
    // The first attempt fails with an error of the server or the driver. The next attempt checks the table first.
    sink.apply(&next).await.unwrap_err();
    let said = refused(sink.apply(&next).await.map(drop));
    assert!(said.contains("hits"), "{said}");
    server.clean().await;
}

pub(super) async fn a_table_with_rows_of_others_is_not_used(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let (sink, schema) = (keyspace.sink().await, schema(&[]));
    sink.prepare(&schema).await.unwrap();
    keyspace.execute("INSERT INTO KS.ad_events (window_start, evs_bucket, evs_key_hash, evs_source, evs_epoch, evs_sequence) \
             VALUES (0, 0, '', 'other', '', 1)",
        )
        .await;
    keyspace.execute("DELETE FROM KS.evs_statistics WHERE statistic = 'ad_events'").await;
    let said = refused(sink.prepare(&schema).await);
    assert!(said.contains("ad_events") && said.contains("has rows"), "{said}");
    keyspace.execute("TRUNCATE KS.ad_events").await;
    sink.prepare(&schema).await.unwrap();
    keyspace.execute("DROP TABLE KS.ad_events").await;
    let said = refused(sink.prepare(&schema).await);
    assert!(said.contains("ad_events is gone") && said.contains("evs_statistics"), "{said}");
    server.clean().await;
}

/// Two services start at the same time, each with its own number of buckets. They agree on one number.
pub(super) async fn two_that_make_the_same_table_agree(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let schema = schema(&["campaign"]);
    let mut sinks = Vec::new();
    for buckets in [1, 3, 5, 7] {
        sinks.push(keyspace.builder().buckets(buckets).connect().await.unwrap());
    }
    let start = |sink: CassandraSink| {
        let schema = schema.clone();
        tokio::spawn(async move {
            // Transient errors are retried, as a pipeline does.
            for _ in 0..100 {
                match sink.prepare(&schema).await {
                    Err(error) if error.is_transient() => {}
                    answer => return answer.map(|()| sink),
                }
            }
            panic!("it never passes");
        })
    };
    let started = sinks.into_iter().map(start).collect::<Vec<_>>();
    for (at, started) in (0_u8..).zip(started) {
        let sink = started.await.unwrap().unwrap();
        let keys = (0..50).map(|key| format!("c{key}").into_bytes()).collect::<Vec<_>>();
        let keys = keys.iter().map(|key| [key.as_slice()]).collect::<Vec<_>>();
        let rows = keys.iter().map(|key| (60, &key[..], [Some(1); 5])).collect::<Vec<_>>();
        sink.apply(&batch(Epoch::from_bytes([at; 16]), &schema, 1, &rows)).await.unwrap();
    }
    let known = keyspace.query("SELECT buckets FROM KS.evs_statistics").await;
    assert!(matches!(known[..], [ref row] if matches!(row[0], Value::Int(1 | 3 | 5 | 7))), "{known:?}");
    let totals = plain(&keyspace.sink().await.totals(&schema, 0..120).await.unwrap());
    assert_eq!(totals.len(), 50);
    assert!(totals.iter().all(|(_, _, values)| values[0] == Some(4)), "{totals:?}");
    server.clean().await;
}

/// A session whose first write to the catalogue comes just after another sink's.
#[derive(Debug)]
struct Overtaken {
    inner: Arc<dyn Session>,
    other: CassandraSink,
    schema: Schema,
}

impl Overtaken {
    async fn wait_for_other(&self, cql: &str) {
        if cql.starts_with("INSERT") && cql.contains("evs_statistics") {
            self.other.prepare(&self.schema).await.unwrap();
        }
    }
}

#[async_trait]
impl Session for Overtaken {
    async fn datacenters(&self) -> Result<Vec<(String, usize)>, StoreError> {
        self.inner.datacenters().await
    }

    async fn define(&self, cql: &str) -> Result<(), StoreError> {
        self.inner.define(cql).await
    }

    async fn write(&self, cql: &Arc<str>, rows: &[Vec<Value>]) -> Result<(), StoreError> {
        self.wait_for_other(cql).await;
        self.inner.write(cql, rows).await
    }

    async fn page(
        &self,
        cql: &Arc<str>,
        values: &[Value],
        behind: Option<Page>,
    ) -> Result<Paged, StoreError> {
        self.wait_for_other(cql).await;
        self.inner.page(cql, values, behind).await
    }
}

pub(super) async fn whoever_writes_to_the_catalogue_first_is_right(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let schema = schema(&["campaign"]);
    let other = keyspace.builder().buckets(3).connect().await.unwrap();
    let session = Overtaken { inner: Arc::clone(&server.session), other, schema: schema.clone() };
    let storage = Storage::new(&keyspace.name, true);
    storage.prepare(&session, &schema, 7).await.unwrap();
    assert_eq!(keyspace.query("SELECT buckets FROM KS.evs_statistics").await, [[Value::Int(3)]]);
    server.clean().await;
}

pub(super) async fn a_missing_keyspace_is_refused_with_how_to_make_it(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let name = format!("{}_x", keyspace.name);
    let url = keyspace.url.replace(&keyspace.name, &name);
    let said = refused(CassandraSink::builder(&url).driver(driver).connect().await.map(drop));
    let statement = said.split_once("for example: ").expect("the statement").1;
    assert!(said.contains(&name) && statement.contains("NetworkTopologyStrategy"), "{said}");
    server.session.define(statement).await.expect("the statement is right");
    CassandraSink::builder(&url).driver(driver).connect().await.unwrap();
    server.session.define(&format!("DROP KEYSPACE {name}")).await.unwrap();
    server.clean().await;
}

pub(super) async fn a_keyspace_that_is_not_durable_is_refused(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    keyspace.execute("ALTER KEYSPACE KS WITH durable_writes = false").await;
    let said = refused(keyspace.builder().connect().await.map(drop));
    assert!(said.contains("durable_writes"), "{said}");
    server.clean().await;
}
