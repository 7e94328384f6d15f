//! The `#Fields:` line of an extended log file (<https://www.w3.org/TR/WD-logfile.html>), which says what the lines
//! after it have.
//!
//! ```text
//! #Fields: date time c-ip cs-method cs-uri-stem sc-status time-taken
//! 2026-11-28 10:00:01 192.0.2.1 GET /website/example 200 36
//! ```
//!
//! A field becomes a variable with the name that nginx has for the same value, as with Apache's directives: `c-ip` is
//! `remote_addr`, and `cs(User-Agent)` is `http_user_agent`. `date` and `time` together are the time of the line.
//!
//! A value may be in quotes, in which a quote is doubled: `"Mozilla/5.0 (X11; ""x"")"`. IIS writes no quotes, and clients can
//! send them: there, a value may begin with one that nothing closes. So quotes decide only where they must. A line with as
//! many delimiters as its fields have is cut at these, whatever stands between them, and a client can move nothing. In a line
//! with more of them, those inside of quotes belong to values.
//!
//! The names are delimited by blanks, but the values may be delimited by tabs, as CloudFront's are. So both steps are
//! compiled, and each line is read by those that its first delimiter tells.

use std::ops::Range;

use super::{class::Class, compiler::compile_pieces, escape::Escape, piece::Piece, steps::Steps};
use crate::format::{decode::time::Shape, error::FormatError};

/// The beginning of the line that names the fields.
pub(in crate::format) const FIELDS: &str = "#Fields:";

/// True for a line that is about the log, and not an event.
pub(in crate::format) fn is_directive(line: &[u8]) -> bool {
    line.first() == Some(&b'#')
}

/// The fields that a `#Fields:` line names, compiled.
#[derive(Clone, Debug)]
pub(in crate::format) struct Header {
    /// The steps of lines that are delimited by tabs, and by blanks.
    pub(in crate::format) steps: [Steps; 2],
    /// The same with a CR at the end of the line.
    pub(in crate::format) steps_crlf: [Steps; 2],
    /// The same for lines in which values in quotes have delimiters in them.
    quoted: [Steps; 2],
    /// The number of delimiters of a line without such values.
    delimiters: usize,
}

/// The delimiters of values, in the order of [`Header::steps`].
const DELIMITERS: [u8; 2] = *b"\t ";

impl Header {
    /// Compiles a `#Fields:` line. `None` if the line is no such one, or names no field. `time` is the field that holds the time,
    /// with its shape, if the user has named it.
    pub(in crate::format) fn new(line: &[u8], time: Option<&(String, Shape)>) -> Option<Self> {
        let names = std::str::from_utf8(line).ok()?.strip_prefix(FIELDS)?;
        let names: Vec<_> = names.split_ascii_whitespace().collect();
        if names.is_empty() {
            return None;
        }
        let steps = |end: &str| -> Option<[Steps; 2]> {
            let [tabs, blanks] = DELIMITERS.map(|delimiter| compile(&names, delimiter, end, time).ok());
            Some([tabs?, blanks?])
        };
        let (steps, steps_crlf) = (steps("")?, steps("\r")?);
        let quoted = steps.clone().map(|steps| Steps { is_quoted: true, ..steps });
        Some(Self { steps, steps_crlf, quoted, delimiters: names.len() - 1 })
    }

    /// The steps for a line, without the CR before its line feed.
    pub(in crate::format) fn steps_of(&self, line: &[u8]) -> &Steps {
        let index = Self::index_of(line);
        let has_more = || memchr::memchr_iter(DELIMITERS[index], line).count() > self.delimiters;
        let is_quoted = memchr::memchr(b'"', line).is_some() && has_more();
        if is_quoted { &self.quoted[index] } else { &self.steps[index] }
    }

    /// The index of the steps for a line: its first delimiter decides.
    pub(in crate::format) fn index_of(line: &[u8]) -> usize {
        let first = memchr::memchr2(DELIMITERS[0], DELIMITERS[1], line);
        usize::from(first.is_some_and(|at| line[at] == DELIMITERS[1]))
    }
}

/// The range of a value without its quotes, if it is one in quotes, and true if quotes are doubled in it.
pub(in crate::format) fn without_quotes(line: &[u8], range: Range<usize>) -> (Range<usize>, bool) {
    let [b'"', inside @ .., b'"'] = &line[range.clone()] else { return (range, false) };
    let mut rest = inside;
    let mut are_doubled = false;
    while let Some(at) = memchr::memchr(b'"', rest) {
        if rest.get(at + 1) != Some(&b'"') {
            return (range, false);
        }
        are_doubled = true;
        rest = &rest[at + 2..];
    }
    (range.start + 1..range.end - 1, are_doubled)
}

/// Compiles the names for lines with that delimiter, which have `end` before their line feed.
fn compile(
    names: &[&str],
    delimiter: u8,
    end: &str,
    time: Option<&(String, Shape)>,
) -> Result<Steps, FormatError> {
    let between = char::from(delimiter).to_string();
    let mut pieces = Vec::new();
    let mut rest = names;
    while let [name, after @ ..] = rest {
        rest = after;
        let piece = match (*name, after) {
            ("date", ["time", after @ ..]) => {
                rest = after;
                let shape = Shape::date_and_time(&between)?;
                (TIME.to_owned(), Class::Time(shape))
            }
            ("timestamp", _) => ("timestamp".to_owned(), Class::Time(Shape::named("seconds")?)),
            _ => {
                let name = nginx_name(name);
                let is_number = NUMBERS.contains(&&*name);
                (name, if is_number { Class::Number } else { Class::Delimited(delimiter) })
            }
        };
        pieces.push(Piece::Variable(0, piece.0, Some(piece.1)));
        let text = if rest.is_empty() { end } else { &between };
        if !text.is_empty() {
            pieces.push(Piece::Text(0, text.to_owned()));
        }
    }
    // CloudFront alone has the field, and encodes what clients send.
    let escape = if names.contains(&"x-edge-location") { Escape::Percent } else { Escape::Delimited };
    compile_pieces(&pieces, escape, time)
}

/// The name of the time that `date` and `time` are together.
const TIME: &str = "date_time";

/// The fields that are numbers, or `-`.
const NUMBERS: &[&str] = &[
    "bytes_sent",
    "remote_port",
    "request_length",
    "sc_substatus",
    "sc_win32_status",
    "server_port",
    "status",
    "time_taken",
    "time_to_first_byte",
];

/// The name that nginx has for a field. A field that nginx does not have keeps its name, in small letters, with `_`
/// for any other character.
pub(in crate::format) fn nginx_name(name: &str) -> String {
    let known = match name {
        "c-ip" => "remote_addr",
        "c-port" => "remote_port",
        "cs-bytes" => "request_length",
        "cs-host" => "host",
        "cs-method" => "request_method",
        "cs-protocol-version" | "cs-version" => "server_protocol",
        "cs-protocol" => "scheme",
        "cs-uri" => "request_uri",
        "cs-uri-stem" => "uri",
        "cs-uri-query" => "args",
        "cs-username" => "remote_user",
        "s-ip" => "server_addr",
        "s-port" => "server_port",
        "sc-bytes" => "bytes_sent",
        "sc-status" => "status",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let (prefix, name) = match name.strip_suffix(')') {
        Some(header) => match (header.strip_prefix("cs("), header.strip_prefix("sc(")) {
            (Some(header), _) => ("http_", header),
            (None, Some(header)) => ("sent_http_", header),
            (None, None) => ("", header),
        },
        None => ("", name),
    };
    let small = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '_' };
    prefix.chars().chain(name.chars().map(small)).collect()
}
