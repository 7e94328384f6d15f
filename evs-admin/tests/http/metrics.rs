//! `/metrics`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
    sync::atomic::Ordering::SeqCst,
};

use super::*;

/// Reads metrics from the standard input as Prometheus does, and writes each sample as a line.
const READER: &str = "
import sys
from prometheus_client.parser import text_string_to_metric_families
names = set()
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.type != 'unknown' and family.documentation, family
    assert family.name not in names, family
    names.add(family.name)
    for sample in family.samples:
        labels = ','.join(f'{name}={value}' for name, value in sorted(sample.labels.items()))
        print(f'{sample.name}[{labels}]\\t{sample.value}')
";

/// Returns the samples by name and labels.
fn read(text: &str) -> Option<BTreeMap<String, f64>> {
    let Ok(python) = std::env::var("EVS_PYTHON") else {
        evs_testkit::services::skip("python", "EVS_PYTHON is not set");
        return None;
    };
    let mut reader = Command::new(python);
    let mut reader =
        reader.args(["-c", READER]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    reader.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let sample = |line: &str| {
        let (name, value) = line.split_once('\t').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    Some(lines.lines().map(sample).collect())
}

/// Returns the name of the histogram of which a name is a part, or the name itself.
fn of_histogram(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name)
}

/// Returns the names of metrics in a text, without what a histogram adds to its own.
fn names(text: &str) -> BTreeSet<&str> {
    let is_word = |character: char| character.is_ascii_lowercase() || character == '_';
    let words = text.split(|character| !is_word(character)).filter(|word| word.starts_with("evs_"));
    words.map(of_histogram).filter(|name| !["evs_admin", "evs_core", "evs_progress"].contains(name)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_for_operators_and_the_alerts_name_the_metrics_that_there_are() {
    let running = Running::new().await;
    running.deliver(&(line("GET / HTTP/1.1", 200) + "x\n")).await;
    let text = get(running.client, "/metrics").await.body;
    let page = include_str!("../../../docs/operating.md");
    assert_eq!(names(&text), names(page));
    let alerts = names(include_str!("../../../examples/deploy/alerts.yml"));
    assert!(!alerts.is_empty() && alerts.is_subset(&names(&text)), "{alerts:?}");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_the_metrics_and_they_are_those_of_the_status() {
    let running = Running::new().await;
    running.deliver(&(line("GET / HTTP/1.1", 200).repeat(3) + "x\n")).await;
    let answer = get(running.client, "/metrics").await;
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    assert!(!answer.body.contains("GET"), "no text of the log is in a label");
    let Some(samples) = read(&answer.body) else { return };
    let of = |name: &str| samples.get(name).copied().unwrap_or_else(|| panic!("{name}: {samples:#?}"));
    assert_eq!(of("evs_read_lines_total[source=web1]"), 4.0);
    assert_eq!(of("evs_rejected_lines_total[reason=unterminated,source=web1]"), 1.0);
    assert_eq!(of("evs_up[source=web1]"), 1.0);
    assert_eq!(of("evs_sink_up[sink=reports,source=web1]"), 1.0);
    assert_eq!(of("evs_sink_state[sink=reports,source=web1,state=up]"), 1.0);
    assert_eq!(of("evs_sink_state[sink=reports,source=web1,state=down]"), 0.0);
    assert_eq!(of("evs_sink_lag_seconds[sink=reports,source=web1]"), 0.0);
    let status = running.pipeline.status();
    let batches = status.sinks[0].batches as f64;
    assert_eq!(of("evs_sink_applied_batches_total[sink=reports,source=web1]"), batches);
    assert_eq!(of("evs_batches_cut_total[source=web1,statistic=requests]"), batches);
    assert_eq!(of("evs_sink_apply_seconds_count[sink=reports,source=web1]"), batches);
    assert_eq!(of("evs_sink_apply_seconds_bucket[le=+Inf,sink=reports,source=web1]"), batches);
    assert_eq!(of("evs_binlog_limit_bytes[source=web1]"), status.spool_bytes_max as f64);
    assert_eq!(of("evs_start_time_seconds[source=web1]").floor(), {
        let started = status.started.unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        started.as_secs() as f64
    });

    running.sink.is_down.store(true, SeqCst);
    running.machine.append(&line("GET / HTTP/1.1", 200));
    until(&running.pipeline, "late", |status| status.sinks[0].lag >= Some(Duration::from_secs(1))).await;
    let samples = read(&get(running.client, "/metrics").await.body).unwrap();
    assert_eq!(samples["evs_sink_up[sink=reports,source=web1]"], 0.0);
    assert_eq!(samples["evs_sink_waiting_batches[sink=reports,source=web1]"], 1.0);
    assert!(samples["evs_sink_lag_seconds[sink=reports,source=web1]"] >= 1.0);
    running.sink.is_down.store(false, SeqCst);
    running.end().await;
}
