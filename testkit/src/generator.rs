//! Generates logs, and keeps their exact totals.
//!
//! A generator knows the totals because it chooses the values first and writes the line from them. It never reads a
//! line.

use std::sync::OnceLock;

use crate::{
    Digest, Kind, Mix, Random, StatisticSpec, Totals, Workload,
    clock::Clock,
    log::{Counted, Shape},
    tally::{Tally, WINDOW_SECONDS},
};

/// Generates the lines of a log and keeps their totals. The same seed gives the same lines.
///
/// With [`new`](Self::new) it keeps every row of one statistic ([`totals`](Self::totals)), with [`of`](Self::of) a
/// digest of each statistic of a workload ([`digests`](Self::digests)).
///
/// ```
/// use evs_testkit::{Generator, Options, Workload};
///
/// let mut generator = Generator::of(Workload::Cdn10, Options { seed: 7, ..Options::default() });
/// let mut log = Vec::new();
/// generator.lines(500, &mut log);
/// let digests = generator.digests();
/// assert_eq!(digests.len(), 10);
/// assert!(digests.iter().all(|digest| digest.lines == 500));
/// ```
#[derive(Debug)]
pub struct Generator {
    /// The kind of lines.
    shape: Box<dyn Shape>,
    options: Options,
    /// The number of lines that have the same time.
    lines_per_second: u64,
    /// True if windows that have ended are only kept as digests.
    closes_windows: bool,
    random: Random,
    clock: Clock,
    /// The number of lines so far.
    lines: u64,
    /// The number of malformed lines so far.
    rejected: u64,
    tally: Tally,
    /// The totals, once somebody has asked for them; a further line forgets them.
    totals: OnceLock<Totals>,
}

/// The differences between the lines of a log and ordinary ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The lines that are mixed into the ordinary ones.
    pub mix: Mix,
    /// Every second line is up to five seconds older than the one before.
    pub is_shuffled: bool,
    /// Another seed gives another log.
    pub seed: u64,
}

/// 2026-11-21T13:25:00Z.
const FIRST_SECOND: i64 = 1_795_267_500;
/// The number of seconds by which a line of a shuffled log may be late.
const SHUFFLED_SECONDS: u64 = 5;

impl Generator {
    /// A generator for a kind of log, with a thousand lines per second.
    pub fn new(kind: Kind, mix: Mix, seed: u64) -> Self {
        let workload = kind.workload();
        let options = Options { mix, seed, is_shuffled: false };
        let mut generator = Self::with(workload, &workload.statistics()[..1], options);
        (generator.lines_per_second, generator.closes_windows) = (1000, false);
        generator
    }

    /// A generator for a workload's log, with ten thousand lines per second. It keeps digests, and no totals.
    pub fn of(workload: Workload, options: Options) -> Self {
        Self::with(workload, workload.statistics(), options)
    }

    /// A generator of a workload's lines that computes `statistics`.
    fn with(workload: Workload, statistics: &[StatisticSpec], options: Options) -> Self {
        let shape = workload.shape();
        Self {
            tally: Tally::new(statistics, &*shape),
            shape,
            options,
            lines_per_second: 10_000,
            closes_windows: true,
            random: Random::new(options.seed),
            clock: Clock::default(),
            lines: 0,
            rejected: 0,
            totals: OnceLock::new(),
        }
    }

    /// Appends the next line, with its newline.
    ///
    /// # Panics
    ///
    /// Panics if the line has another newline in it: the generator would then have miscounted.
    pub fn line(&mut self, log: &mut Vec<u8>) {
        self.totals.take();
        let mut second = FIRST_SECOND + (self.lines / self.lines_per_second) as i64;
        if self.closes_windows && self.lines.is_multiple_of(self.lines_per_second) {
            // In a shuffled log, the window before this one may still grow.
            self.tally.close_before(second - WINDOW_SECONDS, self.shape.keys());
        }
        self.lines += 1;
        if self.options.is_shuffled && self.lines.is_multiple_of(2) {
            second -= 1 + self.random.below(SHUFFLED_SECONDS) as i64;
        }
        let start = log.len();
        let mix = self.options.mix;
        let is_nth = |every: u64, at: u64| every > 0 && self.lines % every == at;
        if is_nth(mix.malformed_every, 0) {
            self.good_line(second, &mut Vec::new());
            self.malformed(second, log);
            self.rejected += 1;
        } else {
            let counted = match is_nth(mix.odd_every, 1) {
                true => self.odd_line(second, log),
                false => self.good_line(second, log),
            };
            self.tally.add(second, &counted);
        }
        assert!(!log[start..].contains(&b'\n'), "a line is one line");
        log.push(b'\n');
    }

    /// Appends the given number of lines.
    pub fn lines(&mut self, count: u64, log: &mut Vec<u8>) {
        (0..count).for_each(|_| self.line(log));
    }

    /// The totals of all lines so far, for a kind of log.
    ///
    /// # Panics
    ///
    /// Panics for a generator that was made by [`of`](Self::of): it has digests.
    pub fn totals(&self) -> &Totals {
        assert!(!self.closes_windows, "a workload has digests");
        self.totals.get_or_init(|| self.tally.totals(self.shape.keys()))
    }

