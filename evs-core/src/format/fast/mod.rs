//! The fast path: reads most lines of most formats in blocks, and leaves all others to the reference.

#[cfg(any(test, feature = "internals"))]
pub(crate) mod agreement;
mod block;
mod columns;
mod derive;
mod index;
mod template;

pub(crate) use self::{
    block::BlockParser,
    columns::{Columns, Number, NumberColumn, Span},
};
