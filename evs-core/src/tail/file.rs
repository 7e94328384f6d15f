//! One open file of the log, and the position up to which it has been handed out.
//!
//! The web server may truncate or refill a file at any time, and no call tells about it. So the file is never
//! trusted. Before a range is handed out, the bytes before it are read again and compared with those that were
//! read earlier. If they differ, the descriptor has other bytes by now, and the tailer looks for a copy of the
//! old ones.

mod chunks;
pub(super) mod compare;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    decoder::unpack_error,
    error::TailError,
    excerpt::{Excerpt, changing, head_of, same_beginning, tail_before},
    fs::FileId,
    handle::LogHandle,
    look::Look,
    preamble::Before,
    unzip::Unzip,
};
use crate::position::{Digest, FileMark, Fingerprint};

/// One open file of the log, and the position up to which it has been handed out.
#[derive(Debug)]
pub(super) struct LogFile {
    /// The number within the source, or 0 as long as nothing of it has been handed out.
    number: u64,
    handle: Arc<LogHandle>,
    /// The path at which it was last found.
    path: PathBuf,
    /// The decoder of a compressed file.
    unzip: Option<Unzip>,
    /// The fingerprint of the compressed bytes of a compressed file.
    packed: Option<Fingerprint>,
    /// The offset at which reading began.
    start: u64,
    /// The offset up to which it has been handed out.
    offset: u64,
    /// There is no LF from `offset` to here. So a long line that grows is searched only once.
    scanned: u64,
    /// The uncompressed length at the last look. Never less than `offset`.
    size: u64,
    modified: SystemTime,
    /// The first bytes and the last ones before `offset`, as they were read.
    head: Vec<u8>,
    tail: Vec<u8>,
    /// The lines before `offset` that chunks carry, if they carry any. `None` before the first chunk.
    before: Option<Before>,
    /// Ascending offsets up to which it was handed out, with digests of the bytes before them.
    trail: Vec<(u64, Digest)>,
    /// Offsets after `offset` that no chunk may span, the next one last.
    stops: Vec<u64>,
    /// The time at which the file will not have grown for the grace time.
    quiet_at: Instant,
    state: FileState,
    /// True if it was ever the live file.
    was_live: bool,
    /// True if it is no longer the live file.
    is_rotated: bool,
    /// True if the next look must compare the bytes, even if the size and the time are the same.
    is_suspect: bool,
    /// True if reading went on in a longer version of it. No other file is one.
    is_outgrown: bool,
}

/// The state of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileState {
    /// The file may grow.
    Open,
    /// The file will not grow: the bytes after the last LF are its last line.
    Closing,
    /// The file has been handed out to its end.
    Done,
    /// The file was truncated, and the descriptor has other bytes now. The tailer looks for a copy of the old ones.
    Truncated,
    /// The file was truncated, and there is no copy.
    Lost,
}

/// The position at which to begin in a file.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// The offset at which reading once began.
    pub(super) start: u64,
    /// The offset at which it begins now.
    pub(super) offset: u64,
    /// The bytes before `offset`.
    pub(super) tail: Vec<u8>,
    /// Ascending offsets that no chunk may span.
    pub(super) stops: Vec<u64>,
}

/// The result of a look at a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The file is the same, or longer.
    None,
    /// This many bytes at its end are gone. None of them was handed out.
    Shorter(u64),
    /// The bytes before the offset are gone.
    Truncated,
}

