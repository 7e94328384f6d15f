//! JSON lines: checks a whole line and finds the values of some keys in it, without a tree of values.
//!
//! Containers are a stack, not recursion: how deep a client nests them is limited by a counter.

use std::ops::Range;

use memchr::memchr2;
use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::tag,
    character::complete::{digit0, digit1, one_of},
    combinator::{opt, recognize, value},
};

use super::{
    fields::{Capture, Captures},
    keys::Keys,
};
use crate::format::{
    decode::escape::{json_escape, undo_json},
    rejection::{Reason, Rejection},
    work,
};

/// How deep objects and arrays may be nested in each other.
const DEPTH_MAX: usize = 128;

/// What a scan needs, kept from line to line.
#[derive(Clone, Debug)]
pub(in crate::format) struct Scanner {
    keys: Keys,
    /// The keys from the outermost object to the current value, joined by points.
    path: Vec<u8>,
    /// Which of `recent` has the path, if it has not been written to `path`.
    recalled: Option<usize>,
    /// The containers that are open.
    open: Vec<Container>,
    /// How many keys of the line have been read.
    read: usize,
    /// What the lines before had at the same places: most often all lines have the same keys.
    recent: Vec<Recent>,
}

/// A key that was read.
#[derive(Clone, Debug, Default)]
struct Recent {
    path: Vec<u8>,
    /// The slot that asks for it.
    slot: Option<usize>,
    /// For one of the outermost object, that has no escapes: how it is written, from quote to colon.
    written: Vec<u8>,
}

/// How many keys of a line are remembered for the next one.
const RECENT_MAX: usize = 64;
/// How long a path may be to be remembered: clients may have a say in it.
const RECENT_BYTES_MAX: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Container {
    kind: Kind,
    start: usize,
    /// The slot that asks for the container itself.
    slot: Option<usize>,
    /// How much of the path is the container's own; `None` inside an array, where nothing has a path.
    path: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
}

/// What may come next.
#[derive(Clone, Copy, Debug)]
enum Next {
    Value { slot: Option<usize> },
    FirstElement,
    FirstKey,
    Key,
    Behind,
}

impl Scanner {
    pub(in crate::format) fn new(keys: Keys) -> Self {
        Self { keys, path: Vec::new(), recalled: None, open: Vec::new(), read: 0, recent: Vec::new() }
    }

    /// Finds the values of the keys in `line`, which must be one whole object.
    ///
    /// A key is found by its path, `a.b.c`, whether its points separate keys or are part of one. Of
    /// equal ones the first counts.
    pub(in crate::format) fn read(&mut self, line: &[u8], captures: &mut Captures) -> Result<(), Rejection> {
        self.path.clear();
        self.recalled = None;
        self.open.clear();
        self.read = 0;
        let mut at = blanks(line, 0);
        if line.get(at) != Some(&b'{') {
            return Err(Rejection::at(at, Reason::Json));
        }
        let mut next = Next::Value { slot: None };
        loop {
            at = blanks(line, at);
            let here = line.get(at).copied();
            next = match (next, here) {
                (Next::FirstKey, Some(b'}')) | (Next::FirstElement, Some(b']')) => {
                    self.close(at, captures);
                    at += 1;
                    Next::Behind
                }
                (Next::FirstKey | Next::Key, Some(b'"')) => {
                    let slot = self.key(line, &mut at)?;
                    Next::Value { slot }
                }
                (Next::FirstElement, Some(_)) => Next::Value { slot: None },
                (Next::Value { slot }, Some(byte)) => self.value(line, &mut at, byte, slot, captures)?,
                (Next::Behind, byte) => match (self.open.last().map(|container| container.kind), byte) {
                    (None, None) => return Ok(()),
                    (None, Some(_)) => return Err(Rejection::at(at, Reason::Leftover)),
                    (Some(Kind::Object), Some(b',')) => step(&mut at, Next::Key),
                    (Some(Kind::Array), Some(b',')) => step(&mut at, Next::Value { slot: None }),
                    (Some(Kind::Object), Some(b'}')) | (Some(Kind::Array), Some(b']')) => {
                        self.close(at, captures);
                        step(&mut at, Next::Behind)
                    }
                    _ => return Err(Rejection::at(at, Reason::Json)),
                },
                _ => return Err(Rejection::at(at, Reason::Json)),
            };
        }
    }

