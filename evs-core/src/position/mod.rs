//! The positions in a log's files up to which a source was read, and the facts by which the files are recognized.
//!
//! A [`Frontier`] is the position in the open files, and an [`Inventory`] lists all other known files. Both are
//! durable with the batches. `tail` moves them, and batches, the binlog and the sinks carry them.

mod digest;
mod frontier;
mod inventory;
mod older;
mod wide;

pub use digest::Digest;
pub use frontier::{FileMark, Frontier};
pub use inventory::{Fingerprint, Inventory, InventoryChange, KnownFile, Standing};
pub use older::{OlderFiles, OlderPosition};
pub(crate) use wide::{Move, is_wide};
