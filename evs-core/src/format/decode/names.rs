//! A set of names in a perfect hash table: a text is compared with at most one name, however many there are.
//!
//! Clients choose the texts, and may know the names. So the table's seeds are chosen such that no two names share a
//! bucket: the hash of any text points to one name or to none, and no search follows. A text that is longer than all
//! names is not even hashed.
//!
//! The look-up of a text of up to eight bytes takes these steps, and nearly all texts that are not a name end at the
//! second:
//!
//! 1. Load the first byte.
//! 2. Test its bit in the row of the text's length ([`Pending`]).
//! 3. Load the text as one word, padded with zeros, in small letters if case does not matter.
//! 4. Multiply it by the seed. The highest bits are the bucket.
//! 5. Compare word and length with those of the bucket.
//!
//! The set of names is known when a parser is made, and is small. So there is time to try seeds until the table is
//! perfect, and to double it if sixty-four of them fail.

use crate::format::work;

/// Names, numbered in the order in which they were added.
#[derive(Clone, Debug)]
pub(in crate::format) struct Names {
    /// True if capitals and small letters of ASCII are equal.
    ignores_case: bool,
    /// By number. In small letters if case does not matter.
    names: Vec<Box<[u8]>>,
    /// The table of the names of up to eight bytes. Its length is a power of two.
    short: Vec<Short>,
    /// The seeds with which no two of these share a bucket.
    short_seeds: [u64; 2],
    /// The filter with the bits of all names.
    pending: Pending,
    /// By number, the bits in `pending` that no other name has, by row.
    own_bits: Vec<Bits>,
    /// The table of the longer names: the number plus one, or 0 in a free bucket. Its length is a power of two.
    long: Vec<u32>,
    /// The seed with which no two of these share a bucket.
    long_seed: u64,
    /// Bit n is set if a longer name has n bytes. The highest bit stands for all lengths from 63 on.
    long_lengths: u64,
    /// The length of the longest name.
    long_max: usize,
}

/// A filter of the short names that are still sought, by length and first byte.
///
/// Most texts fail it, and cost no hash: only their first byte is loaded. A caller that seeks only the first occurrence
/// of each name clears the bits of a name once it is found, so a name that is repeated costs no more than any other text.
///
/// A row of 32 bits for each length up to eight has a bit per low five bits of the first byte. Names of one byte have
/// eight rows instead, by the other three bits, which makes the filter exact for them: a text of such short names costs
/// most per byte.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::format) struct Pending([u32; 17]);

impl Pending {
    /// True if a name that is still sought may have this first byte and length. The byte of an empty text may be any.
    #[inline(always)]
    fn has(&self, first: u8, len: usize) -> bool {
        self.0[Self::row(first, len)] >> (first & 31) & 1 == 1
    }

    /// The row of a text with this first byte and length.
    #[inline(always)]
    fn row(first: u8, len: usize) -> usize {
        if len == 1 { 9 + usize::from(first >> 5) } else { len }
    }

    /// The bits of a name, by row: of a small and of a capital letter if case does not matter, and all bits of the row of
    /// the empty name, whose first byte may be any. Longer names have none.
    fn bits(name: &[u8], ignores_case: bool) -> Bits {
        let bit = |first: u8| (Self::row(first, name.len()), 1 << (first & 31));
        match name {
            [] => [(0, u32::MAX); 2],
            [first, ..] if name.len() <= 8 && ignores_case => [bit(*first), bit(first.to_ascii_uppercase())],
            [first, ..] if name.len() <= 8 => [bit(*first); 2],
            _ => Bits::default(),
        }
    }
}

/// The bits of a name in [`Pending`], by row. One bit may be there twice.
type Bits = [(usize, u32); 2];

/// A bucket of the table of short names.
#[derive(Clone, Copy, Debug)]
struct Short {
    /// The bytes, padded with zeros.
    word: u64,
    /// `u32::MAX` in a free bucket.
    len: u32,
    /// The number of the name.
    number: u32,
}

impl Short {
    /// A free bucket.
    const NONE: Self = Self { word: 0, len: u32::MAX, number: 0 };
}

/// The number of seeds that are tried before a table is made larger.
const TRIES: u64 = 64;

impl Names {
    /// An empty set.
    pub(in crate::format) fn new(ignores_case: bool) -> Self {
        Self {
            ignores_case,
            names: Vec::new(),
            short: vec![Short::NONE; 2],
            short_seeds: [1; 2],
            pending: Pending::default(),
            own_bits: Vec::new(),
            long: vec![0],
            long_seed: 0,
            long_lengths: 0,
            long_max: 0,
        }
    }

    /// The number of names.
    pub(in crate::format) fn len(&self) -> usize {
        self.names.len()
    }

