//! Exact totals of statistics, by the simplest means: for each, a map from numbers to numbers.
//!
//! A key is not a text here but the position of its value in the list of all values of its field ([`Column`]). So a
//! row's key is one number, and the totals do not depend on any parsing, hashing or comparing of texts.
//!
//! ```text
//! bits   63 ............ 32   31 .... 16   15 ..... 0
//!        minute since 1970    first key    second key
//! ```

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use crate::{
    Measure, StatisticSpec, Totals,
    log::{Column, Counted, Shape},
};

/// The length of all windows.
pub(crate) const WINDOW_SECONDS: i64 = 60;

/// The rows of some statistics. [`Tally::add`] counts a line, [`Tally::close_before`] turns ended windows into
/// digests, so that a log of any length takes bounded memory.
#[derive(Debug)]
pub(crate) struct Tally {
    /// The statistics, in the order of the workload.
    statistics: Vec<Statistic>,
}

/// A statistic: its keys and its measure by their positions in a line, and its rows.
#[derive(Debug)]
struct Statistic {
    /// The positions of the keys among the columns; one or two.
    keys: Vec<usize>,
    /// The measure and the position of its field among the numbers.
    measure: Option<(Kind, usize)>,
    /// The rows of the open windows.
    rows: HashMap<u64, Row, BuildHasherDefault<Mixer>>,
    /// The digest of the closed windows.
    closed: Digest,
}

/// The way in which the values of a measure become one number.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Sum,
    Max,
}

/// The total of a row.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    lines: u64,
    value: i64,
}

/// The total of a statistic's rows, and a checksum over all of them.
///
/// The checksum is the sum of the CRC-32 of each row's text: the window, the keys, the number of lines, and the value
/// of the measure if there is one, separated by tabs. So it does not depend on the order of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// The number of rows.
    pub rows: u64,
    /// The number of lines of all rows.
    pub lines: u64,
    /// The sum of the measure over all rows.
    pub value: i128,
    /// The checksum over all rows, as described for [`Digest`].
    pub checksum: u64,
}

impl Tally {
    /// Empty totals of the given statistics.
    pub(crate) fn new(statistics: &[StatisticSpec], shape: &dyn Shape) -> Self {
        let number = |name: &str| {
            shape.numbers().iter().position(|&field| field == name).expect("a number of the log")
        };
        let key = |name: &&str| {
            shape.keys().iter().position(|column| column.name == *name).expect("a key of the log")
        };
        let statistics = statistics
            .iter()
            .map(|spec| Statistic {
                keys: spec.by.iter().map(key).collect(),
                measure: spec.measures.first().map(|measure| match measure {
                    Measure::Sum(field, _) => (Kind::Sum, number(field)),
                    Measure::Max(field, _) => (Kind::Max, number(field)),
                }),
                rows: HashMap::default(),
                closed: Digest::default(),
            })
            .collect();
        Self { statistics }
    }

    /// Counts a line.
    pub(crate) fn add(&mut self, second: i64, line: &Counted) {
        let window = second.div_euclid(WINDOW_SECONDS) as u64;
        for statistic in &mut self.statistics {
            let keys =
                statistic.keys.iter().fold(window, |keys, &at| keys << KEY_BITS | u64::from(line.keys[at]));
            let row = statistic.rows.entry(keys).or_default();
            row.lines += 1;
            if let Some((kind, number)) = statistic.measure
                && let Some(value) = line.numbers[number]
            {
                row.value = match kind {
                    Kind::Sum => {
                        row.value.checked_add(value).expect("no total of a generated log is that large")
                    }
                    // No value of such a measure is negative.
                    Kind::Max => row.value.max(value),
                };
            }
        }
    }

    /// Adds the rows of windows that end before `second` to the digests, and forgets them.
    pub(crate) fn close_before(&mut self, second: i64, columns: &[Column]) {
        for statistic in &mut self.statistics {
            let mut rows = std::mem::take(&mut statistic.rows);
            let mut closed = statistic.closed;
            rows.retain(|&packed, row| {
                let is_open = unpack(packed, statistic.keys.len()).0 + WINDOW_SECONDS > second;
                if !is_open {
                    statistic.digest(packed, row, columns, &mut closed);
                }
                is_open
            });
            (statistic.rows, statistic.closed) = (rows, closed);
        }
    }

