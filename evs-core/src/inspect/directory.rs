//! [`StateDir`]: the files of a state directory.

use std::{
    io::{self, ErrorKind, Read},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use super::rejected::RejectedLines;
use crate::{
    Error,
    binlog::{
        BinlogError,
        inspect::{Contents, Found, Part, read},
    },
    disk::{Disk, ReadOnlyDisk},
};

/// The file that names the process which has locked the directory.
const HOLDER: &str = "lock";
/// The most bytes of that file that are read.
const HOLDER_BYTES_MAX: u64 = 512;

/// A state directory that is only read.
#[derive(Clone, Debug)]
pub struct StateDir {
    disk: ReadOnlyDisk,
}

/// A file with the rows of a batch that was given up for a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiscardedFile {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
}

impl StateDir {
    /// Opens the directory at `path`. It need not have a binlog.
    ///
    /// # Errors
    ///
    /// [`Error::StateDir`] if there is no directory, or it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let disk = ReadOnlyDisk::open(path).map_err(|source| Error::StateDir {
            op: "opening",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self { disk })
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> PathBuf {
        self.disk.path()
    }

    /// Reads the binlog, and calls `visit` with everything that is in it, in the order of the files, until `visit` breaks or
    /// all is read. Only one frame is in memory at a time, and some hundred bytes for each batch.
    ///
    /// # Errors
    ///
    /// [`BinlogError::NewerVersion`] if a later version of evs has written a segment, and [`BinlogError::Io`] if a file
    /// cannot be read. Damage is no error: it is [`Found::Problem`].
    pub fn read(
        &self,
        part: Part,
        visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
    ) -> Result<Contents, BinlogError> {
        read(&self.disk, part, visit)
    }

    /// Returns the process that has locked the directory last, in words: `process 7 on host web1`, with `, whose run has
    /// ended` after it if it has ended by itself. Returns `None` if there was none. Nobody looks whether it still runs.
    ///
    /// # Errors
    ///
    /// [`Error::StateDir`] if the file cannot be read.
    pub fn holder(&self) -> Result<Option<String>, Error> {
        let read = || -> io::Result<Option<String>> {
            let file = match self.disk.file(HOLDER) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                opened => opened?,
            };
            let mut text = Vec::new();
            file.take(HOLDER_BYTES_MAX).read_to_end(&mut text)?;
            let text = String::from_utf8_lossy(&text);
            Ok(text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned))
        };
        read().map_err(|source| self.error("reading", HOLDER, source))
    }

    /// Returns the rejected lines that the directory still has, the oldest first. `state` is the one that was read: it has
    /// the lines that a crash has kept from the files.
    ///
    /// # Errors
    ///
    /// [`Error::StateDir`] if the directory cannot be read.
    pub fn rejected<'s>(&'s self, state: Option<&'s super::State>) -> Result<RejectedLines<'s>, Error> {
        RejectedLines::open(&self.disk, state).map_err(|source| self.error("listing", "", source))
    }

    /// Returns the files with the batches that were given up, by name.
    ///
    /// # Errors
    ///
    /// [`Error::StateDir`] if the directory cannot be read.
    pub fn discarded(&self) -> Result<Vec<DiscardedFile>, Error> {
        let list = || -> io::Result<Vec<DiscardedFile>> {
            let mut names = self.disk.list()?;
            names.retain(|name| name.starts_with("discarded-") && name.ends_with(".jsonl"));
            names.sort_unstable();
            let file = |name: &String| {
                let bytes = self.disk.file(name)?.metadata()?.len();
                Ok(DiscardedFile { path: self.disk.path().join(name), bytes })
            };
            names.iter().map(file).collect()
        };
        list().map_err(|source| self.error("listing", "", source))
    }

    fn error(&self, op: &'static str, name: &str, source: io::Error) -> Error {
        let path = if name.is_empty() { self.disk.path() } else { self.disk.path().join(name) };
        Error::StateDir { op, path, source }
    }
}
