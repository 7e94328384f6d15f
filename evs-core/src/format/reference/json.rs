//! Reads JSON lines: checks the whole line and captures the values of some keys, without building a tree.
//!
//! Open objects and arrays are kept on a stack, not in recursive calls, and a limit bounds its depth: clients choose
//! how deep they nest.
//!
//! Lines of one log have the same keys in the same order. So the scanner remembers the keys of the line before, and
//! compares their bytes instead of reading them.
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
    keys::Keys,
};
use crate::format::{
    decode::escape::{json_escape, undo_json},
    rejection::{Reason, Rejection},
    work,
};

/// The maximum depth of objects and arrays within each other.
const DEPTH_MAX: usize = 128;

/// Scans lines. It is reused from line to line, so that scanning does not allocate.
#[derive(Clone, Debug)]
pub(in crate::format) struct Scanner {
    /// The keys that are asked for.
    keys: Keys,
    /// The path of the current value: the keys from the outermost object down, joined by points.
    path: Vec<u8>,
    /// The index in `recent` of the key that has the path, if the path was not copied to `path`.
    recalled: Option<usize>,
    /// The open containers, the innermost last.
    open: Vec<Container>,
    /// The number of keys of the line read so far.
    read: usize,
    /// By number in the line, the key that earlier lines had there.
    recent: Vec<Recent>,
}

/// A key that an earlier line had.
#[derive(Clone, Debug, Default)]
struct Recent {
    path: Vec<u8>,
    /// The slot of its value, if it is asked for.
    slot: Option<usize>,
    /// Its text in the line, from the quote to the colon. Empty unless it is a key of the outermost object without
    /// escapes.
    written: Vec<u8>,
}

/// The number of keys of a line that are remembered for the next one.
const RECENT_MAX: usize = 64;
/// The length up to which a path is remembered. Clients may choose keys, and must not choose how much memory they take.
const RECENT_BYTES_MAX: usize = 256;

