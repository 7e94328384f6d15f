//! The changes that logrotate, and people, make to the files of a log.
//!
//! When its turn comes, a [`Program`] becomes a list of [`Step`]s. Each step is one change of the disk, and a
//! tailer may look between any two of them.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    names::Naming,
    step::Step,
    writer::{Fate, Writer},
};
use crate::tail_support::sim::Disk;

/// The way in which a log is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The log is renamed, and a new one is created.
    Rename,
    /// The log is copied and then truncated.
    CopyTruncate,
}

/// The kind of path that the tailer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is the log itself.
    None,
    /// It is a link to a log in another directory, which is rotated there.
    Fixed(&'static str),
    /// It is a link to a log with a date in its name. A rotation makes the link lead to the next log.
    Dated,
}

/// The modification time that a file gets.
#[derive(Clone, Copy, Debug)]
pub enum Stamp {
    /// The time of the file that it was made from.
    Original,
    /// The present time.
    Present,
    /// The present time, shifted by this many minutes.
    Off(i16),
}

/// Something that is done to the files of the log, in several steps.
///
/// `which` is one of the rotated files: 0 is the one that was rotated last.
#[derive(Clone, Debug)]
pub enum Program {
    /// The writer ends its line in the old log, or never ends it. If the log is copied, `doomed` lines are
    /// written between the copy and the truncation.
    Rotate {
        naming: Naming,
        offset: i8,
        ends_line: bool,
        piece: u16,
        doomed: u8,
    },
    /// The compressed file may stay incomplete, or stay beside the plain one for ever.
    Compress {
        which: u8,
        extension: &'static str,
        stamp: Stamp,
        pieces: u8,
        end: Ending,
    },
    /// The plain file takes the place of the compressed one.
    Decompress {
        which: u8,
        pieces: u8,
    },
    HardLink {
        which: u8,
        naming: Naming,
        offset: i8,
    },
    Copy {
        which: u8,
        naming: Naming,
        offset: i8,
        piece: u16,
    },
    Rename {
        which: u8,
        naming: Naming,
        offset: i8,
    },
    Touch {
        which: u8,
        stamp: Stamp,
    },
    /// Deletes the oldest file: if every statistic has committed all of its lines, or by force.
    Delete {
        by_force: bool,
    },
}

/// The end of a compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The plain file is removed.
    Whole,
    /// Both files stay.
    KeepsPlain,
    /// The compressor dies before its last piece. Both files stay.
    Dies,
}

/// The path that the tailer is given.
pub const LOG: &str = "/log/access.log";
/// The directory that a link leads to.
const DATA: &str = "/data";
const EXTENSIONS: [&str; 3] = ["", "gz", "zst"];

/// A rotated file, with all of its extensions.
#[derive(Clone, Debug)]
struct Archive {
    /// The path without the extension of a compressed file.
    path: PathBuf,
    number: Option<(Naming, u32)>,
}

impl Archive {
    fn with(&self, extension: &str) -> PathBuf {
        with_extension(&self.path, extension)
    }

    /// Returns the paths that exist: the plain file and its compressed forms.
    fn existing(&self, disk: &Disk) -> Vec<(&'static str, PathBuf)> {
        let all = EXTENSIONS.iter().map(|extension| (*extension, self.with(extension)));
        all.filter(|(_, path)| disk.exists(path)).collect()
    }
}

/// Runs consecutive [`Program`]s.
#[derive(Debug)]
pub struct Rotator {
    way: Way,
    /// True if a file was deleted that may not have been read to its end.
    pub has_deleted_by_force: bool,
    link: Link,
    /// The naming of all rotated files, which overrides that of the programs.
    naming: Option<Naming>,
    /// The path of the log itself, and the path from which the names of its rotated files are made.
    live: PathBuf,
    base: PathBuf,
    /// The oldest one is first.
    archives: Vec<Archive>,
    programs: VecDeque<Program>,
    steps: VecDeque<Step>,
}

