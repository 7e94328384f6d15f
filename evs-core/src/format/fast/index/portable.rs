//! The index on any machine, eight bytes at a time.

use super::{Carry, Delimiters, Index, MARK_HEAD, Masks, Newline, Suspects, padded};

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

/// Which of 64 bytes are `byte`.
fn equal(chunk: &[u8; 64], byte: u8) -> u64 {
    const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    let pattern = u64::from_le_bytes([byte; 8]);
    let (words, _) = chunk.as_chunks::<8>();
    words.iter().enumerate().fold(0, |mask, (at, word)| {
        let differences = u64::from_le_bytes(*word) ^ pattern;
        // The high bit of each byte that is zero; no carry crosses from one byte to the next.
        let zeros = !(((differences & LOW) + LOW) | differences | LOW);
        // The multiplication gathers the eight bits in the highest byte.
        mask | ((zeros >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (at * 8)
    })
}

/// For each bit the parity of the bits up to it.
fn running_parity(mut mask: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        mask ^= mask << shift;
    }
    mask
}

pub(in crate::format) fn request_masks(chunk: &[u8; 64]) -> super::RequestMasks<u64> {
    super::RequestMasks::new(|byte| equal(chunk, byte))
}

pub(in crate::format) fn pair_masks(chunk: &[u8; 64]) -> [u64; 2] {
    [b'&', b'='].map(|byte| equal(chunk, byte))
}
