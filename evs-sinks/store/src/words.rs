//! What a store says about its tables, and the catalogue of definitions.

use evs_core::{Schema, SinkError};

/// The table of how far each stream was applied.
pub const PROGRESS: &str = "evs_progress";
/// The table of which process writes each source.
pub const WRITERS: &str = "evs_writers";
/// The table of what the tables of statistics were made for.
pub const CATALOGUE: &str = "evs_statistics";

/// A database's own words for tables and rows.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// A table.
    pub table: &'static str,
    /// A row.
    pub row: &'static str,
}

impl Words {
    /// Those of SQL and CQL.
    pub const TABLES: Self = Self { table: "table", row: "row" };
    /// Those of MongoDB.
    pub const COLLECTIONS: Self = Self { table: "collection", row: "document" };

    /// Compares the definition that the catalogue has of a statistic, as JSON, with `schema`: rows of another meaning
    /// must never be added.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if they differ, or the catalogue's entry cannot be read.
    pub fn compare(&self, definition: &str, schema: &Schema) -> Result<(), SinkError> {
        let (table, statistic) = (self.table, &schema.statistic);
        let made_for = Schema::from_json(definition).map_err(|error| {
            SinkError::refused_by(
                format!("the definition of {statistic} in {CATALOGUE} cannot be read"),
                error,
            )
        })?;
        match made_for.difference(schema) {
            None => Ok(()),
            Some(difference) => Err(SinkError::refused(format!(
                "the {table} {statistic} was made for another definition: {difference}; give the statistic another \
                 name, or the definition it had"
            ))),
        }
    }

    /// The catalogue does not know the statistic.
    pub fn not_prepared(&self, statistic: &str) -> SinkError {
        SinkError::refused(format!("statistic {statistic} was not prepared"))
    }

    /// The catalogue knows the statistic, but its table is not there. `how` says how to start over.
    pub fn gone(&self, statistic: &str, how: &str) -> SinkError {
        let table = self.table;
        SinkError::refused(format!(
            "the {table} {statistic} is gone, but {CATALOGUE} knows it: bring it back, or start over by {how}"
        ))
    }

    /// The catalogue does not know the statistic, and its table has rows: they may mean anything.
    pub fn not_ours(&self, statistic: &str) -> SinkError {
        let Self { table, row } = self;
        SinkError::refused(format!(
            "the {table} {statistic} was not made by evs, and has {row}s; only an empty one is used"
        ))
    }
}
