//! Log formats, and the parsers of their lines.
//!
//! In goes a format (a format string of nginx or Apache, JSON or LTSV) with the names of the fields that are wanted, and
//! then the bytes of the log. Out come, per line, its time and those fields, or the reason why the line is rejected.
//! [`LogFormat`] has the rules that a user may rely on.
//!
//! There are two readers of lines. The *reference* reads single lines of every format, step by step, and alone decides
//! which lines are accepted. The *fast path* reads most lines of most formats, some hundred at a time, and leaves
//! every line of which it is not certain to the reference. So there is one judge, and speed never changes a number. A
//! property test and a fuzz target compare the two (`fast::agreement`).
//!
//! ```text
//! log_format string --> compile --> steps --+--> reference: one line  -->  Record
//!                                           |        ^
//!                                           |        | every unusual line
//!                                           +--> fast: a block of lines --> Columns
//! ```
//!
//! Two invariants hold throughout:
//!
//! - Reading takes time linear in the length of a line, whatever a client puts into it. Tests count steps (`work`)
//!   instead of measuring time.
//! - No parser panics or allocates without bound on any bytes: logs are full of what strangers send.
//!
//! # Adding a format
//!
//! JSON and LTSV show the way: a module in `reference` captures the values of a line into slots, `LogFormat` and
//! `LineReader` get a variant, and `FromStr` and `Display` a name. The formats of the tests and of the fuzz target
//! `line_parsers` get a line each. A fast path is optional; without one, `BlockParser` reads all lines by the
//! reference.
//!
//! # Adding a reason
//!
//! A line is rejected for a [`Reason`]. A new one needs a text, and a code, which appears in metrics and in the file
//! of rejected lines and so never changes.

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

// The envelopes around the lines of a log.
mod container;

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
    compile::{is_list, is_of_client},
    container::{Pieces, Preamble, Unwrapper},
    fast::{BlockParser, Columns, Conventions, Number, NumberColumn, Rejected, Span},
    limits::LineLimits,
    rejection::add_reasons,
};
pub use self::{
    error::FormatError,
    log_format::LogFormat,
    reference::LineParser,
    rejection::{CheckName, Reason, Rejection},
};
#[cfg(test)]
pub(crate) use crate::record::Record;
