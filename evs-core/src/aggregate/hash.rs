//! Hash functions with random keys, and a hash table of pairs of ids.
//!
//! The texts come from strangers, who must not be able to choose texts that collide. So the hash of a text or a pair
//! depends on hash keys: numbers that are drawn at random for each table. The hash is the folded multiplication of
//! wyhash and foldhash: the two halves of a 128-bit product. One factor of the product, or both, are unknown to whoever
//! chose the text.
//!
//! Somebody who knew the hash keys could make any number of texts collide. So nothing tells them: no hash is stored or
//! printed, ids follow the order in which texts were first seen, and rows are sorted by their keys. A table that is
//! reset draws new hash keys.

use std::hash::{BuildHasher, RandomState};

/// A table with more entries than this does not fit into the nearer caches.
pub(super) const LARGE_ENTRIES: usize = if cfg!(test) { 16 } else { 1 << 14 };

/// Prefetches: makes loads whose values are not needed yet. These loads do not depend on each other, so their cache
/// misses overlap. The cache misses of consecutive lookups do not.
///
/// The sum of all loaded values goes through `black_box`, so that the compiler cannot leave the loads out. A prefetch
/// instruction would need `unsafe`, and a processor may ignore it.
#[inline(always)]
pub(super) fn prefetch(loads: impl Iterator<Item: Into<u64>>) {
    std::hint::black_box(loads.fold(0_u64, |sum, load| sum.wrapping_add(load.into())));
}

/// Random numbers that the hashes of a table depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct HashKeys([u64; 4]);

impl HashKeys {
    /// Draws hash keys by SipHash, with a seed from the operating system: one set of keys tells nothing about another.
    pub(super) fn random() -> Self {
        let state = RandomState::new();
        Self([1_u64, 2, 3, 4].map(|at| state.hash_one(at)))
    }

    /// Hash keys that a test knows.
    #[cfg(test)]
    pub(super) fn known(numbers: [u64; 4]) -> Self {
        Self(numbers)
    }

    /// The hash of two words: the folded product of both, each mixed with a hash key first.
    #[inline(always)]
    pub(super) fn words(&self, a: u64, b: u64) -> u64 {
        folded(a ^ self.0[0], b ^ self.0[1])
    }

    /// The hash of a text of more than 16 bytes.
    #[inline]
    pub(super) fn text(&self, text: &[u8]) -> u64 {
        debug_assert!(text.len() > 16);
        let word = |at: usize| text[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let mut states = [self.0[0] ^ text.len() as u64, self.0[1]];
        let last = text.len() - 16;
        let mut at = 0;
        // Two independent chains, which the processor computes at the same time.
        while at + 32 <= text.len() {
            states[0] = folded(word(at) ^ self.0[2], word(at + 8) ^ states[0]);
            states[1] = folded(word(at + 16) ^ self.0[3], word(at + 24) ^ states[1]);
            at += 32;
        }
        if at < last {
            states[0] = folded(word(at) ^ self.0[2], word(at + 8) ^ states[0]);
        }
        // The last 16 bytes, some of them a second time.
        states[1] = folded(word(last) ^ self.0[3], word(last + 8) ^ states[1]);
        folded(states[0], states[1] ^ self.0[2])
    }
}

/// The folded multiplication: the exclusive-or of the two halves of a product of 128 bits.
#[inline(always)]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// A hash table from (a pair of ids, a slot) to a number, with open addressing.
///
/// Most lookups find their entry at the first index that they try, and so take one cache line.
///
/// The first pair gets the number that the caller offers, and the same pair always returns it:
///
/// ```text
/// number((0, 3), slot 0, next 1)  ->  (1, new)
/// number((1, 3), slot 0, next 2)  ->  (2, new)
/// number((0, 3), slot 0, next 3)  ->  (1, known)
/// ```
#[derive(Clone, Debug)]
pub(super) struct PairIndex {
    /// The random numbers that hashes depend on.
    keys: HashKeys,
    /// Each entry is the pair, the slot and the number. At least half of the entries are free. The length is a power of
    /// two.
    entries: Vec<(u64, u32, u32)>,
    /// The number of entries that are used.
    len: usize,
}

/// The number of a free entry.
const NONE: u32 = u32::MAX;
/// A free entry.
///
/// It is not zeros on purpose. For zeros, the allocator returns pages that the system makes only on first use. Such a
/// page, if it is read before it is written, costs two page faults, and the second one interrupts every other core.
const FREE: (u64, u32, u32) = (u64::MAX, u32::MAX, NONE);

impl PairIndex {
    /// The number of entries of an empty table.
    const ENTRIES_MIN: usize = 16;

