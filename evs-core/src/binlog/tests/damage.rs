//! Tests of damage: every kind of change to durable bytes is found, reported and never taken for a crash.

use std::{error::Error as _, sync::Arc};

use super::{
    super::{
        Binlog, BinlogError, BinlogState, Contradiction, Damage, reseal,
        segment::{self, Parsed, SegmentHeader},
        writer::SegmentWriter,
    },
    world::{FilesStep, MEDIUM, SMALL, SOURCE, Step, World, open},
};
use crate::{
    batch::{Batch, Epoch},
    disk::{Disk, SimDisk},
};

type Files = Vec<(String, Vec<u8>)>;

/// Makes two segments. The last one has two commits with an acknowledgement between them. Also returns all batches,
/// and the offset up to which frames prove that the last segment was durable.
fn sample() -> (Files, Vec<Batch>, u64) {
    let mut world = World::new(MEDIUM);
    let steps = [
        Step::Register(0),
        Step::Commit([Some(110), Some(1)]),
        Step::CommitFiles([Some(20), None], FilesStep { forgotten: 0, found: 1 }),
        Step::Commit([Some(2), None]),
        Step::Acknowledge(0, 0),
    ];
    steps.into_iter().for_each(|step| world.step(step).unwrap());
    let proven = world.binlog.as_ref().unwrap().writer.synced;
    world.step(Step::CommitFiles([Some(1), None], FilesStep { forgotten: 1, found: 0 })).unwrap();
    let binlog = world.binlog.as_ref().unwrap();
    let batches = batches(binlog);
    let names = (1..=binlog.writer.number).map(segment::name);
    (names.map(|name| (name.clone(), world.disk.contents(&name).unwrap())).collect(), batches, proven)
}

fn batches(binlog: &Binlog) -> Vec<Batch> {
    let reader = binlog.reader();
    let names: Vec<_> = binlog.state().statistics.keys().cloned().collect();
    let all = names.iter().flat_map(|name| (1..=reader.last_sequence(name)).map(move |at| (name, at)));
    all.map(|(name, at)| reader.batch(name, at).unwrap().unwrap()).collect()
}

fn disk_of(files: &[(String, Vec<u8>)]) -> SimDisk {
    let disk = SimDisk::new();
    files.iter().for_each(|(name, bytes)| disk.set_contents(name, bytes.clone()));
    disk
}

#[test]
fn every_flipped_byte_is_found_and_only_an_unproven_tail_is_cut_off() {
    let (files, original, proven) = sample();
    let (mut refused, mut cut_off) = (0, 0);
    for (at_file, (name, bytes)) in files.iter().enumerate() {
        for at in 0..bytes.len() {
            let mut changed = files.clone();
            changed[at_file].1[at] ^= 1 << (at % 8);
            let disk = disk_of(&changed);
            match open(&disk, SMALL) {
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().contains(name), "{error}");
                    let untouched =
                        changed.iter().all(|(name, bytes)| disk.contents(name).as_ref() == Some(bytes));
                    assert!(untouched, "{error}");
                    let known = matches!(error, BinlogError::Damaged { offset, .. } if offset <= at as u64)
                        || matches!(error, BinlogError::NewerVersion { .. });
                    assert!(known, "byte {at} of {name}: {error}");
                }
                Ok((binlog, recovery)) => {
                    cut_off += 1;
                    let torn = recovery.torn.expect("it is said");
                    assert!(at_file + 1 == files.len() && at as u64 >= proven, "byte {at} of {name}: {torn}");
                    let left = batches(&binlog);
                    assert!(left.iter().all(|batch| original.contains(batch)));
                    assert_eq!(left.len(), original.len() - 1, "byte {at} of {name}");
                }
            }
        }
    }
    assert!(refused > 1000 && cut_off > 100, "{refused} refused, {cut_off} cut off");
}

#[test]
fn a_binlog_cut_anywhere_in_its_last_commit_loses_that_commit_only() {
    let (files, original, proven) = sample();
    let mut shorter = files.clone();
    let last = shorter.len() - 1;
    while shorter[last].1.len() as u64 > proven {
        shorter[last].1.pop();
        let (binlog, _) = open(&disk_of(&shorter), SMALL).unwrap();
        assert_eq!(batches(&binlog).len(), original.len() - 1);
    }
}

