//! [`LogFormat::explain`]: how a line is read, field by field.

use std::fmt::Write as _;

use super::{FormatKind, LogFormat};
use crate::{
    batch::escape,
    format::{
        compile::Steps,
        container::{Added, Unwrapper},
        decode::time::LastTime,
        reference::Captures,
        rejection::Rejection,
    },
    record::Record,
};

impl LogFormat {
    /// Explains how a line is read, in words for a person: the fields of the format with their values, and the time, or the
    /// field at which the line stops matching the format. Control characters are escaped. Its text is no interface; it may
    /// change.
    ///
    /// Lines of JSON, LTSV and [`w3c`](Self::w3c) are only shown with their time or the reason.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::LogFormat;
    ///
    /// let format = LogFormat::nginx("$remote_addr [$time_iso8601] $status")?;
    /// let found = format.explain(b"::1 [2026-11-21T13:25:22Z] 200");
    /// assert!(found.contains("remote_addr = ::1\n") && found.contains("status = 200\n"), "{found}");
    /// let found = format.explain(b"::1 [21/Nov/2026:13:25:22] 200");
    /// assert!(found.ends_with("rejected at time_iso8601: column 6: not a time\n"), "{found}");
    /// # Ok::<(), evs::FormatError>(())
    /// ```
    #[must_use]
    pub fn explain(&self, line: &[u8]) -> String {
        let mut out = String::new();
        let mut record = Record::new();
        let parsed = match self.parser::<&str>(&[]) {
            Ok(mut parser) => parser.parse(line, &mut record),
            Err(error) => return format!("error: {error}\n"),
        };
        let at = match &self.kind {
            FormatKind::Text { steps, .. } => self.explain_fields(steps, line, &mut out),
            _ => None,
        };
        // Writing to a String cannot fail.
        let _ = match parsed {
            Ok(()) => writeln!(out, "accepted: its time is {} seconds after 1970", record.seconds()),
            Err(rejection) => match at {
                Some(field) => writeln!(out, "rejected {field}: {rejection}"),
                None => writeln!(out, "rejected: {rejection}"),
            },
        };
        out
    }

    /// Shows the values that are read of a line, and returns the field at which reading ends.
    fn explain_fields(&self, steps: &Steps, line: &[u8], out: &mut String) -> Option<String> {
        let mut text = line.to_vec();
        if let Some(container) = self.containers.first() {
            let mut unwrapper = Unwrapper::new(*container);
            match unwrapper.open(line) {
                Ok(Added::Piece) => return None,
                Err(_) => return Some(format!("at the envelope of {}", container.name())),
                Ok(_) => text = unwrapper.text().to_vec(),
            }
            let _ = writeln!(out, "the line in {} is: {}", container.name(), shown(&text));
        }
        let slots: Vec<_> = (0..steps.steps.len()).map(Some).collect();
        let mut captures = Captures::default();
        captures.clear(slots.len());
        let read = steps.read(&text, &slots, &mut LastTime::in_zone(self.time.zone), &mut captures);
        let mut end = 0;
        let mut count = 0;
        for (index, step) in steps.steps.iter().enumerate() {
            let Some(capture) = captures.get(index) else { break };
            let range = capture.range();
            (end, count) = (range.end, index + 1);
            let _ = writeln!(out, "  {} = {}", step.name, shown(&text[range]));
        }
        let Err(Rejection { column, .. }) = read else { return None };
        Some(match field_at(steps, count, column as usize - 1, end) {
            Some(name) => format!("at {name}"),
            None => match count.checked_sub(1) {
                Some(last) => format!("after {}", steps.steps[last].name),
                None => "at the beginning".to_owned(),
            },
        })
    }
}

/// A text without its control characters: a client may have written some for the terminal of whoever looks.
fn shown(text: &[u8]) -> String {
    let visible = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    escape(text).chars().map(visible).collect()
}

/// The field at which reading ended: the next one, or one after it which shows where the next one would end. `None` if it is
/// the text between two fields.
fn field_at(steps: &Steps, count: usize, offset: usize, end: usize) -> Option<&str> {
    let before = match count.checked_sub(1) {
        Some(last) => &steps.steps[last].until,
        None => &steps.prefix,
    };
    if offset < end + before.len() && !before.is_empty() {
        return None;
    }
    let next = steps.steps.get(count)?;
    let is_further = offset > end + before.len() && next.lookahead > 0;
    let last = if is_further { steps.steps.get(count + next.lookahead)? } else { next };
    Some(&last.name)
}
