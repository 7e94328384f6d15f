//! Sinks that are made of the driver's options, or of a pool.

use std::sync::Arc;

use evs_core::Sink;
use evs_sql::{
    Connection as _, Connector as _, Target, Value,
    cases::{
        Database as _, later_options_are_used, no_database_is_refused, sinks_of_another_mind_are_the_same,
    },
};
use sqlx::{
    MySqlPool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
};

use super::Database;
use crate::{MySqlSink, MySqlSinkBuilder, connector::MySqlConnector};

/// Options that differ from evs's own wherever they can.
fn options(database: &Database) -> MySqlConnectOptions {
    let options = database.url().parse::<MySqlConnectOptions>().unwrap();
    options.charset("latin1").collation("latin1_swedish_ci").timezone(Some("+05:00".to_owned()))
}

/// A pool that makes its sessions lax.
fn pool(options: MySqlConnectOptions) -> MySqlPool {
    let lax = MySqlPoolOptions::new().max_connections(1).after_connect(|connection, _| {
        Box::pin(async move {
            let lax = "SET SESSION sql_mode = '', TRANSACTION ISOLATION LEVEL SERIALIZABLE";
            let (mode, isolation) = lax.split_once(", ").unwrap();
            for sql in [mode.to_owned(), format!("SET SESSION {isolation}")] {
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *connection).await?;
            }
            Ok(())
        })
    });
    lax.connect_lazy_with(options)
}

#[tokio::test]
async fn options_and_pools_of_another_mind_make_the_same_sink() {
    let Some(database) = Database::fresh().await else { return };
    let pool = pool(options(&database));
    // The host uses the only connection of the pool all the time.
    let mut theirs = pool.acquire().await.unwrap();
    let builders = [MySqlSink::from_options(options(&database)), MySqlSink::from_pool(&pool)];
    let [of_options, of_pool] = builders.map(MySqlSinkBuilder::connect);
    let sinks: [Box<dyn Sink>; 2] = [Box::new(of_options.await.unwrap()), Box::new(of_pool.await.unwrap())];
    sinks_of_another_mind_are_the_same(&database, sinks, "1970-01-01 00:01:00").await;
    let theirs: (String, String) =
        sqlx::query_as("SELECT @@sql_mode, @@time_zone").fetch_one(&mut *theirs).await.unwrap();
    assert_eq!(theirs, (String::new(), "+05:00".to_owned()), "the host's sessions stay as they are");
}

#[tokio::test]
async fn a_session_by_the_options_of_a_pool_is_strict() {
    let Some(database) = Database::fresh().await else { return };
    let connector = MySqlConnector::of(Target::Pool(pool(options(&database)))).unwrap();
    let mut session = connector.connect().await.unwrap();
    let query = "SELECT @@sql_mode, @@time_zone, @@character_set_client, @@collation_connection";
    let row = session.query(&Arc::from(query), Vec::new()).await.unwrap().remove(0);
    assert!(matches!(&row[0], Value::Text(mode) if mode.contains("STRICT_ALL_TABLES")), "{row:?}");
    assert_eq!(row[1..], ["+00:00".into(), "utf8mb4".into(), "utf8mb4_bin".into()]);
    let query = "SHOW VARIABLES WHERE variable_name IN ('tx_isolation', 'transaction_isolation')";
    for row in session.query(&Arc::from(query), Vec::new()).await.unwrap() {
        assert_eq!(row[1], "READ-COMMITTED".into());
    }
}

#[tokio::test]
async fn a_password_that_the_pool_gets_later_is_used_and_never_shown() {
    let Some(database) = Database::fresh().await else { return };
    let right = options(&database);
    let pool = pool(right.clone());
    let sink = MySqlSink::from_pool(&pool).connect().await.unwrap();
    let wrong = right.clone().password("hunter2");
    let set = |is_right| pool.set_connect_options(if is_right { right.clone() } else { wrong.clone() });
    later_options_are_used(&sink, set, "error 1045").await;
}

#[tokio::test]
async fn options_without_a_database_are_refused() {
    // An address that the driver cannot write into a URL.
    let options = MySqlConnectOptions::new().host("::1").username("evs").password("hunter2");
    let pool = MySqlPool::connect_lazy_with(options.clone());
    for builder in [MySqlSink::from_options(options), MySqlSink::from_pool(&pool)] {
        no_database_is_refused(&format!("{builder:?}"), builder.connect().await);
    }
}