#[test]
fn changed_payloads_with_right_checksums_never_panic() {
    let (files, ..) = sample();
    let (name, bytes) = files.last().unwrap();
    let number = files.len() as u64;
    let first = segment::header_bytes(bytes).unwrap();
    let mut opened = 0;
    for at in first..bytes.len() {
        let mut changed = files.clone();
        let changed_bytes = &mut changed[files.len() - 1].1;
        changed_bytes[at] ^= 1 << (at % 8);
        reseal(number, changed_bytes);
        if let Ok((binlog, _)) = open(&disk_of(&changed), SMALL) {
            opened += 1;
            for statistic in ["hits", "sales"] {
                (1..5).for_each(|at| drop(binlog.reader().batch(statistic, at)));
            }
        }
    }
    assert!(opened > 0, "{name}");
}

#[test]
fn a_snapshot_that_no_binlog_can_have_is_damage() {
    let mut world = World::new(SMALL);
    world.step(Step::Register(0)).unwrap();
    world.step(Step::Commit([Some(1), Some(1)])).unwrap();
    let sound = world.binlog.as_ref().unwrap().state();
    let mut endless = sound.clone();
    endless.statistics.get_mut("hits").unwrap().sequence = u64::MAX;
    let mut ahead = sound.clone();
    ahead.sinks.get_mut("reports").unwrap().insert(
        "hits".to_owned(),
        crate::binlog::SinkProgress { acknowledged: 2, ..crate::binlog::SinkProgress::default() },
    );
    for (label, state) in [("a sequence without successor", endless), ("a sink that is ahead", ahead)] {
        let disk = SimDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        SegmentWriter::create(&shared, 7, &state).unwrap();
        let error = open(&disk, SMALL).unwrap_err();
        assert!(matches!(error, BinlogError::Damaged { source: Damage::Snapshot, .. }), "{label}: {error}");
    }
}

#[test]
fn a_batch_that_names_another_one_as_the_one_before_it_is_damage() {
    let mut world = World::new(MEDIUM);
    world.step(Step::Commit([Some(1), None])).unwrap();
    let first = world.binlog.as_ref().unwrap().state().statistics["hits"].checksum;
    let end = world.binlog.as_ref().unwrap().writer.end as usize;
    world.step(Step::Commit([Some(1), None])).unwrap();
    let name = segment::name(1);
    let mut bytes = world.disk.contents(&name).unwrap();
    let named = format!("\"predecessor\":{first}");
    let at = end + bytes[end..].windows(named.len()).position(|text| text == named.as_bytes()).unwrap();
    let last = &mut bytes[at + named.len() - 1];
    *last = if *last == b'1' { b'2' } else { b'1' };
    reseal(1, &mut bytes);
    let error = open(&disk_of(&[(name, bytes)]), MEDIUM).unwrap_err();
    let BinlogError::Damaged { source: Damage::Contradiction { source }, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        matches!(source, Contradiction::Predecessor { sequence: 2, expected, .. } if *expected == first),
        "{source}"
    );
}

/// Turns a segment into one of version 1.
fn downgrade(segment: &mut [u8]) {
    let Parsed::Header(header) = SegmentHeader::parse(segment) else { panic!("no header") };
    let older = SegmentHeader { version: 1, ..header }.to_bytes();
    segment[..older.len()].copy_from_slice(&older);
}

#[test]
fn a_segment_of_version_1_has_no_files() {
    let mut world = World::new(MEDIUM);
    // The segment has no batch: in version 1 a batch would be encoded differently.
    world.step(Step::Commit([Some(0), None])).unwrap();
    let without = world.binlog.as_ref().unwrap().writer.end;
    world.step(Step::CommitFiles([None, None], FilesStep { forgotten: 0, found: 1 })).unwrap();
    let name = segment::name(1);
    let mut bytes = world.disk.contents(&name).unwrap();
    open(&disk_of(&[(name.clone(), bytes.clone())]), MEDIUM).expect("version 2 has them");
    downgrade(&mut bytes);
    let error = open(&disk_of(&[(name.clone(), bytes.clone())]), MEDIUM).unwrap_err();
    let BinlogError::Damaged { offset, source, .. } = &error else { panic!("{error}") };
    assert!(matches!(source, Damage::Kind { found: 9 }), "{source}");
    assert_eq!(*offset, without, "the frame that is damage");
    bytes.truncate(without as usize);
    open(&disk_of(&[(name, bytes)]), MEDIUM).expect("the rest is sound");

    let state = world.binlog.as_ref().unwrap().state().clone();
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    SegmentWriter::create(&shared, 1, &state).unwrap();
    let name = segment::name(1);
    let mut bytes = disk.contents(&name).unwrap();
    downgrade(&mut bytes);
    let first = segment::header_bytes(&bytes).unwrap() as u64;
    let error = open(&disk_of(&[(name, bytes)]), MEDIUM).unwrap_err();
    let BinlogError::Damaged { offset, source: Damage::Snapshot, .. } = &error else { panic!("{error}") };
    assert_eq!(*offset, first);
}

