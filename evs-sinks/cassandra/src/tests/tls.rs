//! Tests on separate nodes that accept no connection without TLS.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use evs_core::{Epoch, Sink, SinkError};
use evs_testkit::{Certificates, Instance, services::skip};
use tokio::net::TcpListener;

use super::support::{batch, forward, schema};
use crate::{CassandraSink, Driver, config::Config};

/// No node ever gets this password, because they have none configured.
const PASSWORD: &str = "hunter2";

/// The address of a proxy, on the port of the node. The node's certificate is only for 127.0.0.1.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

const TRIES: usize = 10;

/// Starts a node. Returns `None` if there is no such server, after reporting that the test is left out.
fn node(tls: &Path) -> Option<Instance> {
    // A run without Cassandra has no separate node either.
    evs_testkit::server("cassandra")?;
    let started = Instance::start("cassandra", &[("EVS_SERVICES_TLS", &tls.display().to_string())]);
    started
        .map_err(|error| skip("cassandra", &format!("a node of the test's own cannot be started: {error}")))
        .ok()
}

fn url(address: SocketAddr, ca: &Path, identity: Option<&(PathBuf, PathBuf)>) -> String {
    let mut url = format!("cassandra://evs:{PASSWORD}@{address}/evs?tls_ca={}", ca.display());
    if let Some((certificate, key)) = identity {
        url += &format!("&tls_cert={}&tls_key={}", certificate.display(), key.display());
    }
    url
}

/// Checks that a row that is written can be read.
async fn takes(driver: Driver, url: &str) {
    let sink = CassandraSink::builder(url).driver(driver).connect().await.unwrap();
    let (schema, epoch) = (schema(&["k"]), Epoch::random());
    sink.prepare(&schema).await.unwrap();
    let written = batch(epoch, &schema, 1, &[(60, &[b"a"], [Some(1); 5]), (60, &[b"b"], [Some(-2); 5])]);
    sink.apply(&written).await.unwrap();
    assert_eq!(sink.totals(&schema, 0..120).await.unwrap(), written.rows);
}

/// The error for a URL, and whether it is transient.
///
/// A driver may notice that a connection is closed before it knows the reason, so transient errors are retried a few
/// times.
async fn objection(driver: Driver, url: &str) -> (bool, String) {
    let error = match CassandraSink::builder(url).driver(driver).connect().await {
        Err(error) => error,
        Ok(sink) => {
            let mut error = sink.progress("web1").await.expect_err(url);
            for _ in 0..TRIES {
                if error.is_transient() {
                    error = sink.progress("web1").await.expect_err(url);
                }
            }
            error
        }
    };
    let (SinkError::Refused { what, source: Some(cause) } | SinkError::Unavailable { what, source: cause }) =
        &error
    else {
        panic!("{url}: {error:?}")
    };
    assert!(!format!("{what} {cause} {cause:?}").contains(PASSWORD), "{error:?}");
    (error.is_transient(), format!("{what}: {cause}"))
}

async fn assert_refused(driver: Driver, url: &str, because: &str) {
    let (is_transient, said) = objection(driver, url).await;
    assert!(!is_transient && said.contains(because), "{url}: {said}");
}

pub(super) async fn nodes_with_tls_are_known_by_their_certificates(driver: Driver) {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(folder.path()).unwrap();
    let Some(node) = node(&certificates.of_server()) else { return };
    let (address, ca) = (node.address(), certificates.ca());
    takes(driver, &url(address, &ca, None)).await;
    assert_refused(driver, &url(address, &certificates.stranger(), None), "certificate").await;

    // The certificate is not for this address.
    let elsewhere = SocketAddr::from((ELSEWHERE, address.port()));
    forward(TcpListener::bind(elsewhere).await.unwrap(), address);
    assert_refused(driver, &url(elsewhere, &ca, None), "certificate").await;

    // Without TLS, this cannot be told from a node that is shutting down.
    let (is_transient, said) = objection(driver, &format!("cassandra://{address}/evs")).await;
    assert!(is_transient && said.contains("the URL needs tls_ca"), "{said}");
}

pub(super) async fn nodes_that_ask_for_a_certificate_get_it(driver: Driver) {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(folder.path()).unwrap();
    let Some(node) = node(&certificates.of_asking_server()) else { return };
    let (address, ca) = (node.address(), certificates.ca());
    takes(driver, &url(address, &ca, Some(&certificates.client()))).await;
    for (identity, hint) in [
        (None, "the URL needs tls_cert and tls_key"),
        (Some(&certificates.strange_client()), "may not accept the certificate of tls_cert"),
    ] {
        let url = url(address, &ca, identity);
        let (is_transient, said) = objection(driver, &url).await;
        // One driver never passes on the node's message before it closes the connection. The other one does most of
        // the time, but it may notice first that the connection is closed.
        assert!(is_transient || may_hear_alerts(driver), "{url}: {said}");
        assert!(said.contains(hint), "{url}: {said}");
    }
}

pub(super) async fn nodes_without_tls_are_not_taken_for_less(driver: Driver) {
    let Some(server) = evs_testkit::server("cassandra") else { return };
    let config = Config::from_url(&server).unwrap();
    let (host, port) = &config.hosts[0];
    let address = tokio::net::lookup_host((host.as_str(), *port)).await.unwrap().next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(folder.path()).unwrap();
    let word = if may_hear_alerts(driver) { "TLS" } else { "SSL" };
    assert_refused(driver, &url(address, &certificates.ca(), None), word).await;
}

/// True if the driver may pass on a node's message about a certificate before it closes the connection.
fn may_hear_alerts(driver: Driver) -> bool {
    match driver {
        #[cfg(feature = "scylla")]
        Driver::Scylla => true,
        #[cfg(feature = "cassandra-cpp")]
        Driver::Cpp => false,
    }
}
