//! Tests of the binlog's behaviour without faults: commits, acknowledgements, removal of segments and reopening.

use std::{
    io::ErrorKind,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    super::{
        Binlog, BinlogError, BinlogOptions, Commit, Contradiction, Cut, Waiting,
        event::kind,
        frame::{FrameHeader, Location},
        segment,
    },
    fixture,
    world::{SMALL, Step, World, frontier, known_file, ledger, open, pieces, rows, schema},
};
use crate::{
    batch::Epoch,
    disk::{DiskFault, RealDisk, SimDisk},
    position::{InventoryChange, OlderFiles},
};

/// Makes the next commit of the binlog: `len` rows of the statistic `hits`.
fn next(binlog: &Binlog, len: usize) -> Commit {
    let lines = binlog.state().ledger.totals.lines + 1;
    let from =
        binlog.state().statistics.get("hits").map_or_else(|| frontier(0), |known| Arc::clone(&known.to));
    let cut = Cut {
        schema: schema("hits", 1),
        from,
        to: frontier(lines * 100),
        rows: pieces(&rows(1, len, lines), usize::MAX),
        older: OlderFiles::default(),
    };
    Commit { ledger: ledger(lines), cuts: vec![cut], ..Commit::default() }
}

fn commit(binlog: &mut Binlog, len: usize) {
    binlog.commit(&next(binlog, len)).unwrap();
}

fn segments(disk: &SimDisk) -> Vec<String> {
    crate::disk::Disk::list(disk).unwrap()
}

#[test]
fn a_new_binlog_has_an_epoch_of_its_own_and_keeps_it() {
    let disk = Arc::new(SimDisk::new());
    let (binlog, recovery) = Binlog::open(disk.clone(), "ads", BinlogOptions::default()).unwrap();
    let epoch = binlog.state().epoch;
    assert!(recovery.created);
    let (binlog, recovery) = Binlog::open(disk, "ads", BinlogOptions::default()).unwrap();
    assert_eq!((binlog.state().epoch, recovery.created, recovery.torn), (epoch, false, None));
    let other = Binlog::open(Arc::new(SimDisk::new()), "ads", BinlogOptions::default()).unwrap().0;
    assert_ne!(other.state().epoch, epoch);
}

#[test]
fn a_real_directory_serves_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let disk = || Arc::new(RealDisk::open(directory.path()).unwrap());
    let (mut binlog, _) = Binlog::open(disk(), "ads", SMALL).unwrap();
    binlog.register_sink("reports", "hits", 0).unwrap();
    (0..5).for_each(|_| commit(&mut binlog, 100));
    let batch = binlog.reader().batch("hits", 2).unwrap().unwrap();
    binlog.acknowledge("reports", "hits", 3).unwrap();
    assert_eq!(binlog.retain(Instant::now(), u64::MAX).unwrap(), 4, "one before the first batch");
    let state = binlog.state().clone();
    drop(binlog);
    let (binlog, recovery) = Binlog::open(disk(), "ads", SMALL).unwrap();
    assert_eq!((binlog.state(), recovery.torn), (&state, None));
    assert_eq!((batch.sequence, batch.rows.len()), (2, 100));
    assert_eq!(binlog.reader().first_sequence("hits"), Some(4));
}

#[test]
fn when_the_disk_is_full_the_same_commit_succeeds_once_there_is_room() {
    let disk = SimDisk::new();
    let (mut binlog, _) = open(&disk, BinlogOptions::default()).unwrap();
    commit(&mut binlog, 10);
    let before = (binlog.state().clone(), binlog.bytes());
    let again = next(&binlog, 1000);
    for room in [0, 1, 40, 5000] {
        disk.set_room(Some(binlog.bytes() + room));
        let error = binlog.commit(&again).unwrap_err();
        assert!(error.is_disk_full(), "{error}");
        assert_eq!((binlog.state().clone(), binlog.bytes()), before);
        assert_eq!(disk.contents(&segments(&disk)[0]).unwrap().len() as u64, before.1, "cut back");
    }
    disk.set_room(None);
    binlog.commit(&again).unwrap();
    assert_eq!(binlog.reader().batch("hits", 2).unwrap().unwrap().rows, again.cuts[0].rows[0]);
    drop(binlog);
    assert_eq!(open(&disk, SMALL).unwrap().0.reader().last_sequence("hits"), 2);
}

