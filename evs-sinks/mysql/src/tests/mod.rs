//! Tests on a real server, each with a database of its own.

mod store;
mod suite;
mod tables;

use std::sync::Arc;

use evs_core::{
    Batch, Epoch, Frontier, MeasureKind, Rows, Schema,
    conformance::chained,
    statistic::{KeyColumn, MeasureColumn},
};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, Row};

use crate::{MySqlSink, connector::MySqlConnector};

/// A database that is dropped at the end.
struct Database {
    /// The server's URL, which names another database.
    server: String,
    name: String,
}

impl Database {
    /// A new database on the server that the tests are given; `None` if they are given none.
    async fn new() -> Option<Self> {
        let server = evs_testkit::server("mysql")?;
        let name = format!("evs_test_{}", Epoch::random());
        // With the defaults of many a server, which evs must not take over.
        let sql = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
        run(&mut MySqlConnection::connect(&server).await.unwrap(), &sql).await;
        Some(Self { server, name })
    }

    /// The URL of this database; `user` is `NAME:PASSWORD`.
    fn url(&self, user: Option<&str>) -> String {
        let (scheme, rest) = self.server.split_once("://").unwrap();
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, _) = place.rsplit_once('/').unwrap();
        let (own_user, host) = place.rsplit_once('@').unwrap();
        let question = if query.is_empty() { "" } else { "?" };
        format!("{scheme}://{}@{host}/{}{question}{query}", user.unwrap_or(own_user), self.name)
    }

    async fn sink(&self) -> MySqlSink {
        MySqlSink::connect(&self.url(None)).await.unwrap()
    }

    fn connector(&self) -> MySqlConnector {
        MySqlConnector::new(&self.url(None)).unwrap()
    }

    /// The database as anybody else would open it.
    async fn plain(&self) -> MySqlConnection {
        MySqlConnection::connect(&self.url(None)).await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), format!("DROP DATABASE {}", self.name));
        in_a_thread(async move {
            run(&mut MySqlConnection::connect(&server).await.unwrap(), &sql).await;
        });
    }
}

/// A user of the server, who is dropped at the end.
struct User {
    server: String,
    name: String,
}

impl User {
    const PASSWORD: &str = "hunter2/@#";
    const ENCODED: &str = "hunter2%2F%40%23";

    async fn new(database: &Database, grant: &str) -> Self {
        let mut plain = database.plain().await;
        // From the host that the tests come from: servers may have an anonymous user there.
        let host =
            texts(&mut plain, "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', -1)").await.remove(0).remove(0);
        let name = format!("evs_{}@'{host}'", &Epoch::random().to_string()[..16]);
        run(&mut plain, &format!("CREATE USER {name} IDENTIFIED BY '{}'", Self::PASSWORD)).await;
        run(&mut plain, &format!("GRANT {grant} ON {}.* TO {name}", database.name)).await;
        Self { server: database.server.clone(), name }
    }

    fn login(&self) -> String {
        format!("{}:{}", self.plain_name(), Self::ENCODED)
    }

    /// Without the host.
    fn plain_name(&self) -> &str {
        self.name.split_once('@').unwrap().0
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), format!("DROP USER {}", self.name));
        in_a_thread(async move {
            run(&mut MySqlConnection::connect(&server).await.unwrap(), &sql).await;
        });
    }
}

/// Waits for what a test's own runtime cannot be made to wait for while it drops something.
fn in_a_thread(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // A test that fails says why; that its database is left behind is not what it is about.
    let _ = std::thread::spawn(move || runtime.block_on(work)).join();
}

async fn run(connection: &mut MySqlConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

/// The texts of a query's rows.
async fn texts(connection: &mut MySqlConnection, sql: &str) -> Vec<Vec<String>> {
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap();
    // Without preparing, the server sends all values as text.
    let text = |row: &sqlx::mysql::MySqlRow, at| {
        let bytes: Option<Vec<u8>> = row.try_get_unchecked(at).unwrap();
        bytes.map_or("NULL".to_owned(), |bytes| String::from_utf8(bytes).unwrap())
    };
    rows.iter().map(|row| (0..row.len()).map(|at| text(row, at)).collect()).collect()
}

fn schema() -> Schema {
    let measure =
        |name: &str, kind, scale| MeasureColumn { name: name.to_owned(), kind, field: String::new(), scale };
    Schema {
        statistic: "ads".to_owned(),
        window_seconds: 60,
        keys: vec![KeyColumn { name: "campaign".to_owned(), field: "arg_c".to_owned() }],
        measures: vec![measure("hits", MeasureKind::Count, 0), measure("revenue", MeasureKind::Sum, 2)],
        retain_seconds: None,
    }
}

fn batch(sequence: u64, rows: &[(i64, &[u8], i128)]) -> Batch {
    let mut encoded = Rows::new(1, 2);
    for (window, key, value) in rows {
        encoded.push(*window, [*key], &[Some(1), Some(*value)]);
    }
    let frontier = Arc::new(Frontier::default());
    let (schema, epoch) = (Arc::new(schema()), Epoch::from_bytes([7; 16]));
    chained(Batch {
        source: "web1".into(),
        epoch,
        schema,
        sequence,
        predecessor: 0,
        from: frontier.clone(),
        to: frontier,
        rows: encoded,
        writer: None,
    })
}

/// The error with its causes, as a status would show it.
fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
