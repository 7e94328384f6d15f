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
    model::Line,
    tail_support::{
        pack,
        sim::{Agent, Disk, Inode},
    },
    time::{TIME, Time},
};

pub const LOG: &str = "/log/access.log";
/// The numbers of lines of which a site has any at most, and for each the most bytes that its server writes at once.
/// With few lines, a piece is often a part of one.
const SIZES: [(u64, u64); 3] = [(60, 12), (300, 30), (u64::MAX, 90)];

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
    /// The most bytes that are written at once.
    piece_bytes_max: u64,
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
    /// True if rotated files have the time in their names, and not their number.
    is_dated: bool,
    /// True as long as the names of rotated files are in the order of their contents. They are not after a clock was set
    /// back.
    pub is_ordered: bool,
    /// True if they have to stay so.
    needs_order: bool,
    /// True if a power cut may take back what was done to names.
    is_forgetful: bool,
    /// The number of times that it did.
    pub undone: u64,
}

impl Site {
    pub fn new(mut chance: Chance, time: Time, lines: u64, disk: &mut Disk) -> Self {
        let (lines_max, piece_bytes_max) = SIZES[chance.below(3) as usize];
        let mut site = Self {
            is_copied: chance.one_in(4),
            is_dated: chance.one_in(3),
            is_forgetful: chance.one_in(2),
            is_ordered: true,
            needs_order: false,
            chance,
            time,
            trace: 0,
            handle: None,
            next: 0,
            lines: lines.min(lines_max),
            piece_bytes_max,
            rest: Vec::new(),
            steps: VecDeque::new(),
            synced: BTreeMap::new(),
            is_calm: false,
            rotations: 0,
            copies: 0,
            undone: 0,
        };
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
        disk.append(self.handle.unwrap(), format!("calm{} {TIME}.000 200\n", self.next).as_bytes());
        self.is_calm = true;
    }

    /// Lets the server and logrotate go on after [`Self::calm_down`], with a few more lines. The state directory was lost:
    /// the names alone say which files are older than the place where the stores stand.
    pub fn wake_up(&mut self, lines: u64) {
        (self.is_calm, self.needs_order) = (false, true);
        self.lines = self.next + lines;
    }

    /// Notes that these bytes of a file are on the disk. All changes of names before are, too: file systems write them in
    /// their order.
    pub fn note_synced(&mut self, disk: &mut Disk, inode: Inode, len: usize) {
        disk.sync_names();
        self.note_written(inode, len);
    }

    fn note_written(&mut self, inode: Inode, len: usize) {
        let synced = self.synced.entry(inode).or_default();
        *synced = len.max(*synced);
    }

    /// Cuts the power: each file keeps what was synced, and any part of the rest, and the last changes of names may be undone.
    /// The server starts again.
    pub fn power_cut(&mut self, disk: &mut Disk) {
        self.finish_rotation(disk);
        let at = self.chance.below(2 * (disk.names_past() as u64 + 1)) as usize;
        if disk.go_back(at) {
            self.undone += 1;
            self.clear_up(disk);
        }
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
            if lost > 0 && !is_packed(&path) {
                disk.truncate(&path, len - lost).unwrap();
            }
            self.note_written(inode, len - lost);
        }
        self.rest.clear();
        if !disk.exists(Path::new(LOG)) {
            self.create(disk, Path::new(LOG)).unwrap();
        }
        self.reopen(disk).unwrap();
        disk.sync_names();
    }

    /// Removes compressed files whose plain ones are there again, as logrotate would not go on otherwise.
    fn clear_up(&mut self, disk: &mut Disk) {
        let plain: Vec<PathBuf> = disk.paths().map(packed).collect();
        for packed in plain.into_iter().filter(|packed| disk.exists(packed)).collect::<Vec<_>>() {
            disk.unlink(&packed).unwrap();
        }
    }

    /// Returns all lines that are in the log. The last one of the live file may still grow, unless it has ended.
    pub fn lines(&self, disk: &Disk) -> Vec<Line> {
        let texts =
            disk.paths().filter_map(|path| disk.read(path).ok().map(|bytes| (path, text(path, bytes))));
        let texts: Vec<(&Path, String)> = texts.collect();
        let mut lines = Vec::new();
        for (path, text) in &texts {
            let is_live = *path == Path::new(LOG);
            let whole = if is_live { &text[..text.rfind('\n').map_or(0, |end| end + 1)] } else { text };
            let begins = |(other, of): &(&Path, String)| other != path && of.starts_with(text);
            let is_certain = is_live || !texts.iter().any(begins);
            lines.extend(whole.lines().map(|line| (line.to_owned(), is_certain)));
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
            let bytes = 1 + self.chance.below(self.piece_bytes_max) as usize;
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
        let (mut steps, rotated, before) = if self.is_dated {
            let name = PathBuf::from(format!("{LOG}-{}", self.time.since_1970().as_secs()));
            if disk.exists(&name) || disk.exists(&packed(&name)) {
                return;
            }
            // The one with the greatest name, which need not be the last one if the clock has been set back.
            let rotated = || disk.paths().filter(|path| *path != Path::new(LOG));
            let is_newest = rotated().all(|path| path < name.as_path());
            if self.needs_order && !is_newest {
                return;
            }
            self.is_ordered &= is_newest;
            let before = rotated().filter(|path| !is_packed(path)).last();
            (Vec::new(), name, before.map(Path::to_owned))
        } else {
            let steps = shift(disk);
            let before = disk.exists(&numbered(1)).then(|| numbered(2));
            (steps, numbered(1), before)
        };
        self.rotations += 1;
        if self.is_copied {
            self.copies += 1;
            let copy = rotated.clone();
            steps.extend([Step::Create(copy.clone()), Step::Copy(copy.clone()), Step::Truncate(copy)]);
        } else {
            steps.push(Step::Rename(PathBuf::from(LOG), rotated));
            steps.push(Step::Create(PathBuf::from(LOG)));
            steps.push(Step::Reopen);
        }
        if let Some(before) = before
            && self.chance.one_in(2)
        {
            steps.push(Step::Pack(before.clone(), packed(&before)));
        }
        self.steps.extend(steps);
    }

    fn run(&mut self, disk: &mut Disk, step: Step) {
        if self.is_forgetful && matches!(step, Step::Rename(..) | Step::Create(_) | Step::Unlink(_)) {
            disk.remember_names();
        }
        show!("  {step:?}");
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
                self.note_synced(disk, copy, disk.bytes(copy).len());
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

/// Returns the name of the rotated file with that number.
fn numbered(number: u64) -> PathBuf {
    PathBuf::from(format!("{LOG}.{number}"))
}

/// Returns the name of a file once it is compressed.
fn packed(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.gz", path.display()))
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

/// Returns the steps after which the number 1 is free.
fn shift(disk: &Disk) -> Vec<Step> {
    let mut steps = Vec::new();
    for number in 1.. {
        let (from, to) = (numbered(number), numbered(number + 1));
        match (disk.exists(&from), disk.exists(&packed(&from))) {
            (true, _) => steps.push(Step::Rename(from, to)),
            (false, true) => steps.push(Step::Rename(packed(&from), packed(&to))),
            (false, false) => break,
        }
    }
    steps.reverse();
    steps
}

/// Returns the text of a file, which may be compressed.
fn text(path: &Path, bytes: &[u8]) -> String {
    if is_packed(path) {
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
