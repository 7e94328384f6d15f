//! The settings of a sink.

use std::{collections::HashMap, fmt, time::Duration};

use evs_core::SinkError;

use crate::{
    CassandraSink,
    config::{Config, Consistency},
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

/// Settings of a [`CassandraSink`]. The setters only store values; [`CassandraBuilder::connect`] checks them.
#[derive(Clone)]
pub struct CassandraBuilder {
    url: String,
    driver: Driver,
    create: bool,
    timeout: Option<Duration>,
    consistency: Option<Consistency>,
    datacenter: Option<String>,
    buckets: u32,
    buckets_of: HashMap<String, u32>,
}

/// The largest number of buckets. With more, a query for one window would read more than a thousand partitions.
const BUCKETS_MAX: u32 = 1_000;

impl CassandraBuilder {
    /// The default settings for a URL, which is not parsed yet.
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            driver: Driver::DEFAULT,
            create: true,
            timeout: None,
            consistency: None,
            datacenter: None,
            buckets: 1,
            buckets_of: HashMap::new(),
        }
    }

    /// Sets the driver, if more than one is compiled in. The default is [`Driver::Scylla`].
    #[must_use]
    pub fn driver(mut self, driver: Driver) -> Self {
        self.driver = driver;
        self
    }

    /// Sets whether evs creates missing tables, which is the default. Otherwise it only checks the tables, and the
    /// error contains the statements to create the missing ones. evs never creates the keyspace: the owner of the
    /// cluster decides how many replicas it has.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Sets the time limit for [`CassandraBuilder::connect`] to find out whether the cluster accepts the sink: 10
    /// seconds by default. Connecting to a node is limited to 5 seconds and a single request to 15, or to this if it
    /// is less. The caller limits the duration of a call; in a pipeline that is `sink_timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the number of replicas that must have a write, or answer a read. It overrides the URL.
    #[must_use]
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = Some(consistency);
        self
    }

    /// Sets the datacenter whose nodes evs connects to. It connects to no others. This overrides the URL, and is
    /// needed for [`Consistency::LocalQuorum`] if the cluster has more than one datacenter.
    #[must_use]
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
    #[must_use]
    pub fn buckets(mut self, buckets: u32) -> Self {
        self.buckets = buckets;
        self
    }

    /// Sets the number of partitions for one statistic, by its name.
    #[must_use]
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
        let sink = self.build(self.driver.connector())?;
        let checked = sink.check(self.timeout.unwrap_or(CassandraSink::TIMEOUT)).await;
        match checked {
            Err(error) if !error.is_transient() => Err(error),
            _ => Ok(sink),
        }
    }

    /// Makes the sink with the given driver.
    pub(crate) fn build(&self, connector: Box<dyn Connector>) -> Result<CassandraSink, SinkError> {
        let mut config = Config::from_url(&self.url)?;
        if let Some(consistency) = self.consistency {
            config.consistency = consistency;
        }
        if let Some(datacenter) = &self.datacenter {
            config.datacenter = Some(datacenter.clone());
        }
        if let Some(timeout) = self.timeout {
            if timeout.is_zero() {
                return Err(SinkError::refused("timeout: 0 s is not enough for anything"));
            }
            config.connect_timeout = config.connect_timeout.min(timeout);
            config.request_timeout = config.request_timeout.min(timeout);
        }
        let checked = |buckets: u32| match i32::try_from(buckets) {
            Ok(number) if (1..=BUCKETS_MAX).contains(&buckets) => Ok(number),
            _ => Err(SinkError::refused(format!("buckets: {buckets} is not one of 1 to {BUCKETS_MAX}"))),
        };
        let of = self.buckets_of.iter().map(|(name, buckets)| Ok((name.clone(), checked(*buckets)?)));
        let buckets = Buckets { default: checked(self.buckets)?, of: of.collect::<Result<_, SinkError>>()? };
        Ok(CassandraSink::new(connector, config, self.create, buckets))
    }
}

/// Omits the URL, which may contain a password.
impl fmt::Debug for CassandraBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CassandraBuilder")
            .field("driver", &self.driver)
            .field("create", &self.create)
            .field("timeout", &self.timeout)
            .field("consistency", &self.consistency)
            .field("datacenter", &self.datacenter)
            .field("buckets", &self.buckets)
            .field("buckets_of", &self.buckets_of)
            .finish_non_exhaustive()
    }
}
