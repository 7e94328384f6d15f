//! Finds all arguments of a query that are asked for, in one pass.
//!
//! A query is cut at the bits of masks: 64 bytes at a time are searched for `&` and `=`. Only the name of each pair,
//! the text before its first `=`, is looked at, and it is compared with at most one of the names asked for (see
//! [`Names`]). So the cost of a query is bounded by its length, whatever is in it and however many arguments are asked
//! for.
//!
//! In `c=1&v=2&c=3`, asked for `c` and `x`, it finds `1` for `c` and nothing for `x`: the first argument of a name
//! counts, as in nginx.

use std::ops::Range;

use super::{
    names::{Names, Pending},
    request,
};
use crate::format::{masks::pair_masks, work};

/// The range of an argument that the query does not have.
pub(in crate::format) const NOT_FOUND: (usize, usize) = (usize::MAX, 0);

/// The names of arguments, compared without regard to case, as nginx compares them.
#[derive(Clone, Debug)]
pub(in crate::format) struct ArgNames {
    /// The names in a perfect hash table.
    names: Names,
    /// The names with a `=` in them, each with its number. nginx has no such names, but a user may ask
    /// for one. The first `=` of a pair does not end it, so it is searched alone.
    names_with_equal: Vec<(usize, Box<[u8]>)>,
    /// True if the empty name is asked for.
    has_empty: bool,
    /// The fastest function of the processor that finds the `&` and `=` of 64 bytes.
    masks: fn(&[u8; 64]) -> [u64; 2],
}

impl Default for ArgNames {
    fn default() -> Self {
        Self { names: Names::new(true), names_with_equal: Vec::new(), has_empty: false, masks: pair_masks() }
    }
}

impl ArgNames {
    /// Adds a name. Returns its number, by which [`find`](Self::find) tells its value.
    pub(in crate::format) fn add(&mut self, name: &[u8]) -> usize {
        let number = self.names.add(name);
        self.has_empty |= name.is_empty();
        if name.contains(&b'=') && !self.names_with_equal.iter().any(|(other, _)| *other == number) {
            self.names_with_equal.push((number, name.into()));
        }
        number
    }

    /// The number of names.
    pub(in crate::format) fn len(&self) -> usize {
        self.names.len()
    }

    /// Finds the value of the first argument of each name in the query at `args`. `found` gets a range of `text` by
    /// number, or [`NOT_FOUND`].
    // Not inlined: it is seldom needed, and the code around it is faster without it.
    #[inline(never)]
    pub(in crate::format) fn find(&self, text: &[u8], args: Range<usize>, found: &mut Vec<(usize, usize)>) {
        let mut search = Search::new(self, text, &args, found);
        let (chunks, rest) = text[args.clone()].as_chunks::<64>();
        let mut padded = [0; 64];
        padded[..rest.len()].copy_from_slice(rest);
        for (chunk, at) in chunks.iter().chain([&padded]).zip((args.start..).step_by(64)) {
            if search.is_done() {
                break;
            }
            work::examine(64);
            let [ampersands, equals] = (self.masks)(chunk);
            search.chunk(ampersands, equals, at);
        }
        self.find_names_with_equal(text, &args, found);
    }

    /// Finds the names with a `=` in them, each by itself.
    fn find_names_with_equal(&self, text: &[u8], args: &Range<usize>, found: &mut [(usize, usize)]) {
        for (number, name) in &self.names_with_equal {
            found[*number] = match request::arg(&text[args.clone()], name) {
                Some(value) => (args.start + value.start, args.start + value.end),
                None => NOT_FOUND,
            };
        }
    }
}

/// The state of a pass over a query.
struct Search<'s> {
    /// The names that are sought.
    names: &'s Names,
    has_empty: bool,
    /// The names that have not been found yet.
    pending: Pending,
    /// The text in which the query stands.
    text: &'s [u8],
    /// By name, the range of its value in `text`, or [`NOT_FOUND`].
    found: &'s mut [(usize, usize)],
    /// The number of names that have not been found yet.
    sought: usize,
    /// The end of the query.
    last: usize,
    /// The start of the pair in which the next 64 bytes begin.
    pair: usize,
    /// True if the `=` of that pair has not been seen yet.
    is_in_name: bool,
    /// The argument whose value continues in the next 64 bytes.
    open: Option<usize>,
}

