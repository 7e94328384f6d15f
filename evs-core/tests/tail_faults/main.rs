//! The faults that can happen to a log, one test each. The numbers are those of the list of faults.

#![allow(clippy::unwrap_used, reason = "a test")]

mod compression;
mod identity;
mod lines;
mod rotation;
mod start;
#[path = "../tail_support/mod.rs"]
mod tail_support;
mod truncation;

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use evs_core::{
    Begin, Frontier, OnChanged, OnGone, OnUnreadable, TailError,
    internals::{
        position::{Inventory, Standing},
        tail::{ChunkKind, TailEvent, TailOptions, Tailer},
    },
};
use tail_support::{
    GRACE, Log, append, compress, lost, pack, pieces, poll, poll_later, read, set_time, text,
};

fn resume(log: &Log, frontier: &Frontier) -> Result<Tailer, TailError> {
    resume_with(log, frontier, &Inventory::default())
}

fn resume_with(log: &Log, frontier: &Frontier, inventory: &Inventory) -> Result<Tailer, TailError> {
    resume_all(log, std::slice::from_ref(frontier), inventory)
}

fn resume_all(log: &Log, frontiers: &[Frontier], inventory: &Inventory) -> Result<Tailer, TailError> {
    Tailer::resume(log.options(), frontiers, Some(inventory), Instant::now())
}

/// Returns the known files that are not open.
fn inventory(tailer: &mut Tailer) -> Inventory {
    let mut inventory = Inventory::default();
    inventory.apply(&tailer.take_change());
    inventory
}

fn resume_anyway(log: &Log, frontier: &Frontier) -> Result<Tailer, TailError> {
    let options = TailOptions { on_gone: OnGone::Continue, ..log.options() };
    Tailer::resume(options, std::slice::from_ref(frontier), Some(&Inventory::default()), Instant::now())
}

/// Creates a log that was read to its end, and returns it with the frontier there.
fn read_log(text: &str) -> (Log, Frontier) {
    let log = Log::with(text);
    let mut tailer = log.start();
    assert_eq!(read(&mut tailer), text);
    (log, tailer.frontier())
}

fn age(path: &Path, seconds: u64) {
    set_time(path, SystemTime::now() - Duration::from_secs(seconds));
}

// The beginning of a source.
