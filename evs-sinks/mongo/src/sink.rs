//! The sink: each call is one attempt.

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use evs_core::{Applied, Batch, Limits, Progress, Rows, Schema, SinkError, Writer, judge};
use evs_store::{Failure, Store, StoreError, Stored, Tables, Words, forward_sink};
use mongodb::bson::{RawDocumentBuf, doc};

use crate::{
    bulk::Bulk,
    errors::failed,
    fields::Fields,
    names::MARKS,
    novelty::Novelty,
    prepare, progress,
    rows::{self, Stream},
    server::Server,
    url, writers,
};

/// The time for which [`MongoSinkBuilder::connect`] looks for a server, which may be down.
const PATIENCE: Duration = Duration::from_secs(3);

/// A MongoDB database as a [`Sink`](evs_core::Sink).
///
/// Needs a tokio runtime with its timer and network.
#[derive(Debug)]
pub struct MongoSink(pub(crate) Stored<MongoStore>);

forward_sink!(MongoSink);

/// The implementation of a store for MongoDB.
#[derive(Debug)]
pub(crate) struct MongoStore {
    server: Server,
    create: bool,
    /// The statistics whose collections have been checked.
    known: Tables<Known>,
    pub(crate) checkpoints: Checkpoints,
}

/// A statistic whose collection has been checked.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) fields: Fields,
    pub(crate) novelty: Novelty,
}

/// Settings that a connection string cannot have. Made by [`MongoSink::builder`].
#[derive(Clone)]
#[must_use]
pub struct MongoSinkBuilder {
    url: String,
    create: bool,
    timeout: Duration,
}

impl MongoSink {
    /// The default of [`MongoSinkBuilder::timeout`].
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// A sink for the database that `url` names, as `mongodb://user:password@host:27017/stats` or
    /// `mongodb+srv://…`, with the options of
    /// [connection strings](https://www.mongodb.com/docs/manual/reference/connection-string-options/).
    ///
    /// # Errors
    ///
    /// The errors of [`MongoSinkBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self, SinkError> {
        Self::builder(url).connect().await
    }

    /// A sink for the database that `url` names, with settings that a URL cannot have.
    pub fn builder(url: impl Into<String>) -> MongoSinkBuilder {
        MongoSinkBuilder { url: url.into(), create: true, timeout: Self::TIMEOUT }
    }
}

impl MongoStore {
    /// The data about a statistic whose collection has been checked.
    async fn statistic(&self, schema: &Schema) -> Result<Arc<Known>, Failure> {
        let check = async {
            prepare::check_known(&self.server, schema).await?;
            Ok(Known { fields: Fields::new(schema)?, novelty: Novelty::new() })
        };
        self.known.checked(schema, check).await
    }
}

impl MongoSinkBuilder {
    /// Sets whether evs creates collections and indexes (the default), or only checks that they exist.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Sets the time limit for finding a server and for the first answer on a new connection, unless the URL has one:
    /// 10 seconds by default. [`MongoSinkBuilder::connect`] looks for 3 seconds at most. The caller limits the
    /// duration of a call; in a pipeline that is `sink_timeout`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes the sink, and looks for the server for a moment. A server that is down is no error: the sink connects
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
        let (known, checkpoints) = (Tables::new(), Checkpoints::default());
        let sink = Stored::new(MongoStore { server, create, known, checkpoints });
        let server = &sink.store().server;
        let what = || format!("cannot connect to the database {}", server.database_name());
        let check = async { Ok(server.check(PATIENCE.min(timeout)).await?) };
        sink.attempt(what, check).await?;
        Ok(MongoSink(sink))
    }
}

/// Omits the URL, which may contain a password.
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
impl Store for MongoStore {
    const WORDS: Words = Words::COLLECTIONS;

    fn limits(&self) -> Limits {
        let totals = -crate::decimal::MAX..=crate::decimal::MAX;
        Limits::default().windows(rows::WINDOWS).sums(totals).keys_bytes_max(rows::KEYS_BYTES_MAX)
    }

    fn secrets(&self) -> &[String] {
        self.server.secrets()
    }

    fn forget(&self, statistic: &str) {
        self.known.forget(statistic);
    }

    fn explain(&self, error: StoreError) -> StoreError {
        self.server.explain(error)
    }

    /// Forgets the limits of the server: the next one may be another.
    fn failed(&self, _: Option<&Failure>) {
        self.server.forget_limits();
    }

    async fn prepare_once(&self, schema: &Schema) -> Result<(), Failure> {
        prepare::statistic(&self.server, schema, self.create).await
    }

    async fn progress_once(&self, source: &str) -> Result<Vec<Progress>, Failure> {
        progress::of_source(&self.server, source).await
    }

    async fn begin_once(&self, progress: &Progress) -> Result<(), Failure> {
        progress::insert(&self.server, progress).await.map(drop)
    }

    async fn writer_once(&self, source: &str) -> Result<Option<Writer>, Failure> {
        writers::of_source(&self.server, source).await
    }

    async fn claim_once(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, Failure> {
        writers::claim(&self.server, writer, last).await
    }

    /// Adds the rows first, and then moves the progress. Each step can be repeated, and none begins before the step
    /// before it is on the disks of the majority.
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
        // The marks are not needed here, and are left out.
        let mut cursor =
            collection.find(filter).projection(doc! { MARKS.as_str(): 0 }).await.map_err(failed)?;
        let mut found = Vec::new();
        while cursor.advance().await.map_err(failed)? {
            found.push(cursor.current().to_owned());
        }
        Ok(rows::read(fields, &found)?)
    }
}

/// The points at which tests make an attempt to apply a batch fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Checkpoint {
    /// The given number of rows was added.
    #[cfg_attr(not(test), expect(dead_code))]
    Rows(usize),
    /// All rows were added.
    AllRows,
    /// The progress was moved.
    Progress,
}

/// The fault that happens at a checkpoint. Outside of tests there is none.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    #[cfg(test)]
    pub(crate) fault: std::sync::Mutex<Option<evs_core::Fault>>,
}

impl Checkpoints {
    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps)]
    pub(crate) fn reached(&self, _: Checkpoint) -> Result<(), Failure> {
        Ok(())
    }

    /// Fails once if the fault is for this point.
    #[cfg(test)]
    pub(crate) fn reached(&self, checkpoint: Checkpoint) -> Result<(), Failure> {
        use std::sync::PoisonError;

        use evs_core::Fault;

        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let due = match (*fault, checkpoint) {
            (Some(Fault::Rows(after)), Checkpoint::Rows(written)) => written >= after,
            (Some(Fault::Commit), Checkpoint::AllRows) | (Some(Fault::Answer), Checkpoint::Progress) => true,
            _ => false,
        };
        if due {
            *fault = None;
            return Err(StoreError::transient("fault on demand").into());
        }
        Ok(())
    }
}
