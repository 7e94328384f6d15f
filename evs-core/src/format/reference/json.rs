//! Reads JSON lines: checks the whole line and captures the values of some keys, without building a tree.
//!
//! Open objects and arrays are kept on a stack, not in recursive calls, and a limit bounds its depth: clients choose
//! how deep they nest.
//!
//! Lines of one log have much the same keys in the same order. So the scanner remembers the texts between the values of
//! earlier lines, and compares them instead of reading them: see [`gaps`](super::gaps).
//!
//! ```text
//! line      {"time": 1795246822, "request": {"method": "GET"}, "status": 200}
//! paths      time                 request     request.method    status
//! captured   slot 0                           slot 1            slot 2
//! ```
//!
//! The grammar is RFC 8259, with one exception: bytes of a string that are not UTF-8 are kept, since servers write
//! what clients send.

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
    gaps::{BEGINNING, Gaps, Known, begins_value},
    keys::Keys,
};
use crate::format::{
    decode::escape::{json_escape, undo_json},
    masks::first_special,
    rejection::{Reason, Rejection},
    work,
};

/// The maximum depth of objects and arrays within each other.
const DEPTH_MAX: usize = 128;
/// The depth up to which the texts between values are remembered, and the length of the path there. Clients may choose keys,
/// and must not choose how much memory they take.
const DEPTH_LEARNED_MAX: usize = 16;
const PATH_BYTES_LEARNED_MAX: usize = 256;

/// Scans lines. It is reused from line to line, so that scanning does not allocate.
#[derive(Clone, Debug)]
pub(in crate::format) struct Scanner {
    /// The keys that are asked for.
    keys: Keys,
    /// The path of the current value: the keys from the outermost object down, joined by points.
    path: Vec<u8>,
    /// The open containers, the innermost last.
    open: Vec<Container>,
    /// True if a container of the line is asked for itself. Where it begins and ends is not remembered.
    has_slot: bool,
    /// The texts between values that earlier lines had.
    gaps: Gaps<State>,
}

/// The state between two values, on which the rest of a line depends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    open: Vec<Container>,
    /// The path of the innermost container that has one.
    path: Vec<u8>,
}

/// An open object or array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Container {
    /// Its kind, which decides about the closing bracket.
    kind: ContainerKind,
    /// The offset of the opening bracket, if it is asked for itself.
    start: usize,
    /// The slot of the container itself, if it is asked for.
    slot: Option<usize>,
    /// The length of the container's own path. `None` inside an array, whose elements have no path.
    path: Option<usize>,
}

/// The kind of a container. Only the members of objects have keys, and so paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContainerKind {
    Object,
    Array,
}

/// The tokens that may come next.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// A value, for the slot if it is asked for.
    Value { slot: Option<usize> },
    /// The first element of an array, or `]`.
    FirstElement,
    /// The first key of an object, or `}`.
    FirstKey,
    /// A key, after a comma.
    Key,
    /// A comma, a closing bracket, or the end of the line.
    AfterValue,
}

impl Scanner {
    /// A scanner for the values of `keys`.
    pub(in crate::format) fn new(keys: Keys) -> Self {
        let gaps = Gaps::new(State::default());
        Self { keys, path: Vec::new(), open: Vec::new(), has_slot: false, gaps }
    }

    /// Captures the values of the keys in `line`, which must be one whole object.
    ///
    /// A key is found by its path, such as `a.b`. This is the key `b` in the object `a`, or the key `a.b`. If a path
    /// occurs twice, the first one counts.
    ///
    /// # Errors
    ///
    /// Rejects a line that is not JSON, at the byte where it stops being JSON.
    pub(in crate::format) fn read(&mut self, line: &[u8], captures: &mut Captures) -> Result<(), Rejection> {
        self.open.clear();
        self.path.clear();
        self.has_slot = false;
        self.gaps.begin();
        let (mut at, mut is_current) = (0, true);
        // `None` once a gap is not remembered.
        let mut gap = Some(BEGINNING);
        loop {
            let slot = match gap.and_then(|gap| self.gaps.find(gap, &line[at..])) {
                Some(Known::End) => return Ok(()),
                Some(Known::Gap { number, len, slot }) => {
                    (gap, is_current) = (Some(number), false);
                    at += len;
                    slot
                }
                None => {
                    if let Some(gap) = gap.filter(|_| !is_current) {
                        let State { open, path } = self.gaps.state(gap);
                        self.open.clone_from(open);
                        self.path.clone_from(path);
                    }
                    is_current = true;
                    let start = at;
                    let Some(slot) = self.gap(line, &mut at, captures)? else {
                        if let Some(gap) = gap.filter(|_| !self.has_slot) {
                            self.gaps.learn_end(gap, &line[start..]);
                        }
                        return Ok(());
                    };
                    let before = gap.filter(|_| !self.has_slot);
                    gap = before.and_then(|before| self.learn(before, &line[start..at], slot));
                    slot
                }
            };
            scalar(line, &mut at, slot, captures)?;
        }
    }

