//! The table of one statistic: the rows gathered since the last cut.
//!
//! Lines are added in two passes. The first finds the row of each line by its window and the ids of its keys. The
//! second adds one measure after the other, in 64 bits; the rare sum that does not fit is carried into a map of
//! 128-bit numbers.
//!
//! All rows of a table are in a few arrays. With a count and a sum, for example, row r has its window in `slots[r]`,
//! its keys in `ids[r]`, and its totals in `totals[2 * r]` and `totals[2 * r + 1]`:
//!
//! ```text
//! row      0 (discarded)   1              2
//! slots    -               0 (13:25)      0 (13:25)
//! ids      -               (0, 3)         (1, 3)
//! totals   -  -            2  175         1  300
//! ```
//!
//! Row 0 takes the lines whose window is past its retention. So every line has a row, and the second pass needs no
//! branch.

use std::sync::Arc;

use ahash::{HashMap, HashMapExt, HashSet, HashSetExt};

mod loops;
mod selected;
mod top;

use self::{
    loops::{count, extreme, sum},
    selected::SelectedLines,
    top::Top,
};
pub(super) use self::{
    selected::Lines,
    top::{OTHER, room},
};
use super::{
    dictionary::{Dictionary, Texts},
    hash::{PairIndex, prefetch},
    windows::Windows,
};
use crate::{format::NumberColumn, statistic::MeasureKind};

/// The maximum number of entries in the cache of a statistic with two keys. It then fits beside those of others.
const CACHE_MAX: usize = if cfg!(test) { 16 } else { 1 << 14 };
/// The row to which lines of past windows are added. It is thrown away, and saves the loops a branch.
const DISCARDED_ROW: u32 = 0;
/// The slot of all windows that are past their retention.
const PAST: u32 = u32::MAX;
/// The total of a minimum without a value. (In a maximum it is `!NO_MIN`.)
const NO_MIN: i64 = i64::MAX;

/// The rows that one statistic has gathered since the last cut, by window and the ids of their keys.
///
/// A row is found by its ids and its window, in a hash table. In front of that is a cache by ids alone, which holds the
/// row of the last window in which the ids were seen. A statistic with one key, or with two keys of few values, finds
/// nearly all rows in the cache.
///
/// With more than two keys, all but the last are joined to one id, two at a time: keys `a`, `b`, `c` become the pair
/// (`ab`, `c`), where `ab` is the joined id of the pair (`a`, `b`).
#[derive(Debug)]
pub(super) struct Table {
    kinds: Arc<[MeasureKind]>,
    keys: usize,
    /// By ids, the slot of the window in which they were last seen, and their row in it.
    cache: Vec<(u32, u32)>,
    /// The number of cache entries for each id of the first key.
    width: usize,
    /// By ids and slot, the row.
    index: PairIndex,
    /// The joined ids: of the first two keys, then of that id and the third key, and so on.
    joined: Vec<PairIndex>,
    /// By the start of a window, its slot.
    slots: HashMap<i64, u32>,
    rows: TableRows,
    /// What bounds the rows of a top list.
    top: Option<Top>,
    // Used again for every block of lines:
    slot_of: Vec<u32>,
    /// By line, the joined id of all keys but the last.
    joined_ids: Vec<u32>,
    row_of: Vec<u32>,
    selected: SelectedLines,
}

/// The keys of some lines: for each key its dictionary, and by line the id of its value.
pub(super) type KeyIds<'k> = [(&'k Dictionary, &'k [u32])];

/// The rows of a table. Row 0 is the discarded one, see `DISCARDED_ROW`.
#[derive(Clone, Debug)]
pub(crate) struct TableRows {
    /// By slot, the start of the window.
    pub(super) windows: Vec<i64>,
    /// By row, the slot of its window.
    pub(super) slots: Vec<u32>,
    /// By row, the ids of its keys: the last key in the lower half, and the key before it in the higher half. With more
    /// than two keys, the higher half is a joined id, an index into the last list of `joined`.
    pub(super) ids: Vec<u64>,
    /// By joined id, the pair of ids that it stands for: a list for each step of joining.
    joined: Vec<Vec<u64>>,
    /// The totals of all rows, row by row: a cell per measure.
    totals: Vec<i64>,
    /// By cell, the part of a total that did not fit 64 bits. It must be added to the total.
    carried: HashMap<usize, i128>,
    /// The cells whose minimum or maximum really is the value that otherwise stands for none.
    real_sentinels: HashSet<usize>,
    /// The size of all rows' keys, as a batch encodes them.
    pub(super) key_bytes: usize,
    /// By key, the texts of its ids.
    pub(super) texts: Vec<Arc<Texts>>,
}

