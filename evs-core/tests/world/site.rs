//! The web server and its log: it writes lines in pieces, its log is rotated and compressed, and it loses what was not
//! synced in a power cut.
//!
//! It acts before the calls that the pipeline makes to the file system, so that any two calls may see different files.

mod harm;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    path::{Path, PathBuf},
};

use harm::Harm;

use crate::{
    chance::Chance,
    lines::Kind,
    model::Line,
    naming::{Naming, Scheme},
    tail_support::sim::{Agent, Disk, Inode},
    time::Time,
};

/// The numbers of lines of which a site has any at most, and for each the most bytes that its server writes at once.
/// With few lines, a piece is often a part of one.
const SIZES: [(u64, u64); 3] = [(60, 12), (300, 30), (u64::MAX, 90)];

/// The number of rotations after which there are no more. With more files, a world takes too long.
const ROTATIONS_MAX: u64 = 50;

/// A step of a rotation.
#[derive(Debug)]
enum Step {
    Rename(PathBuf, PathBuf),
    Create(PathBuf),
    /// The server opens this file, which is the live one from now on.
    Reopen(PathBuf),
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
    pub kind: Kind,
    pub naming: Naming,
    pub harm: Harm,
    /// The live file, and the one that the server writes to.
    live: PathBuf,
    handle: Option<Inode>,
    /// How often the server has opened a file.
    opened: u64,
    /// True if all files begin with the same description of their lines.
    has_one_header: bool,
    /// The file that was rotated last, if an old process of the server still writes to it.
    late: Option<Inode>,
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
    /// The number of files that were compressed.
    pub packed: u64,
    /// The number of lines that were written to a rotated file.
    pub late_lines: u64,
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
    pub fn new(mut chance: Chance, mut later: Chance, time: Time, lines: u64, disk: &mut Disk) -> Self {
        let (lines_max, piece_bytes_max) = SIZES[chance.below(3) as usize];
        let kind = [Kind::Plain, Kind::W3c][usize::from(chance.one_in(4))];
        let naming = Naming::new(&mut chance, &mut later);
        let mut site = Self {
            // A server that describes its lines does so when it opens a file, and a file that it names is never truncated.
            is_copied: kind == Kind::Plain && naming.scheme != Scheme::Pattern && chance.one_in(3),
            kind,
            live: naming.live(time.since_1970().as_secs()),
            naming,
            harm: Harm::new(later, kind),
            is_forgetful: chance.one_in(2),
            is_ordered: true,
            needs_order: false,
            has_one_header: kind == Kind::W3c && chance.one_in(2),
            chance,
            time,
            trace: 0,
            handle: None,
            opened: 0,
            late: None,
            next: 0,
            lines: lines.min(lines_max),
            piece_bytes_max,
            rest: Vec::new(),
            steps: VecDeque::new(),
            synced: BTreeMap::new(),
            is_calm: false,
            rotations: 0,
            copies: 0,
            packed: 0,
            late_lines: 0,
            undone: 0,
        };
        if let Some(olddir) = site.naming.olddir() {
            disk.create_directory(Path::new(olddir));
        }
        let live = site.live.clone();
        site.create(disk, &live).unwrap();
        site.reopen(disk, live).unwrap();
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
        disk.append(self.handle.unwrap(), self.kind.line(format_args!("calm{}", self.next)).as_bytes());
        self.is_calm = true;
    }