#[test]
fn when_there_is_no_room_for_another_segment_the_commit_can_be_tried_again() {
    let disk = SimDisk::new();
    let (mut binlog, _) = open(&disk, SMALL).unwrap();
    commit(&mut binlog, 200);
    let again = next(&binlog, 200);
    disk.set_room(Some(binlog.bytes() + 100));
    assert!(binlog.commit(&again).unwrap_err().is_disk_full());
    assert_eq!(segments(&disk).len(), 1);
    disk.set_room(None);
    binlog.commit(&again).unwrap();
    assert_eq!(segments(&disk).len(), 2);
}

#[test]
fn a_binlog_of_version_1_is_opened_once_there_is_room_for_a_segment() {
    let older = fixture::segments(1);
    let disk = SimDisk::new();
    older.iter().for_each(|(name, bytes)| disk.set_contents(name, bytes.clone()));
    let bytes: usize = older.iter().map(|(_, bytes)| bytes.len()).sum();
    for room in [0, 1, 100] {
        disk.set_room(Some(bytes as u64 + room));
        let error = open(&disk, SMALL).unwrap_err();
        assert!(error.is_disk_full(), "{error}");
        assert_eq!(segments(&disk).len(), older.len(), "nothing is left of the new one");
        assert!(older.iter().all(|(name, bytes)| disk.contents(name).as_ref() == Some(bytes)));
    }
    disk.set_room(None);
    assert_eq!(open(&disk, SMALL).unwrap().1.torn, None);
    assert_eq!(segments(&disk).len(), older.len() + 1);
}

/// Returns the kinds of the frames in a segment.
fn kinds(disk: &SimDisk, number: u64) -> Vec<u8> {
    let bytes = disk.contents(&segment::name(number)).unwrap();
    let mut offset = segment::header_bytes(&bytes).unwrap() as u64;
    let mut kinds = Vec::new();
    while let Some(head) = bytes[offset as usize..].first_chunk() {
        let header = FrameHeader::parse(head, Location { segment: number, offset }).unwrap();
        kinds.push(header.kind);
        offset += header.frame_bytes();
    }
    kinds
}

#[test]
fn the_inventory_is_written_if_it_changes_or_was_not_known() {
    use kind::{FILES, SETTLE, SNAPSHOT};
    let disk = SimDisk::new();
    let (mut binlog, _) = open(&disk, BinlogOptions::default()).unwrap();
    let empty = InventoryChange::default;
    let add = InventoryChange { removed: Vec::new(), added: [1, 2].map(|id| known_file(id, 0)).into() };
    // The removed files go first, so file 2 stays, with other contents.
    let replace = InventoryChange { removed: vec![2, 1], added: vec![known_file(2, 1)] };
    let cases = [
        ("nothing is said", None, None, vec![SETTLE]),
        ("it becomes known", Some(empty()), Some(vec![]), vec![FILES, SETTLE]),
        ("it is known and stays as it is", Some(empty()), Some(vec![]), vec![SETTLE]),
        ("two are added", Some(add), Some(vec![known_file(1, 0), known_file(2, 0)]), vec![FILES, SETTLE]),
        ("nothing is said again", None, Some(vec![known_file(1, 0), known_file(2, 0)]), vec![SETTLE]),
        ("one goes, one is replaced", Some(replace), Some(vec![known_file(2, 1)]), vec![FILES, SETTLE]),
        ("it stays as it is", Some(empty()), Some(vec![known_file(2, 1)]), vec![SETTLE]),
    ];
    let mut expected_kinds = vec![SNAPSHOT];
    for (label, files, expected, new_kinds) in cases {
        binlog.commit(&Commit { files, ..Commit::default() }).unwrap();
        expected_kinds.extend(new_kinds);
        assert_eq!(kinds(&disk, 1), expected_kinds, "{label}");
        for reopened in [false, true] {
            if reopened {
                binlog = open(&disk, BinlogOptions::default()).unwrap().0;
            }
            let files = binlog.state().files.as_ref().map(|files| files.files().cloned().collect());
            assert_eq!(files, expected, "{label}, reopened: {reopened}");
        }
    }
}

