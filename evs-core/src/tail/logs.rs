//! The logs of a source: one, or all that a pattern matches.
//!
//! Each log is followed by a [`Tailer`] of its own, which knows nothing of the others. [`Logs`] owns them all, on one
//! thread: it finds the logs (`discover.rs`), asks in turn those that have something to read, and makes one position of
//! theirs. What is shared:
//!
//! - **Numbers.** All files of the source have numbers from one sequence (`numbers.rs`). So the position of the source is
//!   the list of all their open files by number, and means what the position of a single log means.
//! - **Names.** Each file belongs to one log by its name (`globs.rs`), and to the log that has it open whatever its name is
//!   (`view.rs`).
//! - **Descriptors.** The logs may have a limited number of files open together.
//!
//! A log that has nothing to read is *quiet*, and is polled seldom: when the file system reports a change of one of its
//! files, and every few seconds. If the file system cannot tell, it is polled every [`QUIET_EVERY`].

mod discover;
mod forget;
mod hints;
mod start;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    backlog::Backlog,
    chunk::{Chunk, ChunkKind},
    error::TailError,
    event::TailEvent,
    fs::{FileId, Stat},
    globs::Glob,
    handle::LogHandle,
    numbers::Numbers,
    options::{Begin, TailOptions},
    tailer::Tailer,
    view::OpenFiles,
    wake::Wake,
};
use crate::position::{FileMark, Frontier, InventoryChange, KnownFile, OlderFiles};

/// The interval at which a log of several is polled while it has something to read, or is being rotated.
const BUSY_EVERY: Duration = Duration::from_millis(100);
/// The interval at which a quiet log of several is polled.
const QUIET_EVERY: Duration = Duration::from_millis(250);
/// Per log of a source, the interval at which each looks at all of its files: a thousand logs do so every 50 s.
const SURVEY_PER_LOG: Duration = Duration::from_millis(50);

/// Follows one log, or all logs that a pattern matches, and hands out ranges of them.
///
/// ```no_run
/// use std::time::Instant;
/// use evs_core::internals::tail::{Logs, TailOptions};
///
/// let options = TailOptions::new("/var/log/nginx/*.access.log");
/// let mut logs = Logs::resume(options, &[], None, Instant::now())?;
/// let mut buffer = Vec::new();
/// logs.poll(Instant::now())?;
/// while let Some(chunk) = logs.next_chunk()? {
///     let log = chunk.log.clone().unwrap_or_default();
///     println!("{log}: {} bytes", chunk.read(&mut buffer)?.len());
/// }
/// # Ok::<(), evs_core::TailError>(())
/// ```
pub struct Logs {
    options: TailOptions,
    /// The pattern; `None` if there is one log.
    glob: Option<Arc<Glob>>,
    numbers: Numbers,
    open: Arc<OpenFiles>,
    logs: Vec<Log>,
    /// The indices of the logs by their paths.
    by_path: HashMap<Arc<str>, usize>,
    /// The logs that may have a chunk, in the order in which they are asked.
    ready: VecDeque<usize>,
    /// The directories of the pattern, and their state when the logs were last searched.
    directories: Vec<Directory>,
    /// When the logs are searched next, even if nothing changes, and the earliest time if something does.
    discover_due: Instant,
    discover_rest: Instant,
    /// The known files of logs that are no longer followed, so that such a log is recognized if it comes back.
    forgotten: Vec<Arc<KnownFile>>,
    /// Changes of the inventory that no log makes: ids of forgotten files, and what forgotten logs had not made durable.
    change: InventoryChange,
    /// The file with the highest number, if its log is no longer followed: later numbers continue after it.
    kept: Option<FileMark>,
    /// Paths that were reported because they cannot be followed.
    complained: HashSet<PathBuf>,
    /// The most files that may be open together.
    open_max: usize,
    events: Vec<TailEvent>,
    /// What tells of changes, if the file system can.
    wake: Option<Wake>,
    now: Instant,
}

/// A directory in which logs may be.
struct Directory {
    path: PathBuf,
    /// Its real path, by which the file system names it.
    real: PathBuf,
    /// Its state when it was last searched.
    stat: Option<Stat>,
    /// True if the file system tells of changes there.
    is_watched: bool,
}

/// One log of a source.
struct Log {
    path: Arc<str>,
    tailer: Tailer,
    /// When it is polled next.
    due: Instant,
    /// True if it is in [`Logs::ready`].
    is_ready: bool,
    /// True if its position may have changed since `marks` was made.
    is_touched: bool,
    /// True if something of it was not durable at the last cut.
    is_dirty: bool,
    /// Its part of the position.
    marks: Vec<FileMark>,
    /// The files that it has open.
    open: Vec<FileId>,
    /// Since when it has had no file at all.
    vanished_since: Option<Instant>,
}

impl Log {
    fn new(path: Arc<str>, tailer: Tailer, now: Instant) -> Self {
        Self {
            path,
            tailer,
            due: now,
            is_ready: false,
            is_touched: true,
            is_dirty: true,
            marks: Vec::new(),
            open: Vec::new(),
            vanished_since: None,
        }
    }
}