    /// Remembers a gap that was read after gap `before`.
    fn learn(&mut self, before: usize, text: &[u8], slot: Option<usize>) -> Option<usize> {
        let Self { open, path, gaps, .. } = self;
        let state = || {
            let len = open.iter().rev().find_map(|container| container.path).unwrap_or(0);
            let is_small = open.len() <= DEPTH_LEARNED_MAX && len <= PATH_BYTES_LEARNED_MAX;
            is_small.then(|| State { open: open.clone(), path: path[..len].to_vec() })
        };
        gaps.learn(before, text, state, slot)
    }

    /// Reads the text between two values, up to the next value that is no object or array. Returns the slot of that value
    /// if it is asked for, or `None` at the end of the line.
    ///
    /// The loop is a state machine: `next` names the tokens that may come, and one byte decides which of them it is.
    /// There is no recursion and no backtracking.
    #[expect(clippy::option_option, reason = "a value that nobody asked for, and no value")]
    fn gap(
        &mut self,
        line: &[u8],
        at: &mut usize,
        captures: &mut Captures,
    ) -> Result<Option<Option<usize>>, Rejection> {
        let mut next = Next::AfterValue;
        if *at == 0 {
            *at = blanks(line, 0);
            if line.get(*at) != Some(&b'{') {
                return Err(Rejection::at(*at, Reason::Json));
            }
            next = Next::Value { slot: None };
        }
        loop {
            *at = blanks(line, *at);
            let here = line.get(*at).copied();
            next = match (next, here) {
                (Next::FirstKey, Some(b'}')) | (Next::FirstElement, Some(b']')) => {
                    self.close(*at, captures);
                    step(at, Next::AfterValue)
                }
                (Next::FirstKey | Next::Key, Some(b'"')) => Next::Value { slot: self.key(line, at)? },
                (Next::FirstElement, Some(_)) => Next::Value { slot: None },
                (Next::Value { slot }, Some(b'{')) => {
                    self.open(ContainerKind::Object, *at, slot)?;
                    step(at, Next::FirstKey)
                }
                (Next::Value { slot }, Some(b'[')) => {
                    self.open(ContainerKind::Array, *at, slot)?;
                    step(at, Next::FirstElement)
                }
                (Next::Value { slot }, Some(byte)) if begins_value(byte) => return Ok(Some(slot)),
                (Next::AfterValue, byte) => match (self.open.last().map(|container| container.kind), byte) {
                    (None, None) => return Ok(None),
                    (None, Some(_)) => return Err(Rejection::at(*at, Reason::Leftover)),
                    (Some(ContainerKind::Object), Some(b',')) => step(at, Next::Key),
                    (Some(ContainerKind::Array), Some(b',')) => step(at, Next::Value { slot: None }),
                    (Some(ContainerKind::Object), Some(b'}')) | (Some(ContainerKind::Array), Some(b']')) => {
                        self.close(*at, captures);
                        step(at, Next::AfterValue)
                    }
                    _ => return Err(Rejection::at(*at, Reason::Json)),
                },
                _ => return Err(Rejection::at(*at, Reason::Json)),
            };
        }
    }

    /// Reads a key and the colon after it. Returns the slot of its value, if it is asked for.
    fn key(&mut self, line: &[u8], at: &mut usize) -> Result<Option<usize>, Rejection> {
        let JsonString { range: key, is_escaped } = string(line, at)?;
        *at = blanks(line, *at);
        if line.get(*at) != Some(&b':') {
            return Err(Rejection::at(*at, Reason::Json));
        }
        *at += 1;
        let Some(own) = self.open.last().and_then(|container| container.path) else { return Ok(None) };
        self.path.truncate(own);
        if self.open.len() > 1 {
            self.path.push(b'.');
        }
        if is_escaped {
            undo_json(&line[key], &mut self.path);
        } else {
            self.path.extend_from_slice(&line[key]);
        }
        work::examine(self.path.len() - own);
        Ok(self.keys.find(&self.path))
    }

    /// Opens an object or array at `start`.
    fn open(&mut self, kind: ContainerKind, start: usize, slot: Option<usize>) -> Result<(), Rejection> {
        if self.open.len() == DEPTH_MAX {
            return Err(Rejection::at(start, Reason::JsonDepth));
        }
        self.has_slot |= slot.is_some();
        let path = match (self.open.last(), kind) {
            (None, _) => Some(0),
            (Some(Container { kind: ContainerKind::Object, path: Some(_), .. }), ContainerKind::Object) => {
                Some(self.path.len())
            }
            _ => None,
        };
        let start = if slot.is_some() { start } else { 0 };
        self.open.push(Container { kind, start, slot, path });
        Ok(())
    }

