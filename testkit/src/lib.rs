//! What the tests and benches of evs run on: deterministic logs with the exact totals that must come out of them,
//! and the servers of `scripts/services`.
//!
//! Three kinds: a site's `combined` log, an ad server's, and a CDN's with 22 fields. A generator keeps its own
//! totals while it writes, by means as plain as can be, so that they can be trusted without the code under test.

mod ads;
mod cdn;
mod combined;
pub mod disk;
pub mod instance;
pub mod proxy;
mod random;
pub mod services;
mod writer;

use std::collections::BTreeMap;

pub use disk::SmallDisk;
pub use instance::Instance;
pub use proxy::Proxy;
pub use random::Random;
pub use services::server;
pub use writer::{RotatingLog, rotated_files};

/// A kind of log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// nginx's `combined`, about 246 bytes a line; by (minute, status), sum of `body_bytes_sent`.
    Combined,
    /// An ad server's `GET /e?c=…&b=…&t=…&v=…&u=…`; by (minute, `arg_c`, `arg_t`), sum of `arg_v`.
    Ads,
    /// A CDN's 22 fields, about 416 bytes a line; by (minute, host), sum of `body_bytes_sent`.
    Cdn,
}

/// The exact result of a log: by window and keys, the number of lines and the sum.
pub type Totals = BTreeMap<(i64, Vec<Vec<u8>>), (u64, i128)>;

/// How lines are mixed into the ordinary ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// One line in so many is malformed, and must be rejected; 0 for none.
    pub malformed_every: u64,
    /// One line in so many is odd but valid, and must be counted; 0 for none.
    pub odd_every: u64,
}

/// Writes the lines of one kind of log, the same ones for the same seed, and keeps their totals.
#[derive(Debug)]
pub struct Generator {
    kind: Kind,
    mix: Mix,
    random: Random,
    lines: u64,
    rejected: u64,
    totals: Totals,
    second: i64,
}

/// How many lines are logged in a second of the generated time.
const LINES_PER_SECOND: u64 = 1000;
/// 2026-11-21T13:25:00Z.
const FIRST_SECOND: i64 = 1_795_267_500;

impl Generator {
    /// A generator of that kind of log.
    pub fn new(kind: Kind, mix: Mix, seed: u64) -> Self {
        let random = Random::new(seed);
        Self { kind, mix, random, lines: 0, rejected: 0, totals: Totals::new(), second: FIRST_SECOND }
    }

    /// Appends the next line, with its newline.
    pub fn line(&mut self, log: &mut Vec<u8>) {
        self.second = FIRST_SECOND + (self.lines / LINES_PER_SECOND) as i64;
        self.lines += 1;
        let is_nth = |every: u64, at: u64| every > 0 && self.lines % every == at;
        let start = log.len();
        if is_nth(self.mix.malformed_every, 0) {
            self.good_line(&mut Vec::new());
            self.malformed(log);
            self.rejected += 1;
        } else {
            let odd = is_nth(self.mix.odd_every, 1);
            let (keys, value) = if odd { self.odd_line(log) } else { self.good_line(log) };
            let window = self.second - self.second.rem_euclid(60);
            let total = self.totals.entry((window, keys)).or_default();
            *total = (total.0 + 1, total.1 + i128::from(value.unwrap_or(0)));
        }
        assert!(!log[start..].contains(&b'\n'), "a line is one line");
        log.push(b'\n');
    }

    /// Appends that many lines.
    pub fn lines(&mut self, count: u64, log: &mut Vec<u8>) {
        (0..count).for_each(|_| self.line(log));
    }

    /// What all lines so far add up to.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// How many lines there were, and how many of them must be rejected.
    pub fn counts(&self) -> (u64, u64) {
        (self.lines, self.rejected)
    }

    fn good_line(&mut self, log: &mut Vec<u8>) -> (Vec<Vec<u8>>, Option<i64>) {
        match self.kind {
            Kind::Combined => combined::good(&mut self.random, self.second, log),
            Kind::Ads => ads::good(&mut self.random, self.second, log),
            Kind::Cdn => cdn::good(&mut self.random, self.second, log),
        }
    }

    fn odd_line(&mut self, log: &mut Vec<u8>) -> (Vec<Vec<u8>>, Option<i64>) {
        match self.kind {
            Kind::Combined => combined::odd(&mut self.random, self.second, log),
            Kind::Ads => ads::odd(&mut self.random, self.second, log),
            Kind::Cdn => cdn::odd(&mut self.random, self.second, log),
        }
    }

    /// Something that is no line of the format: cut off, glued together, noise, nothing at all.
    fn malformed(&mut self, log: &mut Vec<u8>) {
        let mut line = Vec::new();
        self.good_line(&mut line);
        match self.random.below(8) {
            // A full disk cut the line, and the next one is glued to it.
            0 => {
                line.truncate(line.len() / 2);
                self.good_line(&mut line);
            }
            1 => line.truncate(line.len() / 3),
            2 => line.clear(),
            3 => line = self.random.bytes(100).into_iter().filter(|&b| b != b'\n').collect(),
            // A date that does not exist, in each of the formats.
            4 => replace(&mut line, &self.date(), &self.impossible_date()),
            5 => line.extend_from_slice(b" left over"),
            6 => line.insert(0, b'\0'),
            _ => line.retain(|&b| b != b'"'),
        }
        // NUL bytes are data to a token, so that one alone does not make a line bad.
        if line.first() == Some(&0) {
            line.truncate(20);
        }
        log.extend_from_slice(&line);
    }

    fn date(&self) -> Vec<u8> {
        match self.kind {
            Kind::Combined | Kind::Ads => local_time(self.second)[..11].to_vec(),
            Kind::Cdn => format!("{}.", self.second).into_bytes(),
        }
    }

    fn impossible_date(&self) -> Vec<u8> {
        match self.kind {
            Kind::Combined | Kind::Ads => b"31/Feb/2026".to_vec(),
            Kind::Cdn => b"17952x7500.".to_vec(),
        }
    }
}

/// The log format of a kind of log.
pub fn log_format(kind: Kind) -> &'static str {
    match kind {
        Kind::Combined | Kind::Ads => "combined",
        Kind::Cdn => cdn::FORMAT,
    }
}

fn replace(line: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let at = line.windows(from.len()).position(|window| window == from).expect("the line has a date");
    line.splice(at..at + from.len(), to.iter().copied());
}

/// nginx's `$time_local`, in UTC.
fn local_time(second: i64) -> Vec<u8> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day, hour, minute, second) = civil(second);
    let month = MONTHS[month - 1];
    format!("{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02} +0000").into_bytes()
}

/// nginx's `$time_iso8601`, in UTC.
fn iso_time(second: i64) -> String {
    let (year, month, day, hour, minute, second) = civil(second);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+00:00")
}

/// Year, month, day, hour, minute and second, counted day by day: slow, and plainly right.
fn civil(second: i64) -> (i64, usize, i64, i64, i64, i64) {
    let (mut days, rest) = (second.div_euclid(86_400), second.rem_euclid(86_400));
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while days >= 365 + i64::from(is_leap(year)) {
        days -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + i64::from(is_leap(year));
    let mut month = 0;
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month + 1, days + 1, rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_nginx_does() {
        assert_eq!(local_time(FIRST_SECOND), b"21/Nov/2026:13:25:00 +0000");
        assert_eq!(iso_time(951_782_399), "2000-02-28T23:59:59+00:00");
        assert_eq!(iso_time(951_782_400), "2000-02-29T00:00:00+00:00");
    }

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
}
