use std::fs;

use evs_admin::cli::Exit;

use crate::support::{Machine, evs, files};

#[test]
fn the_state_is_shown_and_nothing_is_changed() {
    let machine = Machine::counted();
    let before = files(&machine.root.join("state"));
    let text = machine.evs("status", &[]).expect(Exit::Fine);
    for part in
        ["source           web1", "version          2", "lines            30 (", "whose run has ended"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    for command in ["inspect", "verify", "rejected", "export", "status"] {
        machine.evs(command, &["--json"]).expect(Exit::Fine);
    }
    assert_eq!(files(&machine.root.join("state")), before);
}

#[test]
fn waiting_batches_are_counted_for_each_sink() {
    let machine = Machine::counted();
    machine.log(30..40);
    machine.count_undelivered();
    let status = machine.evs("status", &["--json"]).json().remove(0);
    assert_eq!((&status["source"], &status["counters"]["lines"]), (&"web1".into(), &40.into()));
    assert_eq!(status["position"]["files"][0]["offset"], fs::metadata(machine.log_path()).unwrap().len());
    let sink =
        status["sinks"].as_array().unwrap().iter().find(|sink| sink["statistic"] == "requests").unwrap();
    assert_eq!((&sink["acknowledged"], &sink["waiting_batches"]), (&3.into(), &1.into()));
    assert_eq!(sink["waiting_rows"], 2);
    assert!(sink["waiting_bytes"].as_u64() > Some(100) && sink["waiting_since"].is_string(), "{sink}");
    assert_eq!(status["statistics"][1]["sequence"], 4);
}

#[test]
fn a_directory_that_is_missing_or_has_no_binlog_cannot_be_looked_at() {
    let machine = Machine::new();
    for command in ["status", "inspect", "verify", "rejected", "export"] {
        let ran = machine.evs(command, &[]);
        assert_eq!((ran.exit, &*ran.out), (Exit::CouldNotLook, ""), "{ran:?}");
        assert!(ran.err.contains("state"), "{ran:?}");
    }
    assert!(!machine.root.join("state").exists());
    fs::create_dir(machine.root.join("state")).unwrap();
    for command in ["status", "inspect", "verify", "rejected", "export"] {
        let ran = machine.evs(command, &[]);
        assert_eq!((ran.exit, &*ran.out), (Exit::CouldNotLook, ""), "{ran:?}");
        assert!(ran.err.contains("has no binlog"), "{ran:?}");
    }
    assert_eq!(files(&machine.root.join("state")), []);
}

#[test]
fn a_later_version_is_named() {
    let machine = Machine::counted();
    let mut bytes = fs::read(machine.segment()).unwrap();
    bytes[8] = 3;
    fs::write(machine.segment(), bytes).unwrap();
    for command in ["status", "inspect", "verify", "rejected", "export"] {
        let ran = machine.evs(command, &[]);
        assert_eq!(ran.exit, Exit::CouldNotLook, "{ran:?}");
        assert!(ran.err.contains("format version 3; this evs reads up to 2"), "{ran:?}");
    }
}

#[test]
fn a_binlog_of_version_1_is_read() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../evs-core/tests/fixtures/binlog-v1");
    let status = evs(&["status", fixture, "--json"]).json().remove(0);
    assert_eq!(status["version"], 1);
    let frames = evs(&["inspect", fixture, "--json"]);
    assert!(frames.json().iter().any(|line| line["kind"] == "batch" && line["predecessor"].is_null()));
    frames.expect(Exit::Fine);
    evs(&["verify", fixture, "--level", "batch"]).expect(Exit::Fine);
}

#[test]
fn frames_of_all_kinds_are_described() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../evs-core/tests/fixtures/binlog-v2");
    let text = evs(&["inspect", fixture]).expect(Exit::Fine);
    for said in
        [" rows are given up for ", " is removed", " is now ", " begins after batch ", " files known, "]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    let status = evs(&["status", fixture, "--json"]).json().remove(0);
    let discarded =
        status["sinks"].as_array().unwrap().iter().map(|sink| sink["discarded_batches"].as_u64().unwrap());
    assert_eq!(discarded.sum::<u64>(), 2, "{status}");
}

#[test]
fn positions_of_many_logs_are_shown_with_their_files() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../evs-core/tests/fixtures/binlog-v2-logs");
    let text = evs(&["inspect", fixture]).expect(Exit::Fine);
    assert!(text.contains("files, of which the last is"), "{text}");
    evs(&["verify", fixture, "--level", "batch"]).expect(Exit::Fine);
}

#[test]
fn wrong_arguments_are_told_from_the_rest() {
    for wrong in [
        &["nothing"][..],
        &["status"],
        &["inspect", "a", "--rows", "--stats"],
        &["verify", "a", "--level", "x"],
    ] {
        let ran = evs(wrong);
        assert_eq!((ran.exit, ran.exit.code()), (Exit::Usage, 2), "{ran:?}");
        assert!(!ran.err.is_empty());
    }
    let help = evs(&["--help"]).expect(Exit::Fine);
    assert!(help.contains("Exit codes: 0 fine"), "{help}");
}
