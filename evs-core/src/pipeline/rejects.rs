//! The file of rejected lines. Each rejected line is in it exactly once, even after a crash.
//!
//! ```text
//! {"file":"/var/log/nginx/access.log","offset":4096,"column":8,"reason":"not a time","line":"::1 - - [x] …"}
//! ```
//!
//! The file is for people, and the binlog is what makes it exact: a commit has the rejected lines themselves. They
//! are written to the file after the commit. If the process is killed in between, the next start finds the lines in
//! the last commit and writes them.

use std::{io, path::PathBuf, sync::Arc};

use serde::Serialize;

use crate::{
    Error,
    batch::escape,
    binlog::{RejectedLine, RejectsMark},
    disk::Disk,
    position::Frontier,
};

/// The rejected lines as JSON lines, in `rejected-N.jsonl` of the state directory. When a file has reached its limit,
/// the next one begins and the one before the last is removed.
///
/// Each line is written once: the binlog frame of a commit holds the rejected lines and the length of this file
/// before they were written. After a crash the file is cut back to that length, and the lines are written again.
#[derive(Debug)]
pub(super) struct RejectsFile {
    disk: Arc<dyn Disk>,
    bytes_max: u64,
    mark: RejectsMark,
}

/// A rejected line as it is written to the file.
#[derive(Serialize)]
struct Entry<'e> {
    file: Option<&'e str>,
    offset: u64,
    column: u64,
    reason: &'e str,
    line: &'e str,
}

impl RejectsFile {
    /// Opens the file at `mark`. The caller then writes the rejected lines of the last commit again.
    pub(super) fn open(disk: Arc<dyn Disk>, bytes_max: u64, mark: RejectsMark) -> Result<Self, Error> {
        let mut rejects = Self { disk, bytes_max, mark };
        let cut_back = rejects.cut_back();
        cut_back.map_err(|source| rejects.error("cutting back", mark.file, source))?;
        rejects.remove(mark.file + 1)?;
        Ok(rejects)
    }

    /// Returns the position up to which the file has been written. The next commit stores it.
    pub(super) fn mark(&self) -> RejectsMark {
        self.mark
    }

    /// Writes the rejected lines of a commit, after the commit is durable. `frontier` is the commit's and contains
    /// the paths of the files.
    ///
    /// After an error the call can be repeated: it first cuts off the lines that were written partly.
    pub(super) fn write(&mut self, lines: &[RejectedLine], frontier: &Frontier) -> Result<(), Error> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.mark.bytes >= self.bytes_max {
            self.mark = RejectsMark { file: self.mark.file + 1, bytes: 0 };
            if let Some(old) = self.mark.file.checked_sub(2) {
                self.remove(old)?;
            }
        }
        let appended = self.append(lines, frontier);
        self.mark.bytes += appended.map_err(|source| self.error("writing", self.mark.file, source))?;
        Ok(())
    }

    /// Cuts the file to the written length. If somebody has shortened or removed the file, it is used as it is.
    fn cut_back(&mut self) -> io::Result<()> {
        let Some(file) = self.disk.existing(&name(self.mark.file))? else {
            self.mark.bytes = 0;
            return Ok(());
        };
        let len = file.size()?;
        self.mark.bytes = self.mark.bytes.min(len);
        if len > self.mark.bytes {
            file.truncate(self.mark.bytes)?;
            file.sync()?;
        }
        Ok(())
    }

    /// Writes and syncs lines after the mark. Returns the number of bytes.
    fn append(&mut self, lines: &[RejectedLine], frontier: &Frontier) -> io::Result<u64> {
        let mut text = Vec::new();
        for line in lines {
            let mark = frontier.files.iter().find(|mark| mark.number == line.file);
            let entry = Entry {
                file: mark.map(|mark| mark.path.as_str()),
                offset: line.offset,
                column: line.column,
                reason: &line.reason,
                line: &escape(&line.sample),
            };
            serde_json::to_writer(&mut text, &entry)?;
            text.push(b'\n');
        }
        // An earlier attempt may have left bytes after the mark; they are cut off.
        self.cut_back()?;
        let name = name(self.mark.file);
        let (file, is_new) = match self.disk.existing(&name)? {
            Some(file) => (file, false),
            None => (self.disk.create(&name)?, true),
        };
        file.write_all_at(&text, self.mark.bytes)?;
        file.sync()?;
        if is_new {
            self.disk.sync()?;
        }
        Ok(text.len() as u64)
    }

    fn remove(&self, file: u64) -> Result<(), Error> {
        self.disk.remove_existing(&name(file)).map_err(|source| self.error("removing", file, source))
    }

    fn error(&self, op: &'static str, file: u64, source: io::Error) -> Error {
        let path: PathBuf = self.disk.path().join(name(file));
        Error::StateDir { op, path, source }
    }
}

/// Returns the name of a file of rejected lines.
fn name(file: u64) -> String {
    format!("rejected-{file}.jsonl")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::disk::RealDisk;

    fn open(dir: &Path, bytes_max: u64, mark: RejectsMark) -> RejectsFile {
        RejectsFile::open(Arc::new(RealDisk::open(dir).unwrap()), bytes_max, mark).unwrap()
    }

    fn rejected(line: &[u8]) -> RejectedLine {
        RejectedLine { file: 1, offset: 7, column: 1, reason: "no".to_owned(), sample: line.to_vec() }
    }

    fn contents(dir: &Path, file: u64) -> Vec<String> {
        let text = fs::read_to_string(dir.join(format!("rejected-{file}.jsonl"))).unwrap();
        let line = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["line"].as_str().unwrap().to_owned()
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn lines_written_before_a_crash_are_not_written_twice() {
        let dir = tempfile::tempdir().unwrap();
        let start = RejectsMark::default();
        let mut rejects = open(dir.path(), 4096, start);
        rejects.write(&[rejected(b"one")], &Frontier::default()).unwrap();
        let before_two = rejects.mark();
        rejects.write(&[rejected(b"two \xff")], &Frontier::default()).unwrap();
        // The process dies here. The binlog knows the mark before "two", and "two" itself.
        let again = [rejected(b"two \xff")];
        let mut rejects = open(dir.path(), 4096, before_two);
        rejects.write(&again, &Frontier::default()).unwrap();
        rejects.write(&[rejected(b"three")], &Frontier::default()).unwrap();
        assert_eq!(contents(dir.path(), 0), ["one", r"two \xFF", "three"]);
    }

    #[test]
    fn the_last_two_files_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut rejects = open(dir.path(), 10, RejectsMark::default());
        for line in [b"a", b"b", b"c"] {
            rejects.write(&[rejected(line)], &Frontier::default()).unwrap();
        }
        assert!(!dir.path().join("rejected-0.jsonl").exists());
        assert_eq!((contents(dir.path(), 1), contents(dir.path(), 2)), (vec!["b".into()], vec!["c".into()]));
    }
}
