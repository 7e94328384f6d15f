//! The connection to the server, which is made when it is first used.
//!
//! Names of servers may need DNS (`mongodb+srv://`), which may be down when the program starts. So connecting is a
//! part of the first call, which is made again if it fails, and not of building the sink.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use evs_store::{Failure, StoreError};
use mongodb::{
    Client, Database,
    bson::{Document, RawDocumentBuf, doc},
    options::{
        Acknowledgment, ClientOptions, DatabaseOptions, ReadConcern, ReadPreference, SelectionCriteria,
        WriteConcern,
    },
};
use tokio::sync::OnceCell;

use crate::{
    errors::{self, failed, integer},
    monitor::Monitor,
    target::{Place, Source},
};

/// The time limit, unless the URL has one, for the confirmation of the majority. If it takes longer, members are
/// down, and the batch is offered again.
const WRITE_CONCERN_TIMEOUT: Duration = Duration::from_secs(300);

/// A generous estimate of the bytes that the driver and the server add to a command.
const COMMAND_OVERHEAD_BYTES: usize = 64 * 1024;

/// A database on a server, or on several servers that replace each other.
pub(crate) struct Server {
    place: Place,
    /// The number of commands of a batch that run at the same time.
    pool: usize,
    /// The time limit, unless the URL or the options have one, for finding a server and for the first answer on a new connection.
    connect_timeout: Duration,
    /// Made when it is needed, because names of servers may have to be resolved.
    database: OnceCell<Database>,
    limits: Mutex<Option<Limits>>,
    monitor: Monitor,
}

/// The limits of a command, as the server reports them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The number of statements.
    pub(crate) statements_max: usize,
    /// The number of bytes of all statements together.
    pub(crate) statements_bytes_max: usize,
}

impl Server {
    /// A server that is connected when it is first used.
    pub(crate) fn new(place: Place, connect_timeout: Duration, pool: usize) -> Self {
        let (database, limits, monitor) = (OnceCell::new(), Mutex::default(), Monitor::default());
        Self { place, pool, connect_timeout, database, limits, monitor }
    }

    /// The name of the database.
    pub(crate) fn database_name(&self) -> &str {
        &self.place.database
    }

    /// The number of commands of a batch that run at the same time.
    pub(crate) fn pool(&self) -> usize {
        self.pool
    }

    /// The secrets, which must not be shown.
    pub(crate) fn secrets(&self) -> &[String] {
        self.place.secrets.all()
    }

    /// The database. The driver connects, and connects again, by itself.
    pub(crate) async fn database(&self) -> Result<&Database, Failure> {
        self.database.get_or_try_init(|| self.open()).await
    }

    async fn open(&self) -> Result<Database, Failure> {
        let options = match &self.place.source {
            Source::Client(client) => return Ok(self.database_of(client)),
            Source::Options(options) => (**options).clone(),
            Source::Url(parsed) => ClientOptions::parse((**parsed).clone()).await.map_err(failed)?,
        };
        let client = Client::with_options(self.completed(options)).map_err(|error| {
            // The files of certificates are read here, and may be missing or invalid.
            StoreError::permanent(errors::sort(&error).message)
        })?;
        Ok(self.database_of(&client))
    }

    /// The options of a client of evs's own.
    fn completed(&self, mut options: ClientOptions) -> ClientOptions {
        options.server_selection_timeout.get_or_insert(self.connect_timeout);
        options.connect_timeout.get_or_insert(self.connect_timeout);
        options.max_pool_size.get_or_insert(u32::try_from(self.pool).unwrap_or(u32::MAX));
        options.app_name.get_or_insert_with(|| "evs".to_owned());
        options.sdam_event_handler.get_or_insert_with(|| self.monitor.handler());
        options
    }

