use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use memchr::{memchr, memrchr};

use super::{
    Chunk, ChunkKind, Digest, FileMark, LogHandle, TailError,
    chunk::Pool,
    handle::{FileId, Packing, unix_seconds},
    options::Limits,
    survey::{Survey, head_of, tail_before},
    unzip::Unzip,
};

/// How much is read at once in search of an LF: first a little, since lines are short.
const PIECE_BYTES_MIN: u64 = 4 << 10;
const PIECE_BYTES_MAX: u64 = 64 << 10;

/// One file of the log, and how far it has been handed out.
#[derive(Debug)]
pub(super) struct LogFile {
    number: u64,
    handle: Arc<LogHandle>,
    /// For compressed files.
    unzip: Option<Unzip>,
    /// Up to where it has been handed out.
    offset: u64,
    /// No LF from `offset` to here, so that a long line is searched only once.
    scanned: u64,
    /// Uncompressed, as of the last look. Never less than `offset`.
    size: u64,
    modified: SystemTime,
    /// The first bytes, and the last ones before `offset`, as they were read.
    head: Vec<u8>,
    tail: Vec<u8>,
    /// Offsets beyond `offset` that no chunk is to span, the next one last.
    stops: Vec<u64>,
    /// When it will not have grown for the grace time.
    quiet_at: Instant,
    state: State,
    /// Whether the next look has to be a close one.
    is_suspect: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// May grow.
    Open,
    /// Will not grow: what is behind the last LF is a line.
    Closing,
    /// Handed out.
    Done,
    /// Truncated: the descriptor has other bytes now.
    Lost,
}

/// Where to begin in a file.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) offset: u64,
    /// The bytes before it.
    pub(super) tail: Vec<u8>,
    /// Offsets that no chunk is to span, ascending.
    pub(super) stops: Vec<u64>,
}

/// What a look at a file has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It is the same, or longer.
    Fine,
    /// So many bytes at its end, none of them handed out, are gone.
    Shorter(u64),
    /// The bytes before the offset are gone.
    Truncated,
}

impl LogFile {
    /// A file of which `survey` was just made, and that is quiet at `quiet_at` unless it grows.
    pub(super) fn open(
        number: u64,
        handle: Arc<LogHandle>,
        survey: Survey,
        entry: Entry,
        quiet_at: Instant,
    ) -> Result<Self, TailError> {
        let Entry { offset, tail, mut stops } = entry;
        stops.retain(|stop| *stop > offset && *stop <= survey.size);
        stops.sort_unstable_by(|a, b| b.cmp(a));
        stops.dedup();
        let unzip = match handle.packing() {
            Packing::Plain => None,
            Packing::Gzip | Packing::Zstd => Some(open_unzip(&handle, offset)?),
        };
        Ok(Self {
            number,
            unzip,
            offset,
            scanned: offset,
            size: survey.size.max(offset),
            modified: handle.stat()?.modified,
            head: survey.head,
            tail,
            stops,
            quiet_at,
            state: State::Open,
            is_suspect: false,
            handle,
        })
    }

    /// Looks whether a plain file has grown or shrunk.
    pub(super) fn look(&mut self, now: Instant, grace: Duration) -> Result<Look, TailError> {
        if self.unzip.is_some() || self.state == State::Lost {
            return Ok(Look::Fine);
        }
        let stat = self.handle.stat()?;
        if (stat.size, stat.modified) == (self.size, self.modified) && !self.is_suspect {
            return Ok(Look::Fine);
        }
        let head =
            if self.head.len() < FileMark::HEAD_BYTES_MAX { head_of(&self.handle)? } else { Vec::new() };
        if !self.is_intact()? {
            return Ok(Look::Truncated);
        }
        // These are bytes of the same file, since it was intact after they were read.
        if head.len() > self.head.len() {
            self.head = head;
        }
        self.is_suspect = false;
        self.modified = stat.modified;
        let mut look = Look::Fine;
        if stat.size > self.size {
            self.size = stat.size;
            self.quiet_at = now + grace;
            // Also a file that was done: somebody has gone on writing to it.
            self.state = State::Open;
        } else if stat.size < self.size && self.handle.read_range(self.size - 1, self.size)?.is_empty() {
            // The attributes of a network file system may lag behind, but what can be read is there.
            let size = stat.size.max(self.offset);
            look = Look::Shorter(self.size - size);
            self.size = size;
            self.scanned = self.offset;
            self.head.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        }
        Ok(look)
    }

