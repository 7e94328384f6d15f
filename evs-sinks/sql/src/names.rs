//! The names of tables and columns.

use evs_core::{Schema, SinkError};
use evs_store::Names;

use crate::dialect::Dialect;

/// The column of the window's start.
pub(crate) const WINDOW_START: &str = "window_start";

/// The column of the keys' hash, in stores that have one.
pub(crate) const KEY_HASH: &str = "key_hash";

/// Refuses names that a store could not hold, could confuse with others, or could take for SQL.
pub(crate) fn check(schema: &Schema, dialect: &dyn Dialect) -> Result<(), SinkError> {
    let own_columns = if dialect.hashes_keys() { &[WINDOW_START, KEY_HASH][..] } else { &[WINDOW_START] };
    let reserves = |table: &str| dialect.reserves(table);
    Names { table: "table", column: "column", own_columns, reserves: &reserves, folds_case: true }
        .check(schema)
}
