//! Reads lines whose fields a line before them names: the extended log file format of the W3C.
//!
//! A `#Fields:` line makes a parser for the lines after it. Without one, no line can be read, and nothing is guessed.

use super::{
    fields::{FieldMap, Naming},
    line_parser::{LineParser, LineReader},
};
use crate::{
    format::{
        compile::{Header, is_directive, nginx_name},
        damage,
        decode::time::Shape,
        rejection::{Reason, Rejection},
    },
    record::Record,
};

/// Reads lines by the `#Fields:` line that was read last.
#[derive(Clone, Debug)]
pub(in crate::format) struct HeaderReader {
    /// The fields that are asked for.
    fields: Vec<String>,
    /// The field that holds the time, with its shape, if the user has named it.
    time: Option<(String, Shape)>,
    /// The zone of times without one: the seconds by which it is ahead of UTC.
    zone: i64,
    /// The parser of the lines that follow. `None` before the first `#Fields:` line.
    current: Option<Box<LineParser>>,
}

/// The form of the lines for which a parser has a fast path. It reads lines of the other forms, too, but slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) struct LineForm {
    /// The index of the delimiter: see [`Header::index_of`].
    pub(in crate::format) delimiter: usize,
    /// True if lines end with CR and LF.
    pub(in crate::format) is_crlf: bool,
}

impl LineForm {
    /// The form of a line, without its line feed.
    pub(in crate::format) fn of(line: &[u8]) -> Self {
        Self { delimiter: Header::index_of(line), is_crlf: line.ends_with(b"\r") }
    }
}

impl HeaderReader {
    /// A reader for `fields`, of times that are ahead of UTC by `zone` seconds. `time` names the field that holds them, if it is
    /// not as usual.
    pub(in crate::format) fn new<S: AsRef<str>>(
        fields: &[S],
        time: Option<(String, Shape)>,
        zone: i64,
    ) -> Self {
        let fields = fields.iter().map(|field| field.as_ref().to_owned()).collect();
        Self { fields, time, zone, current: None }
    }

    /// A parser of the lines after that `#Fields:` line. `None` if the line is no such one, or names no field.
    pub(in crate::format) fn parser(&self, line: &[u8], form: LineForm) -> Option<LineParser> {
        let header = Header::new(line, self.time.as_ref())?;
        let steps = &header.steps[form.delimiter];
        let mut slots = vec![None; steps.steps.len()];
        let mut slots_used = 0;
        let map = FieldMap::new(&self.fields, Naming::Header, steps.escape, |name| {
            let (as_asked, as_known) = (name, nginx_name(name));
            let is_it = |name: &str| name == as_asked || name == as_known;
            let step = steps.steps.iter().position(|step| is_it(&step.name))?;
            Some(*slots[step].get_or_insert_with(|| {
                slots_used += 1;
                slots_used - 1
            }))
        });
        let template = if form.is_crlf { &header.steps_crlf } else { &header.steps };
        let template = Box::new(template[form.delimiter].clone());
        let reader = LineReader::Delimited { header: Box::new(header), slots, template };
        Some(LineParser::new(reader, slots_used, map.ok()?).timed(None, self.zone))
    }

    /// Reads a line. One that begins with `#` is rejected as [`Reason::Directive`], and remembered if it names the fields.
    pub(in crate::format) fn parse(
        &mut self,
        line: &[u8],
        may_have_nul: bool,
        record: &mut Record,
    ) -> Result<(), Rejection> {
        if is_directive(line) {
            if is_fields(line) {
                self.current = self.parser(line, LineForm::of(b"")).map(Box::new);
            }
            return Err(Rejection::at(0, Reason::Directive));
        }
        match &mut self.current {
            Some(parser) => parser.parse_in_block(line, may_have_nul, record),
            None => Err(without_fields(line)),
        }
    }
}

/// True for a line that names the fields of the lines after it, well or badly.
pub(in crate::format) fn is_fields(line: &[u8]) -> bool {
    line.starts_with(crate::format::compile::FIELDS.as_bytes())
}

/// The rejection of a line whose fields nothing names.
pub(in crate::format) fn without_fields(line: &[u8]) -> Rejection {
    let reason = if line.is_empty() { Reason::Empty } else { Reason::NoFields };
    damage::or(line, Rejection::at(0, reason))
}
