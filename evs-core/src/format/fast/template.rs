//! Where the values of a format are among the marks of a line, and what has to be checked to be sure of it.
//!
//! A line that has as many marks and quotes as the format, the format's texts at the places that the marks say, one
//! behind the other, and in each value what its class allows, is one that the reference accepts, with the same values
//! in it:
//!
//! - All quotes are those of the format's texts, so values have none; and a delimiter is inside quotes just where
//!   it is in the format.
//! - Between two texts of the format, a value has no marks; so it has no delimiter, unless it is inside quotes. Then
//!   the text behind it cannot stand earlier: it has a mark or a quote in it, ends the line, or begins with a byte
//!   that the value has not.
//! - So a value ends where the reference finds its end: at a quote, at a blank, or at the first place from where
//!   on the line goes on as the format does, which the rest of the checks have found to be so.
//!
//! Whatever is not as it most often is need not be decided here: the reference decides it. A property test and
//! a fuzz target hold the two together.

use super::index::{Delimiters, Index};
use crate::{
    format::{
        compile::{Class, Escape, Literal, Step, Steps},
        decode::time::{RecentTimes, Shape},
        reference::{LOOKAHEAD_BYTES_MAX, is_number},
    },
    number::ShortDecimal,
};

/// A format whose lines can be taken apart by their marks.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) delimiters: Delimiters,
    pub(super) escape: Escape,
    /// How many marks a line has, with its newline.
    pub(super) marks: u32,
    /// How many quotes it has.
    pub(super) quotes: u32,
    /// Where each step's value is.
    pub(super) values: Vec<Place>,
    /// How far each mark is behind the one before at least, for the values between them to be long enough.
    gaps: Vec<i32>,
    joints: Vec<Joint>,
    /// Whatever gaps and joints do not say.
    checks: Vec<Check>,
    time: RecentTimes,
    /// Where the time is.
    time_place: Place,
}

/// A place in a line: so many bytes from the mark of that number, where 0 is the newline before the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    mark: u32,
    /// In wrapping arithmetic.
    offset: u32,
}

/// Where a value begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: Edge,
    pub(super) end: Edge,
}

/// A text of the format between two values, and where it begins.
#[derive(Clone, Copy, Debug)]
struct Joint {
    at: Edge,
    /// The text, as far as eight bytes hold it, and which bits of them it has.
    word: u64,
    mask: u64,
}

/// What must be so, too.
#[derive(Clone, Debug)]
enum Check {
    /// The format's text stands there, which is longer than a joint sees.
    Literal(Edge, Literal),
    /// These are the same place.
    Same(Edge, Edge),
    /// It has so many bytes at least.
    Length(Place, i32),
    /// It has none of these bytes.
    Without(Place, Box<[u8]>),
    /// What stands there, behind a list, is not a ` : ` with which it would go on.
    EndOfList(Edge),
    /// It is a number.
    Number { place: Place, may_be_empty: bool },
    /// A time that is not the line's.
    Time(Place, Box<RecentTimes>),
    /// So near to each other that the reference looks as far.
    Near(Place),
}

impl Edge {
    /// The offset of this place in the block, in a line that has these marks.
    #[inline(always)]
    pub(super) fn of(self, marks: &[u32]) -> u32 {
        marks[self.mark as usize].wrapping_add(self.offset)
    }

    fn plus(self, bytes: usize) -> Self {
        Self { offset: self.offset.wrapping_add(bytes as u32), ..self }
    }
}

impl Place {
    #[inline(always)]
    pub(super) fn of(self, marks: &[u32]) -> (usize, usize) {
        (self.start.of(marks) as usize, self.end.of(marks) as usize)
    }
}

/// Lines of a block that have the right numbers of marks and quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidates<'b> {
    pub(super) block: &'b [u8],
    /// The marks of all these lines, and the newline before each.
    pub(super) marks: &'b [u32],
    /// From where on each of them has its marks: so many behind the one before.
    pub(super) stride: usize,
    pub(super) len: usize,
}

impl<'b> Candidates<'b> {
    /// The newline before a line, and the line's marks.
    #[inline(always)]
    pub(super) fn line(self, line: usize) -> &'b [u32] {
        &self.marks[line * self.stride..]
    }

    /// Where a place is in a line.
    #[inline(always)]
    pub(super) fn at(self, edge: Edge, line: usize) -> usize {
        self.marks[line * self.stride + edge.mark as usize].wrapping_add(edge.offset) as usize
    }

    /// Where a value begins and ends in a line.
    #[inline(always)]
    pub(super) fn place(self, place: Place, line: usize) -> (usize, usize) {
        (self.at(place.start, line), self.at(place.end, line))
    }
}

