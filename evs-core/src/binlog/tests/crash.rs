//! Every call of a script fails once, in every way; then random scripts.

use std::io::ErrorKind;

use proptest::prelude::*;

use super::world::{SMALL, Step, World, open};
use crate::disk::Fault;

use Step::{Acknowledge, ComeBack, Commit, Forget, Redefine, Register, Reopen, Retain, Sync};

const SCRIPT: [Step; 22] = [
    Register(0),
    Commit([Some(3), Some(1)]),
    Commit([Some(40), None]),
    Acknowledge(0, 0),
    Commit([None, Some(30)]),
    Register(1),
    Acknowledge(0, 1),
    Commit([Some(0), Some(2)]),
    Redefine,
    Commit([Some(20), Some(20)]),
    Acknowledge(0, 0),
    Acknowledge(1, 0),
    Acknowledge(1, 1),
    ComeBack(1),
    Reopen,
    Acknowledge(1, 0),
    Acknowledge(0, 1),
    Retain,
    Commit([Some(50), Some(50)]),
    Forget(1),
    Sync,
    Retain,
];

/// What happens to the machine after a call has failed.
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

/// Runs the script and returns whether the fault came up. Ends with everything checked.
fn run(script: &[Step], call: usize, fault: Fault, aftermath: Aftermath) -> bool {
    let mut world = World::new(SMALL);
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
    // What a recovery has shown once is there for good.
    world.binlog = None;
    world.disk.power_cut(call as u64);
    world.recover().unwrap();
    failed
}

fn every_call(fault: Fault, aftermath: Aftermath) {
    let calls = (0..).take_while(|call| run(&SCRIPT, *call, fault, aftermath)).count();
    assert!(calls > 60, "{calls} calls");
}

#[test]
fn a_process_that_crashes_at_any_call_loses_nothing_that_was_committed() {
    every_call(Fault::Crash, Aftermath::Restart);
}

#[test]
fn a_power_cut_at_any_call_loses_nothing_that_was_committed() {
    (0..4).for_each(|seed| every_call(Fault::Crash, Aftermath::PowerCut(seed)));
}

#[test]
fn an_error_of_any_call_loses_nothing_that_was_committed() {
    for fault in [Fault::Error(ErrorKind::Other), Fault::Short(ErrorKind::Other)] {
        every_call(fault, Aftermath::Restart);
        (0..2).for_each(|seed| every_call(fault, Aftermath::PowerCut(seed)));
    }
}

#[test]
fn a_disk_that_is_full_at_any_call_loses_nothing_that_was_committed() {
    for fault in [Fault::Error(ErrorKind::StorageFull), Fault::Short(ErrorKind::StorageFull)] {
        every_call(fault, Aftermath::Restart);
    }
}

#[test]
fn a_recovery_can_crash_at_any_call_and_be_repeated() {
    let mut torn = 0;
    for call in 0.. {
        let mut recovery_calls = 0;
        for crash in 0.. {
            let mut world = World::new(SMALL);
            world.disk.fail_call(call, Fault::Crash);
            let failed = SCRIPT[..10].iter().any(|step| world.step(*step).is_err());
            if !failed {
                assert!(call > 25 && torn > 200, "{call} calls, {torn} interrupted recoveries");
                return;
            }
            world.binlog = None;
            world.disk.power_cut(call as u64);
            world.disk.fail_call(crash, Fault::Crash);
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

fn step() -> impl Strategy<Value = Step> {
    let rows = || prop::option::of(0_usize..40);
    prop_oneof![
        4 => [rows(), rows()].prop_map(Commit),
        1 => Just(Redefine),
        1 => (0_usize..2).prop_map(Register),
        1 => (0_usize..2).prop_map(ComeBack),
        4 => (0_usize..2, 0_usize..2).prop_map(|(sink, statistic)| Acknowledge(sink, statistic)),
        1 => (0_usize..2).prop_map(Forget),
        2 => Just(Retain),
        1 => Just(Sync),
        1 => Just(Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_scripts_leave_what_the_model_says(
        steps in prop::collection::vec(step(), 1..40),
        call in 0_usize..200,
        fault in prop_oneof![
            Just(Fault::Crash),
            Just(Fault::Error(ErrorKind::Other)),
            Just(Fault::Short(ErrorKind::Other)),
            Just(Fault::Error(ErrorKind::StorageFull)),
            Just(Fault::Short(ErrorKind::StorageFull)),
        ],
        aftermath in prop_oneof![
            Just(Aftermath::Restart),
            any::<u64>().prop_map(Aftermath::PowerCut),
        ],
    ) {
        run(&steps, call, fault, aftermath);
    }
}
