//! The files of the log: whether the bytes that are remembered at each position are still there.
//!
//! A file is found by its bytes, as the tailer does: first at the path where it was, then under any other name in that
//! directory, compressed or not.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use evs_core::{
    FileMark,
    inspect::{FileMatch, LogFile, State},
};

use super::{Finding, Report};

/// Compares the log with all positions of a state.
pub(super) fn verify(state: &State, moved_to: Option<&Path>, report: &mut Report) {
    let mut by_number: BTreeMap<u64, Vec<&FileMark>> = BTreeMap::new();
    let statistics = state.statistics.values().map(|known| &known.to);
    for frontier in statistics.chain([&state.ledger.frontier]) {
        for mark in &frontier.files {
            let marks = by_number.entry(mark.number).or_default();
            if !marks.iter().any(|known| (known.offset, known.tail) == (mark.offset, mark.tail)) {
                marks.push(mark);
            }
        }
    }
    let older = state.statistics.values().filter(|known| !known.older.is_empty()).count();
    if older > 0 {
        report
            .notes
            .push(format!("{older} statistics still read older files; the bytes of those were not compared"));
    }
    for mut marks in by_number.into_values() {
        // Nothing was read of an empty file, so there is nothing to compare.
        marks.retain(|mark| mark.head.len > 0);
        marks.sort_by_key(|mark| mark.offset);
        if let Some(last) = marks.last() {
            report.positions += marks.len() as u64;
            compare(last, &marks, moved_to, report);
        }
    }
}

/// Compares one file with the positions in it. `last` is the furthest one.
fn compare(last: &FileMark, marks: &[&FileMark], moved_to: Option<&Path>, report: &mut Report) {
    let was_at = Path::new(&last.path);
    let directory = moved_to.or_else(|| was_at.parent()).unwrap_or(Path::new("."));
    let expected = match (moved_to, was_at.file_name()) {
        (Some(directory), Some(name)) => directory.join(name),
        _ => was_at.to_owned(),
    };
    let mut search = Search { nearest: None, unreadable: Vec::new() };
    // The log may be rotated during the search, so one that finds nothing is made again.
    for _ in 0..2 {
        if search.try_at(&expected, marks) || search.try_all(directory, marks) {
            return;
        }
    }
    if let Some((path, verdicts)) = search.nearest {
        for (mark, verdict) in marks.iter().zip(verdicts) {
            report.findings.extend(finding(&path, mark, verdict));
        }
        return;
    }
    // One of the files that cannot be read may be the one.
    let is_unclear = !search.unreadable.is_empty();
    for (path, error) in search.unreadable {
        report.findings.push(Finding {
            level: "log",
            file: Some(path.display().to_string()),
            offset: None,
            bytes: None,
            finding: format!("file {} is not found, and this file cannot be read: {error}", last.number),
            advice: "let a user look who may read the log; a file that is damaged is one that evs cannot read either"
                .to_owned(),
        });
    }
    if is_unclear {
        return;
    }
    gone(last, directory, report);
}

/// The search for a file by its bytes.
struct Search {
    /// The file that begins like the one that is searched, with what was found at each position.
    nearest: Option<(PathBuf, Vec<FileMatch>)>,
    /// The files that could not be read.
    unreadable: Vec<(PathBuf, String)>,
}

impl Search {
    /// Returns whether the file at `path` is the one.
    fn try_at(&mut self, path: &Path, marks: &[&FileMark]) -> bool {
        let verdicts =
            match LogFile::open(path).and_then(|file| file.map(|file| file.compare(marks)).transpose()) {
                Ok(Some(verdicts)) => verdicts,
                Ok(None) => return false,
                Err(error) => {
                    if !self.unreadable.iter().any(|(known, _)| known == path) {
                        self.unreadable.push((path.to_owned(), evs_core::describe(&error)));
                    }
                    return false;
                }
            };
        if verdicts.iter().all(|verdict| *verdict == FileMatch::Same) {
            return true;
        }
        let is_alike = verdicts.iter().any(|verdict| *verdict != FileMatch::Other);
        if is_alike && self.nearest.is_none() {
            self.nearest = Some((path.to_owned(), verdicts));
        }
        false
    }

    /// Returns whether any file of the directory is the one.
    fn try_all(&mut self, directory: &Path, marks: &[&FileMark]) -> bool {
        let Ok(entries) = directory.read_dir() else { return false };
        let files = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        let mut paths: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
        paths.sort_unstable();
        paths.iter().any(|path| self.try_at(path, marks))
    }
}

/// The finding for a file that does not have the remembered bytes.
fn finding(path: &Path, mark: &FileMark, verdict: FileMatch) -> Option<Finding> {
    let before = u64::from(mark.tail.len);
    let (offset, bytes, text) = match verdict {
        FileMatch::Same => return None,
        FileMatch::Shorter => {
            (mark.offset, None, format!("{} bytes were counted, and the file is shorter", mark.offset))
        }
        FileMatch::Changed => (
            mark.offset - before,
            Some(before),
            format!("the {before} bytes before byte {} are not the ones that were counted", mark.offset),
        ),
        _ => (
            0,
            Some(u64::from(mark.head.len)),
            "the first bytes are not the ones that were counted".to_owned(),
        ),
    };
    Some(Finding {
        level: "log",
        file: Some(path.display().to_string()),
        offset: Some(offset),
        bytes,
        finding: format!("file {}: {text}", mark.number),
        advice: "somebody has truncated or rewritten the log. What was counted stays counted. docs/log.md says what evs does \
                 with such a file (on_changed); find out who writes to it"
            .to_owned(),
    })
}

/// Reports a file that is not there any more.
fn gone(mark: &FileMark, directory: &Path, report: &mut Report) {
    let FileMark { number, path, offset, size, .. } = mark;
    if offset >= size {
        report.notes.push(format!(
            "file {number} ({path}) is gone; all of it that was known, {size} bytes, had been counted"
        ));
        return;
    }
    report.findings.push(Finding {
        level: "log",
        file: Some(path.clone()),
        offset: Some(*offset),
        bytes: Some(size - offset),
        finding: format!(
            "file {number} is not in {}, under any name: {} bytes of it were not counted yet",
            directory.display(),
            size - offset
        ),
        advice: "bring the file back, or name the directory that has it with --log; docs/log.md says what evs does without it \
                 (on_gone)"
            .to_owned(),
    });
}
