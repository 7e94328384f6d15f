//! Tests of crashes: every call of a script fails once, in every way; after that, random scripts run.

use std::io::ErrorKind;

use proptest::prelude::*;

use super::{
    fixture,
    world::{FilesStep, SINKS, SMALL, Step, World, open},
};
use crate::{
    binlog::{BinlogOptions, SinkProgress, segment},
    disk::DiskFault,
};

use Step::{
    Acknowledge, ComeBack, Commit, CommitFiles, Discard, Forget, Redefine, Register, Rename, Reopen, Retain,
    Sync,
};

const SCRIPT: [Step; 28] = [
    Register(0),
    Commit([Some(3), Some(1)]),
    CommitFiles([Some(40), None], FilesStep { forgotten: 0, found: 3 }),
    Acknowledge(0, 0),
    Commit([None, Some(30)]),
    Discard(0, 1),
    Register(1),
    Acknowledge(0, 1),
    CommitFiles([Some(0), Some(2)], FilesStep { forgotten: 1, found: 1 }),
    Redefine,
    Commit([Some(20), Some(20)]),
    Acknowledge(0, 0),
    Discard(0, 1),
    Acknowledge(1, 0),
    Acknowledge(1, 1),
    ComeBack(1),
    Reopen,
    Acknowledge(1, 0),
    Acknowledge(0, 1),
    Retain,
    Commit([Some(50), Some(50)]),
    CommitFiles([None, None], FilesStep { forgotten: 3, found: 0 }),
    CommitFiles([None, Some(1)], FilesStep { forgotten: 0, found: 1 }),
    Forget(1),
    Rename(0),
    Acknowledge(1, 0),
    Sync,
    Retain,
];

/// Makes a world in which most cuts become several batches.
fn world() -> World {
    let mut world = World::new(SMALL);
    world.piece_rows = 7;
    world
}

/// The event that follows a failed call: the process restarts, or the power fails.
#[derive(Clone, Copy, Debug)]
enum Aftermath {
    Restart,
    PowerCut(u64),
}

impl Aftermath {
    fn happens(self, world: &World) {
        match self {
            Self::Restart => world.disk.restart(),
            Self::PowerCut(seed) => world.disk.power_cut(seed),
        }
    }
}

/// Runs the script and returns whether the fault occurred. At the end everything is checked.
fn run(mut world: World, script: &[Step], call: usize, fault: DiskFault, aftermath: Aftermath) -> bool {
    world.disk.fail_call(call, fault);
    let mut failed = false;
    for step in script {
        let Err(error) = world.step(*step) else { continue };
        if error.is_disk_full() {
            world.step(*step).expect("there is room again");
            continue;
        }
        failed = true;
        if let Some(binlog) = &mut world.binlog {
            let again = binlog.sync().expect_err("it is out of use");
            assert!(again.to_string().contains("opened anew"), "{again}");
        }
        world.binlog = None;
        aftermath.happens(&world);
        world.recover().unwrap();
    }
    let failed = failed || world.disk.has_failed();
    // The result of a recovery must stay, even after another power cut.
    world.binlog = None;
    world.disk.power_cut(call as u64);
    world.recover().unwrap();
    failed
}

fn every_call(fault: DiskFault, aftermath: Aftermath) {
    let calls = (0..).take_while(|call| run(world(), &SCRIPT, *call, fault, aftermath)).count();
    assert!(calls > 60, "{calls} calls");
}

#[test]
fn a_process_that_crashes_at_any_call_loses_nothing_that_was_committed() {
    every_call(DiskFault::Crash, Aftermath::Restart);
}

#[test]
fn a_power_cut_at_any_call_loses_nothing_that_was_committed() {
    (0..4).for_each(|seed| every_call(DiskFault::Crash, Aftermath::PowerCut(seed)));
}

#[test]
fn an_error_of_any_call_loses_nothing_that_was_committed() {
    for fault in [DiskFault::Error(ErrorKind::Other), DiskFault::Short(ErrorKind::Other)] {
        every_call(fault, Aftermath::Restart);
        (0..2).for_each(|seed| every_call(fault, Aftermath::PowerCut(seed)));
    }
}

#[test]
fn a_disk_that_is_full_at_any_call_loses_nothing_that_was_committed() {
    for fault in [DiskFault::Error(ErrorKind::StorageFull), DiskFault::Short(ErrorKind::StorageFull)] {
        every_call(fault, Aftermath::Restart);
    }
}

#[test]
fn a_recovery_can_crash_at_any_call_and_be_repeated() {
    let mut torn = 0;
    for call in 0.. {
        let mut recovery_calls = 0;
        for crash in 0.. {
            let mut world = world();
            world.disk.fail_call(call, DiskFault::Crash);
            let failed = SCRIPT[..10].iter().any(|step| world.step(*step).is_err());
            if !failed {
                assert!(call > 25 && torn > 200, "{call} calls, {torn} interrupted recoveries");
                return;
            }
            world.binlog = None;
            world.disk.power_cut(call as u64);
            world.disk.fail_call(crash, DiskFault::Crash);
            if open(&world.disk, SMALL).is_ok() {
                break;
            }
            recovery_calls += 1;
            world.disk.power_cut(crash as u64);
            world.recover().unwrap();
        }
        torn += recovery_calls;
    }
}

/// Segments so large that a full segment is never the reason for a new one.
const ROOMY: BinlogOptions = BinlogOptions { segment_bytes_max: 1 << 20, ..SMALL };

