//! The start of a source: where it begins, and logs that do not exist or cannot be read yet.

use super::*;

/// All files begin with the same line, and the live one has no other yet.
#[test]
fn a_file_that_is_older_than_the_source_is_not_taken_for_a_longer_live_one() {
    for begin in [Begin::Start, Begin::End] {
        let log = Log::with("# header\n");
        fs::write(log.sibling(".1"), "# header\nold\n").unwrap();
        let mut tailer = Tailer::start(TailOptions { begin, ..log.options() }, Instant::now()).unwrap();
        let header = if begin == Begin::Start { "# header\n" } else { "" };
        assert_eq!(read(&mut tailer), header, "{begin:?}");
        log.append("new\n");
        assert_eq!(poll(&mut tailer), "new\n", "{begin:?}");
    }
}

#[test]
fn a_file_that_is_presumed_read_is_not_taken_for_a_longer_open_one() {
    let log = Log::with("# header\nold\n");
    let mut tailer = log.start();
    read(&mut tailer);
    log.rotate(".1");
    log.append("# header\n");
    poll(&mut tailer);
    assert_eq!(poll_later(&mut tailer), "");
    tailer.retire();
    let frontier = tailer.frontier();
    let mut tailer = Tailer::resume(log.options(), &[frontier], None, Instant::now()).unwrap();
    assert_eq!(read(&mut tailer), "");
    log.append("new\n");
    assert_eq!(poll(&mut tailer), "new\n");
}

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
