//! The traits that a SQL store implements to be reached: [`Connector`] and [`Connection`].
//!
//! A pool hides which connection is used, and replaces a broken one without telling. Here that would be wrong: the
//! locks that a transaction holds belong to its connection, and a statement on another one would run outside of the
//! transaction.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use evs_store::StoreError;

use crate::{dialect::Dialect, value::Value};

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
