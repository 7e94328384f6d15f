//! Finds the literals of a line by searching one after the other, for formats in which separators cannot tell where they
//! are: HAProxy's `$backend/$server 0/0/1/69/70 …`, for example.
//!
//! The walk writes the offset of each literal where a template that counts has separators, so all that comes after it is
//! the same:
//!
//! ```text
//! format      $remote_addr:$remote_port [$time_local] $status
//! line        ¶1.2.3.4:33317 [06/Feb/2009:12:14:14.655] 200¶
//! offsets     0       1     2                         3    4,5
//! ```
//!
//! A value ends at the first occurrence of the byte with which the reference would end it. One whose end the reference
//! searches ends at the first occurrence of the literal after it: the checks find whether the line goes on from there as
//! the format does, and then the reference ends it there, too. Each search begins where the one before has ended, so a
//! walk is linear in the length of the line.

use memchr::memchr;

use super::positions::Position;
use crate::format::{
    compile::{Class, Step, Steps},
    container::is_syslog_time,
    work,
};

/// The way through a line of a format, from literal to literal.
#[derive(Clone, Debug)]
pub(in crate::format::fast) struct Walk {
    /// The length of the text before the first value.
    prefix: usize,
    /// By step, how the literal after it is found.
    stops: Vec<Stop>,
    /// The index of the step that is the month of a syslog header. A blank may pad the day after it.
    month: Option<usize>,
}

/// A literal that is searched.
#[derive(Clone, Copy, Debug)]
struct Stop {
    needle: Needle,
    /// The length of the literal.
    len: usize,
}

/// The bytes by which a literal is found.
#[derive(Clone, Copy, Debug)]
enum Needle {
    /// The first such byte after as many others.
    Byte { byte: u8, skip: usize },
    /// The first such bytes one after the other.
    Pair([u8; 2]),
    /// The end of the line.
    End,
}

impl Walk {
    /// The way through lines of a format.
    pub(super) fn new(steps: &Steps) -> Self {
        let stop = |step: &Step| Stop { needle: Needle::of(step), len: step.until.len() };
        let stops = steps.steps.iter().map(stop).collect();
        Self { prefix: steps.prefix.len(), stops, month: steps.syslog_time }
    }

    /// The number of offsets that stand for separators: one for each literal after a value, and the newline.
    pub(super) fn separators(&self) -> u32 {
        self.stops.len() as u32 + 1
    }

    /// The number of offsets of a line, with that of the newline before it.
    pub(in crate::format::fast) fn stride(&self) -> usize {
        self.stops.len() + 2 + usize::from(self.month.is_some())
    }

    /// The positions of the literals: the prefix, then the one after each value.
    pub(super) fn literals(&self) -> Vec<Position> {
        let prefix = Position { separator: 0, offset: 1 };
        let others = (1..self.separators()).map(|separator| Position { separator, offset: 0 });
        std::iter::once(prefix).chain(others).collect()
    }

    /// The position of the first byte of a value, if it is not that after a literal: a blank may be before a day.
    pub(super) fn start(&self, step: usize) -> Option<Position> {
        let is_day = self.month.is_some_and(|month| month + 1 == step);
        is_day.then(|| Position { separator: self.separators() + 1, offset: 0 })
    }

    /// The number of bytes of the literal after a step that the walk has seen.
    pub(super) fn seen(&self, step: usize) -> usize {
        match self.stops[step].needle {
            Needle::Byte { .. } => 1,
            Needle::Pair(_) => 2,
            Needle::End => 0,
        }
    }

    /// Appends the offsets of a line, which stands at these offsets in the block. Returns `false` if it has not the
    /// literals of the format.
    #[inline]
    pub(in crate::format::fast) fn append(
        &self,
        block: &[u8],
        (start, end): (usize, usize),
        offsets: &mut Vec<u32>,
    ) -> bool {
        let from = offsets.len();
        offsets.push((start as u32).wrapping_sub(1));
        let (mut at, mut day) = (start + self.prefix, 0);
        for (step, stop) in self.stops.iter().enumerate() {
            let Some(found) = stop.needle.find(block, at, end) else {
                offsets.truncate(from);
                return false;
            };
            offsets.push(found as u32);
            if Some(step) == self.month {
                day = found + stop.len;
                if block.get(day) == Some(&b' ') && is_syslog_time(&block[at..end]) {
                    day += 1;
                }
                at = day;
            } else {
                at = found + stop.len;
            }
        }
        offsets.push(end as u32);
        if self.month.is_some() {
            offsets.push(day as u32);
        }
        true
    }
}

impl Needle {
    /// The bytes that end the value of a step, as the reference ends it.
    fn of(step: &Step) -> Self {
        let byte = |byte| Self::Byte { byte, skip: 0 };
        let until = step.until.as_bytes();
        match (&step.class, until) {
            // Its literal is empty, and the target after it begins with a slash.
            (Class::BeforeTarget, _) => byte(b'/'),
            (_, []) => Self::End,
            (Class::Time(shape), [first, ..]) => {
                let skip = shape.sample().iter().filter(|byte| *byte == first).count();
                Self::Byte { byte: *first, skip }
            }
            (Class::Loose, [first, second, ..]) => Self::Pair([*first, *second]),
            (Class::Token, [first, second, ..]) if *first != b' ' => Self::Pair([*first, *second]),
            (_, [first, ..]) => byte(*first),
        }
    }

    /// The first offset from `from` to `end` at which the bytes are.
    #[inline]
    fn find(self, block: &[u8], from: usize, end: usize) -> Option<usize> {
        match self {
            Self::Byte { byte, mut skip } => {
                let mut at = find_byte(block, byte, from, end)?;
                while skip > 0 {
                    at = find_byte(block, byte, at + 1, end)?;
                    skip -= 1;
                }
                Some(at)
            }
            Self::Pair([first, second]) => {
                let mut at = from;
                loop {
                    at = find_byte(block, first, at, end)?;
                    if at + 1 < end && block[at + 1] == second {
                        return Some(at);
                    }
                    at += 1;
                }
            }
            Self::End => (from <= end).then_some(end),
        }
    }
}

/// The first offset of a byte from `from` to `end`. Most values are short, and calling a function costs more than to
/// look at a few words.
#[inline(always)]
fn find_byte(block: &[u8], byte: u8, from: usize, end: usize) -> Option<usize> {
    const WORDS: usize = 3;
    const LOWEST: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = LOWEST << 7;
    let mut at = from;
    for _ in 0..WORDS {
        let Some(word) = block.get(at..).and_then(|rest| rest.first_chunk()) else { break };
        let differences = u64::from_le_bytes(*word) ^ (LOWEST * u64::from(byte));
        // A borrow may set wrong bits above the first right one.
        let equal = differences.wrapping_sub(LOWEST) & !differences & HIGHEST;
        if equal != 0 {
            at += equal.trailing_zeros() as usize / 8;
            work::examine(at + 1 - from);
            return (at < end).then_some(at);
        }
        at += 8;
    }
    let found = memchr(byte, block.get(at..end)?).map(|len| at + len);
    work::examine(found.unwrap_or(end) + 1 - from);
    found
}
