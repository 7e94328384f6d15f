//! A dictionary gives each text of a field a small number: its id.
//!
//! The texts `200`, `404`, `200`, for example, get the ids 0, 1, 0. Everything after that compares and hashes
//! integers, and a field is looked up once, however many statistics use it.
//!
//! It is a hash table with open addressing and linear probing, at most half full. An entry of 24 bytes holds a text of
//! up to 16 bytes itself, as two words padded with zeros, so that a short text is mostly found with one cache line and
//! two comparisons. A longer text has its hash in the entry, and is compared in the list of texts only if the hashes
//! are equal.
//!
//! ```text
//! text   "404"   words (0x343034, 0)   len 3   -> entry { words, len, number 2 }   -> id 1
//! ```
//!
//! A dictionary only grows. Old texts are not evicted one by one: rows hold ids, and an id must keep its text until
//! the row is handed over. A full dictionary is reset as a whole instead.

use std::sync::Arc;

use super::hash::{HashKeys, LARGE_ENTRIES, prefetch};
use crate::format::{Columns, Span};

/// The length up to which a text is compared as two words.
const SHORT_BYTES: usize = 16;
/// A dictionary is full once its texts have this many bytes.
const BYTES_MAX: usize = 16 << 20;
/// A dictionary with this many bytes of texts is not kept from one cut to the next.
const LARGE_BYTES: usize = 2 << 20;

/// Texts by id. Ids count from 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    /// All texts, one after the other.
    bytes: Vec<u8>,
    /// By id, the end of its text in `bytes`. It is the start of the next text.
    ends: Vec<u32>,
}

impl Texts {
    /// The text of an id.
    #[inline]
    pub(super) fn get(&self, id: u32) -> &[u8] {
        let at = id as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start as usize..self.ends[at] as usize]
    }

    /// The number of texts.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Appends a text. Returns its id.
    pub(super) fn push(&mut self, text: &[u8]) -> u32 {
        self.bytes.extend_from_slice(text);
        debug_assert!(u32::try_from(self.bytes.len()).is_ok());
        // A dictionary is reset at `BYTES_MAX`, and what a block of lines may add to that is far below 2^32.
        self.ends.push(self.bytes.len() as u32);
        self.ends.len() as u32 - 1
    }
}

/// The dictionary of a field. It only grows, until it is reset as a whole.
#[derive(Clone, Debug)]
pub(super) struct Dictionary {
    /// The random numbers that hashes depend on.
    keys: HashKeys,
    /// A hash table with open addressing. At least half of its entries are free. Its length is a power of two.
    entries: Vec<KnownText>,
    /// The texts by id.
    texts: Texts,
    /// The number of texts with which the dictionary is full.
    texts_max: usize,
    /// The texts as they were last shared.
    shared: Option<Arc<Texts>>,
    /// By line, the hash of its value.
    // Used again for every block of lines:
    hashes: Vec<u64>,
}

/// An entry of the hash table: a short text has its bytes here, a longer one its hash.
#[derive(Clone, Copy, Debug)]
struct KnownText {
    /// The bytes of a short text, padded with zeros; the hash of a longer one, and 0.
    words: (u64, u64),
    /// The length of the text.
    len: u32,
    /// The id plus one, or 0 if the entry is free.
    number: u32,
}

impl KnownText {
    /// A free entry.
    const NONE: Self = Self { words: (0, 0), len: 0, number: 0 };
}

impl Dictionary {
    /// The number of entries of an empty dictionary.
    const ENTRIES_MIN: usize = 64;

    /// A dictionary that is full with about `texts_max` texts.
    pub(super) fn new(texts_max: usize) -> Self {
        Self {
            keys: HashKeys::random(),
            entries: vec![KnownText::NONE; Self::ENTRIES_MIN],
            texts: Texts::default(),
            texts_max,
            shared: None,
            hashes: Vec::new(),
        }
    }

    /// True if it has grown so large that it should be reset.
    ///
    /// It is full with about twice as many texts as its statistics may have rows: at least half of them are then those
    /// of old rows. Without a reset, a client that sends a new value with each request would fill memory, although its
    /// rows are cut all the time.
    pub(super) fn is_full(&self) -> bool {
        self.texts.len() >= self.texts_max || self.texts.bytes.len() >= BYTES_MAX
    }

    /// True if it should be reset once no row uses it: its texts take more memory than they save work.
    pub(super) fn is_large(&self) -> bool {
        self.texts.len() >= self.texts_max / 2 || self.texts.bytes.len() >= LARGE_BYTES
    }

