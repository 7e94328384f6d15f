//! The template of a format: it finds the values of a line by the separators of that line, and says what must be
//! checked before they can be trusted.
//!
//! A template is made once per format, by indexing a line of it. A line is confirmed to have the format if all of the
//! following holds. The reference then accepts the line, too, and finds the same values in it.
//!
//! 1. The line has as many separators and as many quotes as the format.
//! 2. The literals of the format stand, one after the other, at the positions that the separators tell.
//! 3. Each value is as its class demands, for example a number.
//!
//! The reasons:
//!
//! - All quotes are those of the literals, so no value has a quote in it. A delimiter is therefore inside quotes
//!   exactly where it is in the format.
//! - Between two literals, a value has no separator. So it has no delimiter, unless it is inside quotes. In that case
//!   the literal after it cannot stand earlier: it has a separator or a quote in it, ends the line, or begins with a
//!   byte that the value does not have.
//! - So a value ends where the reference finds its end: at a quote, at a blank, or at the first position after which
//!   the line goes on as the format does. The remaining checks have found that it does go on so.
//!
//! Where separators cannot tell the positions of the literals, each line is searched for them: see [`walk`].
//!
//! The fast path decides nothing about unusual lines: it leaves them to the reference. A property test and a fuzz
//! target hold the two together.

mod checks;
mod locate;
mod positions;
mod walk;

use self::{
    checks::{Check, class_checks},
    locate::{Located, locate},
    positions::Position,
};
pub(super) use self::{
    positions::{Candidates, Extent},
    walk::Walk,
};
use super::index::Delimiters;
use crate::format::{
    compile::{Class, Escape, Step, Steps, Tail},
    decode::time::RecentTimes,
};

/// A template of a format's lines: it finds the values by the separators of a line, and knows what to check before the
/// reference can be left out.
///
/// For `$remote_addr [$time_local] $status`, delimited by blanks, a line has these separators (¶ is a newline):
///
/// ```text
/// separator   0       1                     2      3   4
/// line        ¶1.2.3.4 [21/Nov/2026:13:25:22 +0545] 200¶
/// ```
///
/// So the address begins one byte after separator 0 and ends at separator 1; the time begins two bytes after separator
/// 1 and ends one byte before separator 3; the status begins one byte after separator 3 and ends at separator 4.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// The bytes by which a block is indexed.
    pub(super) delimiters: Delimiters,
    /// The escaping of the format. It decides about lines with escapes.
    pub(super) escape: Escape,
    /// The number of separators in a line, its newline included.
    pub(super) separators: u32,
    /// The number of quotes in a line. It means nothing if there is a `walk`.
    pub(super) quotes: u32,
    /// The search for the literals, if separators do not tell where they are. Its offsets then stand for separators.
    pub(super) walk: Option<Walk>,
    /// The values in quotes, if a backslash before a quote escapes it. A value that ends with a backslash may then go on.
    pub(super) escaped_quotes: Vec<Extent>,
    /// By step, the extent of its value.
    pub(super) values: Vec<Extent>,
    /// By separator, the minimum distance to the next one: the value between them is then as long as its class demands.
    distances_min: Vec<i32>,
    /// The literals to compare, except those that are a separator and so were seen by the index.
    literal_heads: Vec<LiteralHead>,
    /// The conditions that separators, distances and literals do not cover.
    checks: Vec<Check>,
    /// The last times of the line's time, which are compared instead of parsed.
    time: RecentTimes,
    /// The extent of the line's time.
    time_extent: Extent,
}

/// A literal of the format, and the position at which it begins. Only its first eight bytes are compared here, as one
/// word; [`Check::Literal`] compares the whole of a longer one.
#[derive(Clone, Copy, Debug)]
struct LiteralHead {
    /// The position at which the literal begins.
    at: Position,
    /// The first eight bytes.
    word: u64,
    /// The bits of `word` that count: a short literal has fewer than eight bytes.
    mask: u64,
}