impl TableRows {
    fn new(keys: usize) -> Self {
        Self {
            windows: Vec::new(),
            slots: Vec::new(),
            ids: Vec::new(),
            joined: vec![Vec::new(); keys.saturating_sub(2)],
            totals: Vec::new(),
            carried: HashMap::new(),
            real_sentinels: HashSet::new(),
            key_bytes: 0,
            texts: Vec::new(),
        }
    }

    /// The number of rows, without the discarded one.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - 1
    }

    /// The numbers of the rows, without the discarded one.
    pub(super) fn numbers(&self) -> std::ops::Range<usize> {
        DISCARDED_ROW as usize + 1..self.slots.len()
    }

    /// The value of a measure in a row. `None` for an extreme without a value.
    pub(super) fn value(&self, row: usize, measure: usize, kinds: &[MeasureKind]) -> Option<i128> {
        let cell = row * kinds.len() + measure;
        let total = self.totals[cell];
        let is_real = || self.real_sentinels.contains(&cell);
        match kinds[measure] {
            MeasureKind::Count | MeasureKind::Sum => {
                let carried = if self.carried.is_empty() { None } else { self.carried.get(&cell) };
                Some(i128::from(total) + carried.copied().unwrap_or(0))
            }
            MeasureKind::Min => (total != NO_MIN || is_real()).then_some(total.into()),
            MeasureKind::Max => (total != !NO_MIN || is_real()).then_some(total.into()),
        }
    }

    /// Adds to the first measure of the first row, beyond 64 bits.
    #[cfg(test)]
    pub(super) fn add_carried(&mut self, value: i128) {
        *self.carried.entry(self.totals.len() / self.slots.len()).or_default() += value;
    }

    /// The id of one of a row's `keys` keys.
    #[inline]
    pub(super) fn id(&self, row: usize, key: usize, keys: usize) -> u32 {
        let mut ids = self.ids[row];
        // Each step splits off the last key, and takes the joined id of the others apart.
        for last in (key + 1..keys).rev() {
            let first = (ids >> 32) as u32;
            if last == 1 {
                return first;
            }
            ids = self.joined[last - 2][first as usize];
        }
        ids as u32
    }

    /// Loads the memory of a row, to [`prefetch`] it.
    #[inline(always)]
    pub(super) fn load(&self, row: usize, kinds: &[MeasureKind]) -> u64 {
        self.ids[row].wrapping_add(self.totals[row * kinds.len()].cast_unsigned())
    }
}

impl Table {
    pub(super) fn new(keys: usize, kinds: Arc<[MeasureKind]>, top: Option<usize>) -> Self {
        let mut table = Self {
            top: top.map(Top::new),
            cache: Vec::new(),
            width: 0,
            index: PairIndex::new(),
            joined: (2..keys).map(|_| PairIndex::new()).collect(),
            slots: HashMap::new(),
            rows: TableRows::new(keys),
            slot_of: Vec::new(),
            joined_ids: Vec::new(),
            row_of: Vec::new(),
            selected: SelectedLines::default(),
            kinds,
            keys,
        };
        table.push_row(PAST, 0);
        table
    }

    /// Takes the rows out, and leaves an empty table with room for about as many rows.
    ///
    /// The cache and the hash table keep their memory: overwriting it is faster than getting new pages from the system.
    pub(super) fn take(&mut self) -> TableRows {
        // A quarter less than now, so that one crowded interval does not set the size for ever.
        let room = self.len() - self.len() / 4;
        let rows = std::mem::replace(&mut self.rows, TableRows::new(self.keys));
        self.rows.totals.reserve(room * self.kinds.len());
        self.rows.slots.reserve(room);
        self.rows.ids.reserve(room);
        self.cache.fill((PAST, DISCARDED_ROW));
        self.index.clear(room);
        self.joined.iter_mut().for_each(|index| index.clear(0));
        self.slots.clear();
        self.push_row(PAST, 0);
        self.top.iter_mut().for_each(Top::clear);
        rows
    }

    /// Forgets the ids that an empty table remembers. Its dictionaries were reset.
    pub(super) fn forget(&mut self) {
        debug_assert_eq!(self.len(), 0);
        *self = Self::new(self.keys, Arc::clone(&self.kinds), self.top.as_ref().map(Top::keys_max));
    }

