//! The structural index of a block: the offsets of its *separators*, found 64 bytes at a time.
//!
//! A separator is a newline, or a delimiter outside quotes. A line whose quotes are where its format has them
//! therefore has one separator per field, however many delimiters are inside quotes. That keeps the index short. The
//! index also counts the quotes of each line: a line that has as many as its format, at the same positions, has none
//! elsewhere.
//!
//! ```text
//! line          1.2.3.4 - - [21/Nov/2026:13:25:22 +0545] "GET / HTTP/1.1" 200 3
//! separators           ^ ^ ^                     ^      ^                ^   ^ ^ (the newline)
//! ```
//!
//! A byte is inside quotes if the number of quotes before it, since the last newline, is odd. For 64 bytes at once,
//! that parity is the running exclusive-or of a bit mask:
//!
//! ```text
//! bytes       a   " b   c "   d
//! quote       0 0 1 0 0 0 1 0 0
//! inside      0 0 1 1 1 1 0 0 0     running exclusive-or of `quote`
//! blank       0 1 0 0 1 0 0 1 0
//! separator   0 1 0 0 0 0 0 1 0     blank and not inside
//! ```
//!
//! A line with an odd number of quotes ends inside quotes: the parity is then reset, so that the line does not disturb
//! the lines after it.
//!
//! The modules: `structure` is the index, `parity` the arithmetic above, `read` the choice of instructions, `portable`
//! and `x86` the loops.

mod parity;
mod portable;
mod read;
mod structure;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

#[cfg(test)]
mod tests;

pub(super) use self::structure::{Delimiters, Index, Newline};
