//! The batches whose stretch of the log has a byte.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use evs_core::{
    Frontier,
    inspect::{Facts, Found as Item, Frame, Part, StateDir},
};
use serde::Serialize;

use super::line::Read;
use crate::cli::{
    Failure,
    state::{self, position},
};

/// A stretch of the log that one cut has counted.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Stretch {
    /// The sequence of the first batch of the cut; 0 if it had no rows.
    pub(super) first: u64,
    /// The sequence of the last one.
    pub(super) last: u64,
    /// The rows of all of them.
    pub(super) rows: u64,
    /// The position before the cut, in words.
    pub(super) from: String,
    /// The position after it, in words.
    pub(super) to: String,
}

/// The result of the search in one statistic.
#[derive(Default)]
pub(super) struct Found {
    pub(super) stretch: Option<Stretch>,
    pub(super) read: Option<Read>,
}

/// A cut that is being read: it may have several batches.
struct Cut {
    first: u64,
    rows: u64,
    from: Arc<Frontier>,
}

/// The search in one statistic.
#[derive(Default)]
struct Search {
    found: Found,
    /// The batches of a cut before its last one.
    cut: Option<Cut>,
    /// The position of the statistic, if it is known.
    stands_at: Option<Arc<Frontier>>,
    /// The stretch in the commit that is being read. It counts when the end of the commit is found.
    open: Option<Stretch>,
}

/// Finds the stretch with the byte `offset` of file `number` for each of the statistics.
pub(super) fn find(
    directory: &StateDir,
    place: (u64, u64),
    reads: Vec<(String, Option<Read>)>,
) -> Result<Vec<(String, Found)>, Failure> {
    let search = |read| Search { found: Found { read, ..Found::default() }, ..Search::default() };
    let mut all: BTreeMap<String, Search> =
        reads.into_iter().map(|(name, read)| (name, search(read))).collect();
    state::read(directory, Part::All, |found| {
        match found {
            Item::Frame(frame) => {
                match (frame.facts.statistic().and_then(|name| all.get_mut(name)), &frame.facts) {
                    (Some(search), _) => search.frame(frame, place),
                    (None, Facts::Settle { .. }) => all.values_mut().for_each(Search::settle),
                    _ => {}
                }
            }
            // Frames after damage do not continue the cut before it.
            Item::Problem(_) => all.values_mut().for_each(Search::interrupt),
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(all.into_iter().map(|(name, search)| (name, search.found)).collect())
}

impl Search {
    fn frame(&mut self, frame: &Frame<'_>, (number, offset): (u64, u64)) {
        let covers = |frontier: &Frontier| frontier.covers(number, offset + 1);
        match &frame.facts {
            Facts::Batch { sequence, rows, from, to, .. } => {
                let cut = self.cut.take();
                let cut = cut.unwrap_or_else(|| Cut { first: *sequence, rows: 0, from: Arc::clone(from) });
                let cut = Cut { rows: cut.rows + rows, ..cut };
                if to.files.is_empty() && !to.is_number() {
                    self.cut = Some(cut);
                    return;
                }
                // The rest of a cut whose beginning is gone says nothing about the position before it.
                let is_whole = !cut.from.files.is_empty() || cut.first == 1;
                if is_whole && covers(to) && !covers(&cut.from) {
                    let Cut { first, rows, ref from } = cut;
                    let (from, to) = (position(from), position(to));
                    self.open = Some(Stretch { first, last: *sequence, rows, from, to });
                    if first == *sequence
                        && let Some(read) = &mut self.found.read
                    {
                        read.look_up(frame);
                    }
                }
                self.stands_at = Some(Arc::clone(to));
            }
            Facts::Advance { to, .. } => {
                if let Some(from) = self.stands_at.as_deref().filter(|from| covers(to) && !covers(from)) {
                    let (from, to) = (position(from), position(to));
                    self.open = Some(Stretch { first: 0, last: 0, rows: 0, from, to });
                }
                self.stands_at = Some(Arc::clone(to));
            }
            Facts::Define { from, .. } => self.stands_at = Some(Arc::clone(from)),
            _ => {}
        }
    }

    fn settle(&mut self) {
        // A byte is counted once; a position that went back is that of a file that was read again.
        if let Some(stretch) = self.open.take() {
            self.found.stretch = Some(stretch);
        }
    }

    fn interrupt(&mut self) {
        (self.cut, self.stands_at, self.open) = (None, None, None);
    }
}
