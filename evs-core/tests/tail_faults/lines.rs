//! The ends of ranges: unfinished, last and oversized lines.

use super::*;

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
fn handles_can_be_synced() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    read(&mut tailer);
    assert_eq!(tailer.handles().len(), 1);
    tailer.handles()[0].sync().unwrap();
}

#[test]
fn a_file_that_is_known_and_not_read_is_synced_too() {
    let log = Log::with("one\n");
    let mut tailer = log.start();
    read(&mut tailer);
    // Without its second line, `access.log.1` would not be recognized after a power cut, and would count as gone.
    log.rotate(".2");
    log.append("two\n");
    log.rotate(".1");
    log.append("three\n");
    tailer.poll(Instant::now()).unwrap();
    let change = tailer.take_change();
    let unread = change.added.iter().filter(|known| known.standing == Standing::Unread);
    let unread: Vec<_> = unread.map(|known| PathBuf::from(&known.path)).collect();
    assert_eq!(unread, [log.sibling(".1"), log.path.clone()]);
    let synced: Vec<_> = tailer.handles().iter().map(|handle| handle.path().to_owned()).collect();
    assert!(unread.iter().all(|path| synced.contains(path)), "{unread:?} in {synced:?}");
    assert_eq!(tailer.handles().len(), 1, "each is synced with one cut");
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
