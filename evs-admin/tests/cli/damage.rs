//! Damage, torn ends, and text that would change what a terminal shows.

use std::{
    fs,
    io::{self, Write},
};

use evs_admin::cli::{Exit, run};
use serde_json::Value;

use crate::support::{Machine, line};

/// Returns the frames of the binlog, before it is damaged.
fn frames(machine: &Machine) -> Vec<Value> {
    let mut lines = machine.evs("inspect", &["--json"]).json();
    lines.retain(|line| line["found"] == "frame");
    lines
}

/// Changes a byte of the frame of that kind and sequence, `at` bytes after its beginning.
fn flip(machine: &Machine, kind: &str, sequence: u64, at: usize) -> u64 {
    let frames = frames(machine);
    let frame = frames.iter().find(|frame| frame["kind"] == kind && frame["sequence"] == sequence).unwrap();
    let offset = frame["offset"].as_u64().unwrap();
    let mut bytes = fs::read(machine.segment()).unwrap();
    bytes[offset as usize + at] ^= 1;
    fs::write(machine.segment(), bytes).unwrap();
    offset
}

#[test]
fn a_flipped_byte_in_the_middle_is_found_with_its_place_and_reading_goes_on() {
    // In the header of the frame, and in its payload.
    for at in [2, 60] {
        let machine = Machine::counted();
        let all = frames(&machine).len();
        let offset = flip(&machine, "batch", 2, at);
        let ran = machine.evs("verify", &["--json"]);
        let report = ran.json().remove(0);
        assert_eq!(ran.exit, Exit::Findings);
        let finding = &report["findings"][0];
        assert_eq!((&finding["level"], &finding["offset"]), (&"frame".into(), &offset.into()), "{report}");
        assert!(finding["file"].as_str().unwrap().ends_with("binlog-0000000000000001.evs"));
        assert!(finding["finding"].as_str().unwrap().contains("damaged"), "{finding}");
        assert_eq!(report["findings"].as_array().unwrap().len(), 1, "{report}");
        assert_eq!(report["frames"], all as u64 - 1, "only the damaged frame is left out");

        let text = machine.evs("verify", &[]).expect(Exit::Findings);
        assert!(text.contains(&format!("byte {offset}\n")) && text.contains("what to do: "), "{text}");
        let text = machine.evs("inspect", &[]).expect(Exit::Findings);
        assert!(text.contains("PROBLEM: "), "{text}");
        assert!(text.lines().filter(|line| line.contains("acknowledge")).count() > 2, "{text}");
        // The state after the damage is not known.
        assert_eq!(machine.evs("status", &[]).exit, Exit::CouldNotLook);
        // Batches before the damage can still be saved.
        let ran = machine.evs("export", &["--statistic", "requests"]);
        assert_eq!(ran.exit, Exit::Findings);
        assert!(ran.out.contains("requests,1,") && !ran.out.contains("requests,3,"), "{}", ran.out);
        assert!(ran.err.contains("not exported: "), "{}", ran.err);
    }
}

#[test]
fn a_frame_with_valid_checksums_that_does_not_follow_is_found() {
    let machine = Machine::counted();
    let frames = frames(&machine);
    let acknowledge =
        frames.iter().find(|frame| frame["kind"] == "acknowledge" && frame["sequence"] == 2).unwrap();
    let mut bytes = fs::read(machine.segment()).unwrap();
    let offset = acknowledge["offset"].as_u64().unwrap() as usize;
    let end = offset + acknowledge["bytes"].as_u64().unwrap() as usize;
    let at = bytes[offset..end].iter().rposition(|byte| *byte == b'2').unwrap();
    bytes[offset + at] = b'9';
    evs_core::internals::binlog::reseal(1, &mut bytes);
    fs::write(machine.segment(), bytes).unwrap();
    let report = machine.evs("verify", &["--json"]).json().remove(0);
    let finding = report["findings"][0]["finding"].as_str().unwrap();
    assert!(finding.contains("is at batch 9 of") && finding.contains("is the last"), "{report}");
    assert_eq!(report["findings"][0]["offset"], offset as u64);
}

#[test]
fn a_batch_whose_rows_are_not_those_of_its_checksum_is_found_at_level_batch() {
    let machine = Machine::counted();
    let frames = frames(&machine);
    // The last byte of the compressed rows is a literal, so the rows can be unpacked.
    let batch = frames.iter().find(|frame| frame["kind"] == "batch" && frame["sequence"] == 2).unwrap();
    let end = batch["offset"].as_u64().unwrap() + batch["bytes"].as_u64().unwrap();
    let mut bytes = fs::read(machine.segment()).unwrap();
    bytes[end as usize - 1] ^= 1;
    evs_core::internals::binlog::reseal(1, &mut bytes);
    fs::write(machine.segment(), bytes).unwrap();
    machine.evs("verify", &["--level", "frame"]).expect(Exit::Fine);
    let report = machine.evs("verify", &["--level", "batch", "--json"]).json().remove(0);
    assert_eq!(
        (&report["findings"][0]["level"], &report["findings"][0]["offset"]),
        (&"batch".into(), &batch["offset"])
    );
    let text = machine.evs("inspect", &["--rows"]).out;
    assert!(text.contains("the rows cannot be read"), "{text}");
}

