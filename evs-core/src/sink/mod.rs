//! Where batches are applied.

use std::{error::Error as StdError, fmt, ops::Range, sync::Arc};

use async_trait::async_trait;

mod limits;
mod memory;

pub use limits::Limits;
pub use memory::{Fault, MemorySink};

use crate::{
    batch::{Batch, Epoch, Rows},
    statistic::Schema,
    tail::Frontier,
};

/// A store that batches are applied to.
///
/// # Contract
///
/// * Once: a batch whose (source, epoch, statistic, sequence) was applied before changes nothing and
///   returns [`Applied::Before`], provided that its checksum is the one the store remembers; with another
///   checksum it is [`SinkError::Foreign`].
/// * Whole: after `Ok` all its rows count, durably; after `Err` nothing is assumed and it is offered again.
/// * In order: per source and statistic there is one call at a time, by sequence. A batch that is not the
///   successor of the last one applied is [`SinkError::Gap`], and changes nothing. A stream of which the
///   store knows nothing begins with sequence 1, or behind what [`Sink::begin`] has set.
/// * Adding: rows are merged into what the store holds by [`MeasureKind::merge`](crate::MeasureKind::merge);
///   several sources and epochs add to the same rows. Keys that differ in a byte are different rows.
/// * Exact: a value that the store cannot hold to the last digit is [`SinkError::Refused`], as is a sum that
///   would overflow, and the batch changes nothing.
/// * A single attempt, with a deadline of its own. Retry and back-off belong to the caller.
///
/// [`conformance`](crate::conformance) has the tests of this contract.
#[async_trait]
pub trait Sink: fmt::Debug + Send + Sync + 'static {
    /// What the store can hold. A line that does not fit is rejected when it is read; a batch that does not fit all
    /// the same, since the store was added later, is [`SinkError::Refused`].
    fn limits(&self) -> Limits;

    /// Makes the storage ready for batches of that schema, or checks it if it is there. Is called before a
    /// schema's first batch, and may be called again at any time.
    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError>;

    /// What the store remembers of `source`: one entry per epoch and statistic. Empty, and not an error,
    /// when the store was never used.
    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError>;

    /// Sets the progress of a stream that the store does not know, so that the batch behind it is the first.
    /// Changes nothing if the store knows the stream.
    async fn begin(&self, progress: &Progress) -> Result<(), SinkError>;

    /// Applies one batch.
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, the batch may or may not have been applied, as after an error; it is offered
    /// again.
    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError>;

    /// Removes rows whose windows start before `before`, as many as hold nobody up for long, and says whether
    /// there may be more.
    ///
    /// Is called now and then for statistics with a retention, until it says no. A store that lets rows expire
    /// by [`Schema::retain_seconds`] has nothing to do here.
    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        let _ = (schema, before);
        Ok(false)
    }

    /// Is called when a run has ended and every batch that it had for the sink is in it: the time to put files in
    /// order. Nothing depends on it: a process that is killed never comes to it.
    ///
    /// Others may still use the sink, and a later call works as ever.
    ///
    /// # Cancel safety
    ///
    /// As [`Sink::apply`].
    async fn close(&self) -> Result<(), SinkError> {
        Ok(())
    }

    /// The rows of a statistic whose windows start within `windows`, over all sources, by window and key.
    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError>;
}

/// For services that choose a sink while they run.
#[async_trait]
impl<S: Sink + ?Sized> Sink for Arc<S> {
    fn limits(&self) -> Limits {
        (**self).limits()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        (**self).prepare(schema).await
    }

    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        (**self).progress(source).await
    }

    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        (**self).begin(progress).await
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        (**self).apply(batch).await
    }

    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        (**self).sweep(schema, before).await
    }

    async fn close(&self) -> Result<(), SinkError> {
        (**self).close().await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        (**self).totals(schema, windows).await
    }
}

/// What became of a batch that [`Sink::apply`] returned `Ok` for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Its rows were added by this call.
    Now,
    /// The store had it already; nothing was changed.
    Before,
}

/// What a store remembers of one stream of batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The source's name.
    pub source: String,
    /// The state directory's epoch.
    pub epoch: Epoch,
    /// The statistic's name.
    pub statistic: String,
    /// The last sequence applied.
    pub sequence: u64,
    /// That batch's `to`.
    pub to: Frontier,
    /// That batch's [`Batch::checksum`].
    pub checksum: u64,
}

impl Progress {
    /// What a store remembers when `batch` was the last one applied.
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

/// What a store that has applied up to `last` is to do with `batch`: `None` means add it.
///
/// For sinks, to be asked while nobody else can move the progress.
///
/// # Errors
///
/// [`SinkError::Gap`] and [`SinkError::Foreign`], as the contract of [`Sink`] has it.
pub fn judge(last: Option<&Progress>, batch: &Batch) -> Result<Option<Applied>, SinkError> {
    let applied = last.map_or(0, |last| last.sequence);
    match last {
        Some(last) if last.sequence == batch.sequence => {
            let (offered, found) = (batch.checksum(), last.checksum);
            if offered == found {
                return Ok(Some(Applied::Before));
            }
            let (statistic, sequence) = (batch.statistic().to_owned(), batch.sequence);
            Err(SinkError::Foreign { statistic, sequence, offered, found })
        }
        // Only the last checksum is remembered, so an older batch is taken at its word.
        Some(last) if last.sequence > batch.sequence => Ok(Some(Applied::Before)),
        _ if applied.checked_add(1) == Some(batch.sequence) => Ok(None),
        _ => {
            Err(SinkError::Gap { statistic: batch.statistic().to_owned(), offered: batch.sequence, applied })
        }
    }
}

/// The cause of a [`SinkError`].
pub type Cause = Box<dyn StdError + Send + Sync>;

/// A sink could not do what was asked.
///
/// Messages and causes never contain a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// Will pass: the store is away, busy, or a transaction was lost. The same call is made again, later.
    #[error("{what}")]
    Unavailable {
        /// What was tried.
        what: String,
        /// The store's own words.
        source: Cause,
    },
    /// Will not pass by itself: no access, a table of another shape, a value that does not fit.
    #[error("{what}")]
    Refused {
        /// What was tried and what can be done.
        what: String,
        /// The store's own words, if it was the store that refused.
        source: Option<Cause>,
    },
    /// The batch is not the next one: the store has applied up to `applied`.
    #[error("statistic {statistic}: batch {offered} was offered, but the store is at {applied}")]
    Gap {
        /// The statistic.
        statistic: String,
        /// The sequence that was offered.
        offered: u64,
        /// The last sequence applied; 0 if the store does not know the stream.
        applied: u64,
    },
    /// The store has this sequence with other contents: another state directory wrote it.
    #[error(
        "statistic {statistic}: the store has batch {sequence} with checksum {found:016x}, not {offered:016x}: \
         another state directory wrote it"
    )]
    Foreign {
        /// The statistic.
        statistic: String,
        /// The sequence in question.
        sequence: u64,
        /// The checksum of the batch that was offered.
        offered: u64,
        /// The checksum that the store remembers.
        found: u64,
    },
}

impl SinkError {
    /// An error that will pass.
    pub fn unavailable(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Unavailable { what: what.into(), source: source.into() }
    }

    /// An error that will not pass, found by evs itself.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), source: None }
    }

    /// An error that will not pass, as the store said.
    pub fn refused_by(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Refused { what: what.into(), source: Some(source.into()) }
    }

    /// Whether the same call may succeed later, without anybody's help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
