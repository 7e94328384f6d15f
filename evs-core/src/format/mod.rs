//! Log formats, and the parsers of their lines.
//!
//! A [`LogFormat`] describes a line: by an nginx `log_format` string, as JSON or as LTSV. It makes a [`LineParser`] for
//! the fields that are wanted, which reads lines into a [`Record`] without allocating.
//!
//! # Lines of a `log_format` string
//!
//! - The text between variables must stand in each line as it is. A line with missing or additional text is rejected,
//!   and so is one with a number or a time that does not look like one. So the halves of two lines never make a third.
//!   (If a line was cut before its time, the rest may be read as part of the next line's `$remote_user`, which may be
//!   anything. That is one event, the next line's.)
//! - In the default escaping a `"` always ends a value, and `\xHH` is undone in the fields that are asked for. Apache's
//!   `\"` is therefore not understood.
//! - `$remote_user`, `$http_…` and other values that clients choose may have blanks and brackets in them. Such a value
//!   ends where the rest of the line goes on as the format does.
//! - With `escape=none` a client can forge anything that the format contains, even line feeds: see
//!   [`LogFormat::is_forgeable`].
//!
//! # Lines of every format
//!
//! A line is rejected if it has a NUL byte in it or begins with a byte order mark.
//!
//! Some fields are derived from the request if a line does not have them, as nginx makes them: `request_method`,
//! `request_uri`, `uri`, `args`, `query_string`, `server_protocol`, and `arg_NAME`, which is percent-decoded.

// Each room uses only those above it.

// The bytes at which requests and queries are cut.
mod masks;

// Times, escapes, requests and their arguments.
mod decode;

// From a `log_format` string to the steps of its lines.
mod compile;

// The judge: reads single lines of every format.
mod reference;

// Reads most lines of most formats in blocks, and leaves the others to the reference.
mod fast;

mod error;
mod log_format;
mod rejection;

mod damage;
mod limits;
mod work;

#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "internals"))]
pub(crate) use self::fast::agreement;
pub(crate) use self::{
    compile::is_list,
    fast::{BlockParser, Columns, Number, NumberColumn, Span},
    limits::LineLimits,
};
pub use self::{
    error::FormatError,
    log_format::LogFormat,
    reference::LineParser,
    rejection::{Reason, Rejection},
};
#[cfg(test)]
pub(crate) use crate::record::Record;