    /// An empty table with hash keys of its own.
    pub(super) fn new() -> Self {
        Self { keys: HashKeys::random(), entries: vec![FREE; Self::ENTRIES_MIN], len: 0 }
    }

    /// Forgets everything and draws new hash keys. Keeps memory for `len` numbers, as far as it has it.
    pub(super) fn clear(&mut self, len: usize) {
        self.keys = HashKeys::random();
        self.len = 0;
        self.entries.truncate((len * 2).next_power_of_two().max(Self::ENTRIES_MIN));
        self.entries.shrink_to_fit();
        self.entries.fill(FREE);
    }

    /// The number of a pair and slot, and `false`. If they have none, they get `next`, and the result is `next` and
    /// `true`.
    #[inline]
    pub(super) fn number(&mut self, pair: u64, slot: u32, next: u32) -> (u32, bool) {
        let mask = self.entries.len() - 1;
        let mut at = self.keys.words(pair, slot.into()) as usize & mask;
        loop {
            match self.entries[at] {
                (_, _, NONE) => break,
                (other, other_slot, number) if other == pair && other_slot == slot => {
                    return (number, false);
                }
                _ => at = (at + 1) & mask,
            }
        }
        self.insert(at, (pair, slot, next));
        (next, true)
    }

    /// True if it is larger than the nearer caches. Then it pays to [`prefetch`] entries before lookups.
    pub(super) fn is_large(&self) -> bool {
        self.entries.len() > LARGE_ENTRIES
    }

    /// Loads the entry that the lookup of a pair and slot tries first, to [`prefetch`] it.
    #[inline(always)]
    pub(super) fn load(&self, pair: u64, slot: u32) -> u32 {
        self.entries[self.keys.words(pair, slot.into()) as usize & (self.entries.len() - 1)].2
    }

    /// Adds an entry at a free index, and keeps half of the entries free.
    fn insert(&mut self, at: usize, entry: (u64, u32, u32)) {
        debug_assert!(self.entries[at].2 == NONE && entry.2 != NONE);
        self.entries[at] = entry;
        self.len += 1;
        if self.len * 2 > self.entries.len() {
            self.grow();
        }
        debug_assert!(self.len * 2 <= self.entries.len(), "half of the entries are free");
        debug_assert!(self.entries.len().is_power_of_two());
    }

    /// Doubles the table.
    #[cold]
    fn grow(&mut self) {
        let entries = vec![FREE; self.entries.len() * 2];
        let mask = entries.len() - 1;
        let old = std::mem::replace(&mut self.entries, entries);
        for entry in old.into_iter().filter(|entry| entry.2 != NONE) {
            let mut at = self.keys.words(entry.0, entry.1.into()) as usize & mask;
            while self.entries[at].2 != NONE {
                at = (at + 1) & mask;
            }
            self.entries[at] = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, process::Command};

    use super::*;

    #[test]
    fn every_table_draws_its_own_keys_and_new_ones_when_it_is_cleared() {
        let mut drawn: Vec<_> = (0..500).flat_map(|_| HashKeys::random().0).collect();
        let mut index = PairIndex::new();
        for _ in 0..500 {
            drawn.extend(index.keys.0);
            index.clear(0);
        }
        assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), drawn.len());
    }

    /// Runs this program twice, in place of two services that were built from the same source.
    #[test]
    fn every_process_draws_other_keys() {
        const ASKED: &str = "EVS_TEST_PRINTS_HASH_KEYS";
        if std::env::var_os(ASKED).is_some() {
            println!("drawn {:?}", HashKeys::random().0);
            return;
        }
        let name = format!("{}::every_process_draws_other_keys", module_path!().split_once("::").unwrap().1);
        let ask = || {
            let mut process = Command::new(std::env::current_exe().unwrap());
            let output = process.args([&name, "--exact", "--nocapture"]).env(ASKED, "1").output().unwrap();
            let output = String::from_utf8(output.stdout).unwrap();
            output.lines().find_map(|line| line.split_once("drawn ")).unwrap().1.to_owned()
        };
        let (one, other) = (ask(), ask());
        assert!(one != other, "{one}");
    }
}
