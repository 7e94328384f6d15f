//! A regular expression, which may be a mistaken one until it is checked.

use regex::bytes::{Regex, RegexBuilder};

/// The size that a compiled expression may have, in bytes. It bounds memory and the time of a search.
const SIZE_MAX: usize = 1 << 20;

/// A regular expression of the crate `regex`, on bytes. Its text is its identity.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) text: String,
    regex: Result<Regex, String>,
}

impl Pattern {
    pub(crate) fn new(text: String) -> Self {
        let regex = RegexBuilder::new(&text).size_limit(SIZE_MAX).build();
        // Its message has the pattern over several lines, and the mistake in the last one.
        let last_line = |error: regex::Error| {
            error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        };
        Self { regex: regex.map_err(last_line), text }
    }

    /// The mistake in the pattern, if there is one.
    pub(crate) fn mistake(&self) -> Option<String> {
        self.regex.as_ref().err().map(|error| format!("the pattern {:?} is wrong: {error}", self.text))
    }

    /// True if the pattern is found anywhere in the text.
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        self.regex.as_ref().is_ok_and(|regex| regex.is_match(text))
    }

    /// Appends the text with every match replaced. In `with`, `$1` and `${name}` stand for groups.
    pub(crate) fn replace(&self, text: &[u8], with: &str, out: &mut Vec<u8>) {
        match &self.regex {
            Ok(regex) => out.extend_from_slice(&regex.replace_all(text, with.as_bytes())),
            Err(_) => out.extend_from_slice(text),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}
