//! Compiles a `log_format` string into the steps that read a line of it.

pub(super) mod class;
pub(super) mod compiler;
pub(super) mod needle;