impl Template {
    /// The template of a format, or `None` if it has none.
    ///
    /// The values of `trusted` steps need no check that they are numbers: they are read as numbers later, which checks
    /// it.
    ///
    /// The delimiter is found by trying: first the blank, then each byte of the literals in order. A tab, `|` or `,`
    /// works as well as a blank. If none does, the literals of each line are searched.
    ///
    /// Times without a zone are those of `zone`.
    pub(super) fn new(steps: &Steps, trusted: &[usize], zone: i64) -> Option<Self> {
        // The reference would read on into the text after such a time.
        let is_greedy = |step: &Step| match (&step.class, step.until.as_bytes().first()) {
            (Class::Time(shape), Some(byte)) => !shape.has_length() && shape.may_take(*byte),
            _ => false,
        };
        if steps.steps.iter().any(is_greedy) {
            return None;
        }
        let bytes = || steps.literals().flat_map(|literal| literal.as_bytes().iter().copied());
        // With the fields that a log names, a quote leaves the line to the reference.
        let are_quoted = bytes().any(|byte| byte == b'"') || steps.escape.is_of_header();
        let mut tried = Vec::new();
        for byte in std::iter::once(b' ').chain(bytes()) {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'"' | b'\\') || tried.contains(&byte) {
                continue;
            }
            if let Some(template) = Self::delimited_by(
                steps,
                (trusted, zone),
                Delimiters { byte, are_quoted, escape: steps.escape.byte() },
            ) {
                return Some(template);
            }
            tried.push(byte);
        }
        Self::walked(steps, (trusted, zone))
    }

    /// The template of a format whose values these bytes delimit, or `None` if they cannot.
    fn delimited_by(steps: &Steps, reading: (&[usize], i64), delimiters: Delimiters) -> Option<Self> {
        // Only blanks as separators show a day that is padded.
        if steps.syslog_time.is_some() && delimiters.byte != b' ' {
            return None;
        }
        // Only if it is the separator, its number in the line tells that the value before the tail has none.
        let has_separator = |tail: &Tail| tail.delimiter.as_bytes().contains(&delimiters.byte);
        if !steps.tail.as_ref().is_none_or(has_separator) {
            return None;
        }
        Self::located(steps, reading, delimiters, &locate(steps, delimiters)?, None)
    }

    /// The template of a format whose literals are searched in each line, or `None` if their first occurrences may not be
    /// the ends of the values.
    fn walked(steps: &Steps, reading: (&[usize], i64)) -> Option<Self> {
        let walk = Walk::new(steps);
        let located = Located {
            literals: walk.literals(),
            searched: Vec::new(),
            separators: walk.separators(),
            quotes: 0,
        };
        let mut template =
            Self::located(steps, reading, Delimiters::none(steps.escape.byte()), &located, Some(walk))?;
        if let Some(tail) = &steps.tail {
            let (first, others) = tail.delimiter.as_bytes().split_first()?;
            if others.contains(first) {
                return None;
            }
            // The values before the last one have no delimiter, as each ends at the first. So they are as many as the
            // reference counts from the end of the line.
            template.checks.push(Check::Without(*template.values.last()?, [*first].into()));
        }
        Some(template)
    }

    /// The template of a format whose literals are located.
    fn located(
        steps: &Steps,
        (trusted, zone): (&[usize], i64),
        delimiters: Delimiters,
        located: &Located,
        walk: Option<Walk>,
    ) -> Option<Self> {
        let time = steps.time?;
        let literal_heads = literal_heads(steps, delimiters, located, walk.as_ref());
        let mut distances_min = vec![0; located.separators as usize];
        let (mut checks, mut values) = (Vec::new(), Vec::new());
        let mut before = located.literals[0].plus(steps.prefix.len());
        for (at, (step, text)) in steps.steps.iter().zip(&located.literals[1..]).enumerate() {
            let start = walk.as_ref().and_then(|walk| walk.start(at)).unwrap_or(before);
            let extent = Extent { start, end: *text };
            values.push(extent);
            before = text.plus(step.until.len());
            let may_be_empty = match step.class {
                Class::Quoted | Class::Time(_) => true,
                Class::Number | Class::Token | Class::Loose | Class::BeforeTarget => step.may_be_empty,
                Class::List | Class::Delimited(_) => false,
            };
            if at != time {
                let is_padded = at > 0 && steps.syslog_time == Some(at - 1);
                let bytes_min = i32::from(!may_be_empty || is_padded);
                if extent.start.separator + 1 == extent.end.separator {
                    let distance_min = &mut distances_min[extent.start.separator as usize];
                    *distance_min = bytes_min
                        .wrapping_add_unsigned(extent.start.offset)
                        .wrapping_sub_unsigned(extent.end.offset)
                        .max(*distance_min);
                } else {
                    checks.push(Check::LengthMin(extent, bytes_min));
                }
                let (next, is_trusted) = (steps.steps.get(at + 1), trusted.contains(&at));
                class_checks(step, extent, delimiters, next, (is_trusted, zone), &mut checks)?;
            }
        }
        if !steps.may_end_with_cr() && steps.steps.last().is_some_and(|step| step.until.is_empty()) {
            checks.extend(values.last().map(|last| Check::Without(*last, (*b"\r").into())));
        }
        checks.extend(located.searched.iter().map(|(at, byte)| Check::Without(values[*at], [*byte].into())));
        let long = steps
            .literals()
            .zip(&located.literals)
            .filter(|(literal, _)| literal.len() > LiteralHead::BYTES_MAX);
        checks.extend(long.map(|(literal, at)| Check::Literal(*at, literal.clone())));
        let end = Position { separator: located.separators, offset: 0 };
        if before.separator != end.separator {
            checks.push(Check::Same(before, end));
        }
        checks.extend(lookaheads(steps, &values));
        let is_escaped = |step: &Step| step.class == Class::Quoted && steps.escape.has_escaped_quotes();
        let quoted = steps.steps.iter().zip(&values).filter(|(step, _)| is_escaped(step));
        let escaped_quotes = quoted.map(|(_, extent)| *extent).collect();
        let step = &steps.steps[time];
        let Class::Time(shape) = &step.class else { return None };
        // Its seconds depend on the clock, which the reference alone knows.
        if shape.lacks_year() {
            return None;
        }
        let until = step.until.as_bytes().first().copied();
        Some(Self {
            delimiters,
            escape: steps.escape,
            separators: located.separators,
            quotes: located.quotes,
            walk,
            time_extent: values[time],
            time: RecentTimes::new(shape, true, until, zone),
            escaped_quotes,
            values,
            distances_min,
            literal_heads,
            checks,
        })
    }

    /// Reads the time of each line, and finds the lines that are confirmed to have the format. Those that are not may
    /// have it all the same: the reference decides.
    pub(super) fn check(&mut self, lines: Candidates<'_>, seconds: &mut Vec<i64>, confirmed: &mut Vec<bool>) {
        confirmed.clear();
        confirmed.resize(lines.len, true);
        seconds.clear();
        seconds.resize(lines.len, 0);
        for (line, (confirmed, seconds)) in confirmed.iter_mut().zip(seconds).enumerate() {
            let (start, end) = lines.extent(self.time_extent, line);
            match lines.block.get(start..end).and_then(|text| self.time.read(text)) {
                Some(read) => *seconds = read,
                None => *confirmed = false,
            }
        }
        for (line, confirmed) in confirmed.iter_mut().enumerate() {
            *confirmed &=
                self.has_literals_and_widths(lines.block, &lines.line(line)[..=self.separators as usize]);
        }
        for check in &mut self.checks {
            check.run(lines, confirmed);
        }
    }

    /// True if the line with these separators has every literal in its place, and room for every value.
    ///
    /// All differences are collected with *or*, and looked at once, at the end. A distance that is too short makes its
    /// difference negative, so the sign bit of the collected ones tells if there was any. A literal that is there
    /// makes its difference zero.
    #[inline(always)]
    fn has_literals_and_widths(&self, block: &[u8], separators: &[u32]) -> bool {
        // No branches, so that nothing can be mispredicted: lines that fail are rare, and may as well fail at the end.
        let mut too_short = 0;
        for ((separator, before), distance_min) in
            separators[1..].iter().zip(separators).zip(&self.distances_min)
        {
            // The sum is negative if a distance is too short.
            too_short |= (separator.wrapping_sub(*before) as i32).wrapping_sub(*distance_min);
        }
        let mut differs = 0;
        for head in &self.literal_heads {
            let at = head.at.of(separators) as usize;
            let bytes = match block.get(at..at + 8).and_then(|bytes| bytes.first_chunk()) {
                Some(bytes) => u64::from_le_bytes(*bytes),
                None => last_bytes(block, at),
            };
            differs |= (bytes ^ head.word) & head.mask;
        }
        too_short >= 0 && differs == 0
    }
}

