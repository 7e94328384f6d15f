//! A process in which a pipeline runs: it can be killed at any call that it makes to its log or its state directory.

use std::{
    ffi::OsString,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use evs_core::internals::{
    disk::SimDisk,
    tail::{LogFs, LogRead, Stat},
};

use crate::{site::Site, tail_support::sim::SimFs};

/// The life of a process. Its state directory and its log have a part of it, so that the process has ended when
/// nobody else has one.
#[derive(Debug)]
pub struct Process {
    is_killed: AtomicBool,
    /// The number of calls to the log before the one that something happens to.
    calls: AtomicU64,
    /// The error of that call. If there is none, the process is killed there.
    error: Option<ErrorKind>,
    state: SimDisk,
}

impl Process {
    /// Starts a process that is killed after that number of calls to its log, or in which that call fails.
    pub fn new(state: &SimDisk, calls: u64, error: Option<ErrorKind>) -> Arc<Self> {
        Arc::new(Self {
            is_killed: AtomicBool::new(false),
            calls: AtomicU64::new(calls),
            error,
            state: state.clone(),
        })
    }

    /// Ends the process: all its further calls fail.
    pub fn kill(&self) {
        self.is_killed.store(true, SeqCst);
        self.state.crash();
    }

    pub fn is_killed(&self) -> bool {
        self.is_killed.load(SeqCst) || self.state.has_crashed()
    }

    fn call(&self) -> io::Result<()> {
        if self.calls.fetch_sub(1, SeqCst) == 0 {
            match self.error {
                Some(kind) => return Err(io::Error::new(kind, "the disk of the log failed")),
                None => self.kill(),
            }
        }
        if self.is_killed() { Err(io::Error::other("the process was killed")) } else { Ok(()) }
    }
}

/// The log as a process sees it.
#[derive(Clone, Debug)]
pub struct ProcessFs {
    pub fs: SimFs<Site>,
    pub process: Arc<Process>,
}

impl LogFs for ProcessFs {
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.process.call()?;
        self.fs.list(directory)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        self.process.call()?;
        self.fs.stat(path)
    }

    fn link_target(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        self.process.call()?;
        self.fs.link_target(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogRead>> {
        self.process.call()?;
        Ok(Box::new(ProcessFile { file: self.fs.open(path)?, fs: self.clone() }))
    }
}

/// A file of the log that a process has open.
#[derive(Debug)]
struct ProcessFile {
    file: Box<dyn LogRead>,
    fs: ProcessFs,
}

impl LogRead for ProcessFile {
    fn stat(&self) -> io::Result<Stat> {
        self.fs.process.call()?;
        self.file.stat()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.fs.process.call()?;
        self.file.read_at(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.fs.process.call()?;
        let Stat { id, size, .. } = self.file.stat()?;
        self.file.sync()?;
        self.fs.fs.with(|disk, site| site.note_synced(disk, id.inode, size as usize));
        Ok(())
    }
}
