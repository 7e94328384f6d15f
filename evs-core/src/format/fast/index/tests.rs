use proptest::prelude::*;

use super::*;

/// Finds the separators by their definition, byte by byte: their offsets, and the newlines among them.
fn plainly(block: &[u8], delimiters: Delimiters) -> (Vec<u32>, Vec<Newline>) {
    let (mut separators, mut newlines) = (vec![u32::MAX], vec![Newline::default()]);
    let mut is_inside = false;
    let mut quotes = 0;
    for (at, byte) in block.iter().copied().enumerate() {
        if byte == b'\n' {
            is_inside = false;
            newlines.push(Newline { separator: separators.len() as u32, quotes });
            separators.push(at as u32);
        } else if byte == delimiters.byte && !is_inside {
            separators.push(at as u32);
        } else if byte == b'"' && delimiters.are_quoted {
            is_inside = !is_inside;
            quotes += 1;
        }
    }
    if block.last().is_some_and(|byte| *byte != b'\n') {
        newlines.push(Newline { separator: separators.len() as u32, quotes });
        separators.push(block.len() as u32);
    }
    (separators, newlines)
}

/// Blanks that delimit, and values in quotes.
const BLANKS: Delimiters = Delimiters { byte: b' ', are_quoted: true, escape: b'\\' };

/// All ways to build the index on this machine.
fn ways() -> Vec<fn(&[u8], Delimiters, &mut Index)> {
    let mut ways: Vec<fn(&[u8], Delimiters, &mut Index)> = vec![portable::scan];
    #[cfg(target_arch = "x86_64")]
    {
        let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("pclmulqdq");
        if has_avx2 {
            // SAFETY: the processor was asked just now; every one with AVX2 has the bit instructions.
            #[allow(unsafe_code)]
            ways.push(|block, delimiters, index| unsafe { x86::scan_avx2(block, delimiters, index) });
        }
        if has_avx2 && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vbmi2") {
            // SAFETY: as above.
            #[allow(unsafe_code)]
            ways.push(|block, delimiters, index| unsafe { x86::scan_avx512(block, delimiters, index) });
        }
    }
    ways
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_way_finds_the_separators_of_the_definition(
        block in prop_oneof![
            "[ \"\n\\\\|a]{0,300}",
            "[ \"\n|abcdefgh]{0,300}",
            "([a-z]{1,9}|\"[a-z ]{0,9}\"|[ \n]){0,90}",
            "([a-z\n]{1,30}|\n\u{feff}|[\0\u{feff}\u{fffd}é]){0,20}",
        ],
        byte in prop::sample::select(b" |".to_vec()),
        are_quoted: bool,
        escape in prop::sample::select(b"\\a".to_vec()),
    ) {
        let (block, delimiters) = (block.as_bytes(), Delimiters { byte, are_quoted, escape });
        let (separators, newlines) = plainly(block, delimiters);
        let escapes: Vec<u32> = (0..block.len() as u32).filter(|at| block[*at as usize] == escape).collect();
        for (way, scan) in ways().into_iter().enumerate() {
            let mut index = Index::default();
            index.read_by(scan, block, delimiters);
            prop_assert_eq!(&index.separators, &separators, "way {}", way);
            prop_assert_eq!(&index.newlines, &newlines, "way {}", way);
            let mut hints = 0;
            let mut next = |from: u32| index.next_escape(from, &mut hints);
            for from in 0..=block.len() as u32 {
                let expected = escapes.iter().find(|at| **at >= from).copied();
                prop_assert_eq!(next(from), expected, "way {}", way);
            }
            prop_assert_eq!(index.damaged, damaged(block), "way {}", way);
        }
    }
}

/// The numbers of the damaged lines.
fn damaged(block: &[u8]) -> Vec<u32> {
    let mut lines: Vec<_> = block.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let is_damaged = |line: &&[u8]| line.contains(&0) || line.starts_with("\u{feff}".as_bytes());
    (0..).zip(&lines).filter(|(_, line)| is_damaged(line)).map(|(number, _)| number).collect()
}

/// Asserts that each way finds these damaged lines in a block.
fn assert_damaged(block: &[u8], expected: &[u32]) {
    for (way, scan) in ways().into_iter().enumerate() {
        let mut index = Index::default();
        index.read_by(scan, block, BLANKS);
        assert_eq!(index.damaged, expected, "way {way}: {:?}", String::from_utf8_lossy(block));
        // The next block begins with no damage.
        index.read_by(scan, b"a\n", BLANKS);
        assert_eq!(index.damaged, [0_u32; 0], "way {way}");
    }
}

#[test]
fn a_nul_at_any_place_damages_its_line_alone() {
    let line = "a - \"b c\" 200 \"d\"\n";
    // A block with a newline at the end, one without, and one with lines after the last NUL.
    for block in [line.repeat(8), line.repeat(8)[..131].to_owned(), line.repeat(20)] {
        assert_damaged(block.as_bytes(), &[]);
        for at in 0..=130 {
            let mut block = block.clone().into_bytes();
            let number = block[..at].iter().filter(|byte| **byte == b'\n').count();
            block[at] = 0;
            assert_damaged(&block, &[number as u32]);
        }
    }
}

#[test]
fn a_byte_order_mark_damages_the_line_that_it_begins() {
    for before in 0..=130 {
        let before = "a".repeat(before);
        assert_damaged(format!("{before}\n\u{feff}b\nc\n").as_bytes(), &[1]);
        assert_damaged(format!("{before}\n\u{feff}").as_bytes(), &[1]);
        assert_damaged(format!("\u{feff}{before}\nc").as_bytes(), &[0]);
        // Elsewhere it is an ordinary character, and other characters begin with the same byte.
        assert_damaged(format!("{before}b\u{feff}\n\u{fffd}\u{ff01}\n").as_bytes(), &[]);
        assert_damaged(&[before.as_bytes(), b"b\n\xEF\xBB"].concat(), &[]);
    }
}

#[test]
fn delimiters_inside_quotes_are_not_separators() {
    let mut index = Index::default();
    index.read(b"a \"b c\" d \"\"\n\"x\"\n", BLANKS);
    assert_eq!(index.separators(), [u32::MAX, 1, 7, 9, 12, 16]);
    assert_eq!((0..index.lines()).map(|line| index.line(line)).collect::<Vec<_>>(), [(0, 12), (13, 16)]);
    assert_eq!(index.newlines().iter().map(|newline| newline.quotes).collect::<Vec<_>>(), [0, 4, 6]);
}