impl Logs {
    /// Replaces the options that say what to do when a file is gone, has changed or cannot be read.
    pub(crate) fn set_options(&mut self, options: &TailOptions) {
        self.options.on_gone = options.on_gone;
        self.options.on_changed = options.on_changed;
        self.options.on_unreadable = options.on_unreadable;
        self.logs.iter_mut().for_each(|log| log.tailer.set_options(options));
    }

    /// Returns the number of logs that are followed.
    pub fn len(&self) -> usize {
        self.logs.len()
    }

    /// Returns whether no log is followed.
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    /// Looks for growth, truncation and rotation, and for new logs. `now` must never go back.
    ///
    /// # Errors
    ///
    /// The same as for [`Tailer::poll`]. All other logs have been polled nevertheless.
    pub fn poll(&mut self, now: Instant) -> Result<(), TailError> {
        self.now = self.now.max(now);
        self.follow_hints();
        let mut result = self.discover_when_due();
        for index in 0..self.logs.len() {
            if self.glob.is_none() || self.logs[index].due <= self.now {
                result = result.and(self.poll_log(index));
            }
        }
        self.forget_vanished();
        result
    }

    /// Polls one log.
    fn poll_log(&mut self, index: usize) -> Result<(), TailError> {
        let log = &mut self.logs[index];
        let polled = log.tailer.poll(self.now);
        let is_quiet = polled.is_ok() && log.tailer.is_quiet();
        self.logs[index].due = self.now + if is_quiet { self.quiet_for(index) } else { BUSY_EVERY };
        self.note(index);
        self.make_ready(index);
        polled
    }

