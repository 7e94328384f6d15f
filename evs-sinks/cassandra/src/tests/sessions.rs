//! Sinks that are made of a session of the Rust driver.

use std::sync::Arc;

use evs_core::{Epoch, Sink, SinkError};
use scylla::{
    client::{
        execution_profile::ExecutionProfile,
        session::Session,
        session_builder::{GenericSessionBuilder, SessionBuilder},
    },
    statement::Consistency as Level,
};

use super::support::{Server, batch, schema};
use crate::{CassandraSink, Consistency, Driver, config::Config};

/// A session that differs from evs's own wherever it can.
async fn session(url: &str) -> Arc<Session> {
    let config = Config::from_url(url).unwrap();
    let weak = ExecutionProfile::builder().consistency(Level::One).build();
    let hosts = config.hosts.iter().map(|(host, port)| format!("{host}:{port}"));
    let mut builder: GenericSessionBuilder<_> = SessionBuilder::new()
        .known_nodes(hosts)
        .default_execution_profile_handle(weak.into_handle())
        .auto_await_schema_agreement(false);
    if let Some((user, password)) = &config.credentials {
        builder = builder.user(user, password);
    }
    Arc::new(builder.build().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_another_mind_makes_the_same_sink() {
    let Some(server) = Server::new(Driver::Scylla).await else { return };
    let keyspace = server.keyspace().await;
    let session = session(&keyspace.url).await;
    let (schema, epoch) = (schema(&[]), Epoch::random());
    for (sequence, pool) in (1..).zip([1, 50]) {
        let sink = CassandraSink::from_session(&session, &keyspace.name).pool(pool).connect().await.unwrap();
        sink.prepare(&schema).await.unwrap();
        let rows = [(60, &[][..], [Some(1); 5]), (120, &[], [Some(1); 5])];
        sink.apply(&batch(epoch, &schema, sequence, &rows)).await.unwrap();
        assert_eq!(sink.totals(&schema, 0..1000).await.unwrap().len(), 2);
    }
    // With one more replica, which does not exist, the consistency of the session would still be enough.
    let nodes = server.session.datacenters().await.unwrap();
    keyspace
        .execute(&format!(
            "ALTER KEYSPACE KS WITH replication = {{'class': 'NetworkTopologyStrategy', '{}': 2}}",
            nodes[0].0
        ))
        .await;
    let builder = CassandraSink::from_session(&session, &keyspace.name).consistency(Consistency::All);
    let sink = builder.connect().await.unwrap();
    let error = sink.progress("web1").await.unwrap_err();
    assert!(error.is_transient() && format!("{error:?}").contains("code 0x1000"), "{error:?}");
    server.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyspace_that_is_none_is_refused() {
    let Some(server) = Server::new(Driver::Scylla).await else { return };
    let session = session(&server.url).await;
    for (keyspace, said) in [
        ("", "is not a keyspace"),
        ("no-keyspace", "is not a keyspace"),
        ("evs_no_such_keyspace", "CREATE KEYSPACE"),
    ] {
        let error = CassandraSink::from_session(&session, keyspace).connect().await.unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains(said), "{keyspace}: {error}");
    }
    for pool in [0, 1_001] {
        let error = CassandraSink::from_session(&session, "system").pool(pool).connect().await.unwrap_err();
        assert!(error.to_string().contains("1 to 1000"), "{error}");
    }
    server.clean().await;
}
