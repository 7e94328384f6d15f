//! The faults that can happen to a log, one test each. The numbers are those of the list of faults.

#![allow(clippy::unwrap_used, reason = "a test")]

mod tail_support;

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use evs_core::{
    Begin, Frontier, OnChanged, OnGone, OnUnreadable, TailError,
    internals::{
        position::Inventory,
        tail::{ChunkKind, TailEvent, TailOptions, Tailer},
    },
};
use tail_support::{
    GRACE, Log, append, compress, lost, pack, pieces, poll, poll_later, read, set_time, text,
};

fn resume(log: &Log, frontier: &Frontier) -> Result<Tailer, TailError> {
    resume_with(log, frontier, &Inventory::default())
}

fn resume_with(log: &Log, frontier: &Frontier, inventory: &Inventory) -> Result<Tailer, TailError> {
    resume_all(log, std::slice::from_ref(frontier), inventory)
}

fn resume_all(log: &Log, frontiers: &[Frontier], inventory: &Inventory) -> Result<Tailer, TailError> {
    Tailer::resume(log.options(), frontiers, Some(inventory), Instant::now())
}

/// Returns the known files that are not open.
fn inventory(tailer: &mut Tailer) -> Inventory {
    let mut inventory = Inventory::default();
    inventory.apply(&tailer.take_change());
    inventory
}

fn resume_anyway(log: &Log, frontier: &Frontier) -> Result<Tailer, TailError> {
    let options = TailOptions { on_gone: OnGone::Continue, ..log.options() };
    Tailer::resume(options, std::slice::from_ref(frontier), Some(&Inventory::default()), Instant::now())
}

/// Creates a log that was read to its end, and returns it with the frontier there.
fn read_log(text: &str) -> (Log, Frontier) {
    let log = Log::with(text);
    let mut tailer = log.start();
    assert_eq!(read(&mut tailer), text);
    (log, tailer.frontier())
}

fn age(path: &Path, seconds: u64) {
    set_time(path, SystemTime::now() - Duration::from_secs(seconds));
}

// The beginning of a source.

#[test]
fn a_source_begins_where_it_is_told() {
    let log = Log::with("old\n");
    log.rotate(".1");
    log.append("new\nunfinished");
    for (begin, expected) in [(Begin::Oldest, "old\nnew\n"), (Begin::Start, "new\n"), (Begin::End, "")] {
        let options = TailOptions { begin, ..log.options() };
        let mut tailer = Tailer::start(options, Instant::now()).unwrap();
        assert_eq!(read(&mut tailer), expected, "{begin:?}");
        assert!(tailer.is_at_end());
    }
    let options = TailOptions { begin: Begin::End, ..log.options() };
    let mut tailer = Tailer::start(options, Instant::now()).unwrap();
    log.append(" line\n");
    assert_eq!(poll(&mut tailer), "unfinished line\n");
}

