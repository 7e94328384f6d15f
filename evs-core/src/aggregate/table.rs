//! The rows that one statistic has gathered, and how lines are added to them.

use std::sync::Arc;

use ahash::{HashMap, HashMapExt, HashSet, HashSetExt};

use super::{
    dictionary::{Dictionary, Texts},
    hash::{PairIndex, touch},
    windows::Windows,
};
use crate::{format::NumberColumn, statistic::MeasureKind};

/// How many entries the cache of a statistic with two keys may have: as many as find room beside others'.
const CACHE_MAX: usize = if cfg!(test) { 16 } else { 1 << 14 };
/// The row that lines are added to whose window is past: nobody gets to see it.
const NOBODYS: u32 = 0;
/// Stands for the slot of a window that is past.
const PAST: u32 = u32::MAX;
/// Stands for "no value yet" in a minimum; in a maximum it is `!NO_MIN`.
const NO_MIN: i64 = i64::MAX;

/// The rows that one statistic has gathered since the last cut, by window and the ids of its keys.
///
/// A row is found by (ids, window) in an index. Before it stands a cache by ids alone, for the window that they
/// were seen in last: of a statistic with one key, or with two that have few values, nearly all rows are found
/// there. Of more than two keys, all but the last are joined to one id, two at a time.
#[derive(Debug)]
pub(super) struct Table {
    kinds: Arc<[MeasureKind]>,
    keys: usize,
    /// By ids, the slot of the window they were seen in last, and their row in it.
    cache: Vec<(u32, u32)>,
    /// How many entries of the cache there are for each id of the first key.
    width: usize,
    index: PairIndex,
    /// Ids of joined keys: of the first two, of these and the third, and so on.
    joined: Vec<PairIndex>,
    slots: HashMap<i64, u32>,
    rows: TableRows,
    // Used again for every block of lines:
    slot_of: Vec<u32>,
    joined_ids: Vec<u32>,
    row_of: Vec<u32>,
}

/// The key columns of some lines: each key's dictionary, and the ids of its values.
pub(super) type Keys<'k> = [(&'k Dictionary, &'k [u32])];

/// The rows of a table.
#[derive(Clone, Debug)]
pub(crate) struct TableRows {
    /// The windows' starts, by slot.
    pub(super) windows: Vec<i64>,
    /// By row, the slot of its window.
    pub(super) slots: Vec<u32>,
    /// By row, the ids of its keys: the first one in the higher half if there are two. Of more than two keys,
    /// the first id is one of the last of `joined`.
    pub(super) ids: Vec<u64>,
    /// The pairs of ids that joined ids stand for.
    joined: Vec<Vec<u64>>,
    /// The totals of all rows, one row behind the other.
    totals: Vec<i64>,
    /// What is to be added to totals that have come to the limits of 64 bits.
    beyond: HashMap<usize, i128>,
    /// The extremes that are what otherwise stands for none.
    limits: HashSet<usize>,
    /// The bytes of all rows' keys.
    pub(super) key_bytes: usize,
    /// The texts of the keys' ids.
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
            beyond: HashMap::new(),
            limits: HashSet::new(),
            key_bytes: 0,
            texts: Vec::new(),
        }
    }

    /// How many rows there are, without the one that is nobody's.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - 1
    }

    /// The rows' numbers.
    pub(super) fn numbers(&self) -> std::ops::Range<usize> {
        NOBODYS as usize + 1..self.slots.len()
    }

    /// The value of a measure of a row.
    pub(super) fn value(&self, row: usize, measure: usize, kinds: &[MeasureKind]) -> Option<i128> {
        let cell = row * kinds.len() + measure;
        let total = self.totals[cell];
        let is_limit = || self.limits.contains(&cell);
        match kinds[measure] {
            MeasureKind::Count | MeasureKind::Sum => {
                let beyond = if self.beyond.is_empty() { None } else { self.beyond.get(&cell) };
                Some(i128::from(total) + beyond.copied().unwrap_or(0))
            }
            MeasureKind::Min => (total != NO_MIN || is_limit()).then_some(total.into()),
            MeasureKind::Max => (total != !NO_MIN || is_limit()).then_some(total.into()),
        }
    }

    /// Adds to the first measure of the first row.
    #[cfg(test)]
    pub(super) fn add_beyond(&mut self, value: i128) {
        *self.beyond.entry(self.totals.len() / self.slots.len()).or_default() += value;
    }

    /// The id of one of a row's keys, of which there are so many.
    #[inline]
    pub(super) fn id(&self, row: usize, key: usize, keys: usize) -> u32 {
        let mut ids = self.ids[row];
        // The last one is in the lower half, and the others are joined in the higher one.
        for behind in (key + 1..keys).rev() {
            let first = (ids >> 32) as u32;
            if behind == 1 {
                return first;
            }
            ids = self.joined[behind - 2][first as usize];
        }
        ids as u32
    }

    /// Loads a row, to [`touch`] it.
    #[inline(always)]
    pub(super) fn load(&self, row: usize, kinds: &[MeasureKind]) -> u64 {
        self.ids[row].wrapping_add(self.totals[row * kinds.len()].cast_unsigned())
    }
}