    /// Adds a name, unless it is known. Returns its number.
    pub(in crate::format) fn add(&mut self, name: &[u8]) -> usize {
        if let Some(known) = self.find(name, 0, name.len()) {
            return known;
        }
        if name.len() > 8 {
            self.long_max = self.long_max.max(name.len());
            self.long_lengths |= 1 << name.len().min(63);
        }
        self.names.push(if self.ignores_case { name.to_ascii_lowercase().into() } else { name.into() });
        let bits: Vec<_> = self.names.iter().map(|name| Pending::bits(name, self.ignores_case)).collect();
        let is_unique = |bits_of: &Bits| bits.iter().filter(|other| *other == bits_of).count() == 1;
        self.own_bits =
            bits.iter().map(|bits_of| if is_unique(bits_of) { *bits_of } else { Bits::default() }).collect();
        for (row, bit) in bits.into_iter().flatten() {
            self.pending.0[row] |= bit;
        }
        let seeds = |at: u64| [2 * at + 1, 2 * at + 2].map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut buckets = (self.names.len() * 2).next_power_of_two();
        while !(0..TRIES).any(|at| self.arrange_short(buckets, seeds(at))) {
            buckets *= 2;
        }
        let mut buckets = (self.names.len() * 2).next_power_of_two();
        while !(0..TRIES).any(|at| self.arrange_long(buckets, seeds(at)[0])) {
            buckets *= 2;
        }
        debug_assert!(self.short.len().is_power_of_two() && self.long.len().is_power_of_two());
        debug_assert!(
            (0..self.names.len()).all(|at| self.find(&self.names[at], 0, self.names[at].len()) == Some(at))
        );
        self.names.len() - 1
    }

    /// The filter with the bits of all names.
    pub(in crate::format) fn pending(&self) -> Pending {
        self.pending
    }

    /// Clears the bits of a name that is no longer sought, unless another name has the same ones.
    pub(in crate::format) fn clear(&self, number: usize, pending: &mut Pending) {
        for (row, bit) in self.own_bits[number] {
            pending.0[row] &= !bit;
        }
    }

    /// Fills the table of the short names. Returns `false` if two of them share a bucket.
    fn arrange_short(&mut self, buckets: usize, seeds: [u64; 2]) -> bool {
        self.short_seeds = seeds;
        let mut table = vec![Short::NONE; buckets];
        std::mem::swap(&mut self.short, &mut table);
        let short = (0..).zip(&self.names).filter(|(_, name)| name.len() <= 8);
        for (number, name) in short {
            let (word, len) = (head(name, 0, name.len()), name.len() as u32);
            let bucket = self.short_bucket(word, name.len());
            if self.short[bucket].len != Short::NONE.len {
                return false;
            }
            self.short[bucket] = Short { word, len, number };
        }
        true
    }

    /// Fills the table of the longer names. Returns `false` if two of them share a bucket.
    fn arrange_long(&mut self, buckets: usize, seed: u64) -> bool {
        self.long_seed = seed;
        self.long = vec![0; buckets];
        let long = (1..).zip(&self.names).filter(|(_, name)| name.len() > 8);
        for (number, name) in long {
            let bucket = self.long_bucket(name);
            if self.long[bucket] != 0 {
                return false;
            }
            self.long[bucket] = number;
        }
        true
    }

    /// The number of the name that is the text from `start` to `end`.
    ///
    /// Text and range are separate so that eight bytes can be loaded from `start` on, even for a shorter name, as long
    /// as the text goes on.
    #[inline]
    pub(in crate::format) fn find(&self, text: &[u8], start: usize, end: usize) -> Option<usize> {
        self.find_pending(text, start, end, &self.pending)
    }

    /// As [`find`](Self::find), but may miss names whose bits were cleared.
    #[inline(always)]
    pub(in crate::format) fn find_pending(
        &self,
        text: &[u8],
        start: usize,
        end: usize,
        pending: &Pending,
    ) -> Option<usize> {
        let len = end - start;
        work::examine(1);
        if len > 8 {
            let may_be = len <= self.long_max && self.long_lengths >> len.min(63) & 1 == 1;
            return if may_be { self.find_long(&text[start..end]) } else { None };
        }
        if !pending.has(text.get(start).copied().unwrap_or_default(), len) {
            return None;
        }
        work::examine(len);
        let word = self.folded(head(text, start, len));
        let known = self.short[self.short_bucket(word, len)];
        (known.word == word && known.len == len as u32).then_some(known.number as usize)
    }

    /// The number of a longer name.
    fn find_long(&self, name: &[u8]) -> Option<usize> {
        work::examine(name.len() + 1);
        let number = (self.long[self.long_bucket(name)] as usize).checked_sub(1)?;
        let known = &self.names[number];
        (known.len() == name.len() && self.equals(name, known)).then_some(number)
    }

    /// The bucket of a short name.
    #[inline(always)]
    fn short_bucket(&self, word: u64, len: usize) -> usize {
        let [one, other] = self.short_seeds;
        let hash = (word ^ (len as u64).wrapping_mul(other)).wrapping_mul(one);
        // The highest bits depend on all bits of the word. There are at least two buckets, so the shift is at most 63.
        (hash >> (64 - self.short.len().trailing_zeros())) as usize
    }