#[test]
fn the_log_is_known_before_anything_of_it_is_read() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    assert!(tailer.frontier().files.is_empty());
    let known = inventory(&mut tailer);
    log.rotate(".1");
    compress(&log.sibling(".1"), "gz");
    log.append("two\n");
    assert_eq!(read(&mut resume_with(&log, &Frontier::default(), &known).unwrap()), "one\ntwo\n");
    // If this file were gone, that would be a loss.
    fs::remove_file(log.sibling(".1.gz")).unwrap();
    let mut tailer = resume_with(&log, &Frontier::default(), &known).unwrap();
    match tailer.poll(Instant::now() + 2 * GRACE).and_then(|()| tailer.poll(Instant::now() + 4 * GRACE)) {
        Err(TailError::Gone { number: 0, offset: 0, size: 4, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_that_does_not_exist_is_waited_for() {
    let log = Log::new();
    let mut tailer = log.start();
    assert!(matches!(tailer.take_events()[..], [TailEvent::Waiting { .. }]));
    assert_eq!(poll(&mut tailer), "");
    assert!(tailer.take_events().is_empty(), "it is said once");
    log.append("one\n");
    assert_eq!(poll(&mut tailer), "one\n");
}

#[test]
fn what_comes_while_nobody_waits_for_a_new_log_is_read() {
    let log = Log::new();
    append(&log.sibling(".2"), "of another age\n");
    age(&log.sibling(".2"), 100);
    let mut tailer = log.start();
    let (frontier, known) = (tailer.frontier(), inventory(&mut tailer));
    log.append("one\n");
    log.rotate(".1");
    log.append("two\n");
    assert_eq!(read(&mut resume_with(&log, &frontier, &known).unwrap()), "one\ntwo\n");
}

#[test]
fn d17_what_is_no_regular_file_is_refused() {
    let log = Log::new();
    fs::create_dir(&log.path).unwrap();
    assert!(matches!(Tailer::start(log.options(), Instant::now()), Err(TailError::NotRegular { .. })));
    let device = TailOptions::new("/dev/null");
    assert!(matches!(Tailer::start(device, Instant::now()), Err(TailError::NotRegular { .. })));
}

// Rotation.

#[test]
fn d1_a_renamed_log_is_read_to_its_end_and_then_its_successor() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    assert_eq!(read(&mut tailer), "one\n");
    log.append("two\n");
    log.rotate(".1");
    log.append("three\n");
    assert_eq!(poll(&mut tailer), "two\nthree\n");
    assert_eq!(poll_later(&mut tailer), "");
    assert!(tailer.has_retired());
    assert_eq!(tailer.frontier().files.len(), 2);
    tailer.retire();
    assert_eq!(tailer.frontier().files.len(), 1);
    assert_eq!(tailer.frontier().files[0].number, 2);
}

#[test]
fn d2_late_lines_of_a_renamed_log_are_read_once_also_across_a_restart() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    read(&mut tailer);
    log.rotate(".1");
    log.append("two\n");
    assert_eq!(poll(&mut tailer), "two\n");
    append(&log.sibling(".1"), "late\n");
    assert_eq!(poll(&mut tailer), "late\n");
    let frontier = tailer.frontier();
    append(&log.sibling(".1"), "later\n");
    let mut tailer = resume(&log, &frontier).unwrap();
    assert_eq!(read(&mut tailer), "later\n");
    assert_eq!(poll_later(&mut tailer), "");
}

#[test]
fn d3_logs_that_were_rotated_while_nobody_read_are_read_oldest_first() {
    let log = Log::with("one\n");
    append(&log.sibling(".4"), "older\n");
    let mut tailer = log.start();
    assert_eq!(read(&mut tailer), "one\n");
    let (frontier, known) = (tailer.frontier(), inventory(&mut tailer));
    log.append("two\n");
    log.rotate(".3");
    log.append("three\n");
    log.rotate(".2");
    log.append("four\n");
    log.rotate(".1");
    log.append("five\n");
    assert_eq!(read(&mut resume_with(&log, &frontier, &known).unwrap()), "two\nthree\nfour\nfive\n");
}

#[test]
fn d3_logs_that_were_rotated_between_two_polls_are_read_oldest_first() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    for (generation, line) in [(3, "two\n"), (2, "three\n"), (1, "four\n")] {
        log.rotate(&format!(".{generation}"));
        log.append(line);
    }
    assert_eq!(poll(&mut tailer), "one\ntwo\nthree\nfour\n");
}

#[test]
fn d4_a_compressed_log_is_read_on_at_its_uncompressed_offset() {
    for extension in ["gz", "zst"] {
        let (log, frontier) = read_log("one\n");
        log.append("two\n");
        log.rotate(".2");
        log.append("three\n");
        log.rotate(".1");
        compress(&log.sibling(".1"), extension);
        compress(&log.sibling(".2"), extension);
        let mut tailer = resume(&log, &frontier).unwrap();
        assert_eq!(read(&mut tailer), "two\nthree\n");
        // A compressed file is recognized after a restart as a plain one is.
        let mut tailer = resume(&log, &tailer.frontier()).unwrap();
        assert_eq!(read(&mut tailer), "");
    }
}

#[test]
fn d4_an_incomplete_compressed_file_is_not_used_while_the_plain_one_exists() {
    let (log, frontier) = read_log("one\n");
    log.append("two\n");
    log.rotate(".1");
    let packed = pack(&fs::read(log.sibling(".1")).unwrap(), "gz");
    fs::write(log.sibling(".1.gz"), &packed[..packed.len() - 5]).unwrap();
    assert_eq!(read(&mut resume(&log, &frontier).unwrap()), "two\n");
}

#[test]
fn d4_a_damaged_compressed_file_that_is_needed_is_an_error() {
    for extension in ["gz", "zst"] {
        for (damage, len) in [("cut", 0), ("cut", 9), ("cut", 40), ("empty", usize::MAX)] {
            let (log, frontier) = read_log("one\n");
            log.append(&"two\n".repeat(100));
            log.rotate(".1");
            let path = compress(&log.sibling(".1"), extension);
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len().saturating_sub(len.max(1))]).unwrap();
            let error = resume(&log, &frontier).map(drop).unwrap_err();
            let is_named = matches!(&error, TailError::Damaged { path: named, .. } if *named == path);
            assert!(is_named, "{damage} {len} {extension}: {error}");
        }
    }
}

#[test]
fn a_damaged_compressed_file_that_is_not_needed_does_no_harm() {
    let (log, frontier) = read_log("one\n");
    fs::write(log.sibling(".9.gz"), b"not gzip").unwrap();
    log.append("two\n");
    assert_eq!(read(&mut resume(&log, &frontier).unwrap()), "two\n");
}

