//! Top lists: the rows of a window are bounded, however many keys its lines have.
//!
//! A window has room for some times as many rows as the list shows keys. When the room is used up, the smaller half of the
//! rows is added to one row for all other keys, so no total changes. That is the Misra-Gries algorithm in batches (Misra and
//! Gries, "Finding repeated elements", 1982; with medians: Anderson et al., "A high-performance algorithm for identifying
//! frequent items in data streams", 2017):
//!
//! ```text
//! weights of the rows       9 7 4 1 1 1     no room is left
//! the median is 2           7 5 2           it is taken from the weights that stay; 1 + 1 + 1 goes to the others
//! ```
//!
//! A key loses at most the median each time that its row is removed, and each median is taken from half of the room. So of a
//! key's total, the others have at most 2 / [`ROOM`] of what the list would show with one key less: with `n` keys and a total
//! of `N`, at most `N / (4 n)`. Ranks follow the first measure, a count or a sum.

use std::sync::Arc;

use ahash::{HashMap, HashMapExt};

use super::{DISCARDED_ROW, KeyIds, PAST, Table, TableRows};
use crate::{
    aggregate::dictionary::{Dictionary, Texts},
    statistic::MeasureKind,
};

/// The room of a window, in rows for each key that the list shows.
const ROOM: usize = 8;
/// The room that a window has at least.
const ROOM_MIN: usize = if cfg!(test) { 8 } else { 8192 };

/// The ids of the row for all other keys, which no key has.
pub(super) const OTHERS: u64 = u64::MAX;

/// The text of each key of the row for all other keys.
pub(in crate::aggregate) const OTHER: &[u8] = b"(other)";

/// The bookkeeping of a top list.
#[derive(Debug)]
pub(super) struct Top {
    /// The number of keys that the list shows.
    keys_max: usize,
    /// By slot, the number of rows.
    rows_of: Vec<usize>,
    /// By slot, the sum of all medians so far.
    taken: Vec<i64>,
    /// By row, the sum of medians at which it was made.
    taken_before: Vec<i64>,
}

/// The number of rows for which a window of a list of that length has room.
pub(in crate::aggregate) fn room(keys_max: usize) -> usize {
    keys_max.saturating_mul(ROOM).max(ROOM_MIN)
}

impl Top {
    pub(super) fn new(keys_max: usize) -> Self {
        Self { keys_max, rows_of: Vec::new(), taken: Vec::new(), taken_before: Vec::new() }
    }

    pub(super) fn keys_max(&self) -> usize {
        self.keys_max
    }

    /// Forgets the rows. The discarded row is there again.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.keys_max);
        self.taken_before.push(0);
    }

    /// Notes a new row of a window.
    pub(super) fn add_row(&mut self, slot: u32) {
        if slot == PAST {
            self.taken_before.push(0);
            return;
        }
        let slots = self.rows_of.len().max(slot as usize + 1);
        self.rows_of.resize(slots, 0);
        self.taken.resize(slots, 0);
        self.rows_of[slot as usize] += 1;
        self.taken_before.push(self.taken[slot as usize]);
    }
}

impl Table {
    /// Adds rows to those of all other keys, if a top list has too many. `keys` are those of the lines that were added last.
    pub(super) fn bound_rows(&mut self, keys: &KeyIds<'_>) {
        let Some(top) = &self.top else { return };
        let is_full = |slot: &usize| top.rows_of[*slot] >= room(top.keys_max);
        let full: Vec<usize> = (0..top.rows_of.len()).filter(is_full).collect();
        for slot in &full {
            self.reduce(*slot);
        }
        if !full.is_empty() {
            self.compact(keys);
        }
    }

