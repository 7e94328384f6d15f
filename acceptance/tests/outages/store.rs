//! The stores, and the faults that can be inflicted on them from outside.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use evs::{SinkError, prelude::*};
use evs_testkit::{Instance, Proxy, proxy::Protocol, services::skip};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, SqliteConnection};

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    MySql,
    Postgres,
    Mongo,
    Cassandra,
}

/// The address of the proxies, on the port that their server has on 127.0.0.1. A Cassandra node announces the address
/// at which clients reach it: this one.
const PROXIES: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The size of a server's own disk.
const DISK: &str = "1g";

/// A server of this test's own.
struct Server {
    instance: Instance,
    /// True if its data is on a small disk of its own, which can be filled.
    has_disk: bool,
}

/// A store with a server of its own, if it has servers.
pub(crate) struct Store {
    pub(crate) engine: Engine,
    server: Option<Server>,
    /// The number of databases made so far.
    databases: AtomicU64,
}

impl Engine {
    /// The name by which `scripts/services` knows its servers; none if it has none.
    fn service(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::MySql => Some("mysql"),
            Self::Postgres => Some("postgres"),
            Self::Mongo => Some("mongo"),
            Self::Cassandra => Some("cassandra"),
        }
    }

    /// The protocol by which a proxy separates its messages.
    fn protocol(self) -> Protocol {
        match self {
            Self::Sqlite => Protocol::Bytes,
            Self::MySql => Protocol::MySql,
            Self::Postgres => Protocol::Postgres,
            Self::Mongo => Protocol::Mongo,
            Self::Cassandra => Protocol::Cassandra,
        }
    }

    /// True if the store is a server, and not a file.
    pub(crate) fn has_server(self) -> bool {
        self.service().is_some()
    }

    /// True if a batch is one transaction, so that a write whose answer was lost is the whole batch.
    pub(crate) fn is_transactional(self) -> bool {
        matches!(self, Self::MySql | Self::Postgres)
    }

    /// A sink for that URL, which makes its own tables or finds them there.
    async fn sink(self, url: &str, create: bool) -> Result<Arc<dyn Sink>, SinkError> {
        macro_rules! build {
            ($sink:ident) => {
                Arc::new($sink::builder(url).create(create).connect().await?)
            };
        }
        Ok(match self {
            Self::Sqlite => build!(SqliteSink),
            Self::MySql => build!(MySqlSink),
            Self::Postgres => build!(PostgresSink),
            Self::Mongo => build!(MongoSink),
            Self::Cassandra => build!(CassandraSink),
        })
    }
}

impl Store {
    /// Starts a server for the store, if it has servers. `None` if that is not possible here, which has been reported.
    pub(crate) fn start(engine: Engine) -> Option<Self> {
        let mut server = None;
        if let Some(service) = engine.service() {
            // Whoever wants no server of that kind wants none of a test's own either.
            evs_testkit::server(service)?;
            let announce = PROXIES.to_string();
            let variables = [("EVS_CASSANDRA_ANNOUNCE", announce.as_str()), ("EVS_SERVICES_DISK", DISK)];
            // Not everybody may mount a disk.
            let started = Instance::start(service, &variables)
                .map(|instance| (instance, true))
                .or_else(|_| Instance::start(service, &variables[..1]).map(|instance| (instance, false)));
            match started {
                Ok((instance, has_disk)) => server = Some(Server { instance, has_disk }),
                Err(error) => {
                    skip(service, &format!("a server of the test's own cannot be started: {error}"));
                    return None;
                }
            }
        }
        Some(Self { engine, server, databases: AtomicU64::new(0) })
    }

    fn server(&self) -> &Instance {
        &self.server.as_ref().expect("a store with servers").instance
    }

    /// Starts the server if it is down: a scenario may have failed meanwhile.
    pub(crate) fn bring_up(&self) {
        if let Some(server) = &self.server {
            server.instance.start_again();
        }
    }

    /// A new database, with the server up.
    pub(crate) async fn database(self: &Arc<Self>) -> Database {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("outage_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        match self.engine {
            Engine::Sqlite | Engine::Mongo => {}
            Engine::MySql | Engine::Postgres => self.sql(&format!("CREATE DATABASE {name}")).await,
            Engine::Cassandra => {
                let replication = "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}";
                self.cql(&format!("CREATE KEYSPACE {name} WITH replication = {replication}"));
            }
        }
        let mut database = Database { store: Arc::clone(self), name, dir, proxy: None, lock: None };
        database.open_proxy();
        database
    }

    /// Executes a statement on an SQL server.
    pub(crate) async fn sql(&self, statement: &str) {
        let (url, statement) = (self.server().url(), sqlx::raw_sql(AssertSqlSafe(statement)));
        if self.engine == Engine::MySql {
            let mut connection = MySqlConnection::connect(url).await.unwrap();
            statement.execute(&mut connection).await.unwrap();
        } else {
            let mut connection = PgConnection::connect(url).await.unwrap();
            statement.execute(&mut connection).await.unwrap();
        }
    }

