//! The conditions of a template that separators, distances and the heads of literals do not cover.
//!
//! Most formats need few of them. `combined` has three: the status and the size are numbers, unless a measure reads
//! them anyway, and the reference's lookahead after the user's name sees the same text. Each check corresponds to a
//! decision that the reference makes while it reads the value.

use super::{
    super::index::Delimiters,
    positions::{Candidates, Extent, Position},
};
use crate::{
    format::{
        compile::{Class, Literal, Step},
        decode::time::RecentTimes,
        reference::{LOOKAHEAD_BYTES_MAX, ends_with_protocol, is_number},
    },
    number::ShortDecimal,
};

/// A condition that separators, distances and the heads of literals do not cover.
///
/// A line that fails one is not rejected: the reference reads it.
#[derive(Clone, Debug)]
pub(super) enum Check {
    /// The whole literal stands at the position. It is longer than its head.
    Literal(Position, Literal),
    /// The two positions are the same.
    Same(Position, Position),
    /// The value has at least the given number of bytes.
    LengthMin(Extent, i32),
    /// The value has none of these bytes.
    Without(Extent, Box<[u8]>),
    /// The literal at the position ends the list before it: it is not a ` : ` that continues the list.
    EndOfList(Position),
    /// The value is a number.
    Number { extent: Extent, may_be_empty: bool, has_plus: bool },
    /// The value is a request that ends with its protocol, before the literal.
    Protocol(Extent, Literal),
    /// The value looks like a time. (It is not the line's time, which is read anyway.)
    Time(Extent, Box<RecentTimes>),
    /// The extent is shorter than `LOOKAHEAD_BYTES_MAX`, so that the reference's bounded lookahead sees the same text.
    Lookahead(Extent),
}

impl Check {
    /// Runs the check over all lines, and clears `confirmed` for those that fail. A loop per check does one kind of
    /// work at a time, which is faster than all checks of one line after the other.
    pub(super) fn run(&mut self, lines: Candidates<'_>, confirmed: &mut [bool]) {
        let block = lines.block;
        let each = confirmed.iter_mut().enumerate();
        match self {
            Self::Literal(position, literal) => {
                for (line, confirmed) in each {
                    let at = lines.at(*position, line);
                    *confirmed &= block.get(at..).is_some_and(|rest| rest.starts_with(literal.as_bytes()));
                }
            }
            Self::LengthMin(extent, bytes_min) => {
                for (line, confirmed) in each {
                    let (start, end) = lines.extent(*extent, line);
                    *confirmed &= end.wrapping_sub(start) as i32 >= *bytes_min;
                }
            }
            Self::Same(one, other) => {
                for (line, confirmed) in each {
                    *confirmed &= lines.at(*one, line) == lines.at(*other, line);
                }
            }
            Self::Without(extent, bytes) => {
                for (line, confirmed) in each {
                    let (start, end) = lines.extent(*extent, line);
                    // Most values are short numbers, which have none of these bytes.
                    *confirmed &= is_short_number_at(block, start, end)
                        || block
                            .get(start..end)
                            .is_some_and(|text| !text.iter().any(|byte| bytes.contains(byte)));
                }
            }
            Self::EndOfList(position) => {
                for (line, confirmed) in each {
                    *confirmed &= block.get(lines.at(*position, line) + 1) != Some(&b':');
                }
            }
            Self::Number { extent, may_be_empty, has_plus } => {
                for (line, confirmed) in each {
                    let (start, end) = lines.extent(*extent, line);
                    *confirmed &=
                        is_number_at(block, start, end, *has_plus) || (*may_be_empty && start == end);
                }
            }
            Self::Protocol(extent, until) => {
                for (line, confirmed) in each {
                    let (start, end) = lines.extent(*extent, line);
                    *confirmed &=
                        block.get(start..end).is_some_and(|request| ends_with_protocol(request, until));
                }
            }
            Self::Time(extent, recent) => {
                for (line, confirmed) in each {
                    let (start, end) = lines.extent(*extent, line);
                    *confirmed &= block.get(start..end).is_some_and(|text| recent.read(text).is_some());
                }
            }
            Self::Lookahead(extent) => {
                for (line, confirmed) in each {
                    let (start, end) = lines.extent(*extent, line);
                    *confirmed &= end.wrapping_sub(start) < LOOKAHEAD_BYTES_MAX;
                }
            }
        }
    }
}