    /// Adds the smaller half of a window's rows to the row of the others. They stay as rows of a past window until
    /// [`compact`](Self::compact).
    fn reduce(&mut self, slot: usize) {
        let Some(top) = &mut self.top else { return };
        let weight = |row: usize| {
            let taken = top.taken[slot].saturating_sub(top.taken_before[row]);
            self.rows.weight(row, &self.kinds).saturating_sub(taken)
        };
        let mut rows: Vec<(i64, usize)> = self.rows.of_window(slot).map(|row| (weight(row), row)).collect();
        let middle = rows.len() / 2;
        let Some((_, (median, _), _)) = (!rows.is_empty()).then(|| rows.select_nth_unstable(middle)) else {
            return;
        };
        let median = *median;
        top.taken[slot] = top.taken[slot].saturating_add(median.max(0));
        let rows = rows.into_iter().filter(|(weight, _)| *weight <= median);
        self.add_to_others(slot, rows.map(|(_, row)| row));
    }

    /// Adds rows of a window to the row of the others. They stay as rows of a past window until
    /// [`compact`](Self::compact).
    fn add_to_others(&mut self, slot: usize, rows: impl Iterator<Item = usize>) {
        let is_others = |row: &usize| self.rows.slots[*row] as usize == slot && self.rows.ids[*row] == OTHERS;
        let others = self.rows.numbers().find(is_others).unwrap_or_else(|| {
            self.push_row(slot as u32, OTHERS);
            self.rows.slots.len() - 1
        });
        for row in rows {
            self.rows.add_row_to(row, others, &self.kinds);
            self.rows.slots[row] = PAST;
        }
    }

    /// Keeps the rows of the highest totals, twice as many as the list shows keys, and adds the others up.
    ///
    /// This is for rows that are put aside because a dictionary is full: there may be many such before the next cut.
    pub(in crate::aggregate) fn keep_top(&mut self, keys: &KeyIds<'_>) {
        let Some(top) = &self.top else { return };
        let (rows_max, slots) = (top.keys_max.saturating_mul(2), top.rows_of.len());
        for slot in 0..slots {
            let weight = |row| self.rows.weight(row, &self.kinds);
            let mut rows: Vec<(i64, usize)> =
                self.rows.of_window(slot).map(|row| (weight(row), row)).collect();
            if rows.len() > rows_max {
                rows.select_nth_unstable_by(rows_max, |one, other| other.cmp(one));
                self.add_to_others(slot, rows.split_off(rows_max).into_iter().map(|(_, row)| row));
            }
        }
        self.compact(keys);
    }

    /// Removes the rows of past windows, and everything that remembers where rows were.
    fn compact(&mut self, keys: &KeyIds<'_>) {
        let old = std::mem::replace(&mut self.rows, TableRows::new(self.keys));
        let windows = old.windows.clone();
        self.rows.windows = windows;
        self.cache.fill((PAST, DISCARDED_ROW));
        self.index.clear(old.slots.len() / 2);
        self.joined.iter_mut().for_each(|index| index.clear(0));
        let Some(top) = &mut self.top else { return };
        let taken_before = std::mem::take(&mut top.taken_before);
        top.rows_of.fill(0);
        self.push_row(PAST, 0);
        for row in old.numbers().filter(|row| old.slots[*row] != PAST) {
            let (slot, made) = (old.slots[row], self.rows.slots.len());
            let ids = if old.ids[row] == OTHERS { OTHERS } else { self.rejoin(&old, row) };
            self.push_row(slot, ids);
            if ids != OTHERS {
                self.index.number(ids, slot, made as u32);
                self.count_key_bytes(made, keys);
            }
            self.rows.take_totals(&old, row, made, self.kinds.len());
            if let Some(top) = &mut self.top {
                top.taken_before[made] = taken_before[row];
            }
        }
    }

    /// The ids of a row of other rows, with joined ids of the present ones.
    fn rejoin(&mut self, old: &TableRows, row: usize) -> u64 {
        if self.keys <= 2 {
            return old.ids[row];
        }
        let mut first = old.id(row, 0, self.keys);
        for (at, (index, pairs)) in self.joined.iter_mut().zip(&mut self.rows.joined).enumerate() {
            let pair = u64::from(first) << 32 | u64::from(old.id(row, at + 1, self.keys));
            let (id, is_new) = index.number(pair, 0, pairs.len() as u32);
            if is_new {
                pairs.push(pair);
            }
            first = id;
        }
        u64::from(first) << 32 | u64::from(old.id(row, self.keys - 1, self.keys))
    }
}