    /// Lets the server and logrotate go on after [`Self::calm_down`], with a few more lines. The state directory was lost:
    /// the names alone say which files are older than the place where the stores stand.
    pub fn wake_up(&mut self, lines: u64) {
        (self.is_calm, self.needs_order) = (false, true);
        self.harm.end();
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
            if lost > 0 && !self.naming.is_packed(&path) {
                disk.truncate(&path, len - lost).unwrap();
            }
            self.note_written(inode, len - lost);
        }
        self.rest.clear();
        self.end_late(disk);
        let live = self.live.clone();
        if !disk.exists(&live) {
            self.create(disk, &live).unwrap();
        }
        self.reopen(disk, live).unwrap();
        disk.sync_names();
    }

    /// Removes compressed files whose plain ones are there again, as logrotate would not go on otherwise.
    fn clear_up(&mut self, disk: &mut Disk) {
        let plain: Vec<PathBuf> = disk.paths().map(|path| self.naming.packed(path)).collect();
        for packed in plain.into_iter().filter(|packed| disk.exists(packed)).collect::<Vec<_>>() {
            disk.unlink(&packed).unwrap();
        }
    }

    /// Returns all lines that are in the log. The last one of the live file may still grow, unless it has ended.
    pub fn lines(&self, disk: &Disk) -> Vec<Line> {
        let is_whole = |path: &&Path| !self.harm.is_damaged(disk, path);
        let text = |path| Some((path, self.naming.text(path, disk.read(path).ok()?)));
        let texts: Vec<(&Path, String)> = disk.paths().filter(is_whole).filter_map(text).collect();
        let mut lines = self.harm.lines();
        for (path, text) in &texts {
            let is_live = **path == *self.live;
            let whole = if is_live { &text[..text.rfind('\n').map_or(0, |end| end + 1)] } else { text };
            let begins = |(other, of): &(&Path, String)| other != path && of.starts_with(text);
            let is_certain = is_live || !(texts.iter().any(begins) || self.harm.began_with(text));
            let events = whole.lines().filter(|line| self.kind.is_event(line));
            lines.extend(events.map(|line| (line.to_owned(), is_certain)));
        }
        lines
    }

    fn step(&mut self, disk: &mut Disk) {
        if self.is_calm {
            return;
        }
        self.perhaps_harm(disk);
        if self.steps.is_empty() && self.rotations < ROTATIONS_MAX && self.chance.one_in(150) {
            self.rotate(disk);
        }
        if self.steps.is_empty() || self.chance.one_in(2) {
            if let Some(late) = self.late
                && self.chance.one_in(4)
            {
                self.write_late(disk, late);
            }
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
            let line = self.next_line();
            self.rest.extend_from_slice(line.as_bytes());
        }
        piece.extend(self.rest.drain(..bytes.min(self.rest.len())));
        disk.append(self.handle.unwrap(), &piece);
    }

    /// Makes the next line, which may be one that cannot be read.
    fn next_line(&mut self) -> String {
        let number = self.next;
        self.next += 1;
        if self.chance.one_in(40) {
            return format!("{number:05} not a time\n");
        }
        match self.harm.long_line(number) {
            Some(line) => line,
            None => self.kind.line(format_args!("{number:05}")),
        }
    }

    /// Lets an old process of the server write a whole line to the file that was rotated last, and perhaps end then.
    fn write_late(&mut self, disk: &mut Disk, late: Inode) {
        if self.next < self.lines {
            let line = self.next_line();
            disk.append(late, line.as_bytes());
            self.late_lines += 1;
        }
        if self.chance.one_in(4) {
            self.end_late(disk);
        }
    }

    fn end_late(&mut self, disk: &mut Disk) {
        if let Some(late) = self.late.take() {
            disk.close(late);
        }
    }

    /// Plans a rotation.
    fn rotate(&mut self, disk: &mut Disk) {
        let seconds = self.time.since_1970().as_secs();
        let (mut steps, rotated, before) = match self.naming.scheme {
            Scheme::Numbers => {
                let shifts = self.naming.shifts(disk);
                let first = self.naming.numbered(1);
                let before = disk.exists(&first).then(|| self.naming.numbered(2));
                (shifts.into_iter().map(|(from, to)| Step::Rename(from, to)).collect(), first, before)
            }
            scheme => {
                let name = match scheme {
                    Scheme::Pattern => self.naming.live(seconds),
                    _ => self.naming.dated(seconds),
                };
                if !self.is_free(disk, &name) {
                    return;
                }
                let rotated =
                    disk.paths().filter(|path| **path != *self.live && !self.naming.is_packed(path));
                let before = rotated.last().map(Path::to_owned);
                (Vec::new(), name, before)
            }
        };
        self.rotations += 1;
        // What is compressed is no longer written to.
        self.end_late(disk);
        if self.is_copied {
            self.copies += 1;
            let copy = rotated.clone();
            steps.extend([Step::Create(copy.clone()), Step::Copy(copy.clone()), Step::Truncate(copy)]);
        } else {
            let live = self.naming.live(seconds);
            if self.naming.scheme != Scheme::Pattern {
                steps.push(Step::Rename(live.clone(), rotated));
            }
            steps.extend([Step::Create(live.clone()), Step::Reopen(live)]);
        }
        if let Some(before) = before
            && self.chance.one_in(2)
        {
            steps.push(Step::Pack(before.clone(), self.naming.packed(&before)));
        }
        self.steps.extend(steps);
    }

    /// Returns true if a file may have this name with a time.
    fn is_free(&mut self, disk: &Disk, name: &Path) -> bool {
        if disk.exists(name) || disk.exists(&self.naming.packed(name)) {
            return false;
        }
        // The one with the greatest name, which need not be the last one if the clock has been set back.
        let is_pattern = self.naming.scheme == Scheme::Pattern;
        let mut others = disk.paths().filter(|path| is_pattern || **path != *self.live);
        let is_newest = others.all(|path| path < name);
        if !is_newest && (self.needs_order || is_pattern) {
            return false;
        }
        self.is_ordered &= is_newest;
        true
    }

    fn run(&mut self, disk: &mut Disk, step: Step) {
        if self.is_forgetful && matches!(step, Step::Rename(..) | Step::Create(_) | Step::Unlink(_)) {
            disk.remember_names();
        }
        show!("  {step:?}");
        match step {
            Step::Rename(from, to) => disk.rename(&from, &to).unwrap(),
            Step::Create(path) => self.create(disk, &path).unwrap(),
            Step::Reopen(path) => {
                // The server has whole lines to write: the present one ends in the file where it began.
                self.write(disk, usize::MAX);
                let old = self.handle.filter(|_| self.chance.one_in(2));
                if let Some(old) = old {
                    disk.open(old);
                }
                self.late = old;
                self.reopen(disk, path).unwrap();
            }
            Step::Pack(from, to) => {
                self.packed += 1;
                let bytes = self.naming.pack(disk.read(&from).unwrap());
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
                disk.truncate(&self.live, 0).unwrap();
                self.synced.insert(disk.find(&self.live).unwrap(), 0);
            }
            Step::Unlink(path) => disk.unlink(&path).unwrap(),
        }
    }

    /// Returns what the log has beyond its copy.
    fn uncopied(&self, disk: &Disk, to: &Path) -> Vec<u8> {
        disk.read(&self.live).unwrap()[disk.read(to).unwrap().len()..].to_vec()
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

    /// Lets the server open a file, and describe its lines there. The description is on the disk at once.
    fn reopen(&mut self, disk: &mut Disk, path: PathBuf) -> io::Result<()> {
        let inode = disk.find(&path)?;
        disk.open(inode);
        if let Some(old) = self.handle.replace(inode) {
            disk.close(old);
        }
        self.live = path;
        self.opened += 1;
        let header = self.kind.header(if self.has_one_header { 0 } else { self.opened });
        if !header.is_empty() {
            disk.append(inode, header.as_bytes());
            self.note_written(inode, disk.bytes(inode).len());
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