    /// The digest of each statistic.
    pub(crate) fn digests(&self, columns: &[Column]) -> Vec<Digest> {
        let digest = |statistic: &Statistic| {
            let mut digest = statistic.closed;
            for (&packed, row) in &statistic.rows {
                statistic.digest(packed, row, columns, &mut digest);
            }
            digest
        };
        self.statistics.iter().map(digest).collect()
    }

    /// The rows of the first statistic.
    pub(crate) fn totals(&self, columns: &[Column]) -> Totals {
        let Some(statistic) = self.statistics.first() else { return Totals::new() };
        let row = |(&packed, row): (&u64, &Row)| {
            let (window, places) = unpack(packed, statistic.keys.len());
            let keys =
                statistic.keys.iter().zip(places).map(|(&key, at)| columns[key].values[at].key.clone());
            ((window, keys.collect()), (row.lines, i128::from(row.value)))
        };
        statistic.rows.iter().map(row).collect()
    }
}

impl Statistic {
    /// Adds a row to a digest.
    fn digest(&self, packed: u64, row: &Row, columns: &[Column], digest: &mut Digest) {
        let (window, places) = unpack(packed, self.keys.len());
        let keys = self.keys.iter().zip(places).map(|(&key, at)| &columns[key].values[at].key[..]);
        digest.add(window, keys, row.lines, self.measure.map(|_| i128::from(row.value)));
    }
}

/// The number of bits of a key: two keys and a window of minutes fit into one number.
const KEY_BITS: usize = 16;

/// The window's first second, and the positions of the keys.
fn unpack(packed: u64, keys: usize) -> (i64, impl Iterator<Item = usize>) {
    let window = (packed >> (KEY_BITS * keys)) as i64 * WINDOW_SECONDS;
    (window, (0..keys).rev().map(move |at| (packed >> (KEY_BITS * at)) as usize & ((1 << KEY_BITS) - 1)))
}

impl Digest {
    /// Adds a row. Its value is that of the measure, if there is one.
    pub fn add<'k>(
        &mut self,
        window: i64,
        keys: impl IntoIterator<Item = &'k [u8]>,
        lines: u64,
        value: Option<i128>,
    ) {
        let mut text = window.to_string().into_bytes();
        for key in keys {
            text.push(b'\t');
            push_text(&mut text, key);
        }
        text.extend_from_slice(format!("\t{lines}").as_bytes());
        if let Some(value) = value {
            text.extend_from_slice(format!("\t{value}").as_bytes());
        }
        self.rows += 1;
        self.lines += lines;
        self.value += value.unwrap_or(0);
        self.checksum += u64::from(crc32(&text));
    }
}

/// Appends a key as sinks show it: bytes that are not UTF-8, a NUL and a backslash become `\xHH`.
fn push_text(text: &mut Vec<u8>, key: &[u8]) {
    for chunk in key.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\0' | '\\' => text.extend_from_slice(format!(r"\x{:02X}", c as u32).as_bytes()),
                _ => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            text.extend_from_slice(format!(r"\x{byte:02X}").as_bytes());
        }
    }
}

/// The checksum of zip and PNG, which exists in every language.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let mut crc = at as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
                bit += 1;
            }
            table[at] = crc;
            at += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, &byte| TABLE[(crc as u8 ^ byte) as usize] ^ (crc >> 8))
}

/// A fast hash of one number. It need not resist attacks, because no stranger chooses the numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are single numbers");
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_zip() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn keys_are_shown_as_sinks_show_them() {
        let mut text = Vec::new();
        push_text(&mut text, b"a\\b\0\xFF\xC3\xA9");
        assert_eq!(String::from_utf8(text).unwrap(), r"a\x5Cb\x00\xFFé");
    }
}
