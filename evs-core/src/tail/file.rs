use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use memchr::{memchr, memrchr};

use super::{
    Chunk, ChunkKind, Digest, FileMark, Fingerprint, LogHandle, TailError,
    chunk::Pool,
    fs::FileId,
    options::Limits,
    packing::unpack_error,
    survey::{Look, Survey, changing, head_of, same_beginning, tail_before},
    unzip::Unzip,
};

/// How much is read at once in search of an LF: first a little, since lines are short.
const PIECE_BYTES_MIN: u64 = 4 << 10;
const PIECE_BYTES_MAX: u64 = 64 << 10;

/// How many places of a file are remembered, by which a copy of its beginning is known.
const TRAIL_LEN_MAX: usize = 1024;

/// One file of the log, and how far it has been handed out.
#[derive(Debug)]
pub(super) struct LogFile {
    /// 0 as long as nothing of it has been handed out.
    number: u64,
    handle: Arc<LogHandle>,
    /// Where it was found last.
    path: PathBuf,
    /// For compressed files.
    unzip: Option<Unzip>,
    /// The bytes of a compressed file as they stand in it.
    packed: Option<Fingerprint>,
    /// Where reading began.
    start: u64,
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
    /// Offsets up to which it was handed out, ascending, with digests of the bytes before them.
    trail: Vec<(u64, Digest)>,
    /// Offsets beyond `offset` that no chunk is to span, the next one last.
    stops: Vec<u64>,
    /// When it will not have grown for the grace time.
    quiet_at: Instant,
    state: State,
    /// Whether it was ever the live file.
    was_live: bool,
    /// Whether it is no longer the live file.
    is_rotated: bool,
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
    /// Truncated: the descriptor has other bytes now. A copy of the old ones is looked for.
    Truncated,
    /// Truncated, and there is no copy.
    Lost,
}

/// Where to begin in a file.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Where reading began.
    pub(super) start: u64,
    pub(super) offset: u64,
    /// The bytes before it.
    pub(super) tail: Vec<u8>,
    /// Offsets that no chunk is to span, ascending.
    pub(super) stops: Vec<u64>,
}

