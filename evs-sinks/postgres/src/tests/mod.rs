//! Tests on a real server, each with a database of its own. Most cases are those of `evs_sql::cases`.

mod pools;
mod store;
mod suite;
mod tables;

use std::time::Duration;

use async_trait::async_trait;
use evs_core::{Epoch, Sink, SinkError};
use evs_sql::cases::{
    self, Database as _, ENCODED_PASSWORD, PASSWORD, Plain as _, Settings, in_a_thread, url_of,
};
use sqlx::PgConnection;

use crate::{PostgresSink, connector::PostgresConnector};

/// A database that is dropped at the end.
struct Database {
    /// The server's URL, which names another database.
    server: String,
    name: String,
}

impl Database {
    /// Like `fresh`, with other settings of the database.
    async fn with(settings: &str) -> Option<Self> {
        let server = evs_testkit::server("postgres")?;
        let name = format!("evs_test_{}", Epoch::random());
        let sql = format!("CREATE DATABASE {name} TEMPLATE template0 {settings}");
        Plain::open(&server).await.run(&sql).await;
        Some(Self { server, name })
    }
}

#[async_trait]
impl cases::Database for Database {
    type Connector = PostgresConnector;
    type Plain = Plain;

    async fn fresh() -> Option<Self> {
        Self::with("ENCODING 'UTF8'").await
    }

    async fn connect(url: &str, settings: Settings) -> Result<Box<dyn Sink>, SinkError> {
        let mut builder = PostgresSink::builder(url).create(settings.create);
        if let Some(timeout) = settings.timeout {
            builder = builder.timeout(timeout);
        }
        Ok(Box::new(builder.connect().await?))
    }

    fn url(&self) -> String {
        url_of(&self.server, &self.name, None)
    }

    fn connector(&self) -> PostgresConnector {
        PostgresConnector::new(&self.url()).unwrap()
    }

    async fn plain(&self) -> Plain {
        Plain::open(&self.url()).await
    }
}

#[async_trait]
impl cases::Server for Database {
    type User = User;

    const SCHEME: &'static str = "postgres";

    fn url_as(&self, login: &str) -> String {
        url_of(&self.server, &self.name, Some(login))
    }

    async fn user(&self, rights: &str) -> User {
        let mut plain = self.plain().await;
        let name = format!("evs_{}", &Epoch::random().to_string()[..16]);
        plain.run(&format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")).await;
        plain.run(&format!("GRANT {rights} ON SCHEMA public TO {name}")).await;
        User { database: self.url(), name }
    }

    async fn cut_others(&self, plain: &mut Plain) {
        let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        plain.texts(&format!("SELECT pg_terminate_backend(pid) {others}")).await;
        while plain.texts(&format!("SELECT count(*) {others}")).await != [["0"]] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn is_lock_waited_for(&self, plain: &mut Plain) -> bool {
        let waiting = "SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid \
             WHERE NOT l.granted AND a.datname = current_database()";
        plain.texts(waiting).await != [["0"]]
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        in_a_thread(async move { Plain::open(&server).await.run(&sql).await });
    }
}

/// A role that is dropped at the end.
struct User {
    database: String,
    name: String,
}

impl cases::User for User {
    fn login(&self) -> String {
        format!("{}:{ENCODED_PASSWORD}", self.name)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let (database, sql) = (self.database.clone(), format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name));
        in_a_thread(async move { Plain::open(&database).await.run(&sql).await });
    }
}

evs_sql::plain! { PgConnection }
