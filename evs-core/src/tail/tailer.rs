mod follow;
mod resume;

use std::{
    io,
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{
    Begin, Chunk, Digest, FileMark, Frontier, LogHandle, TailError, TailEvent, TailOptions,
    chunk::Pool,
    file::{LogFile, Look},
    handle::unix_seconds,
    options::Limits,
};
use follow::Anchor;

/// Knows the files of a log, and hands out ranges of them.
///
/// The oldest file goes first. A rotated file is kept open and read until it has not grown for the grace
/// time and a newer one has lines; whatever it has behind its last LF then is its last line.
///
/// ```no_run
/// use std::time::Instant;
/// use evs_core::tail::{TailOptions, Tailer};
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
///     if tailer.is_at_end() {
///         break;
///     }
/// }
/// # Ok::<(), evs_core::tail::TailError>(())
/// ```
pub struct Tailer {
    options: TailOptions,
    limits: Limits,
    /// By ascending number. The last one is the live one, or the newest that is known.
    files: Vec<LogFile>,
    /// Files that were not found again, in the frontier until they are retired like finished ones.
    gone: Vec<FileMark>,
    next_number: u64,
    /// The number of the file that the log's name stood for at the last poll, if it is known.
    live: Option<u64>,
    anchor: Anchor,
    /// Seconds since 1970 at which nothing of the log was there yet.
    since: i64,
    /// Whether the first file is begun behind its last line.
    begins_at_end: bool,
    /// Whether there are files that could not be opened yet.
    is_behind_files: bool,
    /// What [`TailEvent::Waiting`] or [`TailEvent::Unreadable`] was said about last.
    complaint: Option<io::ErrorKind>,
    events: Vec<TailEvent>,
    pool: Pool,
}

impl Tailer {
    /// Begins with a new source.
    ///
    /// # Errors
    ///
    /// [`TailError::NotRegular`], or what [`Tailer::poll`] returns. That the log does not exist is none: it
    /// is waited for.
    pub fn start(options: TailOptions, now: Instant) -> Result<Self, TailError> {
        let anchor = if options.begin == Begin::Oldest { Anchor::Oldest } else { Anchor::Live };
        let mut tailer = Self::new(options, anchor);
        // What is written to a log that does not exist yet comes behind its end.
        tailer.begins_at_end = tailer.options.begin == Begin::End && tailer.options.path.exists();
        tailer.follow(now)?;
        Ok(tailer)
    }

    fn new(options: TailOptions, anchor: Anchor) -> Self {
        Self {
            limits: options.limits(),
            options,
            files: Vec::new(),
            gone: Vec::new(),
            next_number: 1,
            live: None,
            anchor,
            since: unix_seconds(SystemTime::now()),
            begins_at_end: false,
            is_behind_files: true,
            complaint: None,
            events: Vec::new(),
            pool: Pool::default(),
        }
    }

    /// Looks for growth, truncation and rotation. `now` never goes back.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, a compressed one is [damaged](TailError::Damaged), or the log is no
    /// [regular file](TailError::NotRegular).
    pub fn poll(&mut self, now: Instant) -> Result<(), TailError> {
        let mut is_settled = true;
        let newest = self.files.len().saturating_sub(1);
        for index in 0..newest {
            is_settled &= self.look(index, now)?;
        }
        // Before it is looked at itself.
        is_settled &= self.look_for_copies()?;
        if is_settled && newest + 1 == self.files.len() {
            is_settled &= self.look(newest, now)?;
        }
        self.follow(now)?;
        self.is_behind_files |= !is_settled;
        self.close_quiet(now);
        Ok(())
    }

    /// The next range to read; `None` if there is nothing more as of the last poll.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, TailError> {
        for index in 0..self.files.len() {
            let file = &mut self.files[index];
            let was_done = file.is_done();
            if let Some(chunk) = file.next(self.limits, &self.pool)? {
                return Ok(Some(chunk));
            }
            if file.is_done() && !was_done {
                let (number, path, size) = (file.number(), file.path_buf(), file.size());
                self.events.push(TailEvent::Finished { number, path, size });
            }
        }
        Ok(None)
    }

    /// Whether every complete line that the last poll has found was handed out.
    pub fn is_at_end(&self) -> bool {
        !self.is_behind_files && !self.files.iter().any(LogFile::has_more)
    }

    /// How many bytes are known and not handed out.
    pub fn behind(&self) -> u64 {
        self.files.iter().map(|file| file.size() - file.offset()).sum()
    }

    /// Up to where the log has been handed out.
    pub fn frontier(&self) -> Frontier {
        let mut files: Vec<FileMark> = self.files.iter().map(LogFile::mark).collect();
        if files.is_empty() {
            files.push(self.mark_of_nothing());
        }
        files.extend(self.gone.iter().cloned());
        files.sort_by_key(|mark| mark.number);
        Frontier { files }
    }

    /// The files of [`Tailer::frontier`], which are to be made durable before it is.
    pub fn handles(&self) -> Vec<Arc<LogHandle>> {
        self.files.iter().map(|file| Arc::clone(file.handle())).collect()
    }

    /// Whether [`Tailer::retire`] would change the frontier. Until it is called finished files stay open,
    /// and when there are many no further ones are opened.
    pub fn has_retired(&self) -> bool {
        let kept_from = self.kept_from();
        self.files.iter().any(|file| file.is_done() && file.number() < kept_from) || !self.gone.is_empty()
    }

    /// Takes the finished files out of the frontier. Is to be called when every statistic is cut, so that
    /// none needs them any more.
    pub fn retire(&mut self) {
        let kept_from = self.kept_from();
        self.gone.clear();
        self.files.retain(|file| !file.is_done() || file.number() >= kept_from);
    }

    /// The number from which on files stay, even finished ones: that of the newest; or, as long as that is
    /// empty and cannot be told from others, that of the one before it, behind which it will be found.
    fn kept_from(&self) -> u64 {
        match self.files.as_slice() {
            [.., before, newest] if newest.head().is_empty() => before.number(),
            [.., newest] => newest.number(),
            [] => 0,
        }
    }

    /// What has happened since the last call.
    pub fn take_events(&mut self) -> Vec<TailEvent> {
        std::mem::take(&mut self.events)
    }

    /// Looks at one file. `false` if what has become of it cannot be told yet.
    fn look(&mut self, index: usize, now: Instant) -> Result<bool, TailError> {
        match self.files[index].look(now, self.options.grace)? {
            Look::Fine => {}
            Look::Shorter(lost) => self.tell_truncated(index, lost),
            Look::Truncated => return self.truncated(index, now),
        }
        Ok(true)
    }

    /// Stands in the frontier for the first file while there is none: whatever comes is unread.
    fn mark_of_nothing(&self) -> FileMark {
        let modified = if let Anchor::Since(time) = self.anchor { unix_seconds(time) } else { self.since };
        FileMark {
            number: self.next_number,
            offset: 0,
            size: 0,
            device: 0,
            inode: 0,
            modified,
            head: Digest::of(&[]),
            tail: Digest::of(&[]),
            path: self.options.path.to_string_lossy().into_owned(),
        }
    }

    /// Closes rotated files that have not grown for the grace time.
    fn close_quiet(&mut self, now: Instant) {
        let mut newer_has_lines = false;
        for file in self.files.iter_mut().rev() {
            if newer_has_lines && file.is_quiet(now) {
                file.close();
            }
            newer_has_lines |= !file.is_empty();
        }
    }
}
