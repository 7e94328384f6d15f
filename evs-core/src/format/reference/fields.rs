//! Makes the fields that were asked for from the captured values of a line.
//!
//! Some fields are captured values themselves, others are derived from one. For example, `arg_c` is derived from
//! `$args` if the format has it, else from `$request_uri`, else from `$request`.
//!
//! The rules are found once, when a parser is made. In an nginx format each field then has one source, since every
//! line has every variable. In JSON and LTSV a key may be in one line and not in the next, so all possible sources are
//! kept, the best one first.
//!
//! A value that is derived by cutting stays a range of the line. Only a value that is decoded or normalised is written
//! to a buffer of the record.

use std::ops::Range;

use crate::{
    format::{
        compile::{Escape, QUERY},
        decode::{
            args::{ArgNames, NOT_FOUND},
            escape::undo_path,
            request::{self, Parts},
        },
    },
    record::{Buffer, Record, Value},
};

/// A captured value: its range in the line.
#[derive(Clone, Copy, Debug)]
pub(in crate::format) struct Capture {
    /// The first byte, as an offset in the line.
    start: u32,
    /// The end, as an offset in the line.
    end: u32,
    /// The form in which the value is logged.
    form: Form,
}

/// The form in which a value is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The line does not have the value.
    Missing,
    /// The value stands in the line as it is.
    Raw,
    /// The value may have escapes, which must be undone.
    Escaped,
    /// The value has quotes, each of which is doubled.
    Doubled,
}

impl Capture {
    /// The capture of a slot that the line has no value for.
    const MISSING: Self = Self { start: 0, end: 0, form: Form::Missing };

    /// A value that stands in the line as it is.
    pub(in crate::format) fn raw(start: usize, end: usize) -> Self {
        Self::new(start, end, Form::Raw)
    }

    /// A value that may have escapes.
    pub(in crate::format) fn escaped(start: usize, end: usize) -> Self {
        Self::new(start, end, Form::Escaped)
    }

    /// A value that was in quotes, and true if quotes are doubled in it.
    pub(in crate::format) fn unquoted((range, are_doubled): (Range<usize>, bool)) -> Self {
        Self::new(range.start, range.end, if are_doubled { Form::Doubled } else { Form::Raw })
    }

    /// Its range in the line.
    pub(in crate::format) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    // Lines have fewer than 2^32 bytes: the line parser refuses longer ones first.
    #[expect(clippy::cast_possible_truncation)]
    fn new(start: usize, end: usize, form: Form) -> Self {
        Self { start: start as u32, end: end as u32, form }
    }
}

/// The captured values of a line, by slot.
#[derive(Clone, Debug, Default)]
pub(in crate::format) struct Captures(Vec<Capture>);

impl Captures {
    /// Forgets all values, and makes room for `slots` of them.
    pub(in crate::format) fn clear(&mut self, slots: usize) {
        self.0.clear();
        self.0.resize(slots, Capture::MISSING);
    }

    /// Captures the value of a slot.
    pub(in crate::format) fn set(&mut self, slot: usize, capture: Capture) {
        self.0[slot] = capture;
    }

    /// The value of a slot, unless the line does not have it.
    pub(in crate::format) fn get(&self, slot: usize) -> Option<Capture> {
        self.0.get(slot).copied().filter(|capture| capture.form != Form::Missing)
    }
}

/// The rules by which each field is made of captured values.
#[derive(Clone, Debug)]
pub(in crate::format) struct FieldMap {
    /// The rule of each field.
    fields: Vec<FieldRule>,
    /// The values from which fields are derived. Several fields share one.
    sources: Vec<RequestSource>,
    escape: Escape,
}

/// The rule by which a field is made.
#[derive(Clone, Debug)]
pub(in crate::format) struct FieldRule {
    /// The slots of the field itself, under any of its names.
    pub(in crate::format) direct: Vec<usize>,
    /// The part of a request to derive, if none of these slots has a value.
    pub(in crate::format) part: Option<Part>,
    /// True if the value is a header that is percent-encoded: [`Escape::Percent`].
    pub(in crate::format) is_encoded: bool,
    /// The sources to derive it from, the best one first: the index of each, and the number of the argument in it.
    pub(in crate::format) sources: Vec<(usize, usize)>,
}

