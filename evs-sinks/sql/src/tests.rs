//! Tests with a store that only writes down what it is told, and needs no database.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use evs_core::{
    Batch, Epoch, Frontier, MeasureKind, Rows, Schema, Sink, SinkError,
    statistic::{KeyColumn, MeasureColumn},
};
use proptest::prelude::*;

use crate::{
    ColumnType, Connection, Connector, Dialect, Limits, SqlSink, StoreError, Value, names,
    rows::{self, Statements},
    table::{Shape, Table, totals, with_placeholders},
};

/// PostgreSQL's SQL, more or less.
#[derive(Debug)]
struct Numbered {
    limits: Limits,
}

const LIMITS: Limits =
    Limits { parameters_max: 1000, statement_bytes_max: 100_000, rows_max: 64, key_bytes_max: 100 };

impl Dialect for Numbered {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn placeholder(&self, sql: &mut String, number: usize) {
        sql.push_str(&format!("${number}"));
    }

    fn column_type(&self, column: ColumnType) -> &'static str {
        match column {
            ColumnType::Integer => "BIGINT",
            ColumnType::Number => "NUMERIC",
            ColumnType::Key => "TEXT COLLATE \"C\"",
            ColumnType::Text => "TEXT",
        }
    }

    fn number(&self, value: i128) -> Option<Value> {
        (value.unsigned_abs() < 10_u128.pow(38)).then_some(Value::Decimal(value))
    }

    fn reserves(&self, table: &str) -> bool {
        table.starts_with("pg_")
    }

    fn table_query(&self) -> &'static str {
        "TABLE"
    }

    fn columns_query(&self) -> &'static str {
        "COLUMNS"
    }
}

fn schema(keys: &[&str], measures: &[(&str, MeasureKind)]) -> Schema {
    let key = |name: &&str| KeyColumn { name: (*name).to_owned(), field: (*name).to_owned() };
    let measure = |(name, kind): &(&str, MeasureKind)| MeasureColumn {
        name: (*name).to_owned(),
        kind: *kind,
        field: String::new(),
        scale: 0,
    };
    Schema {
        statistic: "ads".to_owned(),
        window_seconds: 60,
        keys: keys.iter().map(key).collect(),
        measures: measures.iter().map(measure).collect(),
        retain_seconds: None,
    }
}

fn simple() -> Schema {
    schema(&["k"], &[("n", MeasureKind::Count)])
}

fn batch(rows: &[(i64, &[u8], i128)]) -> Batch {
    let mut encoded = Rows::new(1, 1);
    for (window, key, value) in rows {
        encoded.push(*window, [*key], &[Some(*value)]);
    }
    let frontier = Arc::new(Frontier::default());
    let (schema, epoch) = (Arc::new(simple()), Epoch::from_bytes([7; 16]));
    Batch {
        source: "web1".into(),
        epoch,
        schema,
        sequence: 1,
        from: frontier.clone(),
        to: frontier,
        rows: encoded,
    }
}