#[test]
fn d5_a_file_that_is_gone_with_unread_bytes_is_an_error_or_a_counted_loss() {
    let log = Log::with("one\ntwo\n");
    let options = TailOptions { chunk_bytes: 4, ..log.options() };
    let mut tailer = Tailer::start(options, Instant::now()).unwrap();
    tailer.next_chunk().unwrap();
    let frontier = tailer.frontier();
    fs::remove_file(&log.path).unwrap();
    // Another file takes the inode, so that the new log gets a different one.
    File::create(log.directory.path().join("other")).unwrap();
    log.append("three\n");
    match resume(&log, &frontier).map(drop) {
        Err(TailError::Gone { number: 1, offset: 4, size: 8, .. }) => {}
        other => panic!("{other:?}"),
    }
    let mut tailer = resume_anyway(&log, &frontier).unwrap();
    assert_eq!(lost(&mut tailer), 4);
    assert_eq!(read(&mut tailer), "three\n");
}

#[test]
fn d5_a_finished_file_may_be_gone() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    log.rotate(".1");
    log.append("two\n");
    assert_eq!(poll(&mut tailer), "one\ntwo\n");
    let frontier = tailer.frontier();
    fs::remove_file(log.sibling(".1")).unwrap();
    let mut tailer = resume(&log, &frontier).unwrap();
    assert!(tailer.take_events().iter().any(|event| matches!(event, TailEvent::Gone { lost: 0, .. })));
    assert_eq!(read(&mut tailer), "");
    tailer.retire();
    assert_eq!(tailer.frontier().files.len(), 1);
}

#[test]
fn d6_a_truncated_log_that_was_read_is_read_from_its_beginning_without_loss() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    read(&mut tailer);
    log.truncate();
    assert_eq!(poll(&mut tailer), "");
    assert_eq!(lost(&mut tailer), 0);
    log.append("two\n");
    assert_eq!(poll(&mut tailer), "two\n");
    assert_eq!(tailer.frontier().files[1].number, 2);
}

#[test]
fn d6_a_log_that_was_truncated_while_nobody_read_stops_unless_there_is_a_copy() {
    let (log, frontier) = read_log("first line\n");
    log.truncate();
    log.append("two\n");
    // Nobody knows what was written before the truncation.
    match resume(&log, &frontier).map(drop) {
        Err(TailError::Gone { number: 1, offset: 11, size: 11, .. }) => {}
        other => panic!("{other:?}"),
    }
    let mut tailer = resume_anyway(&log, &frontier).unwrap();
    assert!(tailer.take_events().iter().any(|event| matches!(event, TailEvent::Gone { lost: 0, .. })));
    assert_eq!(read(&mut tailer), "two\n");
    fs::write(log.sibling(".1"), "first line\n").unwrap();
    assert_eq!(read(&mut resume(&log, &frontier).unwrap()), "two\n");
}

#[test]
fn d7_unread_lines_of_a_truncated_log_are_read_from_its_copy() {
    for extension in [None, Some("gz")] {
        let log = Log::with("one\n");
        let mut tailer = log.start();
        read(&mut tailer);
        let frontier = tailer.frontier();
        log.append("two\n");
        log.copy_truncate(".1");
        if let Some(extension) = extension {
            compress(&log.sibling(".1"), extension);
        }
        log.append("three\n");
        assert_eq!(poll(&mut tailer), "two\nthree\n");
        assert_eq!(lost(&mut tailer), 0);
        assert_eq!(read(&mut resume(&log, &frontier).unwrap()), "two\nthree\n");
    }
}

#[test]
fn d7_unread_lines_of_a_truncated_log_without_a_copy_are_counted_as_lost() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    read(&mut tailer);
    log.append("two\n");
    tailer.poll(Instant::now()).unwrap();
    log.truncate();
    assert_eq!(poll(&mut tailer), "");
    assert_eq!(lost(&mut tailer), 4);
    log.append("three\n");
    assert_eq!(poll(&mut tailer), "three\n");
}

#[test]
fn d7_an_unread_log_that_was_truncated_without_a_copy_is_lost_once() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    log.truncate();
    log.append("two\n");
    assert_eq!(poll(&mut tailer), "two\n");
    let known = inventory(&mut tailer);
    assert_eq!(lost(&mut tailer), 4);
    assert_eq!(poll_later(&mut tailer), "");
    let mut tailer = resume_with(&log, &tailer.frontier(), &known).unwrap();
    tailer.poll(Instant::now() + 2 * GRACE).unwrap();
    tailer.poll(Instant::now() + 4 * GRACE).unwrap();
}

#[test]
fn d7_a_log_that_was_filled_copied_and_truncated_since_it_was_empty_is_read_from_its_copy() {
    let log = Log::new();
    File::create(&log.path).unwrap();
    age(&log.path, 100);
    let mut tailer = log.start();
    let frontier = tailer.frontier();
    log.append("one\n");
    log.copy_truncate(".1");
    log.append("two\n");
    assert_eq!(poll(&mut tailer), "one\ntwo\n");
    assert_eq!(read(&mut resume(&log, &frontier).unwrap()), "one\ntwo\n");
}

