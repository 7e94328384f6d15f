//! The one implementation of `Sink` for all stores, over the trait that each store implements.

use std::{fmt, ops::Range};

use async_trait::async_trait;
use evs_core::{Applied, Batch, Limits, Progress, Rows, Schema, Sink, SinkError, Writer};

use crate::{
    error::{Failure, StoreError},
    secrets::strike,
    words::Words,
};

/// The part of a sink that differs between stores.
///
/// Each `*_once` method is the method of [`Sink`] with that name, and keeps its contract. It tries once, and its
/// future may be dropped at any point.
///
/// A store that needs to clean up after an error does it in [`failed`](Self::failed), and not after each `await`:
/// that method is also called if the future is dropped, for example at a deadline, when no code after the `await`
/// runs any more.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The words for tables and rows in messages of this store.
    const WORDS: Words;

    /// See [`Sink::limits`].
    fn limits(&self) -> Limits;

    /// The secrets in all their forms (plain and percent-encoded, for example), the longest first. They are removed
    /// from every message of the database.
    fn secrets(&self) -> &[String];

    /// Forgets that a statistic's table was checked, so that it is checked again when it is next needed: see
    /// [`Tables`](crate::Tables).
    fn forget(&self, statistic: &str);

    /// Adds to an error what this store knows and the database's message does not say, such as a hint at a missing
    /// option.
    fn explain(&self, error: StoreError) -> StoreError {
        error
    }

    /// Called after each attempt that failed, or that was dropped before its end (`None`). The store can then discard
    /// whatever may have caused it, such as a connection. It must not block.
    fn failed(&self, failure: Option<&Failure>) {
        let _ = failure;
    }

    /// See [`Sink::prepare`].
    async fn prepare_once(&self, schema: &Schema) -> Result<(), Failure>;

    /// See [`Sink::progress`].
    async fn progress_once(&self, source: &str) -> Result<Vec<Progress>, Failure>;

    /// See [`Sink::begin`].
    async fn begin_once(&self, progress: &Progress) -> Result<(), Failure>;

    /// See [`Sink::writer`].
    async fn writer_once(&self, source: &str) -> Result<Option<Writer>, Failure>;

    /// See [`Sink::claim`].
    async fn claim_once(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, Failure>;

    /// See [`Sink::apply`].
    async fn apply_once(&self, batch: &Batch) -> Result<Applied, Failure>;

    /// See [`Sink::sweep`]. The default does nothing: it is for stores whose rows expire by themselves.
    async fn sweep_once(&self, schema: &Schema, before: i64) -> Result<bool, Failure> {
        let _ = (schema, before);
        Ok(false)
    }

    /// See [`Sink::close`]. The default does nothing.
    async fn close_once(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// See [`Sink::totals`].
    async fn totals_once(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, Failure>;
}

/// A [`Store`] as a [`Sink`].
///
/// It is a type of its own and not an implementation of [`Sink`] for every [`Store`], so that a crate can wrap it in
/// a public type and keep its store private: see [`forward_sink!`](crate::forward_sink).
#[derive(Debug)]
pub struct Stored<S>(S);

impl<S: Store> Stored<S> {
    /// Makes a sink of a store.
    pub fn new(store: S) -> Self {
        Self(store)
    }

    /// The store inside the sink.
    pub fn store(&self) -> &S {
        &self.0
    }

    /// Runs `work` and turns its failure into the error of a sink; `what` describes the attempt. Every error of the
    /// database passes through here, so secrets are removed in one place.
    ///
    /// # Errors
    ///
    /// Those of `work`.
    pub async fn attempt<T>(
        &self,
        what: impl FnOnce() -> String + Send,
        work: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, SinkError> {
        // Declared before `work` is awaited: when the call is dropped, `work` is dropped first, and the store is told
        // after that.
        let mut unfinished = Unfinished { store: &self.0, is_running: true };
        let answer = work.await;
        unfinished.is_running = false;
        answer.map_err(|failure| {
            self.0.failed(Some(&failure));
            match failure {
                Failure::Sink(error) => error,
                Failure::Store(error) => {
                    let mut error = self.0.explain(error);
                    error.message = strike(&error.message, self.0.secrets());
                    error.into_sink_error(what())
                }
            }
        })
    }
}

/// Tells the store about an attempt that was dropped before its end.
struct Unfinished<'s, S: Store> {
    store: &'s S,
    is_running: bool,
}

impl<S: Store> Drop for Unfinished<'_, S> {
    fn drop(&mut self) {
        if self.is_running {
            self.store.failed(None);
        }
    }
}

/// Makes the next batch check the statistic's table again, unless this batch is applied. The table may have been
/// changed by hand; the next attempt then finds the reason and reports it.
struct Doubt<'s, S: Store> {
    store: &'s S,
    statistic: &'s str,
    is_applied: bool,
}

impl<S: Store> Drop for Doubt<'_, S> {
    fn drop(&mut self) {
        if !self.is_applied {
            self.store.forget(self.statistic);
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store> Sink for Stored<S> {
    fn limits(&self) -> Limits {
        self.0.limits()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        let table = S::WORDS.table;
        let what = || format!("statistic {}: the {table} cannot be made ready", schema.statistic);
        self.attempt(what, self.0.prepare_once(schema)).await
    }

    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        let what = || format!("the progress of source {source} cannot be read");
        self.attempt(what, self.0.progress_once(source)).await
    }

    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        let Progress { source, statistic, .. } = progress;
        let what = || format!("statistic {statistic}: the progress of source {source} cannot be set");
        self.attempt(what, self.0.begin_once(progress)).await
    }

    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        let what = || format!("who writes source {source} cannot be read");
        self.attempt(what, self.0.writer_once(source)).await
    }

    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        let what = || format!("source {} cannot be claimed", writer.source);
        self.attempt(what, self.0.claim_once(writer, last)).await
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        let what = || {
            let Batch { source, sequence, .. } = batch;
            format!("statistic {}: batch {sequence} of source {source} was not applied", batch.statistic())
        };
        let mut doubt = Doubt { store: &self.0, statistic: batch.statistic(), is_applied: false };
        let applied = self.attempt(what, self.0.apply_once(batch)).await?;
        doubt.is_applied = true;
        Ok(applied)
    }

    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        let what = || format!("statistic {}: old windows were not swept away", schema.statistic);
        self.attempt(what, self.0.sweep_once(schema, before)).await
    }

    async fn close(&self) -> Result<(), SinkError> {
        self.attempt(|| "the database cannot be closed".to_owned(), self.0.close_once()).await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        let what = || format!("statistic {}: the totals cannot be read", schema.statistic);
        self.attempt(what, self.0.totals_once(schema, windows)).await
    }
}