#[test]
fn statements_say_what_the_dialect_says() {
    let dialect = Numbered { limits: LIMITS };
    let kinds = [("n", MeasureKind::Count), ("low", MeasureKind::Min), ("high", MeasureKind::Max)];
    let schema = schema(&["k"], &kinds);
    assert_eq!(
        &*Shape::of_statistic(&schema).create(&dialect),
        "CREATE TABLE IF NOT EXISTS \"ads\" (\"window_start\" BIGINT NOT NULL, \
         \"k\" TEXT COLLATE \"C\" NOT NULL, \"n\" NUMERIC, \"low\" NUMERIC, \"high\" NUMERIC, \
         PRIMARY KEY (\"window_start\", \"k\"))"
    );
    assert_eq!(
        &*Table::new(&schema, &dialect).upserts[1],
        "INSERT INTO \"ads\" (\"window_start\", \"k\", \"n\", \"low\", \"high\") \
         VALUES ($1,$2,$3,$4,$5),($6,$7,$8,$9,$10) ON CONFLICT (\"window_start\", \"k\") DO UPDATE SET \
         \"n\" = coalesce(\"ads\".\"n\" + excluded.\"n\", \"ads\".\"n\", excluded.\"n\"), \
         \"low\" = coalesce(least(\"ads\".\"low\", excluded.\"low\"), \"ads\".\"low\", excluded.\"low\"), \
         \"high\" = coalesce(greatest(\"ads\".\"high\", excluded.\"high\"), \"ads\".\"high\", excluded.\"high\")"
    );
    assert_eq!(
        &*totals(&simple(), &dialect),
        "SELECT \"window_start\", \"k\", \"n\" FROM \"ads\" WHERE \"window_start\" >= $1 AND \"window_start\" < $2"
    );
    assert_eq!(&*with_placeholders("a = ? AND b = ?", &dialect), "a = $1 AND b = $2");
}

