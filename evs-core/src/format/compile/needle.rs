//! Searches for the literal after a loose value, together with the time that may follow it.
//!
//! A client can fill such a value with that literal, and each occurrence may be the end of the value. Each would then
//! cost a closer look. So the pattern of the time after the literal is part of the search: it takes 26 bytes, and a
//! value has no room for many of these.
//!
//! In a line `a [ [ [ [ b [21/Nov/2026:…` of the format `$remote_user [$time_local]`, for example, ` [` occurs five
//! times, and ` [` followed by two digits, a slash, three letters and so on occurs once.
//!
//! A needle compares 32 bytes as four words under masks, and the first word nearly always decides. It may report a
//! place that is not an occurrence, which is then checked in full, but it never misses one; a property test holds it
//! to that.

use crate::format::{decode::time::Shape, work};

/// The number of bytes that are compared, as words.
const LEN: usize = 32;

/// A literal and the pattern of a time after it, cut to `LEN` bytes: the bits that must be equal.
#[derive(Clone, Debug, Default)]
pub(in crate::format) struct Needle {
    /// The bytes that are sought, as words.
    words: [u64; LEN / 8],
    /// The bits of the words that count. After the end of a short needle there are none.
    masks: [u64; LEN / 8],
}

impl Needle {
    /// The needle for a literal, with a time after it if `after` is its shape.
    pub(in crate::format) fn new(text: &[u8], after: Option<&Shape>) -> Self {
        let pattern = after.map(Shape::pattern).unwrap_or_default();
        let of_shape = pattern.iter().map(|shape| match shape {
            // These bits accept some other bytes, too. A match is checked again.
            b'0' => (b'0', 0xF0),
            b'a' => (b'a' & 0xC0, 0xC0),
            b'+' => (b'+' & 0xF8, 0xF8),
            byte => (*byte, u8::MAX),
        });
        let (mut words, mut masks) = ([0; LEN], [0; LEN]);
        let wanted = text.iter().map(|byte| (*byte, u8::MAX)).chain(of_shape);
        for (at, (byte, mask)) in wanted.take(LEN).enumerate() {
            (words[at], masks[at]) = (byte, mask);
        }
        let as_words = |bytes: [u8; LEN]| {
            let (words, _) = bytes.as_chunks();
            std::array::from_fn(|at| u64::from_le_bytes(words[at]))
        };
        Self { words: as_words(words), masks: as_words(masks) }
    }

    /// The first offset from `from` on at which the needle may be. It never misses one.
    pub(in crate::format) fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        let rest = text.get(from..)?;
        let found = rest.windows(LEN).position(|window| {
            let (words, _) = window.as_chunks();
            // The first word nearly always decides.
            (0..LEN / 8).all(|at| (u64::from_le_bytes(words[at]) ^ self.words[at]) & self.masks[at] == 0)
        });
        let found = found.or_else(|| {
            // The last `LEN - 1` offsets have too few bytes after them: compare the first byte alone.
            let tail = rest.len().saturating_sub(LEN - 1);
            let [first, mask] = [self.words[0], self.masks[0]].map(|word| word as u8);
            rest[tail..].iter().position(|byte| (byte ^ first) & mask == 0).map(|at| tail + at)
        });
        work::examine(found.unwrap_or(rest.len()) + 1);
        found.map(|at| from + at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_occurrence_is_missed(
            text in prop::collection::vec(
                prop_oneof![
                    Just(" [".to_owned()), Just("21/Nov/2026:13:25:22 +0545".to_owned()), "[ \\[0-9a:/]{0,9}",
                    Just("2026-11-21T13:25:22-05:45".to_owned()), "[0-9]{1,12}\\.[0-9]{3}",
                ],
                0..12,
            ),
            until in prop::sample::select(vec![" [", " ", "[", " and this is a long text ["]),
            from in 0_usize..100,
        ) {
            let text = text.concat().into_bytes();
            let pattern = Shape::named("%d/%b/%Y:%H:%M:%S").ok();
            for shape in [None, Some(Shape::Local), Some(Shape::Iso8601), Some(Shape::Msec), pattern] {
                let needle = Needle::new(until.as_bytes(), shape.as_ref());
                let is_there = |at: &usize| {
                    let after = text[*at..].strip_prefix(until.as_bytes());
                    after.is_some_and(|after| shape.as_ref().is_none_or(|shape| {
                        shape.length(after).is_some_and(|len| shape.fits(&after[..len]))
                    }))
                };
                let offsets = (from..text.len()).filter(is_there);
                let mut at = from;
                for expected in offsets {
                    while let Some(found) = needle.find(&text, at) && found < expected {
                        at = found + 1;
                    }
                    prop_assert_eq!(needle.find(&text, at), Some(expected));
                    at = expected + 1;
                }
            }
        }
    }
}
