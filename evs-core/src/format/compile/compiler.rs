//! The compiler of format strings.
//!
//! In goes a string as in `nginx.conf`, or one of [Apache's](apache), out come [`Steps`], or the offset and reason of
//! the first problem. The compiler refuses a format whose lines could be read in two ways: two variables whose boundary
//! is not certain, a list followed by a text that also joins its elements, and a line feed.
//!
//! The syntax here is that of nginx's `ngx_http_log_module`: `$name` or `${name}`, and any other text for itself.
//!
//! For example, `$remote_addr [$time_local] $status` becomes these steps:
//!
//! ```text
//! prefix ""
//! step   $remote_addr  until " ["
//! step   $time_local   until "] "
//! step   $status       until the end of the line
//! ```
//!
//! A variable's value ends at the first place where the text after it can begin. So that text
//! must not be empty. If a value can contain it, a client can forge the rest of its line. nginx escapes quotes in values,
//! so a variable between quotes is safe.

use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take_while1},
    sequence::{delimited, preceded},
};

use super::{
    apache,
    class::{Class, ends_before_target},
    escape::Escape,
    forgery, haproxy,
    needle::Needle,
    piece::Piece,
    steps::{Literal, Step, Steps},
};
use crate::format::{decode::time::Shape, error::FormatError};

/// The language of a format string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum Language {
    /// nginx's `log_format`, with or without `escape=…` in front.
    Nginx,
    /// Text and variables as nginx has them, in lines that Apache may have written: its escapes include nginx's.
    NginxOrApache,
    /// Apache's `LogFormat`.
    Apache,
    /// Text and variables as nginx has them, in lines that HAProxy has written.
    Haproxy,
    /// Text and variables as nginx has them, in lines of AWS's Application Load Balancer.
    Alb,
}

/// Compiles a format string.
///
/// `time` is the variable that holds the time, with its shape, if the user has named it.
pub(in crate::format) fn compile(
    format: &str,
    language: Language,
    time: Option<&(String, Shape)>,
) -> Result<Steps, FormatError> {
    let (pieces, escape) = match language {
        Language::Apache => (apache::pieces(format)?, Escape::Apache),
        Language::Haproxy => {
            let mut pieces = pieces(format, format)?;
            haproxy::classify(&mut pieces);
            (pieces, Escape::Haproxy)
        }
        Language::Nginx | Language::NginxOrApache | Language::Alb => {
            let (body, escape) = escape(format)?;
            if let Some(at) = body.find('\n') {
                return Err(FormatError::LineFeed { offset: format.len() - body.len() + at });
            }
            let is_either = language == Language::NginxOrApache;
            let pieces = joined_time(pieces(format, body)?, time.is_some())?;
            (pieces, if is_either { Escape::Apache } else { escape })
        }
    };
    let mut steps = compile_pieces(&pieces, escape, time)?;
    steps.minus_one_is_none |= language == Language::Alb;
    Ok(steps)
}

/// Compiles the pieces of a format string.
pub(super) fn compile_pieces(
    pieces: &[Piece],
    escape: Escape,
    time: Option<&(String, Shape)>,
) -> Result<Steps, FormatError> {
    let (prefix, variables) = match pieces.split_first() {
        Some((Piece::Text(_, text), variables)) => (Literal::new(text.as_bytes()), variables),
        _ => (Literal::default(), pieces),
    };
    let is_of_haproxy = escape == Escape::Haproxy || haproxy::are_of_haproxy(pieces);
    let mut steps = Vec::new();
    for (index, piece) in variables.iter().enumerate() {
        let Piece::Variable(offset, name, class) = piece else { continue };
        let mut is_before_target = false;
        let until = match variables.get(index + 1) {
            None => "",
            Some(Piece::Text(_, text)) => text,
            Some(Piece::Variable(_, second, _)) if ends_before_target(name, second) => {
                is_before_target = true;
                ""
            }
            Some(Piece::Variable(offset, second, _)) => {
                let (first, second) = (name.clone(), second.clone());
                return Err(FormatError::SideBySide { offset: *offset, first, second });
            }
        };
        let class = match (time.filter(|(of, _)| of == name), class) {
            (Some((_, shape)), _) => Class::Time(shape.clone()),
            (None, _) if is_before_target => Class::BeforeTarget,
            (None, None) => Class::of(name, until.as_bytes(), escape),
            (None, Some(class)) => class.clone(),
        };
        if class == Class::List && matches!(until, ", " | " : ") {
            let offset = variables.get(index + 1).map_or(*offset, Piece::offset);
            return Err(FormatError::ListSeparator { offset, name: name.clone(), text: until.to_owned() });
        }
        steps.push(Step {
            name: name.as_str().into(),
            may_be_empty: class.may_be_empty(name, escape),
            class: class.clone(),
            until: Literal::new(until.as_bytes()),
            no_colon: name == "remote_user",
            has_plus: is_of_haproxy,
            is_request: name == "request" && class == Class::Loose,
            has_commas: until == " " && name.ends_with("x_forwarded_for") && class == Class::Loose,
            lookahead: 0,
            needle: Needle::default(),
        });
    }
    for index in 0..steps.len() {
        steps[index].lookahead = lookahead(&steps[index + 1..]);
        let time = match steps.get(index + 1).map(|step| &step.class) {
            Some(Class::Time(shape)) => Some(shape),
            _ => None,
        };
        steps[index].needle = Needle::new(steps[index].until.as_bytes(), time);
        let next_time = steps[index + 1..].iter().find_map(|step| match &step.class {
            Class::Time(shape) => Some(shape),
            _ => None,
        });
        let has_colon = next_time.is_some_and(|shape| shape.sample().contains(&b':'));
        steps[index].no_colon &= has_colon;
    }
    let time = match time {
        Some((name, _)) => steps.iter().position(|step| *step.name == *name.as_str()),
        None => best_time(&steps),
    };
    let is_word = |step: &Step| step.class == Class::Loose && step.until.as_bytes() == b" ";
    let are_words = |at: usize| steps.get(at..at + 3).is_some_and(|words| words.iter().all(is_word));
    let has_priority =
        prefix.as_bytes() == b"<" && steps.first().is_some_and(|step| step.until.as_bytes() == b">");
    let first = usize::from(has_priority);
    let syslog_time = ((prefix.is_empty() || has_priority) && are_words(first)).then_some(first);
    let tail = forgery::tail(&steps);
    Ok(Steps {
        prefix,
        steps,
        escape,
        time,
        syslog_time,
        tail,
        minus_one_is_none: is_of_haproxy,
        is_quoted: false,
    })
}

