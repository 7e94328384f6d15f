//! Helpers: keyspaces on the server, and sinks that fail on demand.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use evs_core::{
    Batch, Epoch, Fault, KeyColumn, MeasureColumn, MeasureKind, Rows, Schema, Sink,
    conformance::chained,
    conformance::{Fixture, Limits, Overflow, Store},
};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    CassandraSink, CassandraSinkBuilder, Driver,
    config::Config,
    driver::{Connector, Kind, Page, Paged, Session, StoreError, Value, query},
    windows,
};

/// The server's URL with another keyspace.
fn url_of(server: &str, keyspace: &str) -> String {
    let (rest, options) = server.split_once('?').map_or((server, ""), |(rest, options)| (rest, options));
    let (scheme, place) = rest.split_once("://").expect("a URL");
    let place = place.split('/').next().unwrap_or_default();
    format!("{scheme}://{place}/{keyspace}?{options}")
}

/// The server's own session, and the keyspaces that were made through it.
pub(super) struct Server {
    pub(super) driver: Driver,
    pub(super) url: String,
    pub(super) session: Arc<dyn Session>,
    keyspaces: Mutex<Vec<String>>,
}

impl Server {
    /// Connects to the server. `None` if there is no test server.
    pub(super) async fn new(driver: Driver) -> Option<Self> {
        let url = evs_testkit::server("cassandra")?;
        let config = Config::from_url(&url_of(&url, "system")).expect("EVS_CASSANDRA_URL is a URL");
        let session = driver.connector().connect(&config).await.expect("the server answers");
        Some(Self { driver, url, session, keyspaces: Mutex::default() })
    }

    /// A new keyspace.
    pub(super) async fn keyspace(&self) -> Keyspace {
        let name = format!("evs_test_{}", &Epoch::random().to_string()[..16]);
        let nodes = self.session.datacenters().await.expect("the server answers");
        let cql = format!(
            "CREATE KEYSPACE {name} WITH replication = {{'class': 'NetworkTopologyStrategy', '{}': 1}}",
            nodes[0].0
        );
        self.session.define(&cql).await.expect("the keyspace is made");
        self.keyspaces.lock().unwrap().push(name.clone());
        let (driver, url) = (self.driver, url_of(&self.url, &name));
        Keyspace { driver, url, name, session: Arc::clone(&self.session) }
    }

    /// Drops all keyspaces that were made.
    pub(super) async fn clean(self) {
        let keyspaces = std::mem::take(&mut *self.keyspaces.lock().unwrap());
        for name in keyspaces {
            self.drop_keyspace(&name).await;
        }
    }

