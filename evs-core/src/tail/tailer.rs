//! The [`Tailer`]: it finds the files of a log, opens them in order, and hands out ranges of them.
//!
//! Each poll looks at the open files, which is cheap. Only if something seems to have changed, or some seconds
//! have passed, does it list the directories and look at every file: that is a survey (`survey.rs`). The survey
//! decides for each file whether it is open, already known, a copy, or unread (`classify.rs`), and queues the
//! unread ones, which `open.rs` opens. After a restart, `resume.rs` and `locate.rs` find the files again that the last
//! run had open.

mod among;
mod backlog;
mod classify;
mod locate;
mod older;
mod open;
mod presume;
mod resume;
mod survey;

pub(super) use locate::Wanted;

use std::{
    collections::{HashMap, VecDeque},
    io, mem,
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use super::{
    backlog::{Pending, Queue},
    catalog::Catalog,
    chunk::{Chunk, Pool},
    error::TailError,
    event::TailEvent,
    excerpt::Excerpt,
    file::{Change, LogFile},
    fs::{FileId, Stat},
    handle::LogHandle,
    names::Names,
    numbers::Numbers,
    options::{ChunkLimits, OnUnreadable, TailOptions},
};
use crate::position::{FileMark, Fingerprint, Frontier, InventoryChange, Standing};

/// The most files that are kept open until the next cut, only to make their bytes durable.
const UNSYNCED_MAX: usize = 64;

/// Finds the files of a log, and hands out ranges of them.
///
/// A file is identified by its bytes. The tailer remembers the bytes that it read, so a file that was renamed,
/// moved or compressed is recognized, and a file with other bytes is unread, wherever its name sorts. Names and
/// times only choose the order of reading: the oldest file goes first. A rotated file stays open and is read
/// until it has not grown for the grace time and a newer file has lines. If it then has bytes after its last LF,
/// these are its last line.
///
/// The caller polls, reads chunks until there are none, and calls [`Tailer::retire`] when it has made its
/// position durable:
///
/// ```no_run
/// use std::time::Instant;
/// use evs_core::internals::tail::{TailOptions, Tailer};
///
/// let mut tailer = Tailer::start(TailOptions::new("/var/log/nginx/access.log"), Instant::now())?;
/// let mut buffer = Vec::new();
/// loop {
///     tailer.poll(Instant::now())?;
///     while let Some(chunk) = tailer.next_chunk()? {
///         let lines = chunk.read(&mut buffer)?;
///         println!("{} bytes", lines.len());
///     }
///     tailer.retire();
///     if tailer.check_end(Instant::now())? {
///         break;
///     }
/// }
/// # Ok::<(), evs_core::TailError>(())
/// ```
pub struct Tailer {
    options: TailOptions,
    limits: ChunkLimits,
    names: Names,
    /// The open files, in the order in which they were opened.
    files: Vec<LogFile>,
    /// Files that were not found again. They stay in the frontier until they are retired, as finished files do.
    gone: Vec<FileMark>,
    /// The number of the next file of which something is read. Numbers start with 1 and are never reused. The logs of a
    /// source share them.
    numbers: Numbers,
    /// The known files that are not open.
    catalog: Catalog,
    /// The unread files that are still to be opened, the next one first.
    queue: Queue,
    /// The newest of the files that have become known since the last cut, and of which nothing was read.
    unsynced: VecDeque<Arc<LogHandle>>,
    /// Files that cannot be read yet, and are tried again.
    pending: Vec<Pending>,
    /// The file that may grow for ever. This is the live file, or the newest file while the live one is missing
    /// or empty.
    current: Option<FileId>,
    /// The state of the directories at the last survey. If it differs now, files have come, gone or changed
    /// their names.
    signature: Vec<Option<Stat>>,
    /// The time of the next survey, even if nothing changes.
    survey_due: Instant,
    /// The earliest time of the next survey, even if something changes: surveys of large directories take long.
    survey_rest: Instant,
    /// Since when unread files have been missing.
    missing_since: Option<Instant>,
    /// True while the tailer looks for the files of an earlier run. The survey then does not decide yet that unread
    /// files are gone: the time that they may be missing starts with the first poll.
    is_resuming: bool,
    /// True if the last survey saw files change, or saw something else that a later survey will decide.
    is_unsettled: bool,
    /// The newest files without bytes. As soon as one of them has bytes, a survey is due.
    empty: Vec<PathBuf>,
    /// A cache of the contents of compressed files, by their compressed bytes, so that each is decompressed only
    /// once.
    unpacked: HashMap<Fingerprint, Excerpt>,
    /// True once a file of the log, even an empty one, was seen.
    has_found_any: bool,
    /// True if the last settled survey found no file, not even an empty one.
    is_nameless: bool,
    /// True if reading begins after the last line of the source's first file.
    begins_at_end: bool,
    /// The reason of the last [`TailEvent::Waiting`] or [`TailEvent::Unreadable`], so that each is reported only
    /// once.
    complaint: Option<io::ErrorKind>,
    /// Events that the caller has not taken yet.
    events: Vec<TailEvent>,
    /// Buffers for decompressed bytes.
    pool: Pool,
    /// The time of the last poll.
    now: Instant,
}

impl Tailer {
    /// Creates a tailer that knows the files of `catalog` and has none open.
    fn new(options: TailOptions, catalog: Catalog, numbers: Numbers, now: Instant) -> Self {
        Self {
            limits: options.limits(),
            names: Names::new(&options),
            options,
            files: Vec::new(),
            gone: Vec::new(),
            numbers,
            catalog,
            queue: Queue::default(),
            unsynced: VecDeque::new(),
            pending: Vec::new(),
            current: None,
            signature: Vec::new(),
            survey_due: now,
            survey_rest: now,
            missing_since: None,
            is_resuming: false,
            is_unsettled: false,
            empty: Vec::new(),
            unpacked: HashMap::new(),
            has_found_any: false,
            is_nameless: false,
            begins_at_end: false,
            complaint: None,
            events: Vec::new(),
            pool: Pool::default(),
            now,
        }
    }

    /// Replaces the options that say what to do when a file is gone, has changed or cannot be read.
    pub(crate) fn set_options(&mut self, options: &TailOptions) {
        self.options.on_gone = options.on_gone;
        self.options.on_changed = options.on_changed;
        self.options.on_unreadable = options.on_unreadable;
    }

    /// Looks for growth, truncation and rotation. `now` must never go back.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, if an unread file is [gone](TailError::Gone) or [cannot be
    /// decompressed](TailError::Damaged), or if the log is not a [regular file](TailError::NotRegular).
    pub fn poll(&mut self, now: Instant) -> Result<(), TailError> {
        let polled = self.try_poll(now);
        self.unless_damaged(polled, ())
    }

    fn try_poll(&mut self, now: Instant) -> Result<(), TailError> {
        self.now = self.now.max(now);
        let mut has_changed = self.is_unsettled;
        for index in 0..self.files.len() {
            has_changed |= self.look(index)?;
        }
        has_changed |= self.look_at_live()?;
        let fs = &*self.options.fs;
        let has_bytes =
            |path: &PathBuf| fs.stat(path).is_ok_and(|stat| stat.is_some_and(|stat| stat.size > 0));
        has_changed |= self.empty.iter().any(has_bytes);
        let signature = self.signature();
        has_changed |= signature != self.signature || signature.iter().any(Option::is_none);
        if self.now >= self.survey_due || (has_changed && self.now >= self.survey_rest) {
            self.survey()?;
        }
        self.close_quiet();
        Ok(())
    }

    /// Returns the next range to read.
    ///
    /// Returns `None` if the last poll found nothing more, or if too many files are open and finished ones must
    /// [retire](Self::retire) first.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, TailError> {
        loop {
            for index in 0..self.files.len() {
                let file = &mut self.files[index];
                let was_done = file.is_done();
                let next = match file.next(self.limits, &self.pool) {
                    Err(TailError::Damaged { .. }) if self.options.on_unreadable == OnUnreadable::Skip => {
                        self.leave_out(index)?;
                        continue;
                    }
                    next => next?,
                };
                let file = &mut self.files[index];
                if let Some(mut chunk) = next {
                    if file.number() == 0 {
                        file.set_number(self.numbers.take_file());
                        chunk.number = file.number();
                        self.forget_unread(index);
                    }
                    return Ok(Some(chunk));
                }
                if file.is_done() && !was_done {
                    let (number, path, size) = (file.number(), file.path().to_owned(), file.size());
                    self.events.push(TailEvent::Finished { number, path, size });
                }
            }
            let is_opened = self.open_next();
            if !self.unless_damaged(is_opened, false)? {
                return Ok(None);
            }
        }
    }

    /// Looks at all files again, and returns true if every complete line of them has been handed out.
    ///
    /// # Errors
    ///
    /// The same as for [`Tailer::poll`].
    pub fn check_end(&mut self, now: Instant) -> Result<bool, TailError> {
        let is_at_end = self.try_check_end(now);
        self.unless_damaged(is_at_end, false)
    }

    fn try_check_end(&mut self, now: Instant) -> Result<bool, TailError> {
        self.now = self.now.max(now);
        if !self.is_at_end() {
            return Ok(false);
        }
        let before: Vec<u64> = self.files.iter().map(LogFile::size).collect();
        for index in 0..self.files.len() {
            self.look(index)?;
        }
        self.survey()?;
        self.close_quiet();
        let is_unchanged = self.files.iter().map(LogFile::size).eq(before);
        Ok(is_unchanged && self.is_at_end())
    }

    /// Returns true if every complete line that the last poll found has been handed out.
    pub fn is_at_end(&self) -> bool {
        let is_finished = |file: &LogFile| {
            let may_be_finished = self.current != Some(file.id()) && file.has_unfinished_line();
            !file.has_more() && !may_be_finished
        };
        !self.is_unsettled
            && self.queue.is_empty()
            && self.pending.iter().all(|pending| self.may_skip(pending))
            && self.files.iter().all(is_finished)
    }

    /// Returns true if a file that cannot be read may be left out.
    fn may_skip(&self, pending: &Pending) -> bool {
        self.options.on_unreadable == OnUnreadable::Skip
            && matches!(pending.error, TailError::Io { .. })
            && self.names.live() != Some(&*pending.path)
    }

    /// Returns the position up to which the log has been handed out.
    pub fn frontier(&self) -> Frontier {
        let read = self.files.iter().filter(|file| file.number() > 0);
        let mut files: Vec<FileMark> = read.map(LogFile::mark).collect();
        files.extend(self.gone.iter().cloned());
        files.sort_by_key(|mark| mark.number);
        debug_assert!(files.is_sorted_by(|one, next| one.number < next.number), "numbers are unique");
        debug_assert!(files.iter().all(|mark| mark.start <= mark.offset), "reading goes on from its start");
        Frontier::new(files)
    }

    /// Returns the changes of the known files since the last call. The caller makes them durable together with
    /// [`Tailer::frontier`].
    pub fn take_change(&mut self) -> InventoryChange {
        self.catalog.take_change()
    }

    /// Returns the files of [`Tailer::frontier`], and those that [`Tailer::take_change`] makes known. Their bytes must be
    /// made durable before the frontier and the change are: a power cut must not leave a position after bytes that it
    /// has removed, nor a file with fewer bytes than those by which it is recognized.
    pub fn handles(&mut self) -> Vec<Arc<LogHandle>> {
        let open = self.files.iter().map(|file| Arc::clone(file.handle()));
        open.chain(mem::take(&mut self.unsynced)).collect()
    }

    /// Remembers that the next cut has to make the bytes of a file durable, of which nothing was read.
    ///
    /// If there are too many, the oldest file is left out. It was rotated before many others, so its bytes are durable
    /// by now, unless all of these were written in the last half minute.
    fn note_unsynced(&mut self, handle: &Arc<LogHandle>) {
        if self.unsynced.len() >= UNSYNCED_MAX {
            self.unsynced.pop_front();
        }
        self.unsynced.push_back(Arc::clone(handle));
    }

    /// Returns true if [`Tailer::retire`] would change the frontier.
    pub fn has_retired(&self) -> bool {
        self.has_retired_except(self.last_number())
    }

    /// Returns true if [`Tailer::retire_except`] would change the frontier.
    pub(super) fn has_retired_except(&self, last: u64) -> bool {
        let is_retired = |number: u64| number > 0 && number != last;
        self.files.iter().any(|file| file.is_done() && is_retired(file.number()))
            || self.gone.iter().any(|mark| is_retired(mark.number))
    }

    /// Returns true if the log has had any file, even an empty one.
    pub fn has_found_any(&self) -> bool {
        self.has_found_any
    }

    /// Returns true if no further file can be opened until finished ones retire.
    pub fn is_full(&self) -> bool {
        self.files.len() >= self.options.files_max
    }

    /// Moves the finished files from the frontier to the known files. Call it when every statistic has been cut,
    /// so that none needs these files any more.
    pub fn retire(&mut self) {
        // The file with the highest number stays, so that after a restart new numbers continue after it.
        self.retire_except(self.last_number());
    }

    /// The same, with another file that stays.
    pub(super) fn retire_except(&mut self, last: u64) {
        self.gone.retain(|mark| mark.number == last);
        let is_retired = |file: &mut LogFile| file.is_done() && file.number() != last;
        let retired: Vec<LogFile> = self.files.extract_if(.., is_retired).collect();
        for file in retired {
            self.know_finished(&file);
        }
    }

    /// Returns the events since the last call.
    pub fn take_events(&mut self) -> Vec<TailEvent> {
        mem::take(&mut self.events)
    }

    /// Returns the highest number in use, or 0 if no file has one.
    pub(super) fn last_number(&self) -> u64 {
        let open = self.files.iter().map(LogFile::number);
        open.chain(self.gone.iter().map(|mark| mark.number)).max().unwrap_or(0)
    }

    /// Adds a finished file to the known ones.
    fn know_finished(&mut self, file: &LogFile) {
        if file.offset() > 0 {
            let content = file.content();
            let packed = file.packed().filter(|_| !file.has_lost_its_bytes());
            let id = self.catalog.add(Standing::Finished, content.head, Some(content), packed, file.path());
            if !file.has_lost_its_bytes() {
                self.catalog.see(id, file.path());
            }
        }
    }

    /// Removes a file from the unread ones, now that something of it was handed out: the frontier lists it from
    /// here on.
    fn forget_unread(&mut self, index: usize) {
        let file = &self.files[index];
        let known = self.catalog.with_head(file.head());
        let unread = known.iter().filter(|known| known.standing == Standing::Unread);
        unread.for_each(|known| self.catalog.remove(known.id));
    }

    /// Looks at one open file. Returns true if it makes a survey necessary.
    fn look(&mut self, index: usize) -> Result<bool, TailError> {
        match self.files[index].look(self.now, self.options.grace)? {
            Change::None => {}
            Change::Shorter(lost) => self.tell_truncated(index, lost, true),
            Change::Truncated => return Ok(true),
        }
        Ok(self.files[index].is_truncated())
    }

    /// Returns true if the live name leads to a file that has bytes and is not open.
    fn look_at_live(&mut self) -> Result<bool, TailError> {
        let Some(live) = self.names.live() else { return Ok(false) };
        let stat = match self.options.fs.stat(live) {
            Ok(stat) => stat,
            Err(source) => {
                self.complain(&TailError::io("stat", &self.options.path)(source));
                return Ok(false);
            }
        };
        let Some(stat) = stat else { return Ok(false) };
        if !stat.is_regular {
            return Err(TailError::NotRegular { path: live.to_owned() });
        }
        let is_open = self.files.iter().any(|file| file.id() == stat.id && !file.has_lost_its_bytes());
        Ok(stat.size > 0 && !is_open)
    }

    /// Returns the state of the directories and of the live name.
    fn signature(&self) -> Vec<Option<Stat>> {
        let fs = &*self.options.fs;
        let mut signature: Vec<_> =
            self.names.directories(fs).iter().map(|path| fs.stat(path).ok().flatten()).collect();
        signature.iter_mut().flatten().for_each(|stat| stat.size = 0);
        signature
    }

    /// Closes the rotated files that have not grown for the grace time.
    fn close_quiet(&mut self) {
        let (now, current) = (self.now, self.current);
        // If the open files are too many, a file without an unfinished line can be closed earlier. If it grows
        // later, it is opened again.
        let is_tight = self.files.len() >= self.options.files_max && !self.has_retired();
        for file in &mut self.files {
            let is_current = current.is_none_or(|current| current == file.id());
            // A file that was opened since the last survey may be the live one.
            let is_known_rotated = !is_current && file.is_rotated() && !self.is_unsettled;
            let may_close = file.is_quiet(now) || (is_tight && !file.has_unfinished_line());
            if !file.is_plain() || (is_known_rotated && may_close) {
                file.close();
            }
        }
        self.files.retain(|file| file.number() > 0 || !file.is_done());
    }

    /// Reports that a file was truncated.
    fn tell_truncated(&mut self, index: usize, lost: u64, is_known: bool) {
        let file = &self.files[index];
        self.events.push(TailEvent::Truncated {
            number: file.number(),
            path: file.path().to_owned(),
            offset: file.offset(),
            lost,
            is_known,
        });
    }

    /// Reports, only once, that the log does not exist.
    fn wait(&mut self) {
        if self.complaint.replace(io::ErrorKind::NotFound) != Some(io::ErrorKind::NotFound) {
            self.events.push(TailEvent::Waiting { path: self.options.path.clone() });
        }
    }

    /// Reports, only once, why a file cannot be opened.
    fn complain(&mut self, error: &TailError) {
        if let TailError::Io { path, source, .. } = error
            && self.complaint.replace(source.kind()) != Some(source.kind())
        {
            let source = io::Error::new(source.kind(), source.to_string());
            self.events.push(TailEvent::Unreadable { path: path.clone(), source });
        }
    }
}
