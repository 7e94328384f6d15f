//! The interface between a pipeline and a store: the trait [`Sink`], its contract and its errors.
//!
//! A pipeline cuts batches and writes them to its binlog. Then it offers them to each sink, one at a time per
//! statistic, until the sink has acknowledged them. The store keeps a [`Progress`] for each stream of batches, in the
//! same transaction as the rows where it can. By it, a batch that is offered twice is applied once.

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
    position::Frontier,
    statistic::Schema,
};

/// A store to which batches are applied.
///
/// # Contract
///
/// * Once: if the batch is the one that was applied last, `apply` changes nothing and returns [`Applied::Before`]. If
///   it has the same sequence but another checksum, `apply` returns [`SinkError::Foreign`]. If it is older, `apply`
///   changes nothing either and returns [`SinkError::Ahead`]: the store remembers only the last checksum, so only the
///   caller can tell whether the batch is of the same history.
/// * Whole: after `Ok` all rows of the batch are counted, durably. After `Err` the caller assumes nothing and offers
///   the batch again.
/// * In order: for each source and statistic there is one call at a time, by sequence. A batch that does not directly
///   follow the last one applied is [`SinkError::Gap`] and changes nothing. A stream that the store does not know
///   begins with sequence 1, or after the progress that [`Sink::begin`] has set.
/// * One history: if the batch is the next one, but its [`Batch::predecessor`] is not the checksum of the last batch
///   applied, it is [`SinkError::Foreign`] and changes nothing. [`judge`] decides all the cases so far for a sink.
/// * One writer: a batch that names a [`Batch::writer`] is applied only if that writer was the last to claim the
///   source with [`Sink::claim`]. Otherwise [`Writer::check`] returns the error. A store with transactions compares
///   the two writers in the transaction of the batch. A store without them compares before it adds anything; there, a
///   batch that is under way while another process claims the source may still be applied.
/// * Adding: the store merges rows into the ones that it holds by [`MeasureKind::merge`](crate::MeasureKind::merge).
///   Several sources and epochs add to the same rows. Keys that differ in a byte are different rows.
/// * Exact: if the store cannot hold a value to the last digit, or a sum would overflow, `apply` returns
///   [`SinkError::Refused`] and the batch changes nothing.
/// * A single attempt: a call does not retry. The caller sets the deadline by dropping the call, whichever method it
///   is; a dropped call may or may not have taken effect. Retry and back-off belong to the caller, too.
///
/// The module `conformance` (feature of the same name) holds the tests of this contract. `examples/custom_sink.rs` in
/// the repository shows a whole sink and how it runs those tests.
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
    /// Returns the limits of the store. The pipeline rejects a line that does not fit when it reads the line. A batch
    /// may still not fit, since it was cut before this store was added; then `apply` returns [`SinkError::Refused`].
    fn limits(&self) -> Limits;

    /// Creates the storage for batches of `schema`, or checks it if it exists. The pipeline calls this before a
    /// schema's first batch and may call it again at any time.
    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError>;

    /// Returns the progress that the store remembers for `source`, one entry per epoch and statistic. If the store
    /// was never used, the list is empty; that is not an error.
    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError>;

    /// Sets the progress of a stream that the store does not know, so that the first batch it takes is the one after
    /// `progress`. Changes nothing if the store knows the stream.
    async fn begin(&self, progress: &Progress) -> Result<(), SinkError>;

    /// Returns the process that was the last to claim `source`. `None`, and not an error, if no process has claimed
    /// it or the store was never used.
    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError>;

    /// Makes `writer` the process that writes its source, provided that `last` still is the stored one: it compares
    /// their tokens, and changes nothing if they differ. Returns whether `writer` has the source now.
    ///
    /// The claim is durable, and all later calls of [`Sink::apply`] see it. This method creates the storage that it
    /// needs.
    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError>;

    /// Applies one batch.
    ///
    /// # Cancel safety
    ///
    /// If the call is dropped at any point, the batch may or may not have been applied, as after an error. The
    /// pipeline offers it again.
    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError>;

    /// Removes rows whose windows start before `before`, and returns whether there may be more. One call removes only
    /// so many rows that batches do not wait for long.
    ///
    /// The pipeline calls this from time to time for statistics with a retention, until it returns `false`. A store
    /// that lets rows expire by [`Schema::retain_seconds`] has nothing to do here.
    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        let _ = (schema, before);
        Ok(false)
    }

    /// Tidies up after a run: the pipeline calls this when the run has ended and the sink has applied all its
    /// batches. A sink can put its files in order here. Nothing may depend on it, since a process that is killed
    /// never calls it.
    ///
    /// Others may still use the sink, and later calls work as before.
    ///
    /// # Cancel safety
    ///
    /// The same as for [`Sink::apply`].
    async fn close(&self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Returns the rows of a statistic whose windows start within `windows`, merged over all sources, in the order of
    /// window and keys.
    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError>;
}

