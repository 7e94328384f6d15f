//! Rotation by renaming, removing and linking files.

use super::*;

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
        assert!(tailer.handles().len() <= 128);
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