impl Table {
    pub(super) fn new(keys: usize, kinds: Arc<[MeasureKind]>) -> Self {
        let mut table = Self {
            cache: Vec::new(),
            width: 0,
            index: PairIndex::new(),
            joined: (2..keys).map(|_| PairIndex::new()).collect(),
            slots: HashMap::new(),
            rows: TableRows::new(keys),
            slot_of: Vec::new(),
            joined_ids: Vec::new(),
            row_of: Vec::new(),
            kinds,
            keys,
        };
        table.push_row(PAST, 0);
        table
    }

    /// Takes the rows out, and leaves an empty table with room for about as many. What finds them keeps its memory, which
    /// takes the system longer to give anew than it takes to overwrite.
    pub(super) fn take(&mut self) -> TableRows {
        // A quarter less than now, so that a single crowded interval does not fix the size for good.
        let room = self.len() - self.len() / 4;
        let rows = std::mem::replace(&mut self.rows, TableRows::new(self.keys));
        self.rows.totals.reserve(room * self.kinds.len());
        self.rows.slots.reserve(room);
        self.rows.ids.reserve(room);
        self.cache.fill((PAST, NOBODYS));
        self.index.clear(room);
        self.joined.iter_mut().for_each(|index| index.clear(0));
        self.slots.clear();
        self.push_row(PAST, 0);
        rows
    }

    /// Forgets the ids of an empty table.
    pub(super) fn forget(&mut self) {
        debug_assert_eq!(self.len(), 0);
        *self = Self::new(self.keys, Arc::clone(&self.kinds));
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn key_bytes(&self) -> usize {
        self.rows.key_bytes
    }

    #[cfg(test)]
    pub(super) fn joined_len(&self) -> usize {
        self.rows.joined.iter().map(Vec::len).sum()
    }

    /// Adds lines: `numbers` has for each measure, but for counts, the numbers of the lines.
    pub(super) fn add(&mut self, windows: &Windows, keys: &Keys<'_>, numbers: &[Option<&NumberColumn>]) {
        self.find_slots(windows);
        let mut row_of = std::mem::take(&mut self.row_of);
        row_of.clear();
        self.find_rows(&windows.of_lines, keys, &mut row_of);
        let stride = self.kinds.len();
        let is_counted = |measure: usize| self.kinds.get(measure) == Some(&MeasureKind::Count);
        let is_summed = |measure: usize| self.kinds.get(measure) == Some(&MeasureKind::Sum);
        for (measure, numbers) in numbers.iter().enumerate() {
            let rows = &mut self.rows;
            match (self.kinds[measure], numbers) {
                // Together with the sum behind it.
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

    /// The slots of the windows that some lines belong to.
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

    fn find_rows(&mut self, windows: &[u32], keys: &Keys<'_>, row_of: &mut Vec<u32>) {
        let slot_of = std::mem::take(&mut self.slot_of);
        match *slot_of {
            // Nearly always.
            [slot] => self.find_rows_in(std::iter::repeat_n(slot, windows.len()), keys, row_of),
            _ => self.find_rows_in(windows.iter().map(|window| slot_of[*window as usize]), keys, row_of),
        }
        self.slot_of = slot_of;
    }

    /// The rows of lines whose windows have these slots.
    fn find_rows_in(
        &mut self,
        slots: impl Iterator<Item = u32> + Clone,
        keys: &Keys<'_>,
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
                        touch(ids.clone().map(entry));
                    }
                    row_of.extend(
                        ids.map(|(slot, (first, second))| self.row(pair(*first, *second), slot, keys)),
                    );
                }
                self.joined_ids = joined;
            }
        }
    }

