//! Selecting and deriving: conditions over a line's fields, and fields that are made of others.
//!
//! Both are values. They have a text, which is part of a statistic's definition, and are read from that text
//! ([`parse`]). In go the texts of a line's fields, out comes a text ([`Expr::write`]) or yes or no.
//!
//! ```text
//! field("uri").path_prefix(2)          Expr::Call(PathPrefix(2), [Variable("uri")])   path_prefix(uri, 2)
//! field("status").ge(500)              Test::Compare(Variable("status"), Ordered)     status >= 500
//! ```
//!
//! Everything here is pure: the value depends on the texts of the inputs alone. So [`aggregate`](crate::aggregate)
//! computes it once per distinct value of the inputs, and nothing here need be fast.
//!
//! # Adding a function
//!
//! [`Function`] gets a variant, with its name, its mistakes and its value; `text` writes and `parse` reads it; [`Field`] gets
//! a method. The property test in `parse` holds the last two together.

mod address;
mod code;
mod compare;
mod condition;
mod expr;
mod field;
mod function;
mod lookup;
mod parse;
mod pattern;
mod text;
mod time;
mod url;

pub use address::parse_address;
pub use condition::{Condition, Operand};
pub use field::{
    Field, arg, combine, concat, constant, event_time, event_time_at, field, histogram, log_path,
};
pub use lookup::{Lookup, LookupError};
pub use parse::SyntaxError;

pub(crate) use condition::Test;
pub(crate) use expr::{Expr, Input};
