//! Tests of connecting: wrong settings, and clusters that are down or silent.

use std::time::Duration;

use evs_core::{Epoch, Sink, SinkError};
use tokio::{net::TcpListener, time::Instant};

use super::{
    stub,
    support::{Server, batch, forward, schema, silent},
};
use crate::{CassandraSink, Consistency, Driver, config::Config};

pub(super) async fn a_datacenter_that_is_none_is_refused(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let nodes = server.session.datacenters().await.unwrap();
    let error = keyspace.builder().datacenter("nowhere").connect().await.unwrap_err();
    let said = error.to_string();
    assert!(!error.is_transient() && said.contains("nowhere") && said.contains(&nodes[0].0), "{error:?}");
    let sink = keyspace.builder().datacenter(&nodes[0].0).connect().await.unwrap();
    sink.prepare(&schema(&[])).await.unwrap();
    server.clean().await;
}

pub(super) async fn every_consistency_is_accepted_by_the_server(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let (schema, epoch) = (schema(&[]), Epoch::random());
    for (sequence, consistency) in
        (1..).zip([Consistency::LocalQuorum, Consistency::Quorum, Consistency::All])
    {
        let sink = keyspace.builder().consistency(consistency).connect().await.unwrap();
        sink.prepare(&schema).await.unwrap();
        sink.apply(&batch(epoch, &schema, sequence, &[(60, &[], [Some(1); 5])])).await.unwrap();
        assert_eq!(sink.totals(&schema, 0..120).await.unwrap().len(), 1, "{consistency:?}");
    }
    // The keyspace has two replicas, of which one does not exist, so that the server itself reports that there are
    // too few.
    let nodes = server.session.datacenters().await.unwrap();
    let more = format!(
        "ALTER KEYSPACE KS WITH replication = {{'class': 'NetworkTopologyStrategy', '{}': 2}}",
        nodes[0].0
    );
    keyspace.execute(&more).await;
    for consistency in [Consistency::LocalQuorum, Consistency::Quorum, Consistency::All] {
        let sink = keyspace.builder().consistency(consistency).connect().await.unwrap();
        let error = sink.progress("web1").await.unwrap_err();
        let said = format!("{error:?}");
        assert!(error.is_transient() && said.contains("unavailable, code 0x1000"), "{consistency:?}: {said}");
    }
    server.clean().await;
}

/// evs starts while the cluster is down.
pub(super) async fn a_server_that_is_away_is_used_when_it_is_there(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let config = Config::from_url(&keyspace.url).unwrap();
    let (host, port) = &config.hosts[0];
    let behind = tokio::net::lookup_host((host.as_str(), *port)).await.unwrap().next().unwrap();
    // A port that was free a moment ago, and that nothing uses.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let place = keyspace.url.replacen(&format!("{host}:{port}"), &address.to_string(), 1);
    let sink = CassandraSink::builder(place).driver(driver).connect().await.expect("away is no error");
    let error = sink.prepare(&schema(&[])).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    forward(TcpListener::bind(address).await.unwrap(), behind);
    let mut tries = 0;
    while let Err(error) = sink.prepare(&schema(&[])).await {
        assert!(error.is_transient() && tries < 100, "{error:?}");
        tries += 1;
    }
    server.clean().await;
}

pub(super) async fn a_silent_server_ends_by_the_timeout(driver: Driver) {
    let address = silent().await;
    let url = format!("cassandra://{address}/stats");
    let began = Instant::now();
    let sink = CassandraSink::builder(url).driver(driver).timeout(Duration::from_millis(500));
    let sink = sink.connect().await.expect("away is no error");
    // The caller has to drop the call after a while.
    if let Ok(answer) = tokio::time::timeout(Duration::from_millis(500), sink.progress("web1")).await {
        assert!(answer.unwrap_err().is_transient());
    }
    // Each call takes half a second. The rest of the limit allows for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

/// The stub sends the message of a node with a PasswordAuthenticator.
pub(super) async fn a_wrong_password_is_refused_and_not_shown(driver: Driver) {
    for (says, is_transient) in [
        ("Provided username evs and/or password are incorrect (s3cr3t)", false),
        ("Unable to perform authentication: Cannot achieve consistency level LOCAL_ONE", true),
    ] {
        let address = stub::refuses_credentials(says).await;
        let builder =
            CassandraSink::builder(format!("cassandra://evs:s3cr3t@{address}/stats")).driver(driver);
        assert!(!format!("{builder:?}").contains("s3cr3t"));
        let error = match builder.connect().await {
            Err(error) => error,
            Ok(sink) => {
                assert!(is_transient, "{says}");
                assert!(!format!("{sink:?}").contains("s3cr3t"));
                sink.progress("web1").await.unwrap_err()
            }
        };
        assert_eq!(error.is_transient(), is_transient, "{error:?}");
        let (SinkError::Refused { source: Some(cause), .. } | SinkError::Unavailable { source: cause, .. }) =
            whole(error)
        else {
            panic!("{says}: no cause")
        };
        let shown = format!("{cause} {cause:?}");
        assert!(shown.contains("0x0100") && shown.contains(&says[..20]), "{shown}");
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}

fn whole(error: SinkError) -> SinkError {
    assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
    error
}
