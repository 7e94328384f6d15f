//! [`LogFormat::explain`]: how lines are read, field by field.

use std::fmt::Write as _;

use super::{FormatKind, LogFormat};
use crate::{
    batch::escape,
    format::{
        compile::{Header, Steps, is_directive},
        container::{Added, Unwrapper},
        decode::time::LastTime,
        reference::{Captures, LineParser},
        rejection::{Reason, Rejection},
    },
    record::Record,
};

/// The most keys of a line that are shown. A client may choose them.
const KEYS_MAX: usize = 200;

impl LogFormat {
    /// Explains how lines are read, in words for a person: each line, its fields with their values, and its time, or the field
    /// at which the line stops matching the format. Control characters are escaped. Its text is no interface; it may change.
    ///
    /// `lines` is a part of a log: a line, or several with a line feed between them. Lines of [`w3c`](Self::w3c) need the
    /// `#Fields:` line before them, and a piece of a line in a [container](Self::docker) is put together with the others.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::LogFormat;
    ///
    /// let format = LogFormat::nginx("$remote_addr [$time_iso8601] $status")?;
    /// let found = format.explain(b"::1 [2026-11-21T13:25:22Z] 200");
    /// assert!(found.contains("  remote_addr = ::1\n  time_iso8601 = "), "{found}");
    /// let found = format.explain(b"::1 [21/Nov/2026:13:25:22] 200");
    /// assert!(found.ends_with("rejected at time_iso8601: column 6: not a time\n"), "{found}");
    /// let found = LogFormat::json().explain(br#"{"ts":1795246822,"request":{"host":"a"}}"#);
    /// assert!(found.contains("  request.host = a\n"), "{found}");
    /// # Ok::<(), evs::FormatError>(())
    /// ```
    #[must_use]
    pub fn explain(&self, lines: &[u8]) -> String {
        let format = &Self { containers: Vec::new(), ..self.clone() };
        let parser = self.unwrapper().and_then(|unwrapper| Ok((unwrapper, format.parser::<&str>(&[])?)));
        let (unwrapper, parser) = match parser {
            Ok(parser) => parser,
            Err(error) => return format!("error: {error}\n"),
        };
        let name = self.containers.first().map(|container| container.name());
        let unwrapper = name.zip(unwrapper);
        let mut explainer = Explainer { format, parser, unwrapper, fields: None, out: String::new() };
        for line in lines.strip_suffix(b"\n").unwrap_or(lines).split(|byte| *byte == b'\n') {
            let _ = writeln!(explainer.out, "{}", shown(line));
            explainer.line(line);
        }
        explainer.out
    }
}

/// Explains the lines of a log one after the other.
struct Explainer<'f> {
    /// The format without its container.
    format: &'f LogFormat,
    parser: LineParser,
    /// Takes lines out of their container, if the format has one, with its name.
    unwrapper: Option<(&'static str, Unwrapper)>,
    /// The last line that named the fields.
    fields: Option<Vec<u8>>,
    out: String,
}

