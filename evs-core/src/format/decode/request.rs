//! Reads nginx's request variables from a request line, a target or a query.
//!
//! From `GET /a/../b?c=1 HTTP/1.1`, for example, `$request_method` is `GET`, `$request_uri` is `/a/../b?c=1`, `$uri`
//! is `/b`, `$args` is `c=1` and `$server_protocol` is `HTTP/1.1`.
//!
//! The rules are those of nginx's own parser (`ngx_http_parse.c`), not of an RFC: the numbers must be those that nginx
//! would have logged if the variable were in the format. That includes requests that nginx accepts against the
//! standard, and those that it refuses but logs all the same.

use std::ops::Range;

use memchr::{memchr, memchr2, memmem, memrchr};
use nom::{
    IResult, Parser,
    bytes::complete::{tag, take_till1, take_while, take_while1},
    character::complete::{alpha1, digit1},
    combinator::{all_consuming, opt, recognize},
    sequence::terminated,
};

use super::escape::{undo_path, undo_query};
use crate::format::work;

/// The parts of a request, as ranges of its text. nginx prints `-` for a part that is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::format) struct Parts {
    /// `$request_method`
    pub(in crate::format) method: Option<Range<usize>>,
    /// `$request_uri`, without a scheme and host.
    pub(in crate::format) target: Option<Range<usize>>,
    /// As it was sent: [`normalise`] makes it `$uri`.
    pub(in crate::format) path: Option<Range<usize>>,
    /// `$args`, without the `?`.
    pub(in crate::format) args: Option<Range<usize>>,
    /// `$server_protocol`
    pub(in crate::format) protocol: Option<Range<usize>>,
}

impl Parts {
    /// Cuts a request line. A line that nginx refuses (a TLS hello, `batman`, `OPTIONS *`) has no parts.
    ///
    /// The target is the text between the first word and the last one, since nginx before 1.21.1 accepted blanks in a
    /// target. A line without a protocol at the end is a request of HTTP/0.9.
    ///
    /// | request line | method | target | protocol |
    /// | --- | --- | --- | --- |
    /// | `GET /a?b HTTP/1.1` | `GET` | `/a?b` | `HTTP/1.1` |
    /// | `GET /a b HTTP/1.1` | `GET` | `/a b` | `HTTP/1.1` |
    /// | `GET /a` | `GET` | `/a` | |
    /// | `get /a HTTP/1.1` | | | |
    pub(in crate::format) fn of_request(line: &[u8]) -> Self {
        let line = line.trim_ascii_end();
        let Ok((rest, method)) = method(line) else { return Self::default() };
        let (target, protocol) = match memrchr(b' ', rest) {
            Some(blank) if all_consuming(protocol).parse(&rest[blank + 1..]).is_ok() => {
                (rest[..blank].trim_ascii_end(), Some(line.len() - (rest.len() - blank - 1)..line.len()))
            }
            _ => (rest, None),
        };
        let start = line.len() - rest.len();
        let Some(parts) = Self::of_target_at(target, start) else { return Self::default() };
        Self { method: Some(0..method.len()), protocol, ..parts }
    }

    /// Cuts a target: `/path?query`, with or without scheme and host before it. A target that nginx refuses has no
    /// parts.
    pub(in crate::format) fn of_target(target: &[u8]) -> Self {
        Self::of_target_at(target, 0).unwrap_or_default()
    }

    /// Takes the whole text as a query: for logs that have `$args` and no request.
    pub(in crate::format) fn of_args(args: &[u8]) -> Self {
        Self { args: Some(0..args.len()), ..Self::default() }
    }

    /// Cuts a target that stands at `offset` of a longer text. `None` if nginx refuses it.
    fn of_target_at(target: &[u8], offset: usize) -> Option<Self> {
        let Range { start, end } = match target.first()? {
            b'/' | b'?' => 0..target.len(),
            _ => after_host(target)?,
        };
        // nginx cuts the path and the query at a `#`, but leaves it in $request_uri.
        let fragment = memchr(b'#', &target[start..end]).map_or(end, |at| start + at);
        let question = memchr(b'?', &target[start..fragment]).map(|at| start + at);
        let at = |range: Range<usize>| (!range.is_empty()).then(|| range.start + offset..range.end + offset);
        Some(Self {
            target: at(start..end),
            path: Some(start + offset..question.unwrap_or(fragment) + offset),
            args: question.and_then(|question| at(question + 1..fragment)),
            ..Self::default()
        })
    }
}

