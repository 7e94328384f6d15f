//! The names of rotated logs.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const DAY: i64 = 24 * 60 * 60;

/// The naming of rotated logs. The name of the log stands before the suffix, or around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// `access.log.1`
    Number,
    /// `access.1.log`
    NumberInside,
    /// `access.log-20261127-120111`
    DateTime,
    /// `access.log-1795860000`
    UnixTime,
    /// `access.log-20261127`
    Date,
    /// `access-20261127.log`
    DateInside,
    /// `access.log.2026-11-27`
    DottedDate,
    /// `access.log-27-11-2026`
    DayFirst,
}

impl Naming {
    pub const ALL: [Self; 8] = [
        Self::Number,
        Self::NumberInside,
        Self::DateTime,
        Self::UnixTime,
        Self::Date,
        Self::DateInside,
        Self::DottedDate,
        Self::DayFirst,
    ];

    /// Returns true if each rotation raises the numbers of older logs.
    pub fn is_numbered(self) -> bool {
        matches!(self, Self::Number | Self::NumberInside)
    }

    /// Returns the path of rotated log `number` of `log`.
    pub fn numbered(self, log: &Path, number: u32) -> PathBuf {
        let suffix = if self == Self::NumberInside { format!(".{number}") } else { number.to_string() };
        match self {
            Self::NumberInside => inside(log, &suffix),
            _ => log.with_file_name(format!("{}.{suffix}", name_of(log))),
        }
    }

    /// Returns the path of the log that was rotated at `clock`, shifted by `offset` seconds or days. If that
    /// path is taken, the next free one is used.
    pub fn timed(self, log: &Path, clock: Duration, offset: i8, is_free: impl Fn(&Path) -> bool) -> PathBuf {
        let is_daily = !matches!(self, Self::DateTime | Self::UnixTime);
        let step = if is_daily { DAY } else { 1 };
        let mut time = clock.as_secs() as i64 + i64::from(offset) * step;
        loop {
            let path = self.at(log, time);
            if is_free(&path) {
                return path;
            }
            time += step;
        }
    }

    fn at(self, log: &Path, time: i64) -> PathBuf {
        let (year, month, day) = date(time.div_euclid(DAY));
        let second = time.rem_euclid(DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let suffix = match self {
            Self::UnixTime => format!("-{time}"),
            Self::DateTime => format!("-{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}"),
            Self::Date | Self::DateInside => format!("-{year:04}{month:02}{day:02}"),
            Self::DottedDate => format!(".{year:04}-{month:02}-{day:02}"),
            Self::DayFirst => format!("-{day:02}-{month:02}-{year:04}"),
            Self::Number | Self::NumberInside => unreachable!("{self:?} has no time"),
        };
        match self {
            Self::DateInside => inside(log, &suffix),
            _ => log.with_file_name(name_of(log) + &suffix),
        }
    }
}

fn name_of(log: &Path) -> String {
    log.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Returns the name of `log` with `suffix` before its extension.
fn inside(log: &Path, suffix: &str) -> PathBuf {
    let name = name_of(log);
    let (stem, extension) = name.rsplit_once('.').unwrap();
    log.with_file_name(format!("{stem}{suffix}.{extension}"))
}

/// Returns the year, month and day of a number of days since 1970, in the Gregorian calendar.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_the_time() {
        let (log, clock) = (Path::new("/log/access.log"), Duration::from_secs(1_795_780_871));
        let name = |naming: Naming| name_of(&naming.timed(log, clock, 0, |_| true));
        assert_eq!(name(Naming::DateTime), "access.log-20261127-120111");
        assert_eq!(name(Naming::DateInside), "access-20261127.log");
        assert_eq!(name(Naming::DayFirst), "access.log-27-11-2026");
        assert_eq!(Naming::NumberInside.numbered(log, 3), Path::new("/log/access.3.log"));
    }
}
