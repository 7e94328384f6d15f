//! Reads a line of each kind of format, one line at a time. This is the reference: what it accepts is a line.

pub(super) mod fields;
pub(super) mod json;
pub(super) mod keys;
pub(super) mod ltsv;
pub(super) mod nginx;