/// The first word, if nginx accepts it as a method, and the blanks after it.
fn method(line: &[u8]) -> IResult<&[u8], &[u8]> {
    let word = take_while1(|byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-'));
    terminated(word, take_while1(|byte| byte == b' ')).parse(line)
}

/// `HTTP/1.1`, `HTTP/2`
fn protocol(word: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize((tag("HTTP/"), digit1, opt((tag("."), digit1)))).parse(word)
}

/// The range of the path and query of `http://host/path`. In `http://host` it is the second `/`: nginx takes the path
/// `/` from there.
fn after_host(target: &[u8]) -> Option<Range<usize>> {
    let (rest, (scheme, _)) = (scheme, host).parse(target).ok()?;
    match rest.first() {
        Some(b'#') => None,
        Some(_) => Some(target.len() - rest.len()..target.len()),
        None => Some(scheme.len() - 1..scheme.len()),
    }
}

/// `http://`
fn scheme(target: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize((
        alpha1,
        take_while(|byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)),
        tag("://"),
    ))
    .parse(target)
}

/// The host, up to the path, the query or the fragment.
fn host(rest: &[u8]) -> IResult<&[u8], &[u8]> {
    take_till1(|byte| matches!(byte, b'/' | b'?' | b'#')).parse(rest)
}

/// The value of the first argument of that name, without regard to case. A pair without a `=` is not an argument.
///
/// In `a&A=1&a=2`, the range of `a` is that of `1`.
///
/// This is for a single name; [`ArgNames`](super::args::ArgNames) finds the arguments of many.
pub(in crate::format) fn arg(args: &[u8], name: &[u8]) -> Option<Range<usize>> {
    let mut start = 0;
    loop {
        let end = memchr(b'&', &args[start..]).map_or(args.len(), |at| start + at);
        let pair = &args[start..end];
        work::examine(pair.len() + 1);
        if pair.get(name.len()) == Some(&b'=') && pair[..name.len()].eq_ignore_ascii_case(name) {
            return Some(start + name.len() + 1..end);
        }
        if end == args.len() {
            return None;
        }
        start = end + 1;
    }
}

/// True if [`decode`] would change the value: it has a `%` or a `+`.
pub(in crate::format) fn is_encoded(value: &[u8]) -> bool {
    memchr2(b'%', b'+', value).is_some()
}

/// Undoes the percent-encoding of a query: `+` becomes a blank, and a bad escape stays as it is.
pub(in crate::format) fn decode(value: &[u8], out: &mut Vec<u8>) {
    undo_query(value, out);
}

/// True only if [`normalise`] would leave the path as it is. Nearly all paths are like that, and then need no copy.
pub(in crate::format) fn is_normal(path: &[u8]) -> bool {
    path.first() == Some(&b'/')
        && memchr(b'%', path).is_none()
        && memmem::find(path, b"//").is_none()
        && memmem::find(path, b"/.").is_none()
}

/// Appends the path as in `$uri`: decoded, with `//`, `/./` and `/../` resolved.
///
/// Appends nothing and returns `None` if nginx refuses the path: for a bad escape, a NUL, or a `..` above the root.
///
/// | path | `$uri` |
/// | --- | --- |
/// | `/a//b/./c` | `/a/b/c` |
/// | `/a/../%62` | `/b` |
/// | `/%2e%2e/a` | none |
pub(in crate::format) fn normalise(path: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let base = out.len();
    let done = if undo_path(path, out) { resolve(out, base) } else { None };
    if done.is_none() {
        out.truncate(base);
    }
    done
}

