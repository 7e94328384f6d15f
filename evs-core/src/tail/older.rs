//! Reads the older files of a statistic, one after the other.
//!
//! The list says by its bytes which file is meant. Names do not matter: a rotation may rename and compress the files
//! while they are read, so each is looked for when its turn comes, first under its last known name and then under all
//! names of the log. Of a file that was open when the list was made, only the bytes up to there are read.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    chunk::{Chunk, Pool},
    error::TailError,
    event::TailEvent,
    excerpt::{Excerpt, changing, tail_before},
    file::{LogFile, Opening},
    globs::Glob,
    handle::LogHandle,
    look::Look,
    names::Names,
    options::{OnUnreadable, TailOptions},
    view::View,
};
use crate::position::{Fingerprint, KnownFile, OlderFiles, OlderPosition};

/// The time for which a file must be missing before it counts as gone: a rotation takes no longer.
const SETTLE_TIME: Duration = Duration::from_secs(3);
/// The number of times that it must be looked for meanwhile.
const TRIES_MIN: u32 = 10;

/// Reads the files of a list in order.
#[derive(Debug)]
pub struct OlderReader {
    /// The options of the source.
    all: TailOptions,
    /// Those of the log that is read.
    options: TailOptions,
    /// The pattern, if the source has several logs.
    glob: Option<Arc<Glob>>,
    names: Names,
    /// The log that `names` are of, if the source has several.
    log: Option<Arc<str>>,
    list: OlderFiles,
    /// The positions of all statistics that read the list. No chunk spans one of them.
    positions: Vec<OlderPosition>,
    at: OlderPosition,
    /// The file at `at`, and the offset at which it ends.
    open: Option<(LogFile, u64)>,
    /// Where the files were found when the log's directories were last searched.
    paths: HashMap<Fingerprint, PathBuf>,
    /// Since when the file at `at` cannot be found or read.
    missing_since: Option<Instant>,
    /// The number of times that it was looked for since then.
    tries: u32,
    /// The files that were read since [`OlderReader::take_handles`].
    handles: Vec<Arc<LogHandle>>,
    events: Vec<TailEvent>,
    pool: Pool,
}

impl OlderReader {
    /// Begins at the lowest of `positions`, which must not be empty.
    pub fn new(options: TailOptions, list: OlderFiles, positions: Vec<OlderPosition>) -> Self {
        Self {
            glob: if options.is_literal {
                None
            } else {
                Glob::parse(&options.path).ok().flatten().map(Arc::new)
            },
            names: Names::new(&options),
            log: None,
            at: positions.iter().min().copied().unwrap_or_default(),
            positions,
            list,
            all: options.clone(),
            options,
            open: None,
            paths: HashMap::new(),
            missing_since: None,
            tries: 0,
            handles: Vec::new(),
            events: Vec::new(),
            pool: Pool::default(),
        }
    }

    /// Returns the position up to which the files have been handed out.
    pub fn position(&self) -> OlderPosition {
        self.at
    }

    /// Returns whether all files have been handed out.
    pub fn is_done(&self) -> bool {
        self.at.file >= self.list.len() as u64
    }

    /// Returns the next range; `None` if there is none, or if the next file cannot be found or read for now.
    ///
    /// # Errors
    ///
    /// Returns [`TailError::Damaged`] if a file cannot be decompressed and is not to be left out.
    pub fn next_chunk(&mut self, now: Instant) -> Result<Option<Chunk>, TailError> {
        while !self.is_done() {
            if self.open.is_none() && !self.open_file(now)? {
                return Ok(None);
            }
            let Some((file, end)) = &mut self.open else { continue };
            if file.offset() < *end {
                let chunk = file.next(self.options.limits(), &self.pool);
                let chunk = match chunk {
                    Err(error @ (TailError::Io { .. } | TailError::Damaged { .. })) => {
                        return self.set_missing(now, error).map(|_| None);
                    }
                    chunk => chunk?,
                };
                let Some(mut chunk) = chunk else {
                    // The file was truncated. There may be a copy.
                    let error = changing(file.path());
                    return self.set_missing(now, error).map(|_| None);
                };
                self.missing_since = None;
                let file = usize::try_from(self.at.file).ok().and_then(|at| self.list.get(at));
                chunk.log = file.and_then(|file| file.log.clone());
                self.at.offset = chunk.end;
                if chunk.end >= *end {
                    self.finish();
                }
                return Ok(Some(chunk));
            }
            self.finish();
        }
        Ok(None)
    }

    /// Returns the files that were read since the last call. They must be made durable before the position is.
    pub fn take_handles(&mut self) -> Vec<Arc<LogHandle>> {
        let open = self.open.iter().map(|(file, _)| Arc::clone(file.handle()));
        std::mem::take(&mut self.handles).into_iter().chain(open).collect()
    }

    /// Returns the events since the last call.
    pub fn take_events(&mut self) -> Vec<TailEvent> {
        std::mem::take(&mut self.events)
    }

    /// Goes on with the next file.
    fn finish(&mut self) {
        self.handles.extend(self.open.take().map(|(file, _)| Arc::clone(file.handle())));
        self.at = OlderPosition { file: self.at.file + 1, offset: 0 };
        self.missing_since = None;
    }

    /// Returns the file at the position.
    fn wanted(&self) -> &Arc<KnownFile> {
        &self.list[self.at.file as usize]
    }

