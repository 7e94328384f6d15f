//! Reads a line of an nginx format by the steps of that format.
//!
//! Each step takes its value, and the literal after it, off the front of the rest of the line. No step is ever taken
//! back. A value that may hold anything (`Loose`) ends at the first occurrence of its literal after which the next
//! values look as they must. This lookahead reads a bounded number of bytes, so reading is linear in the length of the
//! line, whatever is in it.
//!
//! For `$remote_user [$time_local] "$request"`, the user in this line could end at either ` [`. After the first one
//! there is no time, so the user is `a [b`:
//!
//! ```text
//! a [b [21/Nov/2026:13:25:22 +0545] "GET / HTTP/1.1"
//!  ^  ^
//! ```
//!
//! A regular expression would find the same end by trying, but backtracking takes quadratic time on a line full of `
//! [`.

use memchr::{memchr, memchr2, memchr3};
use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::tag,
    character::complete::{digit1, one_of},
    combinator::{opt, recognize},
    error::{ErrorKind, ParseError},
};

use super::fields::{Capture, Captures};
use crate::format::{
    compile::{Class, Escape, Literal, Steps, Tail, without_quotes},
    container::is_syslog_time,
    decode::time::{LastTime, Shape},
    rejection::{Reason, Rejection},
    work,
};

/// The lookahead into a number or a token that decides where the value before it ends.
pub(in crate::format) const LOOKAHEAD_BYTES_MAX: usize = 1024;

/// The reason why a step does not match, and the number of bytes from there to the end of the line.
///
/// Parsers see the rest of the line only, so they count from its end; `read` turns that into a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mismatch {
    /// The number of bytes from the mismatch to the end of the line.
    left: usize,
    reason: Reason,
}

impl ParseError<&[u8]> for Mismatch {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Self { left: input.len(), reason: Reason::NotANumber }
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// The rest of the line, and the value that was taken off its front.
type Taken<'l> = IResult<&'l [u8], &'l [u8], Mismatch>;

/// A mismatch at the start of `rest`.
fn mismatch<T>(rest: &[u8], reason: Reason) -> Result<T, nom::Err<Mismatch>> {
    Err(nom::Err::Error(Mismatch { left: rest.len(), reason }))
}

impl Steps {
    /// Reads `line`. Returns its time, and captures the values of those steps that have a slot.
    pub(in crate::format) fn read(
        &self,
        line: &[u8],
        slots: &[Option<usize>],
        last_time: &mut LastTime,
        captures: &mut Captures,
    ) -> Result<i64, Rejection> {
        self.walk(line, slots, last_time, captures).map_err(|error| match error {
            nom::Err::Error(at) | nom::Err::Failure(at) => Rejection::at(line.len() - at.left, at.reason),
            // Only streaming parsers need more input, and none of these is one.
            nom::Err::Incomplete(_) => Rejection::at(line.len(), Reason::Unterminated),
        })
    }

    /// Takes the values and literals of all steps off the line, one after the other.
    fn walk(
        &self,
        line: &[u8],
        slots: &[Option<usize>],
        last_time: &mut LastTime,
        captures: &mut Captures,
    ) -> Result<i64, nom::Err<Mismatch>> {
        let mut seconds = 0;
        let mut rest = self.prefix.skip(line)?;
        for (index, step) in self.steps.iter().enumerate() {
            let (after, value) = self.value(index, rest, last_time)?;
            if value.is_empty() && !step.may_be_empty {
                return mismatch(rest, Reason::EmptyField);
            }
            if Some(index) == self.time
                && let Class::Time(shape) = &step.class
            {
                seconds = match last_time.read(shape, value) {
                    Ok(seconds) => seconds,
                    Err(reason) => return mismatch(rest, reason),
                };
            }
            if let Some(slot) = slots[index] {
                let start = line.len() - rest.len();
                let range = start..start + value.len();
                let capture = match step.class {
                    Class::Delimited(_) => Capture::unquoted(without_quotes(line, range)),
                    _ => Capture::escaped(range.start, range.end),
                };
                captures.set(slot, capture);
            }
            let is_padded = self.syslog_time == Some(index) && is_syslog_time(rest);
            let is_cut = after.is_empty() && self.is_cut(index, rest);
            rest = if is_cut { after } else { step.until.skip(after)? };
            if is_padded && rest.starts_with(b" ") {
                rest = &rest[1..];
            }
        }
        if rest.is_empty() { Ok(seconds) } else { mismatch(rest, Reason::Leftover) }
    }

