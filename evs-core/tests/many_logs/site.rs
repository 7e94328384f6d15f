//! Several logs in a directory, each with a writer and rotations of its own. They change between any two calls of the
//! reader.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use evs_core::Begin;

use crate::tail_support::sim::{Agent, Disk, Inode};

/// How the logs are named and rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `web.log.1`, and from the second rotation on `web.log.2.gz`.
    Generations,
    /// The same, with a pattern that matches the rotated files as well.
    MatchedGenerations,
    /// `web-20261128001.log`, which the pattern matches as well.
    Dates,
    /// Each log in a directory of its own: `web/access.log`.
    Directories,
    /// The log is copied to `web.log.1` and truncated.
    CopyTruncate,
}

pub const SCHEMES: [Scheme; 5] = [
    Scheme::Generations,
    Scheme::MatchedGenerations,
    Scheme::Dates,
    Scheme::Directories,
    Scheme::CopyTruncate,
];

/// The logs' names. With dates, `web-1-20261128001.log` may look like a rotated file of both `web.log` and `web-1.log`.
const NAMES: [&str; 6] = ["web", "web-1", "shop", "api", "web-2", "img"];
/// The bytes of a line that are written at once: its number and the name of its log.
const BEGINNING_BYTES: usize = 24;
pub const LOGS_MAX: usize = NAMES.len();

impl Scheme {
    pub fn pattern(self) -> &'static str {
        match self {
            Self::Generations | Self::Dates | Self::CopyTruncate => "/log/*.log",
            Self::MatchedGenerations => "/log/*",
            Self::Directories => "/log/*/access.log",
        }
    }

    fn path(self, log: usize) -> PathBuf {
        let name = NAMES[log];
        match self {
            Self::Directories => format!("/log/{name}/access.log").into(),
            _ => format!("/log/{name}.log").into(),
        }
    }
}

/// Something small that happens between two calls.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Writes some bytes to a log, which may end within a line.
    Write(usize, u8),
    /// Begins a rotation of a log, if none is under way.
    Rotate(usize),
    /// Does the next step of every rotation.
    Work,
}

/// A step of a rotation.
#[derive(Debug)]
enum Step {
    Rename(PathBuf, PathBuf),
    Compress(PathBuf),
    Unlink(PathBuf),
    CopyTruncate(PathBuf),
    Create,
    Reopen,
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    /// What the writer has open.
    inode: Option<Inode>,
    /// What is left of the line that is being written.
    rest: Vec<u8>,
    lines: u64,
    steps: VecDeque<Step>,
    rotations: u64,
}

#[derive(Debug)]
pub struct Site {
    scheme: Scheme,
    logs: Vec<Log>,
    /// Every line that counts, with the path of its log.
    pub counted: HashSet<(String, String)>,
    /// Lines that are older than the source.
    pub foreign: HashSet<(String, String)>,
    pub has_begun: bool,
    during: VecDeque<(u8, Act)>,
    kill_after: Option<u16>,
    is_killed: bool,
}

impl Site {
    pub fn new(scheme: Scheme, disk: &mut Disk) -> Self {
        disk.create_directory(Path::new("/log"));
        Self {
            scheme,
            logs: Vec::new(),
            counted: HashSet::new(),
            foreign: HashSet::new(),
            has_begun: false,
            during: VecDeque::new(),
            kill_after: None,
            is_killed: false,
        }
    }

    pub fn logs(&self) -> usize {
        self.logs.len()
    }

    /// Adds a log, with a live file.
    pub fn add(&mut self, disk: &mut Disk) {
        let at = self.logs.len();
        if at == LOGS_MAX {
            return;
        }
        let path = self.scheme.path(at);
        if self.scheme == Scheme::Directories {
            disk.create_directory(path.parent().unwrap());
        }
        let log = Log { path, inode: None, rest: Vec::new(), lines: 0, steps: VecDeque::new(), rotations: 0 };
        self.logs.push(log);
        self.create(at, disk);
        self.logs[at].inode = Some(self.open(at, disk));
    }

