//! Reads fields and conditions from their texts.
//!
//! ```text
//! condition = all *("or" all)
//! all       = one *("and" one)
//! one       = "not" one / "(" condition ")" / value question
//! question  = ("=" / "!=") constant / ("<" / "<=" / ">" / ">=") number
//!           / ["not"] "in" "(" constant *("," constant) ")"
//!           / ["not"] ("starts_with" / "ends_with" / "contains" / "matches") text
//!           / ["not"] "in_network" (text / "(" text *("," text) ")")
//!           / "is" ("absent" / "present")
//! value     = variable / text / function "(" [value *("," argument)] ")"
//! constant  = number / text
//! ```
//!
//! Of several ways to go on, the one that came furthest tells what was expected.

use std::fmt;

use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take_while, take_while1},
    character::complete::{char, multispace0},
    combinator::{opt, recognize, verify},
    error::{ErrorKind, ParseError},
    multi::separated_list1,
    sequence::{delimited, preceded},
};

use super::{
    compare::{Comparison, Constant, Decimal, Order},
    condition::{Condition, Test},
    expr::Expr,
    field::Field,
    function::{Function, Histogram},
    pattern::Pattern,
    time::{TimePart, UtcOffset},
};
use crate::sketch::LG_REGISTERS;

/// A text is no condition or no field: the column, and what was expected there.
///
/// ```
/// # extern crate evs_core as evs;
/// let error = r#"status >= 500 and uri startswith "/api""#.parse::<evs::Condition>().unwrap_err();
/// assert_eq!(error.column, 23);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyntaxError {
    /// The column: a character of the text, counted from 1.
    pub column: usize,
    /// What was expected, in words.
    pub expected: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.expected)
    }
}

impl std::error::Error for SyntaxError {}

/// The deepest nesting of parentheses and `not`. It bounds the stack.
const DEPTH_MAX: usize = 50;

/// Words that are no variables.
const RESERVED: [&str; 5] = ["and", "or", "not", "in", "is"];

/// Reads a condition.
pub(crate) fn condition(text: &str) -> Result<Condition, SyntaxError> {
    whole(text, |rest| any(rest, 0), "expected `and`, `or` or the end")
}

/// Reads a field.
pub(crate) fn field(text: &str) -> Result<Field, SyntaxError> {
    whole(text, |rest| value(rest, 0), "expected the end").map(Field::of)
}

/// True if the name of a variable can stand in a text as it is.
pub(super) fn is_word(name: &str) -> bool {
    matches!(word(name), Ok(("", _)))
}

/// Reads the whole text.
fn whole<'t, T>(
    text: &'t str,
    parser: impl FnOnce(&'t str) -> Read<'t, T>,
    after: &str,
) -> Result<T, SyntaxError> {
    let error = |left: usize, expected: String| {
        let column = text[..text.len() - left].chars().count() + 1;
        SyntaxError { column, expected }
    };
    match parser(text) {
        Ok((rest, read)) if rest.trim().is_empty() => Ok(read),
        Ok((rest, _)) => Err(error(rest.trim_start().len(), after.to_owned())),
        Err(nom::Err::Error(mistake) | nom::Err::Failure(mistake)) => {
            Err(error(mistake.left, mistake.expected))
        }
        Err(nom::Err::Incomplete(_)) => Err(error(0, "expected more".to_owned())),
    }
}

/// What was expected, and the number of bytes after that place.
#[derive(Debug)]
struct Mistake {
    left: usize,
    expected: String,
}

impl ParseError<&str> for Mistake {
    fn from_error_kind(input: &str, _: ErrorKind) -> Self {
        Self { left: input.len(), expected: String::new() }
    }

    fn append(_: &str, _: ErrorKind, other: Self) -> Self {
        other
    }

    fn or(self, other: Self) -> Self {
        if (self.left, !self.expected.is_empty()) < (other.left, !other.expected.is_empty()) {
            return self;
        }
        other
    }
}

type Read<'t, T> = IResult<&'t str, T, Mistake>;

/// Fails without trying another way.
fn fail<'t, T>(rest: &'t str, expected: impl Into<String>) -> Read<'t, T> {
    Err(nom::Err::Failure(Mistake { left: rest.len(), expected: expected.into() }))
}

