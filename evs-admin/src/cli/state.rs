//! The parts that the commands on a state directory share.

use std::{ops::ControlFlow, path::Path, str::FromStr};

use evs_core::{
    BinlogError, Damage, Frontier,
    inspect::{Contents, Found, Part, Problem, StateDir},
};
use serde::Serialize;

use super::Failure;

/// The most files of a position that a table names.
const FILES_SHOWN_MAX: usize = 3;

/// Opens a state directory.
pub(super) fn open(path: &Path) -> Result<StateDir, Failure> {
    StateDir::open(path).map_err(Failure::look)
}

/// Reads a binlog, and calls `visit` with everything that is in it, until it breaks or fails.
///
/// A directory without a binlog is a failure: there is nothing to look at.
pub(super) fn read(
    directory: &StateDir,
    part: Part,
    mut visit: impl FnMut(Found<'_>) -> Result<ControlFlow<()>, Failure>,
) -> Result<Contents, Failure> {
    let mut failure = None;
    let contents = directory.read(part, &mut |found| {
        visit(found).unwrap_or_else(|error| {
            failure = Some(error);
            ControlFlow::Break(())
        })
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    let contents = contents.map_err(Failure::look)?;
    if contents.segments.is_empty() && contents.problems == 0 && !contents.is_stopped {
        let path = directory.path();
        return Err(Failure::Look(format!(
            "{} has no binlog: it is not a state directory, or evs has not counted anything yet",
            path.display()
        )));
    }
    Ok(contents)
}

/// The same, for commands that have nothing to say about single frames.
pub(super) fn read_quietly(directory: &StateDir, part: Part) -> Result<Contents, Failure> {
    read(directory, part, |_| Ok(ControlFlow::Continue(())))
}

/// A position in few words, for a table.
pub(super) fn position(frontier: &Frontier) -> String {
    if frontier.files.len() <= FILES_SHOWN_MAX {
        return frontier.to_string();
    }
    format!("{} files, of which the last is {}", frontier.files.len(), last_file(frontier))
}

fn last_file(frontier: &Frontier) -> String {
    let last = frontier.files.last();
    last.map(|mark| format!("{} at byte {}", mark.path, mark.offset)).unwrap_or_default()
}

/// A range of sequences: `7`, `3..9` (both inclusive), `3..` or `..9`.
///
/// ```
/// use evs_admin::cli::Sequences;
///
/// let some: Sequences = "3..9".parse()?;
/// assert!(some.contains(3) && some.contains(9) && !some.contains(10));
/// assert!("3..".parse::<Sequences>()?.contains(u64::MAX));
/// assert!("9..3".parse::<Sequences>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequences {
    /// The first sequence.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

impl Sequences {
    /// All sequences.
    pub const ALL: Self = Self { first: 1, last: u64::MAX };

    /// Returns whether a sequence is among them.
    pub fn contains(self, sequence: u64) -> bool {
        (self.first..=self.last).contains(&sequence)
    }
}

impl FromStr for Sequences {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str, missing| match text {
            "" => Ok(missing),
            text => text.parse::<u64>().map_err(|_| format!("{text:?} is not a sequence")),
        };
        let (first, last) = match text.split_once("..") {
            None => {
                let only = number(text, 0)?;
                (only, only)
            }
            Some((first, last)) => (number(first, 1)?, number(last.trim_start_matches('='), u64::MAX)?),
        };
        if 0 < first && first <= last {
            Ok(Self { first, last })
        } else {
            Err("sequences begin with 1, as in 7, 3..9, 3.. or ..9".to_owned())
        }
    }
}

/// A problem in the words of all commands.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// The level of checking that found it: `frame`, `batch` or `log`.
    pub(super) level: &'static str,
    /// The file, if it is in one.
    pub(super) file: Option<String>,
    /// The offset in that file.
    pub(super) offset: Option<u64>,
    /// The number of bytes that are meant, if it is known.
    pub(super) bytes: Option<u64>,
    /// The finding, in words.
    pub(super) finding: String,
    /// The way out, in words.
    pub(super) advice: String,
}

/// The advice for damage that no other directory can heal.
const RESTORE: &str = "stop the pipeline and keep a copy of the directory; then bring it back from a backup, or remove it and \
                       adopt the sinks' position (docs/state.md); docs/errors.md says more";

impl Finding {
    /// The finding for a problem of the binlog.
    pub(super) fn of(problem: &Problem) -> Self {
        let error = &problem.error;
        let (file, advice) = match error {
            BinlogError::Damaged { path, source, .. } => (Some(path), damage_advice(source)),
            BinlogError::Misnamed { path, .. } => {
                (Some(path), "give the file its own name again, or move it out of the directory")
            }
            BinlogError::MissingSegment { path } => {
                (Some(path), "put the segment back; without it: restore, or adopt")
            }
            BinlogError::ForeignSource { path, .. } | BinlogError::ForeignEpoch { path, .. } => (
                Some(path),
                "it was copied from another state directory: move it away, and put the own one back",
            ),
            BinlogError::Gone { path, .. } => (
                Some(path),
                "put the removed segments back, or accept the gap of that sink (docs/changing.md, \"A sink that comes back\")",
            ),
            _ => (None, RESTORE),
        };
        Self {
            level: "frame",
            file: file.map(|path| path.display().to_string()),
            offset: problem.segment.map(|_| problem.offset),
            bytes: (problem.bytes > 0).then_some(problem.bytes),
            finding: evs_core::describe(error),
            advice: advice.to_owned(),
        }
    }
}

fn damage_advice(damage: &Damage) -> &'static str {
    match damage {
        Damage::Kind { .. } => {
            "a program that is no evs, or one of another version, has written it: use the evs that wrote it, or restore"
        }
        _ => RESTORE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_read_as_people_write_them() {
        for (text, expected) in [
            ("7", Some((7, 7))),
            ("3..9", Some((3, 9))),
            ("3..=9", Some((3, 9))),
            ("3..", Some((3, u64::MAX))),
            ("..9", Some((1, 9))),
            ("..", Some((1, u64::MAX))),
            ("", None),
            ("0", None),
            ("9..3", None),
            ("a", None),
            ("-1", None),
        ] {
            let found = text.parse::<Sequences>().ok().map(|some| (some.first, some.last));
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
