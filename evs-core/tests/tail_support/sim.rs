//! A file system in memory that something else may change before each call.
//!
//! [`Disk`] is the file system, and [`SimFs`] is the tailer's view of it. Before every call of the tailer, an
//! [`Agent`] may change the disk, so any two calls may see different directories. An inode becomes free as
//! soon as it has no name and nobody has it open, and a new file gets the lowest free one: this is the worst
//! case for a program that trusts inodes.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    io::{self, ErrorKind},
    mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use evs_core::internals::tail::{FileId, LogFs, LogRead, Stat};

/// The number of an inode.
pub type Inode = u64;

/// The most consecutive symbolic links that are followed.
const LINKS_MAX: usize = 8;

/// A file system in memory. Paths are absolute, and no directory is a symbolic link.
#[derive(Debug)]
pub struct Disk {
    /// The nodes by inode, starting with inode 1.
    nodes: Vec<Option<Node>>,
    names: BTreeMap<PathBuf, Inode>,
    /// What `names` was at some times that a power cut may bring back.
    past: Vec<BTreeMap<PathBuf, Inode>>,
    /// The time since 1970.
    clock: Duration,
    /// The unit to which file times are rounded down.
    tick: Duration,
}

#[derive(Debug)]
struct Node {
    content: Content,
    /// The number of its names.
    names: u32,
    /// The number of handles that have it open.
    handles: u32,
    modified: Duration,
    changed: Duration,
}

#[derive(Debug)]
enum Content {
    Directory,
    Link(PathBuf),
    File(Vec<u8>),
}

impl Disk {
    /// Creates an empty disk. Its clock is at `clock`, and file times are multiples of `tick`.
    pub fn new(clock: Duration, tick: Duration) -> Self {
        Self { nodes: Vec::new(), names: BTreeMap::new(), past: Vec::new(), clock, tick }
    }

    /// Returns the exact time since 1970.
    pub fn clock(&self) -> Duration {
        self.clock
    }

    /// Sets the clock, forward or back.
    pub fn set_clock(&mut self, clock: Duration) {
        self.clock = clock;
    }

    fn file_time(&self) -> Duration {
        let tick = self.tick.as_nanos().max(1);
        let nanos = self.clock.as_nanos() / tick * tick;
        Duration::from_nanos(u64::try_from(nanos).unwrap())
    }

    pub fn create_directory(&mut self, path: &Path) {
        let inode = self.add(Content::Directory);
        self.give_name(path, inode);
    }

    /// Opens a file for writing, and empties it if it exists (`O_CREAT | O_TRUNC`).
    pub fn create(&mut self, path: &Path) -> io::Result<Inode> {
        let path = self.end_of_links(path)?;
        if self.names.contains_key(&path) {
            self.truncate(&path, 0)?;
            return self.find(&path);
        }
        self.directory_of(&path)?;
        let inode = self.add(Content::File(Vec::new()));
        self.give_name(&path, inode);
        Ok(inode)
    }

    pub fn symlink(&mut self, target: &Path, path: &Path) -> io::Result<()> {
        self.must_be_free(path)?;
        let inode = self.add(Content::Link(target.to_owned()));
        self.give_name(path, inode);
        Ok(())
    }

