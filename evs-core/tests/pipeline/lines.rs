//! Lines that are rejected or too late, and where they are kept.

use evs_core::{Begin, Measure};

use super::*;

/// Long enough for lines of 2099, and too short for those of 2001.
const RETAIN: Duration = Duration::from_secs(20 * 365 * 86_400);

fn line_of(year: &str, status: u16) -> String {
    line(status, 1).replace("2026", year)
}

#[tokio::test]
async fn rejected_lines_are_kept_with_their_place_and_reason() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&(line(200, 10) + "nonsense \u{1}\n" + &line(200, 10).replace("21/Nov", "31/Feb")));
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    let rejected = fs::read_to_string(machine.state().join("rejected-0.jsonl")).unwrap();
    let rejected: Vec<serde_json::Value> =
        rejected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rejected.len(), 2);
    assert_eq!(rejected[0]["line"], "nonsense \u{1}");
    assert_eq!(rejected[0]["offset"], line(200, 10).len());
    assert!(rejected[0]["file"].as_str().unwrap().ends_with("access.log"));
    assert_eq!(rejected[1]["column"], 10);
}

#[tokio::test]
async fn a_value_that_a_lenient_measure_cannot_count_takes_out_nothing_else() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let sums = |name: &str, measure: Measure| {
        Statistic::named(name).group_by(["kind"]).measure(count()).measure(measure)
    };
    let build = |measure: Measure| {
        let builder = Pipeline::builder("web1").tail(machine.log()).format(LogFormat::json());
        let builder = builder.statistic(sums("prices", measure)).sink("memory", sink.clone());
        builder.begin(Begin::Oldest).state_dir(machine.state())
    };
    for price in ["1.5", "\"free\"", "200", "2.25"] {
        machine.append(&format!("{{\"time\":1795246822,\"kind\":\"book\",\"price\":{price}}}\n"));
    }
    let price = || sum("price").scale(2).within(0..=100);
    let summary = run_to_end(build(price().lenient())).await.unwrap();
    assert_eq!((summary.lines, summary.rejected, summary.bad_values), (4, 0, 2));
    let schema = &build(price().lenient()).build().unwrap().schemas().next().cloned().unwrap();
    assert_eq!(totals_by_key(&sink, schema).await, BTreeMap::from([("book".to_owned(), vec![4, 375])]));
    assert!(matches!(build(price()).build(), Err(Error::Redefined { .. })), "it is part of the definition");
}

#[tokio::test]
async fn a_line_whose_window_is_past_its_retention_is_too_late_for_that_statistic() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let builder = || {
        let kept = by_status("kept").retain(RETAIN);
        machine.pipeline().statistic(kept).sink("memory", sink.clone())
    };
    machine.append(&(line_of("2001", 200) + "nonsense\n" + &line_of("2099", 200)));
    let summary = run_to_end(builder()).await.unwrap();
    assert_eq!((summary.lines, summary.rejected, summary.too_late), (3, 1, 1));
    machine.append(&(line_of("2001", 404) + &line_of("2001", 404) + &line_of("2099", 404)));
    let pipeline = builder().build().unwrap();
    let summary = pipeline.run_to_end(pending()).await.unwrap();
    assert_eq!((summary.lines, summary.too_late, pipeline.status().too_late), (3, 2, 2));
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 2), ("404", 3, 3)]));
    assert_eq!(totals(&sink, "kept").await, of([("200", 1, 1), ("404", 1, 1)]));
}

#[tokio::test]
async fn windows_past_a_retention_that_is_set_later_are_swept_away() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&(line_of("2001", 200) + &line_of("2099", 200)));
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 2)]));
    let others = by_status("others");
    let builder = Pipeline::builder("web1").tail(machine.log()).format(LogFormat::common());
    let builder = builder.statistic(by_status("requests").retain(RETAIN)).statistic(others);
    let pipeline = builder.sink("memory", sink.clone()).state_dir(machine.state()).build().unwrap();
    let drive = async {
        machine.append(&line_of("2099", 404));
        let expected = of([("200", 1, 1), ("404", 1, 1)]);
        let started = std::time::Instant::now();
        while totals(&sink, "requests").await != expected {
            assert!(started.elapsed() < Duration::from_secs(60), "not swept: {:#?}", pipeline.status());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let summary = pipeline.run(drive).await.unwrap();
    assert_eq!((summary.lines, summary.too_late, summary.is_complete), (1, 0, true));
}

#[tokio::test]
async fn a_run_to_the_end_of_no_log_is_an_error() {
    let machine = Machine::new();
    let error = run_to_end(machine.pipeline().sink("memory", MemorySink::new())).await.unwrap_err();
    assert!(matches!(&error, Error::Setting { setting, .. } if setting == "tail"), "{error:?}");
}

#[tokio::test]
async fn a_file_of_rejected_lines_that_was_removed_begins_anew() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append("nonsense\n");
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    fs::remove_file(machine.state().join("rejected-0.jsonl")).unwrap();
    machine.append("more nonsense\n");
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    let rejected = fs::read_to_string(machine.state().join("rejected-0.jsonl")).unwrap();
    assert!(rejected.starts_with('{') && rejected.contains("more nonsense"), "{rejected:?}");
}

#[tokio::test]
async fn without_samples_nothing_of_a_rejected_line_is_kept_anywhere() {
    for keep in [true, false] {
        let (machine, sink) = (Machine::new(), TestSink::default());
        machine.append(&line(200, 1));
        machine.append("::1 - - [no time] \"GET /?token=geheim HTTP/1.1\" 200 1\n");
        let summary = run_to_end(machine.pipeline().keep_samples(keep).sink("memory", sink)).await.unwrap();
        assert_eq!((summary.lines, summary.rejected), (2, 1));
        let rejected = fs::read_to_string(machine.state().join("rejected-0.jsonl")).unwrap();
        assert_eq!(rejected.lines().count(), 1, "it is noted where it was, and why: {rejected}");
        assert!(rejected.contains(&format!("\"offset\":{}", line(200, 1).len())), "{rejected}");
        let holds_it = |entry: io::Result<fs::DirEntry>| {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(6).any(|window| window == b"geheim")
        };
        assert_eq!(fs::read_dir(machine.state()).unwrap().any(holds_it), keep);
    }
}
