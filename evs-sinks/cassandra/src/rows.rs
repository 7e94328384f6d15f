//! Turns the rows of a batch into statements.
//!
//! A row of the batch with sequence 7 of source web1, for the key status = 200:
//!
//! ```text
//! partition  window_start 13:25:00, evs_bucket 0
//! clustering status '200', evs_key_hash '', evs_source 'web1', evs_epoch '5f0c…', evs_sequence 7
//! others     count 1712, bytes 2043
//! ```
//!
//! Two attempts to write the batch write the same rows with the same values, in whatever order the requests arrive.
//!
//! Rows of one partition go into one statement (an unlogged batch), because all of them are on the same nodes. A
//! statement over several partitions would make one node coordinate the work of others, and is slower than many small
//! statements.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
    sync::Arc,
    time::Duration,
};

use evs_core::{Batch, Rows, Schema, SinkError, escape};
use sha2::{Digest, Sha256};

use crate::{
    concurrent::Tasks,
    driver::{Kind, Session, StoreError, Value},
    names::{WINDOW_START, qualified, quote},
    retention::time_to_live,
    shape::{BUCKET, EPOCH, KEY_HASH, LONG_KEYS, SEQUENCE, SOURCE, Shape, to_column},
    windows,
};

/// The limit on all keys of a row together, escaped, above which they are cut and followed by their hash. Cassandra
/// accepts at most 65,535 bytes of clustering columns, and there must be room for the source and the epoch.
pub(crate) const CLUSTERING_BYTES_MAX: usize = 48 << 10;

/// The length to which keys are cut, together.
const CUT_BYTES: usize = 8 << 10;

/// The limit on all keys of a row together, escaped, cut or not: well below the 16 MiB of a mutation.
pub(crate) const KEYS_BYTES_MAX: usize = 4 << 20;

/// The limit on the source's name, escaped.
const SOURCE_BYTES_MAX: usize = 4 << 10;

/// The size of the rows of one statement, as Cassandra counts it: it warns beyond 5 KiB (`batch_size_warn_threshold`)
/// and fails beyond 50 KiB.
///
/// The number is a little below the warning's, since the driver's own bytes are not counted here.
const STATEMENT_BYTES: usize = 4_800;

/// The number of times that a statement is sent again if the nodes are too busy for it, and the first pause, which
/// doubles each time. The rows that are written stay written, so a batch of thousands of statements need not start
/// over for one of them.
const RETRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// The number of rows that wait for others of their partition. It bounds the memory that a batch takes here.
const WAITING_ROWS_MAX: usize = 1 << 16;

/// Refuses a batch with a value or a key that Cassandra cannot hold, before anything is written.
pub(crate) fn check(batch: &Batch) -> Result<(), SinkError> {
    let schema = &batch.schema;
    let statistic = &schema.statistic;
    if escape(batch.source.as_bytes()).len() > SOURCE_BYTES_MAX {
        return Err(SinkError::refused(format!(
            "statistic {statistic}: the source's name is longer than {SOURCE_BYTES_MAX} bytes"
        )));
    }
    let mut cursor = batch.rows.cursor();
    while let Some(row) = cursor.next_row() {
        let place = |column: &str| {
            let short = |key: &&[u8]| escape(key).chars().take(60).collect::<String>();
            let keys = row.keys.iter().map(short).collect::<Vec<_>>();
            format!("statistic {statistic}: {column} of window {}, keys {keys:?}", row.window_start)
        };
        if !windows::RANGE.contains(&row.window_start) {
            let place = place(WINDOW_START);
            return Err(SinkError::refused(format!("{place}: the time does not fit into a timestamp")));
        }
        for (column, value) in schema.measures.iter().zip(row.values) {
            if let Some(value) = value.filter(|value| to_column(column, *value).is_none()) {
                let place = place(&column.name);
                return Err(SinkError::refused(format!("{place}: {value} does not fit into the column")));
            }
        }
        // Escaping makes a key at most four times as long.
        let bytes = row.keys.iter().map(|key| key.len()).sum::<usize>();
        if bytes > KEYS_BYTES_MAX / 4
            && row.keys.iter().map(|key| escape(key).len()).sum::<usize>() > KEYS_BYTES_MAX
        {
            let place = place("the keys");
            return Err(SinkError::refused(format!("{place}: they are longer than {KEYS_BYTES_MAX} bytes")));
        }
    }
    Ok(())
}