/// A part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::format) enum Part {
    /// `$request_method`: `GET`.
    Method,
    /// `$request_uri`: the path and the query, as they were sent.
    Target,
    /// `$uri`: the path, decoded and normalised.
    Path,
    /// `$args`: the query, without its `?`.
    Args,
    /// `$server_protocol`: `HTTP/1.1`.
    Protocol,
    /// `$arg_NAME`: the value of one argument.
    Arg(Box<[u8]>),
}

/// A captured value from which fields are derived. It is cut into parts once per line, however many fields need it.
#[derive(Clone, Debug)]
struct RequestSource {
    /// The slot of the value.
    slot: usize,
    kind: SourceKind,
    /// The names of the arguments that are asked for.
    args: ArgNames,
    /// The value and its parts, once a field of the line has needed them.
    parsed: Option<(Value, Parts)>,
    /// The ranges of the arguments, once a field of the line has needed one.
    found: Vec<(usize, usize)>,
}

/// The kind of a value from which fields are derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum SourceKind {
    /// A request line: `GET /path?query HTTP/1.1`.
    Request,
    /// A target: `/path?query`.
    Target,
    /// A query: `c=1&v=2`.
    Args,
}

/// The way in which lines name their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum Naming {
    /// The position of a value names it: every line has every variable of the format.
    Position,
    /// The position of a value names it, but a field that the lines do not have is absent: a `#Fields:` line decides.
    Header,
    /// A key names a value. It may be in one line and not in the next.
    Key,
}

impl FieldMap {
    /// Finds the rules for `fields`. `slot` tells the slot of a variable or key, or `None` if the format cannot have
    /// it.
    ///
    /// In the format `$msec "$request" $args`, for example, `arg_c` is derived from `$args` alone: it is the best
    /// source, and every line has it. In JSON, `arg_c` has a slot of its own and five sources, and each line decides.
    ///
    /// # Errors
    ///
    /// Returns the name of the first field that cannot be made.
    pub(in crate::format) fn new<S: AsRef<str>>(
        fields: &[S],
        naming: Naming,
        escape: Escape,
        mut slot: impl FnMut(&str) -> Option<usize>,
    ) -> Result<Self, String> {
        let mut map = Self { fields: Vec::new(), sources: Vec::new(), escape };
        for name in fields {
            let name = name.as_ref();
            let (part, variables) = derivation(name, naming);
            let is_encoded = escape == Escape::Percent && name.starts_with("http_");
            let mut field = FieldRule { direct: Vec::new(), part, is_encoded, sources: Vec::new() };
            let enough = |field: &FieldRule| {
                naming != Naming::Key && !(field.direct.is_empty() && field.sources.is_empty())
            };
            for name in std::iter::once(name).chain(alias(name)) {
                if !enough(&field) {
                    field.direct.extend(slot(name));
                }
            }
            for (variable, kind) in variables {
                if !enough(&field)
                    && let Some(slot) = slot(variable)
                {
                    field.sources.push(map.source(slot, *kind, field.part.as_ref()));
                }
            }
            if field.direct.is_empty() && field.sources.is_empty() && naming != Naming::Header {
                return Err(name.to_owned());
            }
            map.fields.push(field);
        }
        Ok(map)
    }

    /// The index of a source, and the number of the argument in it. A new source or argument is added.
    fn source(&mut self, slot: usize, kind: SourceKind, part: Option<&Part>) -> (usize, usize) {
        let known = self.sources.iter().position(|source| source.slot == slot && source.kind == kind);
        let source = known.unwrap_or_else(|| {
            let args = ArgNames::default();
            self.sources.push(RequestSource { slot, kind, args, parsed: None, found: Vec::new() });
            self.sources.len() - 1
        });
        let number = match part {
            Some(Part::Arg(name)) => self.sources[source].args.add(name),
            _ => 0,
        };
        (source, number)
    }

    /// The rules of all fields, in the order in which they were asked for.
    pub(in crate::format) fn fields(&self) -> &[FieldRule] {
        &self.fields
    }

