//! What a store has to offer.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use evs_store::StoreError;

use crate::dialect::{ColumnType, Dialect};

/// How to reach a store. Its `Debug` shows no secret.
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// What [`Connector::connect`] makes.
    type Connection: Connection;

    /// The store's SQL.
    fn dialect(&self) -> &dyn Dialect;

    /// A new connection, whose session is strict, durable and checked to be so.
    async fn connect(&self) -> Result<Self::Connection, StoreError>;

    /// Whether there is a network in between: a connection may then be dead without anybody having noticed.
    fn is_remote(&self) -> bool {
        false
    }

    /// What must never be shown, in all the forms it has: it is struck out of everything the store says.
    fn secrets(&self) -> &[String] {
        &[]
    }
}

/// A connection of its own: no pool, and nothing that reconnects in silence.
///
/// Whoever drops one at any point, inside a call or a transaction, must find that transaction rolled back
/// or, if `commit` was called, ended. A connection is not used again after a cancelled call, or after an error but those that
/// [`Dialect::is_wide_sum`] is true of.
#[async_trait]
pub trait Connection: Send + 'static {
    /// Begins a transaction that sees everything committed before.
    async fn begin(&mut self) -> Result<(), StoreError>;

    /// Executes a statement and returns how many rows it matched. An upsert may count those twice that were
    /// there.
    async fn execute(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<u64, StoreError>;

    /// Executes a query and returns its rows.
    async fn query(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<Vec<Vec<Value>>, StoreError>;

    /// Commits, durably. After an error the transaction may have been committed.
    async fn commit(&mut self) -> Result<(), StoreError>;

    /// Gives the transaction up.
    async fn rollback(&mut self) -> Result<(), StoreError>;

    /// Ends the session in order. Without it, whoever drops a connection ends it at once.
    async fn close(self) -> Result<(), StoreError>
    where
        Self: Sized,
    {
        Ok(())
    }

    /// The largest statement that the store takes, in bytes, with its parameters.
    fn statement_bytes_max(&self) -> usize;
}

/// A bound parameter, or a column of a row that was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// NULL.
    Null,
    /// An integer.
    Integer(i64),
    /// A moment, in seconds since 1970.
    Time(i64),
    /// A text. Exact decimals are written and read as such, where they are wider than an integer.
    Text(String),
    /// The hash of a row's keys.
    Hash([u8; 16]),
    /// The values of a column of that type, for many rows. Bound only where
    /// [`Dialect::rows_of_lists`] asks for it.
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

    /// At least as many bytes as it takes in a statement.
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
