//! The rows one statistic has gathered over a part of the log: the unit of commit and delivery.

mod epoch;
mod rows;
mod text;

use std::sync::Arc;

use serde::Serialize;

pub use epoch::{Epoch, InvalidEpoch};
pub use rows::{InvalidRows, Row, RowCursor, RowIter, RowRef, Rows};
pub use text::{escape, unescape};

use crate::{sink::Writer, statistic::Schema, tail::Frontier};

/// A batch, as sinks are offered it. Immutable: a sequence always means these rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Batch {
    /// The source's name.
    pub source: Arc<str>,
    /// The state directory that cut the batch.
    pub epoch: Epoch,
    /// What a row means; holds the statistic's name.
    pub schema: Arc<Schema>,
    /// 1, 2, 3 … per (source, epoch, statistic), without gaps.
    pub sequence: u64,
    /// The [`checksum`](Self::checksum) of the batch before it in its stream; 0 for the first. It ties a batch to
    /// one history: a copy of the state directory that has gone its own way has another batch there.
    pub predecessor: u64,
    /// Up to where the log was counted before this batch; empty if the batch continues a cut.
    pub from: Arc<Frontier>,
    /// Up to where the log is counted with this batch. A cut of more than 131,072 rows or 16 MiB becomes several
    /// batches. In all but the last one this is empty: some rows of the cut are there and others are not, so there is
    /// no such place.
    pub to: Arc<Frontier>,
    /// The rows, each (window, keys) once.
    pub rows: Rows,
    /// The process that offers the batch. Not a part of its contents: it is neither in the binlog nor covered by
    /// the checksum. `None` if nobody has claimed the source; then sinks do not compare it.
    #[serde(skip)]
    pub writer: Option<Arc<Writer>>,
}

impl Batch {
    /// A batch that begins and ends at the beginning of the log, without a predecessor and a writer: for the tests of
    /// sinks. A pipeline makes its own.
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
        }
    }

    /// The statistic's name.
    pub fn statistic(&self) -> &str {
        &self.schema.statistic
    }

    /// xxh3-64 over the sequence, the schema, `to` and the rows. Sinks keep it beside the sequence:
    /// the same sequence with another checksum was written by another state directory.
    ///
    /// It does not cover [`predecessor`](Self::predecessor): batches of the binlog's version 1 keep their checksums,
    /// by which sinks remember them.
    pub fn checksum(&self) -> u64 {
        checksum(self.sequence, &self.schema, &self.to, &self.rows)
    }
}

/// [`Batch::checksum`] of a batch that is yet to be made.
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
