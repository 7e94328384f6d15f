//! Tests with the committed bytes of each format version, in `tests/fixtures`.

use std::path::PathBuf;

use super::{
    super::{
        BinlogOptions,
        segment::{self, Parsed, SegmentHeader},
    },
    world::{FilesStep, MEDIUM, Step, World, open},
};
use crate::disk::{Disk, SimDisk};

/// One frame of every kind in version 1, over several segments.
const SCRIPT_1: [Step; 9] = [
    Step::Register(0),
    Step::Register(1),
    Step::Commit([Some(90), Some(1)]),
    Step::Acknowledge(0, 0),
    Step::Redefine,
    Step::Commit([Some(3), Some(0)]),
    Step::Forget(1),
    Step::Commit([None, Some(30)]),
    Step::Acknowledge(0, 1),
];

/// The same, and everything that version 2 adds. One segment begins with a snapshot that has files.
const SCRIPT_2: [Step; 17] = [
    Step::Register(0),
    Step::Register(1),
    Step::CommitFiles([Some(90), Some(1)], FilesStep { forgotten: 0, found: 0 }),
    Step::Acknowledge(0, 0),
    Step::Redefine,
    Step::CommitFiles([Some(3), Some(0)], FilesStep { forgotten: 0, found: 5 }),
    Step::Forget(1),
    Step::Discard(0, 0),
    Step::Commit([None, Some(10)]),
    Step::Acknowledge(0, 1),
    Step::CommitFiles([None, None], FilesStep { forgotten: 2, found: 1 }),
    Step::Commit([Some(10), Some(0)]),
    Step::CommitFiles([None, Some(1)], FilesStep { forgotten: 1, found: 0 }),
    Step::Acknowledge(0, 0),
    Step::Discard(0, 1),
    Step::Rename(0),
    Step::Acknowledge(1, 1),
];

fn written(script: &[Step]) -> World {
    let mut world = World::new(MEDIUM);
    script.iter().for_each(|step| world.step(*step).unwrap());
    world
}

/// Returns the names and bytes of the segments that are committed for a version.
pub(super) fn segments(version: u32) -> Vec<(String, Vec<u8>)> {
    let directory = PathBuf::from(format!("{}/tests/fixtures/binlog-v{version}", env!("CARGO_MANIFEST_DIR")));
    let names = (1..).map(segment::name).take_while(|name| directory.join(name).exists());
    names.map(|name| (name.clone(), std::fs::read(directory.join(name)).unwrap())).collect()
}

/// Returns a world with the segments of version 1, not opened yet.
pub(super) fn version_1(options: BinlogOptions) -> World {
    let mut world = written(&SCRIPT_1);
    world.binlog = None;
    world.options = options;
    world.disk = disk_of(1);
    world
}

pub(super) fn disk_of(version: u32) -> SimDisk {
    let disk = SimDisk::new();
    segments(version).into_iter().for_each(|(name, bytes)| disk.set_contents(&name, bytes));
    disk
}

/// Returns the versions of all segments, in order.
fn versions(disk: &SimDisk) -> Vec<u32> {
    let version = |name: &String| match SegmentHeader::parse(&disk.contents(name).unwrap()) {
        Parsed::Header(header) => header.version,
        other => panic!("{name}: {other:?}"),
    };
    disk.list().unwrap().iter().map(version).collect()
}

#[test]
fn the_same_script_writes_the_bytes_of_version_2() {
    let world = written(&SCRIPT_2);
    let expected = segments(2);
    assert_eq!(world.disk.list().unwrap().len(), expected.len());
    for (name, bytes) in expected {
        assert!(world.disk.contents(&name).unwrap() == bytes, "{name} differs");
    }
}

#[test]
fn the_bytes_of_version_2_are_read() {
    let mut world = written(&SCRIPT_2);
    let expected = world.binlog.as_ref().unwrap().state().clone();
    let disk = disk_of(2);
    let (binlog, recovery) = open(&disk, MEDIUM).unwrap();
    assert_eq!((binlog.state(), recovery.torn), (&expected, None));
    assert_eq!(binlog.state().files.as_ref().map(|files| files.len()), Some(3));
    assert_eq!(versions(&disk), [2; 5], "nothing is begun anew");
    world.disk = disk;
    world.recover().unwrap();
}

#[test]
fn the_bytes_of_version_1_are_read() {
    let expected = written(&SCRIPT_1).binlog.unwrap().state().clone();
    let mut world = version_1(BinlogOptions::default());
    assert_eq!(versions(&world.disk), [1, 1]);
    let (binlog, recovery) = open(&world.disk, MEDIUM).unwrap();
    assert_eq!((binlog.state(), recovery.torn), (&expected, None));
    assert_eq!(binlog.state().files, None);
    drop(binlog);
    world.recover().unwrap();
}

#[test]
fn a_binlog_of_version_1_goes_on_in_a_segment_of_version_2() {
    let mut world = version_1(BinlogOptions::default());
    world.step(Step::Reopen).unwrap();
    assert_eq!(versions(&world.disk), [1, 1, 2], "before anything is appended");
    world.step(Step::Reopen).unwrap();
    assert_eq!(versions(&world.disk), [1, 1, 2], "once");
    world.step(Step::CommitFiles([Some(2), Some(2)], FilesStep { forgotten: 0, found: 3 })).unwrap();
    world.step(Step::Acknowledge(0, 0)).unwrap();
    world.step(Step::Reopen).unwrap();
    let state = world.binlog.as_ref().unwrap().state();
    assert_eq!(state.files.as_ref().map(|files| files.len()), Some(3));
    assert_eq!(versions(&world.disk), [1, 1, 2]);
    for (name, bytes) in segments(1) {
        assert!(world.disk.contents(&name) == Some(bytes), "{name} was written to");
    }
}
