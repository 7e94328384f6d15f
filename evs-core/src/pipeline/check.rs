//! The checks of the settings. They happen in one place, so that an error names the setting, its value and the accepted
//! range.
//!
//! A setter that checked its own value could not compare it with others, such as `spool_bytes_max` with
//! `segment_bytes_max`, and a builder whose every method can fail is tedious to use. So setters store, and `build`
//! judges before it touches the log, the state directory or a sink: after an error nothing was made.

use std::{collections::HashSet, path::Path, time::Duration};

use super::settings::Settings;
use crate::{
    Error,
    derive::Condition,
    format::{LogFormat, Reason},
    statistic::{MeasureKind, Schema, Statistic},
    tail::Glob,
};

impl Settings {
    /// Checks all settings. Returns the format and the state directory, which must be set.
    pub(super) fn check(&self) -> Result<(&LogFormat, &Path), Error> {
        self.check_limits()?;
        let log = &self.tail.path;
        if log.as_os_str().is_empty() {
            return Err(missing("tail", "the path of a log"));
        }
        if log.file_name().is_some_and(|name| name.to_str().is_none()) {
            return Err(Error::Setting {
                setting: "tail".to_owned(),
                value: format!("{log:?}"),
                expected: "a path whose last part is UTF-8, as rotated files are found by their names",
            });
        }
        if let Err(invalid) = Glob::parse(log) {
            return Err(Error::Setting {
                setting: "tail".to_owned(),
                value: invalid.to_string(),
                expected: "the path of a log, or a pattern such as /var/log/nginx/*.access.log",
            });
        }
        let format = self.format.as_ref().ok_or_else(|| missing("format", "a log format"))?;
        let state_dir = self.state_dir.as_deref().ok_or_else(|| missing("state_dir", "a directory"))?;
        if state_dir.canonicalize().is_ok_and(|real| real.parent().is_none()) {
            return Err(Error::Setting {
                setting: "state_dir".to_owned(),
                value: format!("{state_dir:?}"),
                expected: "a directory for evs alone, such as /var/lib/evs/SOURCE",
            });
        }
        self.check_names()?;
        self.statistics.iter().try_for_each(check_statistic)?;
        self.check_checks()?;
        self.check_routes()?;
        Ok((format, state_dir))
    }

    /// Checks the numbers and durations against their ranges.
    fn check_limits(&self) -> Result<(), Error> {
        let check = |ok: bool, setting: &str, value: String, expected| {
            if ok { Ok(()) } else { Err(Error::Setting { setting: setting.to_owned(), value, expected }) }
        };
        let millisecond = Duration::from_millis(1);
        check((1..=256).contains(&self.workers), "workers", self.workers.to_string(), "1 to 256")?;
        check(self.lines_per_second_max != Some(0), "lines_per_second_max", "0".to_owned(), "1 or more")?;
        check(
            (1 << 10..=64 << 20).contains(&self.tail.line_bytes_max),
            "line_bytes_max",
            self.tail.line_bytes_max.to_string(),
            "1 KiB to 64 MiB, in bytes",
        )?;
        check(
            self.cut_bytes_max >= 1 << 20,
            "cut_bytes_max",
            self.cut_bytes_max.to_string(),
            "1 MiB or more, in bytes",
        )?;
        check(
            self.binlog.segment_bytes_max >= 4096,
            "segment_bytes_max",
            self.binlog.segment_bytes_max.to_string(),
            "4 KiB or more, in bytes",
        )?;
        check(
            self.spool_bytes_max >= self.binlog.segment_bytes_max,
            "spool_bytes_max",
            self.spool_bytes_max.to_string(),
            "at least segment_bytes_max, in bytes",
        )?;
        check(
            self.rejected_bytes_max >= 4096,
            "rejected_bytes_max",
            self.rejected_bytes_max.to_string(),
            "4 KiB or more, in bytes",
        )?;
        check(
            self.poll_every >= millisecond,
            "poll_every",
            format!("{:?}", self.poll_every),
            "1 ms or more",
        )?;
        check(
            self.sink_timeout >= millisecond,
            "sink_timeout",
            format!("{:?}", self.sink_timeout),
            "1 ms or more",
        )
    }

