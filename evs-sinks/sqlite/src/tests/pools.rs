//! Sinks that are made of the driver's options, or of a pool.

use std::sync::Arc;

use evs_core::{Sink, SinkError};
use evs_sql::{Connection as _, Connector as _, Value, cases::sinks_of_another_mind_are_the_same};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous},
};

use super::File;
use crate::{SqliteSink, SqliteSinkBuilder, connection::SqliteConnector};

/// Options that differ from evs's own wherever they can.
fn options(file: &File) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file.path())
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .locking_mode(SqliteLockingMode::Exclusive)
        .shared_cache(true)
        .page_size(8192)
}

#[tokio::test]
async fn options_and_pools_of_another_mind_make_the_same_sink() {
    let file = File::new();
    let pool = SqlitePool::connect_lazy_with(options(&file));
    let builders = [SqliteSink::from_options(options(&file)), SqliteSink::from_pool(&pool)];
    let [of_options, of_pool] = builders.map(SqliteSinkBuilder::connect);
    // Neither finds a lock of the other one.
    let sinks: [Box<dyn Sink>; 2] = [Box::new(of_options.await.unwrap()), Box::new(of_pool.await.unwrap())];
    sinks_of_another_mind_are_the_same(&file, sinks, "60").await;
    let mut session = SqliteConnector::with_options(options(&file)).connect().await.unwrap();
    for (pragma, value) in [
        ("synchronous", Value::Integer(2)),
        ("journal_mode", "wal".into()),
        ("page_size", Value::Integer(8192)),
    ] {
        let query = Arc::from(format!("PRAGMA {pragma}"));
        assert_eq!(session.query(&query, Vec::new()).await.unwrap(), [[value]], "{pragma}");
    }
}

#[tokio::test]
async fn options_that_would_lose_rows_are_refused() {
    let file = File::new();
    let plain = || SqliteConnectOptions::new().filename(file.path());
    for (options, said) in [
        (SqliteConnectOptions::new(), "name no file"),
        (SqliteConnectOptions::new().filename(":memory:"), "name no file"),
        (plain().in_memory(true), "in memory"),
        ("sqlite::memory:".parse().unwrap(), "in memory"),
        ((*SqlitePool::connect_lazy("sqlite::memory:").unwrap().connect_options()).clone(), "in memory"),
        (plain().read_only(true), "reading only"),
        (plain().immutable(true).create_if_missing(true), "reading only"),
        (plain().vfs("unix-none"), "name a VFS"),
    ] {
        let error = SqliteSink::from_options(options).connect().await.unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains(said), "{said}: {error}");
    }
    assert!(!file.path().exists());
    // The name of the pragma differs from the one that evs sets, so that both are sent.
    for (pragma, value) in [("SYNCHRONOUS", "OFF"), ("JOURNAL_MODE", "MEMORY"), ("LOCKING_MODE", "EXCLUSIVE")]
    {
        let options = plain().create_if_missing(true).pragma(pragma, value);
        let error = SqliteSink::from_options(options).connect().await.unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
        let cause = error.to_string();
        assert!(cause.contains(&pragma.to_lowercase()) && cause.contains("undoes"), "{cause}");
    }
}

#[tokio::test]
async fn the_file_is_only_created_if_the_options_say_so() {
    let file = File::new();
    let options = SqliteConnectOptions::new().filename(file.path());
    let error = SqliteSink::from_options(options.clone()).connect().await.unwrap_err();
    assert!(error.to_string().contains("cannot be opened"), "{error}");
    assert!(!file.path().exists());
    SqliteSink::open(file.path()).await.unwrap();
    SqliteSink::from_options(options).connect().await.unwrap();
}

#[tokio::test]
async fn files_may_have_names_that_no_url_can_have() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a:b.db", "12:30.db", "[::1", "file:foo?mode=memory"] {
        let options =
            SqliteConnectOptions::new().filename(directory.path().join(name)).create_if_missing(true);
        let sink = SqliteSink::from_options(options).connect().await.unwrap();
        assert_eq!(sink.progress("web1").await.unwrap(), []);
        assert!(directory.path().join(name).is_file(), "{name}");
    }
}

/// The directory of the process is not changed here: other tests run in it.
#[test]
fn a_relative_path_is_resolved_once() {
    let options = SqliteConnectOptions::new().filename("reports.db");
    let shown = format!("{:?}", SqliteConnector::with_options(options));
    let expected = std::env::current_dir().unwrap().join("reports.db");
    assert!(shown.contains(&format!("{expected:?}")), "{shown}");
}
