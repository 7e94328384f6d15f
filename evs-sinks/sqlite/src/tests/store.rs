//! The file, its directory, its lock and its disk.

use std::fs;

use async_trait::async_trait;
use evs_core::{Applied, Sink, SinkError};
use evs_sql::{
    Connection, Connector, Dialect, SqlStore, StoreError,
    cases::{Database as _, Plain as _, batch, in_full, schema},
};
use sqlx::{
    ConnectOptions as _, Connection as _,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

use super::File;
use crate::{
    SqliteSink,
    connection::{SqliteConnector, SqliteSession},
};

const URLS: [(&str, &str); 10] = [
    ("", "is no URL of a SQLite database"),
    ("stats.db", "is no URL of a SQLite database"),
    ("mysql://evs:s3cret@localhost/stats", "is no URL of a SQLite database"),
    ("sqlite://evs:s3cret@db.example/stats", "has no user and no host"),
    ("sqlite:///tmp/stats.db?key=s3cret", "reads no options and no escapes"),
    ("sqlite://", "has no path"),
    ("sqlite::memory:", "is no URL of a SQLite database"),
    ("sqlite://:memory:", "gone with its connection"),
    ("sqlite:///tmp/stats.db?mode=ro", "reads no options and no escapes"),
    ("sqlite:///tmp/%20.db", "reads no options and no escapes"),
];

evs_sql::cases! { File:
    urls_that_say_too_little_or_too_much_are_refused(
        &URLS,
        format!("{:?}", SqliteSink::from_options(SqliteConnectOptions::new().pragma("key", "hunter2"))),
    ),
    two_writers_of_the_same_rows_lose_nothing("50000"),
    many_may_prepare_at_once(),
}

#[tokio::test]
async fn a_database_in_which_somebody_writes_is_opened_later() {
    let file = File::new();
    let options = SqliteConnectOptions::new().filename(file.path()).create_if_missing(true);
    let mut other = options.journal_mode(SqliteJournalMode::Delete).connect().await.unwrap();
    for sql in ["CREATE TABLE theirs (a INTEGER)", "BEGIN IMMEDIATE", "INSERT INTO theirs VALUES (1)"] {
        sqlx::query(sql).execute(&mut other).await.unwrap();
    }
    let sink = SqliteSink::open(file.path()).await.unwrap();
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    assert_eq!(sink.progress("web1").await.unwrap(), []);
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let file = File::new();
    let missing = file.directory.path().join("not here");
    let error = SqliteSink::open(missing.join("stats.db")).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    assert!(in_full(&error).contains("not here: the directory cannot be used"), "{}", in_full(&error));
    assert!(!missing.exists());
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let file = File::new();
    let error = SqliteSink::open(file.directory.path()).await.unwrap_err();
    assert!(in_full(&error).contains("is a directory"), "{}", in_full(&error));
    fs::write(file.path(), [b'x'; 5000]).unwrap();
    let error = SqliteSink::open(file.path()).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    assert!(in_full(&error).contains("(SQLite code 26)"), "{}", in_full(&error));
    assert!(in_full(&error).contains("stats.db"), "{}", in_full(&error));
}

#[tokio::test]
async fn a_url_names_a_file() {
    let file = File::new();
    SqliteSink::connect(&file.url()).await.unwrap();
    assert!(file.path().exists());
}

#[tokio::test]
async fn a_path_may_have_any_characters() {
    let file = File::new();
    for name in ["a b.db", "a?mode=memory", "a#b", "a%20b", "ä'\".db", "file:a"] {
        let path = file.directory.path().join(name);
        let sink = SqliteSink::open(&path).await.unwrap();
        sink.prepare(&schema()).await.unwrap();
        assert!(path.metadata().unwrap().len() > 0, "{name}");
    }
}

#[tokio::test]
async fn another_writer_makes_it_unavailable_until_it_is_done() {
    let file = File::new();
    let sink = SqliteSink::open(file.path()).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    let mut other = file.plain().await;
    other.run("BEGIN IMMEDIATE").await;
    let batch = batch(1, &[(60, b"c1", 5)]);
    let error = sink.apply(&batch).await.unwrap_err();
    assert!(matches!(error, SinkError::Unavailable { .. }), "{error:?}");
    assert!(in_full(&error).contains("database is locked (SQLite code 5)"), "{}", in_full(&error));
    sink.totals(&schema(), 0..100).await.expect("readers do not wait");
    other.run("ROLLBACK").await;
    assert_eq!(sink.apply(&batch).await.unwrap(), Applied::Now);
}

#[tokio::test]
async fn a_reader_holds_nothing_back() {
    let file = File::new();
    let sink = SqliteSink::open(file.path()).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    let mut reader = file.plain().await;
    reader.run("BEGIN; SELECT * FROM ads").await;
    assert_eq!(sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap(), Applied::Now);
}

#[tokio::test]
async fn a_file_that_was_taken_away_is_not_replaced_or_written_to() {
    let file = File::new();
    let sink = SqliteSink::open(file.path()).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
    sink.totals(&schema(), 0..100).await.unwrap();
    let aside = file.directory.path().join("aside.db");
    fs::rename(file.path(), &aside).unwrap();
    for _ in 0..2 {
        let error = sink.apply(&batch(2, &[(60, b"c1", 5)])).await.unwrap_err();
        assert!(matches!(error, SinkError::Unavailable { .. }), "{error:?}");
        let error = sink.totals(&schema(), 0..100).await.unwrap_err();
        assert!(matches!(error, SinkError::Unavailable { .. }), "{error:?}");
    }
    assert!(!file.path().exists());
    fs::rename(&aside, file.path()).unwrap();
    assert_eq!(sink.apply(&batch(2, &[(60, b"c1", 5)])).await.unwrap(), Applied::Now);
}

#[tokio::test]
async fn a_file_that_was_replaced_stops_the_sink() {
    let (file, other) = (File::new(), File::new());
    let sink = SqliteSink::open(file.path()).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
    other.plain().await.run("CREATE TABLE replacement (id)").await;
    fs::rename(other.path(), file.path()).unwrap();
    let error = sink.apply(&batch(2, &[(60, b"c1", 5)])).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    assert!(in_full(&error).contains("another file"), "{}", in_full(&error));
}

/// Connections with a pragma of their own.
#[derive(Debug)]
struct Tuned(SqliteConnector, &'static str);

#[async_trait]
impl Connector for Tuned {
    type Connection = SqliteSession;

    fn dialect(&self) -> &dyn Dialect {
        self.0.dialect()
    }

    async fn connect(&self) -> Result<SqliteSession, StoreError> {
        let mut session = self.0.connect().await?;
        session.query(&self.1.into(), Vec::new()).await?;
        Ok(session)
    }
}

#[tokio::test]
async fn a_full_disk_passes_and_a_read_only_database_does_not() {
    let file = File::new();
    let sink = SqliteSink::open(file.path()).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    let keys = (0_u32..20_000).map(u32::to_be_bytes).collect::<Vec<_>>();
    let large = batch(1, &keys.iter().map(|key| (60, &key[..], 1)).collect::<Vec<_>>());
    for (pragma, is_transient, said) in [
        ("PRAGMA max_page_count = 20", true, "(SQLite code 13)"),
        ("PRAGMA query_only = 1", false, "(SQLite code 8)"),
    ] {
        let tuned = SqlStore::new(Tuned(SqliteConnector::new(&file.path()), pragma)).into_sink();
        let error = tuned.apply(&large).await.unwrap_err();
        assert_eq!(error.is_transient(), is_transient, "{error:?}");
        assert!(in_full(&error).contains(said), "{}", in_full(&error));
    }
    assert!(sink.totals(&schema(), i64::MIN..i64::MAX).await.unwrap().is_empty());
    assert_eq!(sink.apply(&large).await.unwrap(), Applied::Now);
}

/// The number of rows in a copy of the database file, without the files beside it.
async fn rows_of_a_copy(file: &File) -> u64 {
    let copy = file.directory.path().join("copy.db");
    fs::copy(file.path(), &copy).unwrap();
    let copied = SqliteSink::open(&copy).await.unwrap();
    copied.totals(&schema(), 0..1_000).await.map_or(0, |rows| rows.len() as u64)
}

#[tokio::test]
async fn closed_the_file_alone_is_the_whole_database_and_can_be_used_again() {
    let file = File::new();
    let sink = SqliteSink::open(file.path()).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
    sink.totals(&schema(), 0..100).await.unwrap();
    assert_eq!(rows_of_a_copy(&file).await, 0, "what is in the write-ahead log is not in the file");
    sink.close().await.unwrap();
    assert_eq!(rows_of_a_copy(&file).await, 1);
    assert!(!file.directory.path().join("stats.db-wal").exists());
    sink.apply(&batch(2, &[(120, b"c1", 5)])).await.unwrap();
    sink.close().await.unwrap();
    sink.close().await.unwrap();
    assert_eq!(rows_of_a_copy(&file).await, 2);
}

#[tokio::test]
async fn a_database_that_others_read_keeps_its_write_ahead_log_and_says_so() {
    let file = File::new();
    let sink = SqliteSink::open(file.path()).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    let mut reader = file.plain().await;
    reader.run("BEGIN; SELECT * FROM ads").await;
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
    let error = in_full(&sink.close().await.unwrap_err());
    assert!(error.contains("somebody else uses the database"), "{error}");
    reader.run("COMMIT").await;
    drop(reader);
    sink.totals(&schema(), 0..100).await.unwrap();
    assert_eq!(sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap(), Applied::Before);
}