#[test]
fn d7_a_statistic_that_was_behind_finds_its_lines_in_a_copy_that_lacks_the_last_ones() {
    for extension in [None, Some("gz")] {
        let log = Log::with("one\n");
        let mut tailer = log.start();
        read(&mut tailer);
        let behind = tailer.frontier();
        log.append("two\n");
        fs::copy(&log.path, log.sibling(".1")).unwrap();
        log.append("three\n");
        assert_eq!(poll(&mut tailer), "two\nthree\n");
        log.truncate();
        assert_eq!(poll(&mut tailer), "");
        let (frontier, known) = (tailer.frontier(), inventory(&mut tailer));
        if let Some(extension) = extension {
            compress(&log.sibling(".1"), extension);
        }
        let frontiers = [behind.clone(), frontier.clone()];
        let mut tailer = resume_all(&log, &frontiers, &known).unwrap();
        assert_eq!(read(&mut tailer), "two\n");
        assert_eq!(lost(&mut tailer), 6);
        // The statistic that had read more than the copy has all lines already.
        assert_eq!(read(&mut resume_with(&log, &frontier, &known).unwrap()), "");
        // Without the inventory, nothing tells the copy from another log that begins in the same way.
        assert!(matches!(resume_all(&log, &frontiers, &Inventory::default()), Err(TailError::Gone { .. })));
    }
}

#[test]
fn d8_a_log_that_was_truncated_and_refilled_beyond_the_offset_is_noticed() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    read(&mut tailer);
    log.truncate();
    log.append("another one\nand more\n");
    assert_eq!(poll(&mut tailer), "another one\nand more\n");
    let kinds: Vec<_> = tailer.take_events();
    assert!(kinds.iter().any(|event| matches!(event, TailEvent::Truncated { lost: 0, .. })), "{kinds:?}");
}

#[test]
fn d8_a_worker_notices_that_its_range_is_no_longer_there() {
    for refill in ["", "other\nlines\n"] {
        let log = Log::with("one\ntwo\n");
        let mut tailer = log.start();
        let chunk = tailer.next_chunk().unwrap().unwrap();
        log.truncate();
        log.append(refill);
        let result = chunk.read(&mut Vec::new()).map(<[u8]>::to_vec);
        assert!(matches!(result, Err(TailError::Shrunk { start: 0, end: 8, .. })), "{result:?}");
    }
}

#[test]
fn d9_a_log_that_was_recreated_with_the_same_inode_is_another_one() {
    let (log, frontier) = read_log("first\n");
    let inode = fs::metadata(&log.path).unwrap().ino();
    // Many file systems give the inode to the next file. On the others this test proves less.
    fs::remove_file(&log.path).unwrap();
    log.append("other\nlines\n");
    let is_reused = fs::metadata(&log.path).unwrap().ino() == inode;
    let mut tailer = resume_anyway(&log, &frontier).unwrap();
    assert_eq!(read(&mut tailer), "other\nlines\n", "inode reused: {is_reused}");
}

#[test]
fn d10_a_log_with_the_same_head_but_other_lines_behind_it_is_not_read_on() {
    let head = "# the same header\n".repeat(100);
    let (log, frontier) = read_log(&format!("{head}one\n"));
    log.truncate();
    log.append(&format!("{head}two\nthree\n"));
    match resume_anyway(&log, &frontier).map(drop) {
        Err(TailError::Changed { offset, .. }) => assert_eq!(offset, head.len() as u64 + 4),
        other => panic!("{other:?}"),
    }
}

#[test]
fn d10_a_log_with_the_same_head_is_told_from_the_one_that_was_rotated() {
    let head = "# the same header\n".repeat(100);
    let (log, frontier) = read_log(&format!("{head}one\n"));
    log.append("two\n");
    log.rotate(".1");
    log.append(&format!("{head}three\nfour\n"));
    assert_eq!(read(&mut resume(&log, &frontier).unwrap()), format!("two\n{head}three\nfour\n"));
}

#[test]
fn e21_identical_lines_in_all_files_are_each_read_once() {
    let lines = |name: &str, count: usize| format!("{name}\n{}", "same\n".repeat(count));
    let log = Log::with(&lines("a", 3));
    let mut tailer = log.start();
    read(&mut tailer);
    log.rotate(".2");
    log.append(&lines("b", 5));
    tailer.poll(Instant::now()).unwrap();
    tailer.next_chunk().unwrap();
    let (frontier, known) = (tailer.frontier(), inventory(&mut tailer));
    log.append(&"same\n".repeat(2));
    log.rotate(".1");
    log.append(&lines("c", 7));
    let rest = format!("same\nsame\n{}", lines("c", 7));
    assert_eq!(read(&mut resume_with(&log, &frontier, &known).unwrap()), rest);
    // This is also true if no inode is the same as before.
    for generation in [".1", ".2"] {
        compress(&log.sibling(generation), "gz");
    }
    assert_eq!(read(&mut resume_with(&log, &frontier, &known).unwrap()), rest);
}

