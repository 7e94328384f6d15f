//! The settings of a sink.

#[cfg(feature = "scylla")]
use std::sync::Arc;
use std::{collections::HashMap, fmt, time::Duration};

use evs_core::SinkError;

use crate::{
    CassandraSink,
    config::{Config, Consistency, POOL},
    driver::Connector,
    sink::Buckets,
};

/// The driver for the connection to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Driver {
    /// The crate `scylla`, in pure Rust.
    #[cfg(feature = "scylla")]
    Scylla,
    /// The crate `cassandra-cpp`, on the C++ driver.
    #[cfg(feature = "cassandra-cpp")]
    Cpp,
}

impl Driver {
    /// The default: the first of the drivers that were compiled in.
    const DEFAULT: Self = {
        #[cfg(feature = "scylla")]
        {
            Self::Scylla
        }
        #[cfg(not(feature = "scylla"))]
        {
            Self::Cpp
        }
    };

    /// The connector of this driver.
    pub(crate) fn connector(self) -> Box<dyn Connector> {
        match self {
            #[cfg(feature = "scylla")]
            Self::Scylla => Box::new(crate::driver::rust::Scylla),
            #[cfg(feature = "cassandra-cpp")]
            Self::Cpp => Box::new(crate::driver::cpp::Cpp),
        }
    }
}

/// What a sink is made of.
#[derive(Clone)]
pub(crate) enum Target {
    Url(String),
    /// A session of the host's, and the keyspace.
    #[cfg(feature = "scylla")]
    Session(Arc<scylla::client::session::Session>, String),
}

/// Settings of a [`CassandraSink`]. The setters only store values; [`CassandraSinkBuilder::connect`] checks them.
///
/// ```no_run
/// # mod evs { pub use evs_core::*; pub use evs_cassandra::{self as cassandra, CassandraSink}; }
/// # async fn example() -> Result<(), evs::SinkError> {
/// use evs::{CassandraSink, cassandra::Consistency};
///
/// let sink = CassandraSink::builder("cassandra://evs:secret@db1,db2/stats")
///     .consistency(Consistency::LocalQuorum)
///     .datacenter("dc1")
///     .buckets_of("clicks_by_url", 16)
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct CassandraSinkBuilder {
    target: Target,
    driver: Driver,
    create: bool,
    timeout: Duration,
    pool: usize,
    consistency: Option<Consistency>,
    datacenter: Option<String>,
    buckets: u32,
    buckets_of: HashMap<String, u32>,
}

/// The largest number of buckets. With more, a query for one window would read more than a thousand partitions.
const BUCKETS_MAX: u32 = 1_000;

/// The largest number of requests at the same time.
const POOL_MAX: usize = 1_000;

