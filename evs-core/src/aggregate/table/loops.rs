//! The loops that add the measures of some lines to the totals of their rows.

use ahash::HashMap;

use super::TableRows;
use crate::format::NumberColumn;

/// Counts the lines of each row.
pub(super) fn count(totals: &mut [i64], row_of: &[u32], stride: usize, measure: usize) {
    for row in row_of {
        totals[*row as usize * stride + measure] += 1;
    }
}

/// Adds the values to their rows. With `IS_COUNTED`, also counts the lines in the measure before.
///
/// If many lines go to one row, each addition waits for the one before. Two such chains of additions take no longer
/// than one, so counting comes for free.
pub(super) fn sum<const IS_COUNTED: bool>(
    rows: &mut TableRows,
    row_of: &[u32],
    stride: usize,
    measure: usize,
    numbers: &NumberColumn,
) {
    let (totals, carried) = (&mut rows.totals[..], &mut rows.carried);
    // An absent value is 0, so it need not be skipped.
    for (row, value) in row_of.iter().zip(&numbers.values) {
        let cell = *row as usize * stride + measure;
        if IS_COUNTED {
            totals[cell - 1] += 1;
        }
        let total = &mut totals[cell];
        match total.checked_add(*value) {
            Some(sum) => *total = sum,
            None => carry(carried, cell, total, *value),
        }
    }
    for (line, rest) in &numbers.wide {
        // Nor can this: such values have at most 94 bits.
        *carried.entry(row_of[*line] as usize * stride + measure).or_default() += rest;
    }
}

/// Carries a total into `carried`, and starts it over with `value`.
#[cold]
fn carry(carried: &mut HashMap<usize, i128>, cell: usize, total: &mut i64, value: i64) {
    // This cannot overflow: 128 bits hold the sum of 2^64 values of 64 bits, more than any disk has lines.
    *carried.entry(cell).or_default() += i128::from(std::mem::replace(total, value));
}

/// Chooses between the values of the lines and of their rows. `none` is the total without a value.
///
/// A value that happens to be `none` itself is noted in a set, so that the row is not taken for one without values.
pub(super) fn extreme(
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
            rows.real_sentinels.insert(cell);
        }
        let total = &mut rows.totals[cell];
        *total = choose(*total, *value);
    }
}
