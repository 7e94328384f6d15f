//! The files of the log.

use std::fs;

use evs_admin::cli::Exit;

use crate::support::Machine;

#[test]
fn a_log_that_has_grown_or_moved_is_as_it_was_written() {
    let machine = Machine::counted();
    let text = machine.evs("verify", &[]).expect(Exit::Fine);
    assert!(text.ends_with(" 1 positions in the log: all is as it was written\n"), "{text}");
    machine.log(30..40);
    machine.evs("verify", &[]).expect(Exit::Fine);
    fs::rename(machine.log_path(), machine.root.join("access.log.1")).unwrap();
    machine.evs("verify", &[]).expect(Exit::Fine);
    machine.log(50..60);
    machine.evs("verify", &[]).expect(Exit::Fine);
    let elsewhere = machine.root.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(machine.root.join("access.log.1"), elsewhere.join("access.log")).unwrap();
    machine.evs("verify", &["--log", elsewhere.to_str().unwrap()]).expect(Exit::Fine);
}

#[test]
fn a_log_with_other_bytes_is_found_with_file_and_offset() {
    let machine = Machine::counted();
    let log = fs::read(machine.log_path()).unwrap();
    let mut changed = log.clone();
    let at = log.len() - 3;
    changed[at] ^= 1;
    fs::write(machine.log_path(), &changed).unwrap();
    let report = machine.evs("verify", &["--json"]);
    assert_eq!(report.exit, Exit::Findings);
    let finding = &report.json()[0]["findings"][0];
    assert_eq!(
        (&finding["level"], &finding["file"]),
        (&"log".into(), &machine.log_path().display().to_string().into())
    );
    assert_eq!(finding["offset"].as_u64().unwrap() + finding["bytes"].as_u64().unwrap(), log.len() as u64);
    machine.evs("verify", &["--level", "batch"]).expect(Exit::Fine);

    fs::write(machine.log_path(), &log[..log.len() - 10]).unwrap();
    let text = machine.evs("verify", &[]).expect(Exit::Findings);
    assert!(text.contains("the file is shorter") && text.contains("what to do: "), "{text}");
}

#[test]
fn a_log_that_is_gone_is_a_finding_only_if_something_of_it_was_not_counted() {
    let machine = Machine::counted();
    fs::remove_file(machine.log_path()).unwrap();
    let text = machine.evs("verify", &[]).expect(Exit::Fine);
    assert!(text.contains("is gone; all of it that was known"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_one_that_is_gone() {
    let machine = Machine::counted();
    fs::remove_file(machine.log_path()).unwrap();
    fs::write(machine.root.join("access.log.1.gz"), [0x1f, 0x8b, 8, 0, 0]).unwrap();
    let text = machine.evs("verify", &[]).expect(Exit::Findings);
    assert!(text.contains("access.log.1.gz") && text.contains("this file cannot be read"), "{text}");
    assert!(!text.contains("is gone"), "{text}");
}

#[test]
fn a_rotated_and_compressed_log_is_found_by_its_bytes() {
    let machine = Machine::counted();
    let packed = machine.root.join("access.log.1.zst");
    let log = fs::read(machine.log_path()).unwrap();
    fs::write(&packed, zstd::encode_all(&log[..], 0).unwrap()).unwrap();
    fs::remove_file(machine.log_path()).unwrap();
    let text = machine.evs("verify", &[]).expect(Exit::Fine);
    assert!(!text.contains("note: "), "{text}");
    let place = format!("{}:5", packed.display());
    let report = machine.evs("trace", &[&place, "--json"]).json().remove(0);
    assert_eq!(report["statistics"][0]["stretch"]["first"], 1, "{report}");
}