impl TableRows {
    /// The rows of a window, without the one for all other keys.
    fn of_window(&self, slot: usize) -> impl Iterator<Item = usize> + '_ {
        let is_of_window = move |row: &usize| self.slots[*row] as usize == slot && self.ids[*row] != OTHERS;
        self.numbers().filter(is_of_window)
    }

    /// The total by which rows are ranked: that of the first measure.
    fn weight(&self, row: usize, kinds: &[MeasureKind]) -> i64 {
        let value = self.value(row, 0, kinds).unwrap_or_default();
        value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Adds the totals of a row to another.
    fn add_row_to(&mut self, row: usize, other: usize, kinds: &[MeasureKind]) {
        for (measure, kind) in kinds.iter().enumerate() {
            let (from, to) = (row * kinds.len() + measure, other * kinds.len() + measure);
            let value = self.value(row, measure, kinds);
            let carried = self.carried.remove(&from);
            let is_real = self.real_sentinels.remove(&from);
            match kind {
                MeasureKind::Count | MeasureKind::Sum => {
                    let (total, is_over) = self.totals[to].overflowing_add(self.totals[from]);
                    if is_over {
                        *self.carried.entry(to).or_default() += i128::from(self.totals[from]);
                    } else {
                        self.totals[to] = total;
                    }
                    if let Some(carried) = carried {
                        *self.carried.entry(to).or_default() += carried;
                    }
                }
                MeasureKind::Min => self.totals[to] = self.totals[to].min(self.totals[from]),
                MeasureKind::Max => self.totals[to] = self.totals[to].max(self.totals[from]),
            }
            if is_real && value.is_some() {
                self.real_sentinels.insert(to);
            }
        }
    }

    /// Takes the totals of a row of other rows for one of these.
    fn take_totals(&mut self, old: &Self, row: usize, made: usize, stride: usize) {
        for measure in 0..stride {
            let (from, to) = (row * stride + measure, made * stride + measure);
            self.totals[to] = old.totals[from];
            if let Some(carried) = old.carried.get(&from) {
                self.carried.insert(to, *carried);
            }
            if old.real_sentinels.contains(&from) {
                self.real_sentinels.insert(to);
            }
        }
    }

    /// Gives the rows of the others the ids of [`OTHER`], by key.
    pub(in crate::aggregate) fn name_others(&mut self, ids: &[u32]) {
        if !self.ids.contains(&OTHERS) {
            return;
        }
        let Some((last, before)) = ids.split_last() else { return };
        let mut named = u64::from(before.first().copied().unwrap_or(0));
        for (pairs, id) in self.joined.iter_mut().zip(before.iter().skip(1)) {
            pairs.push(named << 32 | u64::from(*id));
            named = pairs.len() as u64 - 1;
        }
        let named = named << 32 | u64::from(*last);
        self.ids.iter_mut().filter(|ids| **ids == OTHERS).for_each(|ids| *ids = named);
    }

    /// Takes copies of the texts that the rows use, and gives them ids of their own. `keys` are the dictionaries.
    pub(in crate::aggregate) fn copy_texts(&mut self, keys: &[&Dictionary]) {
        let mut texts = vec![Texts::default(); keys.len()];
        let mut known: Vec<HashMap<u32, u32>> = keys.iter().map(|_| HashMap::new()).collect();
        let mut joined = vec![Vec::new(); self.joined.len()];
        let mut ids = vec![0; self.ids.len()];
        for row in self.numbers() {
            let mut first = 0;
            for (key, dictionary) in keys.iter().enumerate() {
                let id = self.id(row, key, keys.len());
                let id =
                    u64::from(*known[key].entry(id).or_insert_with(|| texts[key].push(dictionary.text(id))));
                first = match key {
                    0 => id,
                    // Each row has joined ids of its own, since nobody looks for a row by them.
                    _ if key + 1 < keys.len() => {
                        joined[key - 1].push(first << 32 | id);
                        joined[key - 1].len() as u64 - 1
                    }
                    _ => first << 32 | id,
                };
            }
            ids[row] = first;
        }
        (self.ids, self.joined) = (ids, joined);
        self.texts = texts.into_iter().map(Arc::new).collect();
    }
}
