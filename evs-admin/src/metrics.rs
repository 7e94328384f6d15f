//! The numbers of all pipelines as metrics, in the text format of Prometheus.
//!
//! Names have the prefix `evs_`, base units, and `_total` for counters. Labels are the source, the sink, the statistic, a state
//! or a reason: never a path or a key of the log, which would make as many series as clients want.
//!
//! The format: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use std::{
    fmt::{self, Write},
    time::{Duration, SystemTime},
};

use evs_core::{Phase, SinkState, SinkStatus, StatisticStatus, Status, Timing};

use crate::cockpit::{SourceState, SourceStatus};

/// A metric with its samples.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    samples: String,
}

/// All metrics, in the order in which they were first given.
#[derive(Default)]
struct Families(Vec<Family>);

/// The labels of a sample.
type Labels<'l> = &'l [(&'static str, &'l str)];

impl Families {
    fn add(&mut self, name: &'static str, kind: &'static str, help: &'static str) -> &mut String {
        let at = self.0.iter().position(|family| family.name == name).unwrap_or_else(|| {
            self.0.push(Family { name, kind, help, samples: String::new() });
            self.0.len() - 1
        });
        &mut self.0[at].samples
    }

    fn counter(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, value: u64) {
        write_sample(self.add(name, "counter", help), name, labels, &value);
    }

    fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        value: impl fmt::Display,
    ) {
        write_sample(self.add(name, "gauge", help), name, labels, &value);
    }

    /// A gauge of which the value is not known: it has no sample.
    fn seconds(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        value: Option<Duration>,
    ) {
        let samples = self.add(name, "gauge", help);
        if let Some(value) = value {
            write_sample(samples, name, labels, &value.as_secs_f64());
        }
    }

    fn time(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, time: Option<SystemTime>) {
        let since_1970 = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        self.seconds(name, help, labels, since_1970);
    }

    fn histogram(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, timing: &Timing) {
        let samples = self.add(name, "histogram", help);
        let mut count = 0;
        for (bound, calls) in Timing::BOUNDS.iter().zip(timing.buckets) {
            count += calls;
            let bound = bound.to_string();
            let labels: Vec<_> = labels.iter().copied().chain([("le", &*bound)]).collect();
            write_sample(samples, format_args!("{name}_bucket"), &labels, &count);
        }
        let labels_of_all: Vec<_> = labels.iter().copied().chain([("le", "+Inf")]).collect();
        write_sample(samples, format_args!("{name}_bucket"), &labels_of_all, &timing.count);
        write_sample(samples, format_args!("{name}_sum"), labels, &timing.sum.as_secs_f64());
        write_sample(samples, format_args!("{name}_count"), labels, &timing.count);
    }
}

/// Writes one line. Writing to a string cannot fail.
fn write_sample(to: &mut String, name: impl fmt::Display, labels: Labels<'_>, value: &impl fmt::Display) {
    let _ = write!(to, "{name}");
    for (at, (label, text)) in labels.iter().enumerate() {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(to, "{}{label}=\"{text}\"", if at == 0 { "{" } else { "," });
    }
    let _ = writeln!(to, "{} {value}", if labels.is_empty() { "" } else { "}" });
}

/// Returns the metrics of all sources.
pub(crate) fn text(sources: &[SourceStatus]) -> String {
    let mut families = Families::default();
    for source in sources {
        let name = &*source.source;
        let up = u8::from(source.state == SourceState::Running);
        families.gauge("evs_up", "1 while the pipeline reads its log.", &[("source", name)], up);
        if let Some(status) = &source.status {
            add_source(&mut families, status);
            for statistic in &status.statistics {
                add_statistic(&mut families, name, statistic);
            }
            for sink in &status.sinks {
                add_sink(&mut families, name, sink);
            }
        }
    }
    let mut text = String::new();
    for Family { name, kind, help, samples } in families.0 {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}");
    }
    text
}

fn add_source(families: &mut Families, status: &Status) {
    let of = &[("source", &*status.source)];
    let epoch = status.epoch.to_string();
    let info = [("source", &*status.source), ("version", env!("CARGO_PKG_VERSION")), ("epoch", &epoch)];
    families.gauge("evs_info", "The version of evs and the epoch of the state directory.", &info, 1);
    families.time(
        "evs_start_time_seconds",
        "The start of the run, in seconds since 1970.",
        of,
        status.started,
    );
    families.counter("evs_read_lines_total", "Lines read, including rejected ones.", of, status.lines);
    families.counter("evs_read_bytes_total", "Bytes of these lines.", of, status.bytes);
    for rejected in &status.rejected_by_reason {
        let of = [("source", &*status.source), ("reason", rejected.reason)];
        let help = "Lines that were not counted, up to the last commit, by reason.";
        families.counter("evs_rejected_lines_total", help, &of, rejected.lines);
    }
    let help = "Bytes of the log that vanished before they were read.";
    families.counter("evs_lost_bytes_total", help, of, status.lost_bytes);
    let help = "Lines whose time is more than a day ahead of the clock.";
    families.counter("evs_ahead_lines_total", help, of, status.ahead);
    let help = "Values that lenient measures left out.";
    families.counter("evs_bad_values_total", help, of, status.bad_values);
    families.gauge("evs_unread_bytes", "Bytes in the log that are not read.", of, status.behind_bytes);
    families.gauge("evs_unread_files", "Files with unread bytes.", of, status.behind_files);
    families.seconds(
        "evs_read_lag_seconds",
        "The age of the oldest unread line; 0 if all is read.",
        of,
        status.behind,
    );
    let help = "1 while reading is paused.";
    families.gauge(
        "evs_paused",
        help,
        of,
        u8::from(status.paused.is_some() && status.phase == Phase::Running),
    );
    families.gauge("evs_rows_in_memory", "Rows in memory.", of, status.rows);
    let rows_max: u64 =
        status.statistics.iter().fold(0, |sum, statistic| sum.saturating_add(statistic.rows_max));
    families.gauge("evs_rows_limit", "The limit of the rows in memory.", of, rows_max);
    families.gauge("evs_binlog_bytes", "The size of the binlog.", of, status.binlog_bytes);
    let help = "The size of the binlog at which reading pauses.";
    families.gauge("evs_binlog_limit_bytes", help, of, status.spool_bytes_max);
    let help = "The time from the beginning of a cut until it is durable.";
    families.histogram("evs_cut_seconds", help, of, &status.cut_time);
    let help = "The time that the binlog takes to write and sync a commit.";
    families.histogram("evs_fsync_seconds", help, of, &status.commit_time);
    for thread in &status.threads {
        let of = [("source", &*status.source), ("thread", &*thread.name)];
        let busy = if thread.is_waiting { Duration::ZERO } else { thread.since };
        let help = "The time since a thread began its present piece of work; 0 while it waits.";
        families.seconds("evs_thread_busy_seconds", help, &of, Some(busy));
    }
}

