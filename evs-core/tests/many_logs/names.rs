//! Which names are logs.

use std::{fs, path::Path, time::Instant};

use evs_core::{
    Begin, Frontier, OnGone, TailError,
    internals::{
        position::Inventory,
        tail::{Logs, TailOptions},
    },
};

use crate::tail_support::append;

fn options(directory: &Path, pattern: &str) -> TailOptions {
    TailOptions::new(directory.join(pattern))
}

/// Reads everything that is there, as (name of the log, line).
fn read(logs: &mut Logs) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    logs.poll(Instant::now()).unwrap();
    while let Some(chunk) = logs.next_chunk().unwrap() {
        let log = chunk.log.clone().unwrap();
        let name = Path::new(&*log).file_name().unwrap().to_str().unwrap().to_owned();
        let mut buffer = Vec::new();
        let text = String::from_utf8(chunk.read(&mut buffer).unwrap().to_vec()).unwrap();
        lines.extend(text.lines().map(|line| (name.clone(), line.to_owned())));
    }
    lines.sort();
    lines
}

fn lines(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(log, line)| ((*log).to_owned(), (*line).to_owned())).collect()
}

fn state(logs: &mut Logs) -> (Frontier, Inventory) {
    let mut inventory = Inventory::default();
    inventory.apply(&logs.take_change());
    (logs.frontier(), inventory)
}

#[test]
fn a_file_with_the_name_of_a_rotated_one_belongs_to_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for name in ["a.log", "a.log.1", "a-20261127.log", "b.log"] {
        append(&path(name), &format!("{name}\n"));
    }
    fs::create_dir(path("old.log")).unwrap();
    for pattern in ["*.log", "*"] {
        let of = |begin| {
            let options = TailOptions { begin, ..options(directory.path(), pattern) };
            read(&mut Logs::resume(options, &[], None, Instant::now()).unwrap())
        };
        assert_eq!(of(Begin::Start), lines(&[("a.log", "a.log"), ("b.log", "b.log")]));
        let all = [("a.log", "a-20261127.log"), ("a.log", "a.log"), ("a.log", "a.log.1"), ("b.log", "b.log")];
        assert_eq!(of(Begin::Oldest), lines(&all), "{pattern}");
    }
}

#[test]
fn a_new_source_refuses_a_name_that_may_be_a_log_or_a_rotated_file() {
    let directory = tempfile::tempdir().unwrap();
    append(&directory.path().join("10.0.0.1.log"), "one\n");
    let start = |pattern: &str, begin| {
        Logs::resume(TailOptions { begin, ..options(directory.path(), pattern) }, &[], None, Instant::now())
    };
    let Err(TailError::Unclear { path, log }) = start("*.log", Begin::Start) else { panic!("it is clear") };
    assert_eq!(path, directory.path().join("10.0.0.1.log"));
    assert!(log.ends_with("/10.0.0.log"), "{log}");
    assert_eq!(read(&mut start("*.log", Begin::Oldest).unwrap()), lines(&[("10.0.0.log", "one")]));
    assert_eq!(read(&mut start("*.1.log", Begin::Start).unwrap()), lines(&[("10.0.0.1.log", "one")]));
}

#[test]
fn a_log_that_the_pattern_no_longer_matches_is_given_up_only_when_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    append(&path("a.log"), "a\n");
    append(&path("b.log"), "b\n");
    let mut logs = Logs::resume(options(directory.path(), "*.log"), &[], None, Instant::now()).unwrap();
    assert_eq!(read(&mut logs), lines(&[("a.log", "a"), ("b.log", "b")]));
    let (frontier, inventory) = state(&mut logs);
    append(&path("a.log"), "more\n");
    append(&path("b.log"), "more\n");
    let resume = |on_gone| {
        let options = TailOptions { on_gone, ..options(directory.path(), "a*.log") };
        Logs::resume(options, std::slice::from_ref(&frontier), Some(&inventory), Instant::now())
    };
    let Err(TailError::Unmatched { log, .. }) = resume(OnGone::Stop) else { panic!("b.log is not missed") };
    assert!(log.ends_with("/b.log"), "{log}");
    let mut logs = resume(OnGone::Continue).unwrap();
    assert_eq!(read(&mut logs), lines(&[("a.log", "more")]));
    let after = logs.frontier();
    let last = frontier.files.last().unwrap().number;
    assert!(after.covers(last, u64::MAX) || after.files.iter().any(|mark| mark.number == last));
}

#[test]
fn a_source_of_one_log_becomes_a_pattern() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    append(&path("a.log"), "one\n");
    append(&path("b.log"), "b\n");
    let one = options(directory.path(), "a.log");
    let mut logs = Logs::resume(one, &[], None, Instant::now()).unwrap();
    assert_eq!(read(&mut logs), lines(&[("a.log", "one")]));
    let (frontier, inventory) = state(&mut logs);
    assert!(!frontier.to_json().contains(r#""log""#), "nothing is new in the position of one log");
    append(&path("a.log"), "two\n");
    fs::rename(path("a.log"), path("a.log.1")).unwrap();
    append(&path("a.log"), "three\n");
    let all = options(directory.path(), "*.log");
    let mut logs = Logs::resume(all, &[frontier], Some(&inventory), Instant::now()).unwrap();
    assert_eq!(read(&mut logs), lines(&[("a.log", "three"), ("a.log", "two"), ("b.log", "b")]));
}

#[test]
fn a_link_and_what_it_leads_to_are_one_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("logs")).unwrap();
    fs::create_dir(path("data")).unwrap();
    append(&path("logs/app-x.log"), "one\n");
    append(&path("data/other"), "two\n");
    std::os::unix::fs::symlink("app-x.log", path("logs/current.log")).unwrap();
    std::os::unix::fs::symlink("../data/other", path("logs/other.log")).unwrap();
    fs::hard_link(path("logs/app-x.log"), path("logs/same.log")).unwrap();
    let mut logs = Logs::resume(options(&path("logs"), "*.log"), &[], None, Instant::now()).unwrap();
    assert_eq!(read(&mut logs), lines(&[("app-x.log", "one"), ("other.log", "two")]));
    append(&path("logs/app-x.log"), "three\n");
    let later = Instant::now() + std::time::Duration::from_secs(1);
    logs.poll(later).unwrap();
    assert_eq!(read(&mut logs), lines(&[("app-x.log", "three")]));
}

