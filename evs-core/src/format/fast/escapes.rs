//! The escapes of fields that are values of the line: which lines have any, and the values without them.

use memchr::memchr;

use super::{
    columns::{Columns, Span},
    derive::{Derivation, Location, argument},
    index::Index,
    template::{Candidates, Extent, Template},
};
use crate::format::{compile::Escape, decode::escape::undo_path};

/// A field that is a value of the line, and not a part of one.
#[derive(Clone, Debug)]
pub(super) struct DirectField {
    pub(super) field: usize,
    pub(super) extent: Extent,
    pub(super) coding: Coding,
    /// True if it is a number, in which an escape is an error. (The template checks only numbers that are not asked
    /// for.)
    pub(super) is_number: bool,
}

/// The coding of a value, besides the escaping of its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// There is none.
    Plain,
    /// The percent-encoding of an argument of a query.
    Argument,
    /// The percent-encoding of a header in a log of CloudFront, whose format has no escapes.
    Header,
}

/// Finds the lines that have escapes in a value that is asked for, which must be undone.
///
/// An escape in a number takes the confirmation from the line, and so does a backslash before a quote if the server escapes
/// quotes by it. With `escape=json`, so does an escape anywhere.
pub(super) fn find_escapes(
    (index, template): (&Index, &Template),
    lines: Candidates<'_>,
    values: &[DirectField],
    derivations: &[Derivation],
    confirmed: &mut [bool],
    escaped: &mut Vec<bool>,
) {
    escaped.clear();
    let mut hint = 0;
    for line in 0..lines.len {
        let separators = lines.line(line);
        let (start, end) = (separators[0].wrapping_add(1), separators[template.separators as usize]);
        match index.next_escape(start, &mut hint) {
            None => break,
            Some(at) if at >= end => continue,
            Some(_) => {}
        }
        let has_any = |extent: &Extent| {
            let (start, end) = extent.of(separators);
            index.next_escape(start as u32, &mut hint.clone()).is_some_and(|at| (at as usize) < end)
        };
        let block = lines.block;
        let ends_escaped =
            |extent: &Extent| block.get(extent.end.of(separators) as usize - 1) == Some(&b'\\');
        let is_doubtful = template.escape == Escape::Json || template.escaped_quotes.iter().any(ends_escaped);
        if is_doubtful || values.iter().any(|value| value.is_number && has_any(&value.extent)) {
            confirmed[line] = false;
            continue;
        }
        let extents = values.iter().map(|value| &value.extent);
        let mut extents = extents.chain(derivations.iter().map(|derivation| &derivation.extent));
        if extents.any(has_any) {
            escaped.resize(lines.len, false);
            escaped[line] = true;
        }
    }
}

/// The span of a value that stands at `start` in the block, once its escapes and percent-encoding are undone.
#[cold]
pub(super) fn decode_value(
    text: &[u8],
    start: usize,
    escape: Option<Escape>,
    coding: Coding,
    columns: &mut Columns,
) -> Span {
    if coding == Coding::Header {
        return match memchr(b'%', text) {
            None => Span::in_block(start, start + text.len()),
            Some(_) => columns.push_decoded(|decoded| {
                undo_path(text, decoded);
            }),
        };
    }
    let is_arg = coding == Coding::Argument;
    let Some(escape) = escape.filter(|escape| memchr(escape.byte(), text).is_some()) else {
        let whole = 0..text.len();
        return if is_arg {
            argument(text, whole, Location::InBlock(start), columns)
        } else {
            Span::in_block(start, start + text.len())
        };
    };
    if !is_arg {
        return columns.push_decoded(|decoded| escape.undo(text, decoded));
    }
    let mut unescaped = Vec::new();
    escape.undo(text, &mut unescaped);
    let extent = columns.push_decoded(|decoded| decoded.extend_from_slice(&unescaped));
    argument(&unescaped, 0..unescaped.len(), Location::Decoded(extent), columns)
}
