//! Compiles a `log_format` string into the steps that read a line of it.
//!
//! `$remote_addr [$msec] $status` has three steps, for example: a token up to ` [`, a time up to `] `, and a number up
//! to the end of the line.

mod class;
mod compiler;
mod escape;
mod needle;
mod steps;

pub(crate) use self::class::is_list;
pub(super) use self::{
    class::Class,
    compiler::compile,
    escape::Escape,
    steps::{Literal, Step, Steps},
};
