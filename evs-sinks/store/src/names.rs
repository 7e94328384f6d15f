//! Checks the names of a statistic, its keys and its measures. They come from the configuration, and become part of
//! statements and commands.

use evs_core::{MeasureKind, Schema, SinkError};

/// The longest name that PostgreSQL, the strictest of the stores, does not truncate. It is the limit of all of them, so
/// that a definition works with each.
const NAME_BYTES_MAX: usize = 63;

/// The rules of a store for names.
pub struct Names<'s> {
    /// The word for a table, for messages.
    pub table: &'s str,
    /// The word for a column, for messages.
    pub column: &'s str,
    /// The columns of evs itself.
    pub own_columns: &'s [&'s str],
    /// True for names of tables that the store reserves for itself.
    pub reserves: &'s dyn Fn(&str) -> bool,
    /// True if the store takes names that differ only in upper and lower case for the same.
    pub folds_case: bool,
}

impl Names<'_> {
    /// Refuses names that the store could not hold, or could take for something else, and measures of unknown kinds.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] with the name.
    pub fn check(&self, schema: &Schema) -> Result<(), SinkError> {
        let Self { table, column, own_columns, .. } = *self;
        let statistic = &schema.statistic;
        let refused = |what: String| Err(SinkError::refused(format!("statistic {statistic}: {what}")));
        let lower = statistic.starts_with(|first: char| first.is_ascii_lowercase());
        if !is_name(statistic) || !lower || statistic.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return refused(format!(
                "{statistic:?} cannot be the name of a {table}: 1 to {NAME_BYTES_MAX} of a-z, 0-9 and _ are \
                 accepted, the first a letter"
            ));
        }
        if statistic.starts_with("evs_") || (self.reserves)(statistic) {
            return refused("the name is reserved".to_owned());
        }
        let mut seen = own_columns.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let keys = schema.keys.iter().map(|key| &key.name);
        for name in keys.chain(schema.measures.iter().map(|measure| &measure.name)) {
            if !is_name(name) {
                return refused(format!(
                    "{name:?} cannot be the name of a {column}: 1 to {NAME_BYTES_MAX} of A-Z, a-z, 0-9 and _ are \
                     accepted, the first no digit"
                ));
            }
            let folded = if self.folds_case { name.to_ascii_lowercase() } else { name.clone() };
            if seen.contains(&folded) {
                return refused(format!("there are two {column}s {name:?}"));
            }
            seen.push(folded);
        }
        for measure in &schema.measures {
            let (name, kind) = (&measure.name, measure.kind);
            // A later evs-core may have kinds that the store cannot merge.
            if !matches!(kind, MeasureKind::Count | MeasureKind::Sum | MeasureKind::Min | MeasureKind::Max) {
                return refused(format!(
                    "{name:?} is a measure of a kind that this sink does not know: {kind:?}"
                ));
            }
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    plain && (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.as_bytes()[0].is_ascii_digit()
}
