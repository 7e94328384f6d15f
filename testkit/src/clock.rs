//! Times in the forms that nginx writes.
//!
//! The conversion counts days one by one. It shares nothing with the parser under test, which computes with a formula;
//! an error in one of them shows as a difference.

/// A second, as text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Time {
    /// The second since 1970.
    pub(crate) second: i64,
    /// `$time_local`, in UTC.
    pub(crate) local: Vec<u8>,
    /// `$time_iso8601`, in UTC.
    pub(crate) iso: Vec<u8>,
}

impl Time {
    /// The texts of a second since 1970.
    pub(crate) fn new(second: i64) -> Self {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (year, month, day, hour, minute, in_minute) = civil(second);
        let name = MONTHS[month - 1];
        let local = format!("{day:02}/{name}/{year}:{hour:02}:{minute:02}:{in_minute:02} +0000");
        let iso = format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{in_minute:02}+00:00");
        Self { second, local: local.into_bytes(), iso: iso.into_bytes() }
    }
}

/// A cache of the seconds that were used last: a second has a thousand lines. Its eight places are indexed by the
/// second, so a log whose lines are up to five seconds late stays within it.
#[derive(Debug, Default)]
pub(crate) struct Clock([Time; 8]);

impl Clock {
    /// The texts of a second since 1970, from the cache if they are there.
    pub(crate) fn time(&mut self, second: i64) -> &Time {
        let time = &mut self.0[second.rem_euclid(8) as usize];
        if time.second != second {
            *time = Time::new(second);
        }
        time
    }
}

/// Year, month, day, hour, minute and second. They are counted day by day: slow, but obviously right.
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
        assert_eq!(Time::new(1_795_267_500).local, b"21/Nov/2026:13:25:00 +0000");
        assert_eq!(Time::new(951_782_399).iso, b"2000-02-28T23:59:59+00:00");
        let mut clock = Clock::default();
        assert_eq!(clock.time(951_782_391).iso, b"2000-02-28T23:59:51+00:00");
        assert_eq!(clock.time(951_782_399).iso, b"2000-02-28T23:59:59+00:00");
    }
}
