//! The syntax of Apache's `LogFormat` strings: `%h %l %u %t \"%r\" %>s %b`.
//!
//! A directive becomes a variable with the name that nginx has for the same value, so that a statistic is the same for
//! both servers: `%h` is `remote_addr`, and `%{User-Agent}i` is `http_user_agent`. The table of
//! [`LogFormat::apache`](crate::LogFormat::apache) has them all. The syntax and the escaping are those of
//! `mod_log_config` (<https://httpd.apache.org/docs/2.4/mod/mod_log_config.html>).

use super::{class::Class, piece::Piece};
use crate::format::{decode::time::Shape, error::FormatError};

/// A part of a format string, with its offset.
enum Token {
    Text(String),
    Variable {
        offset: usize,
        name: String,
        class: Option<Class>,
    },
    /// A time that is complete.
    Time {
        offset: usize,
        shape: Shape,
    },
    /// Conversions of `strftime`, which may be a part of a time.
    PartOfTime {
        offset: usize,
        pattern: String,
    },
}

/// Splits an Apache format string into texts and variables.
pub(super) fn pieces(format: &str) -> Result<Vec<Piece>, FormatError> {
    let mut tokens = Vec::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        let offset = format.len() - rest.len();
        rest = &rest[first.len_utf8()..];
        match first {
            '%' => rest = directive(offset, rest, &mut tokens)?,
            '\\' => {
                let Some(escaped) = rest.chars().next() else {
                    return Err(FormatError::Backslash { offset });
                };
                rest = &rest[escaped.len_utf8()..];
                match escaped {
                    'n' => return Err(FormatError::LineFeed { offset }),
                    't' => push_text(&mut tokens, "\t"),
                    _ => push_text(&mut tokens, escaped.encode_utf8(&mut [0; 4])),
                }
            }
            '\n' => return Err(FormatError::LineFeed { offset }),
            _ => push_text(&mut tokens, first.encode_utf8(&mut [0; 4])),
        }
    }
    joined(tokens).into_iter().map(piece).collect()
}

/// The piece of a token.
fn piece(token: Token) -> Result<Piece, FormatError> {
    let time = |offset, shape| Piece::Variable(offset, "time_local".to_owned(), Some(Class::Time(shape)));
    Ok(match token {
        Token::Text(text) => Piece::Text(0, text),
        Token::Variable { offset, name, class } => Piece::Variable(offset, name, class),
        Token::Time { offset, shape } => time(offset, shape),
        Token::PartOfTime { offset, pattern } if pattern == FRACTION => {
            Piece::Variable(offset, "time_fraction".to_owned(), Some(Class::Number))
        }
        Token::PartOfTime { offset, pattern } => time(offset, Shape::named(&pattern)?),
    })
}

/// The pattern of `%{msec_frac}t` and `%{usec_frac}t`.
const FRACTION: &str = "%f";

/// Appends a text to the text before it, if there is one.
fn push_text(tokens: &mut Vec<Token>, text: &str) {
    match tokens.last_mut() {
        Some(Token::Text(before)) => before.push_str(text),
        _ => tokens.push(Token::Text(text.to_owned())),
    }
}

/// Joins the parts of a time to one: a date, a time of day, a fraction and a zone may come from several `%{…}t`.
fn joined(tokens: Vec<Token>) -> Vec<Token> {
    let mut all: Vec<Token> = Vec::new();
    for token in tokens {
        let Token::PartOfTime { offset, pattern } = token else {
            all.push(token);
            continue;
        };
        let between = match all.last() {
            Some(Token::Text(text)) => Some(text.replace('%', "%%")),
            _ => None,
        };
        let before = all.len().checked_sub(1 + usize::from(between.is_some())).and_then(|at| all.get_mut(at));
        match before {
            Some(Token::PartOfTime { pattern: whole, .. })
                if matches!(&*pattern, FRACTION | "%z") || Shape::named(whole).is_err() =>
            {
                whole.push_str(between.as_deref().unwrap_or_default());
                whole.push_str(&pattern);
                if between.is_some() {
                    all.pop();
                }
            }
            _ => all.push(Token::PartOfTime { offset, pattern }),
        }
    }
    all
}

