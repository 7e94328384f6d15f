//! The lines of a block that a condition selects, taken out of its columns.

use super::{super::windows::Windows, KeyIds};
use crate::format::NumberColumn;

/// The lines that a statistic counts.
#[derive(Clone, Copy, Debug)]
pub(in crate::aggregate) enum Lines<'l> {
    All,
    /// The lines of these numbers, in order.
    Some(&'l [u32]),
}

/// The values of the lines that a condition selects, one after the other.
#[derive(Debug, Default)]
pub(super) struct SelectedLines {
    pub(super) windows: Vec<u32>,
    /// By key, the ids.
    pub(super) ids: Vec<Vec<u32>>,
    /// By measure, the numbers.
    pub(super) numbers: Vec<NumberColumn>,
}

impl SelectedLines {
    /// Takes the values of these lines.
    pub(super) fn take(
        &mut self,
        lines: &[u32],
        windows: &Windows,
        keys: &KeyIds<'_>,
        numbers: &[Option<&NumberColumn>],
    ) {
        let of_lines = |values: &[u32], taken: &mut Vec<u32>| {
            taken.clear();
            taken.extend(lines.iter().map(|line| values[*line as usize]));
        };
        of_lines(&windows.of_lines, &mut self.windows);
        self.ids.resize_with(keys.len(), Vec::new);
        for ((_, ids), taken) in keys.iter().zip(&mut self.ids) {
            of_lines(ids, taken);
        }
        self.numbers.resize_with(numbers.len(), NumberColumn::default);
        for (column, taken) in numbers.iter().zip(&mut self.numbers) {
            column.iter().for_each(|column| column.select(lines, taken));
        }
    }
}