    /// Joins all keys but the last to one id. Lines whose window is past have no rows that a limit could count,
    /// so nothing is kept of them: they get any id.
    fn join<'i>(
        &mut self,
        slots: &(impl Iterator<Item = u32> + Clone),
        keys: &Keys<'_>,
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

    /// Makes room in the cache for `len` entries, `width` for each id of the first key.
    fn make_room_in_cache(&mut self, width: usize, len: usize) {
        if self.width != width {
            self.width = width;
            self.cache.clear();
        }
        if self.cache.len() < len {
            self.cache.resize(len.next_power_of_two(), (PAST, NOBODYS));
        }
    }

    /// The row of these ids and that window, which the cache may have at `at`.
    #[inline(always)]
    fn cached_row(&mut self, at: usize, ids: u64, slot: u32, keys: &Keys<'_>) -> u32 {
        let (known, row) = self.cache[at];
        if known == slot {
            return row;
        }
        let row = self.row(ids, slot, keys);
        self.cache[at] = (slot, row);
        row
    }

    /// The row of these ids and that window, which is made if there is none.
    #[inline]
    fn row(&mut self, ids: u64, slot: u32, keys: &Keys<'_>) -> u32 {
        if slot == PAST {
            return NOBODYS;
        }
        let (row, is_new) = self.index.number(ids, slot, self.rows.slots.len() as u32);
        if is_new {
            self.push_row(slot, ids);
            self.count_key_bytes(row as usize, keys);
        }
        row
    }

    fn push_row(&mut self, slot: u32, ids: u64) {
        self.rows.slots.push(slot);
        self.rows.ids.push(ids);
        self.rows.totals.extend(self.kinds.iter().map(|kind| match kind {
            MeasureKind::Count | MeasureKind::Sum => 0,
            MeasureKind::Min => NO_MIN,
            MeasureKind::Max => !NO_MIN,
        }));
    }

    /// What the row adds to the encoded size: the window, and each key with its length.
    fn count_key_bytes(&mut self, row: usize, keys: &Keys<'_>) {
        let len = |(key, (dictionary, _)): (usize, &(&Dictionary, &[u32]))| {
            dictionary.text(self.rows.id(row, key, keys.len())).len() + 1
        };
        self.rows.key_bytes += 8 + keys.iter().enumerate().map(len).sum::<usize>();
    }
}

fn count(totals: &mut [i64], row_of: &[u32], stride: usize, measure: usize) {
    for row in row_of {
        totals[*row as usize * stride + measure] += 1;
    }
}

/// Adds the values; and to the measure before the number of lines if that `IS_COUNTED`: where many lines go to one row,
/// each waits for the one before, and two such queues are as quick as one.
fn sum<const IS_COUNTED: bool>(
    rows: &mut TableRows,
    row_of: &[u32],
    stride: usize,
    measure: usize,
    numbers: &NumberColumn,
) {
    let (totals, beyond) = (&mut rows.totals[..], &mut rows.beyond);
    // An absent value is 0.
    for (row, value) in row_of.iter().zip(&numbers.values) {
        let cell = *row as usize * stride + measure;
        if IS_COUNTED {
            totals[cell - 1] += 1;
        }
        let total = &mut totals[cell];
        match total.checked_add(*value) {
            Some(sum) => *total = sum,
            None => carry(beyond, cell, total, *value),
        }
    }
}

/// Begins a total anew with `value`, and puts aside what there was.
#[cold]
fn carry(beyond: &mut HashMap<usize, i128>, cell: usize, total: &mut i64, value: i64) {
    // 128 bits hold more values of 64 bits than any disk has lines.
    *beyond.entry(cell).or_default() += i128::from(std::mem::replace(total, value));
}

fn extreme(
    rows: &mut TableRows,
    row_of: &[u32],
    stride: usize,
    measure: usize,
    numbers: &NumberColumn,
    none: i64,
    choose: fn(i64, i64) -> i64,
) {
    for (at, (row, value)) in row_of.iter().zip(&numbers.values).enumerate() {
        if numbers.some_absent && numbers.are_absent[at] {
            continue;
        }
        let cell = *row as usize * stride + measure;
        if *value == none {
            rows.limits.insert(cell);
        }
        let total = &mut rows.totals[cell];
        *total = choose(*total, *value);
    }
}
