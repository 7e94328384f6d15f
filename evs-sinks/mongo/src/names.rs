//! Checks names of collections and fields, which come from the configuration and become part of commands.

use evs_core::{MeasureKind, Schema, SinkError};
use mongodb::bson::raw::{CStr, cstr};

/// The same limit as that of the SQL sinks, so that a definition works with all of them.
const NAME_BYTES_MAX: usize = 63;

/// The field of the window's start.
pub(crate) const WINDOW_START: &str = "window_start";

/// The field with the last batch of each stream that was added to the document.
pub(crate) const MARKS: &CStr = cstr!("_evs");

/// Refuses names that a server could not hold, or could take for paths or operators.
pub(crate) fn check(schema: &Schema) -> Result<(), SinkError> {
    let statistic = &schema.statistic;
    let refused = |what: String| Err(SinkError::refused(format!("statistic {statistic}: {what}")));
    let lower = statistic.starts_with(|first: char| first.is_ascii_lowercase());
    if !is_name(statistic) || !lower || statistic.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return refused(format!(
            "{statistic:?} cannot be the name of a collection: 1 to {NAME_BYTES_MAX} of a-z, 0-9 and _ are \
             accepted, the first a letter"
        ));
    }
    if statistic.starts_with("evs_") {
        return refused("the name is reserved".to_owned());
    }
    let mut seen = vec![WINDOW_START, MARKS.as_str(), "_id"];
    let keys = schema.keys.iter().map(|key| &key.name);
    for name in keys.chain(schema.measures.iter().map(|measure| &measure.name)) {
        if !is_name(name) {
            return refused(format!(
                "{name:?} cannot be the name of a field: 1 to {NAME_BYTES_MAX} of A-Z, a-z, 0-9 and _ are \
                 accepted, the first no digit"
            ));
        }
        if seen.contains(&name.as_str()) {
            return refused(format!("there are two fields {name:?}"));
        }
        seen.push(name);
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
