//! The identity of a process that writes a source.

use std::fmt;

use crate::{batch::Epoch, clock::unix_now};

/// The process that writes the batches of a source to a sink. A store remembers the last one.
///
/// At each start a pipeline claims its source in every sink, with a random token and a higher fence than the last
/// writer's. For example, after a writer with fence 4 the next one has fence 5. If two processes use one source name,
/// the one that claimed it first therefore gets an error at its next batch.
///
/// The token decides, and the rest is for people. A host name and a process id can be the same on a clone. The fence
/// only grows, so that a claim that was made earlier and arrives later is recognized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The source's name.
    pub source: String,
    /// The number of claims of the source so far; it is higher than that of all earlier writers.
    pub fence: u64,
    /// A random number that only this process has.
    pub token: u128,
    /// The epoch of its state directory.
    pub epoch: Epoch,
    /// The name of its host.
    pub host: String,
    /// Its process id there.
    pub process: u32,
    /// When it claimed the source, in seconds since 1970, by its own clock.
    pub since: i64,
}

impl Writer {
    /// Describes this process, for the state directory with the given epoch. Its fence is 0, since it has not claimed
    /// the source yet.
    ///
    /// # Panics
    ///
    /// Panics if the operating system has no random bytes to give.
    pub fn this_process(source: impl Into<String>, epoch: Epoch) -> Self {
        Self {
            source: source.into(),
            fence: 0,
            token: u128::from_be_bytes(Epoch::random().to_bytes()),
            epoch,
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            process: std::process::id(),
            since: unix_now(),
        }
    }

    /// Returns the token as 32 lower-case hexadecimal digits, the form in which sinks store it.
    pub fn token_text(&self) -> String {
        format!("{:032x}", self.token)
    }
}

/// Shows the host, the process id and the time, by which a person can find the process.
impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, process, epoch, since, .. } = self;
        write!(f, "process {process} on host {host} at {} (epoch {epoch})", Utc(*since))
    }
}

/// Displays seconds since 1970 as `2026-11-28 20:11:05 UTC`.
pub(crate) struct Utc(pub(crate) i64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        // Years begin in March here, in eras of 400 years; 719,468 days lie between 0000-03-01 and 1970-01-01.
        // <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
        let (era, day) = ((days + 719_468).div_euclid(146_097), (days + 719_468).rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let march_month = (5 * day + 2) / 153;
        let day = day - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = 400 * era + year + i64::from(month <= 2);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_shown_with_host_process_and_time() {
        let writer = Writer {
            host: "web2".to_owned(),
            process: 12,
            since: 1_795_896_665,
            ..Writer::this_process("web1", Epoch::from_bytes([7; 16]))
        };
        let shown =
            "process 12 on host web2 at 2026-11-28 20:11:05 UTC (epoch 07070707070707070707070707070707)";
        assert_eq!(writer.to_string(), shown);
    }
}
