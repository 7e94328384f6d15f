//! What a store has to offer.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::dialect::Dialect;

/// How to reach a store. Its `Debug` shows no secret.
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// What [`Connector::connect`] makes.
    type Connection: Connection;

    /// The store's SQL.
    fn dialect(&self) -> &dyn Dialect;

    /// A new connection, whose session is strict, durable and checked to be so.
    async fn connect(&self) -> Result<Self::Connection, StoreError>;

    /// What must never be shown: it is struck out of everything the store says.
    fn secret(&self) -> Option<&str> {
        None
    }
}

/// A connection of its own: no pool, and nothing that reconnects in silence.
///
/// Whoever drops one at any point, inside a call or a transaction, must find that transaction rolled back
/// or, if `commit` was called, ended. A connection is not used again after an error or a cancelled call.
#[async_trait]
pub trait Connection: Send + 'static {
    /// Begins a transaction that sees everything committed before.
    async fn begin(&mut self) -> Result<(), StoreError>;

    /// Executes a statement and returns how many rows it matched.
    async fn execute(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<u64, StoreError>;

    /// Executes a query and returns its rows.
    async fn query(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<Vec<Vec<Value>>, StoreError>;

    /// Commits, durably. After an error the transaction may have been committed.
    async fn commit(&mut self) -> Result<(), StoreError>;

    /// Gives the transaction up.
    async fn rollback(&mut self) -> Result<(), StoreError>;
}

/// A bound parameter, or a column of a row that was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// NULL.
    Null,
    /// An integer column's value.
    Integer(i64),
    /// A value of an exact numeric column, in stores whose numbers are wider than an integer.
    Decimal(i128),
    /// A text.
    Text(String),
}

impl Value {
    /// The number, if it is one.
    pub(crate) fn number(&self) -> Option<i128> {
        match self {
            Self::Integer(number) => Some((*number).into()),
            Self::Decimal(number) => Some(*number),
            Self::Null | Self::Text(_) => None,
        }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// About how many bytes it takes in a statement.
    pub(crate) fn bytes(&self) -> usize {
        if let Self::Text(text) = self { text.len() + 16 } else { 32 }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// What a store answered instead.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// Whether the same batch may be accepted later, without anybody's help. True of lost connections,
    /// lost locks and full disks; also of a duplicate key in `evs_progress` or `evs_statistics`, since that
    /// is another writer's doing.
    pub is_transient: bool,
    /// The store's own code and words.
    pub message: String,
}

impl StoreError {
    /// An error that will pass.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { is_transient: true, message: message.into() }
    }

    /// An error that will not pass by itself.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { is_transient: false, message: message.into() }
    }
}