    /// The bucket of a longer name. All of its bytes are hashed, the last ones perhaps twice.
    ///
    /// A hash of only some bytes would let two names share a bucket whatever the seed, and the search for seeds would
    /// not end.
    fn long_bucket(&self, name: &[u8]) -> usize {
        let mixed = |hash: u64, bytes: &[u8; 8]| {
            let word = self.folded(u64::from_le_bytes(*bytes));
            let product = u128::from(hash ^ word) * 0xD6E8_FEB8_6659_FD93;
            product as u64 ^ (product >> 64) as u64
        };
        let (words, _) = name.as_chunks();
        let hash = words.iter().chain(name.last_chunk()).fold(self.long_seed ^ name.len() as u64, mixed);
        hash as usize & (self.long.len() - 1)
    }

    /// Compares a text of more than eight bytes with a name of the same length.
    fn equals(&self, text: &[u8], name: &[u8]) -> bool {
        let (words, _) = text.as_chunks();
        let (others, _) = name.as_chunks();
        let word = |bytes: &[u8; 8]| self.folded(u64::from_le_bytes(*bytes));
        // The last eight bytes overlap those before.
        words.iter().zip(others).all(|(one, other)| word(one) == u64::from_le_bytes(*other))
            && text.last_chunk().map(word) == name.last_chunk().map(|last| u64::from_le_bytes(*last))
    }

    /// The word as it is compared: in small letters if case does not matter.
    #[inline(always)]
    fn folded(&self, word: u64) -> u64 {
        if self.ignores_case { with_small_letters(word) } else { word }
    }
}

/// The first eight of the `len` bytes from `start` on, padded with zeros.
#[inline(always)]
fn head(text: &[u8], start: usize, len: usize) -> u64 {
    let mask = if len >= 8 { u64::MAX } else { !(u64::MAX << (8 * len)) };
    match text[start..].first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes) & mask,
        None => text[start..start + len].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Makes the ASCII capitals among eight bytes small, all at once.
///
/// A capital has its highest bit set by adding `0x80 - 'A'`, but not by adding `0x7F - 'Z'`. That bit, shifted to
/// 0x20, is the difference between a capital and its small letter.
#[inline(always)]
fn with_small_letters(word: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    let low = word & (0x7F * EACH);
    // Sets the highest bit of each byte that is one of `A` to `Z`.
    let from_a = low + (0x80 - b'A' as u64) * EACH;
    let after_z = low + (0x7F - b'Z' as u64) * EACH;
    let is_capital = (from_a ^ after_z) & !word & (0x80 * EACH);
    word | is_capital >> 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn letters_become_small_and_nothing_else_changes() {
        for byte in 0..=u8::MAX {
            let word = u64::from_le_bytes([byte, b'Z', 0, byte, b'@', 0xFF, b'[', byte]);
            let expected = word.to_le_bytes().map(|byte| byte.to_ascii_lowercase());
            assert_eq!(with_small_letters(word).to_le_bytes(), expected);
        }
    }

    #[test]
    fn names_that_differ_in_their_last_byte_alone_have_places_of_their_own() {
        for len in [0, 6, 7, 8, 30] {
            for ignores_case in [true, false] {
                let mut names = Names::new(ignores_case);
                let name = |last: u8| [vec![b'x'; len], vec![last]].concat();
                for last in b'a'..=b'z' {
                    assert_eq!(names.add(&name(last)), usize::from(last - b'a'));
                }
                for last in b'a'..=b'z' {
                    assert_eq!(names.find(&name(last), 0, len + 1), Some(usize::from(last - b'a')));
                }
                assert_eq!(names.find(&name(b'0'), 0, len + 1), None);
            }
        }
    }

    proptest! {
        #[test]
        fn a_text_is_found_to_be_the_name_that_it_is(
            names in prop::collection::vec("[abA@`_]{0,3}|[a-c]{7,9}|x{20}[ab]{1,3}y{20}|[é\\[{]{1,4}", 0..70),
            texts in prop::collection::vec("[abA@`_]{0,3}|[a-cA-C]{7,9}|x{20}[abAB]{1,3}y{20}|[é\\[{]{1,4}", 0..70),
            after in "[a-z]{0,9}",
        ) {
            for ignores_case in [true, false] {
                let equal = |one: &str, other: &str| match ignores_case {
                    true => one.eq_ignore_ascii_case(other),
                    false => one == other,
                };
                let mut found = Names::new(ignores_case);
                let mut known: Vec<&str> = Vec::new();
                for name in &names {
                    let expected = known.iter().position(|other| equal(other, name)).unwrap_or(known.len());
                    if expected == known.len() {
                        known.push(name);
                    }
                    prop_assert_eq!(found.add(name.as_bytes()), expected);
                }
                prop_assert_eq!(found.len(), known.len());
                for text in texts.iter().chain(&names) {
                    let expected = known.iter().position(|name| equal(name, text));
                    let whole = format!("&{text}{after}");
                    prop_assert_eq!(found.find(whole.as_bytes(), 1, 1 + text.len()), expected);
                }
            }
        }
    }
}