    /// The number of rows, without the discarded one.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn key_bytes(&self) -> usize {
        self.rows.key_bytes
    }

    /// The number of joined ids.
    #[cfg(test)]
    pub(super) fn joined_len(&self) -> usize {
        self.rows.joined.iter().map(Vec::len).sum()
    }

    /// Adds lines. `numbers` has a column for each measure except counts.
    pub(super) fn add(
        &mut self,
        windows: &Windows,
        keys: &KeyIds<'_>,
        numbers: &[Option<&NumberColumn>],
        lines: Lines<'_>,
    ) {
        self.find_slots(windows);
        let Lines::Some(lines) = lines else {
            self.add_lines(&windows.of_lines, keys, numbers);
            self.bound_rows(keys);
            return;
        };
        let mut selected = std::mem::take(&mut self.selected);
        selected.take(lines, windows, keys, numbers);
        let keys: Vec<_> =
            keys.iter().zip(&selected.ids).map(|((dictionary, _), ids)| (*dictionary, &ids[..])).collect();
        let numbers: Vec<_> = numbers
            .iter()
            .zip(&selected.numbers)
            .map(|(column, numbers)| column.is_some().then_some(numbers))
            .collect();
        self.add_lines(&selected.windows, &keys, &numbers);
        self.bound_rows(&keys);
        self.selected = selected;
    }

    /// Adds the lines of these windows.
    fn add_lines(&mut self, windows: &[u32], keys: &KeyIds<'_>, numbers: &[Option<&NumberColumn>]) {
        let mut row_of = std::mem::take(&mut self.row_of);
        row_of.clear();
        self.find_rows(windows, keys, &mut row_of);
        debug_assert_eq!(row_of.len(), windows.len());
        debug_assert!(row_of.iter().all(|row| (*row as usize) < self.rows.slots.len()));
        let stride = self.kinds.len();
        let is_counted = |measure: usize| self.kinds.get(measure) == Some(&MeasureKind::Count);
        let is_summed = |measure: usize| self.kinds.get(measure) == Some(&MeasureKind::Sum);
        for (measure, numbers) in numbers.iter().enumerate() {
            let rows = &mut self.rows;
            match (self.kinds[measure], numbers) {
                // It is counted together with the sum after it.
                (MeasureKind::Count, _) if is_summed(measure + 1) => {}
                (MeasureKind::Count, _) => count(&mut rows.totals, &row_of, stride, measure),
                (MeasureKind::Sum, Some(numbers)) if measure > 0 && is_counted(measure - 1) => {
                    sum::<true>(rows, &row_of, stride, measure, numbers);
                }
                (MeasureKind::Sum, Some(numbers)) => {
                    sum::<false>(rows, &row_of, stride, measure, numbers);
                }
                (MeasureKind::Min, Some(numbers)) => {
                    extreme(rows, &row_of, stride, measure, numbers, NO_MIN, i64::min);
                }
                (MeasureKind::Max, Some(numbers)) => {
                    extreme(rows, &row_of, stride, measure, numbers, !NO_MIN, i64::max);
                }
                (_, None) => {}
            }
        }
        self.row_of = row_of;
    }

    /// Finds the slots of the windows of some lines. New windows get new slots.
    fn find_slots(&mut self, windows: &Windows) {
        let Self { slots, slot_of, rows, .. } = self;
        slot_of.clear();
        slot_of.extend(windows.starts.iter().zip(&windows.are_past).map(|(start, is_past)| {
            if *is_past {
                return PAST;
            }
            *slots.entry(*start).or_insert_with(|| {
                rows.windows.push(*start);
                rows.windows.len() as u32 - 1
            })
        }));
    }

    /// Finds the row of each line. The loop for one window is compiled by itself, with the slot as a constant.
    fn find_rows(&mut self, windows: &[u32], keys: &KeyIds<'_>, row_of: &mut Vec<u32>) {
        let slot_of = std::mem::take(&mut self.slot_of);
        match *slot_of {
            // Nearly always all lines are in one window.
            [slot] => self.find_rows_in(std::iter::repeat_n(slot, windows.len()), keys, row_of),
            _ => self.find_rows_in(windows.iter().map(|window| slot_of[*window as usize]), keys, row_of),
        }
        self.slot_of = slot_of;
    }

    /// Finds the rows of lines. `slots` has the slot of each line's window.
    ///
    /// - No key: one row per window, which the cache has at index 0.
    /// - One key: the cache is indexed by the id.
    /// - Two keys with few values: the cache is a matrix, indexed by both ids.
    /// - Otherwise: the hash table. If it is large, its entries are prefetched for all lines first.
    fn find_rows_in(
        &mut self,
        slots: impl Iterator<Item = u32> + Clone,
        keys: &KeyIds<'_>,
        row_of: &mut Vec<u32>,
    ) {
        match *keys {
            [] => {
                self.make_room_in_cache(1, 1);
                row_of.extend(slots.map(|slot| self.cached_row(0, 0, slot, keys)));
            }
            [(dictionary, ids)] => {
                self.make_room_in_cache(1, dictionary.len());
                row_of.extend(
                    slots
                        .zip(ids)
                        .map(|(slot, id)| self.cached_row(*id as usize, u64::from(*id), slot, keys)),
                );
            }
            [.., (dictionary, ids)] => {
                let mut joined = std::mem::take(&mut self.joined_ids);
                let first =
                    if self.joined.is_empty() { keys[0].1 } else { self.join(&slots, keys, &mut joined) };
                let ids = slots.zip(first.iter().zip(ids));
                let pair = |first: u32, second: u32| u64::from(first) << 32 | u64::from(second);
                let (height, width) = (keys[0].0.len(), dictionary.len().next_power_of_two());
                if self.joined.is_empty() && height.saturating_mul(width) <= CACHE_MAX {
                    self.make_room_in_cache(width, height * width);
                    row_of.extend(ids.map(|(slot, (first, second))| {
                        let at = *first as usize * width + *second as usize;
                        self.cached_row(at, pair(*first, *second), slot, keys)
                    }));
                } else {
                    if self.index.is_large() {
                        let entry = |(slot, (first, second)): (u32, (&u32, &u32))| {
                            self.index.load(pair(*first, *second), slot)
                        };
                        prefetch(ids.clone().map(entry));
                    }
                    row_of.extend(
                        ids.map(|(slot, (first, second))| self.row(pair(*first, *second), slot, keys)),
                    );
                }
                self.joined_ids = joined;
            }
        }
    }

    /// Joins all keys but the last to one id per line.
    ///
    /// Lines of past windows get arbitrary ids. They make no rows that a limit could count, so they must not make
    /// joined ids either, which take memory.
    fn join<'i>(
        &mut self,
        slots: &(impl Iterator<Item = u32> + Clone),
        keys: &KeyIds<'_>,
        joined: &'i mut Vec<u32>,
    ) -> &'i [u32] {
        joined.clear();
        joined.extend_from_slice(keys[0].1);
        for ((index, pairs), (_, ids)) in self.joined.iter_mut().zip(&mut self.rows.joined).zip(&keys[1..]) {
            for ((first, second), slot) in joined.iter_mut().zip(*ids).zip(slots.clone()) {
                if slot == PAST {
                    continue;
                }
                let pair = u64::from(*first) << 32 | u64::from(*second);
                let (id, is_new) = index.number(pair, 0, pairs.len() as u32);
                if is_new {
                    pairs.push(pair);
                }
                *first = id;
            }
        }
        joined
    }

    /// Grows the cache to `len` entries or more, with `width` entries for each id of the first key.
    fn make_room_in_cache(&mut self, width: usize, len: usize) {
        if self.width != width {
            self.width = width;
            self.cache.clear();
        }
        if self.cache.len() < len {
            self.cache.resize(len.next_power_of_two(), (PAST, DISCARDED_ROW));
        }
    }

    /// The row of these ids in the window of a slot. The cache may have it at `at`.
    #[inline(always)]
    fn cached_row(&mut self, at: usize, ids: u64, slot: u32, keys: &KeyIds<'_>) -> u32 {
        let (known, row) = self.cache[at];
        if known == slot {
            return row;
        }
        let row = self.row(ids, slot, keys);
        self.cache[at] = (slot, row);
        row
    }

    /// The row of these ids in the window of a slot. It is made if there is none.
    #[inline]
    fn row(&mut self, ids: u64, slot: u32, keys: &KeyIds<'_>) -> u32 {
        if slot == PAST {
            return DISCARDED_ROW;
        }
        let (row, is_new) = self.index.number(ids, slot, self.rows.slots.len() as u32);
        if is_new {
            self.push_row(slot, ids);
            self.count_key_bytes(row as usize, keys);
        }
        row
    }

    /// Appends a row without values.
    fn push_row(&mut self, slot: u32, ids: u64) {
        debug_assert!(slot == PAST || (slot as usize) < self.rows.windows.len());
        self.rows.slots.push(slot);
        self.rows.ids.push(ids);
        if let Some(top) = &mut self.top {
            top.add_row(slot);
        }
        self.rows.totals.extend(self.kinds.iter().map(|kind| match kind {
            MeasureKind::Count | MeasureKind::Sum => 0,
            MeasureKind::Min => NO_MIN,
            MeasureKind::Max => !NO_MIN,
        }));
        debug_assert_eq!(self.rows.slots.len(), self.rows.ids.len());
        debug_assert_eq!(self.rows.totals.len(), self.rows.slots.len() * self.kinds.len());
    }

    /// Adds the encoded size of a row: its window, and each key with its length.
    fn count_key_bytes(&mut self, row: usize, keys: &KeyIds<'_>) {
        let len = |(key, (dictionary, _)): (usize, &(&Dictionary, &[u32]))| {
            dictionary.text(self.rows.id(row, key, keys.len())).len() + 1
        };
        self.rows.key_bytes += 8 + keys.iter().enumerate().map(len).sum::<usize>();
    }
}
