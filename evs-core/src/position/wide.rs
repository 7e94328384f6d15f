//! The positions of a source that follows many logs.
//!
//! With a thousand logs, the JSON of a position is 400 KB. It must not be in each batch of each statistic, nor in each sink.
//! So the binlog gives such a position a number, and writes once per commit how it differs from an earlier one (a
//! [`Move`]); batches, statistics and sinks only have the number.
//!
//! ```text
//! move      position 8 is position 7, with file 12 at byte 4,096
//! batch     requests 31, up to position 8
//! batch     errors 4, up to position 8
//! settle    the ledger stands at position 8
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::frontier::{FileMark, Frontier};

/// The most files of a position that is written as a whole. The positions of a few logs are adopted from the sinks, if the
/// state directory is lost.
const NARROW_MAX: usize = 16;

/// A position by its difference from an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Move {
    /// The number of the position.
    pub(crate) position: u64,
    /// The number of the earlier one; `None` if it is the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<u64>,
    /// The numbers of the files that are in the earlier one alone.
    pub(crate) removed: Vec<u64>,
    /// The files that are new, or have changed.
    pub(crate) files: Vec<FileMark>,
}

/// Returns whether a position is given a number. That of a source of one log never is: its JSON stays as it was.
pub(crate) fn is_wide(frontier: &Frontier) -> bool {
    frontier.files.len() > NARROW_MAX && frontier.files.iter().any(|mark| mark.log.is_some())
}

impl Move {
    /// Describes the way from `base` to `to`, which gets the number `position`.
    pub(crate) fn between(base: Option<&Frontier>, to: &Frontier, position: u64) -> Self {
        let base = base.filter(|base| base.position.is_some());
        let before: BTreeMap<u64, &FileMark> =
            base.iter().flat_map(|base| &base.files).map(|mark| (mark.number, mark)).collect();
        let is_new = |mark: &&FileMark| before.get(&mark.number) != Some(mark);
        let files: Vec<FileMark> = to.files.iter().filter(is_new).cloned().collect();
        let is_there = |number: &u64| to.files.binary_search_by_key(number, |mark| mark.number).is_ok();
        let removed = before.keys().copied().filter(|number| !is_there(number)).collect();
        Self { position, base: base.and_then(|base| base.position), removed, files }
    }

    /// Returns the position. `base` is the earlier one.
    pub(crate) fn apply(&self, base: Option<&Frontier>) -> Frontier {
        let mut marks: BTreeMap<u64, FileMark> =
            base.iter().flat_map(|base| &base.files).map(|mark| (mark.number, mark.clone())).collect();
        self.removed.iter().for_each(|number| drop(marks.remove(number)));
        marks.extend(self.files.iter().map(|mark| (mark.number, mark.clone())));
        Frontier { position: Some(self.position), ..Frontier::new(marks.into_values().collect()) }
    }
}
