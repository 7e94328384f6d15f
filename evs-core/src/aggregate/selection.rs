//! Which of some lines each statistic counts.
//!
//! A condition is a tree whose leaves are questions about as few texts as possible, mostly one. A leaf is answered for all
//! lines by its [`Memo`], and the answers are joined as bytes, line by line:
//!
//! ```text
//! status >= 500              0 0 1 0 1
//! uri starts_with "/api/"    1 0 1 1 0
//! and                        0 0 1 0 0   ->  lines [2]
//! ```
//!
//! Statistics with the same condition share the result, and so do conditions with the same leaf.

use xxhash_rust::xxh3::xxh3_64;

use super::{
    dictionary::Dictionary,
    memo::Memo,
    plan::{Leaf, Plan, Question, Tree},
};
use crate::format::Conventions;

/// The lines for which a condition is true.
#[derive(Clone, Debug, Default)]
pub(super) struct Selected {
    /// By line, 1 if the condition is true and 0 if not.
    pub(super) answers: Vec<u8>,
    /// The numbers of the lines for which it is true, in order.
    pub(super) lines: Vec<u32>,
}

impl Selected {
    /// True if the condition is true for all lines.
    pub(super) fn is_all(&self) -> bool {
        self.lines.len() == self.answers.len()
    }
}

/// The conditions of a plan.
#[derive(Clone, Debug)]
pub(super) struct Selections {
    leaves: Vec<Leaf>,
    trees: Vec<Tree>,
    rates: Vec<u32>,
    conventions: Conventions,
    /// By leaf, its known answers.
    memos: Vec<Memo<u8>>,
    /// By leaf, the answers for the lines.
    // Used again for every block of lines:
    answers: Vec<Vec<u8>>,
    /// By rate, the lines of the sample.
    sampled: Vec<Vec<u8>>,
    /// By tree, its lines.
    pub(super) selected: Vec<Selected>,
    spare: Vec<Vec<u8>>,
}

impl Selections {
    pub(super) fn new(plan: &Plan, conventions: Conventions) -> Self {
        let Plan { leaves, trees, rates, .. } = plan.clone();
        Self {
            sampled: vec![Vec::new(); rates.len()],
            rates,
            memos: leaves.iter().map(|leaf| Memo::new(leaf.inputs.texts.len())).collect(),
            answers: vec![Vec::new(); leaves.len()],
            selected: vec![Selected::default(); trees.len()],
            spare: Vec::new(),
            leaves,
            trees,
            conventions,
        }
    }

    /// Forgets the answers that depend on a text, whose dictionary was reset.
    pub(super) fn forget(&mut self, text: usize) {
        for (leaf, memo) in self.leaves.iter().zip(&mut self.memos) {
            if leaf.inputs.texts.contains(&text) {
                memo.forget();
            }
        }
    }

    /// Finds the lines for which each condition is true. `ids` has the ids of each text, and `position` tells the offset of a
    /// line in its file.
    pub(super) fn find(
        &mut self,
        dictionaries: &[Dictionary],
        ids: &[Vec<u32>],
        lines: usize,
        position: impl Fn(usize) -> u64,
    ) {
        let mut inputs = Vec::new();
        for ((leaf, memo), answers) in self.leaves.iter().zip(&mut self.memos).zip(&mut self.answers) {
            inputs.clear();
            inputs.extend(leaf.inputs.texts.iter().map(|text| (&dictionaries[*text], &ids[*text][..])));
            let answer = |texts: &[&[u8]]| u8::from(leaf.holds(texts, self.conventions));
            memo.find(&inputs, lines, answer, answers);
        }
        for (rate, sampled) in self.rates.iter().zip(&mut self.sampled) {
            sampled.clear();
            sampled.extend((0..lines).map(|line| u8::from(is_one_in(*rate, &position(line).to_le_bytes()))));
        }
        for (tree, selected) in self.trees.iter().zip(&mut self.selected) {
            answer(tree, (&self.answers, &self.sampled), &mut selected.answers, &mut self.spare);
            numbers_of(&selected.answers, &mut selected.lines);
        }
    }
}

/// Joins the answers of the leaves of a tree.
fn answer(tree: &Tree, leaves: (&[Vec<u8>], &[Vec<u8>]), result: &mut Vec<u8>, spare: &mut Vec<Vec<u8>>) {
    match tree {
        Tree::Leaf(leaf) => result.clone_from(&leaves.0[*leaf]),
        Tree::Position(rate) => result.clone_from(&leaves.1[*rate]),
        Tree::Not(inner) => {
            answer(inner, leaves, result, spare);
            result.iter_mut().for_each(|answer| *answer ^= 1);
        }
        Tree::All(trees) | Tree::Any(trees) => {
            let Some((first, others)) = trees.split_first() else { return };
            answer(first, leaves, result, spare);
            let mut next = spare.pop().unwrap_or_default();
            let is_all = matches!(tree, Tree::All(_));
            for other in others {
                answer(other, leaves, &mut next, spare);
                let pairs = result.iter_mut().zip(&next);
                if is_all {
                    pairs.for_each(|(answer, next)| *answer &= next);
                } else {
                    pairs.for_each(|(answer, next)| *answer |= next);
                }
            }
            spare.push(next);
        }
    }
}

/// Finds the numbers of the lines whose answer is 1.
pub(super) fn numbers_of(answers: &[u8], lines: &mut Vec<u32>) {
    lines.clear();
    // Each line is written, and stays if it is selected: a loop without a branch.
    lines.resize(answers.len(), 0);
    let mut len = 0;
    for (line, answer) in answers.iter().enumerate() {
        lines[len] = line as u32;
        len += usize::from(*answer);
    }
    lines.truncate(len);
}

/// True for one text in `rate`, by a hash that never changes: a line that is read again is judged the same.
pub(super) fn is_one_in(rate: u32, text: &[u8]) -> bool {
    xxh3_64(text).is_multiple_of(u64::from(rate.max(1)))
}

impl Leaf {
    /// The answer for these texts.
    fn holds(&self, texts: &[&[u8]], conventions: Conventions) -> bool {
        match &self.question {
            Question::Test(test) => test.holds(&self.inputs.names, texts, conventions),
            Question::OneIn(rate, value) => {
                let mut text = Vec::new();
                value.write(&self.inputs.names, texts, &mut text);
                is_one_in(*rate, &text)
            }
        }
    }
}
