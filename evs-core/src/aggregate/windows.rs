//! Finds the windows that lines belong to.
//!
//! With windows of 60 s, for example, a line of 13:25:22 belongs to the window that starts at 13:25:00. Windows are
//! aligned to 1970-01-01T00:00:00Z, so the start is the time minus its remainder; the remainder is never negative,
//! even before 1970.
//!
//! Lines of a block are close to each other in time. If the lowest and the highest time are in one window, all lines
//! are, and no line is looked at by itself.

use super::plan::StatisticPlan;

/// The windows of some lines, for one length and retention. Mostly there is one, and seldom more than two.
#[derive(Debug)]
pub(super) struct Windows {
    /// The length of a window.
    pub(super) seconds: i64,
    /// The time for which a window is kept after its start. `None` keeps it for ever.
    retain_seconds: Option<i64>,
    /// The starts of the windows, in seconds since 1970.
    pub(super) starts: Vec<i64>,
    /// By window, true if it is past its retention. Its rows are gone, so counting would start it over with a wrong
    /// total.
    pub(super) are_past: Vec<bool>,
    /// By line, the index of its window in `starts`.
    pub(super) of_lines: Vec<u32>,
    /// The number of lines whose window is past its retention.
    pub(super) late_lines: u64,
}

impl Windows {
    /// No windows yet, for the length and retention of a statistic.
    pub(super) fn new(statistic: &StatisticPlan) -> Self {
        Self {
            seconds: statistic.window_seconds,
            retain_seconds: statistic.retain_seconds,
            starts: Vec::new(),
            are_past: Vec::new(),
            of_lines: Vec::new(),
            late_lines: 0,
        }
    }

    /// True if these windows have the length and retention of that statistic.
    pub(super) fn are_of(&self, statistic: &StatisticPlan) -> bool {
        (self.seconds, self.retain_seconds) == (statistic.window_seconds, statistic.retain_seconds)
    }

    /// The number of these lines whose window is past its retention.
    pub(super) fn late_among(&self, lines: &[u32]) -> u64 {
        if self.late_lines == 0 {
            return 0;
        }
        let is_late = |line: &&u32| self.are_past[self.of_lines[**line as usize] as usize];
        lines.iter().filter(is_late).count() as u64
    }

    /// Finds the windows of lines by their times. `now` decides which windows are past their retention.
    pub(super) fn find(&mut self, lines: &[i64], now: i64) {
        self.starts.clear();
        self.are_past.clear();
        self.of_lines.clear();
        self.late_lines = 0;
        let Some(first) = lines.first() else { return };
        let (low, high) =
            lines.iter().fold((*first, *first), |(low, high), at| (low.min(*at), high.max(*at)));
        let length = self.seconds;
        let start = |seconds: i64| seconds - seconds.rem_euclid(length);
        self.starts.push(start(low));
        if start(low) == start(high) {
            self.of_lines.resize(lines.len(), 0);
        } else {
            let mut last = 0;
            for seconds in lines {
                let is_in = |start: i64| (start..start + length).contains(seconds);
                if !is_in(self.starts[last]) {
                    last = self.starts.iter().position(|start| is_in(*start)).unwrap_or_else(|| {
                        self.starts.push(start(*seconds));
                        self.starts.len() - 1
                    });
                }
                self.of_lines.push(last as u32);
            }
        }
        let retained = self.retain_seconds;
        let is_past = |start: &i64| retained.is_some_and(|seconds| start.saturating_add(seconds) <= now);
        self.are_past.extend(self.starts.iter().map(is_past));
        if self.are_past.contains(&true) {
            let late = self.of_lines.iter().filter(|window| self.are_past[**window as usize]);
            self.late_lines = late.count() as u64;
        }
        debug_assert_eq!(self.of_lines.len(), lines.len());
        debug_assert!(self.of_lines.iter().all(|window| (*window as usize) < self.starts.len()));
    }
}
