//! The interface between the sink and a driver for Cassandra.
//!
//! There are two drivers: one in pure Rust, which needs nothing but cargo, and the C++ driver, for hosts that have it
//! anyway. The sink knows only the traits here, and its tests run with both.

#[cfg(feature = "cassandra-cpp")]
pub(crate) mod cpp;
mod error;
pub(crate) mod number;
#[cfg(feature = "scylla")]
pub(crate) mod rust;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
pub(crate) use evs_store::{Kind, StoreError};

pub(crate) use self::error::server_error;
use crate::config::Config;

/// A driver, which makes sessions.
#[async_trait]
pub(crate) trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Makes a session with at least one connection to a node that is up.
    async fn connect(&self, config: &Config) -> Result<Arc<dyn Session>, StoreError>;
}

/// A driver's session: connections to the nodes of a cluster.
///
/// Each distinct statement is prepared once. A call that is dropped may or may not have an effect.
///
/// A session has no state that matters to evs: no transaction, no variables, no current keyspace. So any number of
/// calls may run at the same time, and a session of the host's can be shared.
#[async_trait]
pub(crate) trait Session: fmt::Debug + Send + Sync + 'static {
    /// The datacenters of the cluster, each once, with the number of their nodes.
    async fn datacenters(&self) -> Result<Vec<(String, usize)>, StoreError>;

    /// Changes the schema, and waits until all nodes agree on it.
    async fn define(&self, cql: &str) -> Result<(), StoreError>;

    /// Executes the statement for all of `rows` together. They are of one partition.
    async fn write(&self, cql: &Arc<str>, rows: &[Vec<Value>]) -> Result<(), StoreError>;

    /// Executes a query and returns one page of its rows: the first page, or the one after another page.
    async fn page(&self, cql: &Arc<str>, values: &[Value], behind: Option<Page>)
    -> Result<Paged, StoreError>;
}

/// The end of a page of rows, in the driver's own form.
#[derive(Debug)]
pub(crate) struct Page(Arc<[u8]>);

/// A page of rows, and its end if there are more.
pub(crate) type Paged = (Vec<Vec<Value>>, Option<Page>);

/// The number of rows in a page. A row has some hundred bytes.
///
/// Reading by pages keeps a partition of a million rows from being in memory as a whole.
const PAGE_ROWS: i32 = 2_000;

/// Reads all rows of a query, which must be few.
pub(crate) async fn query(
    session: &dyn Session,
    cql: &Arc<str>,
    values: &[Value],
) -> Result<Vec<Vec<Value>>, StoreError> {
    let (mut found, mut behind) = session.page(cql, values, None).await?;
    while behind.is_some() {
        let (rows, end) = session.page(cql, values, behind).await?;
        found.extend(rows);
        behind = end;
    }
    Ok(found)
}

/// A bound parameter, or a column of a row that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// No value: it is not written (so there is no tombstone), or nothing was written where it was read.
    Absent,
    Int(i32),
    Bigint(i64),
    Boolean(bool),
    Text(Arc<str>),
    /// Milliseconds since 1970.
    Timestamp(i64),
    Varint(i128),
    /// Unscaled value and scale.
    Decimal(i128, i32),
    /// A `list<text>`.
    Texts(Vec<String>),
}

impl Value {
    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The `bigint`, if it is one.
    pub(crate) fn bigint(&self) -> Option<i64> {
        if let Self::Bigint(number) = self { Some(*number) } else { None }
    }

    /// The `int`, if it is one.
    pub(crate) fn int(&self) -> Option<i32> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    /// The timestamp in milliseconds since 1970, if it is one.
    pub(crate) fn timestamp(&self) -> Option<i64> {
        if let Self::Timestamp(milliseconds) = self { Some(*milliseconds) } else { None }
    }

    /// The approximate number of bytes that the value takes in Cassandra.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Absent => 0,
            Self::Boolean(_) => 1,
            Self::Int(_) => 4,
            Self::Bigint(_) | Self::Timestamp(_) => 8,
            Self::Varint(number) => number::bytes(*number),
            Self::Decimal(number, _) => 4 + number::bytes(*number),
            Self::Text(text) => text.len(),
            Self::Texts(texts) => texts.iter().map(|text| 4 + text.len()).sum(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}
