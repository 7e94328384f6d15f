//! docs/reliability.md has a proof or a limit for each fault, and the tests that it names exist.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The number of faults in the catalogue.
const FAULTS: usize = 131;
/// The folders with code.
const FOLDERS: [&str; 6] = ["acceptance", "evs-core", "evs-sinks", "src", "testkit", "tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Collects the names of all functions, and the texts of one word, which name scenarios.
fn collect_names(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_names(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let code = fs::read_to_string(&path).unwrap();
            names.extend(words(&code).filter(|word| is_name_of_test(word)).map(str::to_owned));
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_')
        .filter(|word| !word.is_empty())
}

/// Returns true for a word like `a_test_of_something`.
fn is_name_of_test(word: &str) -> bool {
    word.trim_matches('_').matches('_').count() >= 2
}

#[test]
fn every_fault_has_a_proof_that_exists_or_a_limit() {
    let page = fs::read_to_string(root().join("docs/reliability.md")).unwrap();
    let mut names = BTreeSet::new();
    FOLDERS.iter().for_each(|folder| collect_names(&root().join(folder), &mut names));
    let mut faults = 0;
    for row in page.lines() {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, .., proof] = cells[..] else { continue };
        if !is_number_of_fault(number) {
            continue;
        }
        faults += 1;
        assert!(
            proof.contains(".rs") || proof.contains(':'),
            "{number}: neither a test nor a limit: {proof}"
        );
        for word in words(proof).filter(|word| is_name_of_test(word)) {
            let part = word.trim_matches('_');
            assert!(names.iter().any(|name| name.contains(part)), "{number}: there is no {word}");
        }
    }
    assert_eq!(faults, FAULTS, "faults in the catalogue");
}

/// Returns true for a cell like `A12`.
fn is_number_of_fault(cell: &str) -> bool {
    let (letter, digits) = cell.split_at(cell.len().min(1));
    letter.bytes().all(|byte| byte.is_ascii_uppercase())
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}