impl Layout {
    /// The layout of a format, if it has one. The values of `trusted` steps will be read as numbers, and so be
    /// checked anyway.
    pub(super) fn new(steps: &Steps, trusted: &[usize]) -> Option<Self> {
        if steps.escape == Escape::None {
            return None;
        }
        let bytes = || steps.literals().flat_map(|literal| literal.as_bytes().iter().copied());
        let are_quoted = bytes().any(|byte| byte == b'"');
        let mut tried = Vec::new();
        for byte in std::iter::once(b' ').chain(bytes()) {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'"' | b'\\') || tried.contains(&byte) {
                continue;
            }
            if let Some(layout) = Self::delimited_by(steps, trusted, Delimiters { byte, are_quoted }) {
                return Some(layout);
            }
            tried.push(byte);
        }
        None
    }

    fn delimited_by(steps: &Steps, trusted: &[usize], delimiters: Delimiters) -> Option<Self> {
        let edges = edges(steps, delimiters)?;
        let mut joints = Vec::new();
        for (literal, at) in steps.literals().zip(&edges.texts) {
            let (word, mask) = literal.word();
            // A mark that does not end the line is the delimiter.
            let is_mark = literal.as_bytes() == [delimiters.byte] && at.offset == 0 && at.mark < edges.marks;
            if mask != 0 && !is_mark {
                joints.push(Joint { at: *at, word, mask });
            }
        }
        let mut gaps = vec![0; edges.marks as usize];
        let (mut checks, mut values) = (Vec::new(), Vec::new());
        let mut before = edges.texts[0].plus(steps.prefix.len());
        for (at, (step, text)) in steps.steps.iter().zip(&edges.texts[1..]).enumerate() {
            let place = Place { start: before, end: *text };
            values.push(place);
            before = text.plus(step.until.len());
            let may_be_empty = match step.class {
                Class::Quoted | Class::Time(_) => true,
                Class::Number | Class::Token | Class::Loose => step.may_be_empty,
                Class::List => false,
            };
            if at != steps.time {
                let bytes_min = i32::from(!may_be_empty);
                if place.start.mark + 1 == place.end.mark {
                    let gap = &mut gaps[place.start.mark as usize];
                    *gap = bytes_min
                        .wrapping_add_unsigned(place.start.offset)
                        .wrapping_sub_unsigned(place.end.offset)
                        .max(*gap);
                } else {
                    checks.push(Check::Length(place, bytes_min));
                }
                let is_last = at + 1 == steps.steps.len();
                class_checks(step, place, delimiters, is_last, trusted.contains(&at), &mut checks)?;
            }
        }
        checks.extend(edges.searched.iter().map(|(at, byte)| Check::Without(values[*at], [*byte].into())));
        let long = steps.literals().zip(&edges.texts).filter(|(literal, _)| literal.len() > Joint::BYTES_MAX);
        checks.extend(long.map(|(literal, at)| Check::Literal(*at, literal.clone())));
        let end = Edge { mark: edges.marks, offset: 0 };
        if before.mark != end.mark {
            checks.push(Check::Same(before, end));
        }
        for (at, step) in steps.steps.iter().enumerate() {
            let is_searched = match step.class {
                Class::Loose => true,
                Class::Token => step.until.as_bytes().first() != Some(&b' '),
                _ => false,
            };
            if is_searched && step.lookahead > 0 {
                checks
                    .push(Check::Near(Place { start: values[at].end, end: values[at + step.lookahead].end }));
            }
        }
        let Class::Time(shape) = steps.steps[steps.time].class else { return None };
        Some(Self {
            delimiters,
            escape: steps.escape,
            marks: edges.marks,
            quotes: edges.quotes,
            time_place: values[steps.time],
            time: RecentTimes::new(shape, true),
            values,
            gaps,
            joints,
            checks,
        })
    }

    /// Reads the time of each line, and finds out which lines are sure to be of the format.
    pub(super) fn check(&mut self, lines: Candidates<'_>, seconds: &mut Vec<i64>, sure: &mut Vec<bool>) {
        sure.clear();
        sure.resize(lines.len, true);
        seconds.clear();
        seconds.resize(lines.len, 0);
        for (line, (sure, seconds)) in sure.iter_mut().zip(seconds).enumerate() {
            let (start, end) = lines.place(self.time_place, line);
            match lines.block.get(start..end).and_then(|text| self.time.read(text)) {
                Some(read) => *seconds = read,
                None => *sure = false,
            }
        }
        for (line, sure) in sure.iter_mut().enumerate() {
            *sure &= self.is_joined(lines.block, &lines.line(line)[..=self.marks as usize]);
        }
        for check in &mut self.checks {
            check.run(lines, sure);
        }
    }

    /// Whether all gaps and joints are as they are to be in the line that has these marks.
    #[inline(always)]
    fn is_joined(&self, block: &[u8], marks: &[u32]) -> bool {
        // Nothing to guess for the branch predictor: lines that fail are rare, and may as well fail at the end.
        let mut too_near = 0;
        for ((mark, before), gap) in marks[1..].iter().zip(marks).zip(&self.gaps) {
            // Negative if they are.
            too_near |= (mark.wrapping_sub(*before) as i32).wrapping_sub(*gap);
        }
        let mut differs = 0;
        for joint in &self.joints {
            let at = joint.at.of(marks) as usize;
            let bytes = match block.get(at..at + 8).and_then(|bytes| bytes.first_chunk()) {
                Some(bytes) => u64::from_le_bytes(*bytes),
                None => last_bytes(block, at),
            };
            differs |= (bytes ^ joint.word) & joint.mask;
        }
        too_near >= 0 && differs == 0
    }
}

