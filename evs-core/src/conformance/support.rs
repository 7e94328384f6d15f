//! What the tests build batches with, and the plain model that they compare stores to.

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
    sink::{Applied, Progress, Sink, SinkError, Writer},
    statistic::{KeyColumn, MeasureColumn, MeasureKind, Schema},
    tail::{FileMark, Frontier},
};

/// A row as tests write it down.
pub(super) type PlainRow = (i64, Vec<Vec<u8>>, Vec<Option<i128>>);

/// A row with one key and the four measures of [`schema`], all of them `value` but for the count of 1.
pub(super) fn row(window: i64, keys: &[&[u8]], value: i128) -> PlainRow {
    let values = [Some(1), Some(value), Some(value), Some(value)];
    (window, keys.iter().map(|key| key.to_vec()).collect(), values.to_vec())
}

/// A statistic with windows of a minute, those keys and one measure of each kind.
pub(super) fn schema(statistic: &str, keys: &[&str]) -> Schema {
    let measure = |name: &str, kind, scale| {
        let field = if kind == MeasureKind::Count { "" } else { "request_time" };
        MeasureColumn { name: name.to_owned(), kind, field: field.to_owned(), scale }
    };
    Schema {
        statistic: statistic.to_owned(),
        window_seconds: 60,
        keys: keys.iter().map(|&key| KeyColumn { name: key.to_owned(), field: key.to_owned() }).collect(),
        measures: vec![
            measure("hits", MeasureKind::Count, 0),
            measure("time_sum", MeasureKind::Sum, 3),
            measure("time_min", MeasureKind::Min, 3),
            measure("time_max", MeasureKind::Max, 3),
        ],
        retain_seconds: None,
    }
}

/// One source, epoch and statistic, to cut batches of.
#[derive(Clone)]
pub(super) struct Stream {
    pub(super) source: &'static str,
    pub(super) epoch: Epoch,
    pub(super) schema: Arc<Schema>,
    /// The checksum of the first batch that was made of each statistic under each sequence: the next one's
    /// predecessor.
    pub(super) history: Arc<Mutex<BTreeMap<(String, u64), u64>>>,
}

impl Stream {
    pub(super) fn new(source: &'static str, schema: Schema) -> Self {
        Self { source, epoch: Epoch::random(), schema: Arc::new(schema), history: Arc::default() }
    }

    /// The stream of a copy of the state directory, made now. What each of the two cuts from here on is its own.
    pub(super) fn copy(&self) -> Self {
        let history = self.history().clone();
        Self { history: Arc::new(Mutex::new(history)), ..self.clone() }
    }

    fn history(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, u64), u64>> {
        self.history.lock().expect("no test panics here")
    }

    /// The same stream, whose batches have another schema.
    pub(super) fn with_schema(&self, schema: Schema) -> Self {
        Self { schema: Arc::new(schema), ..self.clone() }
    }

    /// The batch with that sequence and those rows.
    pub(super) fn batch(&self, sequence: u64, rows: &[PlainRow]) -> Batch {
        let mut encoded = Rows::new(self.schema.keys.len(), self.schema.measures.len());
        for (window, keys, values) in rows {
            encoded.push(*window, keys.iter().map(Vec::as_slice), values);
        }
        self.batch_of(sequence, encoded)
    }

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
        };
        history.entry(place(sequence)).or_insert_with(|| batch.checksum());
        batch
    }

    /// A process that writes the stream, with that fence.
    pub(super) fn writer(&self, fence: u64) -> Writer {
        Writer { fence, ..Writer::this_process(self.source, self.epoch) }
    }
}

/// A batch with the [`predecessor`](Batch::predecessor) that it has among the batches that this thread has passed
/// through here before: of each stream and sequence, the first one counts. For tests that make batches one by one.
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

/// The batch as that process offers it.
pub(super) fn from_writer(batch: &Batch, writer: &Writer) -> Batch {
    Batch { writer: Some(Arc::new(writer.clone())), ..batch.clone() }
}

