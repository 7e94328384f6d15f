//! What a line may carry, so that whatever is counted can be stored.

use std::ops::RangeInclusive;

use super::rejection::{Reason, Rejection};
use crate::{batch::escape, record::Record};

/// Escaped, a key is so many times as long at most.
const ESCAPED_FACTOR: usize = 4;

/// The times and keys of lines that every configured store can hold. The limits of numbers stand beside these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LineLimits {
    /// In seconds since 1970.
    pub(crate) times: RangeInclusive<i64>,
    /// One key, escaped.
    pub(crate) key_bytes_max: usize,
    /// All keys of a row together, escaped.
    pub(crate) keys_bytes_max: usize,
    /// The fields that are keys of a row, by statistic.
    pub(crate) keys: Vec<Vec<usize>>,
}

impl Default for LineLimits {
    fn default() -> Self {
        Self {
            times: i64::MIN..=i64::MAX,
            key_bytes_max: usize::MAX,
            keys_bytes_max: usize::MAX,
            keys: Vec::new(),
        }
    }
}

impl LineLimits {
    /// Whether a line of so many bytes, or several that have as many together, cannot have keys that are too long.
    pub(super) fn allow_keys_in(&self, bytes: usize) -> bool {
        let longest = bytes.saturating_mul(ESCAPED_FACTOR);
        let keys = self.keys.iter().map(Vec::len).max().unwrap_or(0);
        longest <= self.key_bytes_max && longest.saturating_mul(keys) <= self.keys_bytes_max
    }

    /// Whether a row can be made of the fields whose texts are these.
    pub(super) fn allow_keys<'t>(&self, text: impl Fn(usize) -> &'t [u8]) -> bool {
        self.keys.iter().all(|keys| {
            let mut all: usize = 0;
            keys.iter().all(|&field| {
                let escaped = escape(text(field)).len();
                all = all.saturating_add(escaped);
                escaped <= self.key_bytes_max && all <= self.keys_bytes_max
            })
        })
    }

    pub(crate) fn check(&self, line: &[u8], record: &Record) -> Result<(), Rejection> {
        if !self.times.contains(&record.seconds()) {
            return Err(Rejection::at(0, Reason::TimeOutOfRange));
        }
        if !self.allow_keys_in(line.len()) && !self.allow_keys(|field| record.field(field, line)) {
            return Err(Rejection::at(0, Reason::KeyTooLong));
        }
        Ok(())
    }
}
