//! The reference: it reads single lines of every format, and alone decides which lines are accepted.
//!
//! The fast path must agree with it, and leaves every line to it that is unusual.

mod fields;
mod json;
mod keys;
mod line_parser;
mod ltsv;
mod nginx;

pub use self::line_parser::LineParser;
pub(super) use self::{
    fields::{FieldMap, Naming, Part, SourceKind},
    json::Scanner,
    keys::Keys,
    line_parser::LineReader,
    nginx::{LOOKAHEAD_BYTES_MAX, is_number},
};