#[test]
fn a_failed_fsync_is_never_retried() {
    for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
        let disk = SimDisk::new();
        let (mut binlog, _) = open(&disk, BinlogOptions::default()).unwrap();
        binlog.register_sink("reports", "hits", 0).unwrap();
        commit(&mut binlog, 10);
        let again = next(&binlog, 10);
        disk.fail_call(1, DiskFault::Error(kind));
        let error = binlog.commit(&again).unwrap_err();
        assert!(matches!(error, BinlogError::Io { op: "sync", .. }), "{error}");
        assert_eq!(binlog.reader().batch("hits", 2).unwrap(), None, "it must not be delivered");
        let calls = disk.calls().len();
        let poisoned = |result: Result<(), BinlogError>| matches!(result, Err(BinlogError::Poisoned { .. }));
        assert!(poisoned(binlog.commit(&again)));
        assert!(poisoned(binlog.acknowledge("reports", "hits", 1)));
        assert!(poisoned(binlog.acknowledge("reports", "hits", 0)));
        assert!(poisoned(binlog.register_sink("archive", "hits", 0)));
        assert!(poisoned(binlog.forget_sink("reports")));
        assert!(poisoned(binlog.sync()));
        assert!(poisoned(binlog.retain(Instant::now(), 0).map(|_| ())));
        assert_eq!(disk.calls().len(), calls, "nothing touches the disk");
    }
}

#[test]
fn what_a_failed_fsync_left_in_the_page_cache_is_written_again_at_the_next_start() {
    for seed in 0..50 {
        let disk = SimDisk::new();
        let (mut binlog, _) = open(&disk, BinlogOptions::default()).unwrap();
        disk.fail_call(1, DiskFault::Error(ErrorKind::Other));
        assert!(binlog.commit(&next(&binlog, 200)).is_err());
        drop(binlog);
        let (binlog, _) = open(&disk, BinlogOptions::default()).unwrap();
        let batch = binlog.reader().batch("hits", 1).unwrap().unwrap();
        disk.power_cut(seed);
        let (binlog, _) = open(&disk, BinlogOptions::default()).unwrap();
        assert_eq!(binlog.reader().batch("hits", 1).unwrap(), Some(batch), "seed {seed}");
    }
}

#[test]
fn acknowledgements_are_durable_before_the_segment_they_allow_to_go() {
    let disk = SimDisk::new();
    let (mut binlog, _) = open(&disk, SMALL).unwrap();
    binlog.register_sink("reports", "hits", 0).unwrap();
    (0..4).for_each(|_| commit(&mut binlog, 100));
    binlog.acknowledge("reports", "hits", 2).unwrap();
    let last = segments(&disk).pop().unwrap();
    let before = disk.calls().len();
    assert_eq!(binlog.retain(Instant::now(), u64::MAX).unwrap(), 3, "one before the first batch");
    let calls: Vec<_> = disk.calls()[before..].iter().map(|call| (call.op, call.name.clone())).collect();
    assert_eq!(calls[0], ("sync", last), "{calls:?}");
    assert_eq!(
        calls.iter().map(|call| call.0).collect::<Vec<_>>(),
        ["sync", "remove", "sync", "remove", "sync", "remove", "sync"]
    );
}