impl LogFile {
    /// Opens a file of which `excerpt` was made just now. It counts as quiet from `quiet_at` on, unless it
    /// grows.
    pub(super) fn open(
        number: u64,
        handle: Arc<LogHandle>,
        excerpt: Excerpt,
        opening: Opening,
        quiet_at: Instant,
    ) -> Result<Self, TailError> {
        let Opening { start, offset, tail, mut stops } = opening;
        stops.retain(|stop| *stop > offset && *stop <= excerpt.size);
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
            size: excerpt.size.max(offset),
            modified: handle.stat()?.modified,
            head: excerpt.head,
            trail: vec![(offset, Digest::of(&tail))],
            tail,
            before: None,
            stops,
            quiet_at,
            state: FileState::Open,
            was_live: false,
            is_rotated: false,
            is_suspect: false,
            is_outgrown: false,
            handle,
        })
    }

    /// Checks whether a plain file has grown or shrunk.
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
            self.state = FileState::Truncated;
            return Ok(Change::Truncated);
        }
        // These bytes belong to the same file, since it was still intact after they were read.
        if head.len() > self.head.len() {
            self.head = head;
        }
        self.is_suspect = false;
        self.modified = stat.modified;
        let mut look = Change::None;
        if stat.size > self.size {
            self.size = stat.size;
            self.quiet_at = now + grace;
            // This also reopens a file that was done: somebody has continued to write to it.
            self.state = FileState::Open;
        } else if stat.size < self.size && self.handle.read_range(self.size - 1, self.size)?.is_empty() {
            // The size that a network file system reports may lag behind. So the file counts as shorter only
            // if its end cannot be read either.
            let size = stat.size.max(self.offset);
            look = Change::Shorter(self.size - size);
            self.size = size;
            self.scanned = self.offset;
            self.head.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        }
        Ok(look)
    }

    /// Returns true if the file still has the bytes that were read.
    fn is_intact(&self) -> Result<bool, TailError> {
        if tail_before(&self.handle, self.offset)? != self.tail {
            return Ok(false);
        }
        if self.offset >= self.head.len() as u64 {
            return Ok(true);
        }
        // Some of the bytes that were not handed out may be missing. Then the file is shorter, but it is the
        // same one.
        let head = self.handle.read_range(0, self.head.len() as u64)?;
        Ok(self.head.starts_with(&head) && !head.is_empty() && head.len() as u64 >= self.offset)
    }

    /// Returns the entry of the file for the frontier.
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
            log: None,
        }
    }

    /// Returns the fingerprint of the bytes that were handed out.
    pub(super) fn content(&self) -> Fingerprint {
        let head = self.head.len().min(usize::try_from(self.offset).unwrap_or(usize::MAX));
        Fingerprint { len: self.offset, head: Digest::of(&self.head[..head]), tail: Digest::of(&self.tail) }
    }

    /// Continues in another file that has the bytes of this one. Returns the number of known bytes that it
    /// does not have.
    pub(super) fn move_to(&mut self, other: Arc<LogHandle>, now: Instant) -> Result<u64, TailError> {
        let excerpt = Excerpt::of(&other, &[self.offset])?;
        let is_same = same_beginning(&excerpt.head, &self.head) && excerpt.tails[0] == self.tail;
        if excerpt.size < self.offset || !is_same {
            return Err(changing(other.path()));
        }
        let modified = other.stat()?.modified;
        (self.unzip, self.packed) = unzip_of(&other, self.offset)?;
        let lost = self.size.saturating_sub(excerpt.size);
        self.modified = modified;
        self.path = other.path().to_owned();
        self.was_live = false;
        self.handle = other;
        self.size = excerpt.size;
        self.scanned = self.offset;
        self.head = excerpt.head;
        self.state = FileState::Open;
        self.is_suspect = false;
        self.quiet_at = self.quiet_at.max(now);
        Ok(lost)
    }

    /// Abandons the bytes that were not handed out, and returns their number.
    pub(super) fn abandon(&mut self) -> u64 {
        self.state = FileState::Lost;
        std::mem::replace(&mut self.size, self.offset) - self.offset
    }

    /// Declares the file complete: the bytes after its last LF are its last line.
    pub(super) fn close(&mut self) {
        if self.state == FileState::Open {
            self.state = FileState::Closing;
        }
    }

    /// Keeps the file open at least until `time`.
    pub(super) fn wait_until(&mut self, time: Instant) {
        self.quiet_at = self.quiet_at.max(time);
    }

    /// Returns true if the file has not grown for the grace time. A compressed file does not grow.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        self.packed.is_some() || now >= self.quiet_at
    }

    /// Returns true if nothing more of the file will be handed out.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, FileState::Done | FileState::Lost)
    }

    /// Returns true if the descriptor has other bytes by now, and the tailer looks for a copy of the old ones.
    pub(super) fn is_truncated(&self) -> bool {
        self.state == FileState::Truncated
    }

    /// Returns true if the descriptor has other bytes by now.
    pub(super) fn has_lost_its_bytes(&self) -> bool {
        matches!(self.state, FileState::Truncated | FileState::Lost)
    }

    /// Returns true if there may be another chunk.
    pub(super) fn has_more(&self) -> bool {
        match self.state {
            FileState::Done | FileState::Lost => false,
            FileState::Closing | FileState::Truncated => true,
            FileState::Open if self.packed.is_some() => self.offset < self.size,
            FileState::Open => self.scanned < self.size || self.is_suspect,
        }
    }

    /// Returns true if the file ends in an unfinished line.
    pub(super) fn has_unfinished_line(&self) -> bool {
        self.offset < self.size
    }

    /// Returns true for a plain file, which may be written to.
    pub(super) fn is_plain(&self) -> bool {
        self.packed.is_none()
    }

    /// Sets the number within the source, once something of the file is handed out.
    pub(super) fn set_number(&mut self, number: u64) {
        self.number = number;
    }

    /// Returns true if it was the live file, and has since been found under another name than `live`.
    pub(super) fn was_renamed(&self, live: Option<&Path>) -> bool {
        self.was_live && live != Some(&*self.path)
    }

    /// Records that it is the live file, or was when it was last seen.
    pub(super) fn set_live(&mut self) {
        self.was_live = true;
    }

    /// Returns true if it is known to be no longer the live file.
    pub(super) fn is_rotated(&self) -> bool {
        self.is_rotated
    }

    /// Records that it is no longer the live file. Returns true if that is new.
    pub(super) fn set_rotated(&mut self) -> bool {
        !std::mem::replace(&mut self.is_rotated, true)
    }

    /// Records the path at which the file was found.
    pub(super) fn set_path(&mut self, path: &Path) {
        if self.path != path {
            self.path = path.to_owned();
        }
    }

    /// Returns the first bytes, uncompressed.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Returns the fingerprint of the compressed bytes, or `None` for a plain file.
    pub(super) fn packed(&self) -> Option<Fingerprint> {
        self.packed
    }

    /// Returns the number within the source, or 0 if nothing of the file has been handed out.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the offset up to which the file has been handed out.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the offset up to which at least one statistic has read the file.
    fn read_to(&self) -> u64 {
        self.stops.first().map_or(self.offset, |stop| self.offset.max(*stop))
    }

    /// Returns the uncompressed length at the last look.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Notes that reading goes on in a longer version of the file.
    pub(super) fn set_outgrown(&mut self) {
        self.is_outgrown = true;
    }

    /// Returns true if reading went on in a longer version of the file.
    pub(super) fn is_outgrown(&self) -> bool {
        self.is_outgrown
    }

    /// Returns the open file, which chunks share.
    pub(super) fn handle(&self) -> &Arc<LogHandle> {
        &self.handle
    }

    /// Returns the device and the inode.
    pub(super) fn id(&self) -> FileId {
        self.handle.id()
    }

    /// Returns the path at which the file was last found.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens the decoder of a compressed file at `offset`, and fingerprints its compressed bytes.
fn unzip_of(handle: &Arc<LogHandle>, offset: u64) -> Result<(Option<Unzip>, Option<Fingerprint>), TailError> {
    if handle.packing().is_plain() {
        return Ok((None, None));
    }
    let damaged = |error| unpack_error(handle.path(), error);
    let unzip = Unzip::open(handle, offset).map_err(damaged)?;
    Ok((Some(unzip), Some(Look::of(Arc::clone(handle))?.raw)))
}

/// Returns whole seconds since 1970, rounded down.
fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_secs() as i64,
        Err(before) => -((before.duration() + Duration::from_nanos(999_999_999)).as_secs() as i64),
    }
}