impl CassandraSinkBuilder {
    /// The default settings for a keyspace.
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            driver: Driver::DEFAULT,
            create: true,
            timeout: CassandraSink::TIMEOUT,
            pool: POOL,
            consistency: None,
            datacenter: None,
            buckets: 1,
            buckets_of: HashMap::new(),
        }
    }

    /// Sets the driver, if more than one is compiled in. The default is [`Driver::Scylla`]. A sink that is made of a
    /// session keeps the driver of the session.
    pub fn driver(mut self, driver: Driver) -> Self {
        self.driver = driver;
        self
    }

    /// Sets whether evs creates missing tables, which is the default. Otherwise it only checks the tables, and the
    /// error contains the statements to create the missing ones. evs never creates the keyspace: the owner of the
    /// cluster decides how many replicas it has.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Sets the time limit for making a connection to the cluster, here and whenever a new one is needed: 30 seconds
    /// by default. It includes the first questions to the cluster; a single node has at most 5 seconds. The caller
    /// limits the duration of a call; in a pipeline that is `sink_timeout`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many requests of a call are sent at the same time: 1 to 1,000, by default 32. The driver has few
    /// connections, and sends many requests on each.
    pub fn pool(mut self, requests: usize) -> Self {
        self.pool = requests;
        self
    }

    /// Sets the number of replicas that must have a write, or answer a read. It overrides the URL.
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = Some(consistency);
        self
    }

    /// Sets the datacenter whose nodes evs connects to. It connects to no others. This overrides the URL, and is
    /// needed for [`Consistency::LocalQuorum`] if the cluster has more than one datacenter.
    pub fn datacenter(mut self, name: impl Into<String>) -> Self {
        self.datacenter = Some(name.into());
        self
    }

    /// Sets the number of partitions for the rows of a window, in tables that are created from now on: 1 to 1,000, by
    /// default 1. A table keeps the number that it was created with.
    ///
    /// A partition should not have more than about 100,000 rows. There is a row per key and batch. For example,
    /// windows of 60 s that are flushed every 5 s have 12 or 13 rows for each key that is always there, and as many
    /// for each further source. A reader of a window reads all of its buckets.
    pub fn buckets(mut self, buckets: u32) -> Self {
        self.buckets = buckets;
        self
    }

    /// Sets the number of partitions for one statistic, by its name.
    pub fn buckets_of(mut self, statistic: impl Into<String>, buckets: u32) -> Self {
        self.buckets_of.insert(statistic.into(), buckets);
        self
    }

    /// Makes the sink.
    ///
    /// A cluster that is down is no error: the sink connects when it is used.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if the URL or a setting is wrong, if a file that it names cannot be read, or if the
    /// cluster refuses the sink: it rejects the credentials, or the keyspace or the datacenter does not exist.
    pub async fn connect(self) -> Result<CassandraSink, SinkError> {
        let connector: Box<dyn Connector> = match &self.target {
            Target::Url(_) => self.driver.connector(),
            #[cfg(feature = "scylla")]
            Target::Session(session, _) => Box::new(crate::driver::rust::Shared(Arc::clone(session))),
        };
        let sink = self.build(connector)?;
        match sink.check().await {
            Err(error) if !error.is_transient() => Err(error),
            _ => Ok(sink),
        }
    }

    /// Makes the sink with the given driver.
    pub(crate) fn build(&self, connector: Box<dyn Connector>) -> Result<CassandraSink, SinkError> {
        let mut config = match &self.target {
            Target::Url(url) => Config::from_url(url)?,
            #[cfg(feature = "scylla")]
            Target::Session(_, keyspace) => Config::of_keyspace(keyspace)?,
        };
        if let Some(consistency) = self.consistency {
            config.consistency = consistency;
        }
        if let Some(datacenter) = &self.datacenter {
            config.datacenter = Some(datacenter.clone());
        }
        if self.timeout.is_zero() {
            return Err(SinkError::refused("timeout: 0 s is not enough for anything"));
        }
        if !(1..=POOL_MAX).contains(&self.pool) {
            return Err(SinkError::refused(format!("pool: {} is not one of 1 to {POOL_MAX}", self.pool)));
        }
        config.timeout = self.timeout;
        config.connect_timeout = config.connect_timeout.min(self.timeout);
        config.pool = self.pool;
        let checked = |buckets: u32| match i32::try_from(buckets) {
            Ok(number) if (1..=BUCKETS_MAX).contains(&buckets) => Ok(number),
            _ => Err(SinkError::refused(format!("buckets: {buckets} is not one of 1 to {BUCKETS_MAX}"))),
        };
        let of = self.buckets_of.iter().map(|(name, buckets)| Ok((name.clone(), checked(*buckets)?)));
        let buckets = Buckets { default: checked(self.buckets)?, of: of.collect::<Result<_, SinkError>>()? };
        Ok(CassandraSink::new(connector, config, self.create, buckets))
    }
}

/// Omits the target, since a URL may contain a password.
impl fmt::Debug for CassandraSinkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CassandraSinkBuilder")
            .field("driver", &self.driver)
            .field("create", &self.create)
            .field("timeout", &self.timeout)
            .field("pool", &self.pool)
            .field("consistency", &self.consistency)
            .field("datacenter", &self.datacenter)
            .field("buckets", &self.buckets)
            .field("buckets_of", &self.buckets_of)
            .finish_non_exhaustive()
    }
}
