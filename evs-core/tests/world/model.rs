//! What is right: each line of the log is in each store once, or among the rejected lines.

use std::ops::{Range, RangeInclusive};

use evs_core::{KeyColumn, MeasureColumn, MeasureKind, Rows, Schema, Sink, internals::disk::SimDisk};

use crate::{
    given_up::Counts,
    lines::{Kind, LINE_BYTES_MAX},
    operator::definition_of,
    store::Store,
};

/// All windows.
const WINDOWS: Range<i64> = i64::MIN..i64::MAX;
/// The most differences that a message has.
const SHOWN_MAX: usize = 10;

/// A line of a log, and whether it has to be counted. If it is in a file whose bytes another file begins with, evs may take the
/// one for a copy of the other, as docs/log.md says.
pub type Line = (String, bool);

/// The lines of a log, as they have to be counted.
#[derive(Debug)]
pub struct Expected {
    /// The keys of the lines that count, in order. A key may be there several times.
    pub counted: Vec<Line>,
    /// The lines that do not, in order.
    pub rejected: Vec<Line>,
}

impl Expected {
    /// Sorts the lines of a log in that format.
    pub fn of(kind: Kind, lines: &[Line]) -> Self {
        let (mut counted, mut rejected) = (Vec::new(), Vec::new());
        for (line, is_certain) in lines {
            let kept = &line[..line.len().min(LINE_BYTES_MAX)];
            match kind.key(line).filter(|_| line.len() < LINE_BYTES_MAX) {
                Some(key) => counted.push((key.to_owned(), *is_certain)),
                None => rejected.push((kept.to_owned(), *is_certain)),
            }
        }
        counted.sort_unstable();
        rejected.sort_unstable();
        Self { counted, rejected }
    }

    /// Returns how many lines are counted. A top list does not say which.
    fn count(&self) -> RangeInclusive<i128> {
        let certain = self.counted.iter().filter(|(_, is_certain)| *is_certain).count();
        certain as i128..=self.counted.len() as i128
    }

    /// Compares what a store has of a statistic, and what it lacks because it was given up.
    pub fn compare(&self, what: &str, store: &Store, statistic: &str, given_up: Counts, lines: &[Line]) {
        let mut found = given_up;
        for (key, times) in totals(store, statistic) {
            *found.entry(key).or_default() += times;
        }
        if let (.., Some(_)) = definition_of(statistic) {
            let (right, found) = (self.count(), found.values().sum());
            assert!(right.contains(&found), "{what}: lines in the log: {right:?}, counted: {found}");
            return;
        }
        let found: Vec<_> = found.into_iter().collect();
        let wrong = differences(&self.counted, &found);
        let of_wrong = |(line, _): &&Line| wrong.iter().any(|(key, ..)| line.contains(key));
        let lines: Vec<_> = lines.iter().filter(of_wrong).collect();
        assert!(wrong.is_empty(), "{what}: line, times in the log, times counted: {wrong:?}, in {lines:?}");
    }

    /// Compares what a store has of a statistic that it has for some time only: no line is there more often than in the log.
    pub fn compare_part(&self, what: &str, store: &Store, statistic: &str) {
        let found = totals(store, statistic);
        if let (.., Some(_)) = definition_of(statistic) {
            let (right, found) = (self.count(), found.iter().map(|(_, times)| times).sum::<i128>());
            assert!(found <= *right.end(), "{what}: lines in the log: {right:?}, counted: {found}");
            return;
        }
        let wrong = differences(&self.counted, &found);
        let wrong: Vec<_> = wrong.iter().filter(|(_, times, found)| found > times.end()).collect();
        assert!(wrong.is_empty(), "{what}: line, times in the log, times counted: {wrong:?}");
    }

    /// Compares the rejected lines that were reported, in order. `is_exact` says whether none may be there twice.
    pub fn compare_rejected(&self, what: &str, reported: &[String], is_exact: bool) {
        let groups = reported.chunk_by(|one, other| one == other);
        let found: Vec<_> = groups.map(|group| (group[0].clone(), group.len() as i128)).collect();
        let wrong = differences(&self.rejected, &found);
        let wrong: Vec<_> =
            wrong.iter().filter(|(_, times, found)| is_exact || found < times.start()).collect();
        assert!(wrong.is_empty(), "{what}: rejected line, times in the log, times reported: {wrong:?}");
    }
}

/// Returns what is not found as often as expected, with the right numbers. Both lists are in order.
fn differences<'l>(
    expected: &'l [Line],
    found: &'l [(String, i128)],
) -> Vec<(&'l str, RangeInclusive<i128>, i128)> {
    let mut found = found.iter().map(|(text, times)| (&**text, *times)).peekable();
    let mut wrong = Vec::new();
    for group in expected.chunk_by(|(one, _), (other, _)| one == other) {
        let text = &*group[0].0;
        while let Some((more, times)) = found.next_if(|(next, _)| *next < text) {
            wrong.push((more, 0..=0, times));
        }
        let times = found.next_if(|(next, _)| *next == text).map_or(0, |(_, times)| times);
        let certain = group.iter().filter(|(_, is_certain)| *is_certain).count();
        let right = certain as i128..=group.len() as i128;
        if !right.contains(&times) {
            wrong.push((text, right, times));
        }
    }
    wrong.extend(found.map(|(more, times)| (more, 0..=0, times)));
    wrong.truncate(SHOWN_MAX);
    wrong
}

/// Returns how often a store has counted each key, in order: all lines are in one window. A store that went back may lack the
/// table of a statistic that has no rows.
fn totals(store: &Store, statistic: &str) -> Vec<(String, i128)> {
    let count = MeasureColumn::new("count", MeasureKind::Count, "", 0);
    let (only, key, top) = definition_of(statistic);
    let mut schema = Schema::new(statistic, 60, vec![KeyColumn::new("request_id", key)], vec![count]);
    (schema.only, schema.top) = (only.map(str::to_owned), top);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let rows = runtime.block_on(store.memory().totals(&schema, WINDOWS)).unwrap_or_else(|_| Rows::new(1, 1));
    let mut totals = Vec::new();
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        totals.push((String::from_utf8(row.keys[0].to_vec()).unwrap(), row.values[0].unwrap()));
    }
    totals
}

/// Returns the lines in the file of rejected lines.
pub fn rejected(state: &SimDisk) -> Vec<String> {
    let bytes = state.contents("rejected-0.jsonl").unwrap_or_default();
    let line = |entry: &str| {
        let entry: serde_json::Value = serde_json::from_str(entry).unwrap();
        entry["line"].as_str().unwrap().to_owned()
    };
    let mut lines: Vec<_> = str::from_utf8(&bytes).unwrap().lines().map(line).collect();
    lines.sort_unstable();
    lines
}