fn add_statistic(families: &mut Families, source: &str, statistic: &StatisticStatus) {
    let of = &[("source", source), ("statistic", &*statistic.name)];
    families.gauge("evs_statistic_rows", "Rows of a statistic in memory.", of, statistic.rows);
    let help = "The limit of a statistic's rows in memory.";
    families.gauge("evs_statistic_rows_limit", help, of, statistic.rows_max);
    families.counter("evs_batches_cut_total", "Batches that were cut.", of, statistic.batches);
    families.counter("evs_rows_cut_total", "Rows of these batches.", of, statistic.batch_rows);
    let help = "Lines past the retention of a statistic.";
    families.counter("evs_too_late_lines_total", help, of, statistic.too_late);
    let help = "Older files that a statistic still has to read.";
    families.gauge("evs_statistic_older_files", help, of, statistic.older_files);
    let help = "The last cut of a statistic, in seconds since 1970.";
    families.time("evs_last_cut_timestamp_seconds", help, of, statistic.last_cut);
}

fn add_sink(families: &mut Families, source: &str, sink: &SinkStatus) {
    let of = &[("source", source), ("sink", &*sink.name)];
    families.gauge("evs_sink_up", "1 while a sink answers.", of, u8::from(sink.state == SinkState::Up));
    for state in [SinkState::Connecting, SinkState::Up, SinkState::Down, SinkState::Stopped] {
        let name = state.to_string();
        let of = [("source", source), ("sink", &*sink.name), ("state", &*name)];
        families.gauge("evs_sink_state", "1 for the state of a sink.", &of, u8::from(sink.state == state));
    }
    let help = "The age of the oldest batch that waits for a sink; 0 if none does.";
    families.seconds("evs_sink_lag_seconds", help, of, sink.lag);
    families.gauge("evs_sink_waiting_batches", "Batches that wait for a sink.", of, sink.waiting);
    families.gauge("evs_sink_waiting_rows", "Rows of the waiting batches.", of, sink.waiting_rows);
    families.gauge("evs_sink_waiting_bytes", "Bytes of the waiting batches.", of, sink.waiting_bytes);
    families.gauge(
        "evs_sink_stopped_statistics",
        "Statistics that a sink has refused.",
        of,
        sink.stopped.len(),
    );
    families.counter("evs_sink_applied_batches_total", "Batches that a sink has applied.", of, sink.batches);
    families.counter("evs_sink_applied_rows_total", "Rows of these batches.", of, sink.rows);
    families.counter("evs_sink_retries_total", "Calls of a sink that failed.", of, sink.retries);
    families.counter(
        "evs_sink_discarded_batches_total",
        "Batches that were given up for a sink.",
        of,
        sink.discarded,
    );
    let help = "The last acknowledgement of a sink, in seconds since 1970.";
    families.time("evs_sink_last_ack_timestamp_seconds", help, of, sink.last_acknowledged);
    families.histogram(
        "evs_sink_apply_seconds",
        "The time that a sink takes to apply a batch.",
        of,
        &sink.apply_time,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = String::new();
        write_sample(&mut text, "evs_up", &[("source", "a\"b\\c\nd"), ("sink", "e")], &1);
        write_sample(&mut text, "evs_up", &[], &0.5);
        assert_eq!(text, "evs_up{source=\"a\\\"b\\\\c\\nd\",sink=\"e\"} 1\nevs_up 0.5\n");
    }

    #[test]
    fn a_family_is_in_one_piece_however_many_sources_there_are() {
        let source = |name: &str| SourceStatus {
            source: name.to_owned(),
            state: SourceState::Starting,
            since: None,
            error: None,
            status: None,
        };
        assert_eq!(
            text(&[source("a"), source("b")]),
            "# HELP evs_up 1 while the pipeline reads its log.\n# TYPE evs_up gauge\n\
             evs_up{source=\"a\"} 0\nevs_up{source=\"b\"} 0\n"
        );
    }
}
