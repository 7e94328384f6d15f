//! What is known to be there and is not open.

use std::{collections::VecDeque, path::PathBuf, time::Instant};

use super::Tailer;
use crate::tail::{TailError, file::LogFile, fs::Stat, packing::Packing, survey::Look};

/// What is there and has not been handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// Bytes, uncompressed.
    pub bytes: u64,
    /// Files that have such bytes.
    pub files: u64,
    /// Whether `bytes` is an estimate, since some of the files are compressed.
    pub is_estimated: bool,
}

/// A file that has not been opened.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) path: PathBuf,
    /// How many bytes it has, uncompressed.
    bytes: u64,
    is_estimated: bool,
    /// The known file that it was when it was finished, if it has grown since.
    pub(super) grown: Option<u64>,
}

impl Waiting {
    pub(super) fn new(look: &Look, grown: Option<(u64, u64)>) -> Self {
        let (bytes, is_estimated) = unpacked_bytes(look);
        Self {
            path: look.handle.path().to_owned(),
            bytes: bytes.saturating_sub(grown.map_or(0, |(_, offset)| offset)),
            is_estimated,
            grown: grown.map(|(id, _)| id),
        }
    }
}

/// The files that are to be opened, the next one first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    files: VecDeque<Waiting>,
    bytes: u64,
    estimated: u64,
}

impl Queue {
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.bytes;
        self.estimated += u64::from(waiting.is_estimated);
        self.files.push_back(waiting);
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.files.pop_front()?;
        self.bytes -= waiting.bytes;
        self.estimated -= u64::from(waiting.is_estimated);
        Some(waiting)
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|waiting| waiting.path.clone()).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// A file that cannot be read, and may be unread.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) path: PathBuf,
    pub(super) error: TailError,
    /// What it was when it was looked at.
    pub(super) stat: Option<Stat>,
    /// Since when it has been the same.
    pub(super) since: Instant,
}

impl Tailer {
    /// What is there and has not been handed out, as of the last poll.
    pub fn backlog(&self) -> Backlog {
        let unread = |file: &&LogFile| file.size() > file.offset();
        let open = self.files.iter().filter(unread);
        let bytes: u64 = open.clone().map(|file| file.size() - file.offset()).sum();
        Backlog {
            bytes: bytes + self.queue.bytes,
            files: (open.count() + self.queue.files.len() + self.pending.len()) as u64,
            is_estimated: self.queue.estimated > 0,
        }
    }

    /// Keeps a file that cannot be read, to be tried again.
    pub(super) fn set_pending(&mut self, path: &std::path::Path, error: TailError) {
        if matches!(error, TailError::Io { .. }) && error.may_pass() {
            // It changes while it is looked at.
            self.is_unsettled = true;
            return;
        }
        self.complain(&error);
        let stat = self.options.fs.stat(path).ok().flatten();
        let known = self.pending.iter().position(|pending| pending.path == path);
        let known = known.map(|at| self.pending.swap_remove(at));
        let since = known.filter(|known| known.stat == stat).map_or(self.now, |known| known.since);
        self.pending.push(Pending { path: path.to_owned(), error, stat, since });
    }
}

/// How long a file is uncompressed; and whether that is an estimate.
fn unpacked_bytes(look: &Look) -> (u64, bool) {
    /// What access logs are compressed to, roughly.
    const RATIO: u64 = 10;
    let packed = look.raw.len;
    match look.handle.packing() {
        Packing::Plain => (packed, false),
        Packing::Gzip => {
            // The last four bytes are the length modulo 2^32, if there is only one member.
            let trailer = look.handle.read_range(packed.saturating_sub(4), packed).unwrap_or_default();
            let len = trailer.try_into().map_or(0, u32::from_le_bytes);
            (u64::from(len).max(packed), true)
        }
        _ => (packed.saturating_mul(RATIO), true),
    }
}
