//! Sinks that are made of the driver's options, or of a pool.

use std::sync::Arc;

use evs_core::Sink;
use evs_sql::{
    Connection as _, Connector as _, Target,
    cases::{
        Database as _, later_options_are_used, no_database_is_refused, sinks_of_another_mind_are_the_same,
    },
};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::Database;
use crate::{PostgresSink, PostgresSinkBuilder, connector::PostgresConnector};

/// Options that differ from evs's own wherever they can.
fn options(database: &Database) -> PgConnectOptions {
    database.url().parse::<PgConnectOptions>().unwrap().statement_cache_capacity(1).options([
        ("default_transaction_isolation", "serializable"),
        ("synchronous_commit", "off"),
        ("client_encoding", "LATIN1"),
        ("TimeZone", "Asia/Tokyo"),
        ("DateStyle", "German"),
    ])
}

fn pool(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new().max_connections(1).connect_lazy_with(options)
}

#[tokio::test]
async fn options_and_pools_of_another_mind_make_the_same_sink() {
    let Some(database) = Database::fresh().await else { return };
    let pool = pool(options(&database));
    // The host uses the only connection of the pool all the time.
    let mut theirs = pool.acquire().await.unwrap();
    let builders = [PostgresSink::from_options(options(&database)), PostgresSink::from_pool(&pool)];
    let [of_options, of_pool] = builders.map(PostgresSinkBuilder::connect);
    let sinks: [Box<dyn Sink>; 2] = [Box::new(of_options.await.unwrap()), Box::new(of_pool.await.unwrap())];
    sinks_of_another_mind_are_the_same(&database, sinks, "1970-01-01 00:01:00+00").await;
    let theirs: (String,) = sqlx::query_as("SELECT current_setting('default_transaction_isolation')")
        .fetch_one(&mut *theirs)
        .await
        .unwrap();
    assert_eq!(theirs.0, "serializable", "the host's sessions stay as they are");
}

#[tokio::test]
async fn a_transaction_by_the_options_of_a_pool_is_strict_and_durable() {
    let Some(database) = Database::fresh().await else { return };
    let connector = PostgresConnector::of(Target::Pool(pool(options(&database)))).unwrap();
    let mut session = connector.connect().await.unwrap();
    session.begin().await.unwrap();
    for (setting, value) in [
        ("transaction_isolation", "read committed"),
        ("synchronous_commit", "on"),
        ("client_encoding", "UTF8"),
        ("TimeZone", "UTC"),
        ("lock_timeout", "30s"),
    ] {
        let query = Arc::from(format!("SELECT current_setting('{setting}')"));
        assert_eq!(session.query(&query, Vec::new()).await.unwrap(), [[value.into()]], "{setting}");
    }
    session.rollback().await.unwrap();
}

#[tokio::test]
async fn options_that_the_pool_gets_later_are_used() {
    let Some(database) = Database::fresh().await else { return };
    let right = options(&database);
    let pool = pool(right.clone());
    let sink = PostgresSink::from_pool(&pool).connect().await.unwrap();
    let wrong = right.clone().username("no_such_role").password("hunter2");
    let set = |is_right| pool.set_connect_options(if is_right { right.clone() } else { wrong.clone() });
    later_options_are_used(&sink, set, "no_such_role").await;
}

#[tokio::test]
async fn options_without_a_database_are_refused() {
    // An address that the driver cannot write into a URL.
    let options = PgConnectOptions::new_without_pgpass().host("::1").username("evs").password("hunter2");
    let pool = PgPool::connect_lazy_with(options.clone());
    for builder in [PostgresSink::from_options(options), PostgresSink::from_pool(&pool)] {
        no_database_is_refused(&format!("{builder:?}"), builder.connect().await);
    }
}