impl<'s> Search<'s> {
    /// A pass over the query at `args`, before its first byte.
    #[inline]
    fn new(
        names: &'s ArgNames,
        text: &'s [u8],
        args: &Range<usize>,
        found: &'s mut Vec<(usize, usize)>,
    ) -> Self {
        found.clear();
        found.resize(names.len(), NOT_FOUND);
        Self {
            names: &names.names,
            has_empty: names.has_empty,
            pending: names.names.pending(),
            text,
            found,
            sought: names.len(),
            last: args.end,
            pair: args.start,
            is_in_name: true,
            open: None,
        }
    }

    /// True if all names were found, and the values of all have ended.
    fn is_done(&self) -> bool {
        self.sought == 0 && self.open.is_none()
    }

    /// Searches up to 64 bytes from `base` on, by the masks of their `&` and `=`.
    ///
    /// Only the first `=` of each pair ends a name. One addition finds all of these: from the start of each pair, a
    /// carry runs through the bytes that are neither `&` nor `=`, and stops at the first that is.
    ///
    /// ```text
    /// bytes    c = 1 & v a = 2 = 3        bit 0 is the leftmost byte
    /// begins   1 0 0 0 1 0 0 0 0 0        the start of each pair
    /// others   1 0 1 0 1 1 0 1 0 1        neither `&` nor `=`
    /// sum      0 1 1 0 0 0 1 1 0 1        begins + others: carries have run to the right
    /// firsts   0 1 0 0 0 0 1 0 0 0        sum and `=`: the second `=` of the last pair is not one
    /// ```
    #[inline(always)]
    fn chunk(&mut self, ampersands: u64, equals: u64, base: usize) {
        if let Some(number) = self.open
            && ampersands != 0
        {
            self.found[number].1 = base + ampersands.trailing_zeros() as usize;
            self.open = None;
        }
        let begins = ampersands << 1 | u64::from(self.is_in_name);
        let others = !(ampersands | equals);
        let (stops, carried) = begins.overflowing_add(others);
        let mut firsts = stops & equals;
        if !self.has_empty {
            firsts &= !(ampersands << 1);
        }
        // The next 64 bytes begin inside a name, or with the start of a pair.
        self.is_in_name = carried || ampersands >> 63 == 1;
        while firsts != 0 {
            let bit = firsts.trailing_zeros();
            firsts &= firsts - 1;
            let before = ampersands & !(u64::MAX << bit);
            let pair = if before == 0 { self.pair } else { base + 64 - before.leading_zeros() as usize };
            let equal = base + bit as usize;
            if let Some(number) = self.names.find_pending(self.text, pair, equal, &self.pending)
                && self.found[number] == NOT_FOUND
            {
                self.sought -= 1;
                self.names.clear(number, &mut self.pending);
                let after = ampersands & (u64::MAX << bit);
                if after == 0 {
                    self.found[number] = (equal + 1, self.last);
                    self.open = Some(number);
                } else {
                    self.found[number] = (equal + 1, base + after.trailing_zeros() as usize);
                }
            }
        }
        if ampersands != 0 {
            self.pair = base + 64 - ampersands.leading_zeros() as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn all_arguments_are_found_as_each_is_alone(
            names in prop::collection::vec("[aAbB=&é]{0,2}|[ab]{7,9}|long_name_[abAB]{1,20}", 0..30),
            query in prop::collection::vec(
                prop_oneof![
                    4 => "[aAbB]{1,2}=[a=%]{0,3}&",
                    2 => "[&=aé]{0,4}",
                    1 => "long_name_[abAB]{1,20}=[a]{0,70}&?",
                    1 => "[abAB]{7,9}=&?",
                    1 => "[&a=]{60,70}",
                ],
                0..20,
            ),
            before in "[&=a]{0,20}",
            after in "[&=a]{0,20}",
        ) {
            let query = query.concat();
            let text = format!("{before}{query}{after}").into_bytes();
            let args = before.len()..before.len() + query.len();
            let mut asked = ArgNames::default();
            let numbers: Vec<_> = names.iter().map(|name| asked.add(name.as_bytes())).collect();
            let mut found = Vec::new();
            asked.find(&text, args.clone(), &mut found);
            for (name, number) in names.iter().zip(numbers) {
                let expected = request::arg(query.as_bytes(), name.as_bytes())
                    .map_or(NOT_FOUND, |value| (args.start + value.start, args.start + value.end));
                prop_assert_eq!(found[number], expected, "{} of {}", name, query);
            }
        }
    }
}
