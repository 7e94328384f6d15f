//! Writes and rotates a log, as a web server and logrotate do.
//!
//! Tests follow such a log while it changes: lines arrive in pieces that end anywhere, the file is renamed under the
//! reader, and older files are compressed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Generator, Random};

/// A log that is written as a busy server and its rotator write it: in pieces that end anywhere, renamed and created
/// again now and then, with the older files compressed.
#[derive(Debug)]
pub struct RotatingLog {
    path: PathBuf,
    file: File,
    generator: Generator,
    /// The source of the lengths of pieces.
    random: Random,
    /// Lines that were generated but not written yet.
    pending: Vec<u8>,
}

impl RotatingLog {
    /// Creates the log at `path`. The seed decides about the pieces; the generator has its own.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be created.
    pub fn create(path: impl AsRef<Path>, generator: Generator, seed: u64) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let file = open(&path)?;
        Ok(Self { path, file, generator, random: Random::new(seed), pending: Vec::new() })
    }

    /// Generates `lines` lines, and writes them and earlier unwritten bytes in pieces of any length. The last piece
    /// may end in the middle of a line.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub fn write(&mut self, lines: u64) -> io::Result<()> {
        self.generator.lines(lines, &mut self.pending);
        let keep = self.random.below(self.pending.len() as u64 / 4 + 1) as usize;
        while self.pending.len() > keep {
            let room = (self.pending.len() - keep) as u64;
            let piece = 1 + self.random.below(room.min(20_000)) as usize;
            self.file.write_all(&self.pending[..piece])?;
            self.pending.drain(..piece);
        }
        Ok(())
    }

    /// Writes the remaining bytes, so that the log ends with a complete line. Returns the generator, which has the
    /// totals.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub fn finish(&mut self) -> io::Result<&Generator> {
        self.file.write_all(&self.pending)?;
        self.pending.clear();
        Ok(&self.generator)
    }

    /// Rotates as logrotate does with `delaycompress`: every older file gets the next number, the log becomes number
    /// 1, and the file that becomes number 2 is compressed. An unfinished line is finished first, in the old file, as
    /// nginx does.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be renamed, or `gzip` cannot be started.
    ///
    /// # Panics
    ///
    /// Panics if `gzip` fails.
    pub fn rotate(&mut self) -> io::Result<()> {
        if let Some(end) = self.pending.iter().position(|&b| b == b'\n') {
            self.file.write_all(&self.pending[..=end])?;
            self.pending.drain(..=end);
        }
        let mut older = rotated_files(&self.path)?;
        older.sort_by_key(|(generation, _)| std::cmp::Reverse(*generation));
        for (generation, path) in older {
            let gz = if path.extension().is_some_and(|ext| ext == "gz") { ".gz" } else { "" };
            fs::rename(&path, self.numbered(generation + 1, gz))?;
        }
        fs::rename(&self.path, self.numbered(1, ""))?;
        self.file = open(&self.path)?;
        let second = self.numbered(2, "");
        if second.exists() {
            let status = Command::new("gzip").arg("-f").arg(&second).status()?;
            assert!(status.success(), "gzip {}", second.display());
        }
        Ok(())
    }

    /// The path of the rotated file of that number: `access.log.3.gz`.
    fn numbered(&self, generation: u64, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{}.{generation}{suffix}", self.path.display()))
    }
}

/// Opens a log for appending, as nginx does.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// The rotated files of a log, `access.log.3.gz` and the like, each with its number.
///
/// # Errors
///
/// Fails if the directory cannot be read.
pub fn rotated_files(log: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let name = log.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut files = Vec::new();
    for entry in fs::read_dir(log.parent().unwrap_or(Path::new(".")))? {
        let path = entry?.path();
        let Some(suffix) =
            path.file_name().and_then(|other| other.to_str()).and_then(|other| other.strip_prefix(name))
        else {
            continue;
        };
        let number = suffix.trim_end_matches(".gz").strip_prefix('.').and_then(|number| number.parse().ok());
        files.extend(number.map(|number| (number, path)));
    }
    Ok(files)
}
