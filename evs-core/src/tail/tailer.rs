mod backlog;
mod classify;
mod locate;
mod resume;
mod survey;

use std::{collections::HashMap, io, path::PathBuf, sync::Arc, time::Instant};

use super::{
    Chunk, FileMark, Fingerprint, Frontier, InventoryChange, LogHandle, OnUnreadable, Standing, TailError,
    TailEvent, TailOptions,
    catalog::Catalog,
    chunk::Pool,
    file::{Change, Entry, LogFile, last_line_end},
    fs::{FileId, Stat},
    names::Names,
    options::Limits,
    survey::{Look, Survey, tail_before},
};
pub use backlog::Backlog;
use backlog::{Pending, Queue};

/// How many files are open at once, those included that are finished and not yet retired.
const FILES_MAX: usize = 64;

/// Knows the files of a log, and hands out ranges of them.
///
/// A file is known by its bytes: those that were read are remembered, whatever becomes of their names, and a
/// file with other bytes is unread, wherever its name stands. Names and times only choose the order of reading:
/// the oldest file goes first. A rotated file is kept open and read until it has not grown for the grace time
/// and a newer one has lines; whatever it has after its last LF then is its last line.
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
    limits: Limits,
    names: Names,
    /// In the order in which they were opened.
    files: Vec<LogFile>,
    /// Files that were not found again, in the frontier until they are retired like finished ones.
    gone: Vec<FileMark>,
    next_number: u64,
    /// The files that are known and not open.
    catalog: Catalog,
    /// The files that are still to be opened.
    queue: Queue,
    /// Files that cannot be read yet.
    pending: Vec<Pending>,
    /// The file that may grow for ever: the live one; or, as long as that is missing or empty, the newest.
    current: Option<FileId>,
    /// What the directories were when all files were looked at last.
    signature: Vec<Option<Stat>>,
    /// When all files are looked at next, whatever happens.
    survey_due: Instant,
    /// Before that, all files are not looked at again.
    survey_rest: Instant,
    /// Since when files are missing that were not read.
    missing_since: Option<Instant>,
    /// Whether the files of an earlier run are being found: whoever asks waits by himself.
    is_resuming: bool,
    /// Whether the last look at all files found them changing, or something else that will be clear later.
    is_unsettled: bool,
    /// The newest files that had no bytes.
    empty: Vec<PathBuf>,
    /// What compressed files have in them, by their bytes.
    unpacked: HashMap<Fingerprint, Survey>,
    has_found_any: bool,
    /// Whether the source's first file is begun after its last line.
    begins_at_end: bool,
    /// What [`TailEvent::Waiting`] or [`TailEvent::Unreadable`] was said about last.
    complaint: Option<io::ErrorKind>,
    events: Vec<TailEvent>,
    pool: Pool,
    now: Instant,
}

impl Tailer {
    fn new(options: TailOptions, catalog: Catalog, now: Instant) -> Self {
        Self {
            limits: options.limits(),
            names: Names::new(&options),
            options,
            files: Vec::new(),
            gone: Vec::new(),
            next_number: 1,
            catalog,
            queue: Queue::default(),
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
            begins_at_end: false,
            complaint: None,
            events: Vec::new(),
            pool: Pool::default(),
            now,
        }
    }

    /// Sets what to do when a file is gone, has changed or cannot be read.
    pub(crate) fn set_options(&mut self, options: &TailOptions) {
        self.options.on_gone = options.on_gone;
        self.options.on_changed = options.on_changed;
        self.options.on_unreadable = options.on_unreadable;
    }

