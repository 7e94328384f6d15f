//! The rejected lines of a state directory, in the order in which they were written.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, ErrorKind},
};

use serde::{Deserialize, Serialize};

use super::State;
use crate::{
    Error,
    batch::escape,
    disk::{Disk, ReadOnlyDisk},
};

/// A line that could not be counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rejected {
    /// The path of the file when the line was read; `None` if it was not known any more.
    pub file: Option<String>,
    /// The offset in the file at which the line begins.
    pub offset: u64,
    /// The column at which reading failed: a byte of the line, counted from 1.
    pub column: u64,
    /// The reason, in words.
    pub reason: String,
    /// The line, or its beginning, as [`escape`](crate::escape) writes it.
    pub line: String,
}

/// Iterates over the rejected lines. Only one of them is in memory, besides those of the last commit.
///
/// An incomplete line at the end of the last file is left out: a running pipeline is writing it.
#[derive(Debug)]
pub struct RejectedLines<'d> {
    disk: &'d ReadOnlyDisk,
    /// The numbers of the files that were not begun.
    files: VecDeque<u64>,
    reader: Option<(u64, BufReader<File>, u64)>,
    /// The place from which on the files have the lines of the last commit, or will have.
    mark: (u64, u64),
    /// Lines of the last commit that no file has had so far.
    pending: VecDeque<Rejected>,
}

impl<'d> RejectedLines<'d> {
    pub(super) fn open(disk: &'d ReadOnlyDisk, state: Option<&State>) -> io::Result<Self> {
        let number =
            |name: String| name.strip_prefix("rejected-")?.strip_suffix(".jsonl")?.parse::<u64>().ok();
        let mut files: Vec<u64> = disk.list()?.into_iter().filter_map(number).collect();
        files.sort_unstable();
        let mark = state.map_or((0, 0), |state| (state.ledger.rejects.file, state.ledger.rejects.bytes));
        let pending = state.map(pending).unwrap_or_default();
        Ok(Self { disk, files: files.into(), reader: None, mark, pending })
    }

    fn error(&self, file: u64, source: io::Error) -> Error {
        let path = self.disk.path().join(name(file));
        Error::StateDir { op: "reading", path, source }
    }

    /// Reads the next line of the open file; `None` at its end.
    fn next_line(&mut self) -> Result<Option<Rejected>, Error> {
        let Some((file, reader, offset)) = &mut self.reader else { return Ok(None) };
        let (file, start) = (*file, *offset);
        let mut line = Vec::new();
        let read = reader.read_until(b'\n', &mut line);
        *offset += line.len() as u64;
        if let Err(source) = read {
            // The rest of the file cannot be read either.
            self.reader = None;
            return Err(self.error(file, source));
        }
        if line.last() != Some(&b'\n') {
            return Ok(None);
        }
        let rejected: Rejected = serde_json::from_slice(&line)
            .map_err(|error| self.error(file, io::Error::new(ErrorKind::InvalidData, error)))?;
        if (file, start) >= self.mark
            && let Some(at) = self.pending.iter().position(|pending| *pending == rejected)
        {
            self.pending.remove(at);
        }
        Ok(Some(rejected))
    }
}

/// Returns the rejected lines of the last commit, as the file has them.
fn pending(state: &State) -> VecDeque<Rejected> {
    let marks = &state.ledger.frontier.files;
    let entry = |line: &super::RejectedLine| Rejected {
        file: marks.iter().find(|mark| mark.number == line.file).map(|mark| mark.path.clone()),
        offset: line.offset,
        column: line.column,
        reason: line.reason.clone(),
        line: escape(&line.sample).into_owned(),
    };
    state.rejected.iter().map(entry).collect()
}

impl Iterator for RejectedLines<'_> {
    type Item = Result<Rejected, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_line() {
                Ok(Some(line)) => return Some(Ok(line)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
            self.reader = None;
            let Some(file) = self.files.pop_front() else {
                return self.pending.pop_front().map(Ok);
            };
            match self.disk.file(&name(file)) {
                Ok(opened) => self.reader = Some((file, BufReader::new(opened), 0)),
                // A running pipeline removes the oldest file.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Some(Err(self.error(file, error))),
            }
        }
    }
}

/// Returns the name of a file of rejected lines.
fn name(file: u64) -> String {
    format!("rejected-{file}.jsonl")
}