/// The eight bytes from `at` on, with zeros for those that there are none of.
#[cold]
fn last_bytes(block: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    let rest = block.get(at..).unwrap_or_default();
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(bytes)
}

impl Joint {
    /// How much of a text it sees to.
    const BYTES_MAX: usize = 8;
}

impl Check {
    /// Each check goes through all lines: there is one kind of thing to be done at a time.
    fn run(&mut self, lines: Candidates<'_>, sure: &mut [bool]) {
        let block = lines.block;
        let each = sure.iter_mut().enumerate();
        match self {
            Self::Literal(edge, literal) => {
                for (line, sure) in each {
                    let at = lines.at(*edge, line);
                    *sure &= block.get(at..).is_some_and(|rest| rest.starts_with(literal.as_bytes()));
                }
            }
            Self::Length(place, bytes_min) => {
                for (line, sure) in each {
                    let (start, end) = lines.place(*place, line);
                    *sure &= end.wrapping_sub(start) as i32 >= *bytes_min;
                }
            }
            Self::Same(one, other) => {
                each.for_each(|(line, sure)| *sure &= lines.at(*one, line) == lines.at(*other, line));
            }
            Self::Without(place, bytes) => {
                for (line, sure) in each {
                    let (start, end) = lines.place(*place, line);
                    // Most often it is a short number, which has none of them.
                    *sure &= is_short_number_at(block, start, end)
                        || block
                            .get(start..end)
                            .is_some_and(|text| !text.iter().any(|byte| bytes.contains(byte)));
                }
            }
            Self::EndOfList(edge) => {
                for (line, sure) in each {
                    *sure &= block.get(lines.at(*edge, line) + 1) != Some(&b':');
                }
            }
            Self::Number { place, may_be_empty } => {
                for (line, sure) in each {
                    let (start, end) = lines.place(*place, line);
                    *sure &= is_number_at(block, start, end) || (*may_be_empty && start == end);
                }
            }
            Self::Time(place, recent) => {
                for (line, sure) in each {
                    let (start, end) = lines.place(*place, line);
                    *sure &= block.get(start..end).is_some_and(|text| recent.read(text).is_some());
                }
            }
            Self::Near(place) => {
                for (line, sure) in each {
                    let (start, end) = lines.place(*place, line);
                    *sure &= end.wrapping_sub(start) < LOOKAHEAD_BYTES_MAX;
                }
            }
        }
    }
}

#[inline]
fn is_number_at(block: &[u8], start: usize, end: usize) -> bool {
    is_short_number_at(block, start, end)
        || block.get(start..end).is_some_and(|text| !text.is_empty() && is_number(text))
}

#[inline(always)]
fn is_short_number_at(block: &[u8], start: usize, end: usize) -> bool {
    let len = end.wrapping_sub(start);
    let head = block.get(start..start + 8).and_then(|head| head.first_chunk());
    head.is_some_and(|head| (1..=8).contains(&len) && ShortDecimal::is_one(*head, len))
}