#[test]
fn files_with_the_same_bytes_are_read_once() {
    let log = Log::with("one\n");
    let options = TailOptions { begin: Begin::Oldest, ..log.options() };
    fs::copy(&log.path, log.sibling(".1")).unwrap();
    fs::hard_link(&log.path, log.sibling(".2")).unwrap();
    fs::write(log.sibling(".3.gz"), pack(b"one\n", "gz")).unwrap();
    let mut tailer = Tailer::start(options, Instant::now()).unwrap();
    assert_eq!(read(&mut tailer), "one\n");
    assert_eq!(poll(&mut tailer), "");
    assert!(tailer.check_end(Instant::now()).unwrap());
    // A file that begins with these bytes and then differs from the log is another file.
    log.append("two\n");
    fs::write(log.sibling(".4"), "one\nthree\n").unwrap();
    let text = poll(&mut tailer);
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "three", "two"], "the first one was read before");
}

#[test]
fn a_finished_file_that_grows_is_read_on_where_it_ended() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    log.rotate(".1");
    log.append("two\n");
    poll(&mut tailer);
    assert_eq!(poll_later(&mut tailer), "");
    tailer.retire();
    let (frontier, known) = (tailer.frontier(), inventory(&mut tailer));
    assert_eq!(frontier.files.len(), 1);
    append(&log.sibling(".1"), "late\n");
    assert_eq!(read(&mut resume_with(&log, &frontier, &known).unwrap()), "late\n");
    compress(&log.sibling(".1"), "gz");
    let mut tailer = resume_with(&log, &frontier, &known).unwrap();
    assert_eq!(read(&mut tailer), "late\n");
    let mark = tailer.frontier().files[1].clone();
    assert_eq!((mark.number, mark.start, mark.offset), (3, 4, 9));
}

#[test]
fn files_of_any_compressor_are_read_or_named() {
    let (xz, bz2) = (include_bytes!("fixtures/log/one.xz"), include_bytes!("fixtures/log/one.bz2"));
    for (name, bytes) in [(".1.xz", &xz[..]), (".1.bz2", &bz2[..]), (".1.gz", &pack(b"one\n", "gz"))] {
        let log = Log::with("two\n");
        fs::write(log.sibling(name), bytes).unwrap();
        let options = TailOptions { begin: Begin::Oldest, ..log.options() };
        assert_eq!(read(&mut Tailer::start(options, Instant::now()).unwrap()), "one\ntwo\n", "{name}");
    }
    let log = Log::with("two\n");
    fs::write(log.sibling(".1.lz4"), b"\x04\x22\x4d\x18 and more").unwrap();
    let options = TailOptions { begin: Begin::Oldest, ..log.options() };
    let mut tailer = Tailer::start(options.clone(), Instant::now()).unwrap();
    assert_eq!(read(&mut tailer), "two\n");
    assert!(!tailer.check_end(Instant::now()).unwrap());
    match tailer.poll(Instant::now() + 2 * GRACE) {
        Err(TailError::Damaged { path, .. }) => assert_eq!(path, log.sibling(".1.lz4")),
        other => panic!("{other:?}"),
    }
    let options = TailOptions { on_unreadable: OnUnreadable::Skip, ..options };
    let mut tailer = Tailer::start(options, Instant::now()).unwrap();
    assert_eq!(poll_later(&mut tailer), "two\n");
    assert_eq!(lost(&mut tailer), 13);
    assert!(tailer.check_end(Instant::now() + 3 * GRACE).unwrap());
}

#[test]
fn a_changed_file_is_read_again_or_skipped_if_the_user_says_so() {
    for (on_changed, expected) in [(OnChanged::ReadAgain, 2020), (OnChanged::Skip, 0)] {
        let (log, frontier) = read_log(&"some line\n".repeat(300));
        File::options().write(true).open(&log.path).unwrap().set_len(2000).unwrap();
        log.append("after the power cut\n");
        let options = TailOptions { on_changed, ..log.options() };
        let mut tailer =
            Tailer::resume(options, &[frontier], Some(&Inventory::default()), Instant::now()).unwrap();
        assert!(tailer.take_events().iter().any(TailEvent::is_loss));
        assert_eq!(read(&mut tailer).len(), expected, "{on_changed:?}");
        log.append("more\n");
        assert_eq!(poll(&mut tailer), "more\n");
    }
}