/// An open object or array.
#[derive(Clone, Copy, Debug)]
struct Container {
    /// Its kind, which decides about the closing bracket.
    kind: ContainerKind,
    /// The offset of the opening bracket.
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
        Self { keys, path: Vec::new(), recalled: None, open: Vec::new(), read: 0, recent: Vec::new() }
    }

    /// Captures the values of the keys in `line`, which must be one whole object.
    ///
    /// A key is found by its path, such as `a.b`. This is the key `b` in the object `a`, or the key `a.b`. If a path
    /// occurs twice, the first one counts.
    ///
    /// The loop is a state machine: `next` names the tokens that may come, and one byte decides which of them it is.
    /// There is no recursion and no backtracking.
    ///
    /// # Errors
    ///
    /// Rejects a line that is not JSON, at the byte where it stops being JSON.
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
                    Next::AfterValue
                }
                (Next::FirstKey | Next::Key, Some(b'"')) => {
                    let slot = self.key(line, &mut at)?;
                    Next::Value { slot }
                }
                (Next::FirstElement, Some(_)) => Next::Value { slot: None },
                (Next::Value { slot }, Some(byte)) => self.value(line, &mut at, byte, slot, captures)?,
                (Next::AfterValue, byte) => match (self.open.last().map(|container| container.kind), byte) {
                    (None, None) => return Ok(()),
                    (None, Some(_)) => return Err(Rejection::at(at, Reason::Leftover)),
                    (Some(ContainerKind::Object), Some(b',')) => step(&mut at, Next::Key),
                    (Some(ContainerKind::Array), Some(b',')) => step(&mut at, Next::Value { slot: None }),
                    (Some(ContainerKind::Object), Some(b'}')) | (Some(ContainerKind::Array), Some(b']')) => {
                        self.close(at, captures);
                        step(&mut at, Next::AfterValue)
                    }
                    _ => return Err(Rejection::at(at, Reason::Json)),
                },
                _ => return Err(Rejection::at(at, Reason::Json)),
            };
        }
    }

    /// Reads a key and the colon after it. Returns the slot of its value, if it is asked for.
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
        let JsonString { range: key, is_escaped } = string(line, at)?;
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

    /// The slot of the value at the current path, if it is asked for. `written` is the text of the key.
    fn slot(&mut self, written: &[u8]) -> Option<usize> {
        let number = self.read;
        self.read += 1;
        if number >= RECENT_MAX || self.path.len() > RECENT_BYTES_MAX {
            return self.keys.find(&self.path);
        }
        if self.recent.len() <= number {
            self.recent.resize_with(number + 1, Recent::default);
        }
        work::examine(self.path.len());
        let recent = &mut self.recent[number];
        if recent.path != self.path || recent.path.is_empty() {
            recent.path.clone_from(&self.path);
            recent.slot = self.keys.find(&self.path);
        }
        // The same path may be written differently, with blanks before the colon.
        recent.written.clear();
        if written.len() <= RECENT_BYTES_MAX {
            recent.written.extend_from_slice(written);
        }
        recent.slot
    }

    /// Reads a value. Of an object or array it reads only the opening bracket.
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
                    (ContainerKind::Object, Next::FirstKey)
                } else {
                    (ContainerKind::Array, Next::FirstElement)
                };
                self.open(kind, start, slot)?;
                return Ok(step(at, next));
            }
            b'"' => {
                let JsonString { range: Range { start, end }, is_escaped } = string(line, at)?;
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
            capture_first(slot, capture, captures);
        }
        Ok(Next::AfterValue)
    }

    /// Opens an object or array at `start`.
    fn open(&mut self, kind: ContainerKind, start: usize, slot: Option<usize>) -> Result<(), Rejection> {
        if self.open.len() == DEPTH_MAX {
            return Err(Rejection::at(start, Reason::JsonDepth));
        }
        if let Some(number) = self.recalled.take() {
            self.path.clone_from(&self.recent[number].path);
        }
        let path = match (self.open.last(), kind) {
            (None, _) => Some(0),
            (Some(Container { kind: ContainerKind::Object, path: Some(_), .. }), ContainerKind::Object) => {
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

/// True if `text` begins with `start`. Compares words, since `start` is short and nearly always equal.
#[inline]
fn begins(text: &[u8], start: &[u8]) -> bool {
    let Some(text) = text.get(..start.len()) else { return false };
    let (words, rest) = start.as_chunks::<8>();
    let (others, other_rest) = text.as_chunks::<8>();
    // Comparing slices would call a function.
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    words.iter().zip(others).all(|(one, other)| word(one) == word(other))
        && rest.iter().zip(other_rest).all(|(one, other)| one == other)
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
    const LOWEST: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = LOWEST << 7;
    let is_special = |byte: u8| (byte == b'"') | (byte == b'\\') | (byte < 0x20);
    let rest = line.get(from..)?;
    // Tests sixteen bytes at a time, which the compiler turns into one vector comparison.
    let has_special = |chunk: &[u8; 16]| chunk.iter().fold(false, |found, byte| found | is_special(*byte));
    let (chunks, _) = rest.as_chunks::<16>();
    let clean = chunks.iter().take_while(|chunk| !has_special(chunk)).count() * 16;
    // Then finds the byte within words of eight.
    let (words, tail) = rest[clean..].as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // Sets the highest bit of each byte below `limit`. A borrow can set a wrong bit, but only above a right one,
        // and only the lowest set bit is used.
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

/// Reads `true`, `false`, a number, or `null`. Returns `true` for `null`, which is the absence of a value.
fn scalar(text: &[u8]) -> IResult<&[u8], bool> {
    let truth = alt((tag("true"), tag("false")));
    alt((value(false, number), value(false, truth), value(true, tag("null")))).parse(text)
}

/// Reads a number, which is kept as it is written: a float would lose digits.
fn number(text: &[u8]) -> IResult<&[u8], &[u8]> {
    // Nearly all numbers are digits without a leading zero, a fraction or an exponent.
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 && (text[0] != b'0' || digits == 1) && !matches!(text.get(digits), Some(b'.' | b'e' | b'E'))
    {
        return Ok((&text[digits..], &text[..digits]));
    }
    let whole = alt((tag("0"), recognize((one_of("123456789"), digit0))));
    let exponent = (one_of("eE"), opt(one_of("+-")), digit1);
    recognize((opt(tag("-")), whole, opt((tag("."), digit1)), opt(exponent))).parse(text)
}
