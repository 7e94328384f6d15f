//! The files that are known to be there and are not open: unread ones that wait for their turn, and those
//! that cannot be read yet.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{error::TailError, fs::Stat, look::Look, packing::Packing};

/// The amount of data that was found and has not been handed out yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// Uncompressed bytes.
    pub bytes: u64,
    /// Files with such bytes.
    pub files: u64,
    /// True if `bytes` is an estimate, because some of the files are compressed.
    pub is_estimated: bool,
}

/// An unread file that has not been opened.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// The path at which the last survey found the file.
    pub(super) path: PathBuf,
    /// The number of its unread bytes, uncompressed.
    pub(super) bytes: u64,
    pub(super) is_estimated: bool,
    /// The known file, by its id, that this one was when it was finished, if it has grown since.
    pub(super) grown: Option<u64>,
}

impl Waiting {
    /// Describes a file that was looked at. For a file that has grown, `grown` is the id of the known file
    /// and its length.
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

/// The files to open, the next one first, and the sum of their bytes.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) files: VecDeque<Waiting>,
    pub(super) bytes: u64,
    pub(super) estimated: u64,
}

impl Queue {
    /// Adds a file at the end.
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.bytes;
        self.estimated += u64::from(waiting.is_estimated);
        self.files.push_back(waiting);
    }

    /// Removes and returns the first file.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.files.pop_front()?;
        self.bytes -= waiting.bytes;
        self.estimated -= u64::from(waiting.is_estimated);
        Some(waiting)
    }

    /// Returns the paths of all files.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|waiting| waiting.path.clone()).collect()
    }

    /// Returns true if the file at that path is there.
    pub(super) fn contains(&self, path: &Path) -> bool {
        self.files.iter().any(|waiting| waiting.path == path)
    }

    /// Returns true if there is no file.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// A file that may be unread, and cannot be read.
#[derive(Debug)]
pub(super) struct Pending {
    /// The path of the file.
    pub(super) path: PathBuf,
    /// The reason why it cannot be read.
    pub(super) error: TailError,
    /// Its metadata when it was looked at.
    pub(super) stat: Option<Stat>,
    /// Since when its metadata has been the same.
    pub(super) since: Instant,
}

/// Returns the uncompressed length of a file, and true if it is an estimate.
fn unpacked_bytes(look: &Look) -> (u64, bool) {
    /// The usual compression ratio of access logs.
    const RATIO: u64 = 10;
    let packed = look.raw.len;
    match look.handle.packing() {
        Packing::Plain => (packed, false),
        Packing::Gzip => {
            // The last four bytes of a gzip member are its length modulo 2^32. That is the length of the
            // whole file only if there is a single member.
            let trailer = look.handle.read_range(packed.saturating_sub(4), packed).unwrap_or_default();
            let len = trailer.try_into().map_or(0, u32::from_le_bytes);
            (u64::from(len).max(packed), true)
        }
        _ => (packed.saturating_mul(RATIO), true),
    }
}
