//! A limit on the speed of reading.
//!
//! Catching up after an outage would otherwise take all processors for minutes, beside a web server that needs them.
//! The wait is after a chunk, so reading happens in small bursts; over a second it keeps the limit.

use std::time::{Duration, Instant};

/// Unused time is kept as credit up to this length, since no wait ends at the exact millisecond.
const CREDIT: Duration = Duration::from_millis(100);

/// Limits reading to a number of lines per second.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: u64,
    /// The instant from which lines are counted against time.
    since: Instant,
    /// The number of lines at that instant.
    lines: u64,
}

impl Pace {
    /// Makes a limit that starts now, when `lines` lines have been read.
    pub(super) fn new(per_second: u64, now: Instant, lines: u64) -> Self {
        Self { per_second, since: now, lines }
    }

    /// Returns the time to wait before more is read, when `lines` lines have been read so far.
    pub(super) fn wait(&mut self, now: Instant, lines: u64) -> Option<Duration> {
        let nanoseconds = u128::from(lines - self.lines) * 1_000_000_000 / u128::from(self.per_second);
        let due = self.since + Duration::from_nanos(nanoseconds.try_into().unwrap_or(u64::MAX));
        if now.duration_since(due) > CREDIT {
            (self.since, self.lines) = (now - CREDIT, lines);
        }
        due.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn lines_take_their_time() {
        let start = Instant::now();
        let mut pace = Pace::new(1000, start, 70);
        assert_eq!(pace.wait(start, 70), None);
        assert_eq!(pace.wait(start, 570), Some(milliseconds(500)));
        assert_eq!(pace.wait(start + milliseconds(200), 570), Some(milliseconds(300)));
        assert_eq!(pace.wait(start + milliseconds(500), 570), None);
        assert_eq!(pace.wait(start + milliseconds(500), 670), Some(milliseconds(100)));
    }

    #[test]
    fn a_log_that_was_quiet_is_read_no_faster_afterwards() {
        let start = Instant::now();
        let mut pace = Pace::new(1000, start, 0);
        let later = start + Duration::from_secs(3600);
        assert_eq!(pace.wait(later, 10), None);
        assert_eq!(pace.wait(later, 1110), Some(milliseconds(1000)));
    }
}
