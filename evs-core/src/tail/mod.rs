//! The log: the files that it consists of, and the ranges of them that are to be read next.
//!
//! A [`Tailer`] runs on one thread. It hands out [`Chunk`]s: ranges that end after a line, which workers then
//! read in parallel. Its position, the sum of all that has been handed out, is a [`Frontier`](crate::Frontier). After a restart,
//! [`Tailer::resume`] continues from there, wherever rotation has moved the files meanwhile.
//!
//! A file is identified by its bytes: by its first ones, and by those just before the offset up to which it was
//! read. Name, inode and time do not matter, since rotation, compression and copying change all three. The
//! frontier lists the open files; an [`Inventory`](crate::position::Inventory) lists all others that were ever known and may still be there.
//! A file that is in neither is unread.
//!
//! For example, logrotate renames `access.log` to `access.log.1` and compresses it to `access.log.1.gz` an hour
//! later. The tailer finds two new names. It decompresses the second file, sees that it has the bytes that were
//! read of the first, and counts nothing twice.

mod backlog;
mod bases;
mod catalog;
mod chunk;
mod decoder;
mod directive;
mod error;
mod event;
mod excerpt;
mod file;
mod fs;
mod globs;
mod handle;
#[cfg(feature = "inspect")]
mod identify;
mod logs;
mod look;
mod names;
mod numbers;
mod older;
mod options;
mod packing;
mod pattern;
mod preamble;
mod tailer;
#[cfg(feature = "internals")]
mod unpacking;
mod unzip;
mod view;
mod wake;
#[cfg(feature = "notify")]
mod watch;

pub use backlog::Backlog;
pub use chunk::{Chunk, ChunkKind};
pub use error::TailError;
pub use event::TailEvent;
pub use fs::{FileId, LogFs, LogRead, RealFs, Stat};
pub(crate) use globs::Glob;
pub use handle::LogHandle;
#[cfg(feature = "inspect")]
pub(crate) use identify::{Identified, Verdict};
pub use logs::Logs;
pub use older::OlderReader;
pub use options::{Begin, OnChanged, OnGone, OnUnreadable, TailOptions};
pub use tailer::Tailer;
#[cfg(feature = "internals")]
pub use unpacking::{assert_chunks, unpack};
pub use wake::Wake;