#[test]
fn a_log_whose_files_are_named_by_their_time_is_followed_from_one_to_the_next() {
    let log = Log::new();
    let file = |day: u32| log.directory.path().join(format!("access.2026-11-{day}.log"));
    for (day, text) in [(26, "one\n"), (27, "two\n")] {
        append(&file(day), text);
    }
    let path = log.directory.path().join("access.%Y-%m-%d.log");
    let options = TailOptions { grace: GRACE, ..TailOptions::new(path) };
    let mut tailer = Tailer::start(options.clone(), Instant::now()).unwrap();
    assert_eq!(read(&mut tailer), "two\n");
    let (frontier, known) = (tailer.frontier(), inventory(&mut tailer));
    append(&file(27), "three\n");
    append(&file(28), "four\n");
    assert_eq!(poll(&mut tailer), "three\nfour\n");
    append(&file(27), "late\n");
    assert_eq!(poll(&mut tailer), "late\n");
    let mut tailer = Tailer::resume(options, &[frontier], Some(&known), Instant::now()).unwrap();
    assert_eq!(read(&mut tailer), "three\nlate\nfour\n");
}

#[test]
fn the_backlog_has_all_files_that_are_not_read() {
    let log = Log::with("live\n");
    append(&log.sibling(".1"), "one\n");
    append(&log.sibling(".2"), "two and more\n");
    let options = TailOptions { begin: Begin::Oldest, ..log.options() };
    let mut tailer = Tailer::start(options.clone(), Instant::now()).unwrap();
    let backlog = tailer.backlog();
    assert_eq!((backlog.bytes, backlog.files, backlog.is_estimated), (5 + 4 + 13, 3, false));
    tailer.next_chunk().unwrap();
    assert_eq!((tailer.backlog().bytes, tailer.backlog().files), (5 + 4, 2));
    read(&mut tailer);
    assert_eq!((tailer.backlog().bytes, tailer.backlog().files), (0, 0));
    // The length of a compressed file is in its last bytes, if it has only one member.
    compress(&log.sibling(".2"), "gz");
    let backlog = Tailer::start(options, Instant::now()).unwrap().backlog();
    assert_eq!((backlog.files, backlog.is_estimated), (3, true));
    assert!(backlog.bytes >= 5 + 4 + 13, "{backlog:?}");
}

#[test]
fn without_an_inventory_older_files_are_taken_for_read() {
    let log = Log::with("one\n");
    append(&log.sibling(".1"), "older\n");
    let mut tailer = log.start();
    read(&mut tailer);
    let frontier = tailer.frontier();
    fs::rename(log.sibling(".1"), log.sibling(".2")).unwrap();
    log.append("two\n");
    log.rotate(".1");
    log.append("three\n");
    let mut tailer = Tailer::resume(log.options(), &[frontier], None, Instant::now()).unwrap();
    assert!(tailer.take_events().iter().any(|event| matches!(event, TailEvent::Presumed { files: 1, .. })));
    assert_eq!(read(&mut tailer), "two\nthree\n");
}

#[test]
fn d11_a_link_that_is_set_to_another_file_is_followed_when_the_old_one_is_read() {
    let log = Log::new();
    let file = |day: &str| log.directory.path().join(format!("log.2026-11-{day}"));
    append(&file("20"), "one\n");
    symlink(file("20"), &log.path).unwrap();
    let mut tailer = log.start();
    read(&mut tailer);
    let frontier = tailer.frontier();
    append(&file("20"), "two\n");
    append(&file("21"), "three\n");
    append(&file("22"), "four\n");
    fs::remove_file(&log.path).unwrap();
    symlink(file("22"), &log.path).unwrap();
    assert_eq!(poll(&mut tailer), "two\nthree\nfour\n");
    // Fault D15: an old file grows again.
    append(&file("20"), "late\n");
    assert_eq!(poll(&mut tailer), "late\n");
    assert_eq!(read(&mut resume(&log, &frontier).unwrap()), "two\nlate\nthree\nfour\n");
}

#[test]
fn d12_a_hard_link_is_not_read_twice() {
    let log = Log::with("one\n");
    fs::hard_link(&log.path, log.sibling(".1")).unwrap();
    let options = TailOptions { begin: Begin::Oldest, ..log.options() };
    assert_eq!(read(&mut Tailer::start(options, Instant::now()).unwrap()), "one\n");
}

#[test]
fn d13_bytes_that_vanish_before_they_are_read_are_counted() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    read(&mut tailer);
    log.append("two\nthree\n");
    tailer.poll(Instant::now()).unwrap();
    assert_eq!(tailer.backlog().bytes, 10);
    File::options().write(true).open(&log.path).unwrap().set_len(8).unwrap();
    assert_eq!(poll(&mut tailer), "two\n");
    assert_eq!(lost(&mut tailer), 6);
}