    /// The digests of all lines so far, in the order of the workload's statistics.
    pub fn digests(&self) -> Vec<Digest> {
        self.tally.digests(self.shape.keys())
    }

    /// The number of lines so far, and the number of those that must be rejected.
    pub fn counts(&self) -> (u64, u64) {
        (self.lines, self.rejected)
    }

    /// Appends an ordinary line of that second.
    fn good_line(&mut self, second: i64, log: &mut Vec<u8>) -> Counted {
        self.shape.good(&mut self.random, self.clock.time(second), log)
    }

    /// Appends an unusual but valid line of that second.
    fn odd_line(&mut self, second: i64, log: &mut Vec<u8>) -> Counted {
        self.shape.odd(&mut self.random, self.clock.time(second), log)
    }

    /// Appends something that is not a line of the format: cut off, glued together, noise, or empty.
    fn malformed(&mut self, second: i64, log: &mut Vec<u8>) {
        let mut line = Vec::new();
        self.good_line(second, &mut line);
        match self.random.below(8) {
            // A full disk cut the line, and the next one is glued to it.
            0 => {
                line.truncate(line.len() / 2);
                self.good_line(second, &mut line);
            }
            1 => line.truncate(line.len() / 3),
            2 => line.clear(),
            3 => line = self.random.bytes(100).into_iter().filter(|&b| b != b'\n').collect(),
            // A date that does not exist, in each of the formats.
            4 => {
                let (date, impossible) = self.shape.date(self.clock.time(second));
                replace(&mut line, &date, impossible);
            }
            5 => line.extend_from_slice(b" left over"),
            6 => line.insert(0, b'\0'),
            _ => line.retain(|&b| b != b'"'),
        }
        log.extend_from_slice(&line);
    }
}

/// Replaces the first occurrence of `from` in the line.
fn replace(line: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let at = line.windows(from.len()).position(|window| window == from).expect("the line has a date");
    line.splice(at..at + from.len(), to.iter().copied());
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_log() {
        for kind in [Kind::Combined, Kind::Ads, Kind::Cdn] {
            let mix = Mix { malformed_every: 10, odd_every: 10 };
            let (mut one, mut two) = (Generator::new(kind, mix, 7), Generator::new(kind, mix, 7));
            let (mut first, mut second) = (Vec::new(), Vec::new());
            one.lines(1000, &mut first);
            two.lines(1000, &mut second);
            assert_eq!((&first, one.totals()), (&second, two.totals()));
            assert_eq!(one.counts(), (1000, 100));
            assert_eq!(one.totals().values().map(|total| total.0).sum::<u64>(), 900);
        }
    }

    fn mixed(workload: Workload) -> Generator {
        let mix = Mix { malformed_every: 500, odd_every: 500 };
        Generator::of(workload, Options { mix, is_shuffled: true, seed: 3 })
    }

    #[test]
    fn lines_are_as_long_as_the_workloads_say() {
        let length = |workload| {
            let mut log = Vec::new();
            Generator::of(workload, Options::default()).lines(20_000, &mut log);
            log.len() / 20_000
        };
        let lengths = [Workload::Combined, Workload::Ads, Workload::Cdn30, Workload::Json].map(length);
        assert_eq!(lengths, [246, 272, 416, 400]);
    }

    #[test]
    fn no_value_of_a_field_is_there_twice() {
        for workload in Workload::ALL {
            let shape = workload.shape();
            for column in shape.keys() {
                let distinct: HashSet<_> = column.values.iter().map(|value| &value.key).collect();
                assert_eq!(distinct.len(), column.values.len(), "{}", column.name);
            }
        }
    }

    #[test]
    fn digests_do_not_depend_on_when_windows_are_closed() {
        for workload in Workload::ALL {
            let (mut early, mut late) = (mixed(workload), mixed(workload));
            late.closes_windows = false;
            let (mut log, mut same) = (Vec::new(), Vec::new());
            early.lines(20_000, &mut log);
            late.lines(20_000, &mut same);
            assert!(log == same);
            early.lines_per_second = 100;
            late.lines_per_second = 100;
            early.lines(20_000, &mut log);
            late.lines(20_000, &mut same);
            assert!(log == same);
            let (lines, rejected) = early.counts();
            let digests = early.digests();
            assert_eq!(digests, late.digests());
            assert!(digests.iter().all(|digest| digest.lines == lines - rejected));
        }
    }

    #[test]
    fn a_digest_is_of_the_totals() {
        let mut generator = mixed(Workload::Ads);
        generator.closes_windows = false;
        generator.lines(50_000, &mut Vec::new());
        let mut digest = Digest::default();
        for ((window, keys), (lines, value)) in generator.totals() {
            digest.add(*window, keys.iter().map(Vec::as_slice), *lines, Some(*value));
        }
        assert!(digest.rows > 100);
        assert_eq!(generator.digests(), [digest]);
    }
}
