//! The trait [`Sink`] with its contract, and its implementations for pointers to a sink.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;

use super::{
    error::SinkError,
    limits::Limits,
    progress::{Applied, Progress},
};
use crate::{
    batch::{Batch, Rows},
    statistic::Schema,
    writer::Writer,
};

/// A store to which batches are applied.
///
/// | method | called | does |
/// | --- | --- | --- |
/// | [`limits`](Sink::limits) | when the pipeline is built | tells which lines the store cannot hold |
/// | [`prepare`](Sink::prepare) | before a schema's first batch | creates or checks the table of a statistic |
/// | [`progress`](Sink::progress) | at a start, and after a surprise | tells the last batch of each stream |
/// | [`begin`](Sink::begin) | for a sink that joins later | sets the batch after which a stream begins |
/// | [`writer`](Sink::writer) | at a start | tells which process claimed the source last |
/// | [`claim`](Sink::claim) | at a start | makes this process the one that writes the source |
/// | [`apply`](Sink::apply) | for each batch, in order | adds the rows and moves the progress, both or neither |
/// | [`sweep`](Sink::sweep) | between batches, with a retention | removes old windows, a piece at a time |
/// | [`close`](Sink::close) | at the end of a run | tidies up; may do nothing |
/// | [`totals`](Sink::totals) | by programs and tests | reads rows back |
///
/// Write the methods as `async fn` in an `impl` block under `#[evs::async_trait]`. That attribute turns them into the
/// long signatures that this page shows: a pipeline holds its sinks as `Arc<dyn Sink>`, and Rust has no `async fn` in
/// a `dyn Trait`.
///
/// A first start calls `progress`, `writer`, `claim`, and then for each batch `prepare` (once for each schema) and
/// `apply`. After an error or a dropped call the same call is made again, at growing intervals.
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
///   applied, it is [`SinkError::Foreign`] and changes nothing. [`judge`](crate::judge) decides all these cases for a
///   sink.
/// * One writer: a batch that names a [`Batch::writer`] is applied only if that writer was the last to claim the
///   source with [`Sink::claim`]. Otherwise [`Writer::check`] returns the error. A store with transactions compares
///   the two writers in the transaction of the batch. A store without them compares before it adds anything; there, a
///   batch that is under way while another process claims the source may still be applied.
/// * Prepared: a batch whose schema the store was not prepared for is [`SinkError::Refused`] and changes nothing.
/// * Adding: the store merges rows into the ones that it holds by [`MeasureKind::merge`](crate::MeasureKind::merge).
///   Several sources and epochs add to the same rows. Keys that differ in a byte are different rows.
/// * Exact: if the store cannot hold a value to the last digit, or a sum would overflow, `apply` returns
///   [`SinkError::Refused`] and the batch changes nothing.
/// * Without rows: a batch may have none. It moves the progress, and needs no table: it can stand for a batch that was
///   given up because the table cannot be made.
/// * Decorated: a sink that passes batches on to another one may change their schema and rows, with
///   [`Batch::with_rows`]. It passes on each batch, and everything else as it is. The store remembers
///   [`Batch::checksum`] as the batch gives it, and computes none of its own.
/// * A single attempt: a call does not retry. The caller sets the deadline by dropping the call, whichever method it
///   is; a dropped call may or may not have taken effect. Retry and back-off belong to the caller, too.
///
/// The module `conformance` (feature of the same name) holds the tests of this contract. `examples/custom_sink.rs` in
/// the repository shows a whole sink and how it runs those tests.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{Applied, Batch, Epoch, MeasureColumn, MeasureKind, MemorySink, Rows, Schema, Sink};
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
    ///
    /// If `schema` has measures that the storage lacks, the storage gets them; [`Schema::union`] decides whether that
    /// is possible. A new measure is absent from the rows that are there. Batches and totals of all definitions for
    /// which the storage was prepared are then accepted, in any order: older batches may still wait, and another source
    /// may have another definition. A batch leaves the measures that its schema does not have as they are.
    ///
    /// A schema for which this is impossible is [`SinkError::Refused`], and nothing changes. The pipeline also calls
    /// this to find out whether a definition would be refused, before it cuts anything under it.
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
