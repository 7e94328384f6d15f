//! The log: which files it consists of, and which ranges of them are to be read next.
//!
//! A [`Tailer`] runs on one thread. It hands out [`Chunk`]s: ranges that end after a line, which workers read by
//! themselves. What has been handed out is a [`Frontier`], from which [`Tailer::resume`] goes on after a restart,
//! wherever rotation has moved the files meanwhile.
//!
//! A file is known by its bytes, not by its name, inode or time: by its first ones, and by those before the
//! offset up to which it was read. The open files are in the frontier; an [`Inventory`] has the others that were
//! ever known and may still be there. A file that is neither is unread.

mod catalog;
mod chunk;
mod error;
mod event;
mod file;
mod frontier;
mod fs;
mod handle;
mod inventory;
mod names;
mod options;
mod packing;
mod pattern;
mod survey;
mod tailer;
mod unzip;
mod wake;

pub use chunk::{Chunk, ChunkKind};
pub use error::TailError;
pub use event::TailEvent;
pub use frontier::{Digest, FileMark, Frontier};
pub use fs::{FileId, LogFs, LogRead, RealFs, Stat};
pub use handle::LogHandle;
pub use inventory::{Fingerprint, Inventory, InventoryChange, KnownFile, Standing};
pub use options::{Begin, OnChanged, OnGone, OnUnreadable, TailOptions};
pub use tailer::{Backlog, Tailer};
pub use wake::Wake;
