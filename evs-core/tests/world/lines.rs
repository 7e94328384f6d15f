//! The lines of a log, in one of the formats that a world has, and which of them count.

use std::fmt::Display;

use evs_core::LogFormat;

use crate::time::TIME;

/// The length of a line, with its newline, beyond which it is rejected. evs keeps as much of one that is rejected.
pub const LINE_BYTES_MAX: usize = 1024;
/// The first second of the year 10,000.
const YEAR_10000: u64 = 253_402_300_800;
/// [`TIME`] as it stands in an extended log file.
const DATE: &str = "2027-01-15";
const TIME_OF_DAY: &str = "08:00:00";

/// A format. The key of a line is its first field, and its number the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// nginx's, which no line of the log describes.
    Plain,
    /// The extended log file format, in which a line at the beginning of each file names the fields.
    W3c,
}

impl Kind {
    pub fn format(self) -> LogFormat {
        match self {
            Self::Plain => LogFormat::nginx("$request_id $msec $status").unwrap(),
            Self::W3c => LogFormat::w3c(),
        }
    }

    /// Returns what the server writes when it opens a file. IIS writes the time there; CloudFront begins all files alike.
    pub fn header(self, remark: u64) -> String {
        match self {
            Self::Plain => String::new(),
            Self::W3c => {
                format!("#Version: 1.0\n#Remark: {remark}\n#Fields: request-id date time sc-status\n")
            }
        }
    }

    pub fn line(self, key: impl Display) -> String {
        match self {
            Self::Plain => format!("{key} {TIME}.000 200\n"),
            Self::W3c => format!("{key} {DATE} {TIME_OF_DAY} 200\n"),
        }
    }

    /// Returns true if a line tells of a request, and not of the log itself.
    pub fn is_event(self, line: &str) -> bool {
        self != Self::W3c || !line.starts_with('#')
    }

    /// Returns the key of a line that counts.
    ///
    /// A power cut may leave the beginning of a line, and a truncation its end, as a line of its own, and the next line may be
    /// glued to it. It counts if it has come to the status, which is any number, and not lost its key.
    pub fn key(self, line: &str) -> Option<&str> {
        let fields: Vec<&str> = line.split(' ').collect();
        match (self, &*fields) {
            (Self::Plain, [key, time, status]) => {
                (!key.is_empty() && is_time(time) && is_whole(status)).then_some(key)
            }
            (Self::W3c, [key, DATE, TIME_OF_DAY, status]) => {
                (!key.is_empty() && is_number(status)).then_some(key)
            }
            _ => None,
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns true for a whole number, which may have zeros after a point.
fn is_whole(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    is_number(whole) && !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0')
}

/// Returns true for a time since 1970 that does not look cut: with three digits in its fraction, or with as many digits as
/// the present has in some unit.
fn is_time(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_split = text.contains('.');
    let is_whole = is_number(whole) && (is_number(fraction) || !is_split);
    is_whole
        && match whole.len() {
            10 | 13 | 16 | 19 => true,
            1..=12 => fraction.len() >= 3 && is_before_10000(whole),
            _ => false,
        }
}

fn is_before_10000(seconds: &str) -> bool {
    seconds.parse::<u64>().is_ok_and(|seconds| seconds < YEAR_10000)
}
