use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::Tailer;
use crate::tail::{
    LogHandle, TailError, TailEvent,
    file::{Entry, LogFile, last_line_end},
    handle::{FileId, Packing, Stat, unix_seconds},
    locate::Located,
    siblings::{Sibling, siblings},
    survey::{Survey, head_of, tail_before},
};

/// How many files are open at once, those included that are finished but not retired.
const FILES_MAX: usize = 16;

/// Behind what the next file is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    /// The last of the open files.
    Newest,
    /// This one, which is not open.
    Behind(FileId),
    /// Nothing: all files count.
    Oldest,
    /// Nothing, but only what was modified at that time or later counts, and the live file.
    Since(SystemTime),
    /// Everything but the live file.
    Live,
}

/// A file with the bytes of another one.
struct Copy {
    /// Where it is among the siblings.
    at: usize,
    handle: Arc<LogHandle>,
    survey: Survey,
}

impl Tailer {
    /// Opens the files that came after the newest one, up to the live one.
    pub(super) fn follow(&mut self, now: Instant) -> Result<(), TailError> {
        self.is_behind_files = true;
        loop {
            let live = match Stat::at(&self.options.path) {
                Ok(live) => live,
                Err(source) => {
                    self.complain(&TailError::io("stat", &self.options.path)(source));
                    return Ok(());
                }
            };
            if live.is_some_and(|live| !live.is_regular) {
                return Err(TailError::NotRegular { path: self.options.path.clone() });
            }
            let newest = self.files.last().filter(|file| !file.is_lost());
            if live.is_some() && live.map(|live| live.id) == newest.map(LogFile::id) {
                (self.is_behind_files, self.complaint) = (false, None);
                self.live = self.files.last().map(LogFile::number);
                return Ok(());
            }
            if self.files.len() >= FILES_MAX {
                // The oldest has to make room, whatever it waits for, unless there will be as soon as the
                // finished ones are retired.
                if !self.has_retired() {
                    self.files[0].close();
                }
                return Ok(());
            }
            let Some(files) = self.list()? else { return Ok(()) };
            let next = match self.successor(&files) {
                Err(error @ TailError::Io { .. }) => {
                    self.complain(&error);
                    return Ok(());
                }
                next => next?,
            };
            let Some(next) = next else {
                self.is_behind_files = false;
                if live.is_none() {
                    self.wait();
                }
                return Ok(());
            };
            if !self.open_next(next, now)? {
                return Ok(());
            }
        }
    }

    /// If the newest file was empty, it may have been filled, copied and truncated without a trace in itself.
    /// What was modified since it was empty is then read first. `false` if that cannot be told yet.
    pub(super) fn look_for_copies(&mut self) -> Result<bool, TailError> {
        let Some(newest) = self.files.last() else { return Ok(true) };
        let emptied = newest.modified();
        if !newest.head().is_empty() || newest.handle().stat()?.modified == emptied {
            return Ok(true);
        }
        let Some(files) = self.list()? else { return Ok(false) };
        let Some((newest, older)) = self.files.split_last() else { return Ok(true) };
        let Some(own) = files.iter().position(|file| file.id() == newest.id()) else { return Ok(true) };
        let previous = match older.last().filter(|file| !file.is_lost()) {
            Some(previous) => match self.position(previous, &files) {
                Err(error @ TailError::Io { .. }) => {
                    self.complain(&error);
                    return Ok(false);
                }
                at => at?,
            },
            None => None,
        };
        let is_open = |file: &Sibling| self.files.iter().any(|open| open.id() == file.id());
        let is_copy = |file: &Sibling| file.stat.modified > emptied && !is_open(file);
        if files.iter().take(own).skip(previous.map_or(0, |at| at + 1)).any(is_copy) {
            self.next_number = newest.number();
            self.files.pop();
            if previous.is_none() {
                self.anchor = Anchor::Since(emptied + Duration::from_nanos(1));
            }
        }
        Ok(true)
    }

