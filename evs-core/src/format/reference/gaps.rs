//! The texts between the values of JSON lines, which are compared with those of earlier lines instead of being read.
//!
//! A *gap* is all that stands between one number, string, `true`, `false` or `null` and the next: keys, brackets, commas and
//! blanks. What may follow it depends on it and on the gaps before it alone, not on the values. So a gap that stands where an
//! earlier line had the same one leads to the same place, whose slot and open containers are known.
//!
//! ```text
//! line    {"ts": 1.5, "request": {"method": "GET", "headers": {"Accept": ["*/*"]}}, "status": 200}
//! gaps    ------    ----------------------     -------------------------     ----------------   -
//! ```
//!
//! Each gap remembers those that came after it, the latest first. If a line lacks a key that the one before had, or has one
//! more, the gaps after that are known all the same. Clients may choose keys, so all that is remembered is bounded; it is
//! forgotten when it is too much.

use ahash::RandomState;
use hashbrown::HashTable;

use crate::format::work;

/// The number of gaps that are remembered.
const GAPS_MAX: usize = 256;
/// The number of gaps that are remembered to come after a gap.
const NEXT_MAX: usize = 4;
/// The length up to which a gap is remembered.
const TEXT_BYTES_MAX: usize = 512;
/// The number of gaps of a line that are learned: a line of unknown keys shall not cost much more than to read it.
const LEARNED_MAX: usize = 32;

/// The gaps that earlier lines had. `S` is the state of a scanner after a gap.
#[derive(Clone, Debug)]
pub(super) struct Gaps<S> {
    /// The first one stands for the beginning of a line.
    gaps: Vec<Gap<S>>,
    /// The numbers of the others, by the hashes of their texts. Clients choose keys, so the hashes are random.
    by_text: HashTable<Number>,
    random: RandomState,
    /// The number of gaps of the line that were learned.
    learned: usize,
}

/// A gap, at a place in lines.
#[derive(Clone, Debug)]
struct Gap<S> {
    text: Vec<u8>,
    state: S,
    /// The slot of the value after it, if that is asked for.
    slot: Option<usize>,
    /// The gaps that came after it, the latest first. No gap leads to the beginning, which fills the rest.
    next: [u16; NEXT_MAX],
    /// The text after its value with which a line ended.
    end: Vec<u8>,
}

/// The number of a gap.
pub(super) type Number = usize;

/// The beginning of a line.
pub(super) const BEGINNING: Number = 0;

/// A text after a value that is known.
#[derive(Debug)]
pub(super) enum Known {
    /// A gap of that length. A value for the slot is after it.
    Gap { number: Number, len: usize, slot: Option<usize> },
    /// The end of the line.
    End,
}

impl<S: Clone + PartialEq> Gaps<S> {
    /// No gaps. `state` is that at the beginning of a line.
    pub(super) fn new(state: S) -> Self {
        let beginning = Gap { text: Vec::new(), state, slot: None, next: [0; NEXT_MAX], end: Vec::new() };
        let (by_text, random) = (HashTable::new(), RandomState::new());
        Self { gaps: vec![beginning], by_text, random, learned: 0 }
    }

    /// Begins another line.
    pub(super) fn begin(&mut self) {
        self.learned = 0;
    }

    /// The gap at the start of `rest`, which comes after gap `before` and the value after that.
    #[inline]
    pub(super) fn find(&mut self, before: Number, rest: &[u8]) -> Option<Known> {
        let next = self.gaps[before].next;
        for (at, number) in next.iter().map(|number| usize::from(*number)).enumerate() {
            if number == BEGINNING {
                break;
            }
            let Gap { text, slot, .. } = &self.gaps[number];
            // Another text may begin with this one: then no value is after it.
            if begins(rest, text) && rest.get(text.len()).is_some_and(|byte| begins_value(*byte)) {
                work::examine(text.len());
                let known = Known::Gap { number, len: text.len(), slot: *slot };
                if at > 0 {
                    self.gaps[before].next[..=at].rotate_right(1);
                }
                return Some(known);
            }
        }
        let end = &self.gaps[before].end;
        (!end.is_empty() && end == rest).then_some(Known::End)
    }

    /// The state of the scanner after a gap.
    pub(super) fn state(&self, number: Number) -> &S {
        &self.gaps[number].state
    }

    /// Remembers a gap that came after gap `before`, and returns its number. `None` if it is not remembered, or has no
    /// `state`.
    pub(super) fn learn(
        &mut self,
        before: Number,
        text: &[u8],
        state: impl FnOnce() -> Option<S>,
        slot: Option<usize>,
    ) -> Option<Number> {
        self.learned += 1;
        if self.learned > LEARNED_MAX || text.len() > TEXT_BYTES_MAX {
            return None;
        }
        work::examine(text.len());
        let Self { gaps, by_text, random, .. } = self;
        let (state, hash) = (state()?, random.hash_one(text));
        let is_it = |number: &Number| {
            let gap = &gaps[*number];
            gap.text == text && gap.state == state && gap.slot == slot
        };
        let known = by_text.find(hash, is_it).copied();
        let number = known.unwrap_or(gaps.len());
        if number == GAPS_MAX {
            gaps.truncate(1);
            gaps[BEGINNING].next = [0; NEXT_MAX];
            by_text.clear();
            return None;
        }
        if known.is_none() {
            gaps.push(Gap { text: text.to_vec(), state, slot, next: [0; NEXT_MAX], end: Vec::new() });
            by_text.insert_unique(hash, number, |number| random.hash_one(&gaps[*number].text[..]));
        }
        let next = &mut self.gaps[before].next;
        let place = next.iter().position(|other| usize::from(*other) == number).unwrap_or(NEXT_MAX - 1);
        next[..=place].rotate_right(1);
        next[0] = number as u16;
        Some(number)
    }

    /// Remembers the text with which a line ended after gap `before` and the value after that.
    pub(super) fn learn_end(&mut self, before: Number, text: &[u8]) {
        if before != BEGINNING && text.len() <= TEXT_BYTES_MAX {
            let end = &mut self.gaps[before].end;
            end.clear();
            end.extend_from_slice(text);
        }
    }
}

/// True if a number, a string, `true`, `false` or `null` may begin with the byte.
pub(super) fn begins_value(byte: u8) -> bool {
    matches!(byte, b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')
}

/// True if `text` begins with `start`. Compares words, since `start` is short and nearly always equal.
#[inline]
fn begins(text: &[u8], start: &[u8]) -> bool {
    let Some(text) = text.get(..start.len()) else { return false };
    let (words, rest) = start.as_chunks::<8>();
    let (others, other_rest) = text.as_chunks::<8>();
    // Comparing slices would call a function.
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    words.iter().zip(others).all(|(one, other)| word(one) == word(other))
        && rest.iter().zip(other_rest).all(|(one, other)| one == other)
}