    /// Checks that the statistics go to sinks that there are.
    fn check_routes(&self) -> Result<(), Error> {
        for statistic in &self.statistics {
            let Some(to) = &statistic.to else { continue };
            let is_sink = |name: &&String| self.sinks.iter().any(|(sink, _)| **sink == ***name);
            let error = |value: String| {
                let (setting, expected) =
                    (format!("statistic {}: to", statistic.name), "the names of sinks of this pipeline");
                Err(Error::Setting { setting, value, expected })
            };
            if to.is_empty() {
                return error("no sink".to_owned());
            }
            if let Some(unknown) = to.iter().find(|name| !is_sink(name)) {
                let sinks: Vec<&str> = self.sinks.iter().map(|(sink, _)| &**sink).collect();
                return error(format!("{unknown:?} (the sinks are {})", sinks.join(", ")));
            }
        }
        Ok(())
    }

    /// Checks the names and conditions of [`require`](super::PipelineBuilder::require).
    fn check_checks(&self) -> Result<(), Error> {
        let mut seen = HashSet::new();
        for (name, condition) in &self.checks {
            let error = |value: String, expected| {
                Err(Error::Setting { setting: format!("require {name:?}"), value, expected })
            };
            if !is_identifier(name, false) {
                return error(
                    "the name".to_owned(),
                    "1 to 63 of a-z, 0-9 and _, beginning with a letter and not with evs_",
                );
            }
            if !seen.insert(name) || Reason::is_code(name) {
                return error(
                    "the name".to_owned(),
                    "a name that no other check has, and that is no reason of evs",
                );
            }
            if let Some(mistake) = condition.mistake() {
                return error(mistake, "a condition without mistakes");
            }
        }
        Ok(())
    }

    /// Checks the names of the source, the sinks and the statistics. They become keys of rows in the stores and in the
    /// binlog. evs names no file by them, but a service may do so; every accepted name is safe for that, too.
    ///
    /// The first character is no dot, so that no name is `.` or `..`, or hides a file.
    fn check_names(&self) -> Result<(), Error> {
        const EXPECTED: &str = "1 to 64 of dots, A-Z, a-z, 0-9, _ and -, the first no dot";
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let good = |name: &str| {
            (1..=64).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('.')
        };
        let error = |setting: &str, value: &str, expected| {
            Err(Error::Setting { setting: setting.to_owned(), value: format!("{value:?}"), expected })
        };
        if !good(&self.source) {
            return error("source", &self.source, EXPECTED);
        }
        let mut seen = HashSet::new();
        for (name, _) in &self.sinks {
            if !good(name) {
                return error("sink", name, EXPECTED);
            }
            if !seen.insert(name) {
                return error("sink", name, ONCE);
            }
        }
        self.names.check(|name| self.sinks.iter().any(|(sink, _)| **sink == *name), good)?;
        let mut seen = HashSet::new();
        for statistic in &self.statistics {
            if !is_identifier(&statistic.name, false) {
                let expected = "1 to 63 of a-z, 0-9 and _, beginning with a letter and not with evs_";
                return error("statistic", &statistic.name, expected);
            }
            if !seen.insert(&statistic.name) {
                return error("statistic", &statistic.name, ONCE);
            }
        }
        if self.statistics.is_empty() {
            return Err(missing("statistic", "one or more"));
        }
        if self.sinks.is_empty() {
            return Err(missing("sink", "one or more"));
        }
        Ok(())
    }
}

/// The expectation of a name that is there twice.
const ONCE: &str = "a name that no other has";

/// Makes the error for a required setting that is missing.
fn missing(setting: &str, expected: &'static str) -> Error {
    Error::Setting { setting: setting.to_owned(), value: "not set".to_owned(), expected }
}

/// Returns whether every store accepts the name for a table or a column.
///
/// 63 bytes are PostgreSQL's limit; a longer name would be cut there, and two statistics could share a table. Names
/// that begin with `evs_` are those of evs's own tables and columns.
fn is_identifier(name: &str, upper_case: bool) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || (upper_case && b.is_ascii_uppercase());
    let allowed = |b: u8| letter(b) || b.is_ascii_digit() || b == b'_';
    (1..=63).contains(&name.len())
        && name.bytes().next().is_some_and(letter)
        && name.bytes().all(allowed)
        && !name.starts_with("evs_")
}

/// The longest time to live that every store supports; Cassandra has the lowest limit.
/// <https://cassandra.apache.org/doc/latest/cassandra/developing/cql/dml.html#time-to-live>
const RETAIN_MAX: Duration = Duration::from_secs(20 * 365 * 86_400);

