//! From the logged values to the fields that were asked for: directly, or derived from the request.

use crate::{
    format::{
        compile::Escape,
        decode::{
            args::{ArgNames, NOT_FOUND},
            escape::{undo_default, undo_json},
            request::{self, Parts},
        },
    },
    record::{Place, Record, Value},
};

/// Where a logged value stands in the line.
#[derive(Clone, Copy, Debug)]
pub(in crate::format) struct Capture {
    start: u32,
    end: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Missing,
    /// As it is.
    Raw,
    /// Its escapes are still to be undone.
    Escaped,
}

impl Capture {
    const MISSING: Self = Self { start: 0, end: 0, state: State::Missing };

    pub(in crate::format) fn raw(start: usize, end: usize) -> Self {
        Self::new(start, end, State::Raw)
    }

    pub(in crate::format) fn escaped(start: usize, end: usize) -> Self {
        Self::new(start, end, State::Escaped)
    }

    // Lines have fewer than 2^32 bytes: the line parser refuses longer ones first.
    #[expect(clippy::cast_possible_truncation)]
    fn new(start: usize, end: usize, state: State) -> Self {
        Self { start: start as u32, end: end as u32, state }
    }
}

/// The logged values of one line, by slot.
#[derive(Clone, Debug, Default)]
pub(in crate::format) struct Captures(Vec<Capture>);

impl Captures {
    pub(in crate::format) fn clear(&mut self, slots: usize) {
        self.0.clear();
        self.0.resize(slots, Capture::MISSING);
    }

    pub(in crate::format) fn set(&mut self, slot: usize, capture: Capture) {
        self.0[slot] = capture;
    }

    pub(in crate::format) fn get(&self, slot: usize) -> Option<Capture> {
        self.0.get(slot).copied().filter(|capture| capture.state != State::Missing)
    }
}

/// How each field asked for is made of logged values.
#[derive(Clone, Debug)]
pub(in crate::format) struct Plan {
    fields: Vec<Field>,
    origins: Vec<Origin>,
    escape: Escape,
}

#[derive(Clone, Debug)]
pub(in crate::format) struct Field {
    /// The slots of the value itself, under any of its names.
    pub(in crate::format) direct: Vec<usize>,
    /// What to derive it as if none of these has a value.
    pub(in crate::format) part: Option<Part>,
    /// What to derive it from, the best first; and the number that it has there if it is an argument.
    pub(in crate::format) origins: Vec<(usize, usize)>,
}

/// A part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::format) enum Part {
    Method,
    Target,
    Path,
    Args,
    Protocol,
    Arg(Box<[u8]>),
}

/// A logged value that others are derived from, taken apart once a line.
#[derive(Clone, Debug)]
struct Origin {
    slot: usize,
    kind: Kind,
    /// The arguments that are asked for.
    args: ArgNames,
    opened: Option<(Value, Parts)>,
    /// Where they are, once one has been needed.
    found: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum Kind {
    Request,
    Target,
    Args,
}

/// Whether every line has the same variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum Layout {
    /// What the format has is in each line.
    Fixed,
    /// A key may be in one line and not in the next.
    ByKey,
}

impl Plan {
    /// Plans `fields`; `slot` gives the slot of a logged value if the format can have it.
    ///
    /// # Errors
    ///
    /// The first field that cannot be made.
    pub(in crate::format) fn new<S: AsRef<str>>(
        fields: &[S],
        layout: Layout,
        escape: Escape,
        mut slot: impl FnMut(&str) -> Option<usize>,
    ) -> Result<Self, String> {
        let mut plan = Self { fields: Vec::new(), origins: Vec::new(), escape };
        for name in fields {
            let name = name.as_ref();
            let (part, sources) = derivation(name, layout);
            let mut field = Field { direct: Vec::new(), part, origins: Vec::new() };
            let enough = |field: &Field| {
                layout == Layout::Fixed && !(field.direct.is_empty() && field.origins.is_empty())
            };
            for name in std::iter::once(name).chain(alias(name)) {
                if !enough(&field) {
                    field.direct.extend(slot(name));
                }
            }
            for (source, kind) in sources {
                if !enough(&field)
                    && let Some(slot) = slot(source)
                {
                    field.origins.push(plan.origin(slot, *kind, field.part.as_ref()));
                }
            }
            if field.direct.is_empty() && field.origins.is_empty() {
                return Err(name.to_owned());
            }
            plan.fields.push(field);
        }
        Ok(plan)
    }

    fn origin(&mut self, slot: usize, kind: Kind, part: Option<&Part>) -> (usize, usize) {
        let known = self.origins.iter().position(|origin| origin.slot == slot && origin.kind == kind);
        let origin = known.unwrap_or_else(|| {
            let args = ArgNames::default();
            self.origins.push(Origin { slot, kind, args, opened: None, found: Vec::new() });
            self.origins.len() - 1
        });
        let number = match part {
            Some(Part::Arg(name)) => self.origins[origin].args.add(name),
            _ => 0,
        };
        (origin, number)
    }

    pub(in crate::format) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The slot of an origin, and what it is.
    pub(in crate::format) fn origin_of(&self, origin: usize) -> (usize, Kind) {
        let Origin { slot, kind, .. } = self.origins[origin];
        (slot, kind)
    }

    /// Fills `record`'s fields from the values of `line`.
    pub(in crate::format) fn fill(&mut self, line: &[u8], captures: &Captures, record: &mut Record) {
        let Self { fields, origins, escape } = self;
        for origin in origins.iter_mut() {
            origin.opened = None;
            origin.found.clear();
        }
        for field in fields.iter() {
            let direct = field.direct.iter().find_map(|slot| captures.get(*slot));
            let value = match direct {
                Some(capture) => {
                    let value = unescaped(line, capture, *escape, record);
                    if matches!(field.part, Some(Part::Arg(_))) {
                        decoded(line, value, record)
                    } else {
                        value
                    }
                }
                None => derive(line, field, origins, captures, *escape, record).unwrap_or(Value::ABSENT),
            };
            record.push(value);
        }
    }
}

