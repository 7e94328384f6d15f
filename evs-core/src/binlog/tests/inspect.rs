//! Tests of inspection: whatever the bytes are, it finds first what recovery stops at, and the state where recovery goes on.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::{
    super::{
        BinlogError, BinlogState,
        inspect::{Contents, Facts, Found, Part, read},
    },
    fixture::{disk_of, segments},
    world::{MEDIUM, open},
};
use crate::{describe, disk::SimDisk};

/// Reads everything. Returns the first problem, too.
fn inspect(disk: &SimDisk, part: Part) -> Result<(Contents, Option<String>), BinlogError> {
    let mut first = None;
    let contents = read(disk, part, &mut |found| {
        match found {
            Found::Problem(problem) => {
                first.get_or_insert(describe(&problem.error));
            }
            Found::Frame(frame) => drop(frame.batch()),
            Found::Segment(_) => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok((contents, first))
}

/// Checks that inspection agrees with recovery about the bytes on a disk.
fn assert_agreement(disk: &SimDisk, case: &str) {
    let inspected = inspect(disk, Part::All);
    match (open(disk, MEDIUM), inspected) {
        (Ok((binlog, recovery)), Ok((contents, problem))) => {
            assert_eq!((problem, contents.problems), (None, 0), "{case}");
            // Without a segment that counts, recovery has made a new binlog.
            let is_new = recovery.created;
            let expected: Option<&BinlogState> = (!is_new).then(|| binlog.state());
            assert_eq!(contents.state.as_ref(), expected, "{case}");
            let torn = recovery.torn.map(|torn| (torn.offset, torn.bytes));
            let tail = contents.tail.as_ref().map(|tail| (tail.offset, tail.bytes));
            assert_eq!(tail, torn, "{case}");
            for statistic in binlog.state().statistics.keys().filter(|_| !is_new) {
                let first = binlog.reader().first_sequence(statistic);
                assert_eq!(contents.first_sequence(statistic), first, "{case}");
            }
        }
        (Err(error), Ok((_, problem))) => assert_eq!(problem, Some(describe(&error)), "{case}"),
        (Err(BinlogError::NewerVersion { .. }), Err(BinlogError::NewerVersion { .. })) => {}
        (opened, inspected) => panic!("{case}: {:?} and {:?}", opened.err(), inspected.err()),
    }
}

#[test]
fn a_flipped_byte_is_found_where_recovery_finds_it() {
    for version in [1, 2] {
        for (name, bytes) in segments(version) {
            // Every byte takes a minute. Seven has no factor in common with the lengths of fields.
            for at in (0..bytes.len()).step_by(7) {
                let disk = disk_of(version);
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (at % 8);
                disk.set_contents(&name, changed);
                assert_agreement(&disk, &format!("version {version}, byte {at} of {name}"));
            }
        }
    }
}

#[test]
fn a_segment_that_ends_anywhere_is_read_as_recovery_reads_it() {
    for version in [1, 2] {
        for (name, bytes) in segments(version) {
            for len in (0..bytes.len()).step_by(7) {
                let disk = disk_of(version);
                disk.set_contents(&name, bytes[..len].to_vec());
                assert_agreement(&disk, &format!("version {version}, {len} bytes of {name}"));
            }
        }
    }
}

#[test]
fn the_newest_segment_alone_has_the_state() {
    for version in [1, 2] {
        let disk = disk_of(version);
        let (all, _) = inspect(&disk, Part::All).unwrap();
        let (newest, problem) = inspect(&disk, Part::Newest).unwrap();
        assert_eq!((newest.state, problem), (all.state, None));
        assert_eq!(newest.segments.len(), 1);
    }
}

#[test]
fn reading_goes_on_after_damage_with_the_next_snapshot() {
    let disk = disk_of(2);
    let (all, _) = inspect(&disk, Part::All).unwrap();
    let (name, mut bytes) = segments(2).remove(0);
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    disk.set_contents(&name, bytes);
    let mut followed = Vec::new();
    let contents = read(&disk, Part::All, &mut |found| {
        if let Found::Frame(frame) = found {
            followed.push((frame.segment, frame.is_followed, matches!(frame.facts, Facts::Snapshot { .. })));
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((contents.problems, contents.state), (1, all.state));
    assert!(followed.iter().any(|(segment, is_followed, _)| *segment == 1 && !is_followed));
    assert!(followed.iter().all(|(segment, is_followed, _)| *segment == 1 || *is_followed));
    assert_eq!(followed.iter().filter(|(.., is_snapshot)| *is_snapshot).count(), 5);
}

#[test]
fn segments_that_are_removed_meanwhile_are_passed_over() {
    let disk = disk_of(2);
    let (all, _) = inspect(&disk, Part::All).unwrap();
    let mut seen = Vec::new();
    let contents = read(&disk, Part::All, &mut |found| {
        match found {
            Found::Segment(segment) => {
                seen.push(segment.number);
                // The pipeline removes the oldest segments, this one included.
                if segment.number == 1 {
                    use crate::disk::Disk;
                    (1..=3).for_each(|number| disk.remove(&super::super::segment::name(number)).unwrap());
                }
            }
            Found::Problem(problem) => panic!("{problem:?}"),
            Found::Frame(_) => {}
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((seen, contents.state), (vec![1, 4, 5], all.state));
}

#[test]
fn a_visitor_that_breaks_ends_the_reading() {
    let mut calls = 0;
    let contents = read(&disk_of(2), Part::All, &mut |_| {
        calls += 1;
        ControlFlow::Break(())
    });
    assert!(contents.unwrap().is_stopped);
    assert_eq!(calls, 1);
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_recovery_reads_them(
        number in 0_usize..5,
        at in any::<prop::sample::Index>(),
        garbage in prop::collection::vec(any::<u8>(), 0..80),
        is_cut in any::<bool>(),
    ) {
        let disk = disk_of(2);
        let (name, mut bytes) = segments(2).remove(number);
        let at = at.index(bytes.len());
        let end = if is_cut { bytes.len() } else { (at + garbage.len()).min(bytes.len()) };
        bytes.splice(at..end, garbage.iter().copied());
        disk.set_contents(&name, bytes);
        assert_agreement(&disk, &format!("byte {at} of {name}, cut: {is_cut}"));
    }
}