    /// True if the last value, in quotes, does not end. HAProxy cuts long lines, and writes the request last.
    fn is_cut(&self, index: usize, rest: &[u8]) -> bool {
        self.escape == Escape::Haproxy && index + 1 == self.steps.len() && memchr(b'"', rest).is_none()
    }

    /// Takes the value of a step off the front of `rest`.
    #[inline]
    fn value<'l>(&self, index: usize, rest: &'l [u8], last_time: &LastTime) -> Taken<'l> {
        let step = &self.steps[index];
        match &step.class {
            Class::Quoted if self.escape.has_escaped_quotes() => escaped_quoted(rest),
            Class::Quoted if self.is_cut(index, rest) => Ok((&rest[rest.len()..], rest)),
            Class::Quoted => quoted(rest),
            Class::Time(shape) if Some(index) == self.time => split(rest, shape.length(rest), Reason::Time),
            Class::Time(shape) => time(shape, rest),
            Class::Number if step.may_be_empty => {
                opt(number(step.has_plus)).map(Option::unwrap_or_default).parse(rest)
            }
            Class::Number => number(step.has_plus).parse(rest),
            Class::Token if step.until.as_bytes().first() == Some(&b' ') => {
                split(rest, memchr(b' ', rest), Reason::Unterminated)
            }
            Class::Token => {
                let blank = memchr(b' ', rest).unwrap_or(rest.len());
                self.searched(index, rest, blank, last_time)
            }
            Class::Delimited(_) if self.is_quoted && rest.starts_with(b"\"") => doubly_quoted(rest),
            Class::Delimited(byte) => {
                split(rest, Some(memchr(*byte, rest).unwrap_or(rest.len())), Reason::Unterminated)
            }
            Class::List => list(&step.until, rest),
            Class::BeforeTarget => before_target(&self.steps[index + 1].until, rest),
            Class::Loose => self.searched(index, rest, rest.len(), last_time),
        }
    }

    /// Takes a value whose end is searched off the front of `rest`.
    #[inline]
    fn searched<'l>(&self, index: usize, rest: &'l [u8], limit: usize, last_time: &LastTime) -> Taken<'l> {
        match self.end(index, rest, limit, last_time) {
            Some(at) => Ok((&rest[at..], &rest[..at])),
            None => self.mismatch_after(index, rest, limit, last_time),
        }
    }

    /// The mismatch of a value without an end. If the text after it is there, the mismatch is what follows that: a time that
    /// is none, for example.
    #[cold]
    fn mismatch_after<'l>(
        &self,
        index: usize,
        rest: &'l [u8],
        limit: usize,
        last_time: &LastTime,
    ) -> Taken<'l> {
        let until = &self.steps[index].until;
        let at = memchr::memmem::find(rest, until.as_bytes()).filter(|at| *at <= limit && !until.is_empty());
        let Some(at) = at else { return mismatch(rest, Reason::Unterminated) };
        let mut rest = &rest[at + until.len()..];
        let following = &self.steps[index + 1..];
        for (at, step) in (index + 1..).zip(&following[..self.steps[index].lookahead]) {
            let near = &rest[..rest.len().min(LOOKAHEAD_BYTES_MAX)];
            let Some(length) = self.recognised(at, near, last_time) else {
                return mismatch(
                    rest,
                    match &step.class {
                        Class::Time(_) => Reason::Time,
                        Class::Number => Reason::NotANumber,
                        _ => Reason::Unterminated,
                    },
                );
            };
            rest = &rest[length..];
            if !step.until.begins(rest) {
                return mismatch(rest, Reason::Literal);
            }
            rest = &rest[step.until.len()..];
        }
        mismatch(rest, Reason::Leftover)
    }

    /// The length of the value of a step at the front of `near`, if it can be recognised there.
    #[inline]
    fn recognised(&self, index: usize, near: &[u8], last_time: &LastTime) -> Option<usize> {
        let step = &self.steps[index];
        match &step.class {
            Class::Time(shape) => shape.length(near).filter(|length| {
                // What was the line's time before fits its shape, but perhaps not that of another time.
                let is_known = Some(index) == self.time && last_time.knows(&near[..*length]);
                is_known || shape.fits(&near[..*length])
            }),
            Class::Number => match number(step.has_plus).parse(near) {
                Ok((_, value)) => Some(value.len()),
                Err(_) => step.may_be_empty.then_some(0),
            },
            _ => {
                let blank = memchr(b' ', near);
                work::examine(blank.unwrap_or(near.len()));
                blank.filter(|length| *length > 0 || step.may_be_empty)
            }
        }
    }

    /// The end of a value that may hold any byte: the first occurrence of the literal after it, up to `limit`, after
    /// which the line goes on as the format does.
    ///
    /// The first occurrence is found by its first byte alone. Only if that is not the end, the needle is searched,
    /// which includes the shape of a following time.
    fn end(&self, index: usize, rest: &[u8], limit: usize, last_time: &LastTime) -> Option<usize> {
        let until = &self.steps[index].until;
        let Some(first) = until.as_bytes().first() else {
            return (limit == rest.len()).then_some(limit);
        };
        if let Some(tail) = self.tail.as_ref().filter(|tail| tail.index == index)
            && let Some(at) = before_tail(tail, rest)
            && self.goes_on(index, &rest[at + until.len()..], last_time)
        {
            return Some(at);
        }
        // In most lines it is the first occurrence.
        let mut at = memchr(*first, rest)?;
        work::examine(at);
        let mut without_protocol = None;
        while at <= limit {
            let is_inside = self.steps[index].has_commas && rest[..at].ends_with(b",");
            if until.begins(&rest[at..])
                && !is_inside
                && self.goes_on(index, &rest[at + until.len()..], last_time)
            {
                if !self.steps[index].is_request || ends_with_protocol(&rest[..at], until) {
                    return Some(at);
                }
                without_protocol = without_protocol.or(Some(at));
            }
            match self.steps[index].needle.find(rest, at + 1) {
                Some(next) => at = next,
                None => break,
            }
        }
        without_protocol
    }

    /// True if the rest of the line looks like the steps after `index`, as far as these can be recognised.
    ///
    /// Numbers, tokens and times can be recognised; a loose value cannot, since anything is one. The steps that are
    /// looked at were counted when the format was compiled.
    fn goes_on(&self, index: usize, mut rest: &[u8], last_time: &LastTime) -> bool {
        let before = &self.steps[index];
        let following = &self.steps[index + 1..];
        for (at, step) in (index + 1..).zip(&following[..before.lookahead]) {
            let near = &rest[..rest.len().min(LOOKAHEAD_BYTES_MAX)];
            let length = self.recognised(at, near, last_time);
            work::examine(length.unwrap_or(1));
            let Some(length) = length else { return false };
            if !step.until.begins(&rest[length..]) {
                // The value cannot hold a time, so this is the real one, in a bad line. Searching on must not make the
                // line good, so stop here.
                return before.no_colon && matches!(step.class, Class::Time(_));
            }
            rest = &rest[length + step.until.len()..];
        }
        rest.is_empty() || before.lookahead < following.len()
    }
}