/// Reads the directive after a `%`, and returns the text after it.
fn directive<'f>(offset: usize, text: &'f str, tokens: &mut Vec<Token>) -> Result<&'f str, FormatError> {
    // `!200,304` and `<` or `>` say for which status, and of which request, the value is logged. Otherwise it is `-`.
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '!' | ',' | '<' | '>'));
    let (argument, rest) = match rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((argument, rest)) => (Some(argument), rest),
        None => (None, rest),
    };
    // The status may also stand after the argument.
    let rest = rest.trim_start_matches(['<', '>']);
    let (is_trailer, rest) = match rest.strip_prefix("^t") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let mut letters = rest.chars();
    let letter = letters.next();
    let after = letters.as_str();
    let unknown = || {
        let directive = &text[..text.len() - after.len()];
        FormatError::Directive { offset, directive: format!("%{directive}") }
    };
    match (letter, argument) {
        (Some(letter), argument) if is_trailer => {
            let name = trailer(letter, argument).ok_or_else(unknown)?;
            tokens.push(Token::Variable { offset, name, class: None });
        }
        (Some('%'), None) => push_text(tokens, "%"),
        (Some('t'), None) => {
            push_text(tokens, "[");
            tokens.push(Token::Time { offset, shape: Shape::Local });
            push_text(tokens, "]");
        }
        (Some('t'), Some(argument)) => tokens.push(time(offset, argument)),
        (Some(letter), argument) => {
            let (name, class) = variable(letter, argument).ok_or_else(unknown)?;
            tokens.push(Token::Variable { offset, name, class });
        }
        (None, _) => return Err(unknown()),
    }
    Ok(after)
}

/// The token of `%{argument}t`.
fn time(offset: usize, argument: &str) -> Token {
    let argument = argument.strip_prefix("begin:").or(argument.strip_prefix("end:")).unwrap_or(argument);
    let part = |pattern: &str| Token::PartOfTime { offset, pattern: pattern.to_owned() };
    match argument {
        "msec" | "usec" => Token::Time { offset, shape: Shape::Msec },
        "sec" => part("%s"),
        "msec_frac" | "usec_frac" => part(FRACTION),
        pattern => part(pattern),
    }
}

/// The name of a header, after that prefix.
fn header(prefix: &str, name: &str) -> String {
    let small = |c: char| if c == '-' { '_' } else { c.to_ascii_lowercase() };
    prefix.chars().chain(name.chars().map(small)).collect()
}

/// The name of a trailer's variable: `%{Name}^ti` or `%{Name}^to`.
fn trailer(letter: char, argument: Option<&str>) -> Option<String> {
    match (letter, argument?) {
        ('i', name) => Some(header("trailer_", name)),
        ('o', name) => Some(header("sent_trailer_", name)),
        _ => None,
    }
}

/// The name of a directive's variable. Its class is told where the name does not tell it.
fn variable(letter: char, argument: Option<&str>) -> Option<(String, Option<Class>)> {
    let number = Some(Class::Number);
    let (name, class) = match (letter, argument) {
        ('a', Some("c")) => ("realip_remote_addr", None),
        ('a', None) | ('h', None | Some("c")) => ("remote_addr", None),
        ('A', None) => ("server_addr", None),
        ('b' | 'B', None) => ("body_bytes_sent", None),
        ('D', None) | ('T', Some("us")) => ("request_time_us", number),
        ('T', Some("ms")) => ("request_time_ms", number),
        ('T', None | Some("s")) => ("request_time", None),
        ('f', None) => ("request_filename", None),
        ('H', None) => ("server_protocol", None),
        ('I', None) => ("request_length", None),
        ('k', None) => ("connection_requests", None),
        ('l', None) => ("remote_logname", None),
        ('L', None) => ("log_id", None),
        ('m', None) => ("request_method", None),
        ('O', None) => ("bytes_sent", None),
        ('p', None | Some("canonical" | "local")) => ("server_port", None),
        ('p', Some("remote")) => ("remote_port", None),
        ('P', None | Some("pid")) => ("pid", None),
        ('P', Some("tid" | "hextid")) => ("tid", None),
        ('q', None) => (QUERY, None),
        ('r', None) => ("request", None),
        ('R', None) => ("handler", None),
        ('s', None) => ("status", None),
        ('S', None) => ("bytes_transferred", number),
        ('u', None) => ("remote_user", None),
        ('U', None) => ("uri", None),
        ('v', None) => ("server_name", None),
        ('V', None) => ("host", None),
        ('X', None) => ("connection_status", None),
        ('C', Some(name)) => return Some((format!("cookie_{name}"), None)),
        ('e', Some(name)) => return Some((format!("env_{name}"), None)),
        ('i', Some(name)) => return Some((header("http_", name), None)),
        ('n', Some(name)) => return Some((format!("note_{name}"), None)),
        ('o', Some(name)) => return Some((header("sent_http_", name), None)),
        // A variable of mod_ssl.
        ('x', Some(name)) => return Some((header("", name), None)),
        _ => return None,
    };
    Some((name.to_owned(), class))
}

/// The name of `%q`: a query with its `?`.
pub(in crate::format) const QUERY: &str = "apache_query";
