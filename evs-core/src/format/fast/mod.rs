//! The fast path: reads most lines of most formats in blocks, and leaves all others to the reference.
//!
//! In goes a block of whole lines. Out come [`Columns`]: one array per field and number, with an element per accepted
//! line, and the rejected lines. The invariant is that columns hold exactly the lines, values and rejections that the
//! reference would find, in any order of lines.
//!
//! 1. `index` finds the separators of the whole block.
//! 2. `template` selects the lines that look like the format, and finds their values by counting separators.
//! 3. `columns` has the values as spans of the block, and `derive` cuts requests into parts and arguments.
//! 4. `block` puts the steps together, and hands the remaining lines to the reference.
//! 5. `headed` does all that for each part of a block whose lines have the same fields, if the log itself names them.
//!
//! The reference decides each byte with a branch that depends on it. Here a step is a loop over hundreds of lines that
//! does one thing, without a branch that is hard to predict. The technique follows simdjson (Langdale and Lemire,
//! "Parsing Gigabytes of JSON per Second", 2019): an index of structural bytes first, the values after it. A log
//! format has a fixed order of fields, so a line needs no parser after the index, only a comparison with the template.

#[cfg(any(test, feature = "internals"))]
pub(crate) mod agreement;
mod block;
mod columns;
mod derive;
mod escapes;
mod headed;
mod index;
mod template;

pub(crate) use self::{
    block::BlockParser,
    columns::{Columns, Conventions, Number, NumberColumn, Rejected, Span},
};
