//! Opens single lines: finds the content, its stream, and if it is a piece of a longer line.

use std::ops::Range;

use memchr::memchr;

use super::Container;
use crate::format::{
    damage,
    decode::escape::undo_json,
    reference::{Captures, Keys, Scanner},
    rejection::{Reason, Rejection},
};

/// Opens the lines of a container.
#[derive(Clone, Debug)]
pub(super) struct Opener {
    pub(super) container: Container,
    /// Reads the lines of containers that are JSON. Its keys are the content, the stream, and the mark of a piece.
    scanner: Scanner,
    captures: Captures,
}

/// The slots of the scanner.
const CONTENT: usize = 0;
const STREAM: usize = 1;
const MARK: usize = 2;
const SLOTS: usize = 3;

/// A line that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    /// The range of the content.
    pub(super) content: Range<usize>,
    pub(super) coding: Coding,
    /// The range of the name of the stream. Pieces of one stream make a line.
    pub(super) stream: Range<usize>,
    /// True if the content goes on in the next line of the stream.
    pub(super) is_piece: bool,
}

/// The form in which the content stands in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    /// With the escapes of a JSON string.
    Json,
    /// As an array of numbers, one for each byte, as the journal writes bytes that are not text.
    Numbers,
}

impl Opened {
    /// A line that is no piece, and whose content begins at `at`.
    fn plain(line: &[u8], at: usize) -> Self {
        Self { content: at..line.len(), coding: Coding::Plain, stream: 0..0, is_piece: false }
    }
}

impl Opener {
    pub(super) fn new(container: Container) -> Self {
        let mut keys = Keys::default();
        let names = match container {
            Container::Journald => ["MESSAGE", "_STREAM_ID", "_LINE_BREAK"],
            _ => ["log", "stream", "log"],
        };
        for name in names {
            keys.slot(name);
        }
        Self { container, scanner: Scanner::new(keys), captures: Captures::default() }
    }

    /// Opens a line.
    ///
    /// # Errors
    ///
    /// Rejects a line that is not one of the container.
    pub(super) fn open(&mut self, line: &[u8]) -> Result<Opened, Rejection> {
        if line.is_empty() {
            return Err(Rejection::at(0, Reason::Empty));
        }
        let opened = match self.container {
            Container::Cri { .. } => cri(line),
            Container::Syslog { is_optional: true } => Ok(Opened::plain(line, header_len(line))),
            Container::Syslog { .. } => syslog(line),
            Container::Docker | Container::Journald => self.json(line),
        };
        opened.map_err(|rejection| damage::or(line, rejection))
    }

    /// Opens a JSON object.
    fn json(&mut self, line: &[u8]) -> Result<Opened, Rejection> {
        self.captures.clear(SLOTS);
        self.scanner.read(line, &mut self.captures)?;
        let range = |slot| self.captures.get(slot).map(|capture| capture.range());
        let Some(content) = range(CONTENT) else { return Err(Rejection::at(0, Reason::Container)) };
        let is_string = content.start > 0 && line[content.start - 1] == b'"';
        let coding = match line.get(content.start) {
            _ if is_string => Coding::Json,
            Some(b'[') if self.container == Container::Journald => Coding::Numbers,
            _ => return Err(Rejection::at(content.start, Reason::Container)),
        };
        let text = &line[content.clone()];
        let is_piece = match self.container {
            Container::Docker => !ends_with_line_feed(text),
            _ => range(MARK).is_some_and(|mark| line[mark] == *b"line-max"),
        };
        let end =
            if self.container == Container::Docker && !is_piece { content.end - 2 } else { content.end };
        let stream = range(STREAM).unwrap_or(0..0);
        Ok(Opened { content: content.start..end, coding, stream, is_piece })
    }
}

