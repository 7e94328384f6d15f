//! Tests on a real server, each with a database of its own. Most cases are those of `evs_sql::cases`.

mod pools;
mod store;
mod suite;
mod tables;

use async_trait::async_trait;
use evs_core::{Epoch, Sink, SinkError};
use evs_sql::cases::{
    self, Database as _, ENCODED_PASSWORD, PASSWORD, Plain as _, Settings, in_a_thread, url_of,
};
use sqlx::MySqlConnection;

use crate::{MySqlSink, connector::MySqlConnector};

/// A database that is dropped at the end.
struct Database {
    /// The server's URL, which names another database.
    server: String,
    name: String,
}

#[async_trait]
impl cases::Database for Database {
    type Connector = MySqlConnector;
    type Plain = Plain;

    async fn fresh() -> Option<Self> {
        let server = evs_testkit::server("mysql")?;
        let name = format!("evs_test_{}", Epoch::random());
        // The defaults of many servers. evs must not rely on them.
        let sql = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
        Plain::open(&server).await.run(&sql).await;
        Some(Self { server, name })
    }

    async fn connect(url: &str, settings: Settings) -> Result<Box<dyn Sink>, SinkError> {
        let mut builder = MySqlSink::builder(url).create(settings.create);
        if let Some(timeout) = settings.timeout {
            builder = builder.timeout(timeout);
        }
        Ok(Box::new(builder.connect().await?))
    }

    fn url(&self) -> String {
        url_of(&self.server, &self.name, None)
    }

    fn connector(&self) -> MySqlConnector {
        MySqlConnector::new(&self.url()).unwrap()
    }

    async fn plain(&self) -> Plain {
        Plain::open(&self.url()).await
    }
}

#[async_trait]
impl cases::Server for Database {
    type User = User;

    const SCHEME: &'static str = "mysql";

    fn url_as(&self, login: &str) -> String {
        url_of(&self.server, &self.name, Some(login))
    }

    async fn user(&self, rights: &str) -> User {
        let mut plain = self.plain().await;
        // The account is for the host from which the tests connect: servers may have an anonymous user there.
        let host = plain.texts("SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', -1)").await.remove(0).remove(0);
        let name = format!("evs_{}@'{host}'", &Epoch::random().to_string()[..16]);
        plain.run(&format!("CREATE USER {name} IDENTIFIED BY '{PASSWORD}'")).await;
        plain.run(&format!("GRANT {rights} ON {}.* TO {name}", self.name)).await;
        User { server: self.server.clone(), name }
    }

    async fn cut_others(&self, plain: &mut Plain) {
        let others = format!(
            "SELECT id FROM information_schema.processlist WHERE db = '{}' AND id <> CONNECTION_ID()",
            self.name
        );
        for connection in plain.texts(&others).await {
            plain.run(&format!("KILL {}", connection[0])).await;
        }
    }

    /// Asks the list of processes. InnoDB does not refresh its list of transactions for a client that asks often.
    async fn is_lock_waited_for(&self, plain: &mut Plain) -> bool {
        let waiting = format!(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE db = '{}' \
             AND (info LIKE 'UPDATE evs_progress%' OR info LIKE '%FROM evs_progress%FOR UPDATE') \
             AND id <> CONNECTION_ID()",
            self.name
        );
        plain.texts(&waiting).await != [["0"]]
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), format!("DROP DATABASE {}", self.name));
        in_a_thread(async move { Plain::open(&server).await.run(&sql).await });
    }
}

/// A user of the server that is dropped at the end.
struct User {
    server: String,
    /// The name with the host.
    name: String,
}

impl User {
    /// The name without the host.
    fn plain_name(&self) -> &str {
        self.name.split_once('@').unwrap().0
    }
}

impl cases::User for User {
    fn login(&self) -> String {
        format!("{}:{ENCODED_PASSWORD}", self.plain_name())
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), format!("DROP USER {}", self.name));
        in_a_thread(async move { Plain::open(&server).await.run(&sql).await });
    }
}

evs_sql::plain! { MySqlConnection }