    /// The database with what evs relies on, whatever the settings of the client are. Reads go to the primary: only
    /// the member that applies a batch knows whether it was applied. They are local there: a write that is not yet
    /// confirmed by the majority counts, too, since it must not be repeated.
    fn database_of(&self, client: &Client) -> Database {
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let options =
            DatabaseOptions::builder().selection_criteria(primary).read_concern(ReadConcern::local()).build();
        client.database_with_options(&self.place.database, options)
    }

    /// Looks for the server for at most `patience`. A server that is down is no error; a permanent error is.
    pub(crate) async fn check(&self, patience: Duration) -> Result<(), StoreError> {
        let ping = async { self.run(doc! { "ping": 1 }).await.map(drop) };
        match tokio::time::timeout(patience, ping).await {
            Ok(Err(Failure::Store(error))) if !error.is_transient() => return Err(error),
            Ok(Ok(())) => return Ok(()),
            // The server is down, or the time was up.
            Ok(Err(_)) | Err(_) => {}
        }
        self.monitor.distrust().map_or(Ok(()), Err)
    }

    /// Adds to an error what the monitors have observed.
    pub(crate) fn explain(&self, error: StoreError) -> StoreError {
        self.monitor.explain(error, self.place.has_tls)
    }

    /// Runs a command on the primary, once.
    pub(crate) async fn run(&self, command: Document) -> Result<Document, Failure> {
        self.database().await?.run_command(command).await.map_err(failed)
    }

    /// Runs a command of updates or inserts. A reply that says Ok can still contain errors.
    pub(crate) async fn write(&self, command: RawDocumentBuf) -> Result<Document, Failure> {
        self.database().await?.run_raw_command(command).await.map_err(failed)
    }

    /// The write concern of every write: no failover and no power cut can take it back.
    ///
    /// It has a time limit, since a server would wait for members that are down for longer than any caller waits.
    pub(crate) fn write_concern(&self) -> Document {
        let WriteConcern { w, w_timeout, .. } = self.place.write_concern.clone();
        let w = match w {
            Some(Acknowledgment::Custom(name)) => name,
            _ => "majority".to_owned(),
        };
        let timeout = w_timeout.unwrap_or(WRITE_CONCERN_TIMEOUT).as_millis();
        doc! { "w": w, "j": true, "wtimeout": i32::try_from(timeout).unwrap_or(i32::MAX) }
    }

    /// The limits of a command, as the server reports them.
    pub(crate) async fn limits(&self) -> Result<Limits, Failure> {
        let known = *self.lock_limits();
        if let Some(limits) = known {
            return Ok(limits);
        }
        let database = self.database().await?;
        let hello = match database.run_command(doc! { "hello": 1 }).await {
            // Before 4.4.2.
            Err(error) if errors::code(&error) == Some(errors::COMMAND_NOT_FOUND) => {
                database.run_command(doc! { "isMaster": 1 }).await.map_err(failed)?
            }
            answer => answer.map_err(failed)?,
        };
        let limits = Limits::of(&hello).ok_or_else(|| {
            StoreError::transient(format!("the server does not say how much a command holds: {hello}"))
        })?;
        *self.lock_limits() = Some(limits);
        Ok(limits)
    }

    /// Forgets the limits after an error, because the next server may be another one.
    pub(crate) fn forget_limits(&self) {
        *self.lock_limits() = None;
    }

    fn lock_limits(&self) -> std::sync::MutexGuard<'_, Option<Limits>> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limits {
    fn of(hello: &Document) -> Option<Self> {
        let limit = |name| integer(hello, name).and_then(|limit| usize::try_from(limit).ok());
        let message = limit("maxMessageSizeBytes")?.min(limit("maxBsonObjectSize")?);
        Some(Self {
            statements_max: limit("maxWriteBatchSize")?.max(1),
            statements_bytes_max: message.saturating_sub(COMMAND_OVERHEAD_BYTES),
        })
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { hosts, database, .. } = &self.place;
        f.debug_struct("Server").field("hosts", hosts).field("database", database).finish()
    }
}