#[test]
fn a_log_that_is_renamed_to_the_name_of_another_is_not_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    append(&path("a.log"), "one\n");
    let mut logs = Logs::resume(options(directory.path(), "*.log"), &[], None, Instant::now()).unwrap();
    assert_eq!(read(&mut logs), lines(&[("a.log", "one")]));
    fs::rename(path("a.log"), path("b.log")).unwrap();
    append(&path("b.log"), "two\n");
    let later = |seconds| Instant::now() + std::time::Duration::from_secs(seconds);
    logs.poll(later(10)).unwrap();
    assert_eq!(read(&mut logs), lines(&[("a.log", "two")]), "the log that has the file open goes on with it");
    append(&path("a.log"), "three\n");
    logs.poll(later(20)).unwrap();
    assert_eq!(read(&mut logs), lines(&[("a.log", "three")]));
    // The old file is finished now, and what is added to it belongs to its new name.
    for seconds in [30, 60, 90, 120] {
        logs.poll(later(seconds)).unwrap();
        assert_eq!(read(&mut logs), []);
        logs.retire();
    }
    append(&path("b.log"), "four\n");
    for seconds in [130, 140, 150] {
        logs.poll(later(seconds)).unwrap();
    }
    assert_eq!(read(&mut logs), lines(&[("b.log", "four")]));
}

#[test]
fn a_busy_log_does_not_hold_up_the_others() {
    let directory = tempfile::tempdir().unwrap();
    append(&directory.path().join("a.log"), &"busy\n".repeat(1000));
    append(&directory.path().join("b.log"), "one\n");
    append(&directory.path().join("c.log"), "one\n");
    let options = TailOptions { chunk_bytes: 50, ..options(directory.path(), "*.log") };
    let mut logs = Logs::resume(options, &[], None, Instant::now()).unwrap();
    let first: Vec<_> = (0..4).map(|_| logs.next_chunk().unwrap().unwrap().log.unwrap()).collect();
    let names: Vec<_> = first.iter().map(|log| &log[log.len() - 5..]).collect();
    assert_eq!(names, ["a.log", "b.log", "c.log", "a.log"]);
}

#[test]
fn a_log_that_has_vanished_leaves_the_position_and_is_recognized_when_it_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let old = (0..300).map(|number| format!("line {number}\n")).collect::<String>();
    append(&path("a.log"), &old);
    append(&path("b.log"), "b\n");
    let start = Instant::now();
    let mut logs = Logs::resume(options(directory.path(), "*.log"), &[], None, start).unwrap();
    assert_eq!(read(&mut logs).len(), 301);
    fs::remove_file(path("a.log")).unwrap();
    for minute in 1..9 {
        logs.poll(start + std::time::Duration::from_secs(60 * minute)).unwrap();
        assert!(!logs.has_retired(), "the web server may still write to it");
    }
    for minute in 9..15 {
        logs.poll(start + std::time::Duration::from_secs(60 * minute)).unwrap();
        assert_eq!(read(&mut logs), []);
        logs.retire();
    }
    assert_eq!(logs.len(), 1, "nothing is kept open for it");
    assert_eq!(logs.frontier().files.len(), 1);
    let (frontier, inventory) = state(&mut logs);
    append(&path("a.log"), &format!("{old}more\n"));
    logs.poll(start + std::time::Duration::from_secs(1000)).unwrap();
    assert_eq!(read(&mut logs), lines(&[("a.log", "more")]));
    // The same after a restart, from what was durable before it came back.
    let again = options(directory.path(), "*.log");
    let mut logs = Logs::resume(again, &[frontier], Some(&inventory), start).unwrap();
    assert_eq!(read(&mut logs), lines(&[("a.log", "more")]));
}

#[test]
fn a_cut_syncs_the_files_of_those_logs_that_moved() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    ["a.log", "b.log", "c.log"].iter().for_each(|name| append(&path(name), "one\n"));
    let mut logs = Logs::resume(options(directory.path(), "*.log"), &[], None, Instant::now()).unwrap();
    read(&mut logs);
    let synced = |logs: &mut Logs| {
        let handles = logs.handles();
        let names = handles.iter().map(|handle| handle.path().file_name().unwrap().to_owned());
        let mut names: Vec<_> = names.collect();
        names.sort();
        logs.frontier();
        names
    };
    assert_eq!(synced(&mut logs), ["a.log", "b.log", "c.log"]);
    assert!(synced(&mut logs).is_empty());
    append(&path("b.log"), "two\n");
    logs.poll(Instant::now() + std::time::Duration::from_secs(1)).unwrap();
    assert_eq!(read(&mut logs), lines(&[("b.log", "two")]));
    assert_eq!(synced(&mut logs), ["b.log"]);
    // A line that is not finished is in no position, but the length that was seen is.
    append(&path("c.log"), "thr");
    logs.poll(Instant::now() + std::time::Duration::from_secs(2)).unwrap();
    assert_eq!(synced(&mut logs), ["c.log"]);
}
