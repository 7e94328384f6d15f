//! The traits that a SQL store implements to be reached: [`Connector`] and [`Connection`].

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use evs_store::StoreError;

use crate::dialect::{ColumnType, Dialect};

/// Makes connections to a store. Its `Debug` output shows no secret.
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// The type of a connection.
    type Connection: Connection;

    /// The store's dialect of SQL.
    fn dialect(&self) -> &dyn Dialect;

    /// Makes a new connection. Its session must be strict (no value is clipped or converted) and durable, and the
    /// implementation checks that it is.
    async fn connect(&self) -> Result<Self::Connection, StoreError>;

    /// True if there is a network in between: a connection may then be dead without anybody having noticed.
    fn is_remote(&self) -> bool {
        false
    }

    /// The secrets in all their forms, which are removed from every message of the store.
    fn secrets(&self) -> &[String] {
        &[]
    }
}

/// One connection of this sink's own: no pool, and nothing that reconnects silently.
///
/// A connection may be dropped at any point, inside a call or a transaction. Its transaction must then be rolled back
/// or, if `commit` was called, ended. A connection is not used again after a cancelled call, nor after an error,
/// except one for which [`Dialect::is_wide_sum`] is true.
#[async_trait]
pub trait Connection: Send + 'static {
    /// Begins a transaction that sees everything that was committed before.
    async fn begin(&mut self) -> Result<(), StoreError>;

    /// Executes a statement and returns how many rows it matched. An upsert may count rows that existed twice.
    async fn execute(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<u64, StoreError>;

    /// Executes a query and returns its rows.
    async fn query(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<Vec<Vec<Value>>, StoreError>;

    /// Commits durably. After an error, the transaction may or may not have been committed.
    async fn commit(&mut self) -> Result<(), StoreError>;

    /// Rolls the transaction back.
    async fn rollback(&mut self) -> Result<(), StoreError>;

    /// Ends the session in order. A connection that is dropped instead is ended abruptly.
    async fn close(self) -> Result<(), StoreError>
    where
        Self: Sized,
    {
        Ok(())
    }

    /// The size in bytes of the largest statement that the store accepts, with its parameters.
    fn statement_bytes_max(&self) -> usize;
}

/// A bound parameter, or a column of a row that a query returned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// NULL.
    Null,
    /// An integer.
    Integer(i64),
    /// A point in time, in seconds since 1970.
    Time(i64),
    /// A text. Exact decimals that are wider than an integer are also written and read as text.
    Text(String),
    /// The hash of a row's keys.
    Hash([u8; 16]),
    /// The values of a column of the given type, for many rows. It is only bound where [`Dialect::rows_of_lists`]
    /// asks for it.
    List(ColumnType, Vec<Value>),
}

impl Value {
    /// The integer, if it is one.
    pub(crate) fn integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// An upper bound for the bytes that the value takes in a statement.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Null | Self::Integer(_) | Self::Time(_) | Self::Hash(_) => 32,
            Self::Text(text) => text.len() + 16,
            Self::List(_, values) => 32 + values.iter().map(Self::bytes).sum::<usize>(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
