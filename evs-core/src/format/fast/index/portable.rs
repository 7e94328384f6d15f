//! The index on any machine, eight bytes at a time.

use super::{Carry, Delimiters, Index, MARK_HEAD, Masks, Newline, Suspects, padded};
use crate::format::masks::equal;

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

fn step(chunk: &[u8; 64], start: usize, delimiters: Delimiters, carry: &mut Carry, index: &mut Index) {
    let masks = Masks {
        quote: if delimiters.are_quoted { equal(chunk, b'"') } else { 0 },
        delimiter: equal(chunk, delimiters.byte),
        newline: equal(chunk, b'\n'),
        backslash: equal(chunk, b'\\'),
    };
    let mut marks = carry.marks(masks, running_parity(masks.quote));
    while marks != 0 {
        let at = marks.trailing_zeros();
        if masks.newline >> at & 1 == 1 {
            let quotes = index.quotes + (masks.quote & ((1 << at) - 1)).count_ones();
            index.newlines.push(Newline { mark: index.marks.len() as u32, quotes });
        }
        index.marks.push(start as u32 + at);
        marks &= marks - 1;
    }
    index.quotes += masks.quote.count_ones();
    if masks.backslash != 0 {
        index.push_backslashes(masks.backslash, start);
    }
}

/// The lowest and the highest byte at each place of the chunks: so the compiler compares many places at once.
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

    fn suspects(&self) -> Suspects {
        Suspects {
            has_nul: self.lowest.contains(&0),
            has_high: self.highest.iter().any(|byte| *byte >= MARK_HEAD),
        }
    }
}

/// For each bit the parity of the bits up to it.
fn running_parity(mut mask: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        mask ^= mask << shift;
    }
    mask
}