#[test]
fn names_that_are_no_plain_names_are_refused() {
    let dialect = Numbered { limits: LIMITS };
    let check = |change: &dyn Fn(&mut Schema)| {
        let mut schema = simple();
        change(&mut schema);
        names::check(&schema, &dialect)
    };
    let long = "a".repeat(64);
    let bad = ["", "1a", "a b", "a\"b", "a;b", "a\0", "ä", "a-b", "a.b", long.as_str()];
    for name in bad.into_iter().chain(["A", "_a", "evs_progress", "evs_ads", "pg_class"]) {
        assert!(check(&|schema| schema.statistic = name.to_owned()).is_err(), "table {name:?}");
    }
    for name in bad.into_iter().chain(["window_start", "Window_Start", "N", "n"]) {
        assert!(check(&|schema| schema.keys[0].name = name.to_owned()).is_err(), "key {name:?}");
    }
    for name in ["", "k", "K", "a\"b"] {
        assert!(check(&|schema| schema.measures[0].name = name.to_owned()).is_err(), "measure {name:?}");
    }
    for name in ["a", "z9_", &long[..63]] {
        assert!(check(&|schema| schema.statistic = name.to_owned()).is_ok(), "table {name:?}");
        assert!(check(&|schema| schema.keys[0].name = name.to_uppercase()).is_ok(), "key {name:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let dialect = Numbered { limits: LIMITS };
    let refused = |batch: &Batch| rows::check(&batch.schema, &batch.rows, &dialect).unwrap_err().to_string();
    let beyond = refused(&batch(&[(60, b"c1", 1), (120, b"c2", 10_i128.pow(38))]));
    assert!(beyond.contains("n of window 120, keys [\"c2\"]"), "{beyond}");
    // Each byte takes four when it is escaped.
    assert!(rows::check(&simple(), &batch(&[(60, &[0xFF; 25], 1)]).rows, &dialect).is_ok());
    let long = refused(&batch(&[(60, &[0xFF; 26], 1)]));
    assert!(long.contains("longer than 100 bytes"), "{long}");
}

#[test]
fn a_row_that_fits_into_no_statement_is_refused() {
    let dialect = Numbered { limits: Limits { statement_bytes_max: 300, ..LIMITS } };
    let batch = batch(&[(60, &[b'x'; 200], 1)]);
    let table = Table::new(&batch.schema, &dialect);
    let error = Statements::new(&table, &dialect, &batch.rows).next_statement().unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
}

proptest! {
    #[test]
    fn every_row_is_written_once_in_order_and_within_the_limits(
        keys in prop::collection::btree_set((0_i64..3, prop::collection::vec(any::<u8>(), 0..20)), 0..300),
        seed in any::<u64>(),
        parameters_max in 3_usize..200,
        statement_bytes_max in 1200_usize..5000,
    ) {
        let mut shuffled = keys.iter().collect::<Vec<_>>();
        shuffled.sort_by_key(|(window, key)| (seed ^ *window as u64).wrapping_mul(key.len() as u64 + 7));
        let rows = shuffled.iter().map(|(window, key)| (*window, key.as_slice(), 1)).collect::<Vec<_>>();
        let batch = batch(&rows);
        let dialect = Numbered { limits: Limits { parameters_max, statement_bytes_max, ..LIMITS } };
        let table = Table::new(&batch.schema, &dialect);
        let mut statements = Statements::new(&table, &dialect, &batch.rows);
        let mut written = Vec::new();
        while let Some((sql, parameters)) = statements.next_statement().unwrap() {
            prop_assert!(parameters.len() <= parameters_max);
            let bytes = sql.len() + parameters.iter().map(Value::bytes).sum::<usize>();
            prop_assert!(bytes <= statement_bytes_max);
            let last = format!("${})", parameters.len());
            prop_assert!(sql.contains(&last), "{sql} has {} parameters", parameters.len());
            written.extend(parameters.chunks(3).map(<[Value]>::to_vec));
        }
        prop_assert!(written.is_sorted_by(|a, b| a[..2] < b[..2]));
        let back = rows::read(&batch.schema, &written).unwrap();
        let mut found = Vec::new();
        let mut cursor = back.cursor();
        while let Some(row) = cursor.next_row() {
            found.push((row.window_start, row.keys[0].to_vec()));
        }
        prop_assert_eq!(found, keys.into_iter().collect::<Vec<_>>());
    }
}

/// A store that answers by a script; without one, as a store in which the statistic was prepared and that
/// knows no stream.
#[derive(Debug, Default)]
struct Scripted {
    connections: AtomicUsize,
    /// What happens at the next statements that begin with INSERT.
    inserts: Mutex<VecDeque<Insert>>,
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
        &Numbered { limits: LIMITS }
    }

    async fn connect(&self) -> Result<ScriptedConnection, StoreError> {
        self.0.connections.fetch_add(1, SeqCst);
        Ok(ScriptedConnection(Arc::clone(&self.0)))
    }

    fn secret(&self) -> Option<&str> {
        Some("hunter2")
    }
}

fn column(name: &str, declared: &str, place: i64) -> Vec<Value> {
    vec![name.into(), declared.into(), Value::Integer(place), Value::Null, Value::Integer(1)]
}

#[async_trait]
impl Connection for ScriptedConnection {
    async fn begin(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn execute(&mut self, sql: &Arc<str>, _: Vec<Value>) -> Result<u64, StoreError> {
        let insert =
            if sql.starts_with("INSERT") { self.0.inserts.lock().unwrap().pop_front() } else { None };
        match insert {
            Some(Insert::Matches(rows)) => Ok(rows),
            Some(Insert::Hangs) => std::future::pending().await,
            Some(Insert::Fails { is_transient }) => {
                let message = "access denied for evs:hunter2@db".to_owned();
                Err(StoreError { is_transient, message })
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
                column("since", "BIGINT", 0),
            ],
            "COLUMNS" => vec![
                column("window_start", "BIGINT", 1),
                column("k", "TEXT COLLATE \"C\"", 2),
                column("n", "NUMERIC", 0),
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
}

fn scripted(inserts: &[Insert]) -> (Arc<Scripted>, SqlSink<Shared>) {
    let inserts = Mutex::new(inserts.iter().copied().collect());
    let store = Arc::new(Scripted { inserts, ..Scripted::default() });
    (Arc::clone(&store), SqlSink::new(Shared(store)).deadline(Duration::from_secs(10)))
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_unavailable_and_its_connection_not_used_again() {
    let (store, sink) = scripted(&[Insert::Matches(1), Insert::Hangs]);
    let batch = batch(&[(60, b"c1", 1)]);
    let error = sink.apply(&batch).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
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
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "access denied for evs:***@db");
        assert!(!format!("{error:?} {error} {sink:?}").contains("hunter2"), "{error:?}");
    }
}