/// The statement that writes a row of a statistic. [`Writer`] makes its parameters.
pub(crate) fn insert(keyspace: &str, schema: &Schema) -> Arc<str> {
    let shape = Shape::of_statistic(schema);
    let columns = shape.all().map(|(name, _)| quote(name)).collect::<Vec<_>>();
    let parameters = vec!["?"; columns.len()].join(", ");
    let table = qualified(keyspace, &schema.statistic);
    format!("INSERT INTO {table} ({}) VALUES ({parameters}) USING TTL ?", columns.join(", ")).into()
}

/// The query for the rows of a partition: the keys, their hash, the stream, the measures, long keys.
pub(crate) fn select(keyspace: &str, schema: &Schema) -> Arc<str> {
    let mut columns = schema.keys.iter().map(|key| quote(&key.name)).collect::<Vec<_>>();
    columns.extend([KEY_HASH, SOURCE, EPOCH, SEQUENCE].map(quote));
    columns.extend(schema.measures.iter().map(|measure| quote(&measure.name)));
    columns.push(quote(LONG_KEYS));
    let table = qualified(keyspace, &schema.statistic);
    format!("SELECT {} FROM {table} WHERE {WINDOW_START} = ? AND {BUCKET} = ?", columns.join(", ")).into()
}

/// The windows of the rows whose time to live is not over yet.
///
/// Rows of a batch are in the order of their windows, so comparing with the last window finds nearly all repetitions,
/// without asking the set for each row.
pub(crate) fn windows(rows: &Rows, retain: Option<u64>, now: i64) -> BTreeSet<i64> {
    let mut found = BTreeSet::new();
    let mut last = None;
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        let window = row.window_start;
        if last.replace(window) != Some(window) && time_to_live(window, retain, now).is_some() {
            found.insert(window);
        }
    }
    found
}

/// Writes a batch's rows: those of a partition together, and several partitions concurrently.
///
/// `waiting` collects rows by partition, until a statement is full or [`WAITING_ROWS_MAX`] rows wait. `tasks` runs up
/// to `pool` statements at the same time, and its first error ends the batch.
pub(crate) struct Writer {
    session: Arc<dyn Session>,
    insert: Arc<str>,
    waiting: HashMap<(i64, i32), Statement>,
    waiting_rows: usize,
    tasks: Tasks<(), StoreError>,
}

