//! Messages about tables, and the comparison of a schema with the catalogue of definitions.
//!
//! The catalogue has one definition per table: the union of all those that the table was prepared for. A table only
//! ever gets more measures, so sources with different definitions agree on it, whoever comes last.

use evs_core::{MeasureColumn, Schema, SinkError};

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

/// The measures that a table has to get before it can take the rows of another definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The definition of the table with them, for the catalogue.
    pub schema: Schema,
    /// The new measures, the last ones of `schema`.
    pub added: Vec<MeasureColumn>,
}

impl Extension {
    /// The table's definition without those of the new measures for which `is_missing` is true.
    pub fn without(&self, is_missing: impl Fn(&MeasureColumn) -> bool) -> Schema {
        let mut schema = self.schema.clone();
        schema.measures.retain(|measure| !self.added.contains(measure) || !is_missing(measure));
        schema
    }
}

impl Words {
    /// The words of SQL and CQL.
    pub const TABLES: Self = Self { table: "table", row: "row" };
    /// The words of MongoDB.
    pub const COLLECTIONS: Self = Self { table: "collection", row: "document" };

    /// Checks that a table with this definition in the catalogue, as JSON, can take rows of `schema` as it is. Rows
    /// with another meaning must never be added to the same table.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if it cannot, or the catalogue's entry cannot be read.
    pub fn compare(&self, definition: &str, schema: &Schema) -> Result<(), SinkError> {
        match self.extension(definition, schema)? {
            None => Ok(()),
            Some(Extension { added, .. }) => {
                let added = added.iter().map(|measure| measure.name.as_str()).collect::<Vec<_>>().join(", ");
                Err(self.other_definition(schema, &format!("measures without {added}")))
            }
        }
    }

    /// Returns the measures that a table with this definition in the catalogue, as JSON, lacks for rows of `schema`.
    /// `None` if it can take them as it is.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if no table can have rows of both, or the catalogue's entry cannot be read.
    pub fn extension(&self, definition: &str, schema: &Schema) -> Result<Option<Extension>, SinkError> {
        let statistic = &schema.statistic;
        let made_for = Schema::from_json(definition).map_err(|error| {
            SinkError::refused_by(
                format!("the definition of {statistic} in {CATALOGUE} cannot be read"),
                error,
            )
        })?;
        let schema =
            made_for.union(schema).map_err(|difference| self.other_definition(schema, &difference))?;
        let added = schema.measures[made_for.measures.len()..].to_vec();
        Ok((!added.is_empty()).then_some(Extension { schema, added }))
    }

    fn other_definition(&self, schema: &Schema, difference: &str) -> SinkError {
        let (table, statistic) = (self.table, &schema.statistic);
        SinkError::refused(format!(
            "the {table} {statistic} was made for another definition: {difference}; give the statistic another name, \
             or the definition it had"
        ))
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
