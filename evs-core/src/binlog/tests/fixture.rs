//! The committed bytes of format version 1, in `tests/fixtures/binlog-v1`.

use std::path::PathBuf;

use super::{
    super::segment,
    world::{MEDIUM, Step, World, open},
};
use crate::disk::SimDisk;

/// One of every kind of frame, over several segments.
fn written() -> World {
    let mut world = World::new(MEDIUM);
    let steps = [
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
    steps.into_iter().for_each(|step| world.step(step).unwrap());
    world
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/binlog-v1")
}

fn names(world: &World) -> Vec<String> {
    (1..=world.binlog.as_ref().unwrap().writer.number).map(segment::name).collect()
}

#[test]
fn the_same_script_writes_the_bytes_of_version_1() {
    let world = written();
    for name in names(&world) {
        let expected = std::fs::read(directory().join(&name)).unwrap();
        assert!(world.disk.contents(&name).unwrap() == expected, "{name} differs");
    }
}

#[test]
fn the_bytes_of_version_1_are_read() {
    let mut world = written();
    let expected = world.binlog.as_ref().unwrap().state().clone();
    let disk = SimDisk::new();
    for name in names(&world) {
        disk.set_contents(&name, std::fs::read(directory().join(&name)).unwrap());
    }
    let (binlog, recovery) = open(&disk, MEDIUM).unwrap();
    assert_eq!((binlog.state(), recovery.torn), (&expected, None));
    world.disk = disk;
    world.recover().unwrap();
}
