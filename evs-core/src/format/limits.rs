//! The limits of a line, so that every configured store can hold what is counted.
//!
//! A line that one store cannot hold is rejected for all stores. Otherwise one request with a long key or a strange
//! time would make a batch that this store refuses for ever, and the numbers of the stores would differ.
//!
//! The check is cheap for ordinary lines. Keys are parts of their lines, so if all lines of a block together are short
//! enough, no key needs a check of its own.

use std::ops::RangeInclusive;

use super::rejection::{Reason, Rejection};
use crate::{batch::escape, record::Record};

/// Escaping makes a key at most this many times as long: one byte becomes `\xHH`.
const ESCAPED_FACTOR: usize = 4;

/// The times and keys that every configured store can hold. (The limits of numbers are in
/// [`Number::range`](super::Number::range).)
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LineLimits {
    /// The times, in seconds since 1970.
    pub(crate) times: RangeInclusive<i64>,
    /// The maximum length of one key, escaped.
    pub(crate) key_bytes_max: usize,
    /// The maximum length of all keys of a row together, escaped.
    pub(crate) keys_bytes_max: usize,
    /// By statistic, the fields that are its keys.
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
    /// True if there is a limit to the length of keys.
    pub(crate) fn have_keys_max(&self) -> bool {
        (self.key_bytes_max, self.keys_bytes_max) != (usize::MAX, usize::MAX)
    }

    /// True if the keys of a row, of these texts, are short enough.
    pub(crate) fn allow<'t>(&self, keys: impl Iterator<Item = &'t [u8]>) -> bool {
        let mut all: usize = 0;
        let mut keys = keys.map(|key| escape(key).len());
        keys.all(|escaped| {
            all = all.saturating_add(escaped);
            escaped <= self.key_bytes_max && all <= self.keys_bytes_max
        })
    }

    /// True if lines of `bytes` bytes in all cannot have keys that are too long.
    ///
    /// It assumes the worst: every key is as long as all lines together, and every byte of it must be escaped.
    pub(super) fn allow_keys_in(&self, bytes: usize) -> bool {
        let longest = bytes.saturating_mul(ESCAPED_FACTOR);
        let keys = self.keys.iter().map(Vec::len).max().unwrap_or(0);
        longest <= self.key_bytes_max && longest.saturating_mul(keys) <= self.keys_bytes_max
    }

    /// True if the keys of each statistic are short enough. `text` tells the value of a field.
    pub(super) fn allow_keys<'t>(&self, text: impl Fn(usize) -> &'t [u8]) -> bool {
        self.keys.iter().all(|keys| self.allow(keys.iter().map(|field| text(*field))))
    }

    /// Rejects a line whose time or keys are outside of the limits.
    ///
    /// The column is 1: the time and the keys may be derived from any part of the line.
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