    pub fn hard_link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.named(from)?;
        self.must_be_free(to)?;
        self.give_name(to, inode);
        self.touch_changed(inode);
        Ok(())
    }

    pub fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.named(from)?;
        self.directory_of(to)?;
        match self.names.get(to).copied() {
            // If both are names of one file, POSIX keeps both.
            Some(other) if other == inode => return Ok(()),
            Some(_) => self.unlink(to)?,
            None => {}
        }
        self.names.remove(from);
        self.names.insert(to.to_owned(), inode);
        self.touch_changed(inode);
        Ok(())
    }

    pub fn unlink(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.named(path)?;
        self.names.remove(path);
        self.node_mut(inode).names -= 1;
        self.touch_changed(inode);
        self.free_if_unused(inode);
        Ok(())
    }

    pub fn truncate(&mut self, path: &Path, len: usize) -> io::Result<()> {
        let inode = self.find(path)?;
        self.bytes_mut(inode).resize(len, 0);
        self.touch_modified(inode);
        Ok(())
    }

    pub fn append(&mut self, inode: Inode, bytes: &[u8]) {
        // A write of no bytes does not change the time.
        if bytes.is_empty() {
            return;
        }
        self.bytes_mut(inode).extend_from_slice(bytes);
        self.touch_modified(inode);
    }

    /// Sets the modification time, to any time, in the way of `utime`.
    pub fn set_modified(&mut self, path: &Path, modified: Duration) -> io::Result<()> {
        let inode = self.find(path)?;
        self.node_mut(inode).modified = modified;
        self.touch_changed(inode);
        Ok(())
    }

    pub fn modified(&self, path: &Path) -> io::Result<Duration> {
        Ok(self.node(self.find(path)?).modified)
    }

    /// Returns the bytes of the file that `path` leads to.
    pub fn read(&self, path: &Path) -> io::Result<&[u8]> {
        Ok(self.bytes(self.find(path)?))
    }

    /// Returns the bytes of a file.
    pub fn bytes(&self, inode: Inode) -> &[u8] {
        match &self.node(inode).content {
            Content::File(bytes) => bytes,
            other => panic!("inode {inode} is {other:?}"),
        }
    }

    pub fn exists(&self, path: &Path) -> bool {
        self.find(path).is_ok()
    }

    /// Returns every path that is a file or a link, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let is_directory = |inode: Inode| matches!(self.node(inode).content, Content::Directory);
        self.names.iter().filter(move |(_, inode)| !is_directory(**inode)).map(|(path, _)| path.as_path())
    }

    /// Opens a file: it stays until it is [closed](Self::close), even without a name.
    pub fn open(&mut self, inode: Inode) {
        self.node_mut(inode).handles += 1;
    }

    pub fn close(&mut self, inode: Inode) {
        self.node_mut(inode).handles -= 1;
        self.free_if_unused(inode);
    }

    /// Notes the names that there are: a power cut may bring them back. Their files stay until then.
    pub fn remember_names(&mut self) {
        let names = self.names.clone();
        names.values().for_each(|inode| self.open(*inode));
        self.past.push(names);
    }

    /// Returns the number of times that a power cut may bring back.
    pub fn names_past(&self) -> usize {
        self.past.len()
    }

    /// All changes of names are on the disk.
    pub fn sync_names(&mut self) {
        for names in mem::take(&mut self.past) {
            names.values().for_each(|inode| self.close(*inode));
        }
    }

    /// Brings the names of one of the times back. Returns false if there is no such time.
    pub fn go_back(&mut self, at: usize) -> bool {
        let Some(names) = self.past.get(at).cloned() else { return false };
        self.nodes.iter_mut().flatten().for_each(|node| node.names = 0);
        names.values().for_each(|inode| self.node_mut(*inode).names += 1);
        let gone: Vec<Inode> = self.names.values().copied().collect();
        self.names = names;
        gone.into_iter().for_each(|inode| self.free_if_unused(inode));
        self.sync_names();
        true
    }

    /// Returns the file that `path` leads to, through symbolic links.
    pub fn find(&self, path: &Path) -> io::Result<Inode> {
        self.named(&self.follow(path)?)
    }

    /// Returns the path of the file that `path` leads to.
    pub fn follow(&self, path: &Path) -> io::Result<PathBuf> {
        let end = self.end_of_links(path)?;
        self.named(&end).map(|_| end)
    }

    /// Returns the path that `path` leads to, even if nothing is there.
    fn end_of_links(&self, path: &Path) -> io::Result<PathBuf> {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            let Some(inode) = self.names.get(&path) else { return Ok(path) };
            let Content::Link(target) = &self.node(*inode).content else { return Ok(path) };
            let directory = path.parent().unwrap_or(Path::new("/"));
            path = directory.join(target);
        }
        Err(ErrorKind::Other.into())
    }

    fn named(&self, path: &Path) -> io::Result<Inode> {
        self.names.get(path).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        match self.node(self.find(directory)?).content {
            Content::Directory => {}
            _ => return Err(ErrorKind::NotADirectory.into()),
        }
        let inside = self.names.keys().filter(|path| path.parent() == Some(directory));
        Ok(inside.filter_map(|path| path.file_name()).map(ToOwned::to_owned).collect())
    }

    fn stat(&self, inode: Inode) -> Stat {
        let node = self.node(inode);
        let size = if let Content::File(bytes) = &node.content { bytes.len() as u64 } else { 0 };
        Stat {
            id: FileId { device: 1, inode },
            size,
            modified: SystemTime::UNIX_EPOCH + node.modified,
            changed: SystemTime::UNIX_EPOCH + node.changed,
            is_regular: matches!(node.content, Content::File(_)),
        }
    }

    fn is_link(&self, path: &Path) -> bool {
        self.named(path).is_ok_and(|inode| matches!(self.node(inode).content, Content::Link(_)))
    }

    fn directory_of(&self, path: &Path) -> io::Result<()> {
        let directory = path.parent().ok_or(ErrorKind::NotFound)?;
        self.named(directory).map(|_| ())
    }

    fn must_be_free(&self, path: &Path) -> io::Result<()> {
        self.directory_of(path)?;
        if self.names.contains_key(path) { Err(ErrorKind::AlreadyExists.into()) } else { Ok(()) }
    }

    fn add(&mut self, content: Content) -> Inode {
        let time = self.file_time();
        let node = Node { content, names: 0, handles: 0, modified: time, changed: time };
        let at = self.nodes.iter().position(Option::is_none).unwrap_or_else(|| {
            self.nodes.push(None);
            self.nodes.len() - 1
        });
        self.nodes[at] = Some(node);
        at as Inode + 1
    }

    fn give_name(&mut self, path: &Path, inode: Inode) {
        self.names.insert(path.to_owned(), inode);
        self.node_mut(inode).names += 1;
    }

    fn touch_changed(&mut self, inode: Inode) {
        let time = self.file_time();
        self.node_mut(inode).changed = time;
    }

    fn touch_modified(&mut self, inode: Inode) {
        let time = self.file_time();
        let node = self.node_mut(inode);
        (node.modified, node.changed) = (time, time);
    }

    fn free_if_unused(&mut self, inode: Inode) {
        let Some(node) = &self.nodes[inode as usize - 1] else { return };
        if node.names == 0 && node.handles == 0 {
            self.nodes[inode as usize - 1] = None;
        }
    }

    fn node(&self, inode: Inode) -> &Node {
        self.nodes[inode as usize - 1].as_ref().unwrap()
    }

    fn node_mut(&mut self, inode: Inode) -> &mut Node {
        self.nodes[inode as usize - 1].as_mut().unwrap()
    }

    fn bytes_mut(&mut self, inode: Inode) -> &mut Vec<u8> {
        match &mut self.node_mut(inode).content {
            Content::File(bytes) => bytes,
            other => panic!("inode {inode} is {other:?}"),
        }
    }
}

