//! The positions of a source that follows many logs.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use proptest::prelude::*;

use super::{
    super::{Binlog, BinlogError, BinlogOptions, Commit, Cut, Ledger, segment},
    world::{MEDIUM, SINKS, STATISTICS, frontier, open, rows, schema},
};
use crate::{
    disk::{Disk, SimDisk},
    position::{FileMark, Frontier, OlderFiles},
};

/// Returns a position in a file of each of that many logs.
fn many(offsets: &[u64]) -> Arc<Frontier> {
    let of = |(at, offset): (usize, &u64)| {
        let log: Arc<str> = format!("/var/log/{at}.access.log").into();
        FileMark {
            number: at as u64 + 1,
            path: log.to_string(),
            log: Some(log),
            ..frontier(*offset).files[0].clone()
        }
    };
    Arc::new(Frontier::new(offsets.iter().enumerate().filter(|(_, offset)| **offset > 0).map(of).collect()))
}

/// Commits a batch of each statistic that moves. The ledger moves to `ledger`.
fn commit(
    binlog: &mut Binlog,
    ledger: &Arc<Frontier>,
    moves: [Option<&Arc<Frontier>>; 2],
) -> Result<(), BinlogError> {
    let mut commit =
        Commit { ledger: Ledger { frontier: Arc::clone(ledger), ..Ledger::default() }, ..Commit::default() };
    for (name, to) in STATISTICS.iter().zip(moves) {
        let Some(to) = to else { continue };
        let known = binlog.state().statistics.get(*name);
        let from = known.map_or_else(|| Arc::clone(to), |known| Arc::clone(&known.to));
        let (schema, rows, older) = (schema(name, 1), vec![rows(1, 1, 1)], OlderFiles::default());
        commit.cuts.push(Cut { schema, from, to: Arc::clone(to), rows, older });
    }
    binlog.commit(&commit)
}

fn files(frontier: &Frontier) -> &[FileMark] {
    &frontier.files
}

#[test]
fn a_commit_writes_only_the_logs_that_moved_and_once_for_all_statistics() {
    let disk = SimDisk::new();
    let (mut binlog, _) = open(&disk, BinlogOptions::default()).unwrap();
    let mut offsets = vec![100; 1000];
    let all = many(&offsets);
    commit(&mut binlog, &all, [Some(&all), Some(&all)]).unwrap();
    let whole = all.to_json().len() as u64;
    let before = binlog.bytes();
    assert!((whole..2 * whole).contains(&before), "{before} bytes for a position of {whole}");
    for at in 0..10 {
        offsets[at * 100] += 50;
        let moved = many(&offsets);
        commit(&mut binlog, &moved, [Some(&moved), Some(&moved)]).unwrap();
    }
    let each = (binlog.bytes() - before) / 10;
    assert!(each < 4000, "{each} bytes for a commit in which one log of 1000 moved");
    let batch = binlog.reader().batch(STATISTICS[0], 11).unwrap().unwrap();
    assert!(batch.to.is_number() && batch.to.to_json().len() < 40, "{}", batch.to.to_json());
    assert_eq!(batch.checksum(), binlog.state().statistics[STATISTICS[0]].checksum);
    assert_eq!(files(&binlog.state().statistics[STATISTICS[0]].to), files(&many(&offsets)));
}

#[test]
fn a_few_logs_have_their_whole_positions_in_each_batch() {
    let disk = SimDisk::new();
    let (mut binlog, _) = open(&disk, MEDIUM).unwrap();
    let few = many(&[100; 16]);
    commit(&mut binlog, &few, [Some(&few), None]).unwrap();
    assert_eq!(binlog.reader().batch(STATISTICS[0], 1).unwrap().unwrap().to, few);
}

#[test]
fn a_copy_for_another_source_keeps_batches_and_positions() {
    let disk = SimDisk::new();
    let (mut binlog, _) = open(&disk, MEDIUM).unwrap();
    let positions: Vec<_> = [20, 30, 40].iter().map(|offset| many(&[*offset; 18])).collect();
    commit(&mut binlog, &positions[0], [Some(&positions[0]), None]).unwrap();
    binlog.register_sink(SINKS[0], STATISTICS[0], 0).unwrap();
    commit(&mut binlog, &positions[1], [Some(&positions[1]), Some(&positions[1])]).unwrap();
    commit(&mut binlog, &positions[2], [None, Some(&positions[2])]).unwrap();
    let to: Arc<dyn Disk> = Arc::new(SimDisk::new());
    binlog.copy_for("web2", &to, true).unwrap();
    let (copy, _) = Binlog::open(to, "web2", MEDIUM).unwrap();
    for name in STATISTICS {
        assert_eq!(
            files(&copy.state().statistics[name].to),
            files(&binlog.state().statistics[name].to),
            "{name}"
        );
        for sequence in 1..=2 {
            let (copied, original) = (
                copy.reader().batch(name, sequence).unwrap().unwrap(),
                binlog.reader().batch(name, sequence).unwrap().unwrap(),
            );
            assert_eq!(copied.to.to_json(), original.to.to_json(), "the number is a part of the checksum");
        }
    }
}