#[test]
fn acknowledged_segments_are_kept_for_the_time_set_unless_space_is_short() {
    let options = BinlogOptions { keep_acknowledged: Duration::from_secs(600), ..SMALL };
    let disk = SimDisk::new();
    let (mut binlog, _) = open(&disk, options).unwrap();
    (0..6).for_each(|_| commit(&mut binlog, 100));
    let start = Instant::now();
    assert_eq!(binlog.retain(start, 0).unwrap(), 0, "no sink is registered");
    binlog.register_sink("reports", "hits", 4).unwrap();
    binlog.register_sink("archive", "hits", 2).unwrap();
    let (all, needed) = (bytes_behind(&binlog, 0), bytes_behind(&binlog, 2));
    assert_eq!(binlog.unacknowledged_bytes(), needed);
    assert!((60..70).contains(&(needed * 100 / all)), "four of six: {needed} of {all}");
    assert_eq!(binlog.retain(start, u64::MAX).unwrap(), 0);
    assert_eq!(binlog.retain(start + Duration::from_secs(599), u64::MAX).unwrap(), 0);
    let one_less = binlog.bytes() - 1;
    assert_eq!(binlog.retain(start + Duration::from_secs(599), one_less).unwrap(), 1);
    assert_eq!(binlog.retain(start + Duration::from_secs(600), u64::MAX).unwrap(), 1);
    assert_eq!(binlog.retain(start + Duration::from_secs(9999), 0).unwrap(), 0, "archive needs batch 3");
    binlog.forget_sink("archive").unwrap();
    assert_eq!(binlog.retain(start + Duration::from_secs(9999), 0).unwrap(), 2);
    let (reader, gone) = (binlog.reader(), binlog.reader().batch("hits", 4).unwrap());
    assert_eq!((reader.first_sequence("hits"), reader.last_sequence("hits"), gone), (Some(5), 6, None));
}

fn bytes_behind(binlog: &Binlog, sequence: u64) -> u64 {
    binlog.reader.index().bytes_behind("hits", sequence)
}

#[test]
fn a_sink_that_comes_back_older_gets_its_batches_again_as_long_as_they_are_there() {
    let disk = SimDisk::new();
    let (mut binlog, _) = open(&disk, SMALL).unwrap();
    binlog.register_sink("reports", "hits", 0).unwrap();
    (0..6).for_each(|_| commit(&mut binlog, 100));
    binlog.acknowledge("reports", "hits", 3).unwrap();
    assert_eq!(binlog.retain(Instant::now(), 0).unwrap(), 4, "one before the first batch");
    binlog.acknowledge("reports", "hits", 6).unwrap();
    binlog.register_sink("reports", "hits", 3).unwrap();
    assert_eq!(binlog.retain(Instant::now(), 0).unwrap(), 0);
    let error = binlog.register_sink("reports", "hits", 2).unwrap_err();
    assert!(matches!(error, BinlogError::Gone { sequence: 3, .. }), "{error}");
    let error = binlog.register_sink("reports", "hits", 7).unwrap_err();
    let BinlogError::Refused { source, .. } = error else { panic!("{error}") };
    assert!(matches!(source, Contradiction::Ahead { found: 7, last: 6, .. }), "{source}");
    binlog.acknowledge("reports", "hits", 4).expect("a refusal poisons nothing");
}

#[test]
fn a_commit_that_does_not_follow_is_refused_and_nothing_is_written() {
    let disk = SimDisk::new();
    let (mut binlog, _) = open(&disk, SMALL).unwrap();
    commit(&mut binlog, 1);
    let calls = disk.calls().len();
    let mut elsewhere = next(&binlog, 1);
    elsewhere.cuts[0].from = frontier(7);
    let mut twice = next(&binlog, 1);
    twice.cuts.push(twice.cuts[0].clone());
    let mut columns = next(&binlog, 1);
    columns.cuts[0].rows = vec![rows(2, 1, 1)];
    for (label, commit) in [("from", elsewhere), ("twice", twice), ("columns", columns)] {
        assert!(matches!(binlog.commit(&commit), Err(BinlogError::Refused { .. })), "{label}");
    }
    assert!(matches!(binlog.acknowledge("nobody", "hits", 1), Err(BinlogError::Refused { .. })));
    assert_eq!(disk.calls().len(), calls);
    commit(&mut binlog, 1);
}

