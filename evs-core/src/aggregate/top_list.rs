//! The rows of one window of a top list: the best keys, and one row for all others.

use super::{
    merge::{Overflow, Pieces},
    table::OTHER,
};
use crate::statistic::MeasureKind;

/// The merged rows of a window, of which the best are kept.
pub(super) struct TopList<'t> {
    keys_max: usize,
    kinds: &'t [MeasureKind],
    window: i64,
    /// The rows, in the order of their keys.
    rows: Vec<Row<'t>>,
}

/// The keys and values of a row.
type Row<'t> = (Vec<&'t [u8]>, Vec<Option<i128>>);

impl<'t> TopList<'t> {
    pub(super) fn new(keys_max: usize, kinds: &'t [MeasureKind]) -> Self {
        Self { keys_max, kinds, window: 0, rows: Vec::new() }
    }

    /// The window of the rows, if there are any.
    pub(super) fn window(&self) -> Option<i64> {
        (!self.rows.is_empty()).then_some(self.window)
    }

    /// Adds a row of the window.
    pub(super) fn add(&mut self, window: i64, keys: Vec<&'t [u8]>, values: Vec<Option<i128>>) {
        self.window = window;
        self.rows.push((keys, values));
    }

    /// Writes the best rows and the one for all others, and starts over.
    pub(super) fn finish(&mut self, pieces: &mut Pieces) -> Result<(), Overflow> {
        let mut rows = std::mem::take(&mut self.rows);
        let is_other = |(keys, _): &Row<'t>| keys.iter().all(|key| *key == OTHER);
        let other = rows.iter().position(is_other).map(|at| rows.remove(at));
        if rows.len() > self.keys_max {
            let mut ranked: Vec<usize> = (0..rows.len()).collect();
            // Of equal totals, the first key in order is shown: all workers and restarts choose the same.
            ranked.sort_by_key(|at| (std::cmp::Reverse(rows[*at].1.first().copied().flatten()), *at));
            let mut is_kept = vec![false; rows.len()];
            ranked[..self.keys_max].iter().for_each(|at| is_kept[*at] = true);
            let keys = rows[0].0.iter().map(|_| OTHER).collect();
            let mut other = other.unwrap_or_else(|| (keys, Vec::new()));
            let mut kept = Vec::with_capacity(self.keys_max + 1);
            for (row, is_kept) in rows.into_iter().zip(is_kept) {
                if is_kept {
                    kept.push(row);
                } else {
                    self.merge(&mut other.1, &row.1)?;
                }
            }
            rows = kept;
            insert(&mut rows, other);
        } else {
            other.into_iter().for_each(|other| insert(&mut rows, other));
        }
        for (keys, values) in rows {
            pieces.push(self.window, keys, &values);
        }
        Ok(())
    }

    /// Merges the values of a row into others. There may be none yet.
    fn merge(&self, values: &mut Vec<Option<i128>>, row: &[Option<i128>]) -> Result<(), Overflow> {
        if values.is_empty() {
            values.extend_from_slice(row);
            return Ok(());
        }
        for ((value, other), kind) in values.iter_mut().zip(row).zip(self.kinds) {
            *value = kind.merge(*value, *other).ok_or(Overflow)?;
        }
        Ok(())
    }
}

/// Inserts a row in the order of keys.
fn insert<'t>(rows: &mut Vec<Row<'t>>, row: Row<'t>) {
    let at = rows.partition_point(|(keys, _)| *keys < row.0);
    rows.insert(at, row);
}
