//! Builds the index on any machine, eight bytes at a time.
//!
//! It is used on processors other than x86-64 and on old ones, and in tests as the definition of the index.

use super::{
    parity::{Carry, Masks, padded},
    structure::{BYTE_ORDER_MARK_HEAD, Delimiters, Index, Newline, Suspects},
};
use crate::format::masks::equal;

/// Indexes `block`. The bytes after the last whole chunk are padded.
pub(super) fn scan(block: &[u8], delimiters: Delimiters, index: &mut Index) {
    let mut carry = Carry::default();
    let mut extremes = Extremes { lowest: [u8::MAX; 64], highest: [0; 64] };
    let (chunks, rest) = block.as_chunks::<64>();
    for (at, chunk) in chunks.iter().enumerate() {
        extremes.add(chunk);
        step(chunk, at * 64, delimiters, &mut carry, index);
    }
    if !rest.is_empty() {
        let last = padded(rest);
        extremes.add(&last);
        step(&last, chunks.len() * 64, delimiters, &mut carry, index);
    }
    index.suspects = extremes.suspects();
}

/// Adds the separators of 64 bytes that begin at `start`.
///
/// Each round of the loop takes the lowest bit of the mask: `trailing_zeros` is its offset, and `x & (x - 1)` clears
/// it.
fn step(chunk: &[u8; 64], start: usize, delimiters: Delimiters, carry: &mut Carry, index: &mut Index) {
    let masks = Masks {
        quote: if delimiters.are_quoted { equal(chunk, b'"') } else { 0 },
        delimiter: equal(chunk, delimiters.byte),
        newline: equal(chunk, b'\n'),
        escape: equal(chunk, delimiters.escape),
    };
    let mut separators = carry.separators(masks, running_parity(masks.quote));
    while separators != 0 {
        let at = separators.trailing_zeros();
        if masks.newline >> at & 1 == 1 {
            let quotes = index.quotes + (masks.quote & ((1 << at) - 1)).count_ones();
            index.newlines.push(Newline { separator: index.separators.len() as u32, quotes });
        }
        index.separators.push(start as u32 + at);
        separators &= separators - 1;
    }
    index.quotes += masks.quote.count_ones();
    if masks.escape != 0 {
        index.push_escapes(masks.escape, start);
    }
}

/// The lowest and the highest byte at each of the 64 offsets of the chunks. Separate lanes let the compiler compare
/// many bytes with one instruction.
struct Extremes {
    lowest: [u8; 64],
    highest: [u8; 64],
}

impl Extremes {
    #[inline]
    fn add(&mut self, chunk: &[u8; 64]) {
        for ((byte, lowest), highest) in chunk.iter().zip(&mut self.lowest).zip(&mut self.highest) {
            *lowest = (*lowest).min(*byte);
            *highest = (*highest).max(*byte);
        }
    }

    /// The presence of NULs and of high bytes in all chunks so far.
    fn suspects(&self) -> Suspects {
        Suspects {
            has_nul: self.lowest.contains(&0),
            has_high: self.highest.iter().any(|byte| *byte >= BYTE_ORDER_MARK_HEAD),
        }
    }
}

/// Sets bit n to the parity of the bits up to n. Each step doubles the distance over which bits are combined, as in a
/// prefix sum: `0b0100_0100` becomes `0b0011_1100`.
fn running_parity(mut mask: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        mask ^= mask << shift;
    }
    mask
}
