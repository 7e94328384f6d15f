//! A compiled format: the steps that read a line of it.
//!
//! A line of the format is the prefix, then for each step a value and the literal after it:
//!
//! ```text
//! format   [$msec] "$request" $status
//! prefix   [
//! steps    msec, until `] "`    request, until `" `    status, until the end of the line
//! ```

use super::{class::Class, escape::Escape, needle::Needle};

/// A compiled format: a prefix, then variables with a literal after each.
#[derive(Clone, Debug)]
pub(in crate::format) struct Steps {
    /// The text before the first variable. It may be empty.
    pub(in crate::format) prefix: Literal,
    /// The variables in the order of the format, each with the literal after it.
    pub(in crate::format) steps: Vec<Step>,
    /// The escaping of all values.
    pub(in crate::format) escape: Escape,
    /// The index of the step that is the line's time, if the format has one.
    pub(in crate::format) time: Option<usize>,
    /// The index of the first of three variables at the start of a line that may be a time of syslog, whose day is padded:
    /// `Nov  3 00:02:37`, or `<190>Nov  3 00:02:37`.
    pub(in crate::format) syslog_time: Option<usize>,
    /// The end of the last value that a client chooses, if the rest of the line shows it.
    pub(in crate::format) tail: Option<Tail>,
    /// True if `-1` is no value of a number.
    pub(in crate::format) minus_one_is_none: bool,
    /// True if a delimited value that begins with a quote ends at its closing quote, and may have the delimiter in it.
    pub(in crate::format) is_quoted: bool,
}

/// The values after the last one that a client chooses. Each is delimited by the same text, which none of them has. So they
/// are counted from the end of the line, and the client cannot move them.
#[derive(Clone, Debug)]
pub(in crate::format) struct Tail {
    /// The index of the step whose value a client chooses.
    pub(in crate::format) index: usize,
    /// The text between the values.
    pub(in crate::format) delimiter: Literal,
    /// The number of values after it.
    pub(in crate::format) count: usize,
}

impl Steps {
    /// True if a line may end with a CR: the format does, or a value may have any byte.
    pub(in crate::format) fn may_end_with_cr(&self) -> bool {
        self.escape.is_verbatim()
            || self.literals().last().is_some_and(|last| last.as_bytes().ends_with(b"\r"))
    }

    /// The names of all variables.
    pub(in crate::format) fn names(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(|step| &*step.name)
    }

    /// The index of the first step of that name.
    pub(in crate::format) fn position(&self, name: &str) -> Option<usize> {
        self.names().position(|known| known == name)
    }

    /// All literals, the prefix first.
    pub(in crate::format) fn literals(&self) -> impl Iterator<Item = &Literal> {
        std::iter::once(&self.prefix).chain(self.steps.iter().map(|step| &step.until))
    }
}

/// A variable, and the literal after it.
#[derive(Clone, Debug)]
pub(in crate::format) struct Step {
    /// The variable's name, without the `$`.
    pub(in crate::format) name: Box<str>,
    /// The class of the variable, by which the end of its value is found.
    pub(in crate::format) class: Class,
    /// True if the value may be empty. Otherwise the line was cut.
    pub(in crate::format) may_be_empty: bool,
    /// The literal after the value, up to the next variable or to the end of the line.
    pub(in crate::format) until: Literal,
    /// True for `$remote_user` before a time with colons. nginx cuts it at the first colon, so nobody can write such a time
    /// into it.
    pub(in crate::format) no_colon: bool,
    /// True if a number of the format may have a `+` before it.
    pub(in crate::format) has_plus: bool,
    /// True for `$request` without quotes. Its value ends after the protocol, if it has one.
    pub(in crate::format) is_request: bool,
    /// True for a list of addresses of clients and proxies before a blank: `1.2.3.4, 5.6.7.8`. It does not end after a comma.
    pub(in crate::format) has_commas: bool,
    /// The number of following steps that must match for the value to end at an occurrence of `until`.
    pub(in crate::format) lookahead: usize,
    /// The needle for `until`, with the time after it if the next step is one.
    pub(in crate::format) needle: Needle,
}

/// A literal: text of the format between variables.
#[derive(Clone, Debug, Default)]
pub(in crate::format) struct Literal {
    /// The whole text.
    bytes: Box<[u8]>,
    /// The first eight bytes, as one word: nearly every literal takes a single comparison.
    word: u64,
    /// The bits of `word` that the literal has.
    mask: u64,
}

impl Literal {
    /// The literal with that text.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut word = [0; 8];
        let mut mask = [0; 8];
        for (index, byte) in bytes.iter().take(8).enumerate() {
            word[index] = *byte;
            mask[index] = u8::MAX;
        }
        Self { bytes: bytes.into(), word: u64::from_le_bytes(word), mask: u64::from_le_bytes(mask) }
    }

    pub(in crate::format) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(in crate::format) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(in crate::format) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Its first eight bytes as a word, and the bits of the word that count.
    pub(in crate::format) fn word(&self) -> (u64, u64) {
        (self.word, self.mask)
    }

    /// True if `text` begins with it.
    #[inline]
    pub(in crate::format) fn begins(&self, text: &[u8]) -> bool {
        match text.first_chunk::<8>() {
            Some(head) if self.bytes.len() <= 8 => (u64::from_le_bytes(*head) ^ self.word) & self.mask == 0,
            _ => text.starts_with(&self.bytes),
        }
    }
}
