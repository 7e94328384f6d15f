//! A cache of the tables that were checked.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use evs_core::Schema;

use crate::error::Failure;

/// The statistics whose tables were checked, each with the store's own data about it, such as prepared statements.
///
/// Rows must not be added to a table that was made for another definition, even if the caller forgot `prepare`. So a
/// table is checked when a batch first needs it. It is not checked for every batch, which would cost a query each.
pub struct Tables<T>(Mutex<HashMap<String, (Schema, Arc<T>)>>);

impl<T> Tables<T> {
    /// An empty cache.
    pub fn new() -> Self {
        Self(Mutex::default())
    }

    /// Returns the data about a statistic with exactly this schema. If there is none, runs `check`, which checks the
    /// table and makes the data, and keeps its result.
    ///
    /// # Errors
    ///
    /// Those of `check`.
    pub async fn checked(
        &self,
        schema: &Schema,
        check: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Arc<T>, Failure> {
        let known = self.lock().get(&schema.statistic).filter(|(known, _)| known == schema).cloned();
        if let Some((_, table)) = known {
            return Ok(table);
        }
        let table = Arc::new(check.await?);
        self.lock().insert(schema.statistic.clone(), (schema.clone(), Arc::clone(&table)));
        Ok(table)
    }

    /// Removes a statistic, so that its table is checked again when it is next needed: it may have been changed by
    /// hand.
    pub fn forget(&self, statistic: &str) {
        self.lock().remove(statistic);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Schema, Arc<T>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Tables<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Tables<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}