/// What a look at a file has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is the same, or longer.
    None,
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
        let Entry { start, offset, tail, mut stops } = entry;
        stops.retain(|stop| *stop > offset && *stop <= survey.size);
        stops.sort_unstable_by(|a, b| b.cmp(a));
        stops.dedup();
        let (unzip, packed) = unzip_of(&handle, offset)?;
        Ok(Self {
            number,
            path: handle.path().to_owned(),
            unzip,
            packed,
            start,
            offset,
            scanned: offset,
            size: survey.size.max(offset),
            modified: handle.stat()?.modified,
            head: survey.head,
            trail: vec![(offset, Digest::of(&tail))],
            tail,
            stops,
            quiet_at,
            state: State::Open,
            was_live: false,
            is_rotated: false,
            is_suspect: false,
            handle,
        })
    }

    /// Looks whether a plain file has grown or shrunk.
    pub(super) fn look(&mut self, now: Instant, grace: Duration) -> Result<Change, TailError> {
        if self.packed.is_some() || self.has_lost_its_bytes() {
            return Ok(Change::None);
        }
        let stat = self.handle.stat()?;
        if (stat.size, stat.modified) == (self.size, self.modified) && !self.is_suspect {
            return Ok(Change::None);
        }
        let head =
            if self.head.len() < FileMark::HEAD_BYTES_MAX { head_of(&self.handle)? } else { Vec::new() };
        if !self.is_intact()? {
            self.state = State::Truncated;
            return Ok(Change::Truncated);
        }
        // These are bytes of the same file, since it was intact after they were read.
        if head.len() > self.head.len() {
            self.head = head;
        }
        self.is_suspect = false;
        self.modified = stat.modified;
        let mut look = Change::None;
        if stat.size > self.size {
            self.size = stat.size;
            self.quiet_at = now + grace;
            // Also a file that was done: somebody has gone on writing to it.
            self.state = State::Open;
        } else if stat.size < self.size && self.handle.read_range(self.size - 1, self.size)?.is_empty() {
            // The attributes of a network file system may lag behind, but what can be read is there.
            let size = stat.size.max(self.offset);
            look = Change::Shorter(self.size - size);
            self.size = size;
            self.scanned = self.offset;
            self.head.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        }
        Ok(look)
    }

    /// The next range, as of the last look.
    pub(super) fn next(&mut self, limits: Limits, pool: &Pool) -> Result<Option<Chunk>, TailError> {
        let next = match self.state {
            State::Done | State::Truncated | State::Lost => None,
            State::Open | State::Closing if self.packed.is_some() => self.next_unzipped(limits, pool)?,
            State::Open | State::Closing => self.next_plain(limits)?,
        };
        if next.is_none() && self.state == State::Closing && self.offset == self.size {
            self.state = State::Done;
            // The decoder is not needed any more, the handle is until the next cut.
            self.unzip = None;
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
        if most == 0 {
            return Ok(None);
        }
        // After an error, from the offset on.
        let mut unzip = match self.unzip.take() {
            Some(unzip) => unzip,
            None => {
                let opened = Unzip::open(&self.handle, self.offset);
                opened.map_err(|error| unpack_error(&self.path, error))?
            }
        };
        let mut block = pool.take();
        let mut tail = self.tail.clone();
        let taken = unzip.next(&mut block.bytes, &mut tail, most, limits);
        let taken = taken.map_err(|error| unpack_error(&self.path, error))?;
        (self.unzip, self.tail) = (Some(unzip), tail);
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
        if self.trail.len() >= TRAIL_LEN_MAX {
            let mut at = 0;
            self.trail.retain(|_| {
                at += 1;
                at % 2 == 0
            });
        }
        self.trail.push((end, Digest::of(&self.tail)));
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
            start: self.start,
            offset: self.offset,
            size: self.size,
            is_rotated: self.is_rotated,
            device,
            inode,
            modified: unix_seconds(self.modified),
            head: Digest::of(&self.head),
            tail: Digest::of(&self.tail),
            path: self.path.to_string_lossy().into_owned(),
        }
    }

    /// What was handed out, by its bytes.
    pub(super) fn content(&self) -> Fingerprint {
        let head = self.head.len().min(usize::try_from(self.offset).unwrap_or(usize::MAX));
        Fingerprint { len: self.offset, head: Digest::of(&self.head[..head]), tail: Digest::of(&self.tail) }
    }

    /// How `other` relates to this file, which begins in the same way.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or changes meanwhile.
    pub(super) fn compare(&self, other: &Look, survey: Option<&Survey>) -> Result<Relation, TailError> {
        let (handle, len) = (&other.handle, survey.map_or(other.raw.len, |survey| survey.size));
        let before = |offset: u64| match survey {
            None => tail_before(handle, offset),
            Some(survey) if offset == survey.size => Ok(survey.end.clone()),
            Some(_) => Ok(Survey::of(handle, &[offset])?.tails.remove(0)),
        };
        let is_readable = self.packed.is_none() && !self.has_lost_its_bytes() && self.is_intact()?;
        if is_readable {
            let size = self.handle.stat()?.size;
            let end = len.min(size);
            let own = tail_before(&self.handle, end)?;
            let is_same = own == before(end)?;
            // What was read before this were the file's own bytes.
            if self.is_intact()? && own.len() as u64 == end.min(FileMark::TAIL_BYTES_MAX as u64) {
                return Ok(match (is_same, len <= size) {
                    (true, true) => Relation::Copy,
                    (true, false) => Relation::Longer,
                    (false, _) => Relation::Other,
                });
            }
        }
        let is_truncated = self.packed.is_none();
        if len >= self.offset {
            return Ok(match before(self.offset)? == self.tail {
                true if is_truncated => Relation::Continued,
                true if len <= self.size => Relation::Copy,
                true if self.offset == self.size => Relation::Longer,
                _ => Relation::Other,
            });
        }
        // A copy of the beginning, after which more was read.
        let at = self.trail.partition_point(|(end, _)| *end <= len);
        let is_known = match at.checked_sub(1).map(|at| self.trail[at]) {
            Some((end, digest)) if end > 0 => digest.matches(&before(end)?),
            _ => true,
        };
        Ok(match is_known {
            true if is_truncated => Relation::Beginning,
            true => Relation::Copy,
            false => Relation::Other,
        })
    }

    /// Goes on in another file that has the bytes of this one. How many bytes were known that it does not have
    /// is the result.
    pub(super) fn move_to(&mut self, other: Arc<LogHandle>, now: Instant) -> Result<u64, TailError> {
        let survey = Survey::of(&other, &[self.offset])?;
        let is_same = same_beginning(&survey.head, &self.head) && survey.tails[0] == self.tail;
        if survey.size < self.offset || !is_same {
            return Err(changing(other.path()));
        }
        let modified = other.stat()?.modified;
        (self.unzip, self.packed) = unzip_of(&other, self.offset)?;
        let lost = self.size.saturating_sub(survey.size);
        self.modified = modified;
        self.path = other.path().to_owned();
        self.was_live = false;
        self.handle = other;
        self.size = survey.size;
        self.scanned = self.offset;
        self.head = survey.head;
        self.state = State::Open;
        self.is_suspect = false;
        self.quiet_at = self.quiet_at.max(now);
        Ok(lost)
    }

    /// Gives up what was not handed out, and says how much that is.
    pub(super) fn abandon(&mut self) -> u64 {
        self.state = State::Lost;
        std::mem::replace(&mut self.size, self.offset) - self.offset
    }

    /// Takes what is after the last LF as a line, and is done then.
    pub(super) fn close(&mut self) {
        if self.state == State::Open {
            self.state = State::Closing;
        }
    }

    /// Keeps the file open until `time` at least.
    pub(super) fn wait_until(&mut self, time: Instant) {
        self.quiet_at = self.quiet_at.max(time);
    }

    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        self.packed.is_some() || now >= self.quiet_at
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done | State::Lost)
    }

    /// Whether its descriptor has other bytes by now, and a copy of the old ones is looked for.
    pub(super) fn is_truncated(&self) -> bool {
        self.state == State::Truncated
    }

    /// Whether its descriptor has other bytes by now.
    pub(super) fn has_lost_its_bytes(&self) -> bool {
        matches!(self.state, State::Truncated | State::Lost)
    }

    /// Whether there may be a chunk.
    pub(super) fn has_more(&self) -> bool {
        match self.state {
            State::Done | State::Lost => false,
            State::Closing | State::Truncated => true,
            State::Open if self.packed.is_some() => self.offset < self.size,
            State::Open => self.scanned < self.size || self.is_suspect,
        }
    }

    /// Whether it ends in a line that is not finished.
    pub(super) fn has_unfinished_line(&self) -> bool {
        self.offset < self.size
    }

    /// Whether it is a plain file that may be written to.
    pub(super) fn is_plain(&self) -> bool {
        self.packed.is_none()
    }

    pub(super) fn set_number(&mut self, number: u64) {
        self.number = number;
    }

    /// Whether it was the live file, and has been found under another name than `live` since.
    pub(super) fn was_renamed(&self, live: Option<&Path>) -> bool {
        self.was_live && live != Some(&*self.path)
    }

    /// Notes that it is the live file, or was when it was last seen.
    pub(super) fn set_live(&mut self) {
        self.was_live = true;
    }

    /// Whether it is known to be no longer the live file.
    pub(super) fn is_rotated(&self) -> bool {
        self.is_rotated
    }

    /// Notes that it is no longer the live file. Whether that is news.
    pub(super) fn set_rotated(&mut self) -> bool {
        !std::mem::replace(&mut self.is_rotated, true)
    }

    pub(super) fn set_path(&mut self, path: &Path) {
        if self.path != path {
            self.path = path.to_owned();
        }
    }

    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(super) fn packed(&self) -> Option<Fingerprint> {
        self.packed
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

    pub(super) fn handle(&self) -> &Arc<LogHandle> {
        &self.handle
    }

    pub(super) fn id(&self) -> FileId {
        self.handle.id()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// How another file relates to an open one that begins in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// They differ later.
    Other,
    /// It has the same bytes, perhaps not yet all of them.
    Copy,
    /// It has all of the open file's bytes, and more.
    Longer,
    /// The open file was truncated, and this one has the bytes that were read of it, and perhaps more.
    Continued,
    /// The open file was truncated, and this one has some of the bytes that were read of it, and no others.
    Beginning,
}

/// The decoder of a compressed file from `offset` on, and its bytes as they stand in it.
fn unzip_of(handle: &Arc<LogHandle>, offset: u64) -> Result<(Option<Unzip>, Option<Fingerprint>), TailError> {
    if handle.packing().is_plain() {
        return Ok((None, None));
    }
    let damaged = |error| unpack_error(handle.path(), error);
    let unzip = Unzip::open(handle, offset).map_err(damaged)?;
    Ok((Some(unzip), Some(Look::of(Arc::clone(handle))?.raw)))
}

/// Whole seconds since 1970, rounded down.
fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_secs() as i64,
        Err(before) => -((before.duration() + Duration::from_nanos(999_999_999)).as_secs() as i64),
    }
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
