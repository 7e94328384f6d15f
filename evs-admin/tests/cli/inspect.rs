use evs_admin::cli::Exit;

use crate::support::Machine;

#[test]
fn each_frame_of_each_kind_is_shown() {
    let machine = Machine::counted();
    let text = machine.evs("inspect", &[]).expect(Exit::Fine);
    assert!(text.starts_with("segment 1: "), "{text}");
    assert!(text.contains(", version 2, epoch ") && text.contains(", source web1\n"), "{text}");
    for kind in ["snapshot", "define", "register", "batch", "settle", "acknowledge", "files"] {
        assert!(text.lines().any(|line| line.split_whitespace().nth(2) == Some(kind)), "{kind}: {text}");
    }
    let batch = text.lines().find(|line| line.contains("batch  ") && line.contains("requests")).unwrap();
    let log = machine.log_path().display().to_string();
    assert!(batch.contains(&format!("2 rows, up to {log} at byte ")), "{batch}");
}

#[test]
fn json_has_a_line_for_each_segment_and_frame_and_they_follow_each_other() {
    let machine = Machine::counted();
    let lines = machine.evs("inspect", &["--json"]).json();
    assert_eq!((&lines[0]["found"], &lines[0]["source"]), (&"segment".into(), &"web1".into()));
    let frames: Vec<_> = lines.iter().filter(|line| line["found"] == "frame").collect();
    assert_eq!(frames[0]["kind"], "snapshot");
    let batch = frames.iter().find(|frame| frame["kind"] == "batch").unwrap();
    assert_eq!((&batch["frame_checksum"], batch["checksum"].as_str().unwrap().len()), (&"valid".into(), 16));
    // A name that stands twice in an object would hide one of the values.
    let names = ["segment", "version", "kind", "synced", "checksum"].map(|name| format!("\"{name}\":"));
    for line in machine.evs("inspect", &["--json", "--rows"]).out.lines() {
        assert!(names.iter().all(|name| line.matches(name).count() <= 1), "{line}");
    }
    for pair in frames.windows(2) {
        let end = pair[0]["offset"].as_u64().unwrap() + pair[0]["bytes"].as_u64().unwrap();
        assert_eq!(pair[1]["offset"], end, "{pair:?}");
    }
    let last = frames.last().unwrap();
    assert_eq!(last["offset"].as_u64().unwrap() + last["bytes"].as_u64().unwrap(), lines[0]["bytes"]);
    let sequences: Vec<_> = frames
        .iter()
        .filter(|frame| frame["kind"] == "batch" && frame["statistic"] == "requests")
        .map(|frame| frame["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(sequences, [1, 2, 3]);
}

#[test]
fn frames_are_chosen_by_kind_statistic_and_sequence() {
    let machine = Machine::counted();
    let chosen = ["--json", "--kind", "batch", "--statistic", "errors", "--sequence", "2.."];
    let lines = machine.evs("inspect", &chosen).json();
    let frames: Vec<_> = lines.iter().filter(|line| line["found"] == "frame").collect();
    assert_eq!(frames.len(), 2);
    assert!(
        frames.iter().all(|frame| frame["statistic"] == "errors" && frame["sequence"].as_u64() >= Some(2))
    );
    let none = machine.evs("inspect", &["--json", "--segment", "7"]).expect(Exit::Fine);
    assert_eq!(none, "");
    assert_eq!(machine.evs("inspect", &["--sequence", "9..3"]).exit, Exit::Usage);
}

#[test]
fn rows_stand_below_their_batch_and_add_up() {
    let machine = Machine::counted();
    let lines =
        machine.evs("inspect", &["--json", "--rows", "--kind", "batch", "--statistic", "requests"]).json();
    let rows: Vec<_> = lines.iter().filter(|line| line["found"] == "row").collect();
    let sum = |status: &str| -> u64 {
        let of = rows.iter().filter(|row| row["keys"]["status"] == status);
        of.map(|row| row["measures"]["count"].as_str().unwrap().parse::<u64>().unwrap()).sum()
    };
    assert_eq!((sum("200"), sum("500")), (27, 3));
    let text = machine.evs("inspect", &["--rows", "--kind", "batch", "--sequence", "1"]).expect(Exit::Fine);
    assert!(text.contains("2026-11-21T13:25:00Z"), "{text}");
}

#[test]
fn stats_count_the_frames_of_each_kind() {
    let machine = Machine::counted();
    let all = machine.evs("inspect", &["--json"]).json();
    let batches = all.iter().filter(|line| line["kind"] == "batch").count() as u64;
    let stats = machine.evs("inspect", &["--json", "--stats"]).json();
    let found = stats.iter().find(|line| line["kind"] == "batch").unwrap();
    assert_eq!((found["frames"].as_u64(), &found["found"]), (Some(batches), &"stats".into()));
    let text = machine.evs("inspect", &["--stats"]).expect(Exit::Fine);
    assert!(text.contains("kind") && text.contains("acknowledge"), "{text}");
}