    /// The slot and the kind of a source.
    pub(in crate::format) fn source_of(&self, source: usize) -> (usize, SourceKind) {
        let RequestSource { slot, kind, .. } = self.sources[source];
        (slot, kind)
    }

    /// Fills the fields of `record` from the captured values of `line`.
    pub(in crate::format) fn fill(&mut self, line: &[u8], captures: &Captures, record: &mut Record) {
        let Self { fields, sources, escape } = self;
        for source in sources.iter_mut() {
            source.parsed = None;
            source.found.clear();
        }
        for field in fields.iter() {
            let direct = field.direct.iter().find_map(|slot| captures.get(*slot));
            let value = match direct {
                Some(capture) => {
                    let value = unescaped(line, capture, *escape, record);
                    if matches!(field.part, Some(Part::Arg(_))) {
                        decoded(line, value, record)
                    } else if field.is_encoded {
                        header(line, value, record)
                    } else {
                        value
                    }
                }
                None => derive(line, field, sources, captures, *escape, record).unwrap_or(Value::ABSENT),
            };
            record.push(value);
        }
    }
}

/// Another name for the same variable: nginx has two for the query and for the path.
fn alias(name: &str) -> Option<&'static str> {
    match name {
        "args" => Some("query_string"),
        "query_string" => Some("args"),
        "uri" => Some("document_uri"),
        "document_uri" => Some("uri"),
        _ => None,
    }
}

/// The part of a request that a field is, and the variables that it can be cut from, the best one first.
fn derivation(name: &str, naming: Naming) -> (Option<Part>, &'static [(&'static str, SourceKind)]) {
    const ARGS: &[(&str, SourceKind)] = &[
        ("args", SourceKind::Args),
        ("query_string", SourceKind::Args),
        ("request_uri", SourceKind::Target),
        ("request", SourceKind::Request),
        ("uri", SourceKind::Target),
    ];
    const BY_POSITION: &[(&str, SourceKind)] =
        &[ARGS[0], ARGS[1], ARGS[2], ARGS[3], (QUERY, SourceKind::Target)];
    // nginx's own `$uri` has no query. Other writers use the key `uri` for a target with one, so it is asked last.
    let args = if naming == Naming::Key { ARGS } else { BY_POSITION };
    let (part, variables) = match name {
        "request_method" => (Part::Method, &ARGS[3..4]),
        "server_protocol" => (Part::Protocol, &ARGS[3..4]),
        "request_uri" => (Part::Target, &ARGS[3..4]),
        "uri" | "document_uri" => (Part::Path, &ARGS[2..4]),
        "args" | "query_string" => (Part::Args, &args[2..]),
        _ => match name.strip_prefix("arg_") {
            Some(name) => (Part::Arg(name.as_bytes().into()), args),
            None => return (None, &[]),
        },
    };
    (Some(part), variables)
}

/// Derives a field from the first of its sources that the line has.
fn derive(
    line: &[u8],
    field: &FieldRule,
    sources: &mut [RequestSource],
    captures: &Captures,
    escape: Escape,
    record: &mut Record,
) -> Option<Value> {
    let is_present = |(source, _): &&(usize, usize)| captures.get(sources[*source].slot).is_some();
    let (source, number) = *field.sources.iter().find(is_present)?;
    let source = &mut sources[source];
    if source.parsed.is_none() {
        let value = unescaped(line, captures.get(source.slot)?, escape, record);
        let text = text_of(line, value, &record.unescaped);
        let parts = match source.kind {
            SourceKind::Request => Parts::of_request(text),
            SourceKind::Target => Parts::of_target(text),
            SourceKind::Args => Parts::of_args(text),
        };
        source.parsed = Some((value, parts));
    }
    let (value, parts) = source.parsed.as_ref()?;
    let cut = |range: &Range<usize>| cut(*value, range);
    match field.part.as_ref()? {
        Part::Method => parts.method.as_ref().map(cut),
        Part::Target => parts.target.as_ref().map(cut),
        Part::Protocol => parts.protocol.as_ref().map(cut),
        Part::Args => parts.args.as_ref().map(cut),
        Part::Path => normalised(line, parts.path.as_ref().map(cut)?, record),
        Part::Arg(_) => {
            let args = parts.args.as_ref().map(cut)?;
            if source.found.is_empty() {
                let text = text_of(line, args, &record.unescaped);
                source.args.find(text, 0..text.len(), &mut source.found);
            }
            let (start, end) = *source.found.get(number).filter(|found| **found != NOT_FOUND)?;
            Some(decoded(line, self::cut(args, &(start..end)), record))
        }
    }
}