/// Resolves the segments after `base` in place: the write position never passes the read position. `None` for a `..`
/// above the root.
///
/// Segments may be short and many, so each is copied while its end is searched. A byte is written over only after a
/// `..` removed it, so the whole takes at most two steps a byte.
///
/// ```text
/// /a/./b//../c    read      /a/  /./  /b/  //  /../  /c
/// /a/c            written   /a/       /a/b/    /a/   /a/c
/// ```
fn resolve(out: &mut Vec<u8>, base: usize) -> Option<()> {
    if out.len() == base {
        out.push(b'/');
    }
    let path = &mut out[base..];
    work::examine(path.len());
    let (mut from, mut written) = (1, 1);
    while from < path.len() {
        if path[from] == b'/' {
            from += 1;
            continue;
        }
        let start = written;
        while from < path.len() && path[from] != b'/' {
            path[written] = path[from];
            from += 1;
            written += 1;
        }
        let is_dot = |at: usize| path[start + at] == b'.';
        match written - start {
            1 if is_dot(0) => written = start,
            2 if is_dot(0) && is_dot(1) => {
                // Goes back over the previous segment and its slash. The root has none before it.
                written = start - 1;
                while *path[..written].last()? != b'/' {
                    work::examine(1);
                    written -= 1;
                }
            }
            _ if from < path.len() => {
                path[written] = b'/';
                written += 1;
            }
            _ => {}
        }
        from += 1;
    }
    out.truncate(base + written);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(text: &[u8], range: Option<Range<usize>>) -> String {
        range.map_or("-".to_owned(), |range| String::from_utf8_lossy(&text[range]).into_owned())
    }

    #[test]
    fn request_lines_are_taken_apart_as_nginx_does() {
        for (line, method, target, path, args, protocol) in [
            ("GET /x HTTP/1.1", "GET", "/x", "/x", "-", "HTTP/1.1"),
            ("GET /x?a=1&b HTTP/2.0", "GET", "/x?a=1&b", "/x", "a=1&b", "HTTP/2.0"),
            ("GET /x HTTP/3", "GET", "/x", "/x", "-", "HTTP/3"),
            ("GET /e? HTTP/1.1", "GET", "/e?", "/e", "-", "HTTP/1.1"),
            ("GET /e?a?b HTTP/1.1", "GET", "/e?a?b", "/e", "a?b", "HTTP/1.1"),
            ("GET /", "GET", "/", "/", "-", "-"),
            ("GET /partial", "GET", "/partial", "/partial", "-", "-"),
            ("GET /a b HTTP/1.1", "GET", "/a b", "/a b", "-", "HTTP/1.1"),
            ("GET /a b", "GET", "/a b", "/a b", "-", "-"),
            ("GET  /a  HTTP/1.1 ", "GET", "/a", "/a", "-", "HTTP/1.1"),
            ("GET http://h/p?x=1 HTTP/1.1", "GET", "/p?x=1", "/p", "x=1", "HTTP/1.1"),
            ("GET http://h HTTP/1.1", "GET", "/", "/", "-", "HTTP/1.1"),
            ("GET http://h?x=1 HTTP/1.1", "GET", "?x=1", "", "x=1", "HTTP/1.1"),
            ("GET /a?x=1#f HTTP/1.1", "GET", "/a?x=1#f", "/a", "x=1", "HTTP/1.1"),
            ("GET /a#f?x=1 HTTP/1.1", "GET", "/a#f?x=1", "/a", "-", "HTTP/1.1"),
            ("M-SEARCH /x HTTP/1.1", "M-SEARCH", "/x", "/x", "-", "HTTP/1.1"),
            ("OPTIONS * HTTP/1.1", "-", "-", "-", "-", "-"),
            ("CONNECT h:443 HTTP/1.1", "-", "-", "-", "-", "-"),
            ("batman", "-", "-", "-", "-", "-"),
            ("HELP", "-", "-", "-", "-", "-"),
            ("get /x HTTP/1.1", "-", "-", "-", "-", "-"),
            ("\u{16}\u{3}\u{1} /x HTTP/1.1", "-", "-", "-", "-", "-"),
            ("GET ", "-", "-", "-", "-", "-"),
            ("-", "-", "-", "-", "-", "-"),
            ("", "-", "-", "-", "-", "-"),
        ] {
            let text = line.as_bytes();
            let parts = Parts::of_request(text);
            let found = [parts.method, parts.target, parts.path, parts.args, parts.protocol];
            let found = found.map(|range| show(text, range));
            assert_eq!(found, [method, target, path, args, protocol], "{line:?}");
        }
    }

    #[test]
    fn the_first_argument_of_a_name_counts_without_regard_to_case() {
        for (args, name, expected) in [
            ("c=first&c=second", "c", "first"),
            ("C=upper&c=lower", "c", "upper"),
            ("abc=1&c=2", "c", "2"),
            ("c&c=2", "c", "2"),
            ("cc=1", "c", "-"),
            ("c", "c", "-"),
            ("c=", "c", ""),
            ("a=1&c=x=y", "c", "x=y"),
            ("&&c=1&", "c", "1"),
            ("%63=1", "c", "-"),
            ("", "c", "-"),
        ] {
            assert_eq!(show(args.as_bytes(), arg(args.as_bytes(), name.as_bytes())), expected, "{args}");
        }
    }

    #[test]
    fn values_are_decoded_and_bad_escapes_kept() {
        for (text, expected) in [
            ("%41%2B+x", &b"A+ x"[..]),
            ("%zz%4%", b"%zz%4%"),
            ("%00%ff", b"\0\xff"),
            ("%2541", b"%41"),
            ("plain", b"plain"),
        ] {
            let mut out = Vec::new();
            decode(text.as_bytes(), &mut out);
            assert_eq!(out, expected, "{text}");
        }
    }

    #[test]
    fn paths_are_normalised_as_nginx_does() {
        for (path, expected) in [
            ("/", Some("/")),
            ("", Some("/")),
            ("/a/b", Some("/a/b")),
            ("//a///b//", Some("/a/b/")),
            ("/a/./b/.", Some("/a/b/")),
            ("/a/../b", Some("/b")),
            ("/a/b/..", Some("/a/")),
            ("/a/b/../", Some("/a/")),
            ("/a/b/../../c", Some("/c")),
            ("/a/..", Some("/")),
            ("/p%20q", Some("/p q")),
            ("/%61%2Fb", Some("/a/b")),
            ("/a/%2e%2E/b", Some("/b")),
            ("/a%3Fb%23c", Some("/a?b#c")),
            ("/%2541", Some("/%41")),
            ("/a+b", Some("/a+b")),
            ("/.hidden/..x/...", Some("/.hidden/..x/...")),
            ("/..", None),
            ("/a/../..", None),
            ("/%zz", None),
            ("/%4", None),
            ("/a%00", None),
        ] {
            let mut out = b"kept".to_vec();
            let done = normalise(path.as_bytes(), &mut out);
            let found = done.map(|()| std::str::from_utf8(&out[4..]).unwrap());
            assert_eq!(found, expected, "{path}");
            assert!(out.starts_with(b"kept"), "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_normal_stays_as_it_is(path in "/[a.%/]{0,12}") {
            let mut out = Vec::new();
            let done = normalise(path.as_bytes(), &mut out);
            if is_normal(path.as_bytes()) {
                prop_assert!(done.is_some());
                prop_assert_eq!(out, path.as_bytes());
            }
        }

        #[test]
        fn taking_apart_is_total(text: Vec<u8>, near in "[A-Z]{0,3} ?(http://)?[/?#%a.& =]{0,20}( HTTP/1.1)?") {
            for text in [&text[..], near.as_bytes()] {
                let _ = Parts::of_target(text);
                let parts = Parts::of_request(text);
                let ranges = [parts.method, parts.target, parts.path, parts.args, parts.protocol];
                for range in ranges.into_iter().flatten() {
                    let _ = normalise(&text[range], &mut Vec::new());
                }
                let _ = arg(text, b"a");
            }
        }
    }
}