/// Joins `$date` and `$time` to the time of the line, if they stand side by side and no other variable is known to be one.
fn joined_time(mut pieces: Vec<Piece>, has_time: bool) -> Result<Vec<Piece>, FormatError> {
    let is_time =
        |piece: &Piece| matches!(piece, Piece::Variable(_, name, _) if Shape::of_variable(name).is_some());
    if has_time || pieces.iter().any(is_time) {
        return Ok(pieces);
    }
    let found = pieces.windows(3).enumerate().find_map(|(at, three)| match three {
        [Piece::Variable(offset, date, _), Piece::Text(_, text), Piece::Variable(_, time, _)]
            if date == "date" && time == "time" && matches!(&**text, " " | "\t") =>
        {
            Some((at, *offset, text.clone()))
        }
        _ => None,
    });
    if let Some((at, offset, between)) = found {
        let shape = Shape::date_and_time(&between)?;
        let joined = Piece::Variable(offset, "date_time".to_owned(), Some(Class::Time(shape)));
        pieces.splice(at..at + 3, [joined]);
    }
    Ok(pieces)
}

/// Splits off a leading `escape=…`. Without it, nginx escapes in its default way.
fn escape(format: &str) -> Result<(&str, Escape), FormatError> {
    let Some(found) = format.strip_prefix("escape=") else {
        return Ok((format, Escape::Default));
    };
    let (found, body) = found.split_once([' ', '\t']).unwrap_or((found, ""));
    let escape = match found {
        "default" => Escape::Default,
        "json" => Escape::Json,
        "none" => Escape::None,
        _ => return Err(FormatError::Escape { offset: 0, found: found.to_owned() }),
    };
    Ok((body.trim_start_matches([' ', '\t']), escape))
}

/// Splits the body of a format into texts and variables: `[$msec] $status` becomes `[`, `$msec`, `] ` and `$status`.
fn pieces(format: &str, body: &str) -> Result<Vec<Piece>, FormatError> {
    let mut pieces = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let offset = format.len() - rest.len();
        if let Ok((after, name)) = variable(rest) {
            pieces.push(Piece::Variable(offset, name.to_owned(), None));
            rest = after;
        } else if rest.starts_with("${") {
            return Err(FormatError::Brace { offset });
        } else if rest.starts_with('$') {
            return Err(FormatError::NoName { offset });
        } else {
            let (text, after) = rest.split_at(rest.find('$').unwrap_or(rest.len()));
            pieces.push(Piece::Text(offset, text.to_owned()));
            rest = after;
        }
    }
    Ok(pieces)
}

/// `$name` or `${name}`
fn variable(text: &str) -> IResult<&str, &str> {
    preceded(tag("$"), alt((delimited(tag("{"), name, tag("}")), name))).parse(text)
}

/// The name of a variable.
fn name(text: &str) -> IResult<&str, &str> {
    take_while1(|c: char| c.is_ascii_alphanumeric() || c == '_').parse(text)
}

/// The number of steps after a loose variable that the reader looks at to find the end of its value.
///
/// It counts steps that can be recognised by themselves, up to the first that proves the position: a time, which no
/// client can forge, or a literal with a quote, which no client can print.
fn lookahead(following: &[Step]) -> usize {
    let mut count = 0;
    for step in following {
        match step.class {
            Class::Time(_) => return count + 1,
            Class::Number => count += 1,
            Class::Token if step.until.as_bytes().starts_with(b" ") => count += 1,
            _ => return count,
        }
        if step.until.as_bytes().contains(&b'"') {
            return count;
        }
    }
    count
}

/// The step that is the time of a line: the best shape of time in the format.
fn best_time(steps: &[Step]) -> Option<usize> {
    let times = steps.iter().enumerate().filter_map(|(index, step)| match &step.class {
        Class::Time(shape) => Some((shape.rank(), index)),
        _ => None,
    });
    times.min().map(|(_, index)| index)
}
