//! Checks names of tables and columns, which come from the configuration and become part of statements.

use evs_core::{Schema, SinkError};

use crate::config::NAME_BYTES_MAX;

/// The column of the window's start.
pub(crate) const WINDOW_START: &str = "window_start";

/// The prefix of the names of evs's own tables and columns.
const RESERVED: &str = "evs_";

/// The longest name of a column. Cassandra has no limit; this is the limit of evs's other stores.
const COLUMN_BYTES_MAX: usize = 63;

/// Refuses names that Cassandra could not hold, or that other stores could confuse.
pub(crate) fn check(schema: &Schema) -> Result<(), SinkError> {
    let table = &schema.statistic;
    let refused = |what: String| Err(SinkError::refused(format!("statistic {table}: {what}")));
    let lower = table.starts_with(|first: char| first.is_ascii_lowercase());
    if !is_name(table, NAME_BYTES_MAX) || !lower || table.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return refused(format!(
            "{table:?} cannot be the name of a table in Cassandra: 1 to {NAME_BYTES_MAX} of a-z, 0-9 and _ are \
             accepted, the first a letter"
        ));
    }
    if table.starts_with(RESERVED) {
        return refused(format!("names that begin with {RESERVED} are reserved"));
    }
    let mut seen = vec![WINDOW_START.to_owned()];
    let keys = schema.keys.iter().map(|key| &key.name);
    for name in keys.chain(schema.measures.iter().map(|measure| &measure.name)) {
        if !is_name(name, COLUMN_BYTES_MAX) {
            return refused(format!(
                "{name:?} cannot be the name of a column: 1 to {COLUMN_BYTES_MAX} of A-Z, a-z, 0-9 and _ are \
                 accepted, the first no digit"
            ));
        }
        let folded = name.to_ascii_lowercase();
        if folded.starts_with(RESERVED) {
            return refused(format!("{name:?} cannot be the name of a column: {RESERVED} is reserved"));
        }
        if seen.contains(&folded) {
            return refused(format!("there are two columns {name:?}"));
        }
        seen.push(folded);
    }
    Ok(())
}

fn is_name(name: &str, bytes_max: usize) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    plain && (1..=bytes_max).contains(&name.len()) && !name.as_bytes()[0].is_ascii_digit()
}

/// Quotes a name for a statement. All names were checked, so none contains quotes.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{name}\"")
}

/// A table's name with its keyspace: sessions have no default keyspace.
pub(crate) fn qualified(keyspace: &str, table: &str) -> String {
    format!("{}.{}", quote(keyspace), quote(table))
}
