//! Notices that a log has another format than the one that its lines are read by.
//!
//! Single bad lines are normal: strangers send anything. But if all of the first lines of a run are rejected, or most lines
//! of a minute, then the format is wrong, or it was changed. Nobody looks at the file of rejected lines as long as nobody
//! knows that.
//!
//! Lines of JSON, LTSV and W3C name their fields. There, a statistic of a field whose name is mistaken counts `-` and zeros: if
//! none of the first lines has a field, that is told as well.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use crate::{binlog::RejectedLine, counters::Counters};

/// The number of lines at the start of a run that shows if the format is that of the log.
const FIRST_LINES: u64 = 1000;
/// The interval over which lines are counted.
const INTERVAL: Duration = Duration::from_secs(60);
/// The length of the part of a line that is shown.
const EXAMPLE_BYTES_MAX: usize = 200;

/// The lines of a run, as far as they tell that the format is wrong.
#[derive(Debug)]
pub(super) struct Mismatch {
    /// The end of the current interval. `None` during the first lines.
    until: Option<Instant>,
    lines: u64,
    rejected: u64,
    /// By reason, the number of lines that were kept and the first of them.
    reasons: HashMap<String, (u64, String)>,
    /// The fields that no line has had yet, by their indices. Empty after the first lines.
    missing: BTreeMap<usize, String>,
}

impl Mismatch {
    /// A run begins. Each of the fields should be in some line.
    pub(super) fn new(missing: BTreeMap<usize, String>) -> Self {
        Self { until: None, lines: 0, rejected: 0, reasons: HashMap::new(), missing }
    }

    /// Adds the lines of a commit, and the fields that they have. Returns a warning if the lines so far have another format, or
    /// lack a field.
    pub(super) fn add(
        &mut self,
        counted: &Counters,
        rejected: &[RejectedLine],
        found: &[usize],
        now: Instant,
    ) -> Option<String> {
        self.lines += counted.lines;
        self.rejected += counted.rejected;
        self.missing.retain(|field, _| !found.contains(field));
        for line in rejected {
            let kept = &line.sample[..line.sample.len().min(EXAMPLE_BYTES_MAX)];
            let example = || (0, format!("column {} of {:?}", line.column, String::from_utf8_lossy(kept)));
            self.reasons.entry(line.reason.clone()).or_insert_with(example).0 += 1;
        }
        let is_over = match self.until {
            None => self.lines >= FIRST_LINES,
            Some(until) => now >= until,
        };
        is_over.then(|| self.end(now)).flatten()
    }

    /// Ends the interval, at the end of a run even if it is not over. Returns a warning if its lines have another format.
    pub(super) fn end(&mut self, now: Instant) -> Option<String> {
        let is_wrong = match self.until {
            None => self.lines > 0 && self.rejected == self.lines,
            Some(_) => self.rejected * 2 > self.lines,
        };
        let warning = if is_wrong { Some(self.warning()) } else { self.lack() };
        *self = Self { until: Some(now + INTERVAL), ..Self::new(BTreeMap::new()) };
        warning
    }

    /// The warning that lines lack fields, if they do.
    fn lack(&self) -> Option<String> {
        let names: Vec<_> = self.missing.values().map(|name| &**name).collect();
        let lines = self.lines - self.rejected;
        (lines > 0 && !names.is_empty()).then(|| {
            format!(
                "none of the first {lines} lines has the field {}, and statistics of it have no value: is that its name? \
                 LogFormat::explain tells the fields of a line",
                names.join(" or ")
            )
        })
    }

    fn warning(&self) -> String {
        let (lines, rejected) = (self.lines, self.rejected);
        // The order of a map must not decide between two reasons.
        let commonest = self.reasons.iter().max_by_key(|(reason, (count, _))| (*count, *reason));
        let why =
            commonest.map(|(reason, (_, example))| format!("; the commonest reason: {reason}: {example}"));
        let why = why.unwrap_or_default();
        format!(
            "{rejected} of {lines} lines were rejected: the log may have another format than the one named{why}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: u64, rejected: u64) -> Counters {
        Counters { lines, rejected, ..Counters::default() }
    }

    fn line(reason: &str, sample: &str) -> RejectedLine {
        RejectedLine { file: 1, offset: 0, column: 3, reason: reason.to_owned(), sample: sample.into() }
    }

    #[test]
    fn a_run_whose_first_thousand_lines_are_rejected_warns_once() {
        let (mut mismatch, now) = (Mismatch::new(BTreeMap::new()), Instant::now());
        let samples = [line("a", "x"), line("b", "y \""), line("b", "z")];
        assert_eq!(mismatch.add(&lines(999, 999), &samples, &[], now), None);
        let warning = mismatch.add(&lines(1, 1), &[], &[], now).unwrap();
        assert_eq!(
            warning,
            "1000 of 1000 lines were rejected: the log may have another format than the one named; the commonest \
             reason: b: column 3 of \"y \\\"\""
        );
        assert_eq!(mismatch.add(&lines(1000, 1000), &samples, &[], now), None, "the minute is not over");
        assert!(mismatch.end(now).is_some(), "it ends early with the run");
        let mut mismatch = Mismatch::new(BTreeMap::new());
        assert_eq!(mismatch.add(&lines(1000, 999), &samples, &[], now), None);
    }

    #[test]
    fn a_short_run_with_nothing_but_rejects_warns_at_its_end() {
        let (mut mismatch, now) = (Mismatch::new(BTreeMap::new()), Instant::now());
        assert_eq!(mismatch.add(&lines(2, 2), &[line("a", "")], &[], now), None);
        assert!(mismatch.end(now).unwrap().starts_with("2 of 2 lines were rejected"));
        assert_eq!(mismatch.end(now), None);
        assert_eq!(Mismatch::new(BTreeMap::new()).end(now), None, "an empty run");
    }

    #[test]
    fn a_minute_with_more_bad_lines_than_good_ones_warns() {
        let (mut mismatch, start) = (Mismatch::new(BTreeMap::new()), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(mismatch.add(&lines(5000, 100), &[], &[], start), None);
        for (seconds, rejected, warns) in
            [(30, 60, false), (61, 60, true), (90, 49, false), (122, 49, false), (185, 51, true)]
        {
            let warning = mismatch.add(&lines(100, rejected), &[line("a", "")], &[], at(seconds));
            assert_eq!(warning.is_some(), warns, "after {seconds} seconds: {warning:?}");
        }
    }

    #[test]
    fn a_field_that_none_of_the_first_lines_has_is_told() {
        let names = || BTreeMap::from([(0, "status".to_owned()), (2, "hots".to_owned())]);
        let (mut mismatch, now) = (Mismatch::new(names()), Instant::now());
        assert_eq!(mismatch.add(&lines(600, 1), &[], &[], now), None);
        let warning = mismatch.add(&lines(400, 1), &[], &[0], now).unwrap();
        assert!(warning.starts_with("none of the first 998 lines has the field hots, and"), "{warning}");
        assert_eq!(mismatch.add(&lines(1000, 0), &[], &[], now), None, "only the first lines");
        assert_eq!(mismatch.end(now), None);
        let mut mismatch = Mismatch::new(names());
        assert_eq!(mismatch.add(&lines(3, 0), &[], &[2], now), None);
        assert!(mismatch.end(now).unwrap().contains("none of the first 3 lines has the field status,"));
        let mut mismatch = Mismatch::new(names());
        assert_eq!(mismatch.add(&lines(1000, 0), &[], &[2, 0], now), None);
        assert_eq!(Mismatch::new(names()).end(now), None, "an empty run");
    }
}
