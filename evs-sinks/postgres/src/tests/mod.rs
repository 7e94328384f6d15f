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
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, ValueRef, postgres::PgRow};

use crate::{PostgresSink, connector::PostgresConnector};

/// A database that is dropped at the end.
struct Database {
    /// The server's URL, which names another database.
    server: String,
    name: String,
}

impl Database {
    /// A new database on the server that the tests are given; `None` if they are given none.
    async fn new() -> Option<Self> {
        Self::with("ENCODING 'UTF8'").await
    }

    /// The same, with other settings.
    async fn with(settings: &str) -> Option<Self> {
        let server = evs_testkit::server("postgres")?;
        let name = format!("evs_test_{}", Epoch::random());
        run(&mut plain(&server).await, &format!("CREATE DATABASE {name} TEMPLATE template0 {settings}"))
            .await;
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

    async fn sink(&self) -> PostgresSink {
        PostgresSink::connect(&self.url(None)).await.unwrap()
    }

    fn connector(&self) -> PostgresConnector {
        PostgresConnector::new(&self.url(None)).unwrap()
    }

    /// The database as anybody else would open it.
    async fn plain(&self) -> PgConnection {
        plain(&self.url(None)).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        in_a_thread(async move {
            run(&mut plain(&server).await, &sql).await;
        });
    }
}

/// A role that is dropped at the end.
struct User {
    database: String,
    name: String,
}

impl User {
    const PASSWORD: &str = "hunter2/@#";
    const ENCODED: &str = "hunter2%2F%40%23";

    async fn new(database: &Database, grant: &str) -> Self {
        let name = format!("evs_{}", &Epoch::random().to_string()[..16]);
        let mut plain = database.plain().await;
        run(&mut plain, &format!("CREATE ROLE {name} LOGIN PASSWORD '{}'", Self::PASSWORD)).await;
        run(&mut plain, &format!("GRANT {grant} ON SCHEMA public TO {name}")).await;
        Self { database: database.url(None), name }
    }

    fn login(&self) -> String {
        format!("{}:{}", self.name, Self::ENCODED)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let (database, sql) = (self.database.clone(), format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name));
        in_a_thread(async move {
            run(&mut plain(&database).await, &sql).await;
        });
    }
}

/// Waits for what a test's own runtime cannot be made to wait for while it drops something.
fn in_a_thread(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // A test that fails says why; that its database is left behind is not what it is about.
    let _ = std::thread::spawn(move || runtime.block_on(work)).join();
}

/// A connection as anybody else would make it.
async fn plain(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

/// The texts of a query's rows.
async fn texts(connection: &mut PgConnection, sql: &str) -> Vec<Vec<String>> {
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap();
    // Without preparing, the server sends all values as text.
    let text = |row: &PgRow, at| {
        let value = row.try_get_raw(at).unwrap();
        if value.is_null() { "NULL".to_owned() } else { value.as_str().unwrap().to_owned() }
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
