//! Every line of every log is handed out exactly once to each statistic, with the path of its log.

use std::{sync::Arc, time::Duration};

use evs_core::{Begin, internals::tail::TailOptions};
use proptest::{collection::vec, prelude::*};

use super::{
    reader::{Reader, STATISTICS},
    site::{Act, LOGS_MAX, SCHEMES, Scheme, Site},
};
use crate::tail_support::{
    GRACE,
    sim::{Disk, SimFs},
    still,
};

/// A live file is taken for a known one only if they have this much in common.
const SURE_BYTES: usize = 1024;

#[derive(Clone, Debug)]
enum Op {
    Act(Act),
    /// A log appears.
    Add,
    Read {
        chunks: usize,
        during: Vec<(u8, Act)>,
    },
    ReadLate,
    /// Makes a statistic commit. The last index means that all of them commit and finished files retire.
    Commit(usize),
    Restart {
        during: Vec<(u8, Act)>,
    },
    Kill(u16),
    /// A log vanishes after it was read. Then this much time passes, and it comes back: with its bytes, or without.
    Vanish {
        log: usize,
        minutes: u64,
        is_same: bool,
        restarts: bool,
    },
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..LOGS_MAX, 1_u8..).prop_map(|(log, bytes)| Act::Write(log, bytes)),
        2 => (0..LOGS_MAX).prop_map(Act::Rotate),
        6 => Just(Act::Work),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    let during = || vec((0_u8..8, any_act()), 0..8);
    prop_oneof![
        8 => any_act().prop_map(Op::Act),
        1 => Just(Op::Add),
        6 => (0_usize..8, during()).prop_map(|(chunks, during)| Op::Read { chunks, during }),
        1 => Just(Op::ReadLate),
        4 => (0..=STATISTICS).prop_map(Op::Commit),
        2 => during().prop_map(|during| Op::Restart { during }),
        2 => (0_u16..200).prop_map(Op::Kill),
        1 => (0..LOGS_MAX, 0_u64..30, any::<bool>(), any::<bool>())
            .prop_map(|(log, minutes, is_same, restarts)| Op::Vanish { log, minutes, is_same, restarts }),
    ]
}

fn run(scheme: Scheme, begin: Begin, files_max: usize, chunk_bytes: u64, before: &[Act], ops: &[Op]) {
    let mut disk = Disk::new(Duration::from_secs(1_795_782_600), Duration::from_millis(4));
    let mut site = Site::new(scheme, &mut disk);
    (0..3).for_each(|_| site.add(&mut disk));
    site.has_begun = begin == Begin::Oldest;
    before.iter().for_each(|act| site.act(*act, &mut disk));
    site.calm_down(&mut disk);
    site.begin(begin, &disk);
    let fs = SimFs::new(disk, site, 61);
    let options = TailOptions {
        begin,
        grace: GRACE,
        chunk_bytes,
        line_bytes_max: 300,
        files_max,
        fs: Arc::new(fs.clone()),
        wall: still(),
        ..TailOptions::new(scheme.pattern())
    };
    let mut reader = Reader::start(fs.clone(), options);
    for op in ops {
        match op {
            Op::Act(act) => fs.with(|disk, site| site.act(*act, disk)),
            Op::Add => fs.with(|disk, site| site.add(disk)),
            Op::Read { chunks, during } => {
                fs.lock().agent.plan(during);
                reader.read(*chunks);
            }
            Op::ReadLate => {
                fs.with(|disk, site| site.calm_down(disk));
                reader.pass(2 * GRACE);
                reader.read(usize::MAX);
            }
            Op::Commit(which) => reader.commit(*which),
            Op::Restart { during } => {
                fs.lock().agent.plan(during);
                reader.restart();
            }
            Op::Kill(calls) => fs.lock().agent.kill_after(*calls),
            Op::Vanish { log, minutes, is_same, restarts } => {
                vanish(&mut reader, *log, *minutes, *is_same, *restarts);
            }
        }
    }
    fs.with(|disk, site| site.calm_down(disk));
    reader.finish();
    reader.check();
    reader.restart();
    reader.finish();
    reader.check();
}

/// Lets a log vanish after it was read, and brings it back.
fn vanish(reader: &mut Reader, log: usize, minutes: u64, is_same: bool, restarts: bool) {
    let fs = reader.fs.clone();
    fs.with(|disk, site| site.calm_down(disk));
    reader.finish();
    let log = log % fs.lock().agent.logs();
    let bytes = fs.with(|disk, site| site.vanish(log, disk));
    for _ in 0..minutes {
        reader.pass(Duration::from_secs(60));
        reader.read(usize::MAX);
        reader.commit(STATISTICS);
    }
    if restarts {
        reader.restart();
    }
    fs.with(|disk, site| {
        site.bring_back(log, if is_same && bytes.len() >= SURE_BYTES { &bytes } else { &[] }, disk);
    });
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(400),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_line_of_every_log_is_read_once(
        scheme in prop::sample::select(&SCHEMES[..]),
        begin in prop::sample::select(&[Begin::Oldest, Begin::Start, Begin::End][..]),
        files_max in prop::sample::select(&[3, 4, 64][..]),
        chunk_bytes in 1_u64..200,
        before in vec(any_act(), 0..20),
        ops in vec(any_op(), 1..60),
    ) {
        run(scheme, begin, files_max, chunk_bytes, &before, &ops);
    }
}

#[test]
fn a_log_that_vanishes_is_forgotten_and_recognized_when_it_comes_back() {
    let write = |log| Op::Act(Act::Write(log, 250));
    for is_same in [true, false] {
        for minutes in [1, 9, 25] {
            let vanish = Op::Vanish { log: 1, minutes, is_same, restarts: false };
            let ops = [write(0), write(1), write(2), Op::Act(Act::Rotate(1)), vanish, write(1), write(0)];
            run(Scheme::Generations, Begin::Start, 64, 100, &[], &ops);
        }
    }
}
