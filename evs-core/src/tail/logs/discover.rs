//! Finds the logs that a pattern matches, at the start and while they are followed.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{Directory, Log, Logs, SURVEY_PER_LOG};
use crate::tail::{
    catalog::Catalog,
    error::TailError,
    event::TailEvent,
    fs::directory_of,
    globs::{Glob, list},
    options::TailOptions,
    tailer::Tailer,
    view::View,
};

/// The longest time between two searches for logs, even if nothing seems to have changed.
const DISCOVER_EVERY: Duration = Duration::from_secs(5);
/// The files that each log may have open at least: the one that the web server may still write to, a finished one that only
/// retires after the next one was opened, and that one.
const OPEN_MIN: usize = 3;
/// The files that a log has open while it is rotated. Only in the middle of several rotations, at a start, are there more.
const OPEN_USUALLY: usize = 2;
/// A search is followed by a pause of this many times its length: a search of many directories takes long.
const REST_FACTOR: u32 = 10;

/// A log that was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// True if the log has a live file. Otherwise it only has rotated ones.
    pub(super) is_live: bool,
    /// A rotated file whose name matches the pattern, so that it may be a log of its own.
    pub(super) unclear: Option<PathBuf>,
}

impl Logs {
    /// Searches for new logs, if a directory has changed or some time has passed.
    pub(super) fn discover_when_due(&mut self) -> Result<(), TailError> {
        if self.glob.is_none() || self.now < self.discover_rest {
            return Ok(());
        }
        let fs = &*self.options.fs;
        let is_changed = |directory: &Directory| {
            !directory.is_watched
                && (directory.stat.is_none() || fs.stat(&directory.path).ok().flatten() != directory.stat)
        };
        let has_changed = || self.directories.iter().any(is_changed);
        if self.now >= self.discover_due || has_changed() { self.discover() } else { Ok(()) }
    }

    /// Searches for new logs, and follows them from their start: whatever is in a log that has appeared is new.
    pub(super) fn discover(&mut self) -> Result<(), TailError> {
        let Some(glob) = self.glob.clone() else { return Ok(()) };
        let started = self.options.wall.instant();
        let found = self.find_logs(&glob);
        let took = self.options.wall.instant().saturating_duration_since(started);
        self.discover_due = self.now + DISCOVER_EVERY.max(took * REST_FACTOR);
        self.discover_rest = self.now + took.min(DISCOVER_EVERY);
        let found = match found {
            // A directory that cannot be read is waited for, as a log is.
            Err(TailError::Io { path, source, .. }) => {
                self.complain(&path, source);
                return Ok(());
            }
            found => found?,
        };
        let is_new = |path: &Arc<str>| !self.by_path.contains_key(path);
        let new: Vec<Arc<str>> = found.into_keys().filter(is_new).collect();
        let mut result = Ok(());
        for path in new {
            if !self.has_room() {
                let reason = io::Error::other(format!(
                    "the limit of open files is enough for {} logs; raise it (ulimit -n, LimitNOFILE=)",
                    self.logs_max()
                ));
                self.complain(Path::new(&*path), reason);
                continue;
            }
            result = result.and(self.follow(&glob, path));
        }
        self.share_descriptors();
        result
    }

