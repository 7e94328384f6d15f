//! Merges the rows of one statistic at a cut. Each worker has its own ids, so rows are merged by the texts of their
//! keys.
//!
//! Rows are not compared by text, though. First the texts that some row uses are sorted, each of them once. Their
//! order gives every id a *rank* that means the same for all workers. Then the rows are sorted by window and ranks,
//! which are two integers. Equal rows of several workers are then adjacent.
//!
//! ```text
//! worker 1   ids of "b" = 0              rows (b, 5)
//! worker 2   ids of "a" = 0, "b" = 1     rows (a, 1), (b, 2)
//! ranks      "a" = 0, "b" = 1            so (worker 1, id 0) and (worker 2, id 1) have rank 1
//! sorted     (rank 0: 1)  (rank 1: 5, 2)
//! merged     a 1, b 7
//! ```
//!
//! Sorting also makes batches equal that hold the same rows, whatever worker had them: a batch has a checksum, and
//! stores insert fastest in the order of their keys.

use std::mem;

use super::{hash::prefetch, table::TableRows, top_list::TopList};
use crate::{batch::Rows, statistic::MeasureKind};

/// The number of rows prefetched at a time. They fit into the nearest cache.
const PREFETCHED: usize = 128;

/// The maximum number of rows in a batch. A store takes a batch as a whole, within the time that a call to it may take.
/// So a batch must be far smaller than what a slow store takes in that time.
const ROWS_MAX: usize = 1 << 17;
/// A batch whose encoded rows have this many bytes gets no further row. The last row may exceed it.
const BYTES_MAX: usize = 16 << 20;

/// Marks a text that no row has used so far. No real rank is this large.
const UNRANKED: u32 = u32::MAX;

/// A sum does not fit 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overflow;

/// A row of one of the parts, with its sort key.
#[derive(Clone, Copy, Debug)]
struct Item {
    /// The start of the window.
    window: i64,
    /// The ranks of the keys: the last one in the lower half, and in the higher half the joint rank of all before it.
    ranks: u64,
    /// The index of the row's part.
    part: u32,
    /// The number of the row in its part.
    row: u32,
}

/// Merges the rows of all parts, sorted by window and keys, into the rows of batches: pieces of [`ROWS_MAX`] rows or
/// [`BYTES_MAX`] bytes.
///
/// Every row of the result has another window or other keys than all rows before it, across all pieces. `keys` is the
/// number of keys of the statistic, and `kinds` the kinds of its measures. With `top`, each window has that many keys at most,
/// and a row for all others.
///
/// # Errors
///
/// Fails if a sum does not fit 128 bits.
pub(crate) fn merge(
    parts: &[TableRows],
    keys: usize,
    kinds: &[MeasureKind],
    top: Option<usize>,
) -> Result<Vec<Rows>, Overflow> {
    let items = sorted(parts, keys);
    let mut pieces = Pieces { whole: Vec::new(), rows: Rows::new(keys, kinds.len()) };
    let mut list = top.map(|keys_max| TopList::new(keys_max, kinds));
    let mut values = Vec::with_capacity(kinds.len());
    let (mut at, mut prefetched) = (0, 0);
    for same in items.chunk_by(|one, other| (one.window, one.ranks) == (other.window, other.ranks)) {
        if at >= prefetched {
            prefetched = items.len().min(at + PREFETCHED);
            prefetch_rows(parts, &items[at..prefetched], keys, kinds);
        }
        at += same.len();
        debug_assert!(
            items.get(at).is_none_or(|next| (same[0].window, same[0].ranks) < (next.window, next.ranks)),
            "rows ascend, each once"
        );
        let value = |item: &Item, measure| parts[item.part as usize].value(item.row as usize, measure, kinds);
        values.clear();
        for (measure, kind) in kinds.iter().enumerate() {
            let mut merged = value(&same[0], measure);
            for item in &same[1..] {
                merged = kind.merge(merged, value(item, measure)).ok_or(Overflow)?;
            }
            values.push(merged);
        }
        let part = &parts[same[0].part as usize];
        let row = same[0].row as usize;
        let texts = (0..keys).map(|key| part.texts[key].get(part.id(row, key, keys)));
        match &mut list {
            None => pieces.push(same[0].window, texts, &values),
            Some(list) => {
                if list.window() != Some(same[0].window) {
                    list.finish(&mut pieces)?;
                }
                list.add(same[0].window, texts.collect(), values.clone());
            }
        }
    }
    list.iter_mut().try_for_each(|list| list.finish(&mut pieces))?;
    if !pieces.rows.is_empty() {
        pieces.whole.push(pieces.rows);
    }
    Ok(pieces.whole)
}

