//! A sink, once, over what each store does in its own way.

use std::{fmt, ops::Range};

use async_trait::async_trait;
use evs_core::{Applied, Batch, Limits, Progress, Rows, Schema, Sink, SinkError, Writer};

use crate::{
    error::{Failure, StoreError},
    secrets::strike,
    words::Words,
};

/// What a store does in its own way. Each `*_once` method is the method of [`Sink`] with that name, and keeps its
/// contract: it tries once, and may be dropped at any point.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// How messages call the store's tables and rows.
    const WORDS: Words;

    /// As [`Sink::limits`].
    fn limits(&self) -> Limits;

    /// What must never be shown, in all the forms it has, the longest first. It is struck out of everything that the
    /// database says.
    fn secrets(&self) -> &[String];

    /// Has a statistic's table checked again when it is next needed, see [`Tables`](crate::Tables).
    fn forget(&self, statistic: &str);

    /// Adds to an error what the store knows beyond the database's own words.
    fn explain(&self, error: StoreError) -> StoreError {
        error
    }

    /// Is told of each attempt that failed, or that was dropped before its end (`None`): the time to let go of what may
    /// be the reason. It must not block.
    fn failed(&self, failure: Option<&Failure>) {
        let _ = failure;
    }

    /// As [`Sink::prepare`].
    async fn prepare_once(&self, schema: &Schema) -> Result<(), Failure>;

    /// As [`Sink::progress`].
    async fn progress_once(&self, source: &str) -> Result<Vec<Progress>, Failure>;

    /// As [`Sink::begin`].
    async fn begin_once(&self, progress: &Progress) -> Result<(), Failure>;

    /// As [`Sink::writer`].
    async fn writer_once(&self, source: &str) -> Result<Option<Writer>, Failure>;

    /// As [`Sink::claim`].
    async fn claim_once(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, Failure>;

    /// As [`Sink::apply`].
    async fn apply_once(&self, batch: &Batch) -> Result<Applied, Failure>;

    /// As [`Sink::sweep`]. For stores whose rows expire by themselves there is nothing to do.
    async fn sweep_once(&self, schema: &Schema, before: i64) -> Result<bool, Failure> {
        let _ = (schema, before);
        Ok(false)
    }

    /// As [`Sink::close`].
    async fn close_once(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// As [`Sink::totals`].
    async fn totals_once(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, Failure>;
}

/// A [`Store`] as a [`Sink`].
#[derive(Debug)]
pub struct Stored<S>(S);

impl<S: Store> Stored<S> {
    /// A sink over that store.
    pub fn new(store: S) -> Self {
        Self(store)
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.0
    }

    /// The store, to change its settings.
    pub fn into_store(self) -> S {
        self.0
    }

    /// Runs `work`, and makes of its failure what a sink returns; `what` says what was tried. Every error of the
    /// database passes through here.
    ///
    /// # Errors
    ///
    /// Those of `work`.
    pub async fn attempt<T>(
        &self,
        what: impl FnOnce() -> String + Send,
        work: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, SinkError> {
        // Declared before `work` is awaited, so that a dropped call has dropped its work when the store is told.
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

/// Tells the store of an attempt that was dropped before its end.
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

/// Has a statistic's table checked again by the next batch, unless this one is applied: the table may have been changed
/// by hand. The next attempt looks at it again, and says so.
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