// Writing to a String cannot fail.
impl Explainer<'_> {
    fn line(&mut self, line: &[u8]) {
        let mut text = line.to_vec();
        if let Some((name, unwrapper)) = &mut self.unwrapper {
            match unwrapper.open(line) {
                Ok(Added::Piece) => {
                    let _ = writeln!(self.out, "a piece in {name}: the line goes on");
                    return;
                }
                Err(rejection) => {
                    let _ = writeln!(self.out, "rejected at the envelope of {name}: {rejection}");
                    return;
                }
                Ok(_) => text = unwrapper.text().to_vec(),
            }
            if text != line {
                let _ = writeln!(self.out, "the line in {name} is: {}", shown(&text));
            }
        }
        let mut record = Record::new();
        let parsed = self.parser.parse(&text, &mut record);
        let at = match &self.format.kind {
            FormatKind::Text { steps, .. } => {
                let time = self.format.time.step(steps).ok();
                self.show_steps(&Steps { time, ..steps.clone() }, &text)
            }
            _ => self.show_keys(&text),
        };
        let at = at.map(|field| format!(" {field}")).unwrap_or_default();
        let _ = match parsed {
            Ok(()) => writeln!(self.out, "accepted: its time is {} seconds after 1970", record.seconds()),
            Err(Rejection { reason: Reason::Directive, .. }) => {
                writeln!(self.out, "a line about the log, which is not counted{at}")
            }
            Err(rejection @ Rejection { reason: Reason::NoTime, .. }) if self.fields.is_none() => {
                let keys = self.format.time.keys().join(", ");
                writeln!(self.out, "rejected{at}: {rejection}: it is looked for as {keys}")
            }
            Err(rejection) => writeln!(self.out, "rejected{at}: {rejection}"),
        };
    }

    /// Shows the values of a line that names its fields, or whose fields a line before it names. Says what a `#Fields:` line
    /// names.
    fn show_keys(&mut self, text: &[u8]) -> Option<String> {
        if matches!(self.format.kind, FormatKind::W3c) && is_directive(text) {
            let header = Header::new(text, None)?;
            self.fields = Some(text.to_vec());
            return Some(format!("but names the fields: {}", names_of(&header).join(", ")));
        }
        let names = match &self.format.kind {
            FormatKind::Json => paths(text),
            FormatKind::Ltsv => labels(text),
            FormatKind::W3c => names_of(&Header::new(self.fields.as_deref()?, None)?),
            FormatKind::Text { .. } => Vec::new(),
        };
        let mut parser = self.format.parser(&names).ok()?;
        let mut record = Record::new();
        if let Some(fields) = &self.fields {
            let _ = parser.parse(fields, &mut record);
        }
        parser.parse(text, &mut record).ok()?;
        for (field, name) in names.iter().enumerate() {
            let also =
                self.format.names.of_key(name).map(|name| format!(", also {name}")).unwrap_or_default();
            let _ = writeln!(
                self.out,
                "  {}{also} = {}",
                shown(name.as_bytes()),
                shown(record.field(field, text))
            );
        }
        None
    }

    /// Shows the values that are read of a line, and returns the field at which reading ends.
    fn show_steps(&mut self, steps: &Steps, text: &[u8]) -> Option<String> {
        let slots: Vec<_> = (0..steps.steps.len()).map(Some).collect();
        let mut captures = Captures::default();
        captures.clear(slots.len());
        let read = steps.read(text, &slots, &mut LastTime::in_zone(self.format.time.zone), &mut captures);
        let mut end = 0;
        let mut count = 0;
        for (index, step) in steps.steps.iter().enumerate() {
            let Some(capture) = captures.get(index) else { break };
            let range = capture.range();
            (end, count) = (range.end, index + 1);
            let _ = writeln!(self.out, "  {} = {}", step.name, shown(&text[range]));
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

/// The names of the fields that a `#Fields:` line names.
fn names_of(header: &Header) -> Vec<String> {
    header.steps[0].names().map(str::to_owned).collect()
}

/// The labels of a line of LTSV.
fn labels(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let labels = text.split('\t').filter_map(|field| Some(field.split_once(':')?.0.to_owned()));
    labels.take(KEYS_MAX).collect()
}

/// The paths of the values in a JSON object: `request.host`.
fn paths(text: &[u8]) -> Vec<String> {
    let mut paths = Vec::new();
    if let Ok(object) = serde_json::from_str(&String::from_utf8_lossy(text)) {
        add_paths("", &object, &mut paths);
    }
    paths
}

fn add_paths(path: &str, value: &serde_json::Value, paths: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            let dot = if path.is_empty() { "" } else { "." };
            for (key, value) in members {
                add_paths(&format!("{path}{dot}{key}"), value, paths);
            }
        }
        _ if paths.len() < KEYS_MAX => paths.push(path.to_owned()),
        _ => {}
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