#[test]
fn a_binlog_of_version_1_can_be_opened_with_a_power_cut_at_any_call() {
    let (last, bytes) = fixture::segments(1).pop().unwrap();
    // The last frame is an acknowledgement, which has no effect without its last byte.
    let acknowledgement = 32 + br#"{"sink":"reports","statistic":"sales","sequence":2}"#.len();
    let torn = bytes[..bytes.len() - 1].to_vec();
    let cases = [
        ("whole", None, bytes.len()),
        ("torn", Some((last.clone(), torn)), bytes.len() - acknowledgement),
        ("unfinished", Some((segment::name(3), bytes[..20].to_vec())), bytes.len()),
    ];
    let found = |found| CommitFiles([Some(1), None], FilesStep { forgotten: 0, found });
    for ((label, changed, kept), seed) in cases.iter().flat_map(|case| (0..8).map(move |seed| (case, seed))) {
        for call in 0.. {
            let mut world = fixture::version_1(ROOMY);
            if let Some((name, bytes)) = changed {
                world.disk.set_contents(name, bytes.clone());
            }
            world.disk.fail_call(call, DiskFault::Crash);
            let is_open = open(&world.disk, ROOMY).is_ok();
            world.disk.power_cut(seed);
            [found(2), Reopen, found(1), Reopen].iter().for_each(|step| world.step(*step).unwrap());
            let left = world.disk.contents(&last).unwrap();
            assert!(left == bytes[..*kept], "{label}, call {call}: version 1 was appended to");
            if is_open {
                assert!(call > 25, "{label}: {call} calls");
                break;
            }
        }
    }
}

#[test]
fn a_binlog_of_version_1_can_be_opened_after_any_call_has_failed() {
    use ErrorKind::{Other, StorageFull};
    for fault in
        [Other, StorageFull].into_iter().flat_map(|kind| [DiskFault::Error(kind), DiskFault::Short(kind)])
    {
        let script = [CommitFiles([Some(1), None], FilesStep { forgotten: 0, found: 2 }), Reopen];
        for aftermath in [Aftermath::Restart, Aftermath::PowerCut(1), Aftermath::PowerCut(2)] {
            let calls =
                (0..).take_while(|call| run(fixture::version_1(ROOMY), &script, *call, fault, aftermath));
            let calls = calls.count();
            assert!(calls > 60, "{calls} calls");
        }
    }
}

/// A sink that began after the first batch and has acknowledged another one; one batch waits.
const RENAMED: [Step; 6] = [
    Commit([Some(3), Some(1)]),
    Register(0),
    Commit([Some(3), None]),
    Acknowledge(0, 0),
    Commit([Some(3), None]),
    Sync,
];

#[test]
fn after_a_crash_in_a_rename_the_sink_has_one_of_both_names_and_all_its_progress() {
    for fault in [DiskFault::Crash, DiskFault::Error(ErrorKind::Other), DiskFault::Short(ErrorKind::Other)] {
        for aftermath in (0..8).map(Aftermath::PowerCut).chain([Aftermath::Restart]) {
            for call in 0.. {
                let mut world = World::new(SMALL);
                RENAMED.iter().for_each(|step| world.step(*step).unwrap());
                let progress = world.binlog.as_ref().unwrap().state().sinks[SINKS[0]].clone();
                assert_eq!(progress["hits"], SinkProgress { acknowledged: 2, ..SinkProgress::at(1) });
                world.disk.fail_call(call, fault);
                let is_renamed = world.step(Rename(0)).is_ok();
                world.binlog = None;
                aftermath.happens(&world);
                world.recover().unwrap();
                let found = world.binlog.as_ref().unwrap().state().sinks.clone();
                let named = |name: &str| [(name.to_owned(), progress.clone())].into();
                let is_old = found == named(SINKS[0]);
                assert!(is_old || found == named(SINKS[1]), "call {call}: {found:?}");
                assert!(!is_renamed || !is_old, "call {call}: a rename that was reported is lost");
                // The same again settles it, if the first attempt did not.
                world.step(Rename(0)).unwrap();
                assert_eq!(world.binlog.as_ref().unwrap().state().sinks, named(SINKS[1]));
                if is_renamed {
                    assert!(call > 0);
                    break;
                }
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let rows = || prop::option::of(0_usize..40);
    let files = (0_usize..3, 0_u64..3).prop_map(|(forgotten, found)| FilesStep { forgotten, found });
    prop_oneof![
        4 => [rows(), rows()].prop_map(Commit),
        4 => ([rows(), rows()], files).prop_map(|(rows, files)| CommitFiles(rows, files)),
        1 => Just(Redefine),
        1 => (0_usize..2).prop_map(Register),
        1 => (0_usize..2).prop_map(ComeBack),
        4 => (0_usize..2, 0_usize..2).prop_map(|(sink, statistic)| Acknowledge(sink, statistic)),
        1 => (0_usize..2).prop_map(Forget),
        1 => (0_usize..2).prop_map(Rename),
        2 => Just(Retain),
        1 => Just(Sync),
        1 => Just(Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_scripts_leave_what_the_model_says(
        is_version_1: bool,
        steps in prop::collection::vec(step(), 1..40),
        call in 0_usize..200,
        fault in prop_oneof![
            Just(DiskFault::Crash),
            Just(DiskFault::Error(ErrorKind::Other)),
            Just(DiskFault::Short(ErrorKind::Other)),
            Just(DiskFault::Error(ErrorKind::StorageFull)),
            Just(DiskFault::Short(ErrorKind::StorageFull)),
        ],
        aftermath in prop_oneof![
            Just(Aftermath::Restart),
            any::<u64>().prop_map(Aftermath::PowerCut),
        ],
    ) {
        let world = if is_version_1 { fixture::version_1(SMALL) } else { world() };
        run(world, &steps, call, fault, aftermath);
    }
}
