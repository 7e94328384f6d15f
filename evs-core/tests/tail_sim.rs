//! The simulated file system behaves as a real directory does.

#![allow(clippy::unwrap_used, reason = "a test")]

mod tail_support;

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use evs_core::internals::tail::{LogFs, LogRead, RealFs, Stat};
use proptest::prelude::*;
use tail_support::sim::{Disk, SimFs};

const NAMES: u8 = 4;
/// The time of the simulated clock, in seconds since 1970. The real clock shows a later time.
const CLOCK: u32 = 1_700_000_000;

/// An operation on the files `0` to `NAMES - 1` of a directory, each of which may exist or not.
#[derive(Clone, Debug)]
enum Op {
    Create(u8),
    Append(u8, u8),
    Truncate(u8, u8),
    Rename(u8, u8),
    HardLink(u8, u8),
    Symlink(u8, u8),
    Unlink(u8),
    SetModified(u8, u32),
    /// Opens the file for reading. It stays open.
    Open(u8),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let name = || 0..NAMES;
    let op = prop_oneof![
        3 => name().prop_map(Op::Create),
        3 => (name(), any::<u8>()).prop_map(|(a, len)| Op::Append(a, len)),
        1 => (name(), any::<u8>()).prop_map(|(a, len)| Op::Truncate(a, len)),
        3 => (name(), name()).prop_map(|(a, b)| Op::Rename(a, b)),
        1 => (name(), name()).prop_map(|(a, b)| Op::HardLink(a, b)),
        1 => (name(), name()).prop_map(|(a, b)| Op::Symlink(a, b)),
        2 => name().prop_map(Op::Unlink),
        1 => (name(), 0..CLOCK).prop_map(|(a, seconds)| Op::SetModified(a, seconds)),
        2 => name().prop_map(Op::Open),
    ];
    proptest::collection::vec(op, 1..40)
}

/// A real directory and a simulated one, which get the same operations.
struct Twins {
    real: PathBuf,
    sim: SimFs<()>,
    open: Vec<[Box<dyn LogRead>; 2]>,
}

impl Twins {
    fn real_path(&self, name: u8) -> PathBuf {
        self.real.join(name.to_string())
    }

    fn apply(&mut self, op: &Op) {
        let real = self.apply_real(op).map_err(|error| error.kind());
        let sim = self.apply_sim(op).map_err(|error| error.kind());
        assert_eq!(real.is_ok(), sim.is_ok(), "{op:?}: {real:?}, {sim:?}");
        if let (Ok(Some(real)), Ok(Some(sim))) = (real, sim) {
            self.open.push([real, sim]);
        }
    }

    fn apply_real(&self, op: &Op) -> io::Result<Option<Box<dyn LogRead>>> {
        let write = |name| OpenOptions::new().write(true).open(self.real_path(name));
        match *op {
            Op::Create(a) => drop(File::create(self.real_path(a))?),
            Op::Append(a, len) => {
                let mut file = OpenOptions::new().append(true).open(self.real_path(a))?;
                file.write_all(&vec![len; usize::from(len)])?;
            }
            Op::Truncate(a, len) => write(a)?.set_len(u64::from(len))?,
            Op::Rename(a, b) => fs::rename(self.real_path(a), self.real_path(b))?,
            Op::HardLink(a, b) => fs::hard_link(self.real_path(a), self.real_path(b))?,
            Op::Symlink(a, b) => std::os::unix::fs::symlink(a.to_string(), self.real_path(b))?,
            Op::Unlink(a) => fs::remove_file(self.real_path(a))?,
            Op::SetModified(a, seconds) => write(a)?.set_modified(time(seconds))?,
            Op::Open(a) => return RealFs.open(&self.real_path(a)).map(Some),
        }
        Ok(None)
    }