    /// Opens the file at the position. Returns `false` if it has to wait.
    fn open_file(&mut self, now: Instant) -> Result<bool, TailError> {
        match self.try_open(now) {
            Ok(Some(opened)) => {
                let (path, offset) = (opened.0.path().to_owned(), self.at.offset);
                if self.missing_since.is_none() {
                    self.events.push(TailEvent::Opened { number: 0, path, offset });
                }
                self.open = Some(opened);
                Ok(true)
            }
            Ok(None) => {
                let gone = std::io::ErrorKind::NotFound.into();
                let error = TailError::io("find", Path::new(&self.wanted().path))(gone);
                self.set_missing(now, error)
            }
            Err(error) => self.set_missing(now, error),
        }
    }

    /// Notes that the file at the position cannot be found or read. Once that has lasted, it is left out: returns `true`
    /// then, and `false` before.
    fn set_missing(&mut self, now: Instant, error: TailError) -> Result<bool, TailError> {
        self.open = None;
        self.tries = if self.missing_since.is_none() { 1 } else { self.tries + 1 };
        let since = *self.missing_since.get_or_insert(now);
        if now.duration_since(since) < SETTLE_TIME || self.tries < TRIES_MIN {
            return Ok(false);
        }
        let (wanted, offset) = (Arc::clone(self.wanted()), self.at.offset);
        let print = wanted.content.or(wanted.packed);
        let lost = print.map_or(0, |print| print.len).saturating_sub(offset);
        match error {
            TailError::Damaged { path, .. } if self.options.on_unreadable == OnUnreadable::Skip => {
                self.events.push(TailEvent::Skipped { path, lost });
            }
            TailError::Io { .. } => {
                let path = PathBuf::from(&wanted.path);
                self.events.push(TailEvent::Gone { number: 0, path, offset, lost });
            }
            error => return Err(error),
        }
        self.finish();
        Ok(true)
    }

    /// Finds and opens the file at the position; `None` if it is nowhere.
    fn try_open(&mut self, now: Instant) -> Result<Option<(LogFile, u64)>, TailError> {
        let (wanted, offset) = (Arc::clone(self.wanted()), self.at.offset);
        let Some(look) = self.find(&wanted)? else { return Ok(None) };
        let known_end = wanted.content.map(|content| content.len);
        let excerpt = Excerpt::of(&look.handle, &[offset, known_end.unwrap_or(offset)])?;
        let is_it = wanted.content.is_none_or(|content| {
            excerpt.size >= content.len
                && content.head.begins(&excerpt.head)
                && content.tail.matches(&excerpt.tails[1])
        });
        if !is_it {
            return Err(changing(look.handle.path()));
        }
        let end = known_end.unwrap_or(excerpt.size);
        let others = self.positions.iter().filter(|position| position.file == self.at.file);
        let stops = others.map(|position| position.offset).chain([end]).collect();
        let opening = Opening { start: 0, offset, tail: excerpt.tails[0].clone(), stops };
        Ok(Some((LogFile::open(0, look.handle, excerpt, opening, now)?, end)))
    }

    /// Finds a file of the list under any of the log's names.
    fn find(&mut self, wanted: &KnownFile) -> Result<Option<Look>, TailError> {
        let prints = [wanted.content, wanted.packed];
        let mut paths = vec![PathBuf::from(&wanted.path)];
        paths.extend(prints.iter().flatten().filter_map(|print| self.paths.get(print).cloned()));
        for path in paths {
            if let Ok(Some(look)) = Look::at(&*self.options.fs, &path)
                && prints.contains(&Some(look.raw))
            {
                return Ok(Some(look));
            }
        }
        self.search(wanted)
    }

    /// Looks at all files of the log, and remembers where each one is.
    fn search(&mut self, wanted: &KnownFile) -> Result<Option<Look>, TailError> {
        if let (Some(glob), Some(log)) = (&self.glob, &wanted.log)
            && self.log.as_ref() != Some(log)
        {
            self.options = View::options(&self.all, glob, &Arc::default(), log);
            (self.names, self.log) = (Names::new(&self.options), Some(Arc::clone(log)));
        }
        let fs = Arc::clone(&self.options.fs);
        let list = self.names.list(&*fs).map_err(TailError::io("list", &self.options.path))?;
        let below = self.names.in_subdirectories(&*fs).map_err(TailError::io("list", &self.options.path))?;
        self.paths.clear();
        let (mut found, mut failed) = (None, None);
        for name in list.into_iter().chain(below) {
            let look = match Look::at(&*fs, &name.path) {
                Ok(Some(look)) => look,
                Ok(None) => continue,
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            self.paths.insert(look.raw, name.path);
            if found.is_none() {
                match is_file(look, wanted) {
                    Ok(look) => found = look,
                    Err(error) => failed = Some(error),
                }
            }
        }
        match (found, failed) {
            // The file may be the one that could not be read.
            (None, Some(error)) => Err(error),
            (found, _) => Ok(found),
        }
    }
}

/// Returns the file if it has the bytes of the wanted one, and perhaps more after them.
fn is_file(mut look: Look, wanted: &KnownFile) -> Result<Option<Look>, TailError> {
    if [wanted.content, wanted.packed].contains(&Some(look.raw)) {
        return Ok(Some(look));
    }
    // A damaged file is known by its compressed bytes alone.
    if wanted.head.len == 0 {
        return Ok(None);
    }
    look.unpack_head()?;
    if !wanted.head.begins(&look.head) {
        return Ok(None);
    }
    let Some(content) = wanted.content else { return Ok(Some(look)) };
    let is_it = if look.handle.packing().is_plain() {
        look.raw.len >= content.len && content.tail.matches(&tail_before(&look.handle, content.len)?)
    } else {
        let excerpt = Excerpt::of(&look.handle, &[content.len])?;
        excerpt.size >= content.len && content.tail.matches(&excerpt.tails[0])
    };
    Ok(is_it.then_some(look))
}