/// Says what was expected where a parser fails.
fn expect<'t, T>(
    expected: &'static str,
    mut parser: impl Parser<&'t str, Output = T, Error = Mistake>,
) -> impl Parser<&'t str, Output = T, Error = Mistake> {
    move |rest: &'t str| {
        let rest = rest.trim_start();
        parser.parse(rest).map_err(|error| match error {
            nom::Err::Error(_) => {
                nom::Err::Error(Mistake { left: rest.len(), expected: format!("expected {expected}") })
            }
            error => error,
        })
    }
}

/// Conditions joined by `or`.
fn any(rest: &str, depth: usize) -> Read<'_, Condition> {
    let (mut rest, mut condition) = all(rest, depth)?;
    while let Ok((after, ())) = keyword(rest, "or") {
        let (after, next) = all(after, depth)?;
        (rest, condition) = (after, condition | next);
    }
    Ok((rest, condition))
}

/// Conditions joined by `and`.
fn all(rest: &str, depth: usize) -> Read<'_, Condition> {
    let (mut rest, mut condition) = one(rest, depth)?;
    while let Ok((after, ())) = keyword(rest, "and") {
        let (after, next) = one(after, depth)?;
        (rest, condition) = (after, condition & next);
    }
    Ok((rest, condition))
}

/// A condition without `and` and `or`, except in parentheses.
fn one(rest: &str, depth: usize) -> Read<'_, Condition> {
    let rest = rest.trim_start();
    if depth > DEPTH_MAX {
        return fail(rest, "nested too deeply");
    }
    if let Ok((rest, ())) = keyword(rest, "not") {
        let (rest, condition) = one(rest, depth + 1)?;
        return Ok((rest, !condition));
    }
    if let Some(rest) = rest.strip_prefix('(') {
        let (rest, condition) = any(rest, depth + 1)?;
        let (rest, _) = expect("`)`", char(')')).parse(rest)?;
        return Ok((rest, condition));
    }
    let (rest, value) = value(rest, depth)?;
    question(rest, value)
}

/// A question about a value.
fn question(rest: &str, value: Expr) -> Read<'_, Condition> {
    const EXPECTED: &str =
        "expected =, !=, <, <=, >, >=, in, is, starts_with, ends_with, contains, matches or in_network";
    let rest = rest.trim_start();
    let is = |comparison| Condition(Test::Compare(value, comparison));
    if let Some(rest) = rest.strip_prefix("!=") {
        let (rest, constant) = constant(rest)?;
        return Ok((rest, !is(Comparison::OneOf(vec![constant]))));
    }
    if let Some(rest) = rest.strip_prefix('=') {
        let (rest, constant) = constant(rest)?;
        return Ok((rest, is(Comparison::OneOf(vec![constant]))));
    }
    for (sign, order) in Order::ALL {
        if let Some(rest) = rest.strip_prefix(sign) {
            let (rest, number) = expect("a number", number).parse(rest)?;
            return Ok((rest, is(Comparison::Ordered(order, number))));
        }
    }
    if let Ok((rest, ())) = keyword(rest, "is") {
        if let Ok((rest, ())) = keyword(rest, "absent") {
            return Ok((rest, is(Comparison::IsAbsent)));
        }
        return match keyword(rest, "present") {
            Ok((rest, ())) => Ok((rest, !is(Comparison::IsAbsent))),
            Err(_) => fail(rest.trim_start(), "expected `absent` or `present`"),
        };
    }
    let (rest, is_not) = match keyword(rest, "not") {
        Ok((rest, ())) => (rest.trim_start(), true),
        Err(_) => (rest, false),
    };
    if let Ok((rest, ())) = keyword(rest, "in") {
        let (rest, constants) = parenthesized(constant).parse(rest)?;
        let condition = is(Comparison::OneOf(constants));
        return Ok((rest, if is_not { !condition } else { condition }));
    }
    let Ok((after, word)) = word(rest) else { return fail(rest, EXPECTED) };
    let (after, comparison) = match word {
        "starts_with" => text(after).map(|(rest, text)| (rest, Comparison::StartsWith(text)))?,
        "ends_with" => text(after).map(|(rest, text)| (rest, Comparison::EndsWith(text)))?,
        "contains" => text(after).map(|(rest, text)| (rest, Comparison::Contains(text)))?,
        "matches" => text(after).map(|(rest, text)| (rest, Comparison::Matches(Pattern::new(text))))?,
        "in_network" => {
            let (rest, networks) = alt((text.map(|text| vec![text]), parenthesized(text))).parse(after)?;
            (rest, Comparison::in_network(networks))
        }
        _ => return fail(rest, EXPECTED),
    };
    if let Some(mistake) = comparison.mistake() {
        return fail(rest[word.len()..].trim_start(), mistake);
    }
    let condition = is(comparison);
    Ok((after, if is_not { !condition } else { condition }))
}