/// True if the bytes of the block between two offsets are a number.
#[inline]
fn is_number_at(block: &[u8], start: usize, end: usize, has_plus: bool) -> bool {
    is_short_number_at(block, start, end)
        || block.get(start..end).is_some_and(|text| !text.is_empty() && is_number(text, has_plus))
}

/// True if they are a number of up to eight bytes. False also for one within the last eight bytes of the block.
#[inline(always)]
fn is_short_number_at(block: &[u8], start: usize, end: usize) -> bool {
    let len = end.wrapping_sub(start);
    let head = block.get(start..start + 8).and_then(|head| head.first_chunk());
    head.is_some_and(|head| (1..=8).contains(&len) && ShortDecimal::is_one(*head, len))
}

/// Adds the checks that the class of a step demands of its value. `next` is the step after it. `None` if separators cannot
/// tell where such a value ends.
///
/// A value in quotes needs none: it ends at the quote. A loose one needs none here, since its end is decided by the
/// literals after it.
pub(super) fn class_checks(
    step: &Step,
    extent: Extent,
    delimiters: Delimiters,
    next: Option<&Step>,
    (is_trusted, zone): (bool, i64),
    checks: &mut Vec<Check>,
) -> Option<()> {
    let is_last = next.is_none();
    let until = step.until.as_bytes();
    match &step.class {
        // The reference may find another end of it.
        Class::Loose if step.is_request => checks.push(Check::Protocol(extent, step.until.clone())),
        Class::Loose if step.has_commas => checks.push(Check::Without(extent, (*b",").into())),
        Class::Quoted | Class::Loose => {}
        // It ends before the first slash, if no byte before that ends it. No separator tells where that is.
        Class::BeforeTarget if delimiters.are_none() => {
            let after_target = next?.until.as_bytes().first().copied().unwrap_or(b' ');
            checks.push(Check::Without(extent, [b' ', after_target].into()));
        }
        Class::BeforeTarget => return None,
        Class::Delimited(byte) => {
            if delimiters.byte != *byte {
                return None;
            }
            // The first delimiter of a line tells whether it is delimited by tabs or by blanks.
            if extent.start.separator == 0 {
                checks.push(Check::Without(extent, (*b" \t").into()));
            }
            // The reference takes a CR for a part of the end of the line.
            if is_last && until.is_empty() {
                checks.push(Check::Without(extent, (*b"\r").into()));
            }
        }
        Class::Time(shape) => {
            let times = RecentTimes::new(shape, false, until.first().copied(), zone);
            checks.push(Check::Time(extent, Box::new(times)));
        }
        Class::Number => {
            // The reference would read such a byte as part of the number. It would read a sign so, too, where the number
            // may be missing.
            let takes = |byte: &u8| {
                byte.is_ascii_digit() || *byte == b'.' || (matches!(byte, b'-' | b'+') && step.may_be_empty)
            };
            if until.first().is_some_and(takes) {
                return None;
            }
            if !is_trusted {
                let Step { may_be_empty, has_plus, .. } = *step;
                checks.push(Check::Number { extent, may_be_empty, has_plus });
            }
        }
        Class::Token => {
            let ends_at_blank = delimiters.are_none() && until.starts_with(b" ");
            let is_in_quotes = until.starts_with(b"\"");
            if is_in_quotes || (delimiters.byte != b' ' && !ends_at_blank) {
                checks.push(Check::Without(extent, (*b" ").into()));
            }
        }
        Class::List => {
            let has_separator = until.contains(&delimiters.byte) || until.contains(&b'"');
            if until.starts_with(b",") || (is_last && !until.is_empty() && !has_separator) {
                return None;
            }
            checks.push(Check::Without(extent, (*b", ").into()));
            if until.starts_with(b" ") {
                checks.push(Check::EndOfList(extent.end));
            }
        }
    }
    Some(())
}