    fn apply_sim(&self, op: &Op) -> io::Result<Option<Box<dyn LogRead>>> {
        if let Op::Open(a) = *op {
            return self.sim.open(&sim_path(a)).map(Some);
        }
        let disk = &mut self.sim.lock().disk;
        match *op {
            Op::Create(a) => drop(disk.create(&sim_path(a))?),
            Op::Append(a, len) => {
                let inode = disk.find(&sim_path(a))?;
                disk.append(inode, &vec![len; usize::from(len)]);
            }
            Op::Truncate(a, len) => disk.truncate(&sim_path(a), usize::from(len))?,
            Op::Rename(a, b) => disk.rename(&sim_path(a), &sim_path(b))?,
            Op::HardLink(a, b) => disk.hard_link(&sim_path(a), &sim_path(b))?,
            Op::Symlink(a, b) => disk.symlink(Path::new(&a.to_string()), &sim_path(b))?,
            Op::Unlink(a) => disk.unlink(&sim_path(a))?,
            Op::SetModified(a, seconds) => {
                disk.set_modified(&sim_path(a), Duration::from_secs(u64::from(seconds)))?;
            }
            Op::Open(_) => unreachable!(),
        }
        Ok(None)
    }

    fn compare(&self) {
        let sorted = |mut names: Vec<OsString>| {
            names.sort();
            names
        };
        let names = sorted(RealFs.list(&self.real).unwrap());
        assert_eq!(sorted(self.sim.list(Path::new("/log")).unwrap()), names);
        for name in 0..NAMES {
            let (real, sim) = (self.real_path(name), sim_path(name));
            // A circle of links is an error on a real disk, and leads to nothing on the simulated one.
            assert_same_stat(RealFs.stat(&real).ok().flatten(), self.sim.stat(&sim).unwrap());
            let target = |target: Option<PathBuf>| target.map(|path| path.file_name().unwrap().to_owned());
            assert_eq!(
                target(self.sim.link_target(&sim).unwrap()),
                target(RealFs.link_target(&real).unwrap())
            );
            for other in 0..NAMES {
                let is_same = |fs: &dyn LogFs, a: &Path, b: &Path| {
                    let id = |path| fs.stat(path).ok().flatten().map(|stat| stat.id);
                    id(a).is_some() && id(a) == id(b)
                };
                assert_eq!(
                    is_same(&self.sim, &sim, &sim_path(other)),
                    is_same(&RealFs, &real, &self.real_path(other))
                );
            }
        }
        for [real, sim] in &self.open {
            assert_same_stat(Some(real.stat().unwrap()), Some(sim.stat().unwrap()));
            let bytes = |file: &dyn LogRead| {
                let mut buffer = vec![0; 4096];
                let count = file.read_at(&mut buffer, 3).unwrap();
                buffer[..count].to_vec()
            };
            assert_eq!(bytes(&**sim), bytes(&**real));
        }
    }
}

fn time(seconds: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(seconds))
}

fn sim_path(name: u8) -> PathBuf {
    Path::new("/log").join(name.to_string())
}

fn assert_same_stat(real: Option<Stat>, sim: Option<Stat>) {
    // The times come from different clocks, so they are compared only if they were set.
    let seen = |stat: Option<Stat>| stat.map(|stat| (stat.size, stat.is_regular, set_time(&stat)));
    assert_eq!(seen(sim), seen(real));
}

fn set_time(stat: &Stat) -> Option<SystemTime> {
    (stat.modified < time(CLOCK)).then_some(stat.modified)
}

proptest! {
    #[test]
    fn a_simulated_directory_is_like_a_real_one(ops in ops()) {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(Duration::from_secs(u64::from(CLOCK)), Duration::from_millis(1));
        disk.create_directory(Path::new("/log"));
        let sim = SimFs::new(disk, (), usize::MAX);
        let mut twins = Twins { real: directory.path().to_owned(), sim, open: Vec::new() };
        for op in &ops {
            twins.apply(op);
            twins.compare();
        }
    }
}

#[test]
fn an_inode_is_given_away_as_soon_as_nobody_uses_it() {
    let mut disk = Disk::new(Duration::from_secs(u64::from(CLOCK)), Duration::from_secs(1));
    disk.create_directory(Path::new("/log"));
    let sim = SimFs::new(disk, (), usize::MAX);
    let inode = |name| sim.stat(&sim_path(name)).unwrap().unwrap().id.inode;
    let (create, unlink) = (
        |name| sim.lock().disk.create(&sim_path(name)).unwrap(),
        |name| sim.lock().disk.unlink(&sim_path(name)),
    );
    let first = create(0);
    let handle = sim.open(&sim_path(0)).unwrap();
    unlink(0).unwrap();
    create(1);
    assert_ne!(inode(1), first);
    drop(handle);
    create(2);
    assert_eq!(inode(2), first);
}
