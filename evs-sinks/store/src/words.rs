//! Messages about tables, and the comparison of a schema with the catalogue of definitions.

use evs_core::{Schema, SinkError};

/// The table with the progress of each stream: the last batch that was applied.
pub const PROGRESS: &str = "evs_progress";
/// The table with the process that has claimed each source last.
pub const WRITERS: &str = "evs_writers";
/// The catalogue: the table with the definition that each statistic's table was made for.
pub const CATALOGUE: &str = "evs_statistics";

/// The words of a kind of database for tables and rows.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// The word for a table.
    pub table: &'static str,
    /// The word for a row.
    pub row: &'static str,
}

impl Words {
    /// The words of SQL and CQL.
    pub const TABLES: Self = Self { table: "table", row: "row" };
    /// The words of MongoDB.
    pub const COLLECTIONS: Self = Self { table: "collection", row: "document" };

    /// Compares a statistic's definition in the catalogue, as JSON, with `schema`. Rows with another meaning must
    /// never be added to the same table.
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

    /// The error for a statistic that the catalogue does not know.
    pub fn not_prepared(&self, statistic: &str) -> SinkError {
        SinkError::refused(format!("statistic {statistic} was not prepared"))
    }

    /// The error for a statistic that the catalogue knows, but whose table is missing. `how` says how to start over.
    pub fn gone(&self, statistic: &str, how: &str) -> SinkError {
        let table = self.table;
        SinkError::refused(format!(
            "the {table} {statistic} is gone, but {CATALOGUE} knows it: bring it back, or start over by {how}"
        ))
    }

    /// The error for a statistic that the catalogue does not know, but whose table has rows: these may mean anything.
    pub fn not_ours(&self, statistic: &str) -> SinkError {
        let Self { table, row } = self;
        SinkError::refused(format!(
            "the {table} {statistic} was not made by evs, and has {row}s; only an empty one is used"
        ))
    }
}
