//! The identity of files: the same bytes under other names and inodes, and other bytes under the same ones.

use super::*;

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

/// The file that is there is another one of the position, and not the changed form of the one that is gone.
#[test]
fn d10_a_log_with_the_same_head_is_not_taken_for_one_that_is_gone() {
    let head = "# the same header\n".repeat(100);
    let log = Log::with(&format!("{head}one\n"));
    let mut tailer = log.start();
    read(&mut tailer);
    log.rotate(".1");
    log.append(&format!("{head}two\n"));
    poll(&mut tailer);
    append(&log.sibling(".1"), "late\n");
    tailer.poll(Instant::now()).unwrap();
    let frontier = tailer.frontier();
    fs::remove_file(log.sibling(".1")).unwrap();
    log.append("three\n");
    let stopped = resume(&log, &frontier).map(drop);
    assert!(matches!(stopped, Err(TailError::Gone { number: 1, .. })), "{stopped:?}");
    let mut tailer = resume_anyway(&log, &frontier).unwrap();
    assert_eq!((read(&mut tailer).as_str(), lost(&mut tailer)), ("three\n", 5));
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

/// The logs of CloudFront all begin with the same header. Of the last one only that was read when the logs and the state went
/// to another machine, where no inode is the same.
#[test]
fn files_with_one_header_are_each_read_once_on_another_machine() {
    let header = "#Fields: a b\n";
    let log = Log::with(&format!("{header}one\nanother\n"));
    let mut tailer = log.start();
    read(&mut tailer);
    log.rotate(".2");
    log.append(header);
    assert_eq!(poll(&mut tailer), header);
    assert_eq!(poll_later(&mut tailer), "");
    tailer.retire();
    let (frontier, known) = (tailer.frontier(), inventory(&mut tailer));
    drop(tailer);
    // It is compressed, and known by its content alone.
    compress(&log.sibling(".2"), "gz");
    let moved = |name: &Path| {
        let copy = log.sibling(".copy");
        fs::copy(name, &copy).unwrap();
        fs::rename(&copy, name).unwrap();
    };
    moved(&log.path);
    assert_eq!(read(&mut resume_with(&log, &frontier, &known).unwrap()), "");
    log.append("two\n");
    assert_eq!(read(&mut resume_with(&log, &frontier, &known).unwrap()), "two\n");
    // By now there is another one, too.
    log.rotate(".1");
    log.append(&format!("{header}three\n"));
    moved(&log.path);
    let mut lines: Vec<_> =
        read(&mut resume_with(&log, &frontier, &known).unwrap()).lines().map(str::to_owned).collect();
    lines.sort_unstable();
    assert_eq!(lines, [header.trim_end(), "three", "two"]);
}

/// Of the first file only the header was written, and the second begins with it, too. Both are open when it is compressed.
#[test]
fn a_file_that_begins_like_two_open_ones_is_the_one_with_more_in_common() {
    let header = "#Fields: a b\n";
    let log = Log::with(header);
    let mut tailer = log.start();
    assert_eq!(read(&mut tailer), header);
    log.rotate(".2");
    log.append(&format!("{header}one\n"));
    assert_eq!(poll(&mut tailer), format!("{header}one\n"));
    log.rotate(".1");
    log.append("other\n");
    assert_eq!(poll(&mut tailer), "other\n");
    compress(&log.sibling(".1"), "gz");
    assert_eq!(poll(&mut tailer), "");
    assert_eq!(poll_later(&mut tailer), "");
}

/// A file that is older than the source has only a header, and is still there. So another one is not this one with late lines.
#[test]
fn a_file_that_begins_like_an_older_one_with_only_a_header_is_read() {
    let header = "#Fields: a b\n";
    let log = Log::with("one\n");
    append(&log.sibling(".3"), header);
    let mut tailer = log.start();
    assert_eq!(read(&mut tailer), "one\n");
    append(&log.sibling(".1"), &format!("{header}two\n"));
    assert_eq!(poll(&mut tailer), format!("{header}two\n"));
    append(&log.sibling(".3"), "late and older than the source\n");
    assert_eq!(poll(&mut tailer), "");
}

/// One statistic is done with the first file, and another one is not. Both need the lines of a file that begins like it.
#[test]
fn a_longer_version_of_a_file_that_was_read_has_its_own_number() {
    let header = "#Fields: a b\n";
    let log = Log::with(header);
    let mut tailer = log.start();
    read(&mut tailer);
    log.rotate(".2");
    log.append("one\n");
    assert_eq!(poll(&mut tailer), "one\n");
    let (behind, known) = (tailer.frontier(), inventory(&mut tailer));
    let mut ahead = behind.clone();
    ahead.files.remove(0);
    let mut tailer = resume_all(&log, &[ahead.clone(), behind], &known).unwrap();
    append(&log.sibling(".1"), &format!("{header}two\n"));
    tailer.poll(Instant::now()).unwrap();
    let chunk = tailer.next_chunk().unwrap().unwrap();
    assert!(!ahead.covers(chunk.number, chunk.end), "{chunk:?}");
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

/// Here all files begin with the same line.
#[test]
fn a_finished_file_that_begins_like_the_live_one_is_not_taken_for_it() {
    for (is_truncated, late, is_packed) in [
        (false, "", true),
        (false, "late\n", false),
        (false, "late\n", true),
        (true, "", true),
        (true, "late\n", false),
        (true, "late\n", true),
    ] {
        let log = Log::with("# header\none\ntwo\n");
        let mut tailer = log.start();
        log.rotate(".1");
        log.append("# header\n");
        poll(&mut tailer);
        assert_eq!(poll_later(&mut tailer), "");
        tailer.retire();
        if is_truncated {
            log.truncate();
            assert_eq!(poll(&mut tailer), "");
        }
        append(&log.sibling(".1"), late);
        if is_packed {
            compress(&log.sibling(".1"), "gz");
        }
        // Files that are not open are looked at now and then.
        tailer.poll(Instant::now() + 3 * GRACE).unwrap();
        let what = format!("truncated: {is_truncated}, late: {late:?}, compressed: {is_packed}");
        assert_eq!(read(&mut tailer), late, "{what}");
        log.append("# header\nthree\n");
        assert_eq!(poll(&mut tailer), "# header\nthree\n", "{what}");
    }
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
fn d12_a_hard_link_is_not_read_twice() {
    let log = Log::with("one\n");
    fs::hard_link(&log.path, log.sibling(".1")).unwrap();
    let options = TailOptions { begin: Begin::Oldest, ..log.options() };
    assert_eq!(read(&mut Tailer::start(options, Instant::now()).unwrap()), "one\n");
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

#[test]
fn the_first_bytes_of_a_line_are_no_evidence_that_a_longer_file_is_the_same() {
    // A power cut has left a byte of a line in a rotated file, which was read as a line.
    let piece = || {
        let log = Log::with("1");
        let mut tailer = log.start();
        log.rotate(".1");
        log.append("203.0.113.1 a\n");
        assert_eq!(poll(&mut tailer), "203.0.113.1 a\n");
        assert_eq!(poll_later(&mut tailer), "1");
        (log, tailer)
    };
    let other = "192.0.2.1 b\n";
    let (log, mut tailer) = piece();
    fs::write(log.sibling(".2"), other).unwrap();
    assert_eq!(poll(&mut tailer), other, "the file with the piece is open");
    let (log, mut tailer) = piece();
    tailer.retire();
    fs::write(log.sibling(".2"), other).unwrap();
    assert_eq!(poll(&mut tailer), other, "it is known");
    for is_gone in [false, true] {
        let (log, mut tailer) = piece();
        let (frontier, known) = (tailer.frontier(), inventory(&mut tailer));
        fs::write(log.sibling(".2"), other).unwrap();
        if is_gone {
            fs::remove_file(log.sibling(".1")).unwrap();
        }
        assert_eq!(read(&mut resume_with(&log, &frontier, &known).unwrap()), other, "after a restart");
    }
    // One statistic has read the piece, and another one has not.
    let (log, mut tailer) = piece();
    let (frontiers, known) = ([Frontier::default(), tailer.frontier()], inventory(&mut tailer));
    let mut tailer = resume_all(&log, &frontiers, &known).unwrap();
    fs::write(log.sibling(".2"), other).unwrap();
    assert_eq!(poll(&mut tailer), format!("203.0.113.1 a\n1{other}"), "for a statistic that is behind");
}

// Lines.

#[test]
fn a_file_that_is_needed_but_in_no_frontier_is_an_error() {
    let (log, mut frontier) = read_log("one\n");
    let behind = frontier.clone();
    frontier.files[0].number = 3;
    let result =
        Tailer::resume(log.options(), &[behind, frontier], Some(&Inventory::default()), Instant::now());
    assert!(matches!(result.map(drop), Err(TailError::Forgotten { number: 2 })));
}
