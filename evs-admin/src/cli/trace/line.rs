//! One line: how it is read, the row that counts it, and its rejection.

use evs_core::{
    LogFormat, Record, Schema, escape,
    inspect::{Frame, Rejected, State, StateDir},
    unescape,
};
use serde::Serialize;

use crate::cli::{Failure, output};

/// How a line is read for one statistic, and the row that counts it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Read {
    /// The start of the line's window, in seconds since 1970; `None` if the line does not have the format.
    window_start: Option<i64>,
    /// The keys of its row, by the names of their columns; `None` for one that is derived, which only the pipeline computes.
    keys: Vec<(String, Option<String>)>,
    /// The condition of the statistic. Only the pipeline computes whether it selects the line.
    condition: Option<String>,
    /// The reason for which the line does not have the format.
    rejection: Option<String>,
    /// The measures of the row with these keys; `None` if it was not looked up.
    row: Option<Vec<(String, Option<String>)>>,
    /// True if the batch was searched for the row.
    is_looked_up: bool,
}

impl Read {
    /// Reads a line for the columns of a statistic.
    pub(super) fn new(format: &LogFormat, schema: &Schema, line: &[u8]) -> Self {
        let (mut window_start, mut rejection) = (None, None);
        let mut keys = Vec::new();
        let mut record = Record::new();
        let parsed = format.parser::<&str>(&[]).map(|mut parser| parser.parse(line, &mut record));
        match parsed {
            Ok(Ok(())) => {
                let window = i64::from(schema.window_seconds.max(1));
                window_start = Some(record.seconds().div_euclid(window) * window);
                for column in &schema.keys {
                    keys.push((column.name.clone(), key(format, &column.field, line)));
                }
            }
            Ok(Err(error)) => rejection = Some(error.to_string()),
            Err(error) => rejection = Some(error.to_string()),
        }
        let condition = schema.only.clone();
        Self { window_start, keys, condition, rejection, row: None, is_looked_up: false }
    }

    /// Looks for the row in a batch, if all of its keys are known.
    pub(super) fn look_up(&mut self, frame: &Frame<'_>) {
        let known: Option<Vec<&str>> = self.keys.iter().map(|(_, key)| key.as_deref()).collect();
        let (Some(known), Some(window)) = (known, self.window_start) else { return };
        let Some(Ok(batch)) = frame.batch() else { return };
        self.is_looked_up = true;
        let mut cursor = batch.rows.cursor();
        while let Some(row) = cursor.next_row() {
            let is_it = row.window_start == window
                && row
                    .keys
                    .iter()
                    .map(|key| escape(key))
                    .eq(known.iter().map(|key| std::borrow::Cow::Borrowed(*key)));
            if is_it {
                let measures = batch.schema.measures.iter().zip(row.values).map(|(column, value)| {
                    let decimal = |value| evs_core::Decimal { value, scale: column.scale }.to_string();
                    (column.name.clone(), value.map(decimal))
                });
                self.row = Some(measures.collect());
                return;
            }
        }
    }

    /// The same in words, a text per line.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(rejection) = &self.rejection {
            words.push(format!("the line does not have the format: {rejection}"));
        }
        let Some(window) = self.window_start else { return words };
        let keys = self.keys.iter().map(|(name, key)| match key {
            Some(key) => format!("{name}={key}"),
            None => format!("{name}=? (derived, computed only by the pipeline)"),
        });
        let keys: Vec<String> = keys.collect();
        words.push(format!("key: window {} {}", output::time(window), keys.join(" ")).trim_end().to_owned());
        if let Some(condition) = &self.condition {
            words.push(format!("only lines with {condition} are counted, which is not computed here"));
        }
        words.extend(match (&self.row, self.is_looked_up) {
            (Some(row), _) => {
                let values = row.iter().map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("-")));
                Some(format!("row: {}, with all lines of the batch that have this key", values.collect::<Vec<_>>().join(" ")))
            }
            (None, true) => Some(
                "no row of the batch has this key: a condition, a sample or a top list left the line out, it was rejected or \
                 too late, or the format is another one"
                    .to_owned(),
            ),
            (None, false) => None,
        });
        words
    }
}

/// Returns the value of a key as text, if it is a field of the line.
fn key(format: &LogFormat, field: &str, line: &[u8]) -> Option<String> {
    let is_derived =
        !field.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if is_derived {
        return None;
    }
    let mut parser = format.parser(&[field]).ok()?;
    let mut record = Record::new();
    parser.parse(line, &mut record).ok()?;
    Some(escape(record.field(0, line)).into_owned())
}

/// Returns the rejection of a line that begins at `offset`, if the state directory still has it. The rejected line is
/// recognized by its offset and its bytes, since its file may have another name by now.
pub(super) fn rejection(
    directory: &StateDir,
    state: &State,
    offset: u64,
    line: &[u8],
) -> Result<Option<Rejected>, Failure> {
    for rejected in directory.rejected(Some(state)).map_err(Failure::look)? {
        // A line that cannot be read is what `evs verify` reports.
        let Ok(rejected) = rejected else { continue };
        if rejected.offset == offset
            && unescape(&rejected.line).is_some_and(|sample| line.starts_with(&sample))
        {
            return Ok(Some(rejected));
        }
    }
    Ok(None)
}