#[test]
fn missing_doubled_and_foreign_segments_are_refused() {
    let (files, ..) = sample();
    assert_eq!(files.len(), 2, "the cases below");
    let opened = |files: &[(String, Vec<u8>)]| open(&disk_of(files), SMALL).map(|_| ());
    let name = segment::name;

    let error = opened(&files[1..]).unwrap_err();
    assert!(matches!(error, BinlogError::Gone { sequence: 1, .. }), "first one missing: {error}");
    let far = [files[0].clone(), (name(3), files[1].1.clone())];
    let error = opened(&far).unwrap_err();
    assert!(matches!(&error, BinlogError::MissingSegment { path } if path.ends_with(name(2))), "{error}");
    let doubled = [files[0].clone(), (name(2), files[0].1.clone())];
    let error = opened(&doubled).unwrap_err();
    assert!(matches!(error, BinlogError::Misnamed { found: Some(1), .. }), "{error}");
    let renamed = [files[0].clone(), ("binlog-2.evs".to_owned(), files[1].1.clone())];
    let error = opened(&renamed).unwrap_err();
    assert!(matches!(error, BinlogError::Misnamed { found: None, .. }), "{error}");

    let error = Binlog::open(Arc::new(disk_of(&files)), "other", SMALL).unwrap_err();
    assert!(matches!(&error, BinlogError::ForeignSource { found, .. } if found == SOURCE), "{error}");
    let mut foreign = World::new(MEDIUM);
    foreign.step(Step::Reopen).unwrap();
    let state = BinlogState::new(Epoch::from_bytes([9; 16]), SOURCE);
    let disk: Arc<dyn Disk> = Arc::new(foreign.disk.clone());
    SegmentWriter::create(&disk, 2, &state).unwrap();
    let error = open(&foreign.disk, SMALL).unwrap_err();
    assert!(matches!(error, BinlogError::ForeignEpoch { .. }), "{error}");
}

#[test]
fn an_unfinished_last_segment_is_removed_and_one_in_the_middle_is_damage() {
    let (files, original, _) = sample();
    let number = files.len() as u64 + 1;
    for bytes in [Vec::new(), vec![0; 700], files[1].1[..20].to_vec()] {
        let mut more = files.clone();
        more.push((segment::name(number), bytes.clone()));
        let disk = disk_of(&more);
        let (binlog, recovery) = open(&disk, SMALL).unwrap();
        let torn = recovery.torn.unwrap();
        assert_eq!((torn.offset, torn.bytes), (0, bytes.len() as u64));
        assert_eq!(batches(&binlog), original);
        assert_eq!(disk.contents(&segment::name(number)), None);

        let mut middle = files.clone();
        middle[0].1 = bytes;
        let error = open(&disk_of(&middle), SMALL).unwrap_err();
        assert!(matches!(error, BinlogError::Damaged { offset: 0, .. }), "{error}");
    }
}

#[test]
fn a_newer_version_is_an_error_of_its_own_and_nothing_is_written() {
    let (mut files, ..) = sample();
    // Only a later version knows the bytes after its version number.
    files[1].1[8] = 3;
    files[1].1[20..].fill(0xEE);
    let disk = disk_of(&files);
    let error = open(&disk, SMALL).unwrap_err();
    assert!(matches!(error, BinlogError::NewerVersion { found: 3, supported: 2, .. }), "{error}");
    let written = disk.calls().iter().any(|call| ["write", "truncate", "remove", "sync"].contains(&call.op));
    assert!(!written);
}

#[test]
fn a_batch_that_rots_while_the_binlog_is_open_is_not_delivered() {
    let (files, ..) = sample();
    let disk = disk_of(&files);
    let (binlog, _) = open(&disk, SMALL).unwrap();
    let (location, bytes) = binlog.reader().location("hits", 1).unwrap();
    let (name, mut rotten) = files[location.segment as usize - 1].clone();
    rotten[(location.offset + bytes) as usize - 3] ^= 4;
    disk.set_contents(&name, rotten);
    let results: Vec<_> = (1..=2)
        .map(|at| binlog.reader().batch("hits", at))
        .chain([binlog.reader().batch("sales", 1)])
        .collect();
    let errors: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert_eq!(errors.len(), 1, "{results:?}");
    assert!(matches!(errors[0], BinlogError::Damaged { source: Damage::Checksum { .. }, .. }));
    assert!(errors[0].source().is_some_and(|source| source.to_string().starts_with("checksum 0x")));
}
