//! Another language reads the sketches: Python, with the library of Apache DataSketches in C++.

use std::{env, fs, process::Command};

use super::distinct::{Distinct, slot_and_rank};

/// The numbers of values: some leave nearly all registers empty, some nearly none.
const LENGTHS: [u32; 7] = [0, 1, 10, 1_000, 10_000, 30_000, 300_000];

#[test]
fn datasketches_for_python_reads_the_sketches_and_makes_the_same() {
    let Ok(python) = env::var("EVS_PYTHON") else {
        return evs_testkit::services::skip("python", "EVS_PYTHON is not set");
    };
    let folder = tempfile::tempdir().unwrap();
    let mut sketches = Vec::new();
    for len in LENGTHS {
        // The second half of a set is the first of the next larger one.
        let values = (0..len).map(|index| format!("gr\u{f6}\u{df}e {}", index + len / 2));
        let mut distinct = Distinct::empty();
        let mut lines = String::new();
        for value in values {
            let (slot, rank) = slot_and_rank(value.as_bytes());
            distinct.raise(slot, rank);
            lines.push_str(&value);
            lines.push('\n');
        }
        fs::write(folder.path().join(format!("{len}.values")), lines).unwrap();
        fs::write(folder.path().join(format!("{len}.sketch")), distinct.to_datasketches()).unwrap();
        sketches.push(distinct);
    }
    let output = Command::new(&python)
        .args(["-c", include_str!("foreign.py")])
        .arg(folder.path())
        .args(LENGTHS.map(|len| len.to_string()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{python}: {}", String::from_utf8_lossy(&output.stderr));
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), LENGTHS.len(), "{answers}");

    let mut union = Distinct::empty();
    for ((line, sketch), len) in answers.lines().zip(&sketches).zip(LENGTHS) {
        union.merge(sketch);
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!((words[0], words[2]), (&*len.to_string(), "True"), "{line}: other registers");
        assert_close(words[1], sketch.estimate());
        assert_close(words[3], union.estimate());
    }
}

/// Logarithms may differ in their last bit.
fn assert_close(found: &str, expected: f64) {
    let found: f64 = found.parse().unwrap();
    assert!((found - expected).abs() <= expected * 1e-12, "{found}, expected {expected}");
}
