//! The web server and its log: it writes lines in pieces, its log is rotated and compressed, and it loses what was not
//! synced in a power cut.
//!
//! It acts before the calls that the pipeline makes to the file system, so that any two calls may see different files.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    path::{Path, PathBuf},
};

use crate::{
    chance::Chance,
    tail_support::{
        pack,
        sim::{Agent, Disk, Inode},
    },
    time::{TIME, Time},
};

pub const LOG: &str = "/log/access.log";
/// The most bytes that the server writes at once.
const PIECE_BYTES_MAX: u64 = 90;

/// A step of a rotation.
#[derive(Debug)]
enum Step {
    Rename(PathBuf, PathBuf),
    Create(PathBuf),
    /// The server opens the log again.
    Reopen,
    /// Compresses a file in three pieces.
    Pack(PathBuf, PathBuf),
    Append(PathBuf, Vec<u8>),
    /// Copies a part of the log to a file that has the part before.
    Copy(PathBuf),
    /// Copies the rest of the log, and truncates it.
    Truncate(PathBuf),
    Unlink(PathBuf),
}

/// The web server, and logrotate.
#[derive(Debug)]
pub struct Site {
    chance: Chance,
    time: Time,
    /// A checksum of all calls, in their order.
    pub trace: u64,
    /// The file that the server writes to.
    handle: Option<Inode>,
    /// The number of the next line, and of all.
    next: u64,
    lines: u64,
    /// The part of the present line that is not written yet.
    rest: Vec<u8>,
    steps: VecDeque<Step>,
    /// The bytes of each file that a power cut leaves.
    synced: BTreeMap<Inode, usize>,
    /// True at the end of the world, when nothing happens any more.
    is_calm: bool,
    pub rotations: u64,
    /// True if the log is copied and truncated, and not renamed.
    is_copied: bool,
    pub copies: u64,
}

impl Site {
    pub fn new(chance: Chance, time: Time, lines: u64, disk: &mut Disk) -> Self {
        let mut site = Self {
            chance,
            time,
            trace: 0,
            handle: None,
            next: 0,
            lines,
            rest: Vec::new(),
            steps: VecDeque::new(),
            synced: BTreeMap::new(),
            is_calm: false,
            rotations: 0,
            is_copied: false,
            copies: 0,
        };
        site.is_copied = site.chance.one_in(4);
        site.create(disk, Path::new(LOG)).unwrap();
        site.reopen(disk).unwrap();
        site
    }

    /// Lets the server and logrotate do the given number of steps.
    pub fn work(&mut self, disk: &mut Disk, steps: u64) {
        for _ in 0..steps {
            self.step(disk);
        }
    }

    /// Finishes the rotation and the present line. From now on nothing changes.
    pub fn calm_down(&mut self, disk: &mut Disk) {
        self.finish_rotation(disk);
        self.write(disk, usize::MAX);
        // With a line in the live file, the files before it are known to be finished.
        disk.append(self.handle.unwrap(), format!("calm {TIME}.000 200\n").as_bytes());
        self.is_calm = true;
    }

    /// Notes that these bytes of a file are on the disk.
    pub fn note_synced(&mut self, inode: Inode, len: usize) {
        let synced = self.synced.entry(inode).or_default();
        *synced = len.max(*synced);
    }

    /// Cuts the power: each file keeps what was synced, and any part of the rest. The server starts again.
    pub fn power_cut(&mut self, disk: &mut Disk) {
        self.finish_rotation(disk);
        let paths: Vec<PathBuf> = disk.paths().map(Path::to_owned).collect();
        for path in paths {
            let inode = disk.find(&path).unwrap();
            let (len, synced) = (disk.bytes(inode).len(), self.synced.get(&inode).copied().unwrap_or(0));
            let lost = match self.chance.below(3) {
                0 => 0,
                1 => len.saturating_sub(synced),
                _ => self.chance.below((len.saturating_sub(synced) + 1) as u64) as usize,
            };
            // Only plain files are written to; a compressed file counts as synced.
            if lost > 0 && path.extension().is_none_or(|extension| extension != "gz") {
                disk.truncate(&path, len - lost).unwrap();
            }
            self.note_synced(inode, len - lost);
        }
        self.rest.clear();
        self.reopen(disk).unwrap();
    }

    /// Returns all lines that are in the log. The last one of the live file may still grow, unless it has ended.
    ///
    /// A file that has no whole line, and with whose bytes another file begins, counts as an unfinished copy of that one.
    /// After a power cut, these may be the first bytes of a line that was lost.
    pub fn lines(&self, disk: &Disk) -> Vec<String> {
        let texts =
            disk.paths().filter_map(|path| disk.read(path).ok().map(|bytes| (path, text(path, bytes))));
        let texts: Vec<(&Path, String)> = texts.collect();
        let mut lines = Vec::new();
        for (path, text) in &texts {
            let text = if *path == Path::new(LOG) {
                text.rsplit_once('\n').map_or("", |(whole, _)| whole)
            } else {
                text
            };
            let is_copy = |(other, of): &(&Path, String)| other != path && of.starts_with(text);
            if text.contains('\n') || !texts.iter().any(is_copy) {
                lines.extend(text.lines().map(str::to_owned));
            }
        }
        lines
    }

    fn step(&mut self, disk: &mut Disk) {
        if self.is_calm {
            return;
        }
        if self.steps.is_empty() && self.chance.one_in(150) {
            self.rotate(disk);
        }
        if self.steps.is_empty() || self.chance.one_in(2) {
            let bytes = 1 + self.chance.below(PIECE_BYTES_MAX) as usize;
            self.write(disk, bytes);
        } else if let Some(step) = self.steps.pop_front() {
            self.run(disk, step);
        }
    }