#[test]
fn b2_a_log_that_is_shorter_than_what_was_read_stops_the_source() {
    let (log, frontier) = read_log(&"some line\n".repeat(300));
    File::options().write(true).open(&log.path).unwrap().set_len(2000).unwrap();
    log.append("after the power cut\n");
    for result in [resume(&log, &frontier), resume_anyway(&log, &frontier)] {
        assert!(matches!(result.map(drop), Err(TailError::Changed { size: 2020, .. })));
    }
}

#[test]
fn d14_a_deleted_log_is_read_to_its_end_and_waited_for() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    read(&mut tailer);
    log.append("two\n");
    fs::remove_file(&log.path).unwrap();
    assert_eq!(poll(&mut tailer), "two\n");
    assert!(tailer.take_events().iter().any(|event| matches!(event, TailEvent::Waiting { .. })));
    log.append("three\n");
    assert_eq!(poll(&mut tailer), "three\n");
    assert_eq!(lost(&mut tailer), 0);
}

#[test]
fn d18_many_rotated_files_are_read_with_few_open() {
    let log = Log::new();
    let mut expected = String::new();
    for generation in (1..100).rev() {
        let line = format!("{generation:03}");
        append(&log.sibling(&format!(".{generation}")), &line);
        expected += &line;
    }
    log.append("live\n");
    let options = TailOptions { begin: Begin::Oldest, ..log.options() };
    let mut tailer = Tailer::start(options, Instant::now()).unwrap();
    let mut got = String::new();
    let mut polls = 0;
    let mut now = Instant::now();
    while !tailer.is_at_end() {
        now += 2 * GRACE;
        tailer.poll(now).unwrap();
        got += &read(&mut tailer);
        assert!(tailer.handles().len() <= 64);
        tailer.retire();
        polls += 1;
        assert!(polls < 1000);
    }
    assert_eq!(got.replace("live\n", ""), expected, "oldest first, each without LF");
}

#[test]
fn d19_the_old_file_is_watched_while_the_new_one_is_empty() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    read(&mut tailer);
    log.rotate(".1");
    assert_eq!(poll_later(&mut tailer), "");
    assert!(!tailer.has_retired());
    append(&log.sibling(".1"), "late\n");
    assert_eq!(poll_later(&mut tailer), "late\n");
}

#[test]
fn d20_a_log_that_was_restored_from_a_backup_is_known_by_its_bytes() {
    let (log, frontier) = read_log("one\n");
    let copy = log.directory.path().join("backup");
    fs::copy(&log.path, &copy).unwrap();
    fs::remove_file(&log.path).unwrap();
    fs::rename(&copy, &log.path).unwrap();
    log.append("two\n");
    assert_eq!(read(&mut resume(&log, &frontier).unwrap()), "two\n");
}

#[test]
fn a_file_that_grows_after_it_was_finished_is_read_on_until_it_is_retired() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    log.rotate(".1");
    log.append("two\n");
    poll(&mut tailer);
    assert_eq!(poll_later(&mut tailer), "");
    assert!(tailer.has_retired());
    append(&log.sibling(".1"), "late\n");
    assert_eq!(poll(&mut tailer), "late\n");
    assert!(!tailer.has_retired());
}

// Lines.

#[test]
fn e1_an_unfinished_line_waits_for_its_end_at_any_block_boundary() {
    for chunk_bytes in 1..20 {
        let log = Log::with("first\nsecond\nthi");
        let options = TailOptions { chunk_bytes, ..log.options() };
        let mut tailer = Tailer::start(options.clone(), Instant::now()).unwrap();
        assert_eq!(read(&mut tailer), "first\nsecond\n");
        assert!(tailer.is_at_end());
        let frontier = tailer.frontier();
        log.append("rd");
        assert_eq!(poll(&mut tailer), "");
        let mut resumed =
            Tailer::resume(options, &[frontier], Some(&Inventory::default()), Instant::now()).unwrap();
        log.append("\nfour");
        assert_eq!(poll(&mut tailer), "third\n");
        assert_eq!(poll(&mut resumed), "third\n");
    }
}

#[test]
fn e2_a_rotated_file_without_a_last_newline_has_a_last_line_after_the_grace_time() {
    let log = Log::with("one\ntwo");
    let mut tailer = log.start();
    log.rotate(".1");
    log.append("three\n");
    assert_eq!(poll(&mut tailer), "one\nthree\n");
    tailer.poll(Instant::now() + 2 * GRACE).unwrap();
    let last = pieces(&mut tailer).unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!((last[0].kind, &last[0].bytes[..]), (ChunkKind::Final, &b"two"[..]));
    let mut resumed = resume(&log, &tailer.frontier()).unwrap();
    assert_eq!(poll_later(&mut resumed), "", "it is taken once");
}