#[test]
fn batches_keep_the_schema_under_which_they_were_cut() {
    let disk = SimDisk::new();
    let (mut binlog, _) = open(&disk, SMALL).unwrap();
    commit(&mut binlog, 3);
    let mut redefined = next(&binlog, 0);
    redefined.cuts[0].schema = schema("hits", 2);
    redefined.cuts[0].rows = vec![rows(2, 3, 9)];
    redefined.predecessors = vec![Epoch::from_bytes([1; 16])];
    binlog.commit(&redefined).unwrap();
    drop(binlog);
    let (binlog, _) = open(&disk, SMALL).unwrap();
    let keys = |sequence| binlog.reader().batch("hits", sequence).unwrap().unwrap().schema.keys.len();
    assert_eq!((keys(1), keys(2)), (1, 2));
    assert_eq!(binlog.state().statistics["hits"].schema, schema("hits", 2));
    assert_eq!(binlog.state().predecessors, redefined.predecessors);
}

#[test]
fn a_source_name_that_is_too_long_is_refused() {
    let name = "x".repeat(256);
    let error = Binlog::open(Arc::new(SimDisk::new()), &name, SMALL).unwrap_err();
    assert!(matches!(error, BinlogError::TooLarge { bytes: 256, bytes_max: 255, .. }), "{error}");
}

#[test]
fn a_renamed_sink_keeps_where_it_began_and_what_it_has() {
    let mut world = World::new(SMALL);
    for step in [Step::Commit([Some(2), None]), Step::Register(0), Step::Commit([Some(2), Some(1)])] {
        world.step(step).unwrap();
    }
    let binlog = world.binlog.as_mut().unwrap();
    let progress = binlog.state().sinks["reports"].clone();
    binlog.rename_sink("reports", "pg").unwrap();
    assert_eq!(binlog.state().sinks, [("pg".to_owned(), progress.clone())].into());
    // The refused ones change nothing.
    binlog.register_sink("archive", "hits", 0).unwrap();
    for (sink, to) in [("reports", "new"), ("pg", "archive"), ("pg", "pg"), ("none", "none")] {
        let before = binlog.state().clone();
        let error = binlog.rename_sink(sink, to).unwrap_err();
        let BinlogError::Refused { source, .. } = &error else { panic!("{error:?}") };
        assert_eq!(source, &Contradiction::Rename { sink: sink.to_owned(), to: to.to_owned() });
        assert_eq!(binlog.state(), &before);
    }
    assert_eq!(binlog.state().sinks["pg"], progress);
}

#[test]
fn what_waits_for_a_sink_is_known_after_opening_again_too() {
    let mut world = World::new(SMALL);
    let rows = [Step::Register(0), Step::Commit([Some(2), Some(1)]), Step::Commit([Some(30), None])];
    rows.iter().for_each(|step| world.step(*step).unwrap());
    for reopens in [false, true] {
        if reopens {
            world.step(Step::Reopen).unwrap();
        }
        let binlog = world.binlog.as_ref().unwrap();
        let waiting = |sink: &str| binlog.reader().waiting(&binlog.state().sinks[sink]);
        // The first commit of the test's ledger notes no time.
        let since = ledger(2).time;
        assert_eq!(waiting("reports"), Waiting { batches: 3, rows: 33, since });
    }
    world.step(Step::Acknowledge(0, 0)).unwrap();
    let binlog = world.binlog.as_ref().unwrap();
    let waiting = binlog.reader().waiting(&binlog.state().sinks["reports"]);
    assert_eq!(waiting, Waiting { batches: 1, rows: 1, since: None });
}
