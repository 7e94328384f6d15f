//! One batch: its place in a stream, the positions it lies between, and its rows.

use std::sync::Arc;

use serde::Serialize;

use super::{epoch::Epoch, rows::Rows};
use crate::{position::Frontier, statistic::Schema, writer::Writer};

/// A batch, as it is offered to sinks. It is immutable: a sequence always stands for the same rows.
///
/// A sink that passes batches on to another sink may change what they hold: see [`with_rows`](Self::with_rows).
///
/// For example, batch 7 of `requests` counts the lines of `access.log` from byte 4,096 to byte 8,192. If the process
/// is killed before a sink has acknowledged it, the same batch is offered again: the same rows, with the same
/// checksum. Lines after byte 8,192 are in batch 8, never in a longer batch 7, because a sink that had already
/// applied 7 would then miss them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Batch {
    /// The source's name.
    pub source: Arc<str>,
    /// The epoch of the state directory that cut the batch.
    pub epoch: Epoch,
    /// The schema of the rows; it contains the name of the statistic.
    pub schema: Arc<Schema>,
    /// The number of the batch in its stream (source, epoch, statistic): 1, 2, 3 … without gaps.
    pub sequence: u64,
    /// The [`checksum`](Self::checksum) of the previous batch in the stream; 0 for the first batch. It ties a batch
    /// to one history: if a copy of the state directory was used separately, its previous batch is another one.
    pub predecessor: u64,
    /// The position in the log before this batch; empty if the batch continues a cut.
    pub from: Arc<Frontier>,
    /// The position in the log after this batch. A cut of more than 131,072 rows or 16 MiB becomes several batches.
    /// In all but the last of them the position is empty: some rows of the cut are applied and others are not, so no
    /// position describes the state.
    pub to: Arc<Frontier>,
    /// The rows. Each combination of window and keys occurs once.
    pub rows: Rows,
    /// The process that offers the batch; `None` if nobody has claimed the source, and then sinks do not compare it.
    /// It is not a part of the contents: the binlog does not store it, and the checksum does not cover it.
    #[serde(skip)]
    pub writer: Option<Arc<Writer>>,
    /// The checksum with which the batch was cut; `None` if it follows from the contents.
    #[serde(skip)]
    pub(crate) cut_checksum: Option<u64>,
}

impl Batch {
    /// Makes a batch that begins and ends at the start of the log and has no predecessor and no writer. This is for
    /// the tests of sinks; a pipeline makes its own batches.
    pub fn new(
        source: impl Into<Arc<str>>,
        epoch: Epoch,
        schema: impl Into<Arc<Schema>>,
        sequence: u64,
        rows: Rows,
    ) -> Self {
        Self {
            source: source.into(),
            epoch,
            schema: schema.into(),
            sequence,
            predecessor: 0,
            from: Arc::default(),
            to: Arc::default(),
            rows,
            writer: None,
            cut_checksum: None,
        }
    }

    /// Returns this batch with another schema and other rows, for a sink that passes batches on to another one: it may
    /// leave out rows, or add a key or a measure. The place in the stream stays, and so does the
    /// [`checksum`](Self::checksum). So the inner sink remembers the batch that was cut, and its progress is compared
    /// with that one after a crash.
    ///
    /// A sink that wants nothing of a batch passes it on without rows. It does not leave the batch out: the progress of
    /// the inner sink would stay behind, and the next batch would be a [`Gap`](crate::SinkError::Gap).
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::{Batch, Epoch, MeasureColumn, MeasureKind, Rows, Schema};
    ///
    /// let hits = MeasureColumn::new("hits", MeasureKind::Count, "", 0);
    /// let schema = Schema::new("requests", 60, Vec::new(), vec![hits]);
    /// let mut rows = Rows::new(0, 1);
    /// rows.push(60, [], &[Some(5)]);
    /// let batch = Batch::new("web1", Epoch::random(), schema, 1, rows);
    ///
    /// let empty = batch.with_rows(batch.schema.clone(), Rows::new(0, 1));
    /// assert!(empty.rows.is_empty());
    /// assert_eq!((empty.sequence, empty.checksum()), (1, batch.checksum()));
    /// ```
    #[must_use]
    pub fn with_rows(&self, schema: impl Into<Arc<Schema>>, rows: Rows) -> Self {
        Self { schema: schema.into(), rows, cut_checksum: Some(self.checksum()), ..self.clone() }
    }

    /// Returns the name of the statistic.
    pub fn statistic(&self) -> &str {
        &self.schema.statistic
    }

    /// Returns the xxh3-64 checksum of the sequence, the schema, `to` and the rows. Sinks store it with the sequence:
    /// if the same sequence comes with another checksum, another state directory wrote it.
    ///
    /// A batch of a pipeline keeps the checksum with which it was cut, whatever a sink in between changes about it.
    ///
    /// The checksum does not cover [`predecessor`](Self::predecessor), so that batches in a binlog of version 1 keep
    /// the checksums that sinks remember.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::{Batch, Epoch, MeasureColumn, MeasureKind, Rows, Schema};
    ///
    /// let count = MeasureColumn::new("count", MeasureKind::Count, "", 0);
    /// let schema = Schema::new("requests", 60, Vec::new(), vec![count]);
    /// let batch = |count| {
    ///     let mut rows = Rows::new(0, 1);
    ///     rows.push(1_795_872_300, [], &[Some(count)]);
    ///     Batch::new("web1", Epoch::from_bytes([1; 16]), schema.clone(), 7, rows)
    /// };
    /// assert_eq!(batch(5).checksum(), batch(5).checksum());
    /// assert_ne!(batch(5).checksum(), batch(6).checksum());
    /// ```
    pub fn checksum(&self) -> u64 {
        self.cut_checksum.unwrap_or_else(|| checksum(self.sequence, &self.schema, &self.to, &self.rows))
    }
}

/// Returns the [`Batch::checksum`] of a batch that is not made yet.
pub(crate) fn checksum(sequence: u64, schema: &Schema, to: &Frontier, rows: &Rows) -> u64 {
    let mut hash = xxhash_rust::xxh3::Xxh3Default::new();
    hash.update(&sequence.to_le_bytes());
    for part in [schema.to_json(), to.to_json()] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(rows.as_bytes());
    hash.digest()
}