/// The rows of batches.
pub(super) struct Pieces {
    whole: Vec<Rows>,
    /// The last piece, which has room.
    rows: Rows,
}

impl Pieces {
    /// Appends a row.
    pub(super) fn push<'t>(
        &mut self,
        window: i64,
        keys: impl IntoIterator<Item = &'t [u8]>,
        values: &[Option<i128>],
    ) {
        if self.rows.len() == ROWS_MAX || self.rows.as_bytes().len() >= BYTES_MAX {
            let empty = Rows::new(self.rows.key_columns(), values.len());
            self.whole.push(mem::replace(&mut self.rows, empty));
        }
        self.rows.push(window, keys, values);
    }
}

/// Prefetches the memory that is about to be read of these rows. They are scattered over their tables.
fn prefetch_rows(parts: &[TableRows], items: &[Item], keys: usize, kinds: &[MeasureKind]) {
    prefetch(items.iter().map(|item| parts[item.part as usize].load(item.row as usize, kinds)));
    for key in 0..keys {
        prefetch(items.iter().map(|item| {
            let part = &parts[item.part as usize];
            let text = part.texts[key].get(part.id(item.row as usize, key, keys));
            text.first().copied().unwrap_or_default()
        }));
    }
}

/// The rows of all parts, sorted by window and keys.
///
/// With up to two keys, the ranks of a row fit one word. With more, the ranks so far are made one rank before each
/// further key: the sort then always compares a window and one word.
fn sorted(parts: &[TableRows], keys: usize) -> Vec<Item> {
    let mut items = Vec::with_capacity(parts.iter().map(TableRows::len).sum());
    for (at, part) in parts.iter().enumerate() {
        items.extend(part.numbers().map(|row| Item {
            window: part.windows[part.slots[row] as usize],
            ranks: 0,
            part: at as u32,
            row: row as u32,
        }));
    }
    for key in 0..keys {
        // Makes the ranks so far one rank, which then moves into the higher half.
        if key > 1 {
            join_ranks(&mut items);
        }
        let ranks = ranks(parts, &items, key, keys);
        for item in &mut items {
            let part = item.part as usize;
            let id = parts[part].id(item.row as usize, key, keys);
            item.ranks = item.ranks << 32 | u64::from(ranks[part][id as usize]);
        }
    }
    items.sort_unstable_by_key(|item| (item.window, item.ranks));
    items
}

/// By part and id, the rank of the text among all texts that some item uses.
fn ranks(parts: &[TableRows], items: &[Item], key: usize, keys: usize) -> Vec<Vec<u32>> {
    let mut ranks: Vec<Vec<u32>> = parts.iter().map(|part| vec![UNRANKED; part.texts[key].len()]).collect();
    let mut used = Vec::new();
    for item in items {
        let part = &parts[item.part as usize];
        let id = part.id(item.row as usize, key, keys);
        let rank = &mut ranks[item.part as usize][id as usize];
        if *rank == UNRANKED {
            *rank = 0;
            used.push((part.texts[key].get(id), item.part, id));
        }
    }
    used.sort_unstable();
    for (rank, same) in used.chunk_by(|one, other| one.0 == other.0).enumerate() {
        debug_assert!(rank < UNRANKED as usize);
        for (_, part, id) in same {
            // There are no more texts than rows, and the row limit is far below 2^32.
            ranks[*part as usize][*id as usize] = rank as u32;
        }
    }
    ranks
}

/// Replaces the ranks of two keys by the rank of the pair among all such pairs.
///
/// The pairs (0, 3), (2, 1) and (2, 5), for example, become 0, 1 and 2. Their order is kept.
fn join_ranks(items: &mut [Item]) {
    let mut pairs: Vec<u64> = items.iter().map(|item| item.ranks).collect();
    pairs.sort_unstable();
    pairs.dedup();
    for item in items {
        item.ranks = pairs.partition_point(|pair| *pair < item.ranks) as u64;
    }
}