    /// Writes some bytes of the present line and of further ones, or with `usize::MAX` the rest of the line.
    fn write(&mut self, disk: &mut Disk, bytes: usize) {
        let mut piece = Vec::new();
        while bytes < usize::MAX && self.rest.len() < bytes && self.next < self.lines {
            let number = self.next;
            self.next += 1;
            let line = if self.chance.one_in(40) {
                format!("{number:05} not a time\n")
            } else {
                format!("{number:05} {TIME}.000 200\n")
            };
            self.rest.extend_from_slice(line.as_bytes());
        }
        piece.extend(self.rest.drain(..bytes.min(self.rest.len())));
        disk.append(self.handle.unwrap(), &piece);
    }

    /// Plans a rotation.
    fn rotate(&mut self, disk: &Disk) {
        self.rotations += 1;
        let mut steps = Vec::new();
        let mut number = 1;
        let name = |number: u64, extension: &str| PathBuf::from(format!("{LOG}.{number}{extension}"));
        while disk.exists(&name(number, "")) || disk.exists(&name(number, ".gz")) {
            let extension = if disk.exists(&name(number, "")) { "" } else { ".gz" };
            steps.push(Step::Rename(name(number, extension), name(number + 1, extension)));
            number += 1;
        }
        steps.reverse();
        if self.is_copied {
            self.copies += 1;
            steps.extend([Step::Create(name(1, "")), Step::Copy(name(1, "")), Step::Truncate(name(1, ""))]);
        } else {
            steps.push(Step::Rename(PathBuf::from(LOG), name(1, "")));
            steps.push(Step::Create(PathBuf::from(LOG)));
            steps.push(Step::Reopen);
        }
        if disk.exists(&name(1, "")) && self.chance.one_in(2) {
            steps.push(Step::Pack(name(2, ""), name(2, ".gz")));
        }
        self.steps.extend(steps);
    }

    fn run(&mut self, disk: &mut Disk, step: Step) {
        match step {
            Step::Rename(from, to) => disk.rename(&from, &to).unwrap(),
            Step::Create(path) => self.create(disk, &path).unwrap(),
            Step::Reopen => {
                // The server has whole lines to write: the present one ends in the file where it began.
                self.write(disk, usize::MAX);
                self.reopen(disk).unwrap();
            }
            Step::Pack(from, to) => {
                let bytes = pack(disk.read(&from).unwrap(), "gz");
                self.create(disk, &to).unwrap();
                let pieces = bytes.chunks(bytes.len().div_ceil(3));
                let pieces = pieces.map(|piece| Step::Append(to.clone(), piece.to_vec()));
                self.steps.extend(pieces.collect::<Vec<_>>());
                self.steps.push_back(Step::Unlink(from));
            }
            Step::Append(path, bytes) => {
                let inode = disk.find(&path).unwrap();
                disk.append(inode, &bytes);
            }
            Step::Copy(to) => {
                let part = self.uncopied(disk, &to);
                disk.append(disk.find(&to).unwrap(), &part[..part.len() / 2]);
            }
            Step::Truncate(to) => {
                // What the server writes between the two is lost with any rotator. Here there is nothing in between.
                let (part, copy) = (self.uncopied(disk, &to), disk.find(&to).unwrap());
                disk.append(copy, &part);
                self.note_synced(copy, disk.bytes(copy).len());
                disk.truncate(Path::new(LOG), 0).unwrap();
                self.synced.insert(disk.find(Path::new(LOG)).unwrap(), 0);
            }
            Step::Unlink(path) => disk.unlink(&path).unwrap(),
        }
    }

    /// Returns what the log has beyond its copy.
    fn uncopied(&self, disk: &Disk, to: &Path) -> Vec<u8> {
        disk.read(Path::new(LOG)).unwrap()[disk.read(to).unwrap().len()..].to_vec()
    }

    fn finish_rotation(&mut self, disk: &mut Disk) {
        while let Some(step) = self.steps.pop_front() {
            self.run(disk, step);
        }
    }

    fn create(&mut self, disk: &mut Disk, path: &Path) -> io::Result<()> {
        let inode = disk.create(path)?;
        self.synced.insert(inode, 0);
        Ok(())
    }

    fn reopen(&mut self, disk: &mut Disk) -> io::Result<()> {
        let inode = disk.find(Path::new(LOG))?;
        disk.open(inode);
        if let Some(old) = self.handle.replace(inode) {
            disk.close(old);
        }
        Ok(())
    }
}

impl Agent for Site {
    fn before_call(&mut self, disk: &mut Disk, call: fmt::Arguments<'_>) -> io::Result<()> {
        self.time.call();
        disk.set_clock(self.time.since_1970());
        let _ = fmt::write(&mut Checksum(&mut self.trace), call);
        if self.chance.one_in(4) {
            self.step(disk);
        }
        Ok(())
    }
}

/// Returns the text of a file, which may be compressed.
fn text(path: &Path, bytes: &[u8]) -> String {
    if path.extension().is_some_and(|extension| extension == "gz") {
        io::read_to_string(flate2::read::GzDecoder::new(bytes)).unwrap()
    } else {
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}

/// Adds text to a checksum (FNV-1a).
struct Checksum<'s>(&'s mut u64);

impl fmt::Write for Checksum<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.0 = (*self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}