/// The heads of the literals that nothing has seen yet.
fn literal_heads(
    steps: &Steps,
    delimiters: Delimiters,
    located: &Located,
    walk: Option<&Walk>,
) -> Vec<LiteralHead> {
    let mut heads = Vec::new();
    for (number, (literal, at)) in steps.literals().zip(&located.literals).enumerate() {
        let (word, mask) = literal.word();
        let is_seen = match (walk, number) {
            (Some(_), 0) => false,
            (Some(walk), _) => literal.len() <= walk.seen(number - 1),
            // A literal that is the delimiter alone: the index has seen it already. (The last separator is the
            // newline.)
            (None, _) => {
                literal.as_bytes() == [delimiters.byte] && at.offset == 0 && at.separator < located.separators
            }
        };
        if mask != 0 && !is_seen {
            heads.push(LiteralHead { at: *at, word, mask });
        }
    }
    heads
}

/// The checks that the reference, when it searches the end of a value, sees all that it looks at.
fn lookaheads(steps: &Steps, values: &[Extent]) -> impl Iterator<Item = Check> {
    let searched = steps.steps.iter().enumerate().filter(|(_, step)| {
        let is_searched = match step.class {
            Class::Loose => true,
            Class::Token => step.until.as_bytes().first() != Some(&b' '),
            _ => false,
        };
        is_searched && step.lookahead > 0
    });
    searched.map(|(at, step)| {
        Check::Lookahead(Extent { start: values[at].end, end: values[at + step.lookahead].end })
    })
}

/// The eight bytes from `at` on, with zeros after the end of the block.
#[cold]
fn last_bytes(block: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    let rest = block.get(at..).unwrap_or_default();
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(bytes)
}

impl LiteralHead {
    /// The number of bytes of a literal that are compared as a word.
    const BYTES_MAX: usize = 8;
}