impl Rotator {
    /// Creates an empty log, which the writer opens.
    pub fn new(way: Way, link: Link, naming: Option<Naming>, disk: &mut Disk, writer: &mut Writer) -> Self {
        disk.create_directory(Path::new("/log"));
        disk.create_directory(Path::new(DATA));
        let base = match link {
            Link::None => PathBuf::from(LOG),
            Link::Fixed(name) => Path::new(DATA).join(name),
            Link::Dated => Path::new(DATA).join("access.log"),
        };
        let live = match link {
            Link::Dated => Naming::DottedDate.timed(&base, disk.clock(), 0, |_| true),
            Link::None | Link::Fixed(_) => base.clone(),
        };
        if link != Link::None {
            disk.symlink(&live, Path::new(LOG)).unwrap();
        }
        let log = disk.create(&live).unwrap();
        writer.reopen(disk, log, true);
        let (archives, programs, steps) = (Vec::new(), VecDeque::new(), VecDeque::new());
        Self { way, link, naming, live, base, archives, programs, steps, has_deleted_by_force: false }
    }

    pub fn queue(&mut self, program: Program) {
        self.programs.push_back(program);
    }

    /// Runs one step. Returns `false` if there is nothing to do.
    pub fn step(&mut self, disk: &mut Disk, writer: &mut Writer) -> bool {
        while self.steps.is_empty() {
            let Some(program) = self.programs.pop_front() else { return false };
            self.steps = self.plan(&program, disk, writer).into();
        }
        if let Some(step) = self.steps.pop_front() {
            for next in step.run(disk, writer).into_iter().rev() {
                self.steps.push_front(next);
            }
        }
        true
    }

    pub fn is_idle(&self) -> bool {
        self.steps.is_empty() && self.programs.is_empty()
    }

