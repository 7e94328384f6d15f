//! Helpers with which the tests build batches, and the simple model with which they compare stores.
//!
//! A test reads like its promise: a [`Stream`] makes batches of [`row`]s, [`apply_all`] applies them, and
//! [`assert_holds`] compares the store with the sum of the batches, which [`Model`] computes in a map.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::Future,
    ops::Range,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
};

use crate::{
    batch::{Batch, Epoch, Rows},
    position::{FileMark, Frontier},
    sink::{Applied, Progress, Sink, SinkError},
    statistic::{KeyColumn, MeasureColumn, MeasureKind, Schema},
    writer::Writer,
};

/// A row as tests write it.
pub(super) type PlainRow = (i64, Vec<Vec<u8>>, Vec<Option<i128>>);

/// Makes a row with the given keys and the four measures of [`schema`]. Their values are `value`, except the count,
/// which is 1.
pub(super) fn row(window: i64, keys: &[&[u8]], value: i128) -> PlainRow {
    let values = [Some(1), Some(value), Some(value), Some(value)];
    (window, keys.iter().map(|key| key.to_vec()).collect(), values.to_vec())
}

/// Makes a statistic with windows of a minute, the given keys and one measure of each kind.
pub(super) fn schema(statistic: &str, keys: &[&str]) -> Schema {
    let measure = |name: &str, kind, scale| {
        let field = if kind == MeasureKind::Count { "" } else { "request_time" };
        MeasureColumn::new(name, kind, field, scale)
    };
    let measures = vec![
        measure("hits", MeasureKind::Count, 0),
        measure("time_sum", MeasureKind::Sum, 3),
        measure("time_min", MeasureKind::Min, 3),
        measure("time_max", MeasureKind::Max, 3),
    ];
    Schema::new(statistic, 60, keys.iter().map(|&key| KeyColumn::new(key, key)).collect(), measures)
}

/// A stream (source, epoch and statistic) from which tests cut batches.
#[derive(Clone)]
pub(super) struct Stream {
    /// The name of the source.
    pub(super) source: &'static str,
    /// The epoch of the state directory that cuts the batches.
    pub(super) epoch: Epoch,
    /// The definition that the batches carry.
    pub(super) schema: Arc<Schema>,
    /// The checksum of the first batch that was made under each statistic and sequence. It is the predecessor of the
    /// next batch.
    pub(super) history: Arc<Mutex<BTreeMap<(String, u64), u64>>>,
}

impl Stream {
    /// Makes a stream with an epoch of its own.
    pub(super) fn new(source: &'static str, schema: Schema) -> Self {
        Self { source, epoch: Epoch::random(), schema: Arc::new(schema), history: Arc::default() }
    }

    /// Returns the stream of a copy of the state directory that is made now. From here on each of the two has batches
    /// of its own.
    pub(super) fn copy(&self) -> Self {
        let history = self.history().clone();
        Self { history: Arc::new(Mutex::new(history)), ..self.clone() }
    }

    /// Returns the checksums of the stream's batches.
    fn history(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, u64), u64>> {
        self.history.lock().expect("no test panics here")
    }

    /// Returns the same stream with another schema for its batches.
    pub(super) fn with_schema(&self, schema: Schema) -> Self {
        Self { schema: Arc::new(schema), ..self.clone() }
    }

    /// Makes the batch with the given sequence and rows.
    pub(super) fn batch(&self, sequence: u64, rows: &[PlainRow]) -> Batch {
        let mut encoded = Rows::new(self.schema.keys.len(), self.schema.measures.len());
        for (window, keys, values) in rows {
            encoded.push(*window, keys.iter().map(Vec::as_slice), values);
        }
        self.batch_of(sequence, encoded)
    }

    /// Makes the batch with the given sequence and encoded rows.
    pub(super) fn batch_of(&self, sequence: u64, rows: Rows) -> Batch {
        let mut history = self.history();
        let place = |sequence| (self.schema.statistic.clone(), sequence);
        let batch = Batch {
            source: self.source.into(),
            epoch: self.epoch,
            schema: Arc::clone(&self.schema),
            sequence,
            predecessor: history.get(&place(sequence.wrapping_sub(1))).copied().unwrap_or_default(),
            from: Arc::new(frontier(sequence.wrapping_sub(1))),
            to: Arc::new(frontier(sequence)),
            rows,
            writer: None,
            cut_checksum: None,
        };
        history.entry(place(sequence)).or_insert_with(|| batch.checksum());
        batch
    }

    /// Makes a process that writes the stream, with the given fence.
    pub(super) fn writer(&self, fence: u64) -> Writer {
        Writer { fence, ..Writer::this_process(self.source, self.epoch) }
    }
}

/// Sets the [`predecessor`](Batch::predecessor) of a batch to the batch before it among those that this thread has
/// passed to this function. For each stream and sequence the first one counts. This is for tests that make batches
/// one by one; they make them on the thread of the test, not within a task that they spawn.
pub fn chained(batch: Batch) -> Batch {
    type Streams = BTreeMap<(Arc<str>, Epoch, String), BTreeMap<u64, u64>>;
    thread_local! {
        static STREAMS: RefCell<Streams> = RefCell::default();
    }
    STREAMS.with_borrow_mut(|streams| {
        let stream = (Arc::clone(&batch.source), batch.epoch, batch.statistic().to_owned());
        let history = streams.entry(stream).or_default();
        history.entry(batch.sequence).or_insert_with(|| batch.checksum());
        let predecessor = batch.sequence.checked_sub(1).and_then(|before| history.get(&before).copied());
        Batch { predecessor: predecessor.unwrap_or_default(), ..batch }
    })
}