/// A list in parentheses.
fn parenthesized<'t, T>(
    item: impl Parser<&'t str, Output = T, Error = Mistake>,
) -> impl Parser<&'t str, Output = Vec<T>, Error = Mistake> {
    delimited(
        expect("`(`", char('(')),
        separated_list1(preceded(multispace0, char(',')), item),
        expect("`,` or `)`", char(')')),
    )
}

/// A number or a text.
fn constant(rest: &str) -> Read<'_, Constant> {
    expect(
        "a number, or a text in double quotes",
        alt((number.map(Constant::Number), text.map(Constant::Text))),
    )
    .parse(rest)
}

/// A decimal number.
fn number(rest: &str) -> Read<'_, Decimal> {
    let digits = || take_while1(|c: char| c.is_ascii_digit());
    let (after, text) = recognize((opt(char('-')), digits(), opt((char('.'), digits())))).parse(rest)?;
    if after.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.') {
        return fail(rest, "expected a number such as 500 or 0.25");
    }
    let decimal = Decimal::new(text.to_owned());
    match decimal.mistake() {
        Some(mistake) => fail(rest, mistake),
        None => Ok((after, decimal)),
    }
}

/// A text in double quotes.
fn text(rest: &str) -> Read<'_, String> {
    let (inner, _) = expect("a text in double quotes", char('"')).parse(rest)?;
    let (mut text, mut at) = (String::new(), inner.char_indices());
    while let Some((offset, c)) = at.next() {
        match c {
            '"' => return Ok((&inner[offset + 1..], text)),
            '\\' => match at.next().map(|(_, c)| c) {
                Some(c @ ('"' | '\\')) => text.push(c),
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some('u') => match unicode(&inner[offset + 2..]) {
                    Some((c, after)) => {
                        text.push(c);
                        let end = inner.len() - after.len();
                        while at.clone().next().is_some_and(|(offset, _)| offset < end) {
                            at.next();
                        }
                    }
                    None => return fail(&inner[offset..], "expected a character such as \\u{7f}"),
                },
                _ => {
                    return fail(
                        &inner[offset..],
                        "expected \\\", \\\\, \\n, \\r, \\t or \\u{…} after the backslash (a backslash itself is \\\\)",
                    );
                }
            },
            c => text.push(c),
        }
    }
    fail(&inner[inner.len()..], "the text has no closing quote")
}

/// The character of `{7f}`, and what is after it.
fn unicode(rest: &str) -> Option<(char, &str)> {
    let (hex, after) = rest.strip_prefix('{')?.split_once('}')?;
    Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, after))
}

/// A word, but none of those that are reserved.
fn word(rest: &str) -> Read<'_, &str> {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '@';
    let is_next = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let name = recognize((
        verify(nom::character::complete::anychar, move |c: &char| is_first(*c)),
        take_while(is_next),
    ));
    verify(name, |word: &str| !RESERVED.contains(&word)).parse(rest)
}

/// The given word, which ends there.
fn keyword<'t>(rest: &'t str, keyword: &'static str) -> Read<'t, ()> {
    let (after, _) = tag(keyword).parse(rest.trim_start())?;
    let ends = !after.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if ends { Ok((after, ())) } else { Err(nom::Err::Error(Mistake::from_error_kind(rest, ErrorKind::Tag))) }
}

/// A value: a variable, a text, or a function of values.
fn value(rest: &str, depth: usize) -> Read<'_, Expr> {
    let rest = rest.trim_start();
    if depth > DEPTH_MAX {
        return fail(rest, "nested too deeply");
    }
    if rest.starts_with('"') {
        return text(rest).map(|(rest, text)| (rest, Expr::Constant(text)));
    }
    let Ok((after, name)) = word(rest) else {
        return fail(rest, "expected a field, such as status or lower(host)");
    };
    if after.starts_with('@') {
        return fail(rest, format!("{name} is code or a table, which only the program has"));
    }
    let Some(arguments) = after.strip_prefix('(') else {
        return Ok((after, Expr::Variable(name.to_owned())));
    };
    let (after, value) = function(rest, name, arguments, depth + 1)?;
    match value.mistake() {
        Some(mistake) => fail(rest, mistake),
        None => Ok((after, value)),
    }
}