    fn create(&mut self, log: usize, disk: &mut Disk) {
        disk.create(&self.logs[log].path).unwrap();
    }

    fn open(&self, log: usize, disk: &mut Disk) -> Inode {
        let inode = disk.find(&self.logs[log].path).unwrap();
        disk.open(inode);
        inode
    }

    /// Begins the source: the lines of the live files count, or none.
    pub fn begin(&mut self, begin: Begin, disk: &Disk) {
        self.has_begun = true;
        if begin != Begin::Start {
            return;
        }
        for log in &self.logs {
            let text = String::from_utf8(disk.read(&log.path).unwrap().to_vec()).unwrap();
            for line in text.lines() {
                let line = (log.path.display().to_string(), line.to_owned());
                assert!(self.foreign.remove(&line));
                self.counted.insert(line);
            }
        }
    }

    pub fn plan(&mut self, during: &[(u8, Act)]) {
        self.during = during.iter().copied().collect();
    }

    pub fn kill_after(&mut self, calls: u16) {
        self.kill_after = Some(calls);
    }

    pub fn take_killed(&mut self) -> bool {
        std::mem::take(&mut self.is_killed)
    }

    pub fn act(&mut self, act: Act, disk: &mut Disk) {
        disk.set_clock(disk.clock() + Duration::from_millis(7));
        match act {
            Act::Write(log, bytes) => self.write(log % self.logs.len(), usize::from(bytes), disk),
            Act::Rotate(log) => self.rotate(log % self.logs.len(), disk),
            Act::Work => (0..self.logs.len()).for_each(|log| self.step(log, disk)),
        }
    }

    fn write(&mut self, at: usize, mut bytes: usize, disk: &mut Disk) {
        let log = &mut self.logs[at];
        let Some(inode) = log.inode else { return };
        while bytes > 0 {
            if log.rest.is_empty() {
                log.lines += 1;
                let filler = "x".repeat((log.lines * 37 % 90) as usize);
                // No line begins like another, even if only a part of it was written.
                let line = format!("{:06} {} {filler}", log.lines, log.path.display());
                log.rest = format!("{line}\n").into_bytes();
                let lines = if self.has_begun { &mut self.counted } else { &mut self.foreign };
                lines.insert((log.path.display().to_string(), line));
            }
            let written = log.rest.len().min(bytes.max(BEGINNING_BYTES));
            disk.append(inode, &log.rest[..written]);
            log.rest.drain(..written);
            bytes = bytes.saturating_sub(written);
        }
    }

    fn finish_line(&mut self, log: usize, disk: &mut Disk) {
        let rest = self.logs[log].rest.len();
        self.write(log, rest, disk);
    }

    /// Returns the path of the rotated file of an age, which may be compressed.
    fn rotated(&self, log: usize, age: u64) -> PathBuf {
        let path = self.logs[log].path.display();
        if age >= 2 { format!("{path}.{age}.gz").into() } else { format!("{path}.{age}").into() }
    }

    fn rotate(&mut self, at: usize, disk: &Disk) {
        if self.logs[at].inode.is_none() || !self.logs[at].steps.is_empty() {
            return;
        }
        let live = self.logs[at].path.clone();
        let mut steps = VecDeque::new();
        self.logs[at].rotations += 1;
        if self.scheme == Scheme::Dates {
            let number = self.logs[at].rotations;
            let name = format!("{}-20261128{number:03}.log", live.file_stem().unwrap().to_str().unwrap());
            steps.push_back(Step::Rename(live.clone(), live.with_file_name(name)));
        } else {
            let oldest = (1..).take_while(|age| disk.exists(&self.rotated(at, *age))).last().unwrap_or(0);
            for age in (2..=oldest).rev() {
                steps.push_back(Step::Rename(self.rotated(at, age), self.rotated(at, age + 1)));
            }
            if oldest >= 1 {
                let plain: PathBuf = format!("{}.2", live.display()).into();
                steps.push_back(Step::Rename(self.rotated(at, 1), plain.clone()));
                steps.push_back(Step::Compress(plain.clone()));
                steps.push_back(Step::Unlink(plain));
            }
            match self.scheme {
                Scheme::CopyTruncate => steps.push_back(Step::CopyTruncate(self.rotated(at, 1))),
                _ => steps.push_back(Step::Rename(live, self.rotated(at, 1))),
            }
        }
        if self.scheme != Scheme::CopyTruncate {
            steps.extend([Step::Create, Step::Reopen]);
        }
        self.logs[at].steps = steps;
    }

