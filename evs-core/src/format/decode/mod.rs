//! Decodes parts of a line: times, escapes, requests and their arguments. The reference and the fast path both use it.

pub(super) mod args;
pub(super) mod escape;
pub(super) mod names;
pub(super) mod request;
pub(super) mod time;
