//! Tests on a real server, each with a database of its own.

mod accounts;
mod clients;
mod collections;
mod inserts;
mod lost;
mod proxy;
mod race;
mod retention;
mod suite;

use evs_core::{Batch, Epoch, Sink, SinkError};
use evs_store::cases::{batch, schema};
use mongodb::{
    Client, Database,
    bson::{Document, doc},
};

use crate::{
    MongoSink, bulk::Bulk, checkpoint::Checkpoints, fields::Fields, known::Known, novelty::Novelty,
    rows::Stream, server::Server, url,
};

/// A database of a test's own on the test server, dropped at the end.
struct Scratch {
    url: String,
    database: Database,
}

impl Scratch {
    /// Makes a database. Returns `None` if there is no server, after reporting that the test is left out.
    async fn new() -> Option<Self> {
        Some(Self::at(&evs_testkit::server("mongo")?).await)
    }

    /// A new database at the server of that URL.
    async fn at(server: &str) -> Self {
        let name = format!("evs_test_{}", Epoch::random());
        let (place, options) =
            server.split_once('?').map_or((server, ""), |(place, options)| (place, options));
        let start = place.find("://").map_or(0, |at| at + 3);
        let end = place[start..].find('/').map_or(place.len(), |at| start + at);
        let options = format!("{options}&appName=evs-test");
        let url = format!("{}/{name}?{}", &place[..end], options.trim_start_matches('&'));
        let client = Client::with_uri_str(server).await.unwrap();
        Self { url, database: client.database(&name) }
    }
}

impl Scratch {
    /// The URL with another address, such as that of a proxy.
    fn by_way_of(&self, address: std::net::SocketAddr) -> String {
        let (scheme, place) = self.url.split_once("://").unwrap();
        let (host, database) = place.split_once('/').unwrap();
        let user = host.rfind('@').map_or("", |at| &host[..=at]);
        format!("{scheme}://{user}{address}/{database}")
    }

    async fn sink(&self) -> MongoSink {
        MongoSink::connect(&self.url).await.unwrap()
    }

    /// All documents of a collection, by `_id`.
    async fn documents(&self, collection: &str) -> Vec<Document> {
        let collection = self.database.collection::<Document>(collection);
        let mut cursor = collection.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
        let mut found = Vec::new();
        while cursor.advance().await.unwrap() {
            found.push(cursor.deserialize_current().unwrap());
        }
        found
    }
}

/// A row of a batch: the window, the key, and the revenue of one hit.
type Row<'r> = (i64, &'r str, i128);

/// Window, key, hits and revenue of all rows.
async fn totals(sink: &MongoSink) -> Vec<(i64, String, i128, i128)> {
    let rows = sink.totals(&schema(), i64::MIN..i64::MAX).await.unwrap();
    let mut found = Vec::new();
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        let key = String::from_utf8(row.keys[0].to_vec()).unwrap();
        found.push((row.window_start, key, row.values[0].unwrap(), row.values[1].unwrap()));
    }
    found
}

/// The same server without a sink.
fn server(scratch: &Scratch) -> Server {
    Server::new(url::parse(&scratch.url).unwrap().into(), MongoSink::TIMEOUT, 4)
}

/// Sends the rows of a batch without looking at its progress.
async fn send_rows(server: &Server, batch: &Batch) {
    let known = Known { fields: Fields::new(&batch.schema).unwrap(), novelty: Novelty::new() };
    let (stream, checkpoints) = (Stream::of(batch).unwrap(), Checkpoints::default());
    Bulk::new(server, &known, &stream, &checkpoints).unwrap().apply(batch).await.unwrap();
}

/// Everything that an error shows: itself with its causes, and its `Debug` output.
fn shown(error: &SinkError) -> String {
    format!("{error} | {error:?}")
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, SinkError>) -> String {
    match answer {
        Err(error @ SinkError::Refused { .. }) => shown(&error),
        other => panic!("expected to be refused: {other:?}"),
    }
}

#[track_caller]
fn unavailable<T: std::fmt::Debug>(answer: Result<T, SinkError>) -> String {
    match answer {
        Err(error @ SinkError::Unavailable { .. }) => shown(&error),
        other => panic!("expected to be unavailable: {other:?}"),
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.database.name().to_owned());
        // This uses a runtime and a connection of its own, because those of the test may be ending.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { Client::with_uri_str(url).await?.database(&name).drop().await })
        });
        if let Err(error) = dropped.join().unwrap() {
            eprintln!("the database of a test is left behind: {error}");
        }
    }
}