    /// The next range, as of the last look.
    pub(super) fn next(&mut self, limits: Limits, pool: &Pool) -> Result<Option<Chunk>, TailError> {
        let next = match self.state {
            State::Done | State::Lost => None,
            State::Open | State::Closing if self.unzip.is_some() => self.next_unzipped(limits, pool)?,
            State::Open | State::Closing => self.next_plain(limits)?,
        };
        if next.is_none() && self.state == State::Closing && self.offset == self.size {
            self.state = State::Done;
        }
        Ok(next)
    }

    fn next_plain(&mut self, limits: Limits) -> Result<Option<Chunk>, TailError> {
        let start = self.offset;
        let Some((end, kind)) = self.find_end(limits)? else { return Ok(None) };
        let tail = tail_before(&self.handle, end)?;
        // Only now: what was read before this were the old bytes, if these still are.
        if tail.len() as u64 != end.min(FileMark::TAIL_BYTES_MAX as u64) || !self.is_intact()? {
            self.is_suspect = true;
            return Ok(None);
        }
        self.tail = tail;
        let last = self.tail.len().min((end - start) as usize);
        let last = Digest::of(&self.tail[self.tail.len() - last..]);
        self.hand_out(end);
        Ok(Some(Chunk::in_file(self.number, (start, end), kind, Arc::clone(&self.handle), last)))
    }

    /// Where the next range ends.
    fn find_end(&mut self, limits: Limits) -> Result<Option<(u64, ChunkKind)>, TailError> {
        let known = self.known_end();
        let near = known.min(self.offset + limits.chunk_bytes);
        if let Some(end) = self.last_line_end(near)? {
            return Ok(Some((end, ChunkKind::Lines)));
        }
        self.scanned = self.scanned.max(near);
        let kind =
            |end, otherwise| if end > limits.line_bytes_max { ChunkKind::Oversized } else { otherwise };
        while self.scanned < known {
            let until = known.min(self.scanned + PIECE_BYTES_MAX);
            let piece = self.handle.read_range(self.scanned, until)?;
            if let Some(at) = memchr(b'\n', &piece) {
                let end = self.scanned + at as u64 + 1;
                return Ok(Some((end, kind(end - self.offset, ChunkKind::Lines))));
            }
            if piece.is_empty() {
                // Shorter than at the last look.
                self.is_suspect = true;
                return Ok(None);
            }
            self.scanned += piece.len() as u64;
        }
        let is_final = self.state == State::Closing || self.stops.last() == Some(&known);
        let rest = known - self.offset;
        Ok((is_final && rest > 0).then(|| (known, kind(rest, ChunkKind::Final))))
    }

    /// The end of the last line before `near`, searched from there back to what was searched before.
    fn last_line_end(&self, near: u64) -> Result<Option<u64>, TailError> {
        let mut until = near;
        let mut piece_bytes = PIECE_BYTES_MIN;
        while until > self.scanned {
            let from = self.scanned.max(until.saturating_sub(piece_bytes));
            if let Some(at) = memrchr(b'\n', &self.handle.read_range(from, until)?) {
                return Ok(Some(from + at as u64 + 1));
            }
            until = from;
            piece_bytes = (piece_bytes * 2).min(PIECE_BYTES_MAX);
        }
        Ok(None)
    }

    fn next_unzipped(&mut self, limits: Limits, pool: &Pool) -> Result<Option<Chunk>, TailError> {
        let most = self.known_end() - self.offset;
        let (Some(unzip), true) = (&mut self.unzip, most > 0) else { return Ok(None) };
        let mut block = pool.take();
        let taken = unzip
            .next(&mut block.bytes, &mut self.tail, most, limits)
            .map_err(|source| TailError::Damaged { path: self.handle.path().to_owned(), source })?;
        let range = (self.offset, self.offset + taken.len);
        self.hand_out(range.1);
        Ok(Some(Chunk::in_memory(self.number, range, taken.kind, block)))
    }

    /// The end of the file or, before it, of what may be in one chunk.
    fn known_end(&self) -> u64 {
        self.stops.last().map_or(self.size, |stop| self.size.min(*stop))
    }

