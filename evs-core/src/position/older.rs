//! The older files of a statistic: those that were read, or left out, before the statistic was added.
//!
//! A statistic that begins at the oldest file counts two parts of the log at the same time. The *older files* are what
//! the source had passed when the statistic was added; they are read for this statistic alone. Everything after that is
//! read for all statistics together.
//!
//! ```text
//! access.log.2.gz        access.log.1           access.log
//! [older file 1......]   [older file 2......]   [older file 3....|lines since then....]
//!                                                                ^ the statistic was added here
//! ```
//!
//! The list of older files is fixed when the statistic is added, and durable with its definition. Each file is a known
//! file of the [inventory](super::Inventory), or the beginning of one that was open, up to the place where the source
//! stood. So no line is in both parts, and none is in neither.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::inventory::KnownFile;

/// The list of older files of a statistic, in the order of reading. A clone is cheap.
pub type OlderFiles = Arc<[Arc<KnownFile>]>;

/// The position of a statistic in the list of its older files.
///
/// The files before `file` are finished, and those after it are unread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OlderPosition {
    /// The index of a file in the list; the length of the list if all of them are finished.
    pub file: u64,
    /// The offset in that file at which reading continues, in uncompressed bytes.
    pub offset: u64,
}