#[test]
fn e6_a_line_over_the_limit_is_one_range_of_which_little_is_read() {
    let log = Log::with("before\n");
    let long = "x".repeat(64 << 20);
    log.append(&long[..40 << 20]);
    let mut tailer = log.start();
    assert_eq!(read(&mut tailer), "before\n");
    log.append(&long[40 << 20..]);
    log.append("\nafter\n");
    tailer.poll(Instant::now()).unwrap();
    let mut buffer = Vec::new();
    let chunk = tailer.next_chunk().unwrap().unwrap();
    assert_eq!((chunk.kind, chunk.end - chunk.start), (ChunkKind::Oversized, (64 << 20) + 1));
    assert_eq!(chunk.read(&mut buffer).unwrap(), "x".repeat(4096).as_bytes());
    assert!(buffer.capacity() < 64 << 10);
    assert_eq!(read(&mut tailer), "after\n");
}

#[test]
fn h8_a_compressed_line_over_the_limit_is_not_held_in_memory() {
    for extension in ["gz", "zst"] {
        let log = Log::new();
        let lines = format!("before\n{}\nafter\n", "x".repeat(4 << 20));
        fs::write(log.sibling(&format!(".1.{extension}")), pack(lines.as_bytes(), extension)).unwrap();
        log.append("live\n");
        let options = TailOptions { begin: Begin::Oldest, ..log.options() };
        let mut tailer = Tailer::start(options, Instant::now()).unwrap();
        let pieces = pieces(&mut tailer).unwrap();
        let kinds: Vec<_> = pieces.iter().map(|piece| (piece.kind, piece.end - piece.start)).collect();
        let expected = [
            (ChunkKind::Lines, 7),
            (ChunkKind::Oversized, (4 << 20) + 1),
            (ChunkKind::Lines, 6),
            (ChunkKind::Lines, 5),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(pieces[1].bytes.len(), 4096);
    }
}

#[test]
fn a_line_of_the_limit_is_whole_and_one_byte_more_is_too_long() {
    for (len, kind) in [(99, ChunkKind::Lines), (100, ChunkKind::Oversized)] {
        let log = Log::with(&format!("{}\nnext\n", "x".repeat(len)));
        log.rotate(".2");
        log.append(&fs::read_to_string(log.sibling(".2")).unwrap().replace('x', "y"));
        compress(&log.sibling(".2"), "gz");
        let options = TailOptions { begin: Begin::Oldest, line_bytes_max: 100, ..log.options() };
        let mut tailer = Tailer::start(options, Instant::now()).unwrap();
        let pieces = pieces(&mut tailer).unwrap();
        let got: Vec<_> = pieces.iter().map(|piece| piece.kind).collect();
        assert_eq!(got, [kind, ChunkKind::Lines, kind, ChunkKind::Lines], "{len}");
    }
}

// Several statistics.

#[test]
fn no_range_spans_an_offset_that_a_statistic_has_committed() {
    for extension in [None, Some("zst")] {
        let log = Log::with(&"0123456\n".repeat(10));
        let options = TailOptions { chunk_bytes: 16, ..log.options() };
        let mut tailer = Tailer::start(options, Instant::now()).unwrap();
        let mut frontiers = vec![tailer.frontier()];
        tailer.next_chunk().unwrap();
        frontiers.push(tailer.frontier());
        tailer.next_chunk().unwrap();
        tailer.next_chunk().unwrap();
        frontiers.push(tailer.frontier());
        if let Some(extension) = extension {
            log.rotate(".1");
            compress(&log.sibling(".1"), extension);
        }
        let mut tailer =
            Tailer::resume(log.options(), &frontiers, Some(&Inventory::default()), Instant::now()).unwrap();
        let ranges: Vec<_> =
            pieces(&mut tailer).unwrap().iter().map(|piece| (piece.start, piece.end)).collect();
        assert_eq!(ranges, [(0, 16), (16, 48), (48, 80)]);
    }
}

#[test]
fn a_file_that_is_needed_but_in_no_frontier_is_an_error() {
    let (log, mut frontier) = read_log("one\n");
    let behind = frontier.clone();
    frontier.files[0].number = 3;
    let result =
        Tailer::resume(log.options(), &[behind, frontier], Some(&Inventory::default()), Instant::now());
    assert!(matches!(result.map(drop), Err(TailError::Forgotten { number: 2 })));
}

#[test]
fn handles_can_be_synced() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    read(&mut tailer);
    assert_eq!(tailer.handles().len(), 1);
    tailer.handles()[0].sync().unwrap();
}

#[test]
fn pieces_are_what_was_written() {
    let lines: String = (0..5000).map(|number| format!("line {number}\n")).collect();
    for chunk_bytes in [1, 7, 4096, 1 << 20] {
        let log = Log::with(&lines);
        let options = TailOptions { chunk_bytes, ..log.options() };
        let mut tailer = Tailer::start(options, Instant::now()).unwrap();
        let pieces = pieces(&mut tailer).unwrap();
        assert_eq!(text(&pieces), lines);
        assert!(pieces.iter().all(|piece| piece.kind == ChunkKind::Lines));
    }
}
