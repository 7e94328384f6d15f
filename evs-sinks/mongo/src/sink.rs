//! The sink: each call is one attempt.

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use evs_core::{Applied, Batch, Limits, Progress, Rows, Schema, SinkError, Writer, judge};
use evs_store::{Failure, Store, StoreError, Stored, Tables, Words, forward_sink};
use mongodb::{
    Client,
    bson::{RawDocumentBuf, doc},
    options::ClientOptions,
};

use crate::{
    builder::MongoSinkBuilder,
    bulk::Bulk,
    checkpoint::{Checkpoint, Checkpoints},
    errors::failed,
    fields::Fields,
    known::Known,
    names::MARKS,
    novelty::Novelty,
    prepare, progress,
    rows::{self, Stream},
    server::Server,
    target::Target,
    writers,
};

/// A MongoDB database as a [`Sink`](evs_core::Sink).
///
/// Needs a tokio runtime with its timer and network.
///
/// ```no_run
/// # mod evs { pub use evs_core::*; pub use evs_mongo::{self as mongo, MongoSink}; }
/// # async fn example() -> Result<(), evs::SinkError> {
/// use std::time::Duration;
///
/// use evs::MongoSink;
///
/// let sink = MongoSink::builder("mongodb+srv://evs:password@cluster.example.com/stats")
///     .create(false)                          // somebody else creates collections and indexes
///     .timeout(Duration::from_secs(5))        // for finding a server
///     .pool(8)                                // commands of a batch at once
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MongoSink(pub(crate) Stored<MongoStore>);

forward_sink!(MongoSink);

/// The implementation of a store for MongoDB.
#[derive(Debug)]
pub(crate) struct MongoStore {
    pub(crate) server: Server,
    create: bool,
    /// The statistics whose collections have been checked.
    known: Tables<Known>,
    pub(crate) checkpoints: Checkpoints,
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

    /// A builder for a sink on the database that `url` names, with settings that a URL cannot have.
    pub fn builder(url: impl Into<String>) -> MongoSinkBuilder {
        MongoSinkBuilder::new(Target::Url(url.into()))
    }

    /// A builder for a sink on the default database of the driver's options, `default_database`.
    ///
    /// evs overrides what it relies on: all reads go to the primary, and all writes wait until the journals of a
    /// majority have them. A name as the write concern (a custom one of the replica set) and a `w_timeout` are kept;
    /// [`connect`](MongoSinkBuilder::connect) refuses a number and `journal: false`. Everything else is as the options
    /// say. A handler of SDAM events is kept, too; evs then knows less about why no server is found.
    ///
    /// ```no_run
    /// # mod evs { pub use evs_core::*; pub use evs_mongo::{self as mongo, MongoSink}; }
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use evs::{MongoSink, mongo::mongodb::options::ClientOptions};
    ///
    /// let mut options = ClientOptions::parse("mongodb://localhost:27017/stats").await?;
    /// options.app_name = Some("reports".to_owned());
    /// let sink = MongoSink::from_options(options).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_options(options: ClientOptions) -> MongoSinkBuilder {
        MongoSinkBuilder::new(Target::Options(Box::new(options)))
    }

    /// A builder for a sink on a database of a client, whose connections the sink shares with the host: a client is
    /// the driver's pool.
    ///
    /// Nothing that evs relies on belongs to a connection: it asks for the primary and for the confirmation of the
    /// majority with each command, so the client keeps its settings for other users. A write concern of the client is
    /// treated as in [`from_options`](Self::from_options). The client's own time limits apply in the place of
    /// [`timeout`](MongoSinkBuilder::timeout), and its `max_pool_size` besides [`pool`](MongoSinkBuilder::pool).
    ///
    /// ```no_run
    /// # mod evs { pub use evs_core::*; pub use evs_mongo::{self as mongo, MongoSink}; }
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use evs::{MongoSink, mongo::mongodb::Client};
    ///
    /// let client = Client::with_uri_str("mongodb://localhost:27017").await?;
    /// let sink = MongoSink::from_client(&client, "stats").connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_client(client: &Client, database: impl Into<String>) -> MongoSinkBuilder {
        MongoSinkBuilder::new(Target::Client(client.clone(), database.into()))
    }
}

impl MongoStore {
    /// A store that connects when it is first used.
    pub(crate) fn new(server: Server, create: bool) -> Self {
        Self { server, create, known: Tables::new(), checkpoints: Checkpoints::default() }
    }

    /// The data about a statistic whose collection has been checked.
    async fn statistic(&self, schema: &Schema) -> Result<Arc<Known>, Failure> {
        let check = async {
            prepare::check_known(&self.server, schema).await?;
            Ok(Known { fields: Fields::new(schema)?, novelty: Novelty::new() })
        };
        self.known.checked(schema, check).await
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
        // A batch without rows moves the progress alone. It needs no collection, which the store may be unable to make.
        let known = match batch.rows.is_empty() {
            true => None,
            false => Some(self.statistic(&batch.schema).await?),
        };
        if let Some(known) = &known {
            rows::check(&known.fields, &batch.rows)?;
        }
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
        if let Some(known) = &known {
            let stream = Stream::of(batch)?;
            Bulk::new(&self.server, known, &stream, &self.checkpoints)?.apply(batch).await?;
        }
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
