//! The number of a file within its source, by its bytes.

use std::{collections::BTreeMap, ops::ControlFlow};

use evs_core::{
    FileMark, Frontier,
    inspect::{Facts, FileMatch, Found, LogFile, Part, Standing as KnownAs, State, StateDir},
};
use serde::Serialize;

use crate::cli::{Failure, state};

/// The knowledge of evs about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Standing {
    /// It is open: the position of the source is in it.
    Open,
    /// It was read to its end, and batches in the binlog are about it.
    Known,
    /// It was read to its end, before the oldest batch that the binlog has.
    Finished,
    /// It was seen, and nothing of it was read.
    Unread,
    /// It is older than the source, and is never read.
    Foreign,
    /// The byte lies before the place at which reading of the file began.
    BeforeStart,
    /// Nothing in the state directory has these bytes.
    Unknown,
}

impl Standing {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Open => "the source stands in it",
            Self::Known => "read to its end",
            Self::Finished => {
                "read to its end, before the oldest batch that the binlog has: every sink has what it counted, and the batches \
                 were removed, so that nobody can tell which ones they were"
            }
            Self::Unread => "known, and not read yet",
            Self::Foreign => "older than the source: it is never read",
            Self::BeforeStart => {
                "the byte is before the place at which reading of the file began, so it was not counted"
            }
            Self::Unknown => {
                "unknown: not read yet, or of another log, or read so long ago that evs has forgotten it after it was removed"
            }
        }
    }
}

/// Finds the number of a file. The file is the one with the bytes that some position remembers.
pub(super) fn find(
    directory: &StateDir,
    state: &State,
    file: &LogFile,
    offset: u64,
) -> Result<(Option<u64>, Standing), Failure> {
    // By number, the latest position in the file.
    let mut marks: BTreeMap<u64, FileMark> = BTreeMap::new();
    let mut add = |frontier: &Frontier| {
        for mark in &frontier.files {
            match marks.get(&mark.number) {
                Some(known) if known.offset >= mark.offset => {}
                _ => drop(marks.insert(mark.number, mark.clone())),
            }
        }
    };
    state::read(directory, Part::All, |found| {
        if let Found::Frame(frame) = found
            && let Facts::Batch { from, to, .. } = &frame.facts
        {
            add(from);
            add(to);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    state.statistics.values().for_each(|known| add(&known.to));
    add(&state.ledger.frontier);
    let marks: Vec<&FileMark> = marks.values().collect();
    let verdicts = file.compare(&marks).map_err(Failure::look)?;
    let mut same = marks.iter().zip(verdicts).filter(|(_, verdict)| *verdict == FileMatch::Same);
    // A file that was read again has several numbers; the last one counts.
    let Some((mark, _)) = same.next_back() else { return Ok((None, standing(state, file)?)) };
    if offset < mark.start {
        return Ok((None, Standing::BeforeStart));
    }
    let is_open = state.ledger.frontier.files.iter().any(|open| open.number == mark.number);
    Ok((Some(mark.number), if is_open { Standing::Open } else { Standing::Known }))
}

/// Returns the standing of a file that is in no position.
fn standing(state: &State, file: &LogFile) -> Result<Standing, Failure> {
    for known in state.files.iter().flat_map(|files| files.files()) {
        if file.is_known(known).map_err(Failure::look)? {
            return Ok(match known.standing {
                KnownAs::Unread => Standing::Unread,
                KnownAs::Finished => Standing::Finished,
                KnownAs::Foreign => Standing::Foreign,
            });
        }
    }
    Ok(Standing::Unknown)
}
