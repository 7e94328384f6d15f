//! The progress of a stream of batches, as a store remembers it.

use serde::Serialize;

use crate::{
    batch::{Batch, Epoch},
    position::Frontier,
};

/// The effect of a call of [`Sink::apply`](crate::Sink::apply) that returned `Ok`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// This call added the rows of the batch.
    Now,
    /// The store already had the batch; the call changed nothing.
    Before,
}

/// The progress of one stream of batches, as a store remembers it. A stream is the batches of one source, epoch and
/// statistic.
///
/// It is all that a store has to keep, besides the rows, to apply each batch once. The sequence tells which batch is
/// next, the checksum tells whether a batch comes from the same history, and the position is what a lost state
/// directory can be replaced by ([`LostState::Adopt`](crate::LostState::Adopt)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// The source's name.
    pub source: String,
    /// The state directory's epoch.
    pub epoch: Epoch,
    /// The statistic's name.
    pub statistic: String,
    /// The last sequence applied.
    pub sequence: u64,
    /// The position ([`Batch::to`]) of that batch. It is empty if the batch is not the last of its cut, or if an
    /// earlier version of evs began the stream and did not know the position. From an empty position nobody can
    /// continue without the state directory.
    pub to: Frontier,
    /// The [`Batch::checksum`] of that batch. It is 0 if only the sequence is known: an earlier version of evs began
    /// the stream after a batch that it no longer had.
    pub checksum: u64,
}

impl Progress {
    /// Makes a progress from the values that a sink reads back from its store.
    pub fn new(
        source: impl Into<String>,
        epoch: Epoch,
        statistic: impl Into<String>,
        sequence: u64,
        to: Frontier,
        checksum: u64,
    ) -> Self {
        Self { source: source.into(), epoch, statistic: statistic.into(), sequence, to, checksum }
    }

    /// Returns the progress of a store that has applied `batch` last.
    pub fn after(batch: &Batch) -> Self {
        Self {
            source: batch.source.to_string(),
            epoch: batch.epoch,
            statistic: batch.statistic().to_owned(),
            sequence: batch.sequence,
            to: Frontier::clone(&batch.to),
            checksum: batch.checksum(),
        }
    }
}
