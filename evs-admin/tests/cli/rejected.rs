use std::fs;

use evs_admin::cli::Exit;

use crate::support::Machine;

fn with_rejected() -> Machine {
    let machine = Machine::new();
    machine.log(0..3);
    machine.append("nonsense");
    machine.append("::1 [yesterday] 200 5 /");
    machine.append("::1 [today] 200 5 /");
    machine.count();
    machine
}

#[test]
fn rejected_lines_are_listed_and_counted_by_reason() {
    let machine = with_rejected();
    let text = machine.evs("rejected", &[]).expect(Exit::Fine);
    assert!(
        text.contains("nonsense") && text.ends_with("3 of 6 lines were rejected since the beginning\n"),
        "{text}"
    );
    let lines = machine.evs("rejected", &["--json"]).json();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[1]["line"], &lines[0]["file"]),
        (&"::1 [yesterday] 200 5 /".into(), &machine.log_path().display().to_string().into())
    );
    let counts = machine.evs("rejected", &["--json", "--count"]).json();
    let total: u64 = counts.iter().map(|count| count["lines"].as_u64().unwrap()).sum();
    assert_eq!(total, 3);
    let reason = counts[0]["reason"].as_str().unwrap();
    assert_eq!((&counts[0]["lines"], counts.len()), (&2.into(), 2), "{counts:?}");
    let chosen = machine.evs("rejected", &["--json", "--reason", reason]).json();
    assert_eq!(chosen.len(), 2);
    assert_eq!(machine.evs("rejected", &["--json", "--limit", "1"]).json().len(), 1);
}

#[test]
fn lines_of_the_last_commit_are_there_even_if_a_crash_kept_them_from_the_file() {
    let machine = with_rejected();
    let all = machine.evs("rejected", &["--json"]).json();
    let path = machine.root.join("state/rejected-0.jsonl");
    let bytes = fs::read(&path).unwrap();
    // The process may die at any byte of the write.
    for len in 0..bytes.len() {
        fs::write(&path, &bytes[..len]).unwrap();
        assert_eq!(machine.evs("rejected", &["--json"]).json(), all, "{len} bytes");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(machine.evs("rejected", &["--json"]).json(), all);
}

#[test]
fn a_damaged_line_is_a_finding_and_the_others_are_listed() {
    let machine = with_rejected();
    let path = machine.root.join("state/rejected-0.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{{nothing\n{text}")).unwrap();
    let ran = machine.evs("rejected", &["--json"]);
    assert_eq!((ran.exit, ran.json().len()), (Exit::Findings, 4));
    assert_eq!(machine.evs("verify", &["--level", "frame"]).exit, Exit::Fine);
    assert_eq!(machine.evs("verify", &["--level", "batch"]).exit, Exit::Findings);
}
