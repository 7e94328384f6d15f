//! Compressed files, whole, damaged and incomplete.

use super::*;

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

/// Compresses some lines, and keeps the first part: its beginning can be read.
fn half_of_a_compressed_file() -> Vec<u8> {
    let lines: String =
        (0..3000_u64).map(|number| format!("{number} {}\n", number * 7919 % 100_003)).collect();
    let packed = pack(lines.as_bytes(), "gz");
    packed[..packed.len() / 2].to_vec()
}

#[test]
fn an_unread_file_whose_end_is_damaged_is_an_error_or_left_out() {
    for on_unreadable in [OnUnreadable::Stop, OnUnreadable::Skip] {
        let log = Log::with("two\n");
        fs::write(log.sibling(".1.gz"), half_of_a_compressed_file()).unwrap();
        let (options, start) =
            (TailOptions { begin: Begin::Oldest, on_unreadable, ..log.options() }, Instant::now());
        let mut tailer = Tailer::start(options, start).unwrap();
        assert_eq!(read(&mut tailer), "two\n");
        assert!(!tailer.check_end(start).unwrap());
        let polled = tailer.poll(start + 2 * GRACE);
        if on_unreadable == OnUnreadable::Stop {
            assert!(matches!(polled, Err(TailError::Damaged { .. })), "{polled:?}");
            continue;
        }
        polled.unwrap();
        assert!(tailer.take_events().iter().any(|event| matches!(event, TailEvent::Skipped { .. })));
        assert_eq!(read(&mut tailer), "");
        tailer.poll(start + 3 * GRACE).unwrap();
        assert!(tailer.check_end(start + 4 * GRACE).unwrap());
    }
}

#[test]
fn a_file_whose_end_is_damaged_is_left_out_at_a_start_too() {
    let lines = (0..3000_u64).map(|number| format!("{number} {}\n", number * 7919 % 100_003));
    let (log, frontier) = read_log(&lines.take(300).collect::<String>());
    log.append("rest\n");
    log.rotate(".1");
    fs::remove_file(log.sibling(".1")).unwrap();
    fs::write(log.sibling(".1.gz"), half_of_a_compressed_file()).unwrap();
    let resume = |on_unreadable| {
        let options = TailOptions { on_unreadable, on_gone: OnGone::Continue, ..log.options() };
        Tailer::resume(options, std::slice::from_ref(&frontier), Some(&Inventory::default()), Instant::now())
    };
    let error = resume(OnUnreadable::Stop).map(drop).unwrap_err();
    assert!(matches!(error, TailError::Damaged { .. }), "{error}");
    assert_eq!(read(&mut resume(OnUnreadable::Skip).unwrap()), "");
}

#[test]
fn files_of_any_compressor_are_read_or_named() {
    let (xz, bz2) = (include_bytes!("../fixtures/log/one.xz"), include_bytes!("../fixtures/log/one.bz2"));
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
fn the_rest_of_a_compressed_file_that_is_damaged_while_it_is_read_is_left_out_if_the_user_says_so() {
    let lines: String =
        (0_u64..20_000).map(|at| format!("{:016x}\n", at.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    for on_unreadable in [OnUnreadable::Stop, OnUnreadable::Skip] {
        let log = Log::with("live\n");
        let packed = pack(lines.as_bytes(), "gz");
        fs::write(log.sibling(".1.gz"), &packed).unwrap();
        let options = TailOptions { begin: Begin::Oldest, on_unreadable, chunk_bytes: 1000, ..log.options() };
        let mut tailer = Tailer::start(options, Instant::now()).unwrap();
        assert!(tailer.next_chunk().unwrap().is_some(), "the first lines are read");
        fs::write(log.sibling(".1.gz"), &packed[..packed.len() / 2]).unwrap();
        let rest = pieces(&mut tailer);
        if on_unreadable == OnUnreadable::Stop {
            assert!(matches!(rest, Err(TailError::Damaged { .. })), "{rest:?}");
            continue;
        }
        assert!(text(&rest.unwrap()).ends_with("\nlive\n"), "the log goes on");
        assert!(lost(&mut tailer) > 0);
        assert_eq!(poll_later(&mut tailer), "");
        assert_eq!(lost(&mut tailer), 0, "it is told once");
    }
}
