//! The sink: one attempt a call, within its time.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use evs_core::{
    Applied, Batch, Progress, Rows, Sink, SinkError, Writer,
    sink::{self, judge},
    statistic::Schema,
};
use mongodb::bson::{RawDocumentBuf, doc};

use crate::{
    bulk::Bulk,
    errors::{Failure, ServerError},
    fields::Fields,
    names::MARKS,
    novelty::Novelty,
    prepare, progress,
    rows::{self, Stream},
    server::Server,
    url, writers,
};

/// How long [`MongoSinkBuilder::connect`] looks for a server. It may be away.
const PATIENCE: Duration = Duration::from_secs(3);

/// A MongoDB database as a [`Sink`].
///
/// Needs a tokio runtime with its timer and network.
#[derive(Debug)]
pub struct MongoSink {
    server: Server,
    create: bool,
    timeout: Duration,
    /// The statistics whose collections have been checked.
    known: Mutex<HashMap<String, Arc<Known>>>,
    pub(crate) checkpoints: Checkpoints,
}

/// A statistic whose collection has been checked.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) fields: Fields,
    pub(crate) novelty: Novelty,
}

/// What a connection string cannot say. Made by [`MongoSink::builder`].
#[derive(Clone)]
#[must_use]
pub struct MongoSinkBuilder {
    url: String,
    create: bool,
    timeout: Duration,
}

impl MongoSink {
    /// The default of [`MongoSinkBuilder::timeout`].
    pub const TIMEOUT: Duration = Duration::from_secs(300);

