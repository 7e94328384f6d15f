//! The reference: it reads single lines of every format, and alone decides which lines are accepted.
//!
//! It is written to be right rather than fast: small parsers that take one value off the front of the rest of the
//! line, with the crate `nom` where that is clearer. The fast path must agree with it, and leaves every line to it
//! that is unusual. It also serves the formats that have no fast path: JSON, LTSV, and log formats that separators
//! cannot delimit.
//!
//! - `line_parser` puts the parts together.
//! - `nginx`, `json` and `ltsv` capture the values of a line into slots. `gaps` has the texts between values of JSON.
//! - `header` reads lines whose fields a `#Fields:` line names.
//! - `fields` makes the fields of the captured values.

mod fields;
mod gaps;
mod header;
mod json;
mod keys;
mod line_parser;
mod ltsv;
mod nginx;

pub use self::line_parser::LineParser;
pub(super) use self::{
    fields::{Captures, FieldMap, FieldRule, Naming, Part, SourceKind},
    header::{HeaderReader, LineForm, is_fields, without_fields},
    json::Scanner,
    keys::Keys,
    line_parser::{AccessKeys, LineReader},
    nginx::{LOOKAHEAD_BYTES_MAX, ends_with_protocol, is_number},
};