/// Something else that uses the disk.
pub trait Agent: Send + 'static {
    /// Called before each call of the tailer. If it returns an error, the call fails with that error.
    fn before_call(&mut self, disk: &mut Disk, call: fmt::Arguments<'_>) -> io::Result<()>;
}

/// An agent that does nothing.
impl Agent for () {
    fn before_call(&mut self, _disk: &mut Disk, _call: fmt::Arguments<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// A disk, together with the agent that uses it.
#[derive(Debug)]
pub struct Shared<A> {
    pub disk: Disk,
    pub agent: A,
}

/// The tailer's view of a [`Disk`].
pub struct SimFs<A> {
    shared: Arc<Mutex<Shared<A>>>,
    read_bytes_max: usize,
}

impl<A: Agent> SimFs<A> {
    /// Creates a view of `disk` in which one read returns at most `read_bytes_max` bytes.
    pub fn new(disk: Disk, agent: A, read_bytes_max: usize) -> Self {
        Self { shared: Arc::new(Mutex::new(Shared { disk, agent })), read_bytes_max }
    }

    /// Locks the disk between two calls of the tailer. No tailer may be dropped while the lock is held.
    pub fn lock(&self) -> MutexGuard<'_, Shared<A>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the disk between two calls of the tailer.
    pub fn with<T>(&self, act: impl FnOnce(&mut Disk, &mut A) -> T) -> T {
        let Shared { disk, agent } = &mut *self.lock();
        act(disk, agent)
    }

    fn call(&self, call: fmt::Arguments<'_>) -> io::Result<MutexGuard<'_, Shared<A>>> {
        let mut shared = self.lock();
        let Shared { disk, agent } = &mut *shared;
        agent.before_call(disk, call)?;
        Ok(shared)
    }
}

impl<A> Clone for SimFs<A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), read_bytes_max: self.read_bytes_max }
    }
}

impl<A> fmt::Debug for SimFs<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimFs")
    }
}

impl<A: Agent> LogFs for SimFs<A> {
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.call(format_args!("list {}", directory.display()))?.disk.list(directory)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        let shared = self.call(format_args!("stat {}", path.display()))?;
        Ok(shared.disk.find(path).ok().map(|inode| shared.disk.stat(inode)))
    }

    fn link_target(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let shared = self.call(format_args!("link_target {}", path.display()))?;
        Ok(if shared.disk.is_link(path) { shared.disk.end_of_links(path).ok() } else { None })
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogRead>> {
        let mut shared = self.call(format_args!("open {}", path.display()))?;
        let inode = shared.disk.find(path)?;
        shared.disk.open(inode);
        drop(shared);
        Ok(Box::new(SimFile { fs: self.clone(), inode }))
    }
}

struct SimFile<A: Agent> {
    fs: SimFs<A>,
    inode: Inode,
}

impl<A: Agent> fmt::Debug for SimFile<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimFile({})", self.inode)
    }
}

impl<A: Agent> Drop for SimFile<A> {
    fn drop(&mut self) {
        self.fs.lock().disk.close(self.inode);
    }
}

impl<A: Agent> LogRead for SimFile<A> {
    fn stat(&self) -> io::Result<Stat> {
        Ok(self.fs.call(format_args!("stat of inode {}", self.inode))?.disk.stat(self.inode))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let shared = self.fs.call(format_args!("read inode {} at {offset}", self.inode))?;
        let bytes = shared.disk.bytes(self.inode);
        let from = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
        let count = (bytes.len() - from).min(buffer.len()).min(self.fs.read_bytes_max);
        buffer[..count].copy_from_slice(&bytes[from..from + count]);
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        self.fs.call(format_args!("sync inode {}", self.inode)).map(|_| ())
    }
}