    /// Looks for growth, truncation and rotation. `now` never goes back.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, a file that was not read is [gone](TailError::Gone) or
    /// [cannot be decompressed](TailError::Damaged), or the log is no [regular file](TailError::NotRegular).
    pub fn poll(&mut self, now: Instant) -> Result<(), TailError> {
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

    /// The next range to read; `None` if there is nothing more as of the last poll, or finished files have to
    /// [retire](Self::retire) first.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, TailError> {
        loop {
            for index in 0..self.files.len() {
                let file = &mut self.files[index];
                let was_done = file.is_done();
                if let Some(mut chunk) = file.next(self.limits, &self.pool)? {
                    if file.number() == 0 {
                        file.set_number(self.next_number);
                        self.next_number += 1;
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
            if !self.open_next()? {
                return Ok(None);
            }
        }
    }

    /// Looks at all files again, and says whether every complete line of them has been handed out.
    ///
    /// # Errors
    ///
    /// As [`Tailer::poll`].
    pub fn check_end(&mut self, now: Instant) -> Result<bool, TailError> {
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

    /// Whether every complete line that is known has been handed out.
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

    /// Whether a file that cannot be read may be left out.
    fn may_skip(&self, pending: &Pending) -> bool {
        self.options.on_unreadable == OnUnreadable::Skip
            && matches!(pending.error, TailError::Io { .. })
            && self.names.live() != Some(&*pending.path)
    }

    /// Up to where the log has been handed out.
    pub fn frontier(&self) -> Frontier {
        let read = self.files.iter().filter(|file| file.number() > 0);
        let mut files: Vec<FileMark> = read.map(LogFile::mark).collect();
        files.extend(self.gone.iter().cloned());
        files.sort_by_key(|mark| mark.number);
        Frontier { files }
    }

    /// What has changed of the known files since the last call. It is to become durable together with
    /// [`Tailer::frontier`].
    pub fn take_change(&mut self) -> InventoryChange {
        self.catalog.take_change()
    }

    /// The files of [`Tailer::frontier`], which are to be made durable before it is.
    pub fn handles(&self) -> Vec<Arc<LogHandle>> {
        let read = self.files.iter().filter(|file| file.number() > 0);
        read.map(|file| Arc::clone(file.handle())).collect()
    }

    /// Whether [`Tailer::retire`] would change the frontier.
    pub fn has_retired(&self) -> bool {
        let last = self.last_number();
        let is_retired = |number: u64| number > 0 && number != last;
        self.files.iter().any(|file| file.is_done() && is_retired(file.number()))
            || self.gone.iter().any(|mark| is_retired(mark.number))
    }

    /// Whether there was any file, an empty one included.
    pub fn has_found_any(&self) -> bool {
        self.has_found_any
    }

    /// Whether no further file can be opened until finished ones retire.
    pub fn is_full(&self) -> bool {
        self.files.len() >= FILES_MAX
    }

    /// Takes the finished files out of the frontier and among the known ones. Is to be called when every
    /// statistic is cut, so that none needs them any more.
    pub fn retire(&mut self) {
        // The one with the highest number stays: numbers go on after it.
        let last = self.last_number();
        self.gone.retain(|mark| mark.number == last);
        let is_retired = |file: &mut LogFile| file.is_done() && file.number() != last;
        let retired: Vec<LogFile> = self.files.extract_if(.., is_retired).collect();
        for file in retired {
            self.know_finished(&file);
        }
    }

    /// What has happened since the last call.
    pub fn take_events(&mut self) -> Vec<TailEvent> {
        std::mem::take(&mut self.events)
    }

    fn last_number(&self) -> u64 {
        let open = self.files.iter().map(LogFile::number);
        open.chain(self.gone.iter().map(|mark| mark.number)).max().unwrap_or(0)
    }

    /// Adds a file that has been read to the known ones.
    fn know_finished(&mut self, file: &LogFile) {
        if file.offset() > 0 {
            let content = file.content();
            let packed = file.packed().filter(|_| !file.has_lost_its_bytes());
            self.catalog.add(Standing::Finished, content.head, Some(content), packed, file.path());
        }
    }

    /// Something of a file has been handed out: it is in the frontier, and no longer among the unread ones.
    fn forget_unread(&mut self, index: usize) {
        let file = &self.files[index];
        let known = self.catalog.with_head(file.head());
        let unread = known.iter().filter(|known| known.standing == Standing::Unread);
        unread.for_each(|known| self.catalog.remove(known.id));
    }

    /// Looks at one file. Whether all files are to be looked at because of it.
    fn look(&mut self, index: usize) -> Result<bool, TailError> {
        match self.files[index].look(self.now, self.options.grace)? {
            Change::None => {}
            Change::Shorter(lost) => self.tell_truncated(index, lost, true),
            Change::Truncated => return Ok(true),
        }
        Ok(self.files[index].is_truncated())
    }

    /// Whether the log's name stands for a file with bytes that is not open.
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

    /// What the directories and the live name are.
    fn signature(&self) -> Vec<Option<Stat>> {
        let fs = &*self.options.fs;
        let mut signature: Vec<_> =
            self.names.directories(fs).iter().map(|path| fs.stat(path).ok().flatten()).collect();
        signature.iter_mut().flatten().for_each(|stat| stat.size = 0);
        signature
    }

    /// Closes rotated files that have not grown for the grace time.
    fn close_quiet(&mut self) {
        let (now, current) = (self.now, self.current);
        // What is complete can be closed earlier if others need the room: should it grow, it is opened again.
        let is_tight = self.files.len() >= FILES_MAX && !self.has_retired();
        for file in &mut self.files {
            let is_current = current.is_none_or(|current| current == file.id());
            // A file that was opened since the last look at all files may be the live one.
            let is_known_rotated = !is_current && file.is_rotated() && !self.is_unsettled;
            let may_close = file.is_quiet(now) || (is_tight && !file.has_unfinished_line());
            if !file.is_plain() || (is_known_rotated && may_close) {
                file.close();
            }
        }
        self.files.retain(|file| file.number() > 0 || !file.is_done());
    }

    /// Opens the next file that has not been read. `false` if there is none, or it has to wait.
    fn open_next(&mut self) -> Result<bool, TailError> {
        while self.files.len() < FILES_MAX {
            let Some(next) = self.queue.pop() else { return Ok(false) };
            let looked = Look::at(&*self.options.fs, &next.path).and_then(|look| match look {
                Some(look) => Ok(self.classify(look)?),
                None => Ok(classify::Class::Gone),
            });
            match looked {
                Ok(classify::Class::Unread(look)) => match self.open_whole(&look) {
                    Ok(()) => return Ok(true),
                    Err(error) => self.set_pending(&next.path, error),
                },
                Ok(classify::Class::Grown { look, id, offset }) if next.grown == Some(id) => {
                    self.open_grown(&look, id, offset)?;
                    return Ok(true);
                }
                // Something has changed since it was listed.
                Ok(_) => self.is_unsettled = true,
                Err(error) => self.set_pending(&next.path, error),
            }
        }
        Ok(false)
    }

    /// Opens a file that has not been read.
    fn open_whole(&mut self, look: &Look) -> Result<(), TailError> {
        let handle = Arc::clone(&look.handle);
        let survey = match self.unpack(look)? {
            Some(survey) => survey,
            None => Survey::of(&handle, &[])?,
        };
        let offset = match () {
            () if !self.begins_at_end => 0,
            () if handle.packing().is_plain() => last_line_end(&handle, survey.size)?,
            () => survey.size,
        };
        let tail = match offset {
            0 => Vec::new(),
            _ if handle.packing().is_plain() => tail_before(&handle, offset)?,
            _ => survey.end.clone(),
        };
        let entry = Entry { start: offset, offset, tail, stops: Vec::new() };
        self.open(0, handle, survey, entry)
    }

    /// Opens a file that has grown since it was finished.
    fn open_grown(&mut self, look: &Look, id: u64, offset: u64) -> Result<(), TailError> {
        let survey = Survey::of(&look.handle, &[offset])?;
        let tail = survey.tails[0].clone();
        let entry = Entry { start: offset, offset, tail, stops: Vec::new() };
        self.open(0, Arc::clone(&look.handle), survey, entry)?;
        // It is in the frontier from the next cut on. If it is still there as well, this is a longer copy of it.
        if !self.catalog.is_seen(id) {
            self.catalog.remove(id);
        }
        Ok(())
    }

    fn open(
        &mut self,
        number: u64,
        handle: Arc<LogHandle>,
        survey: Survey,
        entry: Entry,
    ) -> Result<(), TailError> {
        let (path, offset) = (handle.path().to_owned(), entry.offset);
        let content = survey.content();
        let quiet_at = self.now + self.options.grace;
        let mut file = LogFile::open(number, handle, survey, entry, quiet_at)?;
        // What was read before it was opened is durable with the next cut.
        if offset > 0 && number == 0 {
            file.set_number(self.next_number);
            self.next_number += 1;
        }
        let number = file.number();
        self.files.push(file);
        if number > 0 {
            self.forget_unread(self.files.len() - 1);
        } else {
            // Until something of it is read: should it vanish, that is a loss.
            let packed = self.files.last().and_then(LogFile::packed);
            let id = self.catalog.add(Standing::Unread, content.head, Some(content), packed, &path);
            self.catalog.see(id, &path);
        }
        (self.complaint, self.begins_at_end) = (None, false);
        self.events.push(TailEvent::Opened { number, path, offset });
        Ok(())
    }

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

    fn wait(&mut self) {
        if self.complaint.replace(io::ErrorKind::NotFound) != Some(io::ErrorKind::NotFound) {
            self.events.push(TailEvent::Waiting { path: self.options.path.clone() });
        }
    }

    /// Says once why a file is not opened.
    fn complain(&mut self, error: &TailError) {
        if let TailError::Io { path, source, .. } = error
            && self.complaint.replace(source.kind()) != Some(source.kind())
        {
            let source = io::Error::new(source.kind(), source.to_string());
            self.events.push(TailEvent::Unreadable { path: path.clone(), source });
        }
    }
}
