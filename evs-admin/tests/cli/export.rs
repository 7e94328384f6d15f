use evs_admin::cli::Exit;
use evs_core::{Statistic, count, max, sum};

use crate::support::Machine;

#[test]
fn csv_has_a_header_and_a_line_for_each_row() {
    let machine = Machine::counted();
    let text = machine.evs("export", &["--statistic", "requests", "--sequence", "1..2"]).expect(Exit::Fine);
    assert_eq!(
        text,
        "statistic,sequence,window_start,status,count,bytes\n\
         requests,1,2026-11-21T13:25:00Z,200,9,36\n\
         requests,1,2026-11-21T13:25:00Z,500,1,9\n\
         requests,2,2026-11-21T13:25:00Z,200,9,126\n\
         requests,2,2026-11-21T13:25:00Z,500,1,19\n"
    );
}

#[test]
fn json_lines_have_the_fields_of_a_discarded_batch() {
    let machine = Machine::counted();
    let rows = machine.evs("export", &["--json", "--statistic", "errors", "--sequence", "3"]).json();
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["source"], &rows[0]["sequence"]), (&"web1".into(), &3.into()));
    assert_eq!((&rows[0]["keys"]["uri"], &rows[0]["measures"]["count"]), (&"/".into(), &"1".into()));
    assert_eq!(rows[0]["window_start"], 1_795_267_500);
    let all = machine.evs("export", &["--format", "jsonl"]).json();
    assert_eq!(all.len(), 9, "all statistics");
}

#[test]
fn csv_of_several_statistics_is_refused() {
    let machine = Machine::counted();
    let ran = machine.evs("export", &[]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("choose one with --statistic"), "{}", ran.err);
    let ran = machine.evs("export", &["--statistic", "nothing"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("no statistic nothing"), "{}", ran.err);
}

#[test]
fn a_statistic_with_other_columns_ends_a_csv_file() {
    let machine = Machine::counted();
    machine.log(30..40);
    let slowest = Statistic::named("requests")
        .group_by(["status"])
        .measure(count())
        .measure(sum("body_bytes_sent").named("bytes"))
        .measure(max("body_bytes_sent").named("largest"))
        .redefine(true);
    machine.count_with(machine.empty_builder().statistic(slowest));
    let ran = machine.evs("export", &["--statistic", "requests"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("from batch 4 on, requests has other columns"), "{}", ran.err);
    assert!(ran.out.contains("requests,3,") && !ran.out.contains("requests,4,"), "{}", ran.out);
    let text = machine.evs("export", &["--statistic", "requests", "--sequence", "4.."]).expect(Exit::Fine);
    assert!(text.starts_with("statistic,sequence,window_start,status,count,bytes,largest\n"), "{text}");
    assert_eq!(machine.evs("export", &["--json", "--statistic", "requests"]).json().len(), 8);
}

#[test]
fn batches_that_were_asked_for_and_are_not_there_are_named() {
    let machine = Machine::counted();
    for (range, said) in
        [("2..7", "batches 4..7: they are not cut yet"), ("8..9", "batches 8..9: the binlog does not have")]
    {
        let ran = machine.evs("export", &["--statistic", "requests", "--sequence", range]);
        assert_eq!(ran.exit, Exit::Findings);
        assert!(ran.err.contains(said), "{}", ran.err);
    }
}