impl Literal {
    /// Takes the literal off the front of `rest`.
    #[inline]
    fn skip<'l>(&self, rest: &'l [u8]) -> Result<&'l [u8], nom::Err<Mismatch>> {
        if self.begins(rest) { Ok(&rest[self.len()..]) } else { mismatch(rest, Reason::Literal) }
    }
}

/// The end of the value before a tail.
fn before_tail(tail: &Tail, rest: &[u8]) -> Option<usize> {
    let mut end = rest.len();
    for _ in 0..tail.count {
        let at = memrmem(&rest[..end], tail.delimiter.as_bytes())?;
        work::examine(end - at);
        end = at;
    }
    Some(end)
}

/// The last occurrence of a text, by its first byte: there are few other such bytes in a tail.
fn memrmem(text: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    memchr::memrchr_iter(first, text).find(|at| text[*at..].starts_with(needle))
}

/// True if a request before the literal `until` ends with its protocol: `GET / HTTP/1.1`. Envoy, which writes requests in
/// quotes and does not escape any, has `HTTP/2` and `HTTP/3`, too.
pub(in crate::format) fn ends_with_protocol(request: &[u8], until: &Literal) -> bool {
    match request {
        [.., b' ', b'H', b'T', b'T', b'P', b'/', b'2' | b'3'] => until.as_bytes().starts_with(b"\""),
        [.., b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor] => {
            major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    }
}

/// Splits `rest` at an offset. Without one, it is a mismatch for the reason `otherwise`.
#[inline]
fn split(rest: &[u8], at: Option<usize>, otherwise: Reason) -> Taken<'_> {
    match at {
        Some(at) => Ok((&rest[at..], &rest[..at])),
        None => mismatch(rest, otherwise),
    }
}

/// The value up to the next `"`. (nginx writes `\x22` for a `"` in a value.)
#[inline]
fn quoted(rest: &[u8]) -> Taken<'_> {
    split(rest, memchr(b'"', rest), Reason::Unterminated)
}