    fn hand_out(&mut self, end: u64) {
        self.offset = end;
        self.scanned = self.scanned.max(end);
        while self.stops.last().is_some_and(|stop| *stop <= end) {
            self.stops.pop();
        }
    }

    /// Whether the file still has the bytes that were read.
    fn is_intact(&self) -> Result<bool, TailError> {
        if tail_before(&self.handle, self.offset)? != self.tail {
            return Ok(false);
        }
        if self.offset >= self.head.len() as u64 {
            return Ok(true);
        }
        // Of what was not handed out, some may be missing: then the file is shorter, but the same.
        let head = self.handle.read_range(0, self.head.len() as u64)?;
        Ok(self.head.starts_with(&head) && !head.is_empty() && head.len() as u64 >= self.offset)
    }

    /// How the file would be known again.
    pub(super) fn mark(&self) -> FileMark {
        let FileId { device, inode } = self.handle.id();
        FileMark {
            number: self.number,
            offset: self.offset,
            size: self.size,
            device,
            inode,
            modified: unix_seconds(self.modified),
            head: Digest::of(&self.head),
            tail: Digest::of(&self.tail),
            path: self.path().to_string_lossy().into_owned(),
        }
    }

    /// Whether `survey`, with the tail at this file's offset, is of a file with the bytes of this one.
    pub(super) fn is_continued_by(&self, survey: &Survey) -> bool {
        survey.size >= self.offset && survey.head.starts_with(&self.head) && survey.tails == [&self.tail[..]]
    }

    /// Goes on in a copy. How many bytes were known that the copy does not have is the result.
    pub(super) fn move_to(
        &mut self,
        copy: Arc<LogHandle>,
        survey: &Survey,
        now: Instant,
    ) -> Result<u64, TailError> {
        if copy.packing() != Packing::Plain {
            self.unzip = Some(open_unzip(&copy, self.offset)?);
        }
        let lost = self.size.saturating_sub(survey.size);
        self.modified = copy.stat()?.modified;
        self.handle = copy;
        self.size = survey.size;
        self.scanned = self.offset;
        // It was made before the log was truncated.
        self.quiet_at = now;
        Ok(lost)
    }

    /// Gives up what was not handed out, and says how much that is.
    pub(super) fn give_up(&mut self) -> u64 {
        self.state = State::Lost;
        std::mem::replace(&mut self.size, self.offset) - self.offset
    }

    /// Takes what is behind the last LF as a line, and lets the file go then.
    pub(super) fn close(&mut self) {
        if self.state == State::Open {
            self.state = State::Closing;
        }
    }

    /// Does not let the file go before `time`.
    pub(super) fn wait_until(&mut self, time: Instant) {
        self.quiet_at = self.quiet_at.max(time);
    }

    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        now >= self.quiet_at
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done | State::Lost)
    }

    /// Whether its descriptor has other bytes by now.
    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// Whether there may be a chunk.
    pub(super) fn has_more(&self) -> bool {
        match self.state {
            State::Done | State::Lost => false,
            State::Closing => true,
            State::Open if self.unzip.is_some() => self.offset < self.size,
            State::Open => self.scanned < self.size || self.is_suspect,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.size == 0
    }

    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn modified(&self) -> SystemTime {
        self.modified
    }

    pub(super) fn handle(&self) -> &Arc<LogHandle> {
        &self.handle
    }

    pub(super) fn id(&self) -> FileId {
        self.handle.id()
    }

    pub(super) fn path(&self) -> &Path {
        self.handle.path()
    }

    pub(super) fn path_buf(&self) -> PathBuf {
        self.path().to_owned()
    }
}

fn open_unzip(handle: &Arc<LogHandle>, offset: u64) -> Result<Unzip, TailError> {
    Unzip::open(handle, offset)
        .map_err(|source| TailError::Damaged { path: handle.path().to_owned(), source })
}

/// The end of the last complete line of a plain file.
pub(super) fn last_line_end(handle: &LogHandle, size: u64) -> Result<u64, TailError> {
    let mut until = size;
    while until > 0 {
        let from = until.saturating_sub(PIECE_BYTES_MAX);
        if let Some(at) = memrchr(b'\n', &handle.read_range(from, until)?) {
            return Ok(from + at as u64 + 1);
        }
        until = from;
    }
    Ok(0)
}
