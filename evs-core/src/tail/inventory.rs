//! What is known of the files of a source beside those that are open.

use std::sync::Arc;

use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Digest;

/// What the bytes of a file are known by: how many there are, the first ones and the last ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many bytes there are.
    pub len: u64,
    /// The first bytes, up to [`FileMark::HEAD_BYTES_MAX`](super::FileMark::HEAD_BYTES_MAX).
    pub head: Digest,
    /// The last bytes, up to [`FileMark::TAIL_BYTES_MAX`](super::FileMark::TAIL_BYTES_MAX).
    pub tail: Digest,
}

/// What has become of a known file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It was seen, and nothing of it has been read.
    Unread,
    /// All of it has been read.
    Finished,
    /// It is older than the source, which does not read it.
    Foreign,
}

/// A file that is known and not open.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KnownFile {
    /// Ascending in the order in which files became known.
    pub id: u64,
    /// What has become of it.
    pub standing: Standing,
    /// The first bytes, uncompressed.
    pub head: Digest,
    /// All bytes, uncompressed; `None` if the file was found compressed and has not been decompressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Fingerprint>,
    /// The bytes of its compressed form, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed: Option<Fingerprint>,
    /// The number of a truncated file of which this is a copy of the beginning: more of it was read than is here.
    /// A statistic that was behind then finds its bytes here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beginning_of: Option<u64>,
    /// The path by which it was last known, for messages.
    pub path: String,
}

/// The known files of a source, which are durable together with its positions. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    files: RedBlackTreeMapSync<u64, Arc<KnownFile>>,
}

/// What is to change in an [`Inventory`] with the next commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryChange {
    /// The ids of files that are no longer known, or are open by now. They go first.
    pub removed: Vec<u64>,
    /// Files that are known from here on. One with an id that is there takes its place.
    pub added: Vec<Arc<KnownFile>>,
}

impl Inventory {
    /// The files, by ascending id.
    pub fn files(&self) -> impl Iterator<Item = &Arc<KnownFile>> {
        self.files.values()
    }

    /// How many files are known.
    pub fn len(&self) -> usize {
        self.files.size()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Makes a change.
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
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

/// As a list, by ascending id.
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
