use evs_admin::cli::Exit;

use crate::support::{FORMAT, evs};

#[test]
fn a_line_is_explained_and_a_rejected_one_is_a_finding() {
    let good = "::1 [2026-11-21T13:25:22Z] 200 5 /";
    let text = evs(&["explain", "--format", FORMAT, good]).expect(Exit::Fine);
    assert!(text.contains("  remote_addr = ::1\n") && text.contains("accepted: "), "{text}");
    let bad = "::1 [yesterday] 200 5 /";
    let ran = evs(&["explain", "--format", FORMAT, good, bad]);
    assert_eq!(ran.exit, Exit::Findings);
    assert!(ran.out.contains("rejected at time_iso8601: "), "{}", ran.out);
    let lines = evs(&["explain", "--json", "--format", FORMAT, good, bad]).json();
    assert_eq!((&lines[0]["is_rejected"], &lines[1]["is_rejected"]), (&false.into(), &true.into()));
    assert_eq!(lines[1]["line"], bad);
}

#[test]
fn a_line_depends_on_the_one_that_names_its_fields() {
    let fields = "#Fields: date time sc-status";
    let ran = evs(&[
        "explain",
        "--json",
        "--format",
        "w3c",
        fields,
        "2026-11-21 13:25:22 200",
        "2026-11-21 13:25:23 404",
    ]);
    let lines = ran.json();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2]["line"], "2026-11-21 13:25:23 404");
    assert_eq!(lines[2]["is_rejected"], false, "{lines:?}");
    ran.expect(Exit::Fine);
}

#[test]
fn a_line_that_says_rejected_is_not() {
    let ran = evs(&["explain", "--format", "$msec $uri", "1795246822.000 /rejected"]);
    assert_eq!(ran.exit, Exit::Fine, "{ran:?}");
    let ran = evs(&["explain", "--format", "$uri $msec", "rejected 1795246822.000"]);
    assert_eq!(ran.exit, Exit::Fine, "{ran:?}");
}

#[test]
fn a_format_that_cannot_be_used_is_a_usage_error() {
    let ran = evs(&["explain", "--format", "$status", "200"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("--format: "), "{}", ran.err);
}