    /// Forgets all texts, and draws new hash keys.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.texts_max);
    }

    /// The number of texts, which is the next id.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The text of an id.
    pub(super) fn text(&self, id: u32) -> &[u8] {
        self.texts.get(id)
    }

    /// A copy of all texts so far, for the rows that are handed over. Statistics that use the same field share one
    /// copy.
    pub(super) fn share(&mut self) -> Arc<Texts> {
        match &self.shared {
            Some(shared) if shared.len() == self.texts.len() => Arc::clone(shared),
            _ => Arc::clone(self.shared.insert(Arc::new(self.texts.clone()))),
        }
    }

    /// Finds the ids of a column of values. New texts get new ids.
    pub(super) fn ids(&mut self, block: &[u8], columns: &Columns, spans: &[Span], ids: &mut Vec<u32>) {
        ids.clear();
        if self.entries.len() > LARGE_ENTRIES {
            return self.ids_of_many(block, columns, spans, ids);
        }
        ids.extend(spans.iter().map(|span| match columns.head(block, *span) {
            Some((head, len)) if len <= SHORT_BYTES => {
                let words = words(head, len);
                self.short_id(words, len, self.short_hash(words, len))
            }
            _ => self.id(columns.text(block, *span)),
        }));
    }

    /// As [`ids`](Self::ids), for a dictionary that is too large for the nearer caches. Each step goes through all
    /// texts, so that the cache misses of a step overlap.
    fn ids_of_many(&mut self, block: &[u8], columns: &Columns, spans: &[Span], ids: &mut Vec<u32>) {
        let mut hashes = std::mem::take(&mut self.hashes);
        hashes.clear();
        hashes.extend(spans.iter().map(|span| match columns.head(block, *span) {
            Some((head, len)) if len <= SHORT_BYTES => self.short_hash(words(head, len), len),
            _ => self.hash(columns.text(block, *span)),
        }));
        let number = |hash: &u64| self.entries[*hash as usize & (self.entries.len() - 1)].number;
        prefetch(hashes.iter().map(number));
        let first_byte = |hash: &u64| match number(hash) {
            0 => 0,
            number => self.texts.get(number - 1).first().copied().unwrap_or_default(),
        };
        prefetch(hashes.iter().map(first_byte));
        ids.extend(spans.iter().zip(&hashes).map(|(span, hash)| match columns.head(block, *span) {
            Some((head, len)) if len <= SHORT_BYTES => self.short_id(words(head, len), len, *hash),
            _ => self.id_of_hash(columns.text(block, *span), *hash),
        }));
        self.hashes = hashes;
    }

    /// The id of a text of any length.
    pub(super) fn id(&mut self, text: &[u8]) -> u32 {
        self.id_of_hash(text, self.hash(text))
    }

    /// The id of a text with that hash. A new text gets the next id.
    ///
    /// The search begins at the low bits of the hash and goes on to the next entry until it finds the text or a free
    /// entry. At least half of the entries are free, so it is short.
    fn id_of_hash(&mut self, text: &[u8], hash: u64) -> u32 {
        if text.len() <= SHORT_BYTES {
            return self.short_id(words_of(text), text.len(), hash);
        }
        let sought = KnownText { words: (hash, 0), len: text.len() as u32, number: 0 };
        let mut at = hash as usize & (self.entries.len() - 1);
        loop {
            let entry = self.entries[at];
            if entry.number == 0 {
                return self.insert(at, sought, text);
            }
            if entry.words == sought.words
                && entry.len == sought.len
                && are_equal(self.texts.get(entry.number - 1), text)
            {
                return entry.number - 1;
            }
            at = (at + 1) & (self.entries.len() - 1);
        }
    }

    /// The id of the text that is the first `len` bytes of `words`.
    #[inline(always)]
    fn short_id(&mut self, words: (u64, u64), len: usize, hash: u64) -> u32 {
        let mut at = hash as usize & (self.entries.len() - 1);
        loop {
            let entry = self.entries[at];
            if entry.words == words && entry.len == len as u32 && entry.number != 0 {
                return entry.number - 1;
            }
            if entry.number == 0 {
                let sought = KnownText { words, len: len as u32, number: 0 };
                let text = [words.0.to_le_bytes(), words.1.to_le_bytes()];
                return self.insert(at, sought, &text.as_flattened()[..len]);
            }
            at = (at + 1) & (self.entries.len() - 1);
        }
    }

    /// The hash of a text of any length.
    #[inline]
    fn hash(&self, text: &[u8]) -> u64 {
        if text.len() > SHORT_BYTES {
            self.keys.text(text)
        } else {
            self.short_hash(words_of(text), text.len())
        }
    }

    /// The hash of a short text. Its length is part of it, since words are padded with zeros.
    #[inline(always)]
    fn short_hash(&self, words: (u64, u64), len: usize) -> u64 {
        self.keys.words(words.0, words.1) ^ len as u64
    }

    /// Adds a text at a free entry. Returns its id. Grows the table fourfold before more than half of it is used.
    #[cold]
    fn insert(&mut self, at: usize, entry: KnownText, text: &[u8]) -> u32 {
        let id = self.texts.push(text);
        self.entries[at] = KnownText { number: id + 1, ..entry };
        debug_assert!(self.entries.len().is_power_of_two());
        if self.texts.len() * 2 > self.entries.len() {
            let entries = vec![KnownText::NONE; self.entries.len() * 4];
            let mask = entries.len() - 1;
            for entry in std::mem::replace(&mut self.entries, entries) {
                if entry.number == 0 {
                    continue;
                }
                let is_short = entry.len as usize <= SHORT_BYTES;
                let hash =
                    if is_short { self.short_hash(entry.words, entry.len as usize) } else { entry.words.0 };
                let mut at = hash as usize & mask;
                while self.entries[at].number != 0 {
                    at = (at + 1) & mask;
                }
                self.entries[at] = entry;
            }
        }
        debug_assert!(self.texts.len() * 2 <= self.entries.len(), "half of the entries are free");
        id
    }
}

