//! A function of texts, computed once per distinct value.
//!
//! A worker already has an id for the text of each line, so a pure function of one text is a list by id. A function of
//! several texts is a list by joined id, which a hash table gives to each combination of ids.
//!
//! ```text
//! dictionary of status   "200" = 0, "404" = 1, "500" = 2
//! status >= 500          known   [no, no, yes]
//! ids of the lines       0 0 2 0 1   ->   no no yes no no
//! ```

use super::{dictionary::Dictionary, hash::PairIndex};

/// The number of combinations of ids that a function of several texts remembers before it forgets them all.
const JOINED_MAX: usize = if cfg!(test) { 8 } else { 1 << 18 };

/// The results of a function, by id or by joined id.
#[derive(Clone, Debug)]
pub(super) struct Memo<T> {
    known: Vec<T>,
    /// The joined ids: of the first two inputs, then of that id and the third input, and so on. The last one has those of
    /// `known`.
    joined: Vec<PairIndex>,
    /// By step, the number of joined ids.
    joined_len: Vec<u32>,
}

/// The inputs of a function for some lines: for each its dictionary, and by line the id of its value.
pub(super) type Inputs<'i> = [(&'i Dictionary, &'i [u32])];

impl<T: Copy> Memo<T> {
    /// A function of that many inputs, of which nothing is known.
    pub(super) fn new(inputs: usize) -> Self {
        let steps = inputs.saturating_sub(1);
        Self {
            known: Vec::new(),
            joined: (0..steps).map(|_| PairIndex::new()).collect(),
            joined_len: vec![0; steps],
        }
    }

    /// Forgets all results. The dictionary of an input, or that of the results, was reset.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.joined.len() + 1);
    }

    /// Finds the results for `lines` lines. `compute` is called for texts that are new, in the order of the inputs.
    pub(super) fn find(
        &mut self,
        inputs: &Inputs<'_>,
        lines: usize,
        mut compute: impl FnMut(&[&[u8]]) -> T,
        results: &mut Vec<T>,
    ) {
        results.clear();
        match *inputs {
            [] => {
                if self.known.is_empty() {
                    self.known.push(compute(&[]));
                }
                results.resize(lines, self.known[0]);
            }
            [(dictionary, ids)] => {
                // Ids count from 0, without gaps.
                for id in self.known.len()..dictionary.len() {
                    self.known.push(compute(&[dictionary.text(id as u32)]));
                }
                results.extend(ids.iter().map(|id| self.known[*id as usize]));
            }
            [(_, first), ..] => {
                if self.known.len() >= JOINED_MAX
                    || self.joined_len.iter().any(|len| *len as usize >= JOINED_MAX)
                {
                    self.forget();
                }
                results.extend((0..lines).map(|line| {
                    let mut joined = first[line];
                    let steps = self.joined.iter_mut().zip(&mut self.joined_len).zip(&inputs[1..]);
                    for ((index, len), (_, ids)) in steps {
                        let pair = u64::from(joined) << 32 | u64::from(ids[line]);
                        let (number, is_new) = index.number(pair, 0, *len);
                        *len += u32::from(is_new);
                        joined = number;
                    }
                    if joined as usize == self.known.len() {
                        let texts: Vec<&[u8]> =
                            inputs.iter().map(|(dictionary, ids)| dictionary.text(ids[line])).collect();
                        self.known.push(compute(&texts));
                    }
                    self.known[joined as usize]
                }));
            }
        }
        debug_assert_eq!(results.len(), lines);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn results_are_those_of_the_function_and_computed_once(
            lines in prop::collection::vec(("[ab]{0,2}", "[ab]{0,1}", "[abc]"), 0..60),
            inputs in 0..4_usize,
        ) {
            let mut dictionaries = [(); 3].map(|()| Dictionary::new(1000));
            let mut ids = vec![Vec::new(); 3];
            for (one, two, three) in &lines {
                for ((dictionary, ids), text) in dictionaries.iter_mut().zip(&mut ids).zip([one, two, three]) {
                    ids.push(dictionary.id(text.as_bytes()));
                }
            }
            let all: Vec<(&Dictionary, &[u32])> =
                dictionaries.iter().zip(&ids).map(|(dictionary, ids)| (dictionary, &ids[..])).take(inputs).collect();
            let mut memo = Memo::new(inputs);
            let mut results = Vec::new();
            let mut computed = Vec::new();
            let compute = |texts: &[&[u8]]| texts.iter().map(|text| text.len() as u64 + 1).fold(7, |a, b| a * 5 + b);
            memo.find(&all, lines.len(), |texts| {
                computed.push(texts.concat());
                compute(texts)
            }, &mut results);
            for (line, result) in results.iter().enumerate() {
                let texts: Vec<&[u8]> = all.iter().map(|(dictionary, ids)| dictionary.text(ids[line])).collect();
                prop_assert_eq!(*result, compute(&texts));
            }
            let before = computed.len();
            memo.find(&all, lines.len(), |texts| {
                computed.push(texts.concat());
                compute(texts)
            }, &mut results);
            if inputs < 2 {
                prop_assert_eq!(computed.len(), before, "all are known");
            }
        }
    }

    #[test]
    fn a_function_of_several_texts_forgets_before_it_has_too_many() {
        let (mut one, mut two) = (Dictionary::new(1000), Dictionary::new(1000));
        let (mut memo, mut results) = (Memo::new(2), Vec::new());
        for number in 0..100_u32 {
            let ids = [one.id(&number.to_be_bytes()), one.id(b"a")];
            let others = [two.id(b"b"), two.id(&number.to_be_bytes())];
            memo.find(&[(&one, &ids), (&two, &others)], 2, |texts| texts[0].len(), &mut results);
            assert_eq!(results, [4, 1]);
            assert!(memo.known.len() <= JOINED_MAX + 2, "{}", memo.known.len());
        }
    }
}