    async fn drop_keyspace(&self, name: &str) {
        let dropped = self.session.define(&format!("DROP KEYSPACE {name}")).await;
        dropped.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// A keyspace of a test's own.
pub(super) struct Keyspace {
    driver: Driver,
    pub(super) url: String,
    pub(super) name: String,
    session: Arc<dyn Session>,
}

impl Keyspace {
    pub(super) fn builder(&self) -> CassandraSinkBuilder {
        CassandraSink::builder(&self.url).driver(self.driver)
    }

    pub(super) async fn sink(&self) -> CassandraSink {
        self.builder().connect().await.expect("the sink connects")
    }

    /// Reads all rows of a query, in which `KS` stands for the keyspace.
    pub(super) async fn query(&self, cql: &str) -> Vec<Vec<Value>> {
        let cql = cql.replace("KS", &self.name);
        query(&*self.session, &cql.as_str().into(), &[])
            .await
            .unwrap_or_else(|error| panic!("{cql}: {error}"))
    }

    /// Executes a statement that returns nothing.
    pub(super) async fn execute(&self, cql: &str) {
        self.session
            .define(&cql.replace("KS", &self.name))
            .await
            .unwrap_or_else(|error| panic!("{cql}: {error}"));
    }
}

#[async_trait]
impl Store for Keyspace {
    async fn open(&self) -> Arc<dyn Sink> {
        Arc::new(self.sink().await)
    }

    async fn open_failing(&self, fault: Fault) -> Option<Arc<dyn Sink>> {
        let connector = Faulty { inner: self.driver.connector(), faults: Arc::new(Faults::new(fault)) };
        Some(Arc::new(self.builder().build(Box::new(connector)).expect("the settings are right")))
    }
}

#[async_trait]
impl Fixture for Server {
    type Store = Keyspace;

    /// Makes a keyspace, and drops the one before the last, which the suite no longer needs: a small node does not
    /// have enough memory for the tables of all keyspaces.
    async fn fresh(&self) -> Keyspace {
        let done = {
            let mut keyspaces = self.keyspaces.lock().unwrap();
            (keyspaces.len() > 1).then(|| keyspaces.remove(0))
        };
        if let Some(done) = done {
            self.drop_keyspace(&done).await;
        }
        self.keyspace().await
    }

    fn limits(&self) -> Limits {
        Limits {
            counts: i64::MIN.into()..=i64::MAX.into(),
            overflow: Overflow::FoundByReaders,
            windows: windows::RANGE,
            sweeps: false,
            ..Limits::default()
        }
    }
}

/// A driver whose sessions fail once, in the first batch that adds rows.
#[derive(Debug)]
struct Faulty {
    inner: Box<dyn Connector>,
    faults: Arc<Faults>,
}

#[derive(Debug)]
struct Faults {
    /// The pending fault, and the number of rows of statistics that were written.
    state: Mutex<(Option<Fault>, usize)>,
}

impl Faults {
    fn new(fault: Fault) -> Self {
        Self { state: Mutex::new((Some(fault), 0)) }
    }

    /// Fails if `due` is true for the fault, and uses the fault up.
    fn fail_if(&self, due: impl FnOnce(Fault, usize) -> bool) -> Result<(), StoreError> {
        let mut state = self.state.lock().unwrap();
        if state.0.is_some_and(|fault| due(fault, state.1)) {
            state.0 = None;
            // This error is not one after which the sink itself retries.
            return Err(StoreError::new(Kind::Lost, "fault on demand"));
        }
        Ok(())
    }
}

#[async_trait]
impl Connector for Faulty {
    async fn connect(&self, config: &Config) -> Result<Arc<dyn Session>, StoreError> {
        let inner = self.inner.connect(config).await?;
        Ok(Arc::new(FaultySession { inner, faults: Arc::clone(&self.faults) }))
    }
}

#[derive(Debug)]
struct FaultySession {
    inner: Arc<dyn Session>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Session for FaultySession {
    async fn datacenters(&self) -> Result<Vec<(String, usize)>, StoreError> {
        self.inner.datacenters().await
    }

    async fn define(&self, cql: &str) -> Result<(), StoreError> {
        self.inner.define(cql).await
    }

    async fn write(&self, cql: &Arc<str>, rows: &[Vec<Value>]) -> Result<(), StoreError> {
        let written = rows.len();
        if cql.contains("\"evs_progress\"") {
            self.faults.fail_if(|fault, rows| rows > 0 && fault == Fault::Commit)?;
            self.inner.write(cql, rows).await?;
            return self.faults.fail_if(|fault, rows| rows > 0 && fault == Fault::Answer);
        }
        self.inner.write(cql, rows).await?;
        if cql.contains("\"evs_windows\"") {
            return Ok(());
        }
        self.faults.state.lock().unwrap().1 += written;
        self.faults.fail_if(|fault, rows| matches!(fault, Fault::Rows(after) if rows >= after))
    }

    async fn page(
        &self,
        cql: &Arc<str>,
        values: &[Value],
        behind: Option<Page>,
    ) -> Result<Paged, StoreError> {
        self.inner.page(cql, values, behind).await
    }
}

/// A statistic with one measure of each kind, and one without a scale.
pub(super) fn schema(keys: &[&str]) -> Schema {
    let measure = |name: &str, kind, scale| {
        MeasureColumn::new(
            name,
            kind,
            if kind == MeasureKind::Count { String::new() } else { "v".to_owned() },
            scale,
        )
    };
    Schema::new(
        "ad_events",
        60,
        keys.iter().map(|&key| KeyColumn::new(key, key)).collect(),
        vec![
            measure("hits", MeasureKind::Count, 0),
            measure("revenue", MeasureKind::Sum, 2),
            measure("bytes", MeasureKind::Sum, 0),
            measure("time_min", MeasureKind::Min, 3),
            measure("time_max", MeasureKind::Max, 3),
        ],
    )
}

/// A row as tests write it.
pub(super) type PlainRow<'r> = (i64, &'r [&'r [u8]], [Option<i128>; 5]);

/// A batch of source "web1".
pub(super) fn batch(epoch: Epoch, schema: &Schema, sequence: u64, rows: &[PlainRow<'_>]) -> Batch {
    let mut encoded = Rows::new(schema.keys.len(), schema.measures.len());
    for (window, keys, values) in rows {
        encoded.push(*window, keys.iter().copied(), values);
    }
    chained(Batch::new("web1", epoch, schema.clone(), sequence, encoded))
}

/// The window's start, the keys and the values.
type Total = (i64, Vec<Vec<u8>>, Vec<Option<i128>>);

/// Converts totals to plain rows.
pub(super) fn plain(rows: &Rows) -> Vec<Total> {
    let mut cursor = rows.cursor();
    let mut plain = Vec::new();
    while let Some(row) = cursor.next_row() {
        let keys = row.keys.iter().map(|key| key.to_vec()).collect();
        plain.push((row.window_start, keys, row.values.to_vec()));
    }
    plain
}

/// Starts a server that accepts connections and sends nothing.
pub(super) async fn silent() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
        }
    });
    address
}

/// Forwards connections to `to`.
pub(super) fn forward(listener: TcpListener, to: SocketAddr) {
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut server) = TcpStream::connect(to).await else { return };
                // The copy ends when either side closes.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
}
