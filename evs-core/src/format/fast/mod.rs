//! The fast path: reads most lines of most formats in blocks, and leaves all others to the reference.

#[cfg(any(test, feature = "bench"))]
pub(crate) mod agreement;
pub(super) mod block;
pub(super) mod columns;
pub(super) mod derive;
pub(super) mod index;
pub(super) mod template;