/// Another name of the same variable.
fn alias(name: &str) -> Option<&'static str> {
    match name {
        "args" => Some("query_string"),
        "query_string" => Some("args"),
        "uri" => Some("document_uri"),
        "document_uri" => Some("uri"),
        _ => None,
    }
}

/// What part of the request a field is, and what it can be cut from, the best first.
fn derivation(name: &str, layout: Layout) -> (Option<Part>, &'static [(&'static str, Kind)]) {
    const ARGS: &[(&str, Kind)] = &[
        ("args", Kind::Args),
        ("query_string", Kind::Args),
        ("request_uri", Kind::Target),
        ("request", Kind::Request),
        ("uri", Kind::Target),
    ];
    // nginx's own $uri has no query; what other writers call `uri` does, but is the last to be asked.
    let args = if layout == Layout::Fixed { &ARGS[..4] } else { ARGS };
    let (part, sources) = match name {
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
    (Some(part), sources)
}

fn derive(
    line: &[u8],
    field: &Field,
    origins: &mut [Origin],
    captures: &Captures,
    escape: Escape,
    record: &mut Record,
) -> Option<Value> {
    let is_present = |(origin, _): &&(usize, usize)| captures.get(origins[*origin].slot).is_some();
    let (origin, number) = *field.origins.iter().find(is_present)?;
    let origin = &mut origins[origin];
    if origin.opened.is_none() {
        let value = unescaped(line, captures.get(origin.slot)?, escape, record);
        let text = text_of(line, value, &record.unescaped);
        let parts = match origin.kind {
            Kind::Request => Parts::of_request(text),
            Kind::Target => Parts::of_target(text),
            Kind::Args => Parts::of_args(text),
        };
        origin.opened = Some((value, parts));
    }
    let (value, parts) = origin.opened.as_ref()?;
    let cut = |range: &std::ops::Range<usize>| cut(*value, range);
    match field.part.as_ref()? {
        Part::Method => parts.method.as_ref().map(cut),
        Part::Target => parts.target.as_ref().map(cut),
        Part::Protocol => parts.protocol.as_ref().map(cut),
        Part::Args => parts.args.as_ref().map(cut),
        Part::Path => normalised(line, parts.path.as_ref().map(cut)?, record),
        Part::Arg(_) => {
            let args = parts.args.as_ref().map(cut)?;
            if origin.found.is_empty() {
                let text = text_of(line, args, &record.unescaped);
                origin.args.find(text, 0..text.len(), &mut origin.found);
            }
            let (start, end) = *origin.found.get(number).filter(|found| **found != NOT_FOUND)?;
            Some(decoded(line, self::cut(args, &(start..end)), record))
        }
    }
}

/// The part of `value` that `range` spans.
// As for captures: nothing here is longer than its line.
#[expect(clippy::cast_possible_truncation)]
fn cut(value: Value, range: &std::ops::Range<usize>) -> Value {
    let (start, end) = (value.start + range.start as u32, value.start + range.end as u32);
    let moved = if value.place == Place::Line { start - value.start } else { 0 };
    Value { start, end, origin: value.origin + moved, ..value }
}

/// The bytes of a logged value; `Place::Derived` is none.
pub(in crate::format) fn text_of<'t>(line: &'t [u8], value: Value, unescaped: &'t [u8]) -> &'t [u8] {
    let text = if value.place == Place::Line { line } else { unescaped };
    &text[value.start as usize..value.end as usize]
}

/// A logged value with its escapes undone.
pub(in crate::format) fn unescaped(
    line: &[u8],
    capture: Capture,
    escape: Escape,
    record: &mut Record,
) -> Value {
    let Capture { start, end, state } = capture;
    let value = Value { place: Place::Line, start, end, origin: start };
    let text = &line[start as usize..end as usize];
    if state != State::Escaped || escape == Escape::None || memchr::memchr(b'\\', text).is_none() {
        return value;
    }
    let from = record.unescaped.len();
    match escape {
        Escape::Json => undo_json(text, &mut record.unescaped),
        _ => undo_default(text, &mut record.unescaped),
    }
    written(Place::Unescaped, from, record.unescaped.len(), value)
}

/// The value of an argument with its percent-encoding undone.
fn decoded(line: &[u8], value: Value, record: &mut Record) -> Value {
    let text = text_of(line, value, &record.unescaped);
    if !request::is_encoded(text) {
        return value;
    }
    let from = record.derived.len();
    request::decode(text, &mut record.derived);
    written(Place::Derived, from, record.derived.len(), value)
}

/// A path as `$uri` has it.
fn normalised(line: &[u8], value: Value, record: &mut Record) -> Option<Value> {
    let text = text_of(line, value, &record.unescaped);
    if request::is_normal(text) {
        return Some(value);
    }
    let from = record.derived.len();
    request::normalise(text, &mut record.derived)?;
    Some(written(Place::Derived, from, record.derived.len(), value))
}

/// What was written from `from` to `to`, made of `value`.
// A buffer holds at most one copy of the line per field. Values that would lie beyond 2^32 bytes are
// absent rather than wrong.
fn written(place: Place, from: usize, to: usize, value: Value) -> Value {
    match (u32::try_from(from), u32::try_from(to)) {
        (Ok(start), Ok(end)) => Value { place, start, end, ..value },
        _ => Value::ABSENT,
    }
}