    fn step(&mut self, at: usize, disk: &mut Disk) {
        match self.logs[at].steps.pop_front() {
            None => {}
            Some(Step::Rename(from, to)) => disk.rename(&from, &to).unwrap(),
            Some(Step::Compress(path)) => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(disk.read(&path).unwrap()).unwrap();
                let packed = disk.create(format!("{}.gz", path.display()).as_ref()).unwrap();
                disk.append(packed, &encoder.finish().unwrap());
            }
            Some(Step::Unlink(path)) => disk.unlink(&path).unwrap(),
            Some(Step::CopyTruncate(copy)) => {
                self.finish_line(at, disk);
                let bytes = disk.read(&self.logs[at].path).unwrap().to_vec();
                let inode = disk.create(&copy).unwrap();
                disk.append(inode, &bytes);
                disk.truncate(&self.logs[at].path, 0).unwrap();
            }
            Some(Step::Create) => self.create(at, disk),
            Some(Step::Reopen) => {
                self.finish_line(at, disk);
                self.logs[at].inode.take().iter().for_each(|inode| disk.close(*inode));
                self.logs[at].inode = Some(self.open(at, disk));
            }
        }
    }

    pub fn is_idle(&self) -> bool {
        self.logs.iter().all(|log| log.steps.is_empty())
    }

    /// Finishes everything that was begun.
    pub fn calm_down(&mut self, disk: &mut Disk) {
        self.kill_after = None;
        self.during.clear();
        while !self.is_idle() {
            self.act(Act::Work, disk);
        }
        (0..self.logs.len()).for_each(|log| self.finish_line(log, disk));
    }

    /// Removes all files of a log. Returns the bytes of its live file.
    pub fn vanish(&mut self, log: usize, disk: &mut Disk) -> Vec<u8> {
        let log = &mut self.logs[log];
        log.inode.take().iter().for_each(|inode| disk.close(*inode));
        let bytes = disk.read(&log.path).unwrap().to_vec();
        let (directory, stem) = (log.path.parent().unwrap(), log.path.file_stem().unwrap().to_str().unwrap());
        let is_of = |path: &Path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_other = name
                .strip_prefix(stem)
                .is_none_or(|rest| ["-1", "-2.", "-2-"].iter().any(|other| rest.starts_with(other)));
            path.parent() == Some(directory) && !is_other && path != directory
        };
        let paths: Vec<PathBuf> = disk.paths().filter(|path| is_of(path)).map(Path::to_owned).collect();
        paths.iter().for_each(|path| disk.unlink(path).unwrap());
        bytes
    }

    /// Brings a log back that has vanished, with the given bytes.
    pub fn bring_back(&mut self, log: usize, bytes: &[u8], disk: &mut Disk) {
        self.create(log, disk);
        let inode = self.open(log, disk);
        disk.append(inode, bytes);
        self.logs[log].inode = Some(inode);
    }
}

impl Agent for Site {
    fn before_call(&mut self, disk: &mut Disk, _: fmt::Arguments<'_>) -> io::Result<()> {
        match &mut self.kill_after {
            Some(0) => (self.kill_after, self.is_killed) = (None, true),
            Some(calls) => *calls -= 1,
            None => {}
        }
        if self.is_killed {
            return Err(io::Error::other("the reader was killed"));
        }
        while let Some((after, act)) = self.during.front_mut() {
            if *after > 0 {
                *after -= 1;
                break;
            }
            let act = *act;
            self.during.pop_front();
            self.act(act, disk);
        }
        Ok(())
    }
}
