//! The names of collections and fields.

use evs_core::{Schema, SinkError};
use evs_store::Names;
use mongodb::bson::raw::{CStr, cstr};

/// The field of the window's start.
pub(crate) const WINDOW_START: &str = "window_start";

/// The field with the last batch of each stream that was added to the document.
pub(crate) const MARKS: &CStr = cstr!("_evs");

/// Refuses names that a server could not hold, or could take for paths or operators.
pub(crate) fn check(schema: &Schema) -> Result<(), SinkError> {
    let names = Names {
        table: "collection",
        column: "field",
        own_columns: &[WINDOW_START, MARKS.as_str(), "_id"],
        reserves: &|_| false,
        folds_case: false,
    };
    names.check(schema)
}