    /// Returns the next range to read: of each log that has something, in turn.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, TailError> {
        while let Some(index) = self.ready.pop_front() {
            let log = &mut self.logs[index];
            let next = log.tailer.next_chunk();
            log.is_ready = matches!(next, Ok(Some(_)) | Err(_));
            if log.is_ready {
                self.ready.push_back(index);
            } else {
                // It may have grown since the last poll.
                log.due = self.now;
            }
            self.note(index);
            if let Some(mut chunk) = next? {
                let log = &mut self.logs[index];
                chunk.log = Some(Arc::clone(&log.path));
                if chunk.kind != ChunkKind::Final {
                    // Somebody still writes to it, although it has no name.
                    log.vanished_since = None;
                }
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    /// Looks at all files again, and returns true if every complete line of every log has been handed out.
    ///
    /// # Errors
    ///
    /// The same as for [`Logs::poll`].
    pub fn check_end(&mut self, now: Instant) -> Result<bool, TailError> {
        self.now = self.now.max(now);
        let before = self.logs.len();
        self.discover()?;
        let mut is_at_end = before == self.logs.len();
        for index in 0..self.logs.len() {
            is_at_end &= self.logs[index].tailer.check_end(self.now)?;
            self.note(index);
            self.make_ready(index);
        }
        Ok(is_at_end)
    }

    /// Returns true if every complete line that the last polls found has been handed out.
    pub fn is_at_end(&self) -> bool {
        self.logs.iter().all(|log| log.tailer.is_at_end())
    }

    /// Returns the position up to which the logs have been handed out.
    pub fn frontier(&mut self) -> Frontier {
        self.refresh();
        let marks = self.logs.iter().flat_map(|log| &log.marks);
        let mut files: Vec<FileMark> = marks.chain(&self.kept).cloned().collect();
        files.sort_by_key(|mark| mark.number);
        debug_assert!(files.is_sorted_by(|one, next| one.number < next.number), "numbers are unique");
        Frontier::new(files)
    }

    /// Returns the changes of the known files since the last call.
    pub fn take_change(&mut self) -> InventoryChange {
        let mut all = std::mem::take(&mut self.change);
        for log in &mut self.logs {
            let change = log.tailer.take_change();
            all.removed.extend(change.removed);
            match &self.glob {
                None => all.added.extend(change.added),
                Some(_) => all.added.extend(change.added.iter().map(|file| of_log(file, &log.path))),
            }
        }
        all
    }

    /// Returns the files that must be made durable before [`Logs::frontier`] and [`Logs::take_change`] are. A file whose
    /// position and facts are those of the last call is left out: it was made durable then.
    pub fn handles(&mut self) -> Vec<Arc<LogHandle>> {
        self.refresh();
        let mut handles = Vec::new();
        for log in &mut self.logs {
            if std::mem::take(&mut log.is_dirty) || self.glob.is_none() || log.tailer.has_unsynced() {
                handles.extend(log.tailer.handles());
            }
        }
        handles
    }

    /// Returns true if [`Logs::retire`] would change the frontier.
    pub fn has_retired(&self) -> bool {
        let last = self.last_number();
        self.kept.as_ref().is_some_and(|kept| kept.number != last)
            || self.logs.iter().any(|log| log.tailer.has_retired_except(self.retained(log, last)))
    }

    /// Returns true if some log cannot open a further file until finished ones retire.
    pub fn is_full(&self) -> bool {
        self.logs.iter().any(|log| log.tailer.is_full())
    }

    /// Moves the finished files from the frontier to the known files. Call it when every statistic has been cut.
    pub fn retire(&mut self) {
        let last = self.last_number();
        self.kept.take_if(|kept| kept.number != last);
        for index in 0..self.logs.len() {
            let retained = self.retained(&self.logs[index], last);
            let log = &mut self.logs[index];
            if !log.tailer.has_retired_except(retained) {
                continue;
            }
            let finished: Vec<_> = log.tailer.finished().collect();
            log.tailer.retire_except(retained);
            for (file, met_by) in self.note(index) {
                let Some(finished) = finished.iter().find(|finished| finished.id == file) else { continue };
                for other in met_by {
                    let Some(&other) = self.by_path.get(&other) else { continue };
                    self.logs[other].tailer.take_over(finished);
                    self.logs[other].due = self.now;
                    self.note(other);
                }
            }
            self.make_ready(index);
        }
    }

    /// Returns the events since the last call.
    pub fn take_events(&mut self) -> Vec<TailEvent> {
        let mut events = std::mem::take(&mut self.events);
        for log in &mut self.logs {
            events.append(&mut log.tailer.take_events());
        }
        events
    }

    /// Returns true if there has been any file, even an empty one.
    pub fn has_found_any(&self) -> bool {
        self.logs.iter().any(|log| log.tailer.has_found_any())
    }

    /// Returns the amount of data that the last polls found and that has not been handed out.
    pub fn backlog(&self) -> Backlog {
        let mut all = Backlog::default();
        for log in &self.logs {
            let Backlog { bytes, files, is_estimated } = log.tailer.backlog();
            all.bytes += bytes;
            all.files += files;
            all.is_estimated |= is_estimated;
        }
        all
    }

    /// Returns what lies before [`Logs::frontier`] and is still there: see [`Tailer::older_files`]. The logs come one after
    /// the other.
    ///
    /// # Errors
    ///
    /// The same as for [`Tailer::older_files`].
    pub fn older_files(&mut self, begin: Begin) -> Result<OlderFiles, TailError> {
        let mut all = Vec::new();
        for index in 0..self.logs.len() {
            let older = self.logs[index].tailer.older_files(begin);
            self.note(index);
            self.make_ready(index);
            match &self.glob {
                None => return older,
                Some(_) => all.extend(older?.iter().map(|file| of_log(file, &self.logs[index].path))),
            }
        }
        Ok(all.into())
    }

    /// Returns the highest number of a file in the position.
    fn last_number(&self) -> u64 {
        let logs = self.logs.iter().map(|log| log.tailer.last_number());
        logs.chain(self.kept.iter().map(|mark| mark.number)).max().unwrap_or(0)
    }

    /// Returns the number of the file of a log that does not retire: its last one, and of a log that has vanished only the
    /// last one of the source.
    fn retained(&self, log: &Log, last: u64) -> u64 {
        if self.is_leaving(log) { last } else { log.tailer.last_number() }
    }

    /// Makes the parts of the position anew that may have changed.
    fn refresh(&mut self) {
        for log in self.logs.iter_mut().filter(|log| log.is_touched) {
            log.is_touched = false;
            let mut marks = log.tailer.frontier().files;
            if self.glob.is_some() {
                marks.iter_mut().for_each(|mark| mark.log = Some(Arc::clone(&log.path)));
            }
            if marks != log.marks {
                (log.marks, log.is_dirty) = (marks, true);
            }
        }
    }

    /// Takes note of what a call has changed in a log. Returns the files that it has closed, and the other logs that have
    /// met them.
    fn note(&mut self, index: usize) -> Vec<(FileId, Vec<Arc<str>>)> {
        let log = &mut self.logs[index];
        log.is_touched = true;
        if self.glob.is_none() || log.tailer.open_ids().eq(log.open.iter().copied()) {
            return Vec::new();
        }
        let before = std::mem::replace(&mut log.open, log.tailer.open_ids().collect());
        log.open.iter().for_each(|file| self.open.open(*file, &log.path));
        let closed = before.into_iter().filter(|file| !log.open.contains(file));
        closed.map(|file| (file, self.open.close(file, &log.path))).collect()
    }

    /// Has a log asked for its next chunk, if it may have one.
    fn make_ready(&mut self, index: usize) {
        let log = &mut self.logs[index];
        if !log.is_ready && !log.tailer.is_at_end() {
            log.is_ready = true;
            self.ready.push_back(index);
        }
    }
}

/// Returns a known file as one of a log.
fn of_log(file: &KnownFile, log: &Arc<str>) -> Arc<KnownFile> {
    Arc::new(KnownFile { log: Some(Arc::clone(log)), ..file.clone() })
}
