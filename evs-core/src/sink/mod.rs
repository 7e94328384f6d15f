//! Where batches are applied.

use std::{error::Error as StdError, fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use serde::Serialize;

mod limits;
mod memory;
mod writer;

pub use limits::Limits;
pub use memory::{Fault, MemorySink};
pub use writer::Writer;

use crate::{
    batch::{Batch, Epoch, Rows},
    statistic::Schema,
    tail::Frontier,
};

/// A store that batches are applied to.
///
/// # Contract
///
/// * Once: the batch that was applied last changes nothing and returns [`Applied::Before`]. One with its sequence
///   and another checksum is [`SinkError::Foreign`]. An older one changes nothing either and is
///   [`SinkError::Ahead`]: only the last checksum is remembered, so only the caller can tell whether it is of the
///   same history.
/// * Whole: after `Ok` all its rows count, durably; after `Err` nothing is assumed and it is offered again.
/// * In order: per source and statistic there is one call at a time, by sequence. A batch that is not the
///   successor of the last one applied is [`SinkError::Gap`], and changes nothing. A stream of which the
///   store knows nothing begins with sequence 1, or behind what [`Sink::begin`] has set.
/// * One history: a successor whose [`Batch::predecessor`] is not the checksum of the last batch applied is
///   [`SinkError::Foreign`], and changes nothing. [`judge`] says what to do with a batch in all these cases.
/// * One writer: a batch that names a [`Batch::writer`] is applied only if that one has claimed the source last, by
///   [`Sink::claim`]. [`Writer::check`] says which error it is otherwise. A store with transactions compares the two
///   in the batch's own; one without, before it adds anything, so that the batch that is under way while another
///   process claims the source may still be applied.
/// * Adding: rows are merged into what the store holds by [`MeasureKind::merge`](crate::MeasureKind::merge);
///   several sources and epochs add to the same rows. Keys that differ in a byte are different rows.
/// * Exact: a value that the store cannot hold to the last digit is [`SinkError::Refused`], as is a sum that
///   would overflow, and the batch changes nothing.
/// * A single attempt. The caller sets the deadline by dropping the call, whichever method it is; a dropped call may or
///   may not have its effect. Retry and back-off belong to the caller, too.
///
/// The module `conformance` (feature of the same name) has the tests of this contract, and
/// `examples/custom_sink.rs` in the repository a whole sink with its run of them.
///
/// ```
/// use evs_core::{Applied, Batch, Epoch, MeasureColumn, MeasureKind, MemorySink, Rows, Schema, Sink};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), evs_core::SinkError> {
/// let hits = MeasureColumn::new("hits", MeasureKind::Count, "", 0);
/// let schema = Schema::new("requests", 60, Vec::new(), vec![hits]);
/// let mut rows = Rows::new(0, 1);
/// rows.push(60, [], &[Some(5)]);
/// let batch = Batch::new("web1", Epoch::random(), schema.clone(), 1, rows);
///
/// let sink = MemorySink::new();
/// sink.prepare(&schema).await?;
/// assert_eq!(sink.apply(&batch).await?, Applied::Now);
/// // However often it is offered, it is applied once.
/// assert_eq!(sink.apply(&batch).await?, Applied::Before);
/// let totals = sink.totals(&schema, 0..120).await?;
/// assert_eq!(totals.iter().next().map(|row| row.values), Some(vec![Some(5)]));
/// # Ok(())
/// # }
/// ```
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

    /// Which process has claimed `source` last. `None`, and not an error, if none has, or the store was never used.
    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError>;

    /// Makes `writer` the one that writes its source, provided that the last one still is `last`; compares their
    /// tokens, and changes nothing otherwise. Says whether `writer` has the source now.
    ///
    /// Durable, and seen by all later calls of [`Sink::apply`]. Makes the storage that it needs.
    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError>;

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

/// Implements [`Sink`] for a pointer to one. A method of the trait that is missing here is an error: the default in its
/// place would do nothing, silently.
macro_rules! forward_to_pointee {
    ($pointer:ident) => {
        /// For services that choose a sink while they run.
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: Sink + ?Sized> Sink for $pointer<S> {
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

            async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
                (**self).writer(source).await
            }

            async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
                (**self).claim(writer, last).await
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
    };
}

forward_to_pointee!(Arc);
forward_to_pointee!(Box);

/// What became of a batch that [`Sink::apply`] returned `Ok` for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// Its rows were added by this call.
    Now,
    /// The store had it already; nothing was changed.
    Before,
}