    /// Closes the innermost container, whose last byte is at `last`.
    fn close(&mut self, last: usize, captures: &mut Captures) {
        if let Some(Container { start, slot: Some(slot), .. }) = self.open.pop() {
            capture_first(slot, Capture::raw(start, last + 1), captures);
        }
    }
}

/// Steps over one byte.
fn step(at: &mut usize, next: Next) -> Next {
    *at += 1;
    next
}

/// Captures a value, unless its key has one already.
fn capture_first(slot: usize, capture: Capture, captures: &mut Captures) {
    if captures.get(slot).is_none() {
        captures.set(slot, capture);
    }
}

/// Reads a number, a string, `true`, `false` or `null`.
#[inline]
fn scalar(
    line: &[u8],
    at: &mut usize,
    slot: Option<usize>,
    captures: &mut Captures,
) -> Result<(), Rejection> {
    let start = *at;
    let capture = if line[start] == b'"' {
        let JsonString { range: Range { start, end }, is_escaped } = string(line, at)?;
        Some(if is_escaped { Capture::escaped(start, end) } else { Capture::raw(start, end) })
    } else {
        let (rest, absent) =
            number_or_word(&line[start..]).map_err(|_| Rejection::at(start, Reason::Json))?;
        *at = line.len() - rest.len();
        work::examine(*at - start);
        (!absent).then(|| Capture::raw(start, *at))
    };
    if let (Some(slot), Some(capture)) = (slot, capture) {
        capture_first(slot, capture, captures);
    }
    Ok(())
}

/// The offset after the blanks at `at`, which may stand between any two tokens.
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

/// A string: the range between its quotes.
struct JsonString {
    /// The bytes between the quotes, as offsets in the line.
    range: Range<usize>,
    /// True if it has escapes.
    is_escaped: bool,
}

/// Reads the string that begins at `at`. Bytes that are not UTF-8 are kept, so that a request is counted under exactly
/// the bytes that the client sent.
fn string(line: &[u8], at: &mut usize) -> Result<JsonString, Rejection> {
    let start = *at + 1;
    let mut from = start;
    let mut is_escaped = false;
    loop {
        let end = if is_escaped { special_after_escape(line, from) } else { special(line, from) };
        let Some(end) = end else {
            return Err(Rejection::at(*at, Reason::Unterminated));
        };
        work::examine(end + 1 - from);
        match line[end] {
            b'"' => {
                *at = end + 1;
                return Ok(JsonString { range: start..end, is_escaped });
            }
            b'\\' => {}
            // A control character. But if the string does not end either, that is the better reason.
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

/// The number of bytes after an escape that are looked at one by one.
const NEAR: usize = 16;

/// As [`special`], for the text after an escape. The next escape may be close, and starting a search costs more than a
/// few bytes.
fn special_after_escape(line: &[u8], from: usize) -> Option<usize> {
    let near = line.get(from..line.len().min(from + NEAR))?;
    match near.iter().position(|byte| SPECIAL[usize::from(*byte)]) {
        Some(at) => Some(from + at),
        None => special(line, from + near.len()),
    }
}

/// By byte, true for a quote, a backslash and a control character.
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
    let rest = line.get(from..)?;
    let (chunks, tail) = rest.as_chunks::<16>();
    for (number, chunk) in chunks.iter().enumerate() {
        if let Some(at) = first_special(chunk) {
            return Some(from + number * 16 + at);
        }
    }
    let at = tail.iter().position(|byte| SPECIAL[usize::from(*byte)])?;
    Some(from + chunks.len() * 16 + at)
}

/// Reads `true`, `false`, a number, or `null`. Returns `true` for `null`, which is the absence of a value.
fn number_or_word(text: &[u8]) -> IResult<&[u8], bool> {
    let truth = alt((tag("true"), tag("false")));
    alt((value(false, number), value(false, truth), value(true, tag("null")))).parse(text)
}

/// Reads a number, which is kept as it is written: a float would lose digits.
fn number(text: &[u8]) -> IResult<&[u8], &[u8]> {
    // Nearly all numbers are digits without a leading zero, perhaps with a fraction, and without an exponent.
    let count = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = count(0);
    if whole > 0 && (text[0] != b'0' || whole == 1) {
        let fraction = if text.get(whole) == Some(&b'.') { count(whole + 1) } else { 0 };
        let end = if fraction > 0 { whole + 1 + fraction } else { whole };
        if !matches!(text.get(end), Some(b'.' | b'e' | b'E')) {
            return Ok((&text[end..], &text[..end]));
        }
    }
    let whole = alt((tag("0"), recognize((one_of("123456789"), digit0))));
    let exponent = (one_of("eE"), opt(one_of("+-")), digit1);
    recognize((opt(tag("-")), whole, opt((tag("."), digit1)), opt(exponent))).parse(text)
}