/// True if a JSON string ends with the escape of a line feed.
fn ends_with_line_feed(text: &[u8]) -> bool {
    let Some(before) = text.strip_suffix(b"n") else { return false };
    // Backslashes in pairs are backslashes of the content.
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Appends the content of a line. Returns `false` if it is an array of other things than bytes.
pub(super) fn append(content: &[u8], coding: Coding, out: &mut Vec<u8>) -> bool {
    match coding {
        Coding::Plain => out.extend_from_slice(content),
        Coding::Json => undo_json(content, out),
        Coding::Numbers => {
            let inside = content.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
            let inside = inside.unwrap_or_default().trim_ascii();
            if inside.is_empty() {
                return true;
            }
            for number in inside.split(|byte| *byte == b',') {
                let number = std::str::from_utf8(number.trim_ascii()).ok();
                let Some(byte) = number.and_then(|number| number.parse().ok()) else { return false };
                out.push(byte);
            }
        }
    }
    true
}

/// Takes a word and the blank after it off the front of the rest of a line, which begins at `at`.
fn word(line: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let len = memchr(b' ', line.get(at..)?)?;
    (len > 0).then_some((at..at + len, at + len + 1))
}

/// `2026-11-28T10:00:00.1Z stdout F …`
fn cri(line: &[u8]) -> Result<Opened, Rejection> {
    let fail = |at| Rejection::at(at, Reason::Container);
    let (time, at) = word(line, 0).ok_or(fail(0))?;
    if !line[0].is_ascii_digit() || memchr(b'T', &line[time]).is_none() {
        return Err(fail(0));
    }
    let (stream, at) = word(line, at).ok_or(fail(at))?;
    if !matches!(&line[stream.clone()], b"stdout" | b"stderr") {
        return Err(fail(stream.start));
    }
    // Further tags may follow after a colon.
    let tags = memchr(b' ', &line[at..]).map_or(line.len(), |len| at + len);
    let is_piece = match line[at..tags].split(|byte| *byte == b':').next() {
        Some(b"P") => true,
        Some(b"F") => false,
        _ => return Err(fail(at)),
    };
    let content = (tags + 1).min(line.len())..line.len();
    Ok(Opened { content, coding: Coding::Plain, stream, is_piece })
}

/// `Nov  3 00:02:37 web1 nginx: …`, `2026-11-03T00:02:37Z web1 nginx[7]: …` or `<190>1 2026-11-03T00:02:37Z web1 nginx 7 - - …`
fn syslog(line: &[u8]) -> Result<Opened, Rejection> {
    let fail = |at| Rejection::at(at, Reason::Container);
    let mut at = 0;
    if line[0] == b'<' {
        let digits = line[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        at = digits + 2;
        if digits == 0 || line.get(digits + 1) != Some(&b'>') {
            return Err(fail(0));
        }
        if line[at..].starts_with(b"1 ") {
            return syslog_5424(line, at + 2);
        }
    }
    let rest = &line[at..];
    at = if is_syslog_time(rest) { at + SYSLOG_TIME_LEN } else { iso8601(line, at)? };
    // The host may be missing. The tag ends with a colon.
    let (first, after) = word(line, at).ok_or(fail(at))?;
    let (tag, after) = if line[first.clone()].ends_with(b":") {
        (first, after)
    } else {
        word(line, after).ok_or(fail(after))?
    };
    if !line[tag.clone()].ends_with(b":") {
        return Err(fail(tag.start));
    }
    Ok(Opened::plain(line, after))
}

/// The length of the header of syslog with which a line begins. It may have none, or nothing but its priority: `<134>`.
pub(super) fn header_len(line: &[u8]) -> usize {
    if line.is_empty() {
        return 0;
    }
    let digits = || line[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    match syslog(line) {
        Ok(opened) => opened.content.start,
        Err(_) if line[0] == b'<' && digits() > 0 && line.get(digits() + 1) == Some(&b'>') => digits() + 2,
        Err(_) => 0,
    }
}

/// The length of `Nov  3 00:02:37 `.
const SYSLOG_TIME_LEN: usize = 16;

/// True if a text begins with the time of RFC 3164. Its day is padded with a blank.
pub(in crate::format) fn is_syslog_time(text: &[u8]) -> bool {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let Some(time) = text.get(..SYSLOG_TIME_LEN) else { return false };
    let is_digit = |at: usize| time[at].is_ascii_digit();
    MONTHS.chunks(3).any(|month| time.starts_with(month))
        && (time[4] == b' ' || is_digit(4))
        && [5, 7, 8, 10, 11, 13, 14].into_iter().all(is_digit)
        && [3, 6, 15].into_iter().all(|at| time[at] == b' ')
        && (time[9], time[12]) == (b':', b':')
}

/// The offset after a time such as `2026-11-03T00:02:37.123+01:00` and its blank.
fn iso8601(line: &[u8], at: usize) -> Result<usize, Rejection> {
    match word(line, at) {
        Some((time, after)) if line[at].is_ascii_digit() && line[time.clone()].get(10) == Some(&b'T') => {
            Ok(after)
        }
        _ => Err(Rejection::at(at, Reason::Container)),
    }
}

/// The rest of a line of RFC 5424, after `<190>1 `: `TIME HOST APP PROCESS ID [data] …`.
fn syslog_5424(line: &[u8], mut at: usize) -> Result<Opened, Rejection> {
    let fail = |at| Rejection::at(at, Reason::Container);
    for _ in 0..5 {
        at = word(line, at).ok_or(fail(at))?.1;
    }
    let data = at;
    if line.get(at) == Some(&b'-') {
        at += 1;
    } else {
        while line.get(at) == Some(&b'[') {
            at = end_of_element(line, at).ok_or(fail(data))?;
        }
    }
    if at == data || line.get(at).is_some_and(|byte| *byte != b' ') {
        return Err(fail(data));
    }
    at = (at + 1).min(line.len());
    if line[at..].starts_with(b"\xEF\xBB\xBF") {
        at += 3;
    }
    Ok(Opened::plain(line, at))
}

/// The offset after an element of structured data, which begins at `at`: `[id name="value"]`. In a value `"`, `\` and `]` have
/// a backslash before them.
fn end_of_element(line: &[u8], at: usize) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (offset, byte) in line[at..].iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b']' if !is_quoted => return Some(at + offset + 1),
            _ => {}
        }
    }
    None
}