/// What a store remembers of one stream of batches.
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
    /// That batch's `to`. Empty if the batch is not the last of its cut, or if the position was not known when an
    /// earlier evs began the stream: from there nobody can go on without the state directory.
    pub to: Frontier,
    /// That batch's [`Batch::checksum`]. 0 if only its number is known: an earlier evs has set the progress of a
    /// stream behind a batch that it did not have any more.
    pub checksum: u64,
}

impl Progress {
    /// What a sink reads back from its store.
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
/// [`SinkError::Gap`], [`SinkError::Ahead`] and [`SinkError::Foreign`], as the contract of [`Sink`] has it.
pub fn judge(last: Option<&Progress>, batch: &Batch) -> Result<Option<Applied>, SinkError> {
    let (applied, checksum) = last.map_or((0, 0), |last| (last.sequence, last.checksum));
    let statistic = || batch.statistic().to_owned();
    // Of the batch that the store has, and what that batch is in the history that is offered.
    let compare = |offered| match last {
        // Only its number is known.
        Some(last) if last.checksum == 0 => Ok(()),
        Some(last) if last.checksum != offered => {
            let (sequence, found) = (last.sequence, last.checksum);
            Err(SinkError::Foreign { statistic: statistic(), sequence, offered, found })
        }
        _ => Ok(()),
    };
    match batch.sequence {
        0 => Err(SinkError::Gap { statistic: statistic(), offered: 0, applied }),
        sequence if sequence - 1 == applied => compare(batch.predecessor).map(|()| None),
        sequence if sequence == applied => compare(batch.checksum()).map(|()| Some(Applied::Before)),
        offered if offered < applied => {
            Err(SinkError::Ahead { statistic: statistic(), offered, applied, checksum })
        }
        offered => Err(SinkError::Gap { statistic: statistic(), offered, applied }),
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
    /// The store has more than that batch. Whether it is of this history shows in the binlog.
    #[error("statistic {statistic}: batch {offered} was offered, but the store has batch {applied} already")]
    Ahead {
        /// The statistic.
        statistic: String,
        /// The sequence that was offered.
        offered: u64,
        /// The last sequence applied.
        applied: u64,
        /// The checksum of that batch, as the store remembers it.
        checksum: u64,
    },
    /// The store has another batch under this sequence: a copy of the state directory wrote it, or the state
    /// directory was restored from a backup.
    #[error(
        "statistic {statistic}: the store has batch {sequence} with checksum {found:016x}, here it has \
         {offered:016x}: another copy of this state directory has written it. {}",
        WAYS_OUT
    )]
    Foreign {
        /// The statistic.
        statistic: String,
        /// The sequence in question.
        sequence: u64,
        /// The checksum that it has in the history that was offered.
        offered: u64,
        /// The checksum that the store remembers.
        found: u64,
    },
    /// The store is at a batch whose successors the binlog no longer has: it was restored from an old backup.
    #[error(
        "statistic {statistic}: the sink is at batch {applied}, but the binlog no longer has the batches after it; \
         restore the sink or the state directory to a later state"
    )]
    TooOld {
        /// The statistic.
        statistic: String,
        /// The last sequence that the store has.
        applied: u64,
    },
    /// The store has more than the binlog ever had: the state directory is damaged, older than the store, or a copy.
    #[error(
        "statistic {statistic}: the sink has batch {applied}, but the binlog ends at {last}: the state directory is \
         damaged, older than the sink, or a copy of one that has gone on. {}",
        WAYS_OUT
    )]
    AheadOfBinlog {
        /// The statistic.
        statistic: String,
        /// The last sequence that the store has.
        applied: u64,
        /// The last sequence that the binlog has.
        last: u64,
    },
    /// The store remembers nothing of a stream of which it has acknowledged batches.
    #[error(
        "statistic {statistic}: the sink acknowledged batch {acknowledged}, but remembers nothing of source \
         {source_name}: its tables were emptied or replaced; restore them, or give the sink another name to start over"
    )]
    Emptied {
        /// The source.
        source_name: String,
        /// The statistic.
        statistic: String,
        /// The last sequence that the store has acknowledged.
        acknowledged: u64,
    },
    /// The store forgets every claim of the source.
    #[error(
        "source {source_name} was claimed {claims} times in a row, and the sink does not know of it: see whether \
         something deletes or overwrites its row in evs_writers, or has reads answered by a replica"
    )]
    Forgetful {
        /// The source.
        source_name: String,
        /// How often it was claimed without a batch being applied in between.
        claims: u32,
    },
    /// Another process has claimed the source.
    #[error(
        "source {} was taken over by {writer}: two processes write under one source name. {}",
        writer.source, WAYS_OUT
    )]
    TakenOver {
        /// That process.
        writer: Box<Writer>,
    },
    /// The store does not know that the source was claimed: it was restored from a backup, or the row is gone. The
    /// source is to be claimed again.
    #[error("the store does not know who writes source {source_name}")]
    Unclaimed {
        /// The source.
        source_name: String,
    },
}