/// Implements [`Sink`] for a pointer to a sink. The lint makes a forgotten method an error: otherwise the trait's
/// default would take its place and silently do nothing.
macro_rules! forward_to_pointee {
    ($pointer:ident) => {
        /// A service that chooses its sink at run time can pass a pointer.
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

/// The effect of a call of [`Sink::apply`] that returned `Ok`.
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

/// Decides about `batch` for a store whose progress is `last`. `Ok(None)` tells the sink to add the batch;
/// `Ok(Some(_))` is the result to return, since there is nothing to add.
///
/// For example, for a store that has applied batch 7, batch 8 is to be added, batch 7 was applied before, batch 9 is
/// a [`SinkError::Gap`], and batch 6 is [`SinkError::Ahead`].
///
/// A sink calls this where nobody else can change the progress meanwhile, for example in the transaction that applies
/// the batch.
///
/// # Errors
///
/// [`SinkError::Gap`], [`SinkError::Ahead`] or [`SinkError::Foreign`], by the contract of [`Sink`].
pub fn judge(last: Option<&Progress>, batch: &Batch) -> Result<Option<Applied>, SinkError> {
    let (applied, checksum) = last.map_or((0, 0), |last| (last.sequence, last.checksum));
    let statistic = || batch.statistic().to_owned();
    // Compares the checksum of the store's last batch with the checksum that batch has in the offered history.
    let compare = |offered| match last {
        // The store knows only the sequence of its last batch, so there is nothing to compare.
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

/// A sink could not do what the pipeline asked for.
///
/// Messages and causes never contain a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// A failure that passes: the store is away or busy, or a transaction was lost. The pipeline makes the same call
    /// again later.
    #[error("{what}")]
    Unavailable {
        /// The action that failed.
        what: String,
        /// The error of the store, unchanged.
        source: Cause,
    },
    /// A failure that does not pass by itself: missing access, a table of another shape, or a value that does not
    /// fit.
    #[error("{what}")]
    Refused {
        /// The action that failed and the way out.
        what: String,
        /// The error of the store, if the store refused and not evs.
        source: Option<Cause>,
    },
    /// The batch is not the next one: the store has applied the batches up to `applied`.
    #[error("statistic {statistic}: batch {offered} was offered, but the store is at {applied}")]
    Gap {
        /// The statistic.
        statistic: String,
        /// The sequence that was offered.
        offered: u64,
        /// The last sequence applied; 0 if the store does not know the stream.
        applied: u64,
    },
    /// The store has already applied a later batch. The binlog tells whether that batch is of the same history.
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
    /// The store has another batch under this sequence. Either a copy of the state directory wrote that batch, or
    /// this state directory was restored from a backup.
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
        /// The checksum of that batch in the history that was offered.
        offered: u64,
        /// The checksum that the store remembers.
        found: u64,
    },
    /// The store stands at a batch, but the binlog no longer has the batches after it: the store was restored from an
    /// old backup.
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
    /// The store has more batches than the binlog ever had: the state directory is damaged, older than the store, or
    /// a copy.
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
    /// The store does not know a stream although it has acknowledged batches of it.
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
    /// The store loses every claim of the source.
    #[error(
        "source {source_name} was claimed {claims} times in a row, and the sink does not know of it: see whether \
         something deletes or overwrites its row in evs_writers, or has reads answered by a replica"
    )]
    Forgetful {
        /// The source.
        source_name: String,
        /// The number of claims since the last batch was applied.
        claims: u32,
    },
    /// Another process has claimed the source.
    #[error(
        "source {} was taken over by {writer}: two processes write under one source name. {}",
        writer.source, WAYS_OUT
    )]
    TakenOver {
        /// The process that has claimed the source.
        writer: Box<Writer>,
    },
    /// The store does not know that the source was claimed: it was restored from a backup, or the row was removed.
    /// The pipeline has to claim the source again.
    #[error("the store does not know who writes source {source_name}")]
    Unclaimed {
        /// The source.
        source_name: String,
    },
}

/// The ways out when two state directories were in use under one source name.
const WAYS_OUT: &str = "If this machine is a copy of another one, give it a source name and a state \
    directory of its own, begun with `cloned_from`. If the state directory was restored from a backup, remove it and \
    go on where the sink stands with `LostState::Adopt`. Otherwise stop the other process, and start this one again";

impl SinkError {
    /// Makes an error that passes: [`SinkError::Unavailable`].
    pub fn unavailable(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Unavailable { what: what.into(), source: source.into() }
    }

    /// Makes an error that does not pass and that evs itself has found: [`SinkError::Refused`] without a cause.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), source: None }
    }

    /// Makes an error that does not pass and that the store reported: [`SinkError::Refused`] with the store's error.
    pub fn refused_by(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Refused { what: what.into(), source: Some(source.into()) }
    }

    /// Returns whether the same call may succeed later, without anybody's help.
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
        // This calls the impl for `Box`, not the one of the sink in the box.
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