/// The first `len` bytes as two words, padded with zeros.
#[inline(always)]
fn words(head: [u8; SHORT_BYTES], len: usize) -> (u64, u64) {
    let [low, high] = MASKS[len];
    let head = u128::from_le_bytes(head);
    (head as u64 & low, (head >> 64) as u64 & high)
}

/// A short text as two words.
fn words_of(text: &[u8]) -> (u64, u64) {
    let mut head = [0; SHORT_BYTES];
    head[..text.len()].copy_from_slice(text);
    words(head, text.len())
}

/// True if two texts are equal. They have the same length, of more than `SHORT_BYTES`.
///
/// They nearly always are equal, and are seldom long enough for a call of `memcmp` to pay.
#[inline]
fn are_equal(one: &[u8], other: &[u8]) -> bool {
    let word = |bytes: &[u8; SHORT_BYTES]| u128::from_le_bytes(*bytes);
    let (words, _) = one.as_chunks();
    let (others, _) = other.as_chunks();
    // The last 16 bytes overlap those before.
    words.iter().zip(others).all(|(one, other)| word(one) == word(other))
        && one.last_chunk().map(word) == other.last_chunk().map(word)
}

/// By length, the bits of two words that belong to a text of that length. A load from a table takes one step; shifting
/// by a variable number of bits takes several, and a shift by 64 is not allowed.
const MASKS: [[u64; 2]; SHORT_BYTES + 1] = {
    let mut masks = [[0; 2]; SHORT_BYTES + 1];
    let mut len = 1;
    while len <= SHORT_BYTES {
        let mask = u128::MAX >> (128 - 8 * len);
        masks[len] = [mask as u64, (mask >> 64) as u64];
        len += 1;
    }
    masks
};

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equal_texts_have_equal_ids_and_others_have_others(
            texts in prop::collection::vec("[ab]{0,3}|[a-z]{14,18}|[ab\0]{15,17}|[a-b]{30,70}", 0..200),
        ) {
            let mut dictionary = Dictionary::new(1000);
            let mut known = HashMap::new();
            for text in &texts {
                let id = dictionary.id(text.as_bytes());
                prop_assert_eq!(*known.entry(text).or_insert(id), id);
                prop_assert_eq!(dictionary.text(id), text.as_bytes());
            }
            prop_assert_eq!(dictionary.len(), known.len());
            let shared = dictionary.share();
            dictionary.id(b"another one");
            for (text, id) in known {
                prop_assert_eq!(shared.get(id), text.as_bytes());
            }
        }
    }

    #[test]
    fn zeros_at_the_end_of_a_text_are_part_of_it() {
        let mut dictionary = Dictionary::new(10);
        let ids =
            [&b""[..], b"\0", b"\0\0", b"a", b"a\0", &[0; 16], &[0; 17]].map(|text| dictionary.id(text));
        assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6]);
    }

    /// The largest number of entries that a lookup may have to compare.
    fn longest_run(dictionary: &Dictionary) -> usize {
        let twice = dictionary.entries.iter().chain(&dictionary.entries);
        let lengths = twice.scan(0, |length, entry| {
            *length = if entry.number == 0 { 0 } else { *length + 1 };
            Some(*length)
        });
        lengths.max().unwrap()
    }

    fn filled(keys: HashKeys, texts: &[Vec<u8>]) -> Dictionary {
        let mut dictionary = Dictionary { keys, ..Dictionary::new(1 << 20) };
        for text in texts {
            dictionary.id(text);
        }
        assert_eq!(dictionary.len(), texts.len());
        dictionary
    }

    /// Hash keys that are the same in every run, and different for each `seed`.
    fn numbers(seed: u64) -> [u64; 4] {
        [1, 2, 3, 4].map(|at| xxhash_rust::xxh3::xxh3_64(&(seed * 4 + at).to_le_bytes()))
    }

    /// Chance makes runs of nearly this length if half of all entries are in use.
    const RUN_MAX: usize = 200;

    #[test]
    fn texts_that_collide_under_known_keys_do_not_collide_under_others() {
        let known = numbers(0);
        let with = |word: u64, count: u64, after: &str| -> Vec<Vec<u8>> {
            let text = |at: u64| [&word.to_le_bytes()[..], &at.to_le_bytes(), after.as_bytes()].concat();
            (0..count).map(text).collect()
        };
        for texts in [
            // One factor of the product is zero, so all of these have the same hash, whatever the other factor is.
            with(known[0], 4000, ""),
            with(known[2], 4000, " and sixteen bytes more"),
        ] {
            assert!(longest_run(&filled(HashKeys::known(known), &texts)) >= texts.len());
            for seed in 1..50 {
                let run = longest_run(&filled(HashKeys::known(numbers(seed)), &texts));
                assert!(run < RUN_MAX, "{run} with the numbers of {seed}");
            }
            let run = longest_run(&filled(HashKeys::random(), &texts));
            assert!(run < RUN_MAX, "{run}");
        }
    }

    #[test]
    fn similar_texts_do_not_collide_under_any_keys() {
        // A stranger who does not know the keys can only choose how texts differ.
        type Text = fn(u64) -> Vec<u8>;
        let ways: [(&str, Text); 9] = [
            ("the first bytes count", |at| [&at.to_le_bytes()[..], &[0; 8]].concat()),
            ("the last bytes count", |at| [&[0; 8], &at.to_be_bytes()[..]].concat()),
            ("the highest bits count", |at| {
                (at << 52).to_le_bytes().repeat(2)[..8 + (at >> 12) as usize % 8].to_vec()
            }),
            ("both words are the same", |at| at.to_le_bytes().repeat(2)),
            ("both words are each other's complement", |at| [at.to_le_bytes(), (!at).to_le_bytes()].concat()),
            ("one bit or two of 64 bytes", |at| {
                let mut text = vec![b'a'; 64];
                text[(at % 64) as usize] ^= 1 << (at / 64 % 8);
                text[(at / 512 % 64) as usize] ^= 0x80;
                text
            }),
            ("halves of 32 bytes", |at| [at % 64, at / 64, at / 64, at % 64].map(u64::to_le_bytes).concat()),
            ("decimal numbers", |at| at.to_string().into_bytes()),
            ("a long text and a number", |at| format!("{}{at}", "/a".repeat(40)).into_bytes()),
        ];
        for (way, text) in ways {
            let texts: std::collections::BTreeSet<_> = (0..4000).map(text).collect();
            let texts: Vec<_> = texts.into_iter().collect();
            for seed in 0..30 {
                let run = longest_run(&filled(HashKeys::known(numbers(seed)), &texts));
                assert!(run < RUN_MAX, "{way}: {run} with the numbers of {seed}");
            }
        }
    }

    #[test]
    fn a_dictionary_that_was_reset_has_other_keys() {
        let mut dictionary = Dictionary::new(10);
        let mut drawn = std::collections::BTreeSet::new();
        for _ in 0..100 {
            drawn.insert(format!("{:?}", dictionary.keys));
            dictionary.reset();
        }
        assert_eq!(drawn.len(), 100);
    }
}