    /// A sink for the database that `url` names, as `mongodb://user:password@host:27017/stats` or
    /// `mongodb+srv://…`, with the options of
    /// [connection strings](https://www.mongodb.com/docs/manual/reference/connection-string-options/).
    ///
    /// # Errors
    ///
    /// As [`MongoSinkBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self, SinkError> {
        Self::builder(url).connect().await
    }

    /// A sink for the database that `url` names, with settings that a URL cannot have.
    pub fn builder(url: impl Into<String>) -> MongoSinkBuilder {
        MongoSinkBuilder { url: url.into(), create: true, timeout: Self::TIMEOUT }
    }

    /// Runs `work` within the timeout. Every error of the server passes through here.
    async fn attempt<T>(
        &self,
        what: impl FnOnce() -> String + Send,
        work: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, SinkError> {
        let done = tokio::time::timeout(self.timeout, work).await.unwrap_or_else(|_| {
            let message = format!("no answer within {:?}", self.timeout);
            Err(ServerError::transient(message).into())
        });
        done.map_err(|failure| {
            self.server.forget_limits();
            match failure {
                Failure::Sink(error) => error,
                Failure::Server(error) => self.tell(what(), error),
            }
        })
    }

    fn tell(&self, what: String, error: ServerError) -> SinkError {
        let ServerError { is_transient, message } = self.server.explain(error);
        let error = ServerError { is_transient, message: self.server.strike(&message) };
        if is_transient { SinkError::unavailable(what, error) } else { SinkError::refused_by(what, error) }
    }

    /// What is known of a schema. When it is first seen, its collection is checked: rows must not be added to one
    /// that was made for another definition, whoever forgot to ask.
    async fn statistic(&self, schema: &Schema) -> Result<Arc<Known>, Failure> {
        let known =
            self.known().get(&schema.statistic).filter(|known| known.fields.schema == *schema).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        prepare::check_known(&self.server, schema).await?;
        let known = Arc::new(Known { fields: Fields::new(schema)?, novelty: Novelty::new() });
        self.known().insert(schema.statistic.clone(), Arc::clone(&known));
        Ok(known)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows first, then the progress: each step can be taken again, and none is taken before the one in
    /// front of it is on the majority's disks.
    async fn apply_once(&self, batch: &Batch) -> Result<Applied, Failure> {
        let known = self.statistic(&batch.schema).await?;
        rows::check(&known.fields, &batch.rows)?;
        let last = progress::of_stream(&self.server, &batch.source, batch.epoch, batch.statistic());
        let last = match &batch.writer {
            None => last.await?,
            Some(writer) => {
                let claimed = writers::of_source(&self.server, &batch.source);
                let (last, claimed) = tokio::try_join!(last, claimed)?;
                writer.check(claimed.as_ref())?;
                last
            }
        };
        if let Some(applied) = judge(last.as_ref(), batch)? {
            progress::confirm(&self.server, batch).await?;
            return Ok(applied);
        }
        let stream = Stream::of(batch)?;
        Bulk::new(&self.server, &known, &stream, &self.checkpoints)?.apply(batch).await?;
        self.checkpoints.reached(Checkpoint::AllRows)?;
        let applied = progress::advance(&self.server, last.as_ref(), batch).await?;
        self.checkpoints.reached(Checkpoint::Progress)?;
        Ok(applied)
    }

    async fn totals_once(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, Failure> {
        let known = self.statistic(schema).await?;
        let fields = &known.fields;
        let Some(filter) = rows::filter(&windows) else { return Ok(rows::read(fields, &[])?) };
        let collection = self.server.database().await?.collection::<RawDocumentBuf>(&schema.statistic);
        // The marks are of no use here.
        let mut cursor = collection.find(filter).projection(doc! { MARKS.as_str(): 0 }).await?;
        let mut found = Vec::new();
        while cursor.advance().await? {
            found.push(cursor.current().to_owned());
        }
        Ok(rows::read(fields, &found)?)
    }
}

impl MongoSinkBuilder {
    /// Whether evs makes collections and indexes (the default), or only checks that they are there.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// How long a call may take before it is given up as [`SinkError::Unavailable`], connecting included;
    /// 5 minutes by default. It must be enough for the largest batch.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes the sink, and looks for the server for a moment. One that is away is no error: the sink connects
    /// when it is used.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if the URL cannot be read, names no database, or asks for less than the
    /// confirmation of the majority; if a file of certificates cannot be read; and if a server was found that
    /// does not accept the user, or whose certificate is not accepted.
    pub async fn connect(self) -> Result<MongoSink, SinkError> {
        let Self { url, create, timeout } = self;
        let server = Server::new(url::parse(&url)?, timeout);
        let (known, checkpoints) = (Mutex::default(), Checkpoints::default());
        let sink = MongoSink { server, create, timeout, known, checkpoints };
        match sink.server.check(PATIENCE.min(timeout)).await {
            Ok(()) => Ok(sink),
            Err(error) => {
                let what = format!("cannot connect to the database {}", sink.server.database_name());
                Err(sink.tell(what, error))
            }
        }
    }
}

/// Without the URL, which may have a password in it.
impl std::fmt::Debug for MongoSinkBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { create, timeout, .. } = self;
        f.debug_struct("MongoSinkBuilder")
            .field("create", create)
            .field("timeout", timeout)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Sink for MongoSink {
    fn limits(&self) -> sink::Limits {
        let totals = -crate::decimal::MAX..=crate::decimal::MAX;
        sink::Limits::default().windows(rows::WINDOWS).sums(totals).keys_bytes_max(rows::KEYS_BYTES_MAX)
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        let what = || format!("statistic {}: the collection cannot be made ready", schema.statistic);
        self.attempt(what, prepare::statistic(&self.server, schema, self.create)).await
    }

    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        let what = || format!("the progress of source {source} cannot be read");
        self.attempt(what, progress::of_source(&self.server, source)).await
    }

    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        let Progress { source, statistic, .. } = progress;
        let what = || format!("statistic {statistic}: the progress of source {source} cannot be set");
        self.attempt(what, async { progress::insert(&self.server, progress).await.map(drop) }).await
    }

    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        let what = || format!("who writes source {source} cannot be read");
        self.attempt(what, writers::of_source(&self.server, source)).await
    }

    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        let what = || format!("source {} cannot be claimed", writer.source);
        self.attempt(what, writers::claim(&self.server, writer, last)).await
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        let what = || {
            let Batch { source, sequence, .. } = batch;
            format!("statistic {}: batch {sequence} of source {source} was not applied", batch.statistic())
        };
        let answer = self.attempt(what, self.apply_once(batch)).await;
        if answer.is_err() {
            // The collection may have been changed by hand: the next attempt looks at it again, and says so.
            self.known().remove(batch.statistic());
        }
        answer
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        let what = || format!("statistic {}: the totals cannot be read", schema.statistic);
        self.attempt(what, self.totals_once(schema, windows)).await
    }
}

/// How far an attempt to apply a batch has come, where tests make it fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Checkpoint {
    /// That many rows were added.
    #[cfg_attr(not(test), expect(dead_code))]
    Rows(usize),
    /// All rows were added.
    AllRows,
    /// The progress was moved.
    Progress,
}

/// What happens at the checkpoints: nothing, outside tests.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    #[cfg(test)]
    pub(crate) fault: Mutex<Option<sink::Fault>>,
}

impl Checkpoints {
    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps)]
    pub(crate) fn reached(&self, _: Checkpoint) -> Result<(), Failure> {
        Ok(())
    }

    /// Fails, once, if the fault is of that point.
    #[cfg(test)]
    pub(crate) fn reached(&self, checkpoint: Checkpoint) -> Result<(), Failure> {
        use sink::Fault;

        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let due = match (*fault, checkpoint) {
            (Some(Fault::Rows(after)), Checkpoint::Rows(written)) => written >= after,
            (Some(Fault::Commit), Checkpoint::AllRows) | (Some(Fault::Answer), Checkpoint::Progress) => true,
            _ => false,
        };
        if due {
            *fault = None;
            return Err(ServerError::transient("fault on demand").into());
        }
        Ok(())
    }
}