    /// Executes a statement on a Cassandra node.
    fn cql(&self, statement: &str) {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/servers/cql.py");
        let address = self.server().address();
        let mut command = Command::new("python3");
        command.arg(script).args([&address.ip().to_string(), &address.port().to_string(), statement]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{statement}: {output:?}");
    }
}

/// A database of a scenario's own, on the store's server, with a proxy in front of it.
pub(crate) struct Database {
    store: Arc<Store>,
    name: String,
    /// Of the database, for stores without a server.
    dir: tempfile::TempDir,
    proxy: Option<Proxy>,
    /// Keeps everybody from writing, for stores without a server.
    lock: Option<SqliteConnection>,
}

impl Database {
    pub(crate) fn engine(&self) -> Engine {
        self.store.engine
    }

    /// The URL that evs delivers to: through the proxy, if there is one.
    pub(crate) fn url(&self) -> String {
        match self.store.engine {
            Engine::Sqlite => format!("sqlite://{}", self.dir.path().join("stats.db").display()),
            // The proxy cannot read what TLS hides.
            Engine::MySql => self.server_url("?ssl-mode=DISABLED"),
            Engine::Postgres => self.server_url("?sslmode=disable"),
            Engine::Mongo | Engine::Cassandra => self.server_url(""),
        }
    }

    /// The server's URL with this database and the proxy in it.
    fn server_url(&self, options: &str) -> String {
        let server = self.store.server();
        let direct = server.url().replace(&server.address().ip().to_string(), &PROXIES.to_string());
        let (server, _) = direct.rsplit_once('/').unwrap();
        format!("{server}/{}{options}", self.name)
    }

    /// A sink as evs is given.
    pub(crate) async fn sink(&self) -> Arc<dyn Sink> {
        self.store.engine.sink(&self.url(), true).await.unwrap()
    }

    /// A sink that makes no tables.
    pub(crate) async fn sink_that_makes_nothing(&self) -> Arc<dyn Sink> {
        self.store.engine.sink(&self.url(), false).await.unwrap()
    }

    /// A sink that comes with another user and password to an SQL server, where both are called `evs`.
    pub(crate) async fn sink_of(&self, user: &str, password: &str) -> Arc<dyn Sink> {
        let url = self.url().replace("//evs:evs@", &format!("//{user}:{password}@"));
        self.store.engine.sink(&url, true).await.unwrap()
    }

    /// A user of an SQL server who may do next to nothing, with that password.
    pub(crate) async fn poor_user(&self, password: &str) -> String {
        let user = format!("poor_{}", self.name);
        let statements = match self.store.engine {
            Engine::MySql => [
                format!("CREATE USER {user} IDENTIFIED BY '{password}'"),
                format!("GRANT SELECT ON {}.* TO {user}", self.name),
            ],
            _ => [format!("CREATE USER {user}"), format!("ALTER USER {user} PASSWORD '{password}'")],
        };
        for statement in &statements {
            self.store.sql(statement).await;
        }
        user
    }

    /// The proxy in front of the server.
    ///
    /// # Panics
    ///
    /// Panics while the database is down, and for a store without a server.
    pub(crate) fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("the database is up, and has a server")
    }

    /// Starts the proxy, if the store has a server.
    fn open_proxy(&mut self) {
        if let Some(server) = &self.store.server {
            let listen = SocketAddr::from((PROXIES, server.instance.address().port()));
            let proxy = Proxy::start(listen, server.instance.address(), self.store.engine.protocol());
            self.proxy = Some(proxy.unwrap());
        }
    }

    /// The disk that the server has to itself, if that could be had.
    pub(crate) fn disk(&self) -> Option<&Path> {
        let server = self.store.server.as_ref().filter(|server| server.has_disk);
        server.map(|server| server.instance.folder())
    }

    /// Like [`Database::down`] and [`Database::up`], one after the other, for a server that may have ended by itself.
    pub(crate) async fn restart(&mut self) {
        self.down().await;
        self.up().await;
    }

    /// The server dies at once, and connections are refused from now on. A store without a server is kept busy by
    /// somebody else.
    pub(crate) async fn down(&mut self) {
        if let Some(server) = &self.store.server {
            tokio::task::block_in_place(|| server.instance.kill());
            self.proxy = None;
        } else {
            // The sink sets the database up, so that there is nothing left to do but write.
            self.sink().await;
            let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
            sqlx::query("PRAGMA busy_timeout = 60000").execute(&mut connection).await.unwrap();
            sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
            self.lock = Some(connection);
        }
    }

    /// The server is out of reach from now on, and runs on. A store without a server is kept busy by somebody else.
    pub(crate) async fn cut_off(&mut self) {
        if self.store.server.is_some() {
            self.proxy = None;
        } else {
            self.down().await;
        }
    }

    /// Starts the server again, or lets go of the store without one.
    pub(crate) async fn up(&mut self) {
        if let Some(server) = &self.store.server {
            tokio::task::block_in_place(|| server.instance.start_again());
            self.open_proxy();
        }
        if let Some(mut connection) = self.lock.take() {
            sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}