/// Returns the batch as the given process offers it.
pub(super) fn from_writer(batch: &Batch, writer: &Writer) -> Batch {
    Batch { writer: Some(Arc::new(writer.clone())), ..batch.clone() }
}

/// Makes the position at the end of batch `sequence`, with a value in every field.
fn frontier(sequence: u64) -> Frontier {
    let mark = |number, name: &str| FileMark {
        number,
        start: number,
        offset: sequence.wrapping_mul(100),
        size: u64::MAX,
        device: u64::MAX - 1,
        inode: sequence,
        modified: -1,
        head: crate::position::Digest::of(name.as_bytes()),
        tail: crate::position::Digest::of(&sequence.to_le_bytes()),
        is_rotated: true,
        path: format!("/var/log/nginx/ä'\"\\{name}"),
        log: Some("/var/log/nginx/ä'\"\\.log".into()),
    };
    Frontier::new(vec![mark(1, "access.log.1"), mark(2, "access.log")])
}

/// The expected contents of a store for one statistic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    rows: BTreeMap<RowKey, Vec<Option<i128>>>,
}

/// The key of a row: the window's start and the keys.
type RowKey = (i64, Vec<Vec<u8>>);

impl Model {
    /// Returns the model after the given batches.
    pub(super) fn of<'b>(batches: impl IntoIterator<Item = &'b Batch>) -> Self {
        let mut model = Self::default();
        for batch in batches {
            model.add(batch);
        }
        model
    }

    /// Adds a batch, as a store must.
    fn add(&mut self, batch: &Batch) {
        for (window, keys, values) in plain(&batch.rows) {
            let held = self.rows.entry((window, keys)).or_insert_with(|| vec![None; values.len()]);
            for ((held, value), measure) in held.iter_mut().zip(values).zip(&batch.schema.measures) {
                *held = measure.kind.merge(*held, value).expect("the tests' totals fit into an i128");
            }
        }
    }

    /// Returns the number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// Returns the rows as tests write them.
pub(super) fn plain(rows: &Rows) -> Vec<PlainRow> {
    let mut cursor = rows.cursor();
    let mut plain = Vec::with_capacity(rows.len());
    while let Some(row) = cursor.next_row() {
        let keys = row.keys.iter().map(|key| key.to_vec()).collect();
        plain.push((row.window_start, keys, row.values.to_vec()));
    }
    plain
}

/// Returns everything that the store holds of a statistic. It also checks the order of the answer.
pub(super) async fn held(sink: &dyn Sink, schema: &Schema) -> Model {
    held_within(sink, schema, i64::MIN..i64::MAX).await
}

/// Returns the same for the windows that start within `windows`.
pub(super) async fn held_within(sink: &dyn Sink, schema: &Schema, windows: Range<i64>) -> Model {
    let rows = plain(&sink.totals(schema, windows).await.expect("totals are read"));
    assert!(rows.is_sorted_by(|a, b| (a.0, &a.1) < (b.0, &b.1)), "totals by window and key, each once");
    Model { rows: rows.into_iter().map(|(window, keys, values)| ((window, keys), values)).collect() }
}

/// Returns everything that the store holds of a statistic, as tests write it.
pub(super) async fn held_rows(sink: &dyn Sink, schema: &Schema) -> Vec<PlainRow> {
    plain(&sink.totals(schema, i64::MIN..i64::MAX).await.expect("totals are read"))
}

/// Checks that the store holds exactly the sum of `batches`.
#[track_caller]
pub(super) fn assert_holds<'b>(found: &Model, batches: impl IntoIterator<Item = &'b Batch>) {
    let expected = Model::of(batches);
    assert_eq!(found.len(), expected.len(), "number of rows");
    for ((key, found), (expected_key, expected)) in found.rows.iter().zip(&expected.rows) {
        assert_eq!((key, found), (expected_key, expected));
    }
}

/// Prepares the schema of the stream and applies its batches, each for the first time.
pub(super) async fn apply_all(sink: &dyn Sink, batches: &[Batch]) {
    for batch in batches {
        sink.prepare(&batch.schema).await.expect("the schema is accepted");
        assert_eq!(sink.apply(batch).await.expect("the batch is applied"), Applied::Now);
    }
}

/// Returns the store's progress of a source, sorted for comparison.
pub(super) async fn progress(sink: &dyn Sink, source: &str) -> Vec<Progress> {
    let mut progress = sink.progress(source).await.expect("progress is read");
    progress.sort_by(|a, b| (a.epoch, &a.statistic).cmp(&(b.epoch, &b.statistic)));
    progress
}

/// Checks that the answer is [`SinkError::Refused`] and returns its message.
#[track_caller]
pub(super) fn assert_refused<T: std::fmt::Debug>(answer: Result<T, SinkError>) -> String {
    match answer {
        Err(SinkError::Refused { what, .. }) => what,
        other => panic!("expected to be refused, got {other:?}"),
    }
}

/// Polls `future` at most `polls` times and then drops it. Returns `None` if it was not finished.
pub(super) async fn cancelled_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            // No poll is left, so nothing is awaited.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
