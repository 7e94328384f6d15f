//! Checks names of tables and columns, which come from the configuration and become part of statements.

use evs_core::{MeasureKind, Schema, SinkError};

use crate::dialect::Dialect;

/// The longest name that PostgreSQL, the strictest of the stores, does not truncate.
const NAME_BYTES_MAX: usize = 63;

/// The column of the window's start.
pub(crate) const WINDOW_START: &str = "window_start";

/// The column of the keys' hash, in stores that have one.
pub(crate) const KEY_HASH: &str = "key_hash";

/// Refuses names that a store could not hold, could confuse with others, or could take for SQL.
pub(crate) fn check(schema: &Schema, dialect: &dyn Dialect) -> Result<(), SinkError> {
    let table = &schema.statistic;
    let refused = |what: String| Err(SinkError::refused(format!("statistic {table}: {what}")));
    let lower = table.starts_with(|first: char| first.is_ascii_lowercase());
    if !is_name(table) || !lower || table.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return refused(format!(
            "{table:?} cannot be the name of a table: 1 to {NAME_BYTES_MAX} of a-z, 0-9 and _ are accepted, \
             the first a letter"
        ));
    }
    if table.starts_with("evs_") || dialect.reserves(table) {
        return refused("the name is reserved".to_owned());
    }
    let mut seen = vec![WINDOW_START.to_owned()];
    if dialect.hashes_keys() {
        seen.push(KEY_HASH.to_owned());
    }
    let keys = schema.keys.iter().map(|key| &key.name);
    for name in keys.chain(schema.measures.iter().map(|measure| &measure.name)) {
        if !is_name(name) {
            return refused(format!(
                "{name:?} cannot be the name of a column: 1 to {NAME_BYTES_MAX} of A-Z, a-z, 0-9 and _ are \
                 accepted, the first no digit"
            ));
        }
        // Some stores take names that differ only in upper and lower case for the same.
        let folded = name.to_ascii_lowercase();
        if seen.contains(&folded) {
            return refused(format!("there are two columns {name:?}"));
        }
        seen.push(folded);
    }
    for measure in &schema.measures {
        let (name, kind) = (&measure.name, measure.kind);
        // A later evs-core may have kinds that this sink cannot merge.
        if !matches!(kind, MeasureKind::Count | MeasureKind::Sum | MeasureKind::Min | MeasureKind::Max) {
            return refused(format!(
                "{name:?} is a measure of a kind that this sink does not know: {kind:?}"
            ));
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    plain && (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.as_bytes()[0].is_ascii_digit()
}
