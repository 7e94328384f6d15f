//! Decodes parts of a line: times, escapes, requests and their arguments. The reference and the fast path both use it,
//! so the two cannot decode differently.
//!
//! Each module treats text that strangers chose. So each takes time linear in the length of its text, with a small
//! factor for the worst text: `docs/hostile-lines.md` has the measurements.

pub(super) mod args;
pub(super) mod escape;
pub(super) mod names;
pub(super) mod request;
pub(super) mod time;
