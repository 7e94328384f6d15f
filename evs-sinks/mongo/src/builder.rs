//! The settings of a sink.

use std::{fmt, time::Duration};

use evs_core::SinkError;
use evs_store::Stored;

use crate::{
    server::Server,
    sink::{MongoSink, MongoStore},
    target::Target,
};

/// The time for which [`MongoSinkBuilder::connect`] looks for a server, which may be down.
const PATIENCE: Duration = Duration::from_secs(3);

/// The default of [`MongoSinkBuilder::pool`]: while one command waits for the journal and the majority, the server
/// works on others. More are no faster.
const POOL: usize = 4;

/// The largest pool.
const POOL_MAX: usize = 100;

/// Settings of a [`MongoSink`]. The setters only store values; [`connect`](Self::connect) checks them.
///
/// ```no_run
/// # mod evs { pub use evs_core::*; pub use evs_mongo::{self as mongo, MongoSink}; }
/// # async fn example() -> Result<(), evs::SinkError> {
/// use std::time::Duration;
///
/// use evs::MongoSink;
///
/// let sink = MongoSink::builder("mongodb://localhost:27017/stats")
///     .timeout(Duration::from_secs(5))
///     .pool(8)
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct MongoSinkBuilder {
    target: Target,
    create: bool,
    timeout: Duration,
    pool: usize,
}

impl MongoSinkBuilder {
    /// The default settings for a database.
    pub(crate) fn new(target: Target) -> Self {
        Self { target, create: true, timeout: MongoSink::TIMEOUT, pool: POOL }
    }

    /// Sets whether evs creates missing collections and indexes (the default), or only checks that they exist.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Sets the time limit for finding a server and for making a connection to it, unless the URL or the options have
    /// one: 10 seconds by default. [`connect`](Self::connect) looks for 3 seconds at most. The caller limits the
    /// duration of a call; in a pipeline that is `sink_timeout`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many commands of a batch run at the same time, each on a connection of its own: 1 to 100, by default
    /// 4. It is also the size of the driver's pool, unless the URL or the options have one (`maxPoolSize`).
    pub fn pool(mut self, connections: usize) -> Self {
        self.pool = connections;
        self
    }

    /// Makes the sink, and looks for the server for a moment. A server that is down is no error: the sink connects
    /// when it is used.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if the URL cannot be read, names no database, or asks for less than the
    /// confirmation of the majority; if a setting is out of its range; if a file of certificates cannot be read; and
    /// if a server was found that does not accept the user, or whose certificate is not accepted.
    pub async fn connect(self) -> Result<MongoSink, SinkError> {
        let Self { target, create, timeout, pool } = self;
        if !(1..=POOL_MAX).contains(&pool) {
            return Err(SinkError::refused(format!("pool: {pool} is not one of 1 to {POOL_MAX}")));
        }
        let server = Server::new(target.checked()?, timeout, pool);
        let sink = Stored::new(MongoStore::new(server, create));
        let server = &sink.store().server;
        let what = || format!("cannot connect to the database {}", server.database_name());
        let check = async { Ok(server.check(PATIENCE.min(timeout)).await?) };
        sink.attempt(what, check).await?;
        Ok(MongoSink(sink))
    }
}

/// Omits the URL and the options, which may contain a password.
impl fmt::Debug for MongoSinkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target: _, create, timeout, pool } = self;
        let mut shown = f.debug_struct("MongoSinkBuilder");
        shown.field("create", create).field("timeout", timeout).field("pool", pool).finish_non_exhaustive()
    }
}