#[test]
fn a_torn_end_is_a_tail_at_every_length_and_no_finding() {
    let machine = Machine::counted();
    let bytes = fs::read(machine.segment()).unwrap();
    let frames = frames(&machine);
    let commit = frames.iter().rfind(|frame| frame["kind"] == "batch").unwrap();
    // Beginning within the last commit: its frames count only with its end.
    let (from, end) = (commit["offset"].as_u64().unwrap() as usize + 1, bytes.len());
    for len in (from..end).step_by(37) {
        fs::write(machine.segment(), &bytes[..len]).unwrap();
        let report = machine.evs("verify", &["--json", "--level", "batch"]);
        assert_eq!(report.exit, Exit::Fine, "{len} of {end} bytes: {report:?}");
    }
    fs::write(machine.segment(), &bytes[..from + 5]).unwrap();
    let text = machine.evs("inspect", &[]).expect(Exit::Fine);
    assert!(text.contains("tail: the last ") && text.contains("a running pipeline is writing it"), "{text}");
    let status = machine.evs("status", &["--json"]).json().remove(0);
    assert!(status["binlog"]["tail_bytes"].as_u64() > Some(0));
    assert_eq!(status["counters"]["lines"], 20, "the third commit does not count");
    // Batches of a commit that does not count are not exported.
    let rows = machine.evs("export", &["--json"]).json();
    assert!(rows.iter().all(|row| row["sequence"].as_u64() < Some(3)), "{rows:?}");
}

#[test]
fn a_segment_that_is_being_created_is_a_tail() {
    let machine = Machine::counted();
    let next = machine.root.join("state/binlog-0000000000000002.evs");
    let header = fs::read(machine.segment()).unwrap()[..30].to_vec();
    for bytes in [&b""[..], &header] {
        fs::write(&next, bytes).unwrap();
        for command in ["verify", "inspect", "status", "rejected", "export"] {
            machine.evs(command, &["--json"]).expect(Exit::Fine);
        }
    }
}

#[test]
fn missing_and_misnamed_segments_are_found() {
    let machine = Machine::new();
    for part in 0..3 {
        machine.log(part * 10..(part + 1) * 10);
        machine.count_with(machine.builder().segment_bytes_max(4096));
    }
    let second = machine.root.join("state/binlog-0000000000000002.evs");
    machine.evs("verify", &[]).expect(Exit::Fine);
    fs::rename(&second, machine.root.join("state/binlog-2.evs")).unwrap();
    let report = machine.evs("verify", &["--json"]);
    assert_eq!(report.exit, Exit::Findings);
    assert!(report.out.contains("binlog-2.evs is not the segment that its name says"), "{}", report.out);
    assert!(report.out.contains("binlog-0000000000000002.evs is missing"), "{}", report.out);
    // The newest segment has the whole state.
    let status = machine.evs("status", &["--json"]);
    assert_eq!((status.exit, &status.json()[0]["counters"]["lines"]), (Exit::Findings, &30.into()));
}

#[test]
fn text_of_the_log_cannot_act_on_a_terminal() {
    let machine = Machine::new();
    machine.append(&line(9, "/\u{1b}[2J\u{202e}x"));
    machine.append("\u{1b}]0;owned\u{7}\u{9b}31m");
    machine.count();
    let log = machine.log_path();
    let place = format!("{}:0", log.display());
    let bad = line(9, "").len() + "/\u{1b}[2J\u{202e}x".len() + 1;
    let rejected_place = format!("{}:{bad}", log.display());
    let ran = [
        machine.evs("inspect", &["--rows"]),
        machine.evs("rejected", &[]),
        machine.evs("rejected", &["--count"]),
        machine.evs("rejected", &["--json"]),
        machine.evs("export", &["--json"]),
        machine.evs("trace", &[&place, "--format", crate::support::FORMAT]),
        machine.evs("trace", &[&rejected_place, "--json"]),
    ];
    for ran in &ran {
        assert!(!ran.out.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\u{7}']), "{ran:?}");
        assert!(ran.out.to_lowercase().contains("1b"), "{ran:?}");
    }
    assert!(ran[0].out.contains(r"/\x1B[2J\u{202E}x"), "{}", ran[0].out);
    let rows = ran[4].json();
    let error = rows.iter().find(|row| row["statistic"] == "errors").unwrap();
    assert_eq!(error["keys"]["uri"], "/\u{1b}[2J\u{202e}x");
}

/// A pipe whose reader goes after some bytes.
struct Closed(usize);

impl Write for Closed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 < bytes.len() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let machine = Machine::counted();
    let state = machine.state();
    for command in ["inspect", "verify", "rejected", "export", "status"] {
        let mut err = Vec::new();
        let exit = run(["evs", command, &state, "--json"], &mut Closed(10), &mut err);
        assert!(exit == Exit::Fine && err.is_empty(), "{command}: {exit:?} {err:?}");
    }
}