    /// Follows a log that has appeared.
    fn follow(&mut self, glob: &Arc<Glob>, path: Arc<str>) -> Result<(), TailError> {
        let known: Vec<_> =
            self.forgotten.iter().filter(|file| file.log.as_ref() == Some(&path)).cloned().collect();
        let catalog = Catalog::of(known).with_ids_of(&self.numbers);
        let options = self.options_of(glob, &path);
        match Tailer::resume_with(options, Vec::new(), Some(catalog), self.numbers.clone(), self.now) {
            Ok(tailer) => {
                self.forgotten.retain(|file| file.log.as_ref() != Some(&path));
                tracing::info!(log = &*path, "a log has appeared");
                self.add(path, tailer);
                Ok(())
            }
            // It is looked at again with the next search.
            Err(error) if error.may_pass() => {
                self.discover_due = self.now;
                Ok(())
            }
            Err(error @ TailError::NotRegular { .. }) => Err(error),
            Err(TailError::Io { path, source, .. }) => {
                self.complain(&path, source);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Adds a log.
    pub(super) fn add(&mut self, path: Arc<str>, tailer: Tailer) {
        let index = self.logs.len();
        self.by_path.insert(Arc::clone(&path), index);
        self.logs.push(Log::new(path, tailer, self.now));
        self.note(index);
        self.make_ready(index);
    }

    /// Makes the indexes of the logs anew, after some were removed.
    pub(super) fn index(&mut self) {
        self.by_path = self.logs.iter().enumerate().map(|(at, log)| (Arc::clone(&log.path), at)).collect();
        self.ready = (0..self.logs.len()).filter(|at| self.logs[*at].is_ready).collect();
        self.share_descriptors();
    }

    /// Returns whether a further log may be followed.
    fn has_room(&self) -> bool {
        self.logs.len() < self.logs_max()
    }

    /// Returns the most logs that may be followed.
    pub(super) fn logs_max(&self) -> usize {
        self.open_max / OPEN_USUALLY
    }

    /// Divides the descriptors among the logs, and spreads the surveys over time.
    pub(super) fn share_descriptors(&mut self) {
        let logs = self.logs.len().max(1);
        let files_max = (self.open_max / logs).clamp(OPEN_MIN, self.options.files_max.max(OPEN_MIN));
        let survey_every =
            self.options.survey_every.max(SURVEY_PER_LOG * u32::try_from(logs).unwrap_or(u32::MAX));
        for log in &mut self.logs {
            log.tailer.set_files_max(files_max);
            log.tailer.set_survey_every(survey_every);
        }
    }

    /// Returns the options for one log.
    pub(super) fn options_of(&self, glob: &Arc<Glob>, log: &Arc<str>) -> TailOptions {
        View::options(&self.options, glob, &self.open, log)
    }

    /// Finds the logs that are there, by path.
    pub(super) fn find_logs(&mut self, glob: &Glob) -> Result<BTreeMap<Arc<str>, Found>, TailError> {
        let fs = Arc::clone(&self.options.fs);
        let pattern = self.options.path.clone();
        let directories = glob.directories(&*fs).map_err(TailError::io("list", &pattern))?;
        // A change after this look is noticed by the next one.
        let stats: Vec<_> = directories.iter().map(|path| fs.stat(path).ok().flatten()).collect();
        let ids: BTreeSet<_> = stats.iter().flatten().map(|stat| stat.id).collect();
        let mut logs: BTreeMap<Arc<str>, Found> = BTreeMap::new();
        for directory in &directories {
            for name in list(&*fs, directory).map_err(TailError::io("list", directory))? {
                let Some(text) = name.to_str() else {
                    if glob.is_log(&name.to_string_lossy()) {
                        let reason = io::Error::new(ErrorKind::InvalidData, "its name is not UTF-8");
                        self.complain(&directory.join(&name), reason);
                    }
                    continue;
                };
                let Some(owner) = glob.owner(text) else { continue };
                let Some(path) = directory.join(&owner).to_str().map(Arc::<str>::from) else {
                    let reason = io::Error::new(ErrorKind::InvalidData, "its path is not UTF-8");
                    self.complain(&directory.join(&owner), reason);
                    continue;
                };
                let is_known = self.by_path.contains_key(&path);
                if owner == text && !is_known {
                    let path = Path::new(&*path);
                    let is_file = fs
                        .stat(path)
                        .map_err(TailError::io("stat", path))?
                        .is_some_and(|stat| stat.is_regular);
                    // What a link leads to is followed under its own name, if it has one here.
                    if !is_file || self.is_link_to_log(glob, path, &ids)? {
                        continue;
                    }
                }
                let found = logs.entry(path).or_default();
                found.is_live |= owner == text;
                if glob.is_taken_for_rotated(text) {
                    found.unclear.get_or_insert_with(|| directory.join(text));
                }
            }
        }
        let directory = |(path, stat): (PathBuf, _)| {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            Directory { path, real, stat, is_watched: false }
        };
        self.set_directories(directories.into_iter().zip(stats).map(directory).collect());
        if logs.is_empty() && self.logs.is_empty() {
            self.complain_of_nothing();
        }
        Ok(logs)
    }

    /// Returns whether a path is a link to another file that is a log by its own name.
    fn is_link_to_log(
        &self,
        glob: &Glob,
        path: &Path,
        directories: &BTreeSet<crate::tail::FileId>,
    ) -> Result<bool, TailError> {
        let fs = &*self.options.fs;
        let Some(target) = fs.link_target(path).map_err(TailError::io("readlink", path))? else {
            return Ok(false);
        };
        let is_here =
            fs.stat(directory_of(&target)).ok().flatten().is_some_and(|stat| directories.contains(&stat.id));
        let is_log =
            || target.file_name().and_then(|name| name.to_str()).is_some_and(|name| glob.is_log(name));
        Ok(is_here && is_log())
    }

    /// Reports, only once, that a path cannot be followed.
    fn complain(&mut self, path: &Path, source: io::Error) {
        if self.complained.insert(path.to_owned()) {
            self.events.push(TailEvent::Unreadable { path: path.to_owned(), source });
        }
    }

    /// Reports, only once, that no log matches.
    fn complain_of_nothing(&mut self) {
        let path = self.options.path.clone();
        if self.complained.insert(path.clone()) {
            self.events.push(TailEvent::Waiting { path });
        }
    }
}
