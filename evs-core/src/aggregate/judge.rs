//! Decides after a line was read if it is rejected: by a check, or because a statistic that counts it cannot use it.
//!
//! A line counts in all statistics that select it, or in none. So these rejections come before any statistic counts it.

use super::{
    plan::{NumberAt, Plan},
    selection::Selected,
    texts::TextIds,
};
use crate::format::{Columns, Number, Reason, Rejection};

/// By line, the reason why it is rejected. `None` if no line is.
pub(super) fn rejections(
    plan: &Plan,
    texts: &TextIds,
    selected: &[Selected],
    columns: &Columns,
    block: &[u8],
) -> Option<Vec<Option<Rejection>>> {
    let mut reasons: Option<Vec<Option<Rejection>>> = None;
    // The first reason counts.
    let mut reject = |line: usize, reason: Reason| {
        let reasons = reasons.get_or_insert_with(|| vec![None; columns.len()]);
        reasons[line].get_or_insert(Rejection { reason, column: 1 });
    };
    for (name, tree) in &plan.checks {
        let failed = |(line, answer): (usize, &u8)| (*answer == 0).then_some(line);
        for line in selected[*tree].answers.iter().enumerate().filter_map(failed) {
            reject(line, Reason::Check(*name));
        }
    }
    for statistic in &plan.statistics {
        let counts = |line: usize| statistic.only.is_none_or(|tree| selected[tree].answers[line] == 1);
        let is_derived = |text: &usize| *text >= plan.fields.len();
        if plan.limits.have_keys_max() && statistic.keys.iter().any(is_derived) {
            let key = |text: &usize, line: usize| texts.dictionaries[*text].text(texts.ids[*text][line]);
            for line in (0..columns.len()).filter(|line| counts(*line)) {
                if !plan.limits.allow(statistic.keys.iter().map(|text| key(text, line))) {
                    reject(line, Reason::KeyTooLong);
                }
            }
        }
        for number in statistic.numbers.iter().flatten() {
            let (bad, number) = bad_lines(plan, texts, columns, *number);
            if number.is_lenient {
                continue;
            }
            for line in bad.iter().copied().filter(|line| counts(*line)) {
                reject(line, reason_of(texts, columns, block, (number, line)));
            }
        }
    }
    reasons
}

/// The number of values that were left out by lenient measures: once for each number, if a statistic that reads it counts the
/// line.
pub(super) fn bad_values(plan: &Plan, texts: &TextIds, selected: &[Selected], columns: &Columns) -> u64 {
    let of_fields = (0..plan.numbers.len()).map(NumberAt::Field);
    let of_derived = (0..plan.derived_numbers.len()).map(NumberAt::Derived);
    let mut count = 0;
    for at in of_fields.chain(of_derived) {
        let (bad, number) = bad_lines(plan, texts, columns, at);
        if bad.is_empty() || !number.is_lenient {
            continue;
        }
        let users = plan.statistics.iter().filter(|statistic| statistic.numbers.contains(&Some(at)));
        let trees: Vec<_> = users.map(|statistic| statistic.only).collect();
        let counts = |line: &&usize| {
            trees.iter().any(|tree| tree.is_none_or(|tree| selected[tree].answers[**line] == 1))
        };
        count += bad.iter().filter(counts).count() as u64;
    }
    count
}

/// The lines whose value of a number cannot be counted, and the number.
fn bad_lines<'p>(
    plan: &'p Plan,
    texts: &'p TextIds,
    columns: &'p Columns,
    at: NumberAt,
) -> (&'p [usize], &'p Number) {
    match at {
        NumberAt::Field(at) => (&columns.numbers[at].bad, &plan.numbers[at]),
        NumberAt::Derived(at) => (&texts.numbers[at].column.bad, &texts.numbers[at].plan.number),
    }
}

/// The reason why the value of a line is none.
fn reason_of(texts: &TextIds, columns: &Columns, block: &[u8], (number, line): (&Number, usize)) -> Reason {
    let text = match columns.fields.get(number.field) {
        Some(spans) => columns.text(block, spans[line]),
        None => texts.dictionaries[number.field].text(texts.ids[number.field][line]),
    };
    number.reason(text).unwrap_or(Reason::NotANumber)
}
