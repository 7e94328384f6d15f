//! The file of rejected lines: each of them in it once, whatever happens.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    Error,
    batch::escape,
    binlog::{RejectedLine, RejectsMark},
    tail::Frontier,
};

/// Rejected lines as JSON lines, in `rejected-N.jsonl` of the state directory. When a file has reached its
/// limit the next one is begun, and the one before the last is removed.
///
/// Once: a commit's rejected lines are in its binlog frame, together with how long this file was before they
/// were written to it. After a crash the file is cut back to that length, and they are written again.
#[derive(Debug)]
pub(super) struct RejectsFile {
    dir: PathBuf,
    bytes_max: u64,
    mark: RejectsMark,
}

#[derive(Serialize)]
struct Entry<'e> {
    file: Option<&'e str>,
    offset: u64,
    column: u64,
    reason: &'e str,
    line: &'e str,
}

impl RejectsFile {
    /// Goes back to `mark`; what the last commit has rejected is then to be written again.
    pub(super) fn open(dir: &Path, bytes_max: u64, mark: RejectsMark) -> Result<Self, Error> {
        let mut rejects = Self { dir: dir.to_owned(), bytes_max, mark };
        let path = rejects.path(mark.file);
        let cut_back = rejects.cut_back(&path);
        cut_back.map_err(|source| Error::StateDir { op: "cutting back", path, source })?;
        let newer = rejects.path(mark.file + 1);
        remove(&newer).map_err(|source| Error::StateDir { op: "removing", path: newer, source })?;
        Ok(rejects)
    }

    /// How far the file has been written: what the next commit remembers.
    pub(super) fn mark(&self) -> RejectsMark {
        self.mark
    }

    /// Writes the lines that a commit has rejected, once the commit is durable. `frontier` is the commit's and
    /// knows the files' paths.
    ///
    /// After an error it can be tried again: what was written of them is cut off first.
    pub(super) fn write(&mut self, lines: &[RejectedLine], frontier: &Frontier) -> Result<(), Error> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.mark.bytes >= self.bytes_max {
            self.mark = RejectsMark { file: self.mark.file + 1, bytes: 0 };
            if let Some(old) = self.mark.file.checked_sub(2) {
                let path = self.path(old);
                remove(&path).map_err(|source| Error::StateDir { op: "removing", path, source })?;
            }
        }
        let path = self.path(self.mark.file);
        let appended = self.append(&path, lines, frontier);
        self.mark.bytes += appended.map_err(|source| Error::StateDir { op: "writing", path, source })?;
        Ok(())
    }

    /// Cuts the file to where it was written, or takes it as it is if somebody has shortened or removed it.
    fn cut_back(&mut self, path: &Path) -> io::Result<()> {
        let len = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        self.mark.bytes = self.mark.bytes.min(len);
        if len > self.mark.bytes {
            let file = open(path)?;
            file.set_len(self.mark.bytes)?;
            file.sync_data()?;
        }
        Ok(())
    }

    fn append(&mut self, path: &Path, lines: &[RejectedLine], frontier: &Frontier) -> io::Result<u64> {
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
        // What an earlier attempt has left behind the mark is cut off.
        self.cut_back(path)?;
        let is_new = !path.exists();
        let mut file = open(path)?;
        file.write_all(&text)?;
        file.sync_data()?;
        if is_new {
            File::open(&self.dir)?.sync_all()?;
        }
        Ok(text.len() as u64)
    }

    fn path(&self, file: u64) -> PathBuf {
        self.dir.join(format!("rejected-{file}.jsonl"))
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    options.open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut rejects = RejectsFile::open(dir.path(), 4096, start).unwrap();
        rejects.write(&[rejected(b"one")], &Frontier::default()).unwrap();
        let before_two = rejects.mark();
        rejects.write(&[rejected(b"two \xff")], &Frontier::default()).unwrap();
        // The process dies; the binlog knows the mark before "two", and "two".
        let again = [rejected(b"two \xff")];
        let mut rejects = RejectsFile::open(dir.path(), 4096, before_two).unwrap();
        rejects.write(&again, &Frontier::default()).unwrap();
        rejects.write(&[rejected(b"three")], &Frontier::default()).unwrap();
        assert_eq!(contents(dir.path(), 0), ["one", r"two \xFF", "three"]);
    }

    #[test]
    fn the_last_two_files_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut rejects = RejectsFile::open(dir.path(), 10, RejectsMark::default()).unwrap();
        for line in [b"a", b"b", b"c"] {
            rejects.write(&[rejected(line)], &Frontier::default()).unwrap();
        }
        assert!(!dir.path().join("rejected-0.jsonl").exists());
        assert_eq!((contents(dir.path(), 1), contents(dir.path(), 2)), (vec!["b".into()], vec!["c".into()]));
    }
}
