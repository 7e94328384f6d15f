//! Compiles a `log_format` string into the steps that read a line of it.

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
