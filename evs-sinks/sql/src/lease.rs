//! Who uses a connection, and what becomes of it.

use tokio::sync::{Mutex, MutexGuard};

use crate::connection::{Connector, StoreError};

/// A place for one connection, used by one call at a time.
#[derive(Debug)]
pub(crate) struct Slot<C: Connector>(Mutex<Option<C::Connection>>);

impl<C: Connector> Slot<C> {
    pub(crate) fn empty() -> Self {
        Self(Mutex::new(None))
    }

    /// Waits for its turn and takes the connection, or makes one.
    pub(crate) async fn lease(&self, connector: &C) -> Result<Lease<'_, C>, StoreError> {
        let mut slot = self.0.lock().await;
        let connection = match slot.take() {
            Some(connection) => connection,
            None => connector.connect().await?,
        };
        Ok(Lease { slot, connection })
    }
}

/// A connection in use. Unless it is given back, it is gone: after an error, or when the call was dropped
/// midway, nobody knows what state it is in.
pub(crate) struct Lease<'s, C: Connector> {
    slot: MutexGuard<'s, Option<C::Connection>>,
    pub(crate) connection: C::Connection,
}

impl<C: Connector> Lease<'_, C> {
    pub(crate) fn give_back(mut self) {
        *self.slot = Some(self.connection);
    }
}
