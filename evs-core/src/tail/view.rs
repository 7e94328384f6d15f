//! The file system as one log of a pattern sees it: without the files of the other logs.
//!
//! A tailer that follows one log takes whatever has the name of a rotated file for its own. Among many logs such a name may
//! belong to another one, and a log may be renamed to the name of another while it is read. Both are decided here, so that
//! a tailer need not know that there are other logs:
//!
//! - A name that belongs to another log is not listed.
//! - A file that another log has open does not exist: its bytes are counted there, whatever its name is now.

use std::{
    collections::HashMap,
    ffi::OsString,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    fs::{FileId, LogFs, LogRead, Stat, directory_of},
    globs::Glob,
    options::TailOptions,
};

/// The files that the logs of a source have open.
#[derive(Debug, Default)]
pub(super) struct OpenFiles {
    /// The log of each file, and those logs that have met it under one of their own names.
    logs: Mutex<HashMap<FileId, OpenFile>>,
}

/// A file that a log has open.
#[derive(Debug)]
struct OpenFile {
    log: Arc<str>,
    /// The other logs that have a name for the file.
    met_by: Vec<Arc<str>>,
}

impl OpenFiles {
    fn lock(&self) -> MutexGuard<'_, HashMap<FileId, OpenFile>> {
        // A thread that panicked cannot leave the map in a wrong state.
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a log has opened a file.
    pub(super) fn open(&self, file: FileId, log: &Arc<str>) {
        self.lock().entry(file).or_insert_with(|| OpenFile { log: Arc::clone(log), met_by: Vec::new() });
    }

    /// Notes that a log has closed a file. Returns the other logs that have met it under one of their own names.
    pub(super) fn close(&self, file: FileId, log: &Arc<str>) -> Vec<Arc<str>> {
        let mut files = self.lock();
        match files.get(&file) {
            Some(open) if open.log == *log => files.remove(&file).map(|open| open.met_by).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Returns whether another log than `log` has the file open, and notes that this one has met it.
    pub(super) fn is_elsewhere(&self, file: FileId, log: &Arc<str>) -> bool {
        let mut files = self.lock();
        let Some(open) = files.get_mut(&file).filter(|open| open.log != *log) else { return false };
        if !open.met_by.contains(log) {
            open.met_by.push(Arc::clone(log));
        }
        true
    }
}

/// The file system of one log.
#[derive(Debug)]
pub(super) struct View {
    fs: Arc<dyn LogFs>,
    glob: Arc<Glob>,
    open: Arc<OpenFiles>,
    /// The path of the log.
    log: Arc<str>,
    /// Its directory, and its name there.
    directory: PathBuf,
    name: String,
    /// The directory that rotated files of all logs of the directory are moved to.
    olddir: Option<PathBuf>,
}

impl View {
    /// Returns the options for one log of a pattern, which sees nothing of the others.
    pub(super) fn options(
        all: &TailOptions,
        glob: &Arc<Glob>,
        open: &Arc<OpenFiles>,
        log: &Arc<str>,
    ) -> TailOptions {
        let path = Path::new(&**log);
        let directory = directory_of(path).to_owned();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let olddir = all.olddir.as_ref().map(|olddir| directory.join(olddir));
        let (fs, glob, open) = (Arc::clone(&all.fs), Arc::clone(glob), Arc::clone(open));
        let view = Self { fs, glob, open, log: Arc::clone(log), directory, name, olddir };
        TailOptions { path: path.to_owned(), is_literal: true, fs: Arc::new(view), ..all.clone() }
    }

    /// Returns whether the names in a directory are those of several logs. Beside the target of a link they are not.
    fn is_shared(&self, directory: &Path) -> bool {
        directory.starts_with(&self.directory) || self.olddir.as_deref() == Some(directory)
    }
}

impl LogFs for View {
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        let mut names = self.fs.list(directory)?;
        if self.is_shared(directory) {
            // What all names of a log's files begin with.
            let stem = self.name.rsplit_once('.').map_or(&*self.name, |(stem, _)| stem);
            names.retain(|name| {
                let Some(name) = name.to_str() else { return false };
                // Subdirectories, which are listed too, belong to no log.
                !name.starts_with(stem) || self.glob.owner(name).is_none_or(|owner| owner == self.name)
            });
        }
        Ok(names)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        Ok(self.fs.stat(path)?.filter(|stat| !stat.is_regular || !self.open.is_elsewhere(stat.id, &self.log)))
    }

    fn link_target(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        self.fs.link_target(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogRead>> {
        let file = self.fs.open(path)?;
        if self.open.is_elsewhere(file.stat()?.id, &self.log) {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(file)
    }
}