/// What else the class of a step wants of its value; `None` if that cannot be told by marks.
fn class_checks(
    step: &Step,
    place: Place,
    delimiters: Delimiters,
    is_last: bool,
    is_trusted: bool,
    checks: &mut Vec<Check>,
) -> Option<()> {
    let until = step.until.as_bytes();
    match step.class {
        Class::Quoted | Class::Loose => {}
        Class::Time(shape) => checks.push(Check::Time(place, Box::new(RecentTimes::new(shape, false)))),
        Class::Number => {
            // It would take them for its own, and a `-` if there is nothing before it.
            let takes =
                |byte: &u8| byte.is_ascii_digit() || *byte == b'.' || (*byte == b'-' && step.may_be_empty);
            if until.first().is_some_and(takes) {
                return None;
            }
            if !is_trusted {
                checks.push(Check::Number { place, may_be_empty: step.may_be_empty });
            }
        }
        Class::Token => {
            if delimiters.byte != b' ' {
                checks.push(Check::Without(place, (*b" ").into()));
            }
        }
        Class::List => {
            let has_mark = until.contains(&delimiters.byte) || until.contains(&b'"');
            if until.starts_with(b",") || (is_last && !until.is_empty() && !has_mark) {
                return None;
            }
            checks.push(Check::Without(place, (*b", ").into()));
            if until.starts_with(b" ") {
                checks.push(Check::EndOfList(place.end));
            }
        }
    }
    Some(())
}

/// Where the texts of a format are, the prefix first, and how many marks a line has.
struct Edges {
    texts: Vec<Edge>,
    /// The values that end before a text without marks, and with what it begins: had they that in them, too, it might
    /// stand earlier.
    searched: Vec<(usize, u8)>,
    marks: u32,
    quotes: u32,
}

/// Finds the marks of a format by indexing a line of it. `None` if they do not tell where its texts are.
fn edges(steps: &Steps, delimiters: Delimiters) -> Option<Edges> {
    let mut line = steps.prefix.as_bytes().to_vec();
    let mut texts = Vec::with_capacity(steps.steps.len() + 1);
    texts.push(0..line.len());
    let mut times = Vec::new();
    for step in &steps.steps {
        let value: &[u8] = match step.class {
            Class::Time(Shape::Local) => b"21/Nov/2026:13:25:22 +0545",
            Class::Time(Shape::Iso8601) => b"2026-11-21T13:25:22+05:45",
            Class::Time(Shape::Msec) => b"1795246822.000",
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
        // A value that need not end at the quote could have delimiters in it, which are no marks there.
        let is_inside = delimiters.are_quoted && quotes % 2 == 1;
        let ends_at_quote =
            |step: &Step| matches!(step.class, Class::Quoted | Class::Number | Class::Time(_));
        if is_inside && !steps.steps.get(at).is_some_and(ends_at_quote) {
            return None;
        }
    }
    let mut index = Index::default();
    index.read(&line, delimiters);
    let marks = &index.marks()[1..];
    let is_known = |mark: &u32| {
        let mark = *mark as usize;
        mark == line.len() || texts.iter().chain(&times).any(|range| range.contains(&mark))
    };
    if index.lines() != 1 || !marks.iter().all(is_known) {
        return None;
    }
    let edge = |(at, text): (usize, &std::ops::Range<usize>)| match at {
        0 => Some(Edge { mark: 0, offset: 1 }),
        // What ends the line can be found from its end, too.
        _ => match marks.iter().position(|mark| text.contains(&(*mark as usize))) {
            Some(mark) => {
                let offset = (marks[mark] - text.start as u32).wrapping_neg();
                Some(Edge { mark: mark as u32 + 1, offset })
            }
            None if at == last => {
                Some(Edge { mark: marks.len() as u32, offset: (text.len() as u32).wrapping_neg() })
            }
            None => None,
        },
    };
    let mut edges = texts.iter().enumerate().map(edge).collect::<Vec<_>>();
    let mut searched = Vec::new();
    for at in 1..last {
        // What stands before a time can be found from behind it.
        let has_length = matches!(steps.steps[at].class, Class::Time(Shape::Local | Shape::Iso8601));
        let first = line[texts[at].start];
        let is_number = first.is_ascii_digit() || first == b'.';
        if edges[at].is_none() && has_length && !texts[at].is_empty() && !is_number {
            let back = texts[at + 1].start - texts[at].start;
            edges[at] = edges[at + 1].map(|edge| edge.plus(back.wrapping_neg()));
            searched.push((at - 1, first));
        }
    }
    let texts = edges.into_iter().collect::<Option<_>>()?;
    Some(Edges { texts, searched, marks: marks.len() as u32, quotes: index.newlines()[1].quotes })
}