#[derive(Default)]
struct Statement {
    rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl Writer {
    /// Makes a writer that uses the statement `insert`, at most `pool` times at once.
    pub(crate) fn new(session: Arc<dyn Session>, insert: Arc<str>, pool: usize) -> Self {
        Self { session, insert, waiting: HashMap::new(), waiting_rows: 0, tasks: Tasks::new(pool) }
    }

    /// Writes the rows, except those whose time to live is over. `sequence` is the batch's.
    pub(crate) async fn write(
        mut self,
        batch: &Batch,
        sequence: i64,
        buckets: i32,
        now: i64,
    ) -> Result<(), StoreError> {
        let schema = &batch.schema;
        let source: Arc<str> = escape(batch.source.as_bytes()).as_ref().into();
        let epoch: Arc<str> = batch.epoch.to_string().into();
        let mut cursor = batch.rows.cursor();
        while let Some(row) = cursor.next_row() {
            let Some(ttl) = time_to_live(row.window_start, schema.retain_seconds, now) else { continue };
            let keys = Keys::of(row.keys);
            let bucket = if buckets > 1 { bucket(row.keys, buckets) } else { 0 };
            let mut values = Vec::with_capacity(row.keys.len() + row.values.len() + 8);
            values.extend([Value::Timestamp(row.window_start * 1000), Value::Int(bucket)]);
            values.extend(keys.clustering.into_iter().map(Value::Text));
            values.extend([
                Value::Text(keys.hash),
                Value::Text(Arc::clone(&source)),
                Value::Text(Arc::clone(&epoch)),
                Value::Bigint(sequence),
            ]);
            let measures = schema.measures.iter().zip(row.values);
            // Every value fits, which was checked before.
            let column = |(measure, value): (_, &Option<i128>)| {
                value.and_then(|value| to_column(measure, value)).unwrap_or(Value::Absent)
            };
            values.extend(measures.map(column));
            values.extend([keys.long, Value::Int(ttl)]);
            self.add((row.window_start, bucket), values).await?;
        }
        self.flush().await?;
        self.tasks.finish().await?;
        Ok(())
    }

    async fn add(&mut self, partition: (i64, i32), row: Vec<Value>) -> Result<(), StoreError> {
        let bytes = row_bytes(&row);
        let statement = self.waiting.entry(partition).or_default();
        let mut full = None;
        if !statement.rows.is_empty() && statement.bytes + bytes > STATEMENT_BYTES {
            full = Some(std::mem::take(statement).rows);
        }
        statement.rows.push(row);
        statement.bytes += bytes;
        self.waiting_rows += 1;
        if let Some(rows) = full {
            self.waiting_rows -= rows.len();
            self.send(rows).await?;
        }
        if self.waiting_rows > WAITING_ROWS_MAX {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        self.waiting_rows = 0;
        for statement in std::mem::take(&mut self.waiting).into_values() {
            self.send(statement.rows).await?;
        }
        Ok(())
    }

    async fn send(&mut self, rows: Vec<Vec<Value>>) -> Result<(), StoreError> {
        let (session, insert) = (Arc::clone(&self.session), Arc::clone(&self.insert));
        self.tasks.run(async move { write_patiently(&*session, &insert, &rows).await }).await
    }
}

/// Only `Busy` is tried again here: the node says that it has not done the work. After any other error the whole
/// batch is offered again by the pipeline, with its own pauses.
async fn write_patiently(
    session: &dyn Session,
    insert: &Arc<str>,
    rows: &[Vec<Value>],
) -> Result<(), StoreError> {
    for retry in 0..RETRIES {
        match session.write(insert, rows).await {
            Err(error) if error.kind == Kind::Busy => tokio::time::sleep(PAUSE * 2_u32.pow(retry)).await,
            answer => return answer,
        }
    }
    session.write(insert, rows).await
}

/// A row's size as Cassandra counts it for a batch: the values, and the timestamps of each cell.
fn row_bytes(row: &[Value]) -> usize {
    row.iter().map(|value| 16 + value.bytes()).sum()
}

/// A row's keys in the form of its columns.
///
/// Keys of up to 48 KiB together are clustering columns as they are. Longer ones are cut, so that two of them could
/// look the same; then the hash of all keys tells them apart, and `evs_long_keys` has them whole. For example, two
/// URLs of 60 KiB that differ in the last byte have equal `uri` columns, and different hashes.
struct Keys {
    clustering: Vec<Arc<str>>,
    /// The hash of the keys. Empty unless the keys are cut.
    hash: Arc<str>,
    /// The complete keys, if they are cut.
    long: Value,
}

impl Keys {
    fn of(keys: &[&[u8]]) -> Self {
        let escaped = keys.iter().map(|key| escape(key)).collect::<Vec<_>>();
        if escaped.iter().map(|key| key.len()).sum::<usize>() <= CLUSTERING_BYTES_MAX {
            let clustering = escaped.iter().map(|key| Arc::from(&**key)).collect();
            return Self { clustering, hash: "".into(), long: Value::Absent };
        }
        let each = CUT_BYTES / escaped.len().max(1);
        let cut = |key: &Cow<'_, str>| Arc::from(&key[..key.floor_char_boundary(each)]);
        let clustering = escaped.iter().map(cut).collect();
        let mut hash = String::with_capacity(64);
        for byte in digest(keys) {
            // Writing to a string cannot fail.
            let _ = write!(hash, "{byte:02x}");
        }
        let long = Value::Texts(escaped.into_iter().map(Cow::into_owned).collect());
        Self { clustering, hash: hash.into(), long }
    }
}

/// SHA-256 over the keys, each with its length before it.
fn digest(keys: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for key in keys {
        hash.update((key.len() as u64).to_be_bytes());
        hash.update(key);
    }
    hash.finalize().into()
}

/// The bucket of a row. It is part of the row's key, so it must never be computed in another way.
///
/// A window with very many keys would be one partition of gigabytes, on the same few nodes. With n buckets it is n
/// partitions, and the keys decide in which of them a row is. If a later version computed another bucket for the same
/// keys, a batch that is written a second time would write other rows, and count twice.
fn bucket(keys: &[&[u8]], buckets: i32) -> i32 {
    let [a, b, c, d, ..] = digest(keys);
    let number = u32::from_be_bytes([a, b, c, d]) % buckets.unsigned_abs().max(1);
    number.cast_signed()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::driver::{Page, Paged};

    /// A session that answers writes with the given errors, the last one first, and then with success.
    #[derive(Debug)]
    struct Failing(Mutex<Vec<Kind>>);

    #[async_trait]
    impl Session for Failing {
        async fn datacenters(&self) -> Result<Vec<(String, usize)>, StoreError> {
            Ok(Vec::new())
        }

        async fn define(&self, _: &str) -> Result<(), StoreError> {
            Ok(())
        }

        async fn write(&self, _: &Arc<str>, _: &[Vec<Value>]) -> Result<(), StoreError> {
            self.0.lock().unwrap().pop().map_or(Ok(()), |kind| Err(StoreError::new(kind, "fails on demand")))
        }

        async fn page(&self, _: &Arc<str>, _: &[Value], _: Option<Page>) -> Result<Paged, StoreError> {
            Ok((Vec::new(), None))
        }
    }

    #[tokio::test]
    async fn a_busy_node_is_asked_again_and_a_lost_one_is_not() {
        use Kind::{Busy, Lost, Permanent};
        for (errors, answer, left) in [
            (vec![Busy; 3], Ok(()), 0),
            (vec![Busy; 5], Err(Busy), 1),
            (vec![Busy, Lost], Err(Lost), 1),
            (vec![Busy, Permanent], Err(Permanent), 1),
        ] {
            let session = Failing(Mutex::new(errors));
            let written = write_patiently(&session, &"INSERT".into(), &[]).await;
            assert_eq!(written.map_err(|error| error.kind), answer);
            assert_eq!(session.0.lock().unwrap().len(), left);
        }
    }

    #[test]
    fn long_keys_are_cut_and_stay_different() {
        let keys = |last: u8| [vec![b'x'; CLUSTERING_BYTES_MAX], vec![last]].concat();
        let (a, b) = (keys(b'a'), keys(b'b'));
        let (first, second) = (Keys::of(&[&a, b"k"]), Keys::of(&[&b, b"k"]));
        assert_eq!(first.clustering, second.clustering);
        assert_ne!(first.hash, second.hash);
        assert_eq!(first.hash.len(), 64);
        assert!(first.clustering.iter().map(|key| key.len()).sum::<usize>() <= CUT_BYTES);
        let Value::Texts(whole) = first.long else { panic!("the whole keys are beside") };
        assert_eq!(whole, [String::from_utf8(a).unwrap(), "k".to_owned()]);
        assert_ne!(Keys::of(&[&b, b"k"]).hash, Keys::of(&[&b, b"", b"k"]).hash);
    }

    #[test]
    fn short_keys_are_not_cut() {
        let fits = vec![b'x'; CLUSTERING_BYTES_MAX - 1];
        let keys = Keys::of(&[&fits, b"k"]);
        assert_eq!((keys.clustering[0].len(), &*keys.hash, keys.long), (fits.len(), "", Value::Absent));
    }

    #[test]
    fn keys_are_cut_between_characters() {
        let accents = "é".repeat(CLUSTERING_BYTES_MAX);
        let keys = Keys::of(&[b"1", accents.as_bytes(), b"2"]);
        assert!(keys.clustering[1].chars().all(|c| c == 'é'));
    }

    #[test]
    fn buckets_stay_where_they_are() {
        let of = |key: &str| bucket(&[key.as_bytes()], 16);
        assert_eq!(["c1", "c2", "c3", ""].map(of), [8, 10, 13, 5]);
        let mut rows = [0_u32; 16];
        for key in 0..16_000 {
            rows[usize::try_from(of(&key.to_string())).unwrap()] += 1;
        }
        assert!(rows.iter().all(|rows| (800..1200).contains(rows)), "{rows:?}");
    }
}
