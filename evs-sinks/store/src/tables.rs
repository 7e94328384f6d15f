//! The tables that were checked.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use evs_core::Schema;

use crate::error::Failure;

/// The statistics whose tables were checked, each with what the store keeps of it: statements, for example.
///
/// Rows must not be added to a table that was made for another definition, whoever forgot to call `prepare`. So a
/// table is checked when a batch first needs it, and not for each batch.
pub struct Tables<T>(Mutex<HashMap<String, (Schema, Arc<T>)>>);

impl<T> Tables<T> {
    /// No table was checked.
    pub fn new() -> Self {
        Self(Mutex::default())
    }

    /// What is kept of a statistic of that very schema. Unless it is there, `check` checks the table and makes it.
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

    /// Has the statistic's table checked again when it is next needed: it may have been changed by hand.
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
