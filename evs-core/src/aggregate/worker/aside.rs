//! Rows that are put aside before a cut, because a dictionary of their keys is full and is reset.

use super::{
    super::{
        plan::StatisticPlan,
        table::{OTHER, TableRows},
    },
    Worker,
};

impl Worker {
    /// Takes all rows of a statistic, with the texts of their keys.
    pub(super) fn take_rows(&mut self, statistic: usize) -> Vec<TableRows> {
        self.put_rows_aside(statistic);
        std::mem::take(&mut self.rows_aside[statistic])
    }

    /// Puts the rows of a statistic aside, with the texts of their keys.
    ///
    /// The texts are shared, not copied per row: all statistics that use a field put aside the same copy of its
    /// dictionary.
    fn put_rows_aside(&mut self, statistic: usize) {
        if self.tables[statistic].len() == 0 {
            return;
        }
        let mut rows = self.take_table(statistic);
        let keys = &self.plan.statistics[statistic].keys;
        rows.texts = keys.iter().map(|&text| self.texts.dictionaries[text].share()).collect();
        self.rows_aside[statistic].push(rows);
    }

    /// Puts the best rows of a top list aside, with copies of their texts: before the next cut there may be as many such lists
    /// as there are dictionaries full of keys.
    fn put_top_aside(&mut self, statistic: usize) {
        if self.tables[statistic].len() == 0 {
            return;
        }
        let keys = &self.plan.statistics[statistic].keys;
        let ids: Vec<_> = keys.iter().map(|&text| (&self.texts.dictionaries[text], &[][..])).collect();
        self.tables[statistic].keep_top(&ids);
        let mut rows = self.take_table(statistic);
        let keys = &self.plan.statistics[statistic].keys;
        let dictionaries: Vec<_> = keys.iter().map(|&text| &self.texts.dictionaries[text]).collect();
        rows.copy_texts(&dictionaries);
        self.rows_aside[statistic].push(rows);
    }

    /// Takes the rows out of a table. The row for all other keys of a top list gets ids, like any other row.
    fn take_table(&mut self, statistic: usize) -> TableRows {
        let StatisticPlan { keys, top, .. } = &self.plan.statistics[statistic];
        let mut rows = self.tables[statistic].take();
        if top.is_some() {
            let others: Vec<u32> = keys.iter().map(|&text| self.texts.dictionaries[text].id(OTHER)).collect();
            rows.name_others(&others);
        }
        rows
    }

    /// Resets a dictionary. Rows that have ids of it are put aside first.
    #[cold]
    pub(super) fn put_aside_and_reset(&mut self, text: usize) {
        for at in 0..self.tables.len() {
            let StatisticPlan { keys, top, .. } = &self.plan.statistics[at];
            if keys.contains(&text) && top.is_some() {
                self.put_top_aside(at);
            } else if keys.contains(&text) {
                self.put_rows_aside(at);
            }
        }
        self.reset_dictionary(text);
    }

    /// Resets a dictionary whose ids no row in a table uses.
    pub(super) fn reset_dictionary(&mut self, text: usize) {
        self.texts.reset(text);
        self.selections.forget(text);
        for at in 0..self.tables.len() {
            if self.plan.statistics[at].keys.contains(&text) {
                // The table may remember old ids, by which it finds rows.
                self.tables[at].forget();
            }
        }
    }
}
