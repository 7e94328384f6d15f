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

    /// The mistake in a text with which matches are replaced, if there is one: a group that the pattern does not have. It would
    /// stand for nothing, and all keys would be the same.
    pub(crate) fn mistake_in(&self, with: &str) -> Option<String> {
        let regex = self.regex.as_ref().ok()?;
        let has = |group: &str| match group.parse::<usize>() {
            Ok(number) => number < regex.captures_len(),
            Err(_) => regex.capture_names().flatten().any(|name| name == group),
        };
        let mut rest = with;
        while let Some((_, after)) = rest.split_once('$') {
            let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (group, next) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                Some((group, next)) => (group, next),
                None => after.split_at(after.find(|c| !is_of_name(c)).unwrap_or(after.len())),
            };
            if !group.is_empty() && !has(group) {
                let (text, braces) = (&self.text, "${1}");
                return Some(format!(
                    "the pattern {text:?} has no group {group:?}; write {braces} where a letter, digit or _ follows, and $$ for a dollar sign"
                ));
            }
            rest = if group.is_empty() { after.strip_prefix('$').unwrap_or(after) } else { next };
        }
        None
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_a_pattern_does_not_have_are_mistakes() {
        let pattern = Pattern::new("^/([a-z]+)/(?P<id>[0-9]+)".to_owned());
        for with in ["$1", "${1}_x", "$id/$2", "${id}", "$0", "a$$1", "cost: $", "$-", "$$$1"] {
            assert_eq!(pattern.mistake_in(with), None, "{with}");
        }
        for (with, group) in [("$1_x", "1_x"), ("$3", "3"), ("$1 ${name}", "name"), ("$$$x", "x")] {
            let mistake = pattern.mistake_in(with).unwrap_or_default();
            assert!(mistake.contains(&format!("has no group {group:?}")), "{with}: {mistake}");
        }
    }
}
