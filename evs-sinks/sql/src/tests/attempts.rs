//! Attempts that fail, are dropped, or find a dead connection.

use std::{
    collections::VecDeque,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use evs_core::Sink;

use super::{PLAIN, batch, simple};
use crate::{Connection, Connector, Dialect, SqlSink, SqlStore, StoreError, Value};

/// A store with scripted answers. Without a script, it answers as if the statistic was prepared and no stream
/// existed.
#[derive(Debug, Default)]
struct Scripted {
    connections: AtomicUsize,
    /// The outcomes of the next statements that begin with INSERT.
    inserts: Mutex<VecDeque<Insert>>,
    /// The outcomes of the next attempts to begin a transaction. Without an entry, they succeed.
    begins: Mutex<VecDeque<Begin>>,
}

#[derive(Clone, Copy, Debug)]
enum Begin {
    Hangs,
    Fails,
}

#[derive(Clone, Copy, Debug)]
enum Insert {
    Matches(u64),
    Hangs,
    Fails { is_transient: bool },
}

#[derive(Debug)]
struct Shared(Arc<Scripted>);

struct ScriptedConnection(Arc<Scripted>);

#[async_trait]
impl Connector for Shared {
    type Connection = ScriptedConnection;

    fn dialect(&self) -> &dyn Dialect {
        &PLAIN
    }

    async fn connect(&self) -> Result<ScriptedConnection, StoreError> {
        self.0.connections.fetch_add(1, SeqCst);
        Ok(ScriptedConnection(Arc::clone(&self.0)))
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn secrets(&self) -> &[String] {
        static SECRETS: LazyLock<Vec<String>> =
            LazyLock::new(|| vec!["hunter2".to_owned(), "h%75nter2".to_owned()]);
        &SECRETS
    }
}

fn column(name: &str, declared: &str, place: i64) -> Vec<Value> {
    vec![name.into(), declared.into(), Value::Integer(place), Value::Null, Value::Integer(1)]
}

#[async_trait]
impl Connection for ScriptedConnection {
    async fn begin(&mut self) -> Result<(), StoreError> {
        let begin = self.0.begins.lock().unwrap().pop_front();
        match begin {
            None => Ok(()),
            Some(Begin::Hangs) => std::future::pending().await,
            Some(Begin::Fails) => Err(StoreError::transient("the connection is gone")),
        }
    }

    async fn execute(&mut self, sql: &Arc<str>, _: Vec<Value>) -> Result<u64, StoreError> {
        let insert =
            if sql.starts_with("INSERT") { self.0.inserts.lock().unwrap().pop_front() } else { None };
        match insert {
            Some(Insert::Matches(rows)) => Ok(rows),
            Some(Insert::Hangs) => std::future::pending().await,
            Some(Insert::Fails { is_transient }) => {
                let message = "access denied for evs:hunter2@db, evs:h%75nter2@db".to_owned();
                Err(StoreError::sorted(is_transient, message))
            }
            None => Ok(1),
        }
    }

    async fn query(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<Vec<Vec<Value>>, StoreError> {
        let is_catalogue = values.first() == Some(&"evs_statistics".into());
        Ok(match &**sql {
            "TABLE" => vec![vec![Value::Null]],
            "COLUMNS" if is_catalogue => vec![
                column("statistic", "TEXT COLLATE \"C\"", 1),
                column("definition", "TEXT", 0),
                column("since", "TIMESTAMPTZ", 0),
            ],
            "COLUMNS" => vec![
                column("window_start", "TIMESTAMPTZ", 1),
                column("k", "TEXT COLLATE \"C\"", 2),
                column("n", "BIGINT", 0),
            ],
            sql if sql.contains("evs_statistics") => vec![vec![Value::Text(simple().to_json())]],
            _ => Vec::new(),
        })
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn rollback(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn statement_bytes_max(&self) -> usize {
        100_000
    }
}

fn scripted(inserts: &[Insert]) -> (Arc<Scripted>, SqlSink<Shared>) {
    let inserts = Mutex::new(inserts.iter().copied().collect());
    let store = Arc::new(Scripted { inserts, ..Scripted::default() });
    (Arc::clone(&store), SqlStore::new(Shared(store)).into_sink())
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_left_to_the_caller_and_its_connection_not_used_again() {
    let (store, sink) = scripted(&[Insert::Matches(1), Insert::Hangs]);
    let batch = batch(&[(60, b"c1", 1)]);
    // Longer than any caller waits: the sink has no deadline of its own.
    tokio::time::timeout(Duration::from_secs(86_400), sink.apply(&batch)).await.unwrap_err();
    assert_eq!(store.connections.load(SeqCst), 1);
    for _ in 0..2 {
        sink.apply(&batch).await.unwrap();
        assert_eq!(store.connections.load(SeqCst), 2, "one more, which is then kept");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_takes_its_connection_with_it() {
    let (store, sink) = scripted(&[Insert::Hangs]);
    let batch = batch(&[(60, b"c1", 1)]);
    tokio::time::timeout(Duration::from_secs(1), sink.apply(&batch)).await.unwrap_err();
    sink.apply(&batch).await.unwrap();
    assert_eq!(store.connections.load(SeqCst), 2);
}

#[tokio::test]
async fn progress_that_does_not_move_by_one_row_is_offered_again() {
    for rows in [0, 2] {
        let (store, sink) = scripted(&[Insert::Matches(rows)]);
        let error = sink.apply(&batch(&[(60, b"c1", 1)])).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        sink.apply(&batch(&[(60, b"c1", 1)])).await.unwrap();
        assert_eq!(store.connections.load(SeqCst), 2);
    }
}

#[tokio::test]
async fn no_error_shows_the_secret() {
    for is_transient in [true, false] {
        let (_, sink) = scripted(&[Insert::Fails { is_transient }]);
        let error = sink.apply(&batch(&[(60, b"c1", 1)])).await.unwrap_err();
        assert_eq!(error.is_transient(), is_transient);
        let story = error.to_string();
        assert!(story.ends_with(": access denied for evs:***@db, evs:***@db"), "{story}");
        assert!(!format!("{error:?} {error} {sink:?}").contains("nter2"), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_died_unused_is_replaced_unnoticed() {
    for begin in [Begin::Fails, Begin::Hangs] {
        let (store, sink) = scripted(&[]);
        let batch = batch(&[(60, b"c1", 1)]);
        sink.apply(&batch).await.unwrap();
        store.begins.lock().unwrap().push_back(begin);
        sink.apply(&batch).await.unwrap();
        assert_eq!(store.connections.load(SeqCst), 2, "{begin:?}");
        // If a new connection fails at once, that is the store's answer.
        store.begins.lock().unwrap().extend([Begin::Fails; 2]);
        assert!(sink.apply(&batch).await.unwrap_err().is_transient());
        assert_eq!(store.connections.load(SeqCst), 3, "{begin:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_long_unused_is_not_used_again() {
    let (store, sink) = scripted(&[]);
    let batch = batch(&[(60, b"c1", 1)]);
    for (unused, connections) in [(0, 1), (50, 1), (70, 2)] {
        tokio::time::sleep(Duration::from_secs(unused)).await;
        sink.apply(&batch).await.unwrap();
        assert_eq!(store.connections.load(SeqCst), connections, "after {unused} s");
    }
}