/// Where batch `sequence` ends: something with every field in use.
fn frontier(sequence: u64) -> Frontier {
    let mark = |number, name: &str| FileMark {
        number,
        start: number,
        offset: sequence.wrapping_mul(100),
        size: u64::MAX,
        device: u64::MAX - 1,
        inode: sequence,
        modified: -1,
        head: crate::tail::Digest::of(name.as_bytes()),
        tail: crate::tail::Digest::of(&sequence.to_le_bytes()),
        is_rotated: true,
        path: format!("/var/log/nginx/ä'\"\\{name}"),
    };
    Frontier { files: vec![mark(1, "access.log.1"), mark(2, "access.log")] }
}

/// What a store should hold of one statistic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    rows: BTreeMap<RowKey, Vec<Option<i128>>>,
}

/// The window's start and the keys.
type RowKey = (i64, Vec<Vec<u8>>);

impl Model {
    /// The model after those batches.
    pub(super) fn of<'b>(batches: impl IntoIterator<Item = &'b Batch>) -> Self {
        let mut model = Self::default();
        for batch in batches {
            model.add(batch);
        }
        model
    }

    fn add(&mut self, batch: &Batch) {
        for (window, keys, values) in plain(&batch.rows) {
            let held = self.rows.entry((window, keys)).or_insert_with(|| vec![None; values.len()]);
            for ((held, value), measure) in held.iter_mut().zip(values).zip(&batch.schema.measures) {
                *held = measure.kind.merge(*held, value).expect("the tests' totals fit into an i128");
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// The rows as tests write them down.
pub(super) fn plain(rows: &Rows) -> Vec<PlainRow> {
    let mut cursor = rows.cursor();
    let mut plain = Vec::with_capacity(rows.len());
    while let Some(row) = cursor.next_row() {
        let keys = row.keys.iter().map(|key| key.to_vec()).collect();
        plain.push((row.window_start, keys, row.values.to_vec()));
    }
    plain
}

/// All that the store holds of a statistic; the order of its answer is checked on the way.
pub(super) async fn held(sink: &dyn Sink, schema: &Schema) -> Model {
    held_within(sink, schema, i64::MIN..i64::MAX).await
}

/// The same of the windows that start within `windows`.
pub(super) async fn held_within(sink: &dyn Sink, schema: &Schema, windows: Range<i64>) -> Model {
    let rows = plain(&sink.totals(schema, windows).await.expect("totals are read"));
    assert!(rows.is_sorted_by(|a, b| (a.0, &a.1) < (b.0, &b.1)), "totals by window and key, each once");
    Model { rows: rows.into_iter().map(|(window, keys, values)| ((window, keys), values)).collect() }
}

/// Checks that the store holds exactly what `batches` add up to.
#[track_caller]
pub(super) fn assert_holds<'b>(found: &Model, batches: impl IntoIterator<Item = &'b Batch>) {
    let expected = Model::of(batches);
    assert_eq!(found.len(), expected.len(), "number of rows");
    for ((key, found), (expected_key, expected)) in found.rows.iter().zip(&expected.rows) {
        assert_eq!((key, found), (expected_key, expected));
    }
}

/// Prepares the stream's schema and applies its batches, each for the first time.
pub(super) async fn apply_all(sink: &dyn Sink, batches: &[Batch]) {
    for batch in batches {
        sink.prepare(&batch.schema).await.expect("the schema is accepted");
        assert_eq!(sink.apply(batch).await.expect("the batch is applied"), Applied::Now);
    }
}

/// The store's progress of a source, in an order to compare it by.
pub(super) async fn progress(sink: &dyn Sink, source: &str) -> Vec<Progress> {
    let mut progress = sink.progress(source).await.expect("progress is read");
    progress.sort_by(|a, b| (a.epoch, &a.statistic).cmp(&(b.epoch, &b.statistic)));
    progress
}

/// Checks that the answer is [`SinkError::Refused`] and returns what it says.
#[track_caller]
pub(super) fn assert_refused<T: std::fmt::Debug>(answer: Result<T, SinkError>) -> String {
    match answer {
        Err(SinkError::Refused { what, .. }) => what,
        other => panic!("expected to be refused, got {other:?}"),
    }
}

/// Polls `future` at most `polls` times and drops it then; `None` if it was not done.
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
            // Without a poll left nobody is to be waited for.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