/// The arguments of a function, up to the closing parenthesis. `start` is the place of its name.
fn function<'t>(start: &'t str, name: &str, rest: &'t str, depth: usize) -> Read<'t, Expr> {
    let close = |rest| expect("`)`", char(')')).parse(rest).map(|(rest, _)| rest);
    let comma = |rest| expect("`,`", char(',')).parse(rest).map(|(rest, _)| rest);
    if name == "field" {
        let (rest, name) = text(rest)?;
        return Ok((close(rest)?, Expr::Variable(name)));
    }
    if name == "time" {
        let offset = rest.trim_start();
        if offset.starts_with(')') {
            return Ok((close(rest)?, Expr::Time(UtcOffset::default())));
        }
        let (rest, text) = text(rest)?;
        return match text.parse() {
            Ok(offset) => Ok((close(rest)?, Expr::Time(offset))),
            Err(mistake) => fail(offset, mistake),
        };
    }
    if name == "log" {
        return Ok((close(rest)?, Expr::Log));
    }
    if name == "concat" {
        let (rest, values) =
            separated_list1(preceded(multispace0, char(',')), |rest| value(rest, depth)).parse(rest)?;
        return Ok((close(rest)?, Expr::Call(Function::Concat, values)));
    }
    let simple = match name {
        "lower" => Some(Function::Lower),
        "path" => Some(Function::Path),
        "extension" => Some(Function::Extension),
        "host" => Some(Function::Host),
        "status_class" => Some(Function::StatusClass),
        "first" => Some(Function::First),
        "last" => Some(Function::Last),
        _ => TimePart::ALL.iter().find(|(part, _)| *part == name).map(|(_, part)| Function::TimePart(*part)),
    };
    let has_arguments = [
        "truncate",
        "path_prefix",
        "network",
        "replace",
        "default",
        "bucket",
        "distinct_slot",
        "distinct_rank",
    ]
    .contains(&name);
    if simple.is_none() && !has_arguments {
        return fail(start, format!("there is no function {name}"));
    }
    let (rest, inner) = value(rest, depth)?;
    if let Some(function) = simple {
        return Ok((close(rest)?, inner.call(function)));
    }
    let rest = comma(rest)?;
    let (rest, function) = match name {
        "truncate" => whole_number(rest).map(|(rest, bytes)| (rest, Function::Truncate(bytes)))?,
        "path_prefix" => whole_number(rest).map(|(rest, number)| (rest, Function::PathPrefix(number)))?,
        "network" => {
            let (rest, v4) = whole_number(rest)?;
            let (rest, v6) = whole_number(comma(rest)?)?;
            (rest, Function::Network(v4, v6))
        }
        "replace" => {
            let (rest, pattern) = text(rest)?;
            let (rest, with) = text(comma(rest)?)?;
            (rest, Function::Replace(Pattern::new(pattern), with))
        }
        "bucket" => {
            let (rest, alpha) = expect("a number", number).parse(rest)?;
            // A text of digits is a number.
            (rest, Function::Bucket(Histogram::of(&inner, alpha.text.parse().unwrap_or(f64::NAN))))
        }
        "distinct_slot" | "distinct_rank" => {
            let start = rest.trim_start();
            let (rest, lg_registers) = whole_number::<u8>(rest)?;
            if lg_registers != LG_REGISTERS {
                return fail(start, format!("expected {LG_REGISTERS}, for 4,096 registers"));
            }
            (rest, if name == "distinct_slot" { Function::DistinctSlot } else { Function::DistinctRank })
        }
        _ => text(rest).map(|(rest, text)| (rest, Function::Default(text)))?,
    };
    Ok((close(rest)?, inner.call(function)))
}

/// A number without sign and point.
fn whole_number<T: std::str::FromStr>(rest: &str) -> Read<'_, T> {
    let (after, digits) = expect("a whole number", take_while1(|c: char| c.is_ascii_digit())).parse(rest)?;
    match digits.parse() {
        Ok(number) => Ok((after, number)),
        Err(_) => fail(rest.trim_start(), "the number is too large"),
    }
}

#[cfg(test)]
mod tests;
