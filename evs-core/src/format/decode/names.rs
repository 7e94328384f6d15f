//! A fixed set of names, with each of which a text is compared in one step, however many there are.
//!
//! Clients choose the texts, and know the names. So the table is made such that no two names share a place in it:
//! whatever a text is, its hash points to one name or to none, and there is nothing to search on from there. A text
//! that is longer than all names is not even hashed.

use crate::format::work;

/// Names, numbered in the order in which they were added.
#[derive(Clone, Debug)]
pub(in crate::format) struct Names {
    ignores_case: bool,
    /// With small letters if case does not matter.
    names: Vec<Box<[u8]>>,
    /// The names of up to eight bytes, by place.
    short: Vec<Short>,
    /// What makes the places of all of these differ.
    short_seeds: [u64; 2],
    live: Live,
    /// By number, whether no other name has its bit in `live`.
    are_alone: Vec<bool>,
    /// The numbers of the other names plus one, by place.
    long: Vec<u32>,
    long_seed: u64,
    /// The lengths that the others have; the highest bit stands for all above 62, too.
    long_lengths: u64,
    long_max: usize,
}

/// For each length up to eight, which first bytes short names of that length have, as far as five bits tell.
///
/// Most texts are passed by for want of their bit. Whoever looks for the first of each name clears a name's bit when it has
/// been found, so texts that are found again and again cost no more than others.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::format) struct Live([u32; 9]);

impl Live {
    #[inline(always)]
    fn has(&self, word: u64, len: usize) -> bool {
        self.0[len] >> (word & 31) & 1 == 1
    }
}

#[derive(Clone, Copy, Debug)]
struct Short {
    /// The bytes, with zeros behind them.
    word: u64,
    /// More than eight where there is no name.
    len: u32,
    number: u32,
}

impl Short {
    const NONE: Self = Self { word: 0, len: u32::MAX, number: 0 };
}

/// How many seeds are tried before a table is made larger.
const TRIES: u64 = 64;

impl Names {
    pub(in crate::format) fn new(ignores_case: bool) -> Self {
        Self {
            ignores_case,
            names: Vec::new(),
            short: vec![Short::NONE; 2],
            short_seeds: [1; 2],
            live: Live::default(),
            are_alone: Vec::new(),
            long: vec![0],
            long_seed: 0,
            long_lengths: 0,
            long_max: 0,
        }
    }

    pub(in crate::format) fn len(&self) -> usize {
        self.names.len()
    }

    /// The number of a name, a new one if it has none yet.
    pub(in crate::format) fn add(&mut self, name: &[u8]) -> usize {
        if let Some(known) = self.find(name, 0, name.len()) {
            return known;
        }
        if name.len() > 8 {
            self.long_max = self.long_max.max(name.len());
            self.long_lengths |= 1 << name.len().min(63);
        }
        self.names.push(if self.ignores_case { name.to_ascii_lowercase().into() } else { name.into() });
        let bits: Vec<_> = self.names.iter().map(|name| Self::bit(name)).collect();
        let is_alone = |bit: &_| bits.iter().filter(|other| *other == bit).count() == 1;
        self.are_alone = bits.iter().map(is_alone).collect();
        if let Some((len, bit)) = bits.last().copied().flatten() {
            self.live.0[len] |= bit;
        }
        let seeds = |at: u64| [2 * at + 1, 2 * at + 2].map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut places = (self.names.len() * 2).next_power_of_two();
        while !(0..TRIES).any(|at| self.arrange_short(places, seeds(at))) {
            places *= 2;
        }
        let mut places = (self.names.len() * 2).next_power_of_two();
        while !(0..TRIES).any(|at| self.arrange_long(places, seeds(at)[0])) {
            places *= 2;
        }
        self.names.len() - 1
    }

    /// The length of a short name, and its bit among those of that length.
    fn bit(name: &[u8]) -> Option<(usize, u32)> {
        (name.len() <= 8).then(|| (name.len(), 1 << (head(name, 0, name.len()) & 31)))
    }

    /// The bits of all names.
    pub(in crate::format) fn live(&self) -> Live {
        self.live
    }

    /// Clears the bit of a name that is not looked for any more, unless another one has the same.
    pub(in crate::format) fn clear(&self, number: usize, live: &mut Live) {
        if let (true, Some((len, bit))) = (self.are_alone[number], Self::bit(&self.names[number])) {
            live.0[len] &= !bit;
        }
    }

    /// Whether no two of the short names have the same place.
    fn arrange_short(&mut self, places: usize, seeds: [u64; 2]) -> bool {
        self.short_seeds = seeds;
        let mut table = vec![Short::NONE; places];
        std::mem::swap(&mut self.short, &mut table);
        let short = (0..).zip(&self.names).filter(|(_, name)| name.len() <= 8);
        for (number, name) in short {
            let (word, len) = (head(name, 0, name.len()), name.len() as u32);
            let place = self.short_place(word, name.len());
            if self.short[place].len != Short::NONE.len {
                return false;
            }
            self.short[place] = Short { word, len, number };
        }
        true
    }

