//! Log formats, compiled to parsers.
//!
//! A [`LogFormat`] says what a line looks like: an nginx `log_format` string, JSON lines or LTSV. A
//! [`LineParser`], made for the fields that are wanted, takes lines apart into a
//! [`Record`], without allocating.
//!
//! Rules for `log_format` strings:
//!
//! - Text between variables stands in each line as it is; what is missing, or left over, makes the line
//!   bad. So does a number or a time that does not look like one: halves of two lines never make a third. (Of a line
//!   that was cut before its time, what is left may be taken for a part of the next line's `$remote_user`, which may
//!   hold anything: that is one event, the next line's.)
//! - In the default escaping a `"` ends a value, always, and `\xHH` is undone in fields that are asked
//!   for. Apache's `\"` is therefore not understood.
//! - `$remote_user`, `$http_…` and other values that clients choose may hold blanks and brackets: they
//!   end where the rest of the line goes on as the format does.
//! - With `escape=none` a client can forge anything that the format contains, line feeds included: see
//!   [`LogFormat::is_forgeable`].
//!
//! In every format a line is bad if it has a NUL byte in it or begins with a byte order mark.
//!
//! Fields that a line does not have are derived from its request, as nginx makes them: `request_method`,
//! `request_uri`, `uri`, `args`, `query_string`, `server_protocol` and `arg_NAME`, of which the last are
//! percent-decoded.

mod compile;
mod damage;
mod decode;
mod error;
mod fast;
mod limits;
mod log_format;
mod masks;
mod reference;
mod rejection;
mod work;

#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "bench"))]
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
pub use crate::record::Record;
