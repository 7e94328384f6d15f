use std::fs;

use evs_admin::cli::Exit;
use serde_json::Value;

use crate::support::{FORMAT, Machine, line};

/// Returns the place of the line with that number, if all lines before it are of [`Machine::log`].
fn place(machine: &Machine, number: u64) -> String {
    let offset: usize = (0..number).map(|number| line(number, "/").len() + 1).sum();
    format!("{}:{}", machine.log_path().display(), offset + 3)
}

fn statistic<'r>(report: &'r Value, name: &str) -> &'r Value {
    report["statistics"].as_array().unwrap().iter().find(|part| part["statistic"] == name).unwrap()
}

#[test]
fn a_line_leads_to_its_batch_and_sinks_and_row() {
    let machine = Machine::counted();
    for (number, batch) in [(0, 1), (9, 1), (10, 2), (29, 3)] {
        let ran = machine.evs("trace", &[&place(&machine, number), "--json", "--format", FORMAT]);
        let report = ran.json().remove(0);
        assert_eq!(
            (&report["number"], &report["standing"], ran.exit),
            (&1.into(), &"open".into(), Exit::Fine)
        );
        assert_eq!(report["line"], line(number, "/"));
        let part = statistic(&report, "requests");
        assert_eq!((&part["fate"], &part["stretch"]["first"]), (&"counted".into(), &batch.into()), "{part}");
        assert_eq!(
            (&part["sinks"][0]["sink"], &part["sinks"][0]["fate"]),
            (&"memory".into(), &"acknowledged".into())
        );
        let expected = if number % 10 == 9 { "1" } else { "9" };
        let row = part["read"]["row"].as_array().unwrap();
        assert_eq!(row[0], serde_json::json!(["count", expected]), "{part}");
        // The row of another line has the same key; whether the condition selects this line is not computed.
        let read = &statistic(&report, "errors")["read"];
        assert_eq!(
            (&read["row"][0], &read["condition"]),
            (&serde_json::json!(["count", "1"]), &"status >= 500".into())
        );
    }
    let text = machine.evs("trace", &[&place(&machine, 10), "--format", FORMAT]).expect(Exit::Fine);
    for said in ["its stretch of the log is batch 2", "memory has acknowledged it", "status=200", "count=9"] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn what_waits_and_what_is_not_read_is_said() {
    let machine = Machine::counted();
    machine.log(30..40);
    machine.count_undelivered();
    machine.log(40..50);
    let waiting = machine.evs("trace", &[&place(&machine, 31), "--json"]).json().remove(0);
    let part = statistic(&waiting, "requests");
    assert_eq!((&part["stretch"]["last"], &part["sinks"][0]["fate"]), (&4.into(), &"waiting".into()));
    let unread = machine.evs("trace", &[&place(&machine, 45), "--json"]).json().remove(0);
    assert_eq!(statistic(&unread, "requests")["fate"], "unread");
    let beyond =
        machine.evs("trace", &["--file", machine.log_path().to_str().unwrap(), "--offset", "9999999"]);
    assert_eq!(beyond.exit, Exit::CouldNotLook);
    assert!(beyond.err.contains("ends before byte 9999999"), "{}", beyond.err);
}

#[test]
fn a_file_is_known_by_its_bytes_under_another_name() {
    let machine = Machine::counted();
    let other = machine.root.join("copied-elsewhere");
    fs::copy(machine.log_path(), &other).unwrap();
    let report = machine.evs("trace", &[&format!("{}:5", other.display()), "--json"]).json().remove(0);
    assert_eq!(statistic(&report, "requests")["stretch"]["first"], 1);
    fs::write(&other, "something else\n").unwrap();
    let report = machine.evs("trace", &[&format!("{}:5", other.display()), "--json"]).json().remove(0);
    assert_eq!((&report["standing"], &report["number"]), (&"unknown".into(), &Value::Null));
}

#[test]
fn a_rotated_file_keeps_its_batches() {
    let machine = Machine::counted();
    fs::rename(machine.log_path(), machine.root.join("access.log.1")).unwrap();
    machine.log(30..40);
    machine.count_with(machine.builder().grace(std::time::Duration::ZERO));
    let old = format!("{}:5", machine.root.join("access.log.1").display());
    let report = machine.evs("trace", &[&old, "--json"]).json().remove(0);
    assert_eq!(
        (&report["number"], &statistic(&report, "requests")["stretch"]["first"]),
        (&1.into(), &1.into())
    );
    let new = format!("{}:5", machine.log_path().display());
    let report = machine.evs("trace", &[&new, "--json"]).json().remove(0);
    assert_eq!(
        (&report["number"], &statistic(&report, "requests")["stretch"]["first"]),
        (&2.into(), &4.into())
    );
}

#[test]
fn a_rejected_line_has_its_reason() {
    let machine = Machine::counted();
    let offset = fs::metadata(machine.log_path()).unwrap().len();
    machine.append("nonsense");
    machine.count();
    let place = format!("{}:{}", machine.log_path().display(), offset + 4);
    let report = machine.evs("trace", &[&place, "--json"]).json().remove(0);
    assert_eq!((&report["rejected"]["line"], &report["line_offset"]), (&"nonsense".into(), &offset.into()));
    let text = machine.evs("trace", &[&place]).expect(Exit::Fine);
    assert!(text.contains("REJECTED at column "), "{text}");
    let fine = machine.evs("trace", &[&self::place(&machine, 3), "--json"]).json().remove(0);
    assert!(fine["rejected"].is_null());
}

#[test]
fn a_batch_that_the_binlog_has_removed_is_not_made_up() {
    let machine = Machine::new();
    for part in 0..3 {
        machine.log(part * 10..(part + 1) * 10);
        machine.count_with(
            machine.builder().segment_bytes_max(4096).keep_acknowledged(std::time::Duration::ZERO),
        );
    }
    let status = machine.evs("status", &["--json"]).json().remove(0);
    assert_ne!(status["statistics"][1]["first_sequence"], 1, "{status}");
    let report = machine.evs("trace", &[&place(&machine, 3), "--json"]).json().remove(0);
    assert_eq!(statistic(&report, "requests")["fate"], "removed", "{report}");
    assert!(statistic(&report, "requests")["stretch"].is_null());
}

#[test]
fn a_line_of_one_of_many_logs_leads_to_its_batches() {
    let machine = Machine::new();
    let log = |n: u64| machine.root.join(format!("{n}.access.log"));
    for part in 0..3 {
        // More than 16 files have positions with numbers.
        for n in 0..20 {
            let mut text = fs::read_to_string(log(n)).unwrap_or_default();
            text.push_str(&format!("{}\n", line(part * 7, &format!("/{n}"))));
            fs::write(log(n), text).unwrap();
        }
        machine.count_with(machine.builder().tail(machine.root.join("*.access.log")));
    }
    let text = machine.evs("inspect", &["--kind", "move"]).expect(Exit::Fine);
    assert!(text.contains("position 1: the beginning with 20 files"), "{text}");
    let text = machine.evs("verify", &[]).expect(Exit::Fine);
    assert!(text.contains(" 20 positions in the log"), "{text}");
    for (offset, batch) in [(3, 1), (40, 2), (76, 3)] {
        let place = format!("{}:{offset}", log(13).display());
        let report = machine.evs("trace", &[&place, "--json", "--format", FORMAT]).json().remove(0);
        let part = statistic(&report, "requests");
        assert_eq!(
            (&part["fate"], &part["stretch"]["first"]),
            (&"counted".into(), &batch.into()),
            "{report}"
        );
        assert!(report["line"].as_str().unwrap().ends_with("/13"), "{report}");
    }
}

#[test]
fn a_place_that_is_none_is_a_usage_error() {
    let machine = Machine::counted();
    for wrong in [
        &["access.log"][..],
        &["access.log:x"],
        &[],
        &["a:1", "--file", "a", "--offset", "1"],
        &["--file", "a"],
    ] {
        assert_eq!(machine.evs("trace", wrong).exit, Exit::Usage, "{wrong:?}");
    }
    assert_eq!(machine.evs("trace", &["/none/access.log:1"]).exit, Exit::CouldNotLook);
}
