//! Logs that are truncated or get shorter, with and without a copy.

use super::*;

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

/// Somebody has begun to decompress the copy.
#[test]
fn d7_a_copy_is_found_although_its_unfinished_plain_form_hides_it() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    read(&mut tailer);
    log.append("two\n");
    log.copy_truncate(".1");
    compress(&log.sibling(".1"), "gz");
    fs::write(log.sibling(".1"), "").unwrap();
    log.append("three\n");
    assert_eq!(poll(&mut tailer), "two\nthree\n");
    assert_eq!(lost(&mut tailer), 0);
    fs::remove_file(log.sibling(".1.gz")).unwrap();
    fs::write(log.sibling(".1"), "one\ntwo\n").unwrap();
    assert_eq!(poll(&mut tailer), "");
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