    /// Returns true while something is under way that takes less than the grace time: the writer has not opened
    /// its new log yet, or a plain file does not have all of its bytes yet.
    pub fn is_hurrying(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Reopen { .. } | Step::Copy { .. } => true,
            Step::Append(path, _) => self.archives.iter().any(|archive| archive.path == *path),
            _ => false,
        })
    }

    fn plan(&mut self, program: &Program, disk: &Disk, writer: &mut Writer) -> Vec<Step> {
        match *program {
            Program::Rotate { naming, offset, ends_line, piece, doomed } => {
                let naming = self.naming.unwrap_or(naming);
                let mut steps = self.make_room(naming, disk);
                let rotated = self.free_name(naming, offset, disk, 1);
                steps.extend(match (self.link, self.way) {
                    (Link::Dated, _) => self.swap(offset, ends_line, disk),
                    (_, Way::Rename) => self.rename_live(rotated, ends_line),
                    (_, Way::CopyTruncate) => self.copy_truncate(rotated, ends_line, piece, doomed),
                });
                steps
            }
            Program::Compress { which, extension, stamp, pieces, end } => {
                self.compress(which, extension, stamp, pieces, end, disk).unwrap_or_default()
            }
            Program::Decompress { which, pieces } => self.decompress(which, pieces, disk).unwrap_or_default(),
            Program::HardLink { which, naming, offset } => {
                let names = self.second_name(which, naming, offset, disk).into_iter();
                names.map(|(from, to)| Step::HardLink { from, to }).collect()
            }
            Program::Copy { which, naming, offset, piece } => {
                let names = self.second_name(which, naming, offset, disk).into_iter();
                let steps = |(from, to): (PathBuf, PathBuf)| {
                    let piece = piece.max(super::BLOCK_BYTES_MIN as u16);
                    [Step::CloseRotated(from.clone()), Step::Create(to.clone()), copy(from, to, piece)]
                };
                names.flat_map(steps).collect()
            }
            Program::Rename { which, naming, offset } => {
                self.rename(which, naming, offset, disk).unwrap_or_default()
            }
            Program::Touch { which, stamp } => {
                let path = self.archive(which).map_or_else(|| self.live.clone(), |archive| archive.path);
                vec![Step::SetTime(path, time_of(stamp, disk.clock(), disk))]
            }
            Program::Delete { by_force } => self.delete(by_force, disk, writer).unwrap_or_default(),
        }
    }

    /// Renames the numbered files, the oldest first, so that number 1 becomes free.
    fn make_room(&mut self, naming: Naming, disk: &Disk) -> Vec<Step> {
        if !naming.is_numbered() || self.link == Link::Dated {
            return Vec::new();
        }
        let mut steps = Vec::new();
        let is_of = |archive: &&mut Archive| archive.number.is_some_and(|(other, _)| other == naming);
        let mut numbered: Vec<&mut Archive> = self.archives.iter_mut().filter(is_of).collect();
        numbered.sort_by_key(|archive| std::cmp::Reverse(archive.number.map(|(_, number)| number)));
        for archive in numbered {
            let Some((_, number)) = archive.number else { continue };
            let moved = naming.numbered(&self.base, number + 1);
            for (extension, from) in archive.existing(disk) {
                steps.push(Step::Rename { from, to: with_extension(&moved, extension) });
            }
            (archive.path, archive.number) = (moved, Some((naming, number + 1)));
        }
        steps
    }

    fn rename_live(&mut self, rotated: Archive, ends_line: bool) -> Vec<Step> {
        let (live, to) = (self.live.clone(), rotated.path.clone());
        self.archives.push(rotated);
        vec![
            Step::Rename { from: live.clone(), to },
            Step::Create(live.clone()),
            Step::Reopen { log: live, ends_line },
        ]
    }

    /// Creates the next log. It exists before the link leads to it and before the writer opens it.
    fn swap(&mut self, offset: i8, ends_line: bool, disk: &Disk) -> Vec<Step> {
        let is_newer = |path: &Path| *path > *self.live && self.is_free(path, disk);
        let clock = disk.clock();
        let next = Naming::DottedDate.timed(&self.base, clock, offset.max(0), is_newer);
        self.archives.push(Archive { path: std::mem::replace(&mut self.live, next.clone()), number: None });
        vec![
            Step::Create(next.clone()),
            Step::Swap { link: PathBuf::from(LOG), target: next.clone() },
            Step::Reopen { log: next, ends_line },
        ]
    }

    fn copy_truncate(&mut self, rotated: Archive, ends_line: bool, piece: u16, doomed: u8) -> Vec<Step> {
        let (live, to) = (self.live.clone(), rotated.path.clone());
        self.archives.push(rotated);
        vec![
            Step::Pause { ends_line },
            Step::Create(to.clone()),
            copy(live.clone(), to, piece),
            // Without a line end before them, they would be a part of the previous line.
            Step::WriteDoomed(live.clone(), if ends_line { doomed } else { 0 }),
            Step::Truncate(live),
            Step::Resume,
        ]
    }

    fn compress(
        &self,
        which: u8,
        extension: &'static str,
        stamp: Stamp,
        pieces: u8,
        end: Ending,
        disk: &Disk,
    ) -> Option<Vec<Step>> {
        let archive = self.archive(which)?;
        let (plain, packed) = (archive.path.clone(), archive.with(extension));
        if !disk.exists(&plain) {
            return None;
        }
        // A file that a dead compressor has left is of no use without the plain file.
        let mut existing = archive.existing(disk);
        existing.retain(|(_, path)| *path != packed && super::plain_bytes(disk, path).is_none());
        let mut steps: Vec<Step> = existing.into_iter().map(|(_, path)| Step::Unlink(path)).collect();
        // The file is compressed only when the step runs, since a late line may be written until then.
        steps.extend([
            Step::CloseRotated(plain.clone()),
            Step::Create(packed.clone()),
            Step::Pack {
                from: plain.clone(),
                to: packed.clone(),
                extension,
                pieces,
                dies: end == Ending::Dies,
            },
        ]);
        if end != Ending::Dies {
            let modified = disk.modified(&plain).ok()?;
            steps.push(Step::SetTime(packed, time_of(stamp, modified, disk)));
        }
        if end == Ending::Whole {
            steps.push(Step::Unlink(plain));
        }
        Some(steps)
    }

    fn decompress(&self, which: u8, pieces: u8, disk: &Disk) -> Option<Vec<Step>> {
        let archive = self.archive(which)?;
        if disk.exists(&archive.path) {
            return None;
        }
        let (_, packed) = archive.existing(disk).into_iter().next()?;
        let bytes = super::plain_bytes(disk, &packed)?;
        let mut steps = vec![Step::Create(archive.path.clone())];
        let piece = bytes.len().div_ceil(usize::from(pieces.max(1))).max(super::BLOCK_BYTES_MIN);
        steps.extend(bytes.chunks(piece).map(|piece| Step::Append(archive.path.clone(), piece.to_vec())));
        steps.push(Step::SetTime(archive.path.clone(), disk.modified(&packed).ok()?));
        steps.push(Step::Unlink(packed));
        Some(steps)
    }

    /// Returns the path of an uncompressed rotated file, and a free name for a second one.
    fn second_name(
        &mut self,
        which: u8,
        naming: Naming,
        offset: i8,
        disk: &Disk,
    ) -> Option<(PathBuf, PathBuf)> {
        let archive = self.archive(which).filter(|archive| disk.exists(&archive.path))?;
        let second = self.free_name(naming, offset, disk, self.number_after_all(naming));
        let to = second.path.clone();
        // The second name counts as that of an old file, so that nothing looks newer than the file that was
        // rotated last.
        self.archives.insert(0, second);
        Some((archive.path, to))
    }

    fn rename(&mut self, which: u8, naming: Naming, offset: i8, disk: &Disk) -> Option<Vec<Step>> {
        let at = self.archives.len().checked_sub(1 + usize::from(which) % self.archives.len().max(1))?;
        let renamed = self.free_name(naming, offset, disk, self.number_after_all(naming));
        let archive = std::mem::replace(&mut self.archives[at], renamed.clone());
        let steps = archive.existing(disk).into_iter();
        Some(steps.map(|(ext, from)| Step::Rename { from, to: renamed.with(ext) }).collect())
    }

    fn delete(&mut self, by_force: bool, disk: &Disk, writer: &mut Writer) -> Option<Vec<Step>> {
        // The only copy of a truncated file may be deleted only after the reader has noticed the truncation.
        if self.way == Way::CopyTruncate && !by_force {
            return None;
        }
        let oldest = self.archives.first()?;
        let files = oldest.existing(disk);
        let lines = files.iter().find_map(|(_, path)| super::lines(disk, path)).unwrap_or_default();
        if !writer.are_done(&lines) {
            if !by_force {
                return None;
            }
            self.has_deleted_by_force = true;
            writer.give_fate(&lines, Fate::Deleted);
        }
        self.archives.remove(0);
        let close = files.iter().map(|(_, path)| Step::CloseRotated(path.clone()));
        let unlink = files.iter().map(|(_, path)| Step::Unlink(path.clone()));
        Some(close.chain(unlink).collect())
    }

    fn archive(&self, which: u8) -> Option<Archive> {
        let at = self.archives.len().checked_sub(1 + usize::from(which) % self.archives.len().max(1))?;
        Some(self.archives[at].clone())
    }

    /// Returns a name that no file has. If names are numbered, it gets `number`.
    fn free_name(&self, naming: Naming, offset: i8, disk: &Disk, number: u32) -> Archive {
        if self.link == Link::Dated {
            // The time is long before that of the live file: a file with a later time does not belong to the
            // log yet.
            let offset = -60 - offset.unsigned_abs() as i8 / 4;
            let is_free = |path: &Path| self.is_free(path, disk);
            let path = Naming::DottedDate.timed(&self.base, disk.clock(), offset, is_free);
            return Archive { path, number: None };
        }
        let naming = self.naming.unwrap_or(naming);
        if naming.is_numbered() {
            return Archive { path: naming.numbered(&self.base, number), number: Some((naming, number)) };
        }
        let is_free = |path: &Path| self.is_free(path, disk);
        Archive { path: naming.timed(&self.base, disk.clock(), offset, is_free), number: None }
    }

    fn number_after_all(&self, naming: Naming) -> u32 {
        let naming = self.naming.unwrap_or(naming);
        let numbers = self.archives.iter().filter_map(|archive| archive.number);
        numbers.filter(|(other, _)| *other == naming).map(|(_, number)| number).max().unwrap_or(0) + 1
    }

    fn is_free(&self, path: &Path, disk: &Disk) -> bool {
        self.archives.iter().all(|archive| archive.path != path) && !disk.exists(path)
    }
}

fn with_extension(path: &Path, extension: &str) -> PathBuf {
    let dot = if extension.is_empty() { "" } else { "." };
    PathBuf::from(format!("{}{dot}{extension}", path.display()))
}

fn copy(from: PathBuf, to: PathBuf, piece: u16) -> Step {
    Step::Copy { from, to, piece: usize::from(piece).max(super::PIECE_BYTES_MIN) }
}

fn time_of(stamp: Stamp, original: Duration, disk: &Disk) -> Duration {
    match stamp {
        Stamp::Original => original,
        Stamp::Present => disk.clock(),
        Stamp::Off(minutes) => super::shift(disk.clock(), i64::from(minutes) * 60),
    }
}