    /// Reads a key and the colon behind it: the slot that asks for its value.
    fn key(&mut self, line: &[u8], at: &mut usize) -> Result<Option<usize>, Rejection> {
        if self.open.len() == 1
            && let Some(recent) = self.recent.get(self.read)
            && !recent.written.is_empty()
            && begins(&line[*at..], &recent.written)
        {
            *at += recent.written.len();
            self.recalled = Some(self.read);
            self.read += 1;
            return Ok(recent.slot);
        }
        let start = *at;
        let Text { range: key, is_escaped } = string(line, at)?;
        *at = blanks(line, *at);
        if line.get(*at) != Some(&b':') {
            return Err(Rejection::at(*at, Reason::Json));
        }
        *at += 1;
        let depth = self.open.len();
        let Some(own) = self.open.last().and_then(|container| container.path) else { return Ok(None) };
        self.recalled = None;
        self.path.truncate(own);
        if depth > 1 {
            self.path.push(b'.');
        }
        if is_escaped {
            undo_json(&line[key], &mut self.path);
        } else {
            self.path.extend_from_slice(&line[key]);
        }
        let is_plain = depth == 1 && !is_escaped;
        Ok(self.slot(if is_plain { &line[start..*at] } else { b"" }))
    }

    /// The slot that asks for the value at the current path, the last key of which is `written` so.
    fn slot(&mut self, written: &[u8]) -> Option<usize> {
        let place = self.read;
        self.read += 1;
        if place >= RECENT_MAX || self.path.len() > RECENT_BYTES_MAX {
            return self.keys.find(&self.path);
        }
        if self.recent.len() <= place {
            self.recent.resize_with(place + 1, Recent::default);
        }
        work::examine(self.path.len());
        let recent = &mut self.recent[place];
        if recent.path != self.path || recent.path.is_empty() {
            recent.path.clone_from(&self.path);
            recent.slot = self.keys.find(&self.path);
        }
        // Blanks before the colon are not in the path.
        recent.written.clear();
        if written.len() <= RECENT_BYTES_MAX {
            recent.written.extend_from_slice(written);
        }
        recent.slot
    }

    /// Reads a value, or only the bracket that opens it.
    fn value(
        &mut self,
        line: &[u8],
        at: &mut usize,
        byte: u8,
        slot: Option<usize>,
        captures: &mut Captures,
    ) -> Result<Next, Rejection> {
        let start = *at;
        let capture = match byte {
            b'{' | b'[' => {
                let (kind, next) = if byte == b'{' {
                    (Kind::Object, Next::FirstKey)
                } else {
                    (Kind::Array, Next::FirstElement)
                };
                self.open(kind, start, slot)?;
                return Ok(step(at, next));
            }
            b'"' => {
                let Text { range: Range { start, end }, is_escaped } = string(line, at)?;
                Some(if is_escaped { Capture::escaped(start, end) } else { Capture::raw(start, end) })
            }
            b'0'..=b'9' if matches!(line.get(start + 1), Some(b',' | b']' | b'}')) => {
                *at = start + 1;
                Some(Capture::raw(start, start + 1))
            }
            _ => {
                let (rest, absent) =
                    scalar(&line[start..]).map_err(|_| Rejection::at(start, Reason::Json))?;
                *at = line.len() - rest.len();
                work::examine(*at - start);
                (!absent).then(|| Capture::raw(start, *at))
            }
        };
        if let (Some(slot), Some(capture)) = (slot, capture) {
            keep(slot, capture, captures);
        }
        Ok(Next::Behind)
    }

    fn open(&mut self, kind: Kind, start: usize, slot: Option<usize>) -> Result<(), Rejection> {
        if self.open.len() == DEPTH_MAX {
            return Err(Rejection::at(start, Reason::JsonDepth));
        }
        if let Some(place) = self.recalled.take() {
            self.path.clone_from(&self.recent[place].path);
        }
        let path = match (self.open.last(), kind) {
            (None, _) => Some(0),
            (Some(Container { kind: Kind::Object, path: Some(_), .. }), Kind::Object) => {
                Some(self.path.len())
            }
            _ => None,
        };
        self.open.push(Container { kind, start, slot, path });
        Ok(())
    }

    /// Closes the innermost container, whose last byte is at `last`.
    fn close(&mut self, last: usize, captures: &mut Captures) {
        if let Some(Container { start, slot: Some(slot), .. }) = self.open.pop() {
            keep(slot, Capture::raw(start, last + 1), captures);
        }
    }
}

fn step(at: &mut usize, next: Next) -> Next {
    *at += 1;
    next
}

/// Keeps the first value of a key.
fn keep(slot: usize, capture: Capture, captures: &mut Captures) {
    if captures.get(slot).is_none() {
        captures.set(slot, capture);
    }
}

/// Whether `text` begins with `start`, of which a few bytes are compared at a time: most often they are equal, and
/// few.
#[inline]
fn begins(text: &[u8], start: &[u8]) -> bool {
    let Some(text) = text.get(..start.len()) else { return false };
    let (words, rest) = start.as_chunks::<8>();
    let (others, other_rest) = text.as_chunks::<8>();
    // Not as slices, for which a function would be called.
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    words.iter().zip(others).all(|(one, other)| word(one) == word(other))
        && rest.iter().zip(other_rest).all(|(one, other)| one == other)
}