/// The value up to the next `"` that is not escaped by a backslash. For `escape=json` and Apache: `a\"b"` ends at the second
/// quote.
fn escaped_quoted(rest: &[u8]) -> Taken<'_> {
    let (mut from, mut near_max) = (0, 0);
    while from < rest.len() {
        // Escapes may be close together, and starting a search costs more than a few bytes. So the bytes after an
        // escape are looked at one by one first.
        let near = rest.get(from..near_max.min(rest.len())).unwrap_or_default();
        let found = match near.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            Some(at) => Some(from + at),
            None => memchr2(b'"', b'\\', &rest[from + near.len()..]).map(|at| from + near.len() + at),
        };
        let Some(at) = found else { break };
        work::examine(at + 1 - from);
        if rest[at] == b'"' {
            return split(rest, Some(at), Reason::Unterminated);
        }
        from = at + 2;
        near_max = from + NEAR;
    }
    mismatch(rest, Reason::Unterminated)
}

/// The value up to its closing quote, with both quotes. A quote in it is doubled.
fn doubly_quoted(rest: &[u8]) -> Taken<'_> {
    let mut from = 1;
    while let Some(at) = rest.get(from..).and_then(|rest| memchr(b'"', rest)).map(|len| from + len) {
        if rest.get(at + 1) != Some(&b'"') {
            return split(rest, Some(at + 1), Reason::Unterminated);
        }
        from = at + 2;
    }
    mismatch(rest, Reason::Unterminated)
}

/// The number of bytes after an escape that are looked at one by one.
const NEAR: usize = 16;

/// A number, or the `-` for none: `12`, `0.301`, `-`, and `+2750` with a plus.
#[inline]
fn number<'l>(has_plus: bool) -> impl Parser<&'l [u8], Output = &'l [u8], Error = Mismatch> {
    let signs = if has_plus { "-+" } else { "-" };
    alt((recognize((opt(one_of(signs)), digit1, opt((tag("."), digit1)))), tag("-")))
}

/// True if the whole text is a number, or `-`.
pub(in crate::format) fn is_number(text: &[u8], has_plus: bool) -> bool {
    matches!(number(has_plus).parse(text), Ok((rest, _)) if rest.is_empty())
}

/// Takes a time that is not the line's off the front of `rest`.
fn time<'l>(shape: &Shape, rest: &'l [u8]) -> Taken<'l> {
    let length = shape.length(rest).filter(|length| shape.fits(&rest[..*length]));
    split(rest, length, Reason::Time)
}

/// The value before a target, which begins with `/`. It is `-` or `*` before `until` where a request has none.
fn before_target<'l>(until: &Literal, rest: &'l [u8]) -> Taken<'l> {
    let first = until.as_bytes().first().copied().unwrap_or(b' ');
    let at = memchr3(b'/', b' ', first, rest).unwrap_or(rest.len());
    work::examine(at);
    let end = match rest.get(at) {
        Some(b'/') => Some(at),
        _ if rest[..at].ends_with(b"-") || rest[..at].ends_with(b"*") => Some(at - 1),
        _ => None,
    };
    split(rest, end, Reason::Unterminated)
}

/// A list up to `until`, such as `0.001, - : 0.002`: tokens joined by `, ` and ` : `.
fn list<'l>(until: &Literal, rest: &'l [u8]) -> Taken<'l> {
    let first = until.as_bytes().first().copied().unwrap_or(b' ');
    // The start of the current element, and the offset from which its end is searched.
    let (mut element, mut from) = (0, 0);
    while let Some(at) = memchr3(b' ', b',', first, &rest[from..]).map(|at| from + at) {
        let ahead = &rest[at..];
        let separator: &[u8] = if ahead.starts_with(b", ") { b", " } else { b" : " };
        let separated = ahead.starts_with(separator);
        let ends = !until.is_empty() && until.begins(ahead);
        // The literal `, rt=` ends a list, though it begins like `, `. A blank that is part of ` : ` does not end one.
        if ends && (!separated || until.as_bytes().starts_with(separator)) {
            return if at > element || at == 0 {
                split(rest, Some(at), Reason::List)
            } else {
                mismatch(ahead, Reason::List)
            };
        }
        if (separated && at == element) || (!separated && ahead[0] == b' ') {
            return mismatch(ahead, Reason::List);
        }
        from = at + if separated { separator.len() } else { 1 };
        if separated {
            element = from;
        }
    }
    match until.is_empty() {
        true if element == rest.len() && element > 0 => mismatch(&rest[element..], Reason::List),
        true => Ok((&[], rest)),
        false => mismatch(rest, Reason::Unterminated),
    }
}