/// The part of `value` at `range`. In an undone value, the origin stays that of the whole, since escapes have shifted
/// the bytes.
// As for captures, no value is longer than its line.
#[expect(clippy::cast_possible_truncation)]
fn cut(value: Value, range: &Range<usize>) -> Value {
    let (start, end) = (value.start + range.start as u32, value.start + range.end as u32);
    let moved = if value.buffer == Buffer::Line { start - value.start } else { 0 };
    Value { start, end, origin: value.origin + moved, ..value }
}

/// The bytes of a captured value. (A derived value is never cut again.)
pub(in crate::format) fn text_of<'t>(line: &'t [u8], value: Value, unescaped: &'t [u8]) -> &'t [u8] {
    let text = if value.buffer == Buffer::Line { line } else { unescaped };
    &text[value.start as usize..value.end as usize]
}

/// A captured value once its escapes are undone.
pub(in crate::format) fn unescaped(
    line: &[u8],
    capture: Capture,
    escape: Escape,
    record: &mut Record,
) -> Value {
    let Capture { start, end, form } = capture;
    let value = Value { buffer: Buffer::Line, start, end, origin: start };
    let text = &line[start as usize..end as usize];
    if form == Form::Doubled {
        let from = record.unescaped.len();
        let mut rest = text;
        while let Some(at) = memchr::memchr(b'"', rest) {
            record.unescaped.extend_from_slice(&rest[..=at]);
            rest = &rest[at + 2..];
        }
        record.unescaped.extend_from_slice(rest);
        return written(Buffer::Unescaped, from, record.unescaped.len(), value);
    }
    if form != Form::Escaped || escape.is_verbatim() || memchr::memchr(escape.byte(), text).is_none() {
        return value;
    }
    let from = record.unescaped.len();
    escape.undo(text, &mut record.unescaped);
    written(Buffer::Unescaped, from, record.unescaped.len(), value)
}

/// The value of an argument once its percent-encoding is undone.
fn decoded(line: &[u8], value: Value, record: &mut Record) -> Value {
    let text = text_of(line, value, &record.unescaped);
    if !request::is_encoded(text) {
        return value;
    }
    let from = record.derived.len();
    request::decode(text, &mut record.derived);
    written(Buffer::Derived, from, record.derived.len(), value)
}

/// The value of a header once its percent-encoding is undone.
fn header(line: &[u8], value: Value, record: &mut Record) -> Value {
    let text = text_of(line, value, &record.unescaped);
    if memchr::memchr(b'%', text).is_none() {
        return value;
    }
    let from = record.derived.len();
    undo_path(text, &mut record.derived);
    written(Buffer::Derived, from, record.derived.len(), value)
}

/// A path once it is normalised as in `$uri`.
fn normalised(line: &[u8], value: Value, record: &mut Record) -> Option<Value> {
    let text = text_of(line, value, &record.unescaped);
    if request::is_normal(text) {
        return Some(value);
    }
    let from = record.derived.len();
    request::normalise(text, &mut record.derived)?;
    Some(written(Buffer::Derived, from, record.derived.len(), value))
}

/// The value that was made of `value` and written to the buffer from `from` to `to`.
// A buffer holds at most one copy of the line per field. A value that would end after 2^32 bytes is absent rather than
// wrong.
fn written(buffer: Buffer, from: usize, to: usize, value: Value) -> Value {
    match (u32::try_from(from), u32::try_from(to)) {
        (Ok(start), Ok(end)) => Value { buffer, start, end, ..value },
        _ => Value::ABSENT,
    }
}
