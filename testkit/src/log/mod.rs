//! The lines of each kind of log, and the values that must be counted of each line.
//!
//! A kind of log is a [`Shape`]. It has a [`Column`] of all values for each field that may be a key, chooses a
//! position in each column for a line, writes the texts of these values, and returns the positions. Ordinary lines
//! have values as they are; odd lines have values that are written differently from how they must be counted, such as
//! `a\x22b` for `a"b`.

mod ads;
mod cdn;
mod combined;
mod json;
mod words;

use std::fmt;

pub(crate) use self::{
    ads::Ads,
    cdn::Cdn,
    combined::{Combined, Layout},
    json::Json,
};
use crate::{Random, clock::Time};

/// A kind of log.
pub(crate) trait Shape: fmt::Debug + Send + Sync {
    /// The log format, in the syntax of evs.
    fn format(&self) -> &'static str;

    /// The fields by which lines can be counted, with all their values.
    fn keys(&self) -> &[Column];

    /// The numeric fields.
    fn numbers(&self) -> &'static [&'static str];

    /// Appends an ordinary line, without its newline.
    fn good(&self, random: &mut Random, time: &Time, log: &mut Vec<u8>) -> Counted;

    /// Appends a line that is unusual but that a server does write, without its newline.
    fn odd(&self, random: &mut Random, time: &Time, log: &mut Vec<u8>) -> Counted;

    /// A piece of each line's time, and a text of the same length that makes the time invalid.
    fn date(&self, time: &Time) -> (Vec<u8>, &'static [u8]);
}

/// The most keys of a kind of log.
pub(crate) const KEYS_MAX: usize = 17;
/// The most numeric fields of a kind of log.
pub(crate) const NUMBERS_MAX: usize = 3;

/// The values of a line that must be counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    /// For each key, the position of its value in its [`Column`].
    pub(crate) keys: [u32; KEYS_MAX],
    /// For each numeric field, its value.
    pub(crate) numbers: [Number; NUMBERS_MAX],
}

impl Counted {
    /// The positions of a line's keys, and its numbers.
    fn new(keys: &[usize], numbers: &[Number]) -> Self {
        let mut counted = Self { keys: [0; KEYS_MAX], numbers: [None; NUMBERS_MAX] };
        for (place, &key) in counted.keys.iter_mut().zip(keys) {
            *place = key as u32;
        }
        counted.numbers[..numbers.len()].copy_from_slice(numbers);
        counted
    }
}

/// The number in a field, times 10^scale, if there is one.
pub(crate) type Number = Option<i64>;

/// A field by which lines are counted.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// The name of the field.
    pub(crate) name: &'static str,
    /// All values that lines may have.
    pub(crate) values: Vec<Value>,
}

/// A value of a field.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// The value as it is written in the log.
    pub(crate) text: Vec<u8>,
    /// The value as it must be counted.
    pub(crate) key: Vec<u8>,
}

impl Column {
    /// A column whose values are written as they are counted.
    fn new<T: Into<Vec<u8>>>(name: &'static str, values: impl IntoIterator<Item = T>) -> Self {
        let value = |text: T| {
            let text = text.into();
            Value { key: text.clone(), text }
        };
        Self { name, values: values.into_iter().map(value).collect() }
    }

    /// Adds, after the others, values that are written differently from how they are counted.
    fn with_odd(mut self, odd: &[(&str, &[u8])]) -> Self {
        let value = |(text, key): &(&str, &[u8])| Value { text: text.as_bytes().to_vec(), key: key.to_vec() };
        self.values.extend(odd.iter().map(value));
        self
    }

    /// The value at a position, as it is written in the log.
    fn text(&self, at: usize) -> &[u8] {
        &self.values[at].text
    }

    /// The position of the value that counts as `key`.
    fn place(&self, key: &str) -> usize {
        self.values.iter().position(|value| value.key == key.as_bytes()).expect("a value of the column")
    }
}

/// Appends all parts.
fn push(log: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| log.extend_from_slice(part));
}

/// A number as text, without Rust's slower formatting: lines have many numbers.
#[derive(Clone, Copy, Debug)]
struct Digits {
    /// The digits, right-aligned. The largest number of 64 bits has twenty.
    text: [u8; 20],
    /// The index of the first digit.
    start: usize,
}

impl Digits {
    /// The digits of a number, without leading zeros.
    fn new(mut number: u64) -> Self {
        let mut digits = Self { text: [b'0'; 20], start: 20 };
        while number > 0 || digits.start == 20 {
            digits.start -= 1;
            digits.text[digits.start] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        digits
    }

    /// The number with leading zeros up to a width.
    fn wide(number: u64, width: usize) -> Self {
        let mut digits = Self::new(number);
        digits.start = digits.start.min(20 - width);
        digits
    }
}

impl std::ops::Deref for Digits {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.text[self.start..]
    }
}

/// Sixteen hexadecimal digits.
fn hex(number: u64) -> [u8; 16] {
    std::array::from_fn(|at| b"0123456789abcdef"[(number >> (60 - 4 * at)) as usize & 15])
}