/// Where the blanks end that may stand between any two tokens.
#[inline]
fn blanks(line: &[u8], at: usize) -> usize {
    if line.get(at).is_some_and(|byte| *byte > b' ') {
        return at;
    }
    let rest = line.get(at..).unwrap_or_default();
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    work::examine(blanks);
    at + blanks
}

/// What stands between the quotes of a string, and whether there are escapes in it.
struct Text {
    range: Range<usize>,
    is_escaped: bool,
}

/// Reads the string that begins at `at`. Bytes that are not UTF-8 are kept: what a client sent is counted under
/// what it sent.
fn string(line: &[u8], at: &mut usize) -> Result<Text, Rejection> {
    let start = *at + 1;
    let mut from = start;
    let mut is_escaped = false;
    loop {
        let end = if is_escaped { near_special(line, from) } else { special(line, from) };
        let Some(end) = end else {
            return Err(Rejection::at(*at, Reason::Unterminated));
        };
        work::examine(end + 1 - from);
        match line[end] {
            b'"' => {
                *at = end + 1;
                return Ok(Text { range: start..end, is_escaped });
            }
            b'\\' => {}
            // A control character; but a string that does not end is that before all else.
            _ if memchr2(b'"', b'\\', &line[end..]).is_none() => {
                return Err(Rejection::at(*at, Reason::Unterminated));
            }
            _ => return Err(Rejection::at(end, Reason::JsonString)),
        }
        let Some((length, _)) = json_escape(&line[end + 1..]) else {
            return Err(Rejection::at(end, Reason::JsonString));
        };
        is_escaped = true;
        from = end + 1 + length;
    }
}

/// How many bytes behind an escape are looked at one by one.
const NEAR: usize = 16;

/// As [`special`], behind an escape: others may be near, and then a search would begin anew behind each.
fn near_special(line: &[u8], from: usize) -> Option<usize> {
    let near = line.get(from..line.len().min(from + NEAR))?;
    match near.iter().position(|byte| SPECIAL[usize::from(*byte)]) {
        Some(at) => Some(from + at),
        None => special(line, from + near.len()),
    }
}

/// Which bytes are a quote, a backslash or a control character.
const SPECIAL: [bool; 256] = {
    let mut are_special = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        are_special[byte] = byte < 0x20 || byte == b'"' as usize || byte == b'\\' as usize;
        byte += 1;
    }
    are_special
};

/// The first quote, backslash or control character from `from` on.
#[inline]
fn special(line: &[u8], from: usize) -> Option<usize> {
    const LOWEST: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = LOWEST << 7;
    let is_special = |byte: u8| (byte == b'"') | (byte == b'\\') | (byte < 0x20);
    let rest = line.get(from..)?;
    // Sixteen bytes at a time, which the compiler makes one comparison of.
    let has_special = |chunk: &[u8; 16]| chunk.iter().fold(false, |found, byte| found | is_special(*byte));
    let (chunks, _) = rest.as_chunks::<16>();
    let clean = chunks.iter().take_while(|chunk| !has_special(chunk)).count() * 16;
    // Then where it is, in eight.
    let (words, tail) = rest[clean..].as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The highest bit of each byte below `limit`. A borrow can make one too many, but only above one that is
        // right, and the lowest counts.
        let below = |word: u64, limit: u64| word.wrapping_sub(LOWEST * limit) & !word & HIGHEST;
        let quote = below(word ^ (LOWEST * u64::from(b'"')), 1);
        let backslash = below(word ^ (LOWEST * u64::from(b'\\')), 1);
        let found = quote | backslash | below(word, 0x20);
        if found != 0 {
            return Some(from + clean + at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = tail.iter().position(|byte| is_special(*byte))?;
    Some(from + clean + words.len() * 8 + at)
}

/// `true`, `false`, a number, or `null`, which is no value: whether it is absent.
fn scalar(text: &[u8]) -> IResult<&[u8], bool> {
    let truth = alt((tag("true"), tag("false")));
    alt((value(false, number), value(false, truth), value(true, tag("null")))).parse(text)
}

/// Kept as it is written: through a float it would lose digits.
fn number(text: &[u8]) -> IResult<&[u8], &[u8]> {
    // Nearly all: digits that do not begin with a zero, with no fraction and no exponent.
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 && (text[0] != b'0' || digits == 1) && !matches!(text.get(digits), Some(b'.' | b'e' | b'E'))
    {
        return Ok((&text[digits..], &text[..digits]));
    }
    let whole = alt((tag("0"), recognize((one_of("123456789"), digit0))));
    let exponent = (one_of("eE"), opt(one_of("+-")), digit1);
    recognize((opt(tag("-")), whole, opt((tag("."), digit1)), opt(exponent))).parse(text)
}
