//! Leases of a connection: one call uses it at a time, and a connection in an unknown state is closed.
//!
//! ```text
//! lease()/begin()  ->  work  ->  give_back()     the connection is kept for the next call
//!                  ->  error, panic or drop      it is closed: it may be within a transaction
//! ```
//!
//! The mutex around the connection is fair, so batches and questions take turns.

use std::time::Duration;

use evs_store::StoreError;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, timeout},
};

use crate::connection::{Connection, Connector};

/// The default time limit for making a connection.
pub const CONNECT_MAX: Duration = Duration::from_secs(30);
/// The time limit for beginning a transaction on a connection that was kept. After that, the connection counts as
/// dead.
const BEGIN_MAX: Duration = Duration::from_secs(10);
/// The time for which an unused remote connection is kept: a firewall or proxy in between may have forgotten it after
/// that.
///
/// A dead connection looks alive until something is sent and nothing comes back. To make a new one takes some
/// milliseconds.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// A place for one connection, used by one call at a time.
pub(crate) struct Slot<C: Connector> {
    kept: Mutex<Option<Kept<C>>>,
    /// The time limit for making a connection.
    connect_max: Duration,
}

struct Kept<C: Connector> {
    connection: C::Connection,
    since: Instant,
}

impl<C: Connector> Slot<C> {
    /// A slot without a connection.
    pub(crate) fn empty(connect_max: Duration) -> Self {
        Self { kept: Mutex::new(None), connect_max }
    }

    /// Waits for its turn, and takes the connection or makes one.
    pub(crate) async fn lease(&self, connector: &C) -> Result<Lease<'_, C>, StoreError> {
        let mut slot = self.kept.lock().await;
        let connection = match take(&mut slot, connector) {
            Some(connection) => connection,
            None => self.connect(connector).await?,
        };
        Ok(Lease { slot, connection })
    }

    /// Waits for its turn and closes the connection, if there is one.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        match self.kept.lock().await.take() {
            Some(kept) => kept.connection.close().await,
            None => Ok(()),
        }
    }

    /// Like [`lease`](Self::lease), but begins a transaction. A connection that died while nobody used it is
    /// replaced.
    pub(crate) async fn begin(&self, connector: &C) -> Result<Lease<'_, C>, StoreError> {
        let mut slot = self.kept.lock().await;
        if let Some(mut connection) = take(&mut slot, connector) {
            if !connector.is_remote() {
                connection.begin().await?;
                return Ok(Lease { slot, connection });
            }
            if let Ok(Ok(())) = timeout(BEGIN_MAX, connection.begin()).await {
                return Ok(Lease { slot, connection });
            }
        }
        let mut connection = self.connect(connector).await?;
        connection.begin().await?;
        Ok(Lease { slot, connection })
    }

    async fn connect(&self, connector: &C) -> Result<C::Connection, StoreError> {
        let most = self.connect_max;
        timeout(most, connector.connect()).await.unwrap_or_else(|_| {
            Err(StoreError::transient(format!("{connector:?}: no connection within {most:?}")))
        })
    }
}

fn take<C: Connector>(slot: &mut MutexGuard<'_, Option<Kept<C>>>, connector: &C) -> Option<C::Connection> {
    let kept = slot.take()?;
    (!connector.is_remote() || kept.since.elapsed() < IDLE_MAX).then_some(kept.connection)
}

/// A connection in use. It is closed unless it is given back: after an error, or after a call that was dropped,
/// nobody knows its state.
pub(crate) struct Lease<'s, C: Connector> {
    slot: MutexGuard<'s, Option<Kept<C>>>,
    pub(crate) connection: C::Connection,
}

impl<C: Connector> Lease<'_, C> {
    /// Gives the connection back, so that the next call uses it.
    pub(crate) fn give_back(mut self) {
        *self.slot = Some(Kept { connection: self.connection, since: Instant::now() });
    }
}
