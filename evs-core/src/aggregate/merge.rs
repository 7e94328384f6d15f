//! Merging the rows of one statistic at a cut. Each worker has ids of its own, so rows are merged by text.
//!
//! No row's texts are compared: first the texts of all parts that some row uses are sorted, once each, which gives
//! every id a rank that means the same in all parts; then the rows are sorted by window and ranks, which are two
//! integers. Equal rows of several parts then stand beside each other.

use std::mem;

use super::{hash::touch, table::TableRows};
use crate::{batch::Rows, statistic::MeasureKind};

/// How many rows are touched at a time: as many as find room in the nearest cache.
const TOUCHED: usize = 128;

/// How many rows a batch has at most. A store takes a batch as a whole, within the time that a call to it may take, so
/// a batch is to be far smaller than what a slow store takes in that time.
const ROWS_MAX: usize = 1 << 17;
/// A batch whose encoded rows are as long as this gets no further row. The last row may take it beyond.
const BYTES_MAX: usize = 16 << 20;

/// Stands for the rank of a text that no item uses, as far as they have been looked at. There are fewer ranks.
const UNRANKED: u32 = u32::MAX;

/// A sum did not fit 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overflow;

/// A row of one of the parts, and what it is sorted by.
#[derive(Clone, Copy, Debug)]
struct Item {
    window: i64,
    /// The ranks of the keys: the first one, or what several are joined to, in the higher half.
    ranks: u64,
    part: u32,
    row: u32,
}

/// The rows of all parts by window and keys, as batches carry them: in pieces of [`ROWS_MAX`] rows or [`BYTES_MAX`].
pub(crate) fn merge(parts: &[TableRows], keys: usize, kinds: &[MeasureKind]) -> Result<Vec<Rows>, Overflow> {
    let items = sorted(parts, keys);
    let mut pieces = Vec::new();
    let mut rows = Rows::new(keys, kinds.len());
    let mut values = Vec::with_capacity(kinds.len());
    let (mut at, mut touched) = (0, 0);
    for same in items.chunk_by(|one, other| (one.window, one.ranks) == (other.window, other.ranks)) {
        if at >= touched {
            touched = items.len().min(at + TOUCHED);
            touch_rows(parts, &items[at..touched], keys, kinds);
        }
        at += same.len();
        let value = |item: &Item, measure| parts[item.part as usize].value(item.row as usize, measure, kinds);
        values.clear();
        for (measure, kind) in kinds.iter().enumerate() {
            let mut merged = value(&same[0], measure);
            for item in &same[1..] {
                merged = kind.merge(merged, value(item, measure)).ok_or(Overflow)?;
            }
            values.push(merged);
        }
        if rows.len() == ROWS_MAX || rows.as_bytes().len() >= BYTES_MAX {
            pieces.push(mem::replace(&mut rows, Rows::new(keys, kinds.len())));
        }
        let part = &parts[same[0].part as usize];
        let row = same[0].row as usize;
        let texts = (0..keys).map(|key| part.texts[key].get(part.id(row, key, keys)));
        rows.push(same[0].window, texts, &values);
    }
    if !rows.is_empty() {
        pieces.push(rows);
    }
    Ok(pieces)
}

/// Touches what is about to be read of rows, which are all over their tables.
fn touch_rows(parts: &[TableRows], items: &[Item], keys: usize, kinds: &[MeasureKind]) {
    touch(items.iter().map(|item| parts[item.part as usize].load(item.row as usize, kinds)));
    for key in 0..keys {
        touch(items.iter().map(|item| {
            let part = &parts[item.part as usize];
            let text = part.texts[key].get(part.id(item.row as usize, key, keys));
            text.first().copied().unwrap_or_default()
        }));
    }
}

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
        // What is there so far goes into the higher half.
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

/// By part and id, the rank that the text has among all those that some item uses.
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
        for (_, part, id) in same {
            // There are fewer texts than rows, and the row limit lies far below 2^32.
            ranks[*part as usize][*id as usize] = rank as u32;
        }
    }
    ranks
}

/// Replaces the ranks of two keys by their rank among all such pairs.
fn join_ranks(items: &mut [Item]) {
    let mut pairs: Vec<u64> = items.iter().map(|item| item.ranks).collect();
    pairs.sort_unstable();
    pairs.dedup();
    for item in items {
        item.ranks = pairs.partition_point(|pair| *pair < item.ranks) as u64;
    }
}
