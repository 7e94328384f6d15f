//! The inventory: all files of a source that are known and not open.
//!
//! It is durable together with the positions, so that a file that was read is recognized after a restart,
//! whatever its name is by then.
//!
//! Without it, evs could not tell a file that was read from one that is new. Example: evs has read `access.log.1` to
//! its end. At night logrotate compresses it, renames it to `access.log.2.gz`, and puts yesterday's log in its old
//! place. The inventory says by the bytes of both: the first one is finished, and the second one is unread.

use std::sync::Arc;

use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::digest::Digest;

/// The facts by which the bytes of a file are recognized: their number, the first ones and the last ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The number of bytes.
    pub len: u64,
    /// The digest of the first bytes, up to [`FileMark::HEAD_BYTES_MAX`](crate::FileMark::HEAD_BYTES_MAX).
    pub head: Digest,
    /// The digest of the last bytes, up to [`FileMark::TAIL_BYTES_MAX`](crate::FileMark::TAIL_BYTES_MAX).
    pub tail: Digest,
}

/// The state of a known file.
///
/// A file that is open is in no inventory. Its position is in the [`Frontier`](crate::Frontier).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The file was seen, and nothing of it has been read.
    Unread,
    /// The file has been read to its end.
    Finished,
    /// The file is older than the source and is never read.
    Foreign,
}

/// A file that is known and not open.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KnownFile {
    /// A number that ascends in the order in which files became known.
    pub id: u64,
    /// The state of the file.
    pub standing: Standing,
    /// The digest of the first bytes, uncompressed.
    pub head: Digest,
    /// The fingerprint of all bytes, uncompressed; `None` if the file was found compressed and was never
    /// decompressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Fingerprint>,
    /// The fingerprint of its compressed form, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed: Option<Fingerprint>,
    /// The number of a truncated file, if this file is a copy of its beginning that ends before the offset up to
    /// which it was read. A statistic that lagged behind then finds its bytes here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beginning_of: Option<u64>,
    /// The last known path, for messages.
    pub path: String,
    /// The path of the log that the file belongs to, if the source is a pattern; `None` for a source of one log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Arc<str>>,
}

/// The known files of a source. They are durable together with its positions. A clone is cheap.
///
/// A clone shares its nodes with the original (a persistent tree). Each commit clones the state of the binlog, and a
/// log can have a hundred thousand files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    files: RedBlackTreeMapSync<u64, Arc<KnownFile>>,
}

/// The changes to an [`Inventory`] that the next commit makes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryChange {
    /// The ids of files that are no longer known, or are open by now. They are removed first.
    pub removed: Vec<u64>,
    /// The files that are known from now on. A file replaces the one with the same id.
    pub added: Vec<Arc<KnownFile>>,
}

impl Inventory {
    /// Returns the files, by ascending id.
    pub fn files(&self) -> impl Iterator<Item = &Arc<KnownFile>> {
        self.files.values()
    }

    /// Returns the number of known files.
    pub fn len(&self) -> usize {
        self.files.size()
    }

    /// Returns true if no file is known.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Applies a change.
    pub fn apply(&mut self, change: &InventoryChange) {
        for id in &change.removed {
            self.files.remove_mut(id);
        }
        for file in &change.added {
            self.files.insert_mut(file.id, Arc::clone(file));
        }
    }
}

impl InventoryChange {
    /// Returns true if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

/// A list of files, by ascending id.
impl Serialize for Inventory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.files())
    }
}

impl<'d> Deserialize<'d> for Inventory {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        let files = <Vec<Arc<KnownFile>>>::deserialize(deserializer)?;
        Ok(Self { files: files.into_iter().map(|file| (file.id, file)).collect() })
    }
}
