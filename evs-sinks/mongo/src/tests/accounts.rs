//! Users, passwords and certificates.

use evs_core::Sink;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{Scratch, batch, refused, unavailable};
use crate::MongoSink;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_and_never_shown() {
    let Some(scratch) = Scratch::new().await else { return };
    let (scheme, place) = scratch.url.split_once("://").unwrap();
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let url = format!("{scheme}://evs:hunt%40er2@{place}");
    let told = refused(MongoSink::connect(&url).await);
    assert!(told.contains("18") && told.to_lowercase().contains("authentication"), "{told}");
    let builder = MongoSink::builder(&url);
    let debug = format!("{builder:?} {told}");
    assert!(!debug.contains("hunt@er2") && !debug.contains("hunt%40er2"), "{debug}");
}

#[tokio::test]
async fn a_sink_never_shows_its_password() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("mongodb://evs:hunt%40er2@{address}/stats?serverSelectionTimeoutMS=100");
    let sink = MongoSink::connect(&url).await.unwrap();
    let debug = format!("{sink:?} {}", unavailable(sink.apply(&batch("web1", 1, &[(60, "c1", 1)])).await));
    assert!(debug.contains(&address.port().to_string()), "{debug}");
    assert!(!debug.contains("hunt@er2") && !debug.contains("hunt%40er2"), "{debug}");
}

/// This works whatever cryptography providers are compiled in beside the driver's.
#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            });
        }
    });
    let told = refused(MongoSink::connect(&format!("mongodb://{address}/stats?tls=true")).await);
    assert!(told.contains("TLS"), "{told}");
    answering.abort();
}

#[tokio::test]
async fn a_missing_file_of_certificates_is_refused() {
    let url = "mongodb://127.0.0.1:1/stats?tls=true&tlsCAFile=/no/such/file.pem";
    let told = refused(MongoSink::connect(url).await);
    assert!(told.contains("/no/such/file.pem"), "{told}");
}