/// What to do when two state directories were in use under one source name.
const WAYS_OUT: &str = "If this machine is a copy of another one, give it a source name and a state \
    directory of its own, begun with `cloned_from`. If the state directory was restored from a backup, remove it and \
    go on where the sink stands with `LostState::Adopt`. Otherwise stop the other process, and start this one again";

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Epoch;

    /// Counts the calls of the methods that have a default.
    #[derive(Debug, Default)]
    struct Counting {
        inner: MemorySink,
        calls: std::sync::atomic::AtomicUsize,
    }

    impl Counting {
        fn calls(&self) -> usize {
            self.calls.load(std::sync::atomic::Ordering::SeqCst)
        }

        fn count(&self) {
            self.calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }

    #[async_trait]
    impl Sink for Counting {
        fn limits(&self) -> Limits {
            self.inner.limits()
        }

        async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
            self.inner.prepare(schema).await
        }

        async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
            self.inner.progress(source).await
        }

        async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
            self.inner.begin(progress).await
        }

        async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
            self.inner.writer(source).await
        }

        async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
            self.inner.claim(writer, last).await
        }

        async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
            self.inner.apply(batch).await
        }

        async fn sweep(&self, _: &Schema, _: i64) -> Result<bool, SinkError> {
            self.count();
            Ok(true)
        }

        async fn close(&self) -> Result<(), SinkError> {
            self.count();
            Ok(())
        }

        async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
            self.inner.totals(schema, windows).await
        }
    }

    #[tokio::test]
    async fn a_boxed_sink_is_a_sink_and_forgets_no_method() {
        let counting = Arc::new(Counting::default());
        let boxed: Box<dyn Sink> = Box::new(Arc::clone(&counting));
        let schema = Schema {
            statistic: "ads".to_owned(),
            window_seconds: 60,
            keys: Vec::new(),
            measures: Vec::new(),
            retain_seconds: Some(60),
        };
        // By the impl for `Box`, not by the one of what is in it.
        assert!(Sink::sweep(&boxed, &schema, 0).await.unwrap());
        assert_eq!(counting.calls(), 1);
        Sink::close(&boxed).await.unwrap();
        assert_eq!(counting.calls(), 2);
        let writer = Writer::this_process("web1", Epoch::from_bytes([7; 16]));
        assert!(Sink::claim(&boxed, &writer, None).await.unwrap());
        let found = Sink::writer(&boxed, "web1").await.unwrap();
        assert_eq!(found.map(|found| found.token), Some(writer.token));
    }
}
