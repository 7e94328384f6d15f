//! Connections that fail or block on demand, for tests.
//!
//! [`Faulty`] loses the connection in the middle of a batch, at COMMIT, or after it, as a network does. [`Held`]
//! stops a transaction just before COMMIT, so that a test can drop the call there, and make the next attempt while
//! the first one still runs in the server.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use evs_core::Fault;
use evs_store::StoreError;
use tokio::sync::Semaphore;

use crate::{
    connection::{Connection, Connector},
    dialect::Dialect,
    value::Value,
};

/// A connector whose connections fail once, in a transaction that adds rows, as the fault says.
#[derive(Debug)]
pub struct Faulty<C> {
    inner: C,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl<C: Connector> Faulty<C> {
    /// Makes a connector that fails once.
    pub fn new(inner: C, fault: Fault) -> Self {
        Self { inner, fault: Arc::new(Mutex::new(Some(fault))) }
    }
}

#[async_trait]
impl<C: Connector> Connector for Faulty<C> {
    type Connection = FaultyConnection<C::Connection>;

    fn dialect(&self) -> &dyn Dialect {
        self.inner.dialect()
    }

    async fn connect(&self) -> Result<Self::Connection, StoreError> {
        let inner = self.inner.connect().await?;
        Ok(FaultyConnection { inner, fault: Arc::clone(&self.fault), rows: 0 })
    }

    fn is_remote(&self) -> bool {
        self.inner.is_remote()
    }

    fn secrets(&self) -> &[String] {
        self.inner.secrets()
    }
}

/// A connection of a [`Faulty`] connector.
#[derive(Debug)]
pub struct FaultyConnection<C> {
    inner: C,
    fault: Arc<Mutex<Option<Fault>>>,
    /// The number of rows of statistics that the transaction has written.
    rows: u64,
}

impl<C> FaultyConnection<C> {
    /// Fails if `due` is true for the fault, and uses the fault up.
    fn fail_if(&self, due: impl FnOnce(Fault) -> bool) -> Result<(), StoreError> {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if fault.is_some_and(due) {
            *fault = None;
            return Err(StoreError::transient("fault on demand"));
        }
        Ok(())
    }
}

#[async_trait]
impl<C: Connection> Connection for FaultyConnection<C> {
    async fn begin(&mut self) -> Result<(), StoreError> {
        self.rows = 0;
        self.inner.begin().await
    }

    async fn execute(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<u64, StoreError> {
        let rows = self.inner.execute(sql, values).await?;
        if sql.starts_with("INSERT INTO") && !sql.contains("evs_") {
            self.rows += rows;
        }
        let written = self.rows;
        self.fail_if(|fault| matches!(fault, Fault::Rows(after) if written > 0 && written >= after as u64))?;
        Ok(rows)
    }

    async fn query(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<Vec<Vec<Value>>, StoreError> {
        self.inner.query(sql, values).await
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        let adds = self.rows > 0;
        self.fail_if(|fault| adds && fault == Fault::Commit)?;
        self.inner.commit().await?;
        self.fail_if(|fault| adds && fault == Fault::Answer)
    }

    async fn rollback(&mut self) -> Result<(), StoreError> {
        self.inner.rollback().await
    }

    fn statement_bytes_max(&self) -> usize {
        self.inner.statement_bytes_max()
    }
}

/// The gate at which transactions of a [`Held`] connector wait.
#[derive(Debug)]
pub struct Gate {
    arrived: Semaphore,
    open: Semaphore,
}

impl Gate {
    /// Makes a closed gate.
    pub fn closed() -> Arc<Self> {
        Arc::new(Self { arrived: Semaphore::new(0), open: Semaphore::new(0) })
    }

    /// Waits until a transaction has come to the gate.
    pub async fn arrival(&self) {
        self.arrived.acquire().await.expect("never closed").forget();
    }

    /// Lets one transaction pass.
    pub fn open(&self) {
        self.open.add_permits(1);
    }
}

/// A connector whose transactions wait at a gate after they have written everything and before they commit.
#[derive(Debug)]
pub struct Held<C> {
    inner: C,
    gate: Arc<Gate>,
}

impl<C: Connector> Held<C> {
    /// Makes a connector whose transactions wait at `gate`.
    pub fn new(inner: C, gate: &Arc<Gate>) -> Self {
        Self { inner, gate: Arc::clone(gate) }
    }
}

#[async_trait]
impl<C: Connector> Connector for Held<C> {
    type Connection = HeldConnection<C::Connection>;

    fn dialect(&self) -> &dyn Dialect {
        self.inner.dialect()
    }

    async fn connect(&self) -> Result<Self::Connection, StoreError> {
        let inner = self.inner.connect().await?;
        Ok(HeldConnection { inner, gate: Arc::clone(&self.gate) })
    }

    fn is_remote(&self) -> bool {
        self.inner.is_remote()
    }

    fn secrets(&self) -> &[String] {
        self.inner.secrets()
    }
}

/// A connection of a [`Held`] connector.
#[derive(Debug)]
pub struct HeldConnection<C> {
    inner: C,
    gate: Arc<Gate>,
}

#[async_trait]
impl<C: Connection> Connection for HeldConnection<C> {
    async fn begin(&mut self) -> Result<(), StoreError> {
        self.inner.begin().await
    }

    async fn execute(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<u64, StoreError> {
        self.inner.execute(sql, values).await
    }

    async fn query(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<Vec<Vec<Value>>, StoreError> {
        self.inner.query(sql, values).await
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.gate.arrived.add_permits(1);
        self.gate.open.acquire().await.expect("never closed").forget();
        self.inner.commit().await
    }

    async fn rollback(&mut self) -> Result<(), StoreError> {
        self.inner.rollback().await
    }

    fn statement_bytes_max(&self) -> usize {
        self.inner.statement_bytes_max()
    }
}
