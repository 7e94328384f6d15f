//! The batches that were given up for a sink.

use serde::{Deserialize, Serialize};

/// The batches of one statistic that were given up for one sink: their number for ever, and which ones they are.
///
/// ```text
/// batches 4, 5 and 9 with 10 rows each: {"batches":3,"rows":30,"spans":[[4,5],[9,9]]}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Discarded {
    /// The number of batches.
    pub batches: u64,
    /// The number of their rows.
    pub rows: u64,
    /// The sequences, as spans from the first to the last, ascending. A program that gives up every batch makes one
    /// span, so that the state stays small.
    spans: Vec<(u64, u64)>,
}

impl Discarded {
    /// Returns whether the batch with this sequence was given up.
    pub fn contains(&self, sequence: u64) -> bool {
        let after = self.spans.partition_point(|(first, _)| *first <= sequence);
        after > 0 && sequence <= self.spans[after - 1].1
    }

    /// Returns whether no batch was given up.
    pub(super) fn is_empty(&self) -> bool {
        self.batches == 0
    }

    /// Adds a batch, if it is not there yet.
    pub(crate) fn add(&mut self, sequence: u64, rows: u64) {
        if self.contains(sequence) {
            return;
        }
        self.batches += 1;
        self.rows = self.rows.saturating_add(rows);
        let after = self.spans.partition_point(|(first, _)| *first < sequence);
        let joins_next = self.spans.get(after).is_some_and(|(first, _)| *first == sequence + 1);
        let joins_previous = after > 0 && self.spans[after - 1].1 + 1 == sequence;
        match (joins_previous, joins_next) {
            (true, true) => {
                let (_, last) = self.spans.remove(after);
                self.spans[after - 1].1 = last;
            }
            (true, false) => self.spans[after - 1].1 = sequence,
            (false, true) => self.spans[after].0 = sequence,
            (false, false) => self.spans.insert(after, (sequence, sequence)),
        }
        debug_assert!(self.is_sound(u64::MAX / 2), "{self:?}");
    }

    /// Returns whether the spans are what `add` makes of batches up to `last`.
    pub(super) fn is_sound(&self, last: u64) -> bool {
        let spans = &self.spans;
        spans.iter().all(|(first, end)| 0 < *first && first <= end && *end <= last)
            && spans.is_sorted_by(|one, next| one.1 < next.0 - 1)
            && spans.iter().map(|(first, end)| u128::from(end - first) + 1).sum::<u128>()
                == u128::from(self.batches)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spans_hold_what_a_set_would(sequences in prop::collection::vec(1_u64..40, 0..60)) {
            let (mut discarded, mut set) = (Discarded::default(), BTreeSet::new());
            for sequence in sequences {
                discarded.add(sequence, 2);
                set.insert(sequence);
            }
            prop_assert!(discarded.is_sound(39));
            prop_assert_eq!((discarded.batches, discarded.rows), (set.len() as u64, 2 * set.len() as u64));
            for sequence in 0..41 {
                prop_assert_eq!(discarded.contains(sequence), set.contains(&sequence));
            }
            let json = serde_json::to_string(&discarded).unwrap();
            prop_assert_eq!(serde_json::from_str::<Discarded>(&json).unwrap(), discarded);
        }
    }

    #[test]
    fn spans_that_nobody_would_write_are_not_sound() {
        for (spans, batches, is_sound) in [
            (vec![(4, 5), (9, 9)], 3, true),
            (vec![(4, 5), (6, 9)], 6, false),
            (vec![(9, 9), (4, 5)], 3, false),
            (vec![(5, 4)], 0, false),
            (vec![(0, 1)], 2, false),
            (vec![(10, 11)], 2, false),
            (vec![(4, 5)], 3, false),
        ] {
            let discarded = Discarded { batches, rows: 0, spans };
            assert_eq!(discarded.is_sound(10), is_sound, "{discarded:?}");
        }
    }
}
