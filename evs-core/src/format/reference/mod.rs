//! Reads a line of each kind of format, one line at a time. This is the reference: what it accepts is a line.

mod fields;
mod json;
mod keys;
mod line_parser;
mod ltsv;
mod nginx;

pub use self::line_parser::LineParser;
pub(super) use self::{
    fields::{Kind, Layout, Part, Plan},
    json::Scanner,
    keys::Keys,
    line_parser::Source,
    nginx::{LOOKAHEAD_BYTES_MAX, is_number},
};