/// Checks the settings of one statistic.
fn check_statistic(statistic: &Statistic) -> Result<(), Error> {
    let error = |setting: &str, value: String, expected| {
        Err(Error::Setting { setting: format!("statistic {}: {setting}", statistic.name), value, expected })
    };
    let window = statistic.window;
    if window.subsec_nanos() != 0 || !(1..=366 * 86_400).contains(&window.as_secs()) {
        return error("window", format!("{window:?}"), "whole seconds, from 1 s to 366 days");
    }
    if statistic.flush_every < Duration::from_millis(10) {
        return error("flush_every", format!("{:?}", statistic.flush_every), "10 ms or more");
    }
    if !(1..=50_000_000).contains(&statistic.rows_max) {
        return error("rows_max", statistic.rows_max.to_string(), "1 to 50,000,000");
    }
    if let Some(retain) = statistic.retain
        && (retain.subsec_nanos() != 0 || retain < window || retain > RETAIN_MAX)
    {
        return error("retain", format!("{retain:?}"), "whole seconds, from the window's length to 20 years");
    }
    if statistic.measures.is_empty() {
        return error("measure", "not set".to_owned(), "one or more of count, sum, min and max");
    }
    if let Some(mistake) = statistic.only.as_ref().and_then(Condition::mistake) {
        return error("only", mistake, "a condition without mistakes");
    }
    if statistic.sample.as_ref().is_some_and(|(one_in, _)| *one_in == 0) {
        return error("sample", "one line in 0".to_owned(), "one in 1 or more");
    }
    if let Some(keys) = statistic.top {
        if !(1..=1_000_000).contains(&keys) {
            return error("top", keys.to_string(), "1 to 1,000,000");
        }
        if !statistic.slots.is_empty() {
            return error("top", "with distinct".to_owned(), "a top list, or a distinct count");
        }
        if statistic.keys.is_empty() {
            return error("top", "without keys".to_owned(), "a statistic that is grouped by a field");
        }
        let first = statistic.measures.first().map(|measure| measure.kind);
        if !matches!(first, Some(MeasureKind::Count | MeasureKind::Sum) | None) {
            return error(
                "top",
                "of a minimum or maximum".to_owned(),
                "a count or a sum as the first measure",
            );
        }
    }
    let sampled = statistic.sample.iter().filter_map(|(_, field)| field.as_ref());
    let fields = sampled
        .chain(&statistic.keys)
        .chain(statistic.measures.iter().filter_map(|measure| measure.field.as_ref()));
    if let Some(mistake) = { fields }.find_map(|field| field.expr.mistake()) {
        return error("field", mistake, "a field without mistakes");
    }
    let schema = statistic.schema();
    let mut seen = HashSet::from(["window_start".to_owned()]);
    let keys = schema.keys.iter().map(|key| &key.name);
    for name in keys.chain(schema.measures.iter().map(|measure| &measure.name)) {
        // The comparison ignores case, since SQL ignores it in the names of columns.
        if !is_identifier(name, true) {
            let expected = "1 to 63 of letters, digits and _, beginning with a letter (`named` gives a key or \
                            measure another name)";
            return error("column", format!("{name:?}"), expected);
        }
        if !seen.insert(name.to_ascii_lowercase()) {
            let expected = "a name that no other column has, nor window_start (`named` gives a key or measure \
                            another name)";
            return error("column", format!("{name:?}"), expected);
        }
    }
    check_measures(statistic, &schema)
}

/// Checks the measures of one statistic.
fn check_measures(statistic: &Statistic, schema: &Schema) -> Result<(), Error> {
    let error = |setting: &str, value: String, expected| {
        Err(Error::Setting { setting: format!("statistic {}: {setting}", statistic.name), value, expected })
    };
    if statistic.measures.iter().any(|measure| measure.kind == MeasureKind::Count && measure.within.is_some())
    {
        return error("within", "on a count".to_owned(), "sum, min or max: a count has no values");
    }
    for range in statistic.measures.iter().filter_map(|measure| measure.within.as_ref()) {
        if range.is_empty() {
            return error("within", format!("{range:?}"), "a range from its lowest to its highest value");
        }
    }
    for measure in &schema.measures {
        if measure.kind == MeasureKind::Count && measure.scale != 0 {
            return error("scale", format!("{} of a count", measure.scale), "0: a count is a whole number");
        }
        if measure.scale > 18 {
            return error("scale", measure.scale.to_string(), "0 to 18");
        }
        if measure.kind != MeasureKind::Count && measure.field.is_empty() {
            return error("measure", format!("{:?}", measure.name), "the name of a field");
        }
    }
    Ok(())
}
