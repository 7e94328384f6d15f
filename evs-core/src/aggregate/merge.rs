//! Merging the rows of one statistic at a cut. Each worker has ids of its own, so rows are merged by text.
//!
//! No row's texts are compared: first the texts of all parts that some row uses are sorted, once each, which gives
//! every id a rank that means the same in all parts; then the rows are sorted by window and ranks, which are two
//! integers. Equal rows of several parts then stand beside each other.

use super::table::TableRows;
use crate::{batch::Rows, statistic::MeasureKind};

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

/// The rows of all parts by window and keys, as a batch carries them.
pub(crate) fn merge(parts: &[TableRows], keys: usize, kinds: &[MeasureKind]) -> Result<Rows, Overflow> {
    let items = sorted(parts, keys);
    let mut rows = Rows::new(keys, kinds.len());
    let (mut ids, mut values) = (Vec::with_capacity(keys), Vec::with_capacity(kinds.len()));
    for same in items.chunk_by(|one, other| (one.window, one.ranks) == (other.window, other.ranks)) {
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
        part.keys(same[0].row as usize, keys, &mut ids);
        let texts = part.texts.iter().zip(&ids).map(|(texts, id)| texts.get(*id));
        rows.push(same[0].window, texts, &values);
    }
    Ok(rows)
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
    let mut ids = Vec::new();
    for key in 0..keys {
        // What is there so far goes into the higher half.
        if key > 1 {
            join_ranks(&mut items);
        }
        let ranks = ranks(parts, &items, key, keys);
        for item in &mut items {
            let part = item.part as usize;
            parts[part].keys(item.row as usize, keys, &mut ids);
            item.ranks = item.ranks << 32 | u64::from(ranks[part][ids[key] as usize]);
        }
    }
    items.sort_unstable_by_key(|item| (item.window, item.ranks));
    items
}

/// By part and id, the rank that the text has among all those that some item uses.
fn ranks(parts: &[TableRows], items: &[Item], key: usize, keys: usize) -> Vec<Vec<u32>> {
    let mut ranks: Vec<Vec<u32>> = parts.iter().map(|part| vec![0; part.texts[key].len()]).collect();
    let mut used = Vec::new();
    let mut ids = Vec::new();
    for item in items {
        parts[item.part as usize].keys(item.row as usize, keys, &mut ids);
        let rank = &mut ranks[item.part as usize][ids[key] as usize];
        if *rank == 0 {
            *rank = 1;
            used.push((parts[item.part as usize].texts[key].get(ids[key]), item.part, ids[key]));
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
