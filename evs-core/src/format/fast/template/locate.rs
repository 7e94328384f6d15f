//! Finds the literals of a format among the separators of a line.
//!
//! The method is to write a line of the format, with a simple value for each variable, and to index it like a line of
//! a log. Each literal must contain a separator, end the line, or stand at a fixed distance from a literal that does;
//! then its position is known in every line. A separator that is in neither a literal nor a time cannot be relied
//! upon, and there is no template.

use super::{
    super::index::{Delimiters, Index},
    positions::Position,
};
use crate::format::compile::{Class, Step, Steps};

/// The positions of a format's literals, and the numbers of separators and quotes in a line.
pub(super) struct Located {
    /// The prefix comes first, then the literal after each step's value.
    pub(super) literals: Vec<Position>,
    /// The values that end before a literal without a separator, each with the first byte of that literal. If the value
    /// had that byte in it, the literal might stand earlier.
    pub(super) searched: Vec<(usize, u8)>,
    /// The number of separators in a line, its newline included.
    pub(super) separators: u32,
    /// The number of quotes in a line.
    pub(super) quotes: u32,
}

/// Finds the separators of a format by indexing a line of it. `None` if they do not tell where its literals are.
pub(super) fn locate(steps: &Steps, delimiters: Delimiters) -> Option<Located> {
    let mut line = steps.prefix.as_bytes().to_vec();
    let mut texts = Vec::with_capacity(steps.steps.len() + 1);
    texts.push(0..line.len());
    let mut times = Vec::new();
    for step in &steps.steps {
        let value: &[u8] = match &step.class {
            // Quotes are counted in the literals only.
            Class::Time(shape) if shape.sample().contains(&b'"') => return None,
            Class::Time(shape) => shape.sample(),
            _ => b"x",
        };
        if matches!(step.class, Class::Time(_)) {
            times.push(line.len()..line.len() + value.len());
        }
        line.extend_from_slice(value);
        texts.push(line.len()..line.len() + step.until.len());
        line.extend_from_slice(step.until.as_bytes());
    }
    let mut quotes = 0;
    let last = texts.len() - 1;
    for (at, text) in texts.iter().enumerate() {
        let text = &line[text.clone()];
        quotes += text.iter().filter(|byte| **byte == b'"').count();
        // A value that need not end at the quote could have delimiters in it. Inside quotes these are not separators.
        let is_inside = delimiters.are_quoted && quotes % 2 == 1;
        if is_inside && !steps.steps.get(at).is_some_and(ends_at_quote) {
            return None;
        }
    }
    let mut index = Index::default();
    index.read(&line, delimiters);
    let separators = &index.separators()[1..];
    let is_known = |separator: &u32| {
        let separator = *separator as usize;
        separator == line.len() || texts.iter().chain(&times).any(|range| range.contains(&separator))
    };
    if index.lines() != 1 || !separators.iter().all(is_known) {
        return None;
    }
    let position = |(at, text): (usize, &std::ops::Range<usize>)| match at {
        0 => Some(Position { separator: 0, offset: 1 }),
        // The literal that ends the line can be found from the end of the line, too.
        _ => match separators.iter().position(|separator| text.contains(&(*separator as usize))) {
            Some(separator) => {
                let offset = (separators[separator] - text.start as u32).wrapping_neg();
                Some(Position { separator: separator as u32 + 1, offset })
            }
            None if at == last => Some(Position {
                separator: separators.len() as u32,
                offset: (text.len() as u32).wrapping_neg(),
            }),
            None => None,
        },
    };
    let mut positions = texts.iter().enumerate().map(position).collect::<Vec<_>>();
    let mut searched = Vec::new();
    for at in 1..last {
        // A time has a fixed length, so the literal before it can be found from the one after it.
        let has_length = matches!(&steps.steps[at].class, Class::Time(shape) if shape.has_length());
        let first = line[texts[at].start];
        let is_number = first.is_ascii_digit() || first == b'.';
        if positions[at].is_none() && has_length && !texts[at].is_empty() && !is_number {
            let back = texts[at + 1].start - texts[at].start;
            positions[at] = positions[at + 1].map(|position| position.plus(back.wrapping_neg()));
            searched.push((at - 1, first));
        }
    }
    let literals = positions.into_iter().collect::<Option<_>>()?;
    Some(Located {
        literals,
        searched,
        separators: separators.len() as u32,
        quotes: index.newlines()[1].quotes,
    })
}

/// True if the value of a step ends at the quote after it. With `escape=none` it may be anything, but all quotes of a line are
/// those of the literals.
fn ends_at_quote(step: &Step) -> bool {
    match step.class {
        Class::Quoted | Class::Number | Class::Time(_) => true,
        Class::Loose | Class::Token => step.until.as_bytes().first() == Some(&b'"'),
        _ => false,
    }
}