    /// The files of the log, or `None` and a complaint if this is not the moment.
    fn list(&mut self) -> Result<Option<Vec<Sibling>>, TailError> {
        match self.siblings() {
            Ok(files) => Ok(files),
            Err(error) => {
                self.complain(&error);
                Ok(None)
            }
        }
    }

    pub(super) fn siblings(&self) -> Result<Option<Vec<Sibling>>, TailError> {
        siblings(&self.options.path).map_err(TailError::io("list", &self.options.path))
    }

    /// Which of `files`, the oldest first, is to be read next.
    fn successor<'f>(&self, files: &'f [Sibling]) -> Result<Option<&'f Sibling>, TailError> {
        let is_live = |file: &Sibling| file.path == self.options.path;
        let is_new =
            |file: &&Sibling| !self.files.iter().any(|open| open.id() == file.id() && !open.is_lost());
        let behind = |at: usize| files[at + 1..].iter().find(is_new);
        Ok(match self.anchor {
            Anchor::Oldest => files.first(),
            Anchor::Live => files.iter().find(|file| is_live(file)),
            Anchor::Since(time) => {
                files.iter().filter(is_new).find(|file| is_live(file) || file.stat.modified >= time)
            }
            Anchor::Behind(id) => match files.iter().position(|file| file.id() == id) {
                Some(at) => behind(at),
                None => files.iter().find(|file| is_live(file)),
            },
            Anchor::Newest => {
                let Some(newest) = self.files.last() else { return Ok(files.first()) };
                if newest.is_lost() {
                    return Ok(files.iter().find(|file| is_live(file)));
                }
                match self.position(newest, files)? {
                    Some(at) => behind(at),
                    // It was deleted. What is newer was written to later.
                    None => files
                        .iter()
                        .filter(is_new)
                        .find(|file| is_live(file) || file.stat.modified > newest.modified()),
                }
            }
        })
    }

    /// Where an open file is among `files`: itself or, if it was compressed, that.
    fn position(&self, file: &LogFile, files: &[Sibling]) -> Result<Option<usize>, TailError> {
        if let Some(at) = files.iter().position(|other| other.id() == file.id()) {
            return Ok(Some(at));
        }
        let mut copies = self.copies(file, files, |other| Packing::of(&other.path) != Packing::Plain)?;
        copies.retain(|copy| copy.survey.size == file.size());
        // Compressing keeps the time, which tells files with the same lines from each other.
        let has_time = |at: usize| unix_seconds(files[at].stat.modified) == unix_seconds(file.modified());
        Ok(copies.iter().map(|copy| copy.at).max_by_key(|at| (has_time(*at), *at)))
    }

    /// Those of `files` that have the bytes of `file` that were read, and perhaps more. It is an error if
    /// there is none, but one that may be it cannot be read.
    fn copies(
        &self,
        file: &LogFile,
        files: &[Sibling],
        is_candidate: impl Fn(&Sibling) -> bool,
    ) -> Result<Vec<Copy>, TailError> {
        let (mut copies, mut failure) = (Vec::new(), None);
        for (at, other) in files.iter().enumerate() {
            if !is_candidate(other) || self.files.iter().any(|open| open.id() == other.id()) {
                continue;
            }
            match examine(file, other) {
                Ok(Some((handle, survey))) => copies.push(Copy { at, handle, survey }),
                Ok(None) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match failure {
            Some(error) if copies.is_empty() => Err(error),
            _ => Ok(copies),
        }
    }

    /// Opens a file that was not read before. `false` if that has to wait.
    fn open_next(&mut self, file: &Sibling, now: Instant) -> Result<bool, TailError> {
        let handle = match LogHandle::open(&file.path) {
            Ok(handle) if handle.id() == file.id() => Arc::new(handle),
            // Renamed in this moment.
            Ok(_) => return Ok(false),
            Err(error @ TailError::NotRegular { .. }) => return Err(error),
            Err(error) => {
                self.complain(&error);
                return Ok(false);
            }
        };
        let survey = Survey::of(&handle, &[])?;
        let offset = match handle.packing() {
            _ if !self.begins_at_end => 0,
            Packing::Plain => last_line_end(&handle, survey.size)?,
            Packing::Gzip | Packing::Zstd => survey.size,
        };
        let tail = if offset == 0 { Vec::new() } else { tail_of(&handle, offset)? };
        if let Some(newest) = self.files.last_mut().filter(|file| !file.is_lost()) {
            if self.live == Some(newest.number()) {
                // The web server goes on writing to it for a while, however quiet it was before.
                newest.wait_until(now + self.options.grace);
            }
            let event = TailEvent::Rotated { number: newest.number(), path: newest.path_buf() };
            self.events.push(event);
        }
        let entry = Entry { offset, tail, stops: Vec::new() };
        let number = self.next_number;
        self.next_number += 1;
        // What was left alone for long already need not be waited for.
        let age = match handle.packing() {
            Packing::Plain => SystemTime::now().duration_since(file.stat.changed).unwrap_or(Duration::ZERO),
            Packing::Gzip | Packing::Zstd => self.options.grace,
        };
        let quiet_at = now + self.options.grace.saturating_sub(age);
        self.open(number, Located { handle, survey, entry }, quiet_at)?;
        (self.complaint, self.begins_at_end) = (None, false);
        Ok(true)
    }

    pub(super) fn open(&mut self, number: u64, located: Located, quiet_at: Instant) -> Result<(), TailError> {
        let Located { handle, survey, entry } = located;
        let (path, offset) = (handle.path().to_owned(), entry.offset);
        self.files.push(LogFile::open(number, handle, survey, entry, quiet_at)?);
        self.anchor = Anchor::Newest;
        self.events.push(TailEvent::Opened { number, path, offset });
        Ok(())
    }

    /// A file's bytes are gone: goes on in a copy that has them, or counts them as lost. `false` if that has
    /// to wait.
    pub(super) fn truncated(&mut self, index: usize, now: Instant) -> Result<bool, TailError> {
        let Some(files) = self.list()? else { return Ok(false) };
        let copies = match self.copies(&self.files[index], &files, |_| true) {
            Err(error @ TailError::Io { .. }) => {
                self.complain(&error);
                return Ok(false);
            }
            copies => copies?,
        };
        // Of several the one that was made last.
        let lost = match copies.into_iter().next_back() {
            Some(copy) => self.files[index].move_to(copy.handle, &copy.survey, now)?,
            None => self.files[index].give_up(),
        };
        self.tell_truncated(index, lost);
        Ok(true)
    }

    pub(super) fn tell_truncated(&mut self, index: usize, lost: u64) {
        let file = &self.files[index];
        self.events.push(TailEvent::Truncated {
            number: file.number(),
            path: file.path_buf(),
            offset: file.offset(),
            lost,
        });
    }

    fn wait(&mut self) {
        if self.complaint.replace(io::ErrorKind::NotFound) != Some(io::ErrorKind::NotFound) {
            self.events.push(TailEvent::Waiting { path: self.options.path.clone() });
        }
    }

    /// Says once why the next file is not opened.
    fn complain(&mut self, error: &TailError) {
        if let TailError::Io { path, source, .. } = error
            && self.complaint.replace(source.kind()) != Some(source.kind())
        {
            let source = io::Error::new(source.kind(), source.to_string());
            self.events.push(TailEvent::Unreadable { path: path.clone(), source });
        }
    }
}

/// `other`, if it has the bytes of `file` that were read.
fn examine(file: &LogFile, other: &Sibling) -> Result<Option<(Arc<LogHandle>, Survey)>, TailError> {
    let handle = Arc::new(LogHandle::open(&other.path)?);
    if !head_of(&handle)?.starts_with(file.head()) {
        return Ok(None);
    }
    let survey = Survey::of(&handle, &[file.offset()])?;
    Ok(file.is_continued_by(&survey).then_some((handle, survey)))
}

fn tail_of(handle: &Arc<LogHandle>, offset: u64) -> Result<Vec<u8>, TailError> {
    match handle.packing() {
        Packing::Plain => tail_before(handle, offset),
        Packing::Gzip | Packing::Zstd => Ok(Survey::of(handle, &[offset])?.tails.remove(0)),
    }
}