    /// Whether no two of the others have the same place.
    fn arrange_long(&mut self, places: usize, seed: u64) -> bool {
        self.long_seed = seed;
        self.long = vec![0; places];
        let long = (1..).zip(&self.names).filter(|(_, name)| name.len() > 8);
        for (number, name) in long {
            let place = self.long_place(name);
            if self.long[place] != 0 {
                return false;
            }
            self.long[place] = number;
        }
        true
    }

    /// The number of the name that stands in `text` from `start` to `end`.
    #[inline]
    pub(in crate::format) fn find(&self, text: &[u8], start: usize, end: usize) -> Option<usize> {
        self.find_live(text, start, end, &self.live)
    }

    /// As [`find`](Self::find), of the names whose bits have not been cleared and perhaps others.
    #[inline(always)]
    pub(in crate::format) fn find_live(
        &self,
        text: &[u8],
        start: usize,
        end: usize,
        live: &Live,
    ) -> Option<usize> {
        let len = end - start;
        work::examine(1);
        if len > 8 {
            let may_be = len <= self.long_max && self.long_lengths >> len.min(63) & 1 == 1;
            return if may_be { self.find_long(&text[start..end]) } else { None };
        }
        // Small and capital letters have the same bit.
        let word = head(text, start, len);
        if !live.has(word, len) {
            return None;
        }
        work::examine(len);
        let word = self.folded(word);
        let known = self.short[self.short_place(word, len)];
        (known.word == word && known.len == len as u32).then_some(known.number as usize)
    }

    fn find_long(&self, name: &[u8]) -> Option<usize> {
        work::examine(name.len() + 1);
        let number = (self.long[self.long_place(name)] as usize).checked_sub(1)?;
        let known = &self.names[number];
        (known.len() == name.len() && self.equals(name, known)).then_some(number)
    }

    #[inline(always)]
    fn short_place(&self, word: u64, len: usize) -> usize {
        let [one, other] = self.short_seeds;
        let hash = (word ^ (len as u64).wrapping_mul(other)).wrapping_mul(one);
        // The highest bits depend on all bits of the word; two places are the least there are.
        (hash >> (64 - self.short.len().trailing_zeros())) as usize
    }

    fn long_place(&self, name: &[u8]) -> usize {
        let mixed = |hash: u64, bytes: &[u8; 8]| {
            let word = self.folded(u64::from_le_bytes(*bytes));
            let product = u128::from(hash ^ word) * 0xD6E8_FEB8_6659_FD93;
            product as u64 ^ (product >> 64) as u64
        };
        let (words, _) = name.as_chunks();
        let hash = words.iter().chain(name.last_chunk()).fold(self.long_seed ^ name.len() as u64, mixed);
        hash as usize & (self.long.len() - 1)
    }

    /// Whether a text of more than eight bytes is that name, which is as long.
    fn equals(&self, text: &[u8], name: &[u8]) -> bool {
        let (words, _) = text.as_chunks();
        let (others, _) = name.as_chunks();
        let word = |bytes: &[u8; 8]| self.folded(u64::from_le_bytes(*bytes));
        // The last ones overlap those before.
        words.iter().zip(others).all(|(one, other)| word(one) == u64::from_le_bytes(*other))
            && text.last_chunk().map(word) == name.last_chunk().map(|last| u64::from_le_bytes(*last))
    }

    #[inline(always)]
    fn folded(&self, word: u64) -> u64 {
        if self.ignores_case { with_small_letters(word) } else { word }
    }
}

/// The first eight of `len` bytes from `start` on, with zeros for those that there are none of.
#[inline(always)]
fn head(text: &[u8], start: usize, len: usize) -> u64 {
    let mask = if len >= 8 { u64::MAX } else { !(u64::MAX << (8 * len)) };
    match text[start..].first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes) & mask,
        None => text[start..start + len].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Makes the ASCII capitals among eight bytes small.
#[inline(always)]
fn with_small_letters(word: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    let low = word & (0x7F * EACH);
    // The highest bit of each byte: whether it is one of `A` to `Z`.
    let from_a = low + (0x80 - b'A' as u64) * EACH;
    let behind_z = low + (0x7F - b'Z' as u64) * EACH;
    let is_capital = (from_a ^ behind_z) & !word & (0x80 * EACH);
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
            behind in "[a-z]{0,9}",
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
                    let whole = format!("&{text}{behind}");
                    prop_assert_eq!(found.find(whole.as_bytes(), 1, 1 + text.len()), expected);
                }
            }
        }
    }
}
