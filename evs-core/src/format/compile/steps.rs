//! A compiled format: the steps that read a line of it.

use super::{class::Class, escape::Escape, needle::Needle};

/// A compiled format: a text, then variables with a text behind each.
#[derive(Clone, Debug)]
pub(in crate::format) struct Steps {
    pub(in crate::format) prefix: Literal,
    pub(in crate::format) steps: Vec<Step>,
    pub(in crate::format) escape: Escape,
    /// The step that the line's time is taken from.
    pub(in crate::format) time: usize,
}

impl Steps {
    /// All texts, the prefix first.
    pub(in crate::format) fn literals(&self) -> impl Iterator<Item = &Literal> {
        std::iter::once(&self.prefix).chain(self.steps.iter().map(|step| &step.until))
    }
}

/// One variable, and the text behind it.
#[derive(Clone, Debug)]
pub(in crate::format) struct Step {
    pub(in crate::format) name: Box<str>,
    pub(in crate::format) class: Class,
    pub(in crate::format) may_be_empty: bool,
    /// The text behind the value, up to the next variable or to the end of the line.
    pub(in crate::format) until: Literal,
    /// nginx cuts `$remote_user` at the first colon: nobody can write a time into it.
    pub(in crate::format) no_colon: bool,
    /// How many of the following steps tell whether this one's value ends at an occurrence of `until`.
    pub(in crate::format) lookahead: usize,
    /// `until`, and the time behind it that the first of these may be.
    pub(in crate::format) needle: Needle,
}

/// Text that the format has between variables.
#[derive(Clone, Debug, Default)]
pub(in crate::format) struct Literal {
    bytes: Box<[u8]>,
    /// The first bytes, and which bits of eight bytes they are: one comparison serves for nearly all
    /// literals there are.
    word: u64,
    mask: u64,
}

impl Literal {
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

    /// Its first eight bytes, and which bits of them count.
    pub(in crate::format) fn word(&self) -> (u64, u64) {
        (self.word, self.mask)
    }

    /// Whether `text` begins with it.
    #[inline]
    pub(in crate::format) fn begins(&self, text: &[u8]) -> bool {
        match text.first_chunk::<8>() {
            Some(head) if self.bytes.len() <= 8 => (u64::from_le_bytes(*head) ^ self.word) & self.mask == 0,
            _ => text.starts_with(&self.bytes),
        }
    }
}