/// Positions of many and of few logs, of two statistics, over several small segments.
fn write_script(disk: &SimDisk) -> Binlog {
    let (mut binlog, _) = open(disk, MEDIUM).unwrap();
    let (first, few) = (many(&[10; 17]), many(&[10; 3]));
    let mut offsets = [10; 17];
    offsets[3] = 20;
    let second = many(&offsets);
    (offsets[3], offsets[16]) = (0, 30);
    offsets[0] = 0;
    let third = many(&offsets);
    commit(&mut binlog, &few, [Some(&few), None]).unwrap();
    commit(&mut binlog, &first, [Some(&first), None]).unwrap();
    commit(&mut binlog, &second, [None, Some(&second)]).unwrap();
    commit(&mut binlog, &second, [Some(&second), None]).unwrap();
    let last = many(&[40; 18]);
    commit(&mut binlog, &last, [Some(&third), None]).unwrap();
    binlog
}

fn committed() -> Vec<(String, Vec<u8>)> {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/binlog-v2-logs"));
    let names = (1..).map(segment::name).take_while(|name| directory.join(name).exists());
    names.map(|name| (name.clone(), std::fs::read(directory.join(name)).unwrap())).collect()
}

#[test]
fn positions_of_many_logs_are_written_and_read_as_the_committed_bytes() {
    let disk = SimDisk::new();
    let expected = write_script(&disk).state().clone();
    if let Some(directory) = std::env::var_os("EVS_WRITE_FIXTURE") {
        for name in disk.list().unwrap() {
            std::fs::write(PathBuf::from(&directory).join(&name), disk.contents(&name).unwrap()).unwrap();
        }
    }
    assert_eq!(disk.list().unwrap().len(), committed().len());
    let read = SimDisk::new();
    for (name, bytes) in committed() {
        assert!(disk.contents(&name).unwrap() == bytes, "{name} differs");
        read.set_contents(&name, bytes);
    }
    assert!(committed().len() >= 3, "snapshots with positions are among them");
    let (binlog, recovery) = open(&read, MEDIUM).unwrap();
    assert_eq!((binlog.state(), recovery.torn), (&expected, None));
}

proptest! {
    #[test]
    fn every_position_is_there_after_each_opening(
        steps in prop::collection::vec(
            (
                prop::collection::vec((0_usize..20, 0_u64..5), 0..6),
                prop::option::of(0_usize..3),
                prop::option::of(0_usize..3),
                any::<bool>(),
            ),
            1..25,
        ),
    ) {
        let disk = SimDisk::new();
        let (mut binlog, _) = open(&disk, MEDIUM).unwrap();
        let mut offsets = vec![1; 20];
        let mut past = vec![many(&offsets); 3];
        let mut model: BTreeMap<&str, Arc<Frontier>> = BTreeMap::new();
        for (moves, first, second, is_reopened) in steps {
            for (at, offset) in moves {
                offsets[at] = offset;
            }
            let ledger = many(&offsets);
            past = vec![Arc::clone(&ledger), Arc::clone(&past[0]), Arc::clone(&past[1])];
            let to = [first, second].map(|at| at.map(|at| &past[at]));
            commit(&mut binlog, &ledger, to).unwrap();
            for (name, to) in STATISTICS.iter().zip(to) {
                if let Some(to) = to {
                    model.insert(name, Arc::clone(to));
                }
            }
            if is_reopened {
                let before = binlog.state().clone();
                drop(binlog);
                binlog = open(&disk, MEDIUM).unwrap().0;
                prop_assert_eq!(binlog.state(), &before);
            }
            prop_assert_eq!(files(&binlog.state().ledger.frontier), files(&ledger));
            for (name, to) in &model {
                prop_assert_eq!(files(&binlog.state().statistics[*name].to), files(to));
            }
        }
    }
}
